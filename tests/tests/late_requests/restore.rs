//! Restores beside leak responses, forced rotations and people.

use end_to_end::scenario::{publish, remember};
use end_to_end::{ACCOUNT, Stage, USER};
use jiff::SignedDuration;
use rotation::Task;
use rotation::job::{ForceRotate, Whom};
use sandbox::faults::{Calls, Fault, HoldPlan, Rule, StaleReads, When};
use sandbox::services::ses::RefuseAs;
use sandbox::world::KeyStatus;

use crate::{after_announcing, deliver, is_active, key_id, leak, only_refusal, restore, restore_of, retry, used, whom};

/// A user whose only key was disabled a day ago, and that is on record.
async fn with_a_disabled_key() -> (Stage, String) {
    let stage = Stage::with(false).await;
    let key = stage.user(&[used(101).inactive()]).remove(0);
    remember(&stage, &key, "disabled", 1);
    (stage, key)
}

/// What a worker records of a leak that is reported now, by a request that has seen the key inactive.
fn report_leak(stage: &Stage, key: &str) -> String {
    let now = rotation::state::tag_time(stage.now());
    let reported = format!("disabled={now} asked={now}");
    stage.world(|world| world.tag_user(ACCOUNT, USER, &rotation::names::state_tag(&key_id(key)), &reported));
    reported
}

#[tokio::test]
async fn a_key_that_was_disabled_off_the_record_and_restored_untold_stays_active_until_its_owner_has_had_notice() {
    let stage = Stage::new().await;
    let keys = stage.user(&[used(112).inactive(), used(22)]);
    publish(&stage, &keys[1]);
    // As where the worker that disabled it died before it could record that.
    remember(&stage, &keys[0], "notified", 20);
    stage.world(|world| world.mail.knobs.refuse_all = Some(RefuseAs::SendingPaused));
    deliver(&stage, &restore_of(&stage, &keys[0])).await;
    assert!(is_active(&stage, &keys[0]));
    let state = stage.state_of(&keys[0]).expect("it is on record");
    assert!(state.starts_with("restored=") && state.ends_with("told=no"), "not the notice that came before: {state}");
    stage.world(|world| world.mail.knobs.refuse_all = None);
    for day in 0..9 {
        stage.run().await;
        assert!(is_active(&stage, &keys[0]), "day {day}");
        stage.pass_days(1);
    }
}

#[tokio::test]
async fn a_restore_that_a_containment_has_overtaken_leaves_the_leaked_key_inactive() {
    let stage = Stage::with(false).await;
    let keys = stage.user(&[used(101).inactive(), used(11)]);
    publish(&stage, &keys[1]);
    remember(&stage, &keys[0], "disabled", 1);
    stage.world(|world| world.mail.knobs.refuse_all = Some(RefuseAs::SendingPaused));
    let early = restore(&stage);
    stage.pass(SignedDuration::from_secs(1));
    deliver(&stage, &early).await;
    assert!(is_active(&stage, &keys[0]), "restored, but its owner could not be told: it will be delivered again");
    stage.world(|world| world.mail.knobs.refuse_all = None);

    deliver(&stage, &leak(&stage, Whom::UserAndKey(USER.parse().expect("a user name"), key_id(&keys[0])))).await;
    assert!(!is_active(&stage, &keys[0]), "contained");
    after_announcing(&stage).await;
    retry(&stage).await;

    assert!(!is_active(&stage, &keys[0]), "and it stays so");
    assert_eq!(stage.waiting(), 0);
    let message = only_refusal(&stage).await;
    assert!(message.contains(USER), "{message}");
}

#[tokio::test]
async fn a_restore_that_waits_is_refused_once_the_key_is_reported_as_leaked_though_it_is_inactive_already() {
    for named in [true, false] {
        let (stage, key) = with_a_disabled_key().await;
        let early = restore(&stage);
        stage.pass(SignedDuration::from_hours(1));
        let whom = if named { Whom::Key(key_id(&key)) } else { whom() };
        deliver(&stage, &leak(&stage, whom)).await;
        after_announcing(&stage).await;
        let why = only_refusal(&stage).await;
        assert!(why.contains("inactive already") || why.contains("no active access key"), "nothing to contain: {why}");

        stage.pass_days(1);
        deliver(&stage, &early).await;
        assert!(!is_active(&stage, &key), "leaked since the restore was asked for");
        let dead = stage.dead_letters().await;
        assert!(dead.iter().any(|(_, why, _)| why.contains("after the request to restore it was made")), "{dead:?}");
        deliver(&stage, &restore(&stage)).await;
        assert!(is_active(&stage, &key), "asked for after the leak: somebody knows of it");
    }
}

#[tokio::test]
async fn a_leak_report_and_an_earlier_restore_that_do_not_see_each_other_end_with_the_key_inactive() {
    for restore_first in [true, false] {
        let (stage, key) = with_a_disabled_key().await;
        stage.world(|world| {
            world.faults.stale_reads = Some(StaleReads { seconds: 10, reads: None, rate: 1.0, operation: None });
        });
        let early = restore(&stage);
        stage.pass(SignedDuration::from_secs(2));
        let report = leak(&stage, Whom::Key(key_id(&key)));
        let (first, second) = if restore_first { (early, report) } else { (report, early) };
        deliver(&stage, &first).await;
        stage.pass(SignedDuration::from_secs(2));
        deliver(&stage, &second).await;
        assert!(restore_first || is_active(&stage, &key), "neither has seen the other");
        after_announcing(&stage).await;
        for _ in 0..2 {
            after_announcing(&stage).await;
            assert!(!is_active(&stage, &key), "restored first: {restore_first}, {:?}", stage.state_of(&key));
        }
        assert!(stage.published_key().is_some_and(|successor| is_active(&stage, &successor)));
    }
}

#[tokio::test]
async fn a_leak_that_is_reported_between_two_calls_of_a_restore_stays_on_record_and_the_key_inactive() {
    for hold in [
        // After the look; the first such call finds the user.
        HoldPlan { calls: Calls::new("iam:ListUserTags"), at_call: 2, when: When::After },
        // While the key is made active.
        HoldPlan { calls: Calls::new("iam:UpdateAccessKey"), at_call: 1, when: When::Before },
    ] {
        let (stage, key) = with_a_disabled_key().await;
        let held = stage.world(|world| world.faults.hold(hold));
        stage.send(&restore(&stage)).await;
        let meanwhile = async {
            held.reached().await;
            stage.pass(SignedDuration::from_mins(2));
            let reported = report_leak(&stage, &key);
            held.release();
            reported
        };
        let (_, reported) = tokio::join!(stage.work(), meanwhile);
        assert_eq!((is_active(&stage, &key), stage.state_of(&key)), (false, Some(reported)));
        retry(&stage).await;
        assert!(!is_active(&stage, &key));
        assert!(only_refusal(&stage).await.contains("after the request to restore it was made"));
    }
}

#[tokio::test]
async fn a_tag_that_cannot_be_read_lets_no_restore_bring_back_a_key_that_was_reported_as_leaked() {
    let (stage, key) = with_a_disabled_key().await;
    stage.world(|world| world.tag_user(ACCOUNT, USER, "key-rotation:intent:x", "y"));
    let early = restore(&stage);
    stage.pass(SignedDuration::from_hours(1));
    deliver(&stage, &leak(&stage, Whom::Key(key_id(&key)))).await;
    after_announcing(&stage).await;
    assert!(only_refusal(&stage).await.contains("nothing is changed"));
    deliver(&stage, &early).await;
    assert!(!is_active(&stage, &key));
}

#[tokio::test]
async fn a_leaked_key_whose_restore_has_begun_is_contained_and_replaced() {
    let stage = Stage::with(false).await;
    let keys = stage.user(&[used(112).inactive(), used(22)]);
    publish(&stage, &keys[1]);
    // Its deletion is due: the restore waits until nobody can be deleting it.
    remember(&stage, &keys[0], "disabled", 11);
    deliver(&stage, &restore(&stage)).await;
    assert!(!is_active(&stage, &keys[0]));
    deliver(&stage, &leak(&stage, Whom::Key(key_id(&keys[0])))).await;
    for minutes in [2, 21, 21, 40] {
        stage.pass(SignedDuration::from_mins(minutes));
        stage.work().await;
        assert!(!is_active(&stage, &keys[0]), "not even for a moment");
    }
    assert!(only_refusal(&stage).await.contains(USER), "the restore");
    assert_eq!(stage.waiting(), 0);
    let successor = stage.published_key().expect("a successor");
    assert!(is_active(&stage, &successor) && !keys.contains(&successor));
}

#[tokio::test]
async fn a_leak_reported_after_a_restore_was_asked_for_contains_the_key_though_the_restore_came_later() {
    let (stage, key) = with_a_disabled_key().await;
    let restored = restore(&stage);
    stage.pass(SignedDuration::from_mins(15));
    let leaked = leak(&stage, Whom::Key(key_id(&key)));
    stage.pass(SignedDuration::from_mins(5));
    deliver(&stage, &restored).await;
    assert!(is_active(&stage, &key));
    deliver(&stage, &leaked).await;
    assert!(!is_active(&stage, &key));
    assert!(stage.published_key().is_some_and(|key| is_active(&stage, &key)));
}

#[tokio::test]
async fn a_restore_asked_for_before_the_key_was_disabled_is_refused_and_one_asked_for_after_is_carried_out() {
    let stage = Stage::new().await;
    let key = stage.user(&[used(50)]).remove(0);
    let early = restore(&stage);
    stage.pass(SignedDuration::from_hours(1));
    deliver(&stage, &leak(&stage, whom())).await;
    assert!(!is_active(&stage, &key));
    deliver(&stage, &early).await;
    assert!(!is_active(&stage, &key));
    assert!(only_refusal(&stage).await.contains("after the request to restore it was made"));

    stage.pass(SignedDuration::from_hours(1));
    deliver(&stage, &restore(&stage)).await;
    assert!(is_active(&stage, &key));
}

#[tokio::test]
async fn a_key_that_is_restored_is_not_deleted_for_a_forced_rotation_that_sees_it_inactive_still() {
    for restore_first in [true, false] {
        let stage = Stage::with(false).await;
        let keys = stage.user(&[used(30).inactive(), used(5)]);
        publish(&stage, &keys[1]);
        remember(&stage, &keys[0], "disabled", 2);
        stage.world(|world| {
            world.faults.stale_reads = Some(StaleReads { seconds: 10, reads: None, rate: 1.0, operation: None });
        });
        let force = ForceRotate { whom: whom(), disable_old_now: false, override_exemption: false };
        let force = stage.job(Task::ForceRotate(force));
        let (first, second) = if restore_first { (restore(&stage), force) } else { (force, restore(&stage)) };
        deliver(&stage, &first).await;
        stage.pass(SignedDuration::from_secs(2));
        deliver(&stage, &second).await;
        assert!(is_active(&stage, &keys[0]), "neither has seen the other");
        for minutes in [2, 30, 2] {
            stage.pass(SignedDuration::from_mins(minutes));
            stage.work().await;
        }
        assert_eq!(stage.keys(), [(keys[0].clone(), true), (keys[1].clone(), true)]);
        assert!(only_refusal(&stage).await.contains("two active access keys"));
    }
}

#[tokio::test]
async fn a_restore_waits_while_a_deletion_for_a_forced_rotation_may_be_under_way() {
    let stage = Stage::with(false).await;
    let keys = stage.user(&[used(30).inactive(), used(5)]);
    publish(&stage, &keys[1]);
    remember(&stage, &keys[0], "disabled", 2);
    let force = ForceRotate { whom: whom(), disable_old_now: false, override_exemption: false };
    deliver(&stage, &stage.job(Task::ForceRotate(force))).await;
    deliver(&stage, &restore(&stage)).await;
    assert!(!is_active(&stage, &keys[0]), "its deletion is announced");
    after_announcing(&stage).await;
    assert_eq!(stage.keys().len(), 2, "a restore is on record: the deletion waits as well");
    stage.pass(SignedDuration::from_mins(21));
    stage.work().await;
    stage.pass(SignedDuration::from_mins(2));
    stage.work().await;
    assert_eq!(stage.keys(), [(keys[0].clone(), true), (keys[1].clone(), true)]);
}

#[tokio::test]
async fn a_key_that_a_person_disables_while_its_restore_could_not_be_told_stays_disabled() {
    let (stage, key) = with_a_disabled_key().await;
    stage.world(|world| world.mail.knobs.refuse_all = Some(RefuseAs::SendingPaused));
    deliver(&stage, &restore(&stage)).await;
    assert!(is_active(&stage, &key));
    stage.pass(SignedDuration::from_mins(5));
    stage.world(|world| {
        world.set_key_status(ACCOUNT, USER, &key, sandbox::KeyStatus::Inactive);
        world.mail.knobs.refuse_all = None;
    });
    retry(&stage).await;
    assert!(!is_active(&stage, &key));
    assert!(only_refusal(&stage).await.contains("after the request to restore it was made"));
}

#[tokio::test]
async fn of_two_reports_of_a_leak_the_later_counts_whichever_comes_first() {
    for in_order in [true, false] {
        let (stage, key) = with_a_disabled_key().await;
        let ask = |what: &dyn Fn() -> rotation::Job| {
            stage.pass(SignedDuration::from_hours(1));
            what()
        };
        let report = || leak(&stage, Whom::Key(key_id(&key)));
        let (first, restore, second) = (ask(&report), ask(&|| restore(&stage)), ask(&report));
        let order = if in_order { [first, second] } else { [second, first] };
        for job in &order {
            deliver(&stage, job).await;
        }
        deliver(&stage, &restore).await;
        assert!(!is_active(&stage, &key), "reported as leaked after its restore was asked for");
        let dead = stage.dead_letters().await;
        assert!(dead.iter().any(|(_, why, _)| why.contains("after the request to restore it was made")), "{dead:?}");
    }
}

#[tokio::test]
async fn a_leak_that_was_reported_before_a_restore_was_asked_for_deletes_nothing_while_the_restore_waits() {
    let stage = Stage::with(false).await;
    let keys = stage.user(&[used(112).inactive(), used(22)]);
    publish(&stage, &keys[1]);
    remember(&stage, &keys[0], "disabled", 11);
    let late = leak(&stage, Whom::Key(key_id(&keys[0])));
    stage.pass(SignedDuration::from_hours(1));
    deliver(&stage, &restore(&stage)).await;
    assert!(!is_active(&stage, &keys[0]), "it waits");
    deliver(&stage, &late).await;
    assert!(only_refusal(&stage).await.contains("after the request was made"));
    for _ in 0..3 {
        after_announcing(&stage).await;
    }
    stage.pass(SignedDuration::from_mins(21));
    stage.work().await;
    assert_eq!((is_active(&stage, &keys[0]), is_active(&stage, &keys[1]), stage.waiting()), (true, true, 0));
}

#[tokio::test]
async fn a_restore_whose_key_is_gone_by_the_time_that_it_may_go_on_takes_no_other() {
    let stage = Stage::with(false).await;
    let keys = stage.user(&[used(112).inactive(), used(22)]);
    remember(&stage, &keys[0], "disabled", 11);
    deliver(&stage, &restore(&stage)).await;
    stage.world(|world| {
        world.remove_key(ACCOUNT, USER, &keys[0]);
        world.set_key_status(ACCOUNT, USER, &keys[1], KeyStatus::Inactive);
    });
    stage.pass(SignedDuration::from_mins(21));
    stage.work().await;
    assert!(!is_active(&stage, &keys[1]), "a person has switched it off");
    assert!(only_refusal(&stage).await.contains(&keys[0]));
}

#[tokio::test]
async fn a_key_whose_own_record_cannot_be_read_is_not_restored() {
    let stage = Stage::with(false).await;
    let key = stage.user(&[used(101).inactive()]).remove(0);
    stage.world(|world| world.tag_user(ACCOUNT, USER, &format!("key-rotation:state:{key}"), "contained=2031-01-01"));
    deliver(&stage, &restore(&stage)).await;
    assert!(!is_active(&stage, &key));
    assert!(only_refusal(&stage).await.contains("nothing is changed"));
}

/// Two deliveries of one restore, the first of which stands still until the second one has told the owner.
#[tokio::test]
async fn a_restore_that_cannot_look_once_more_is_carried_out_by_its_next_delivery() {
    let (stage, key) = with_a_disabled_key().await;
    let held = stage.world(|world| {
        let calls = Calls::new("iam:UpdateAccessKey");
        world.faults.hold(HoldPlan { calls, at_call: 1, when: When::After })
    });
    stage.send(&restore(&stage)).await;
    let meanwhile = async {
        held.reached().await;
        let now = rotation::state::tag_time(stage.now());
        let begun = stage.state_of(&key).expect("the restore is on record");
        let request = begun.split("restoring=").nth(1).and_then(|rest| rest.split(' ').next()).expect("its request");
        let done = format!("restored={now} by={request} asked={now}");
        stage.world(|world| {
            world.tag_user(ACCOUNT, USER, &rotation::names::state_tag(&key_id(&key)), &done);
            let calls = Calls::new("iam:ListUserTags");
            world.faults.add(Rule { calls, fault: Fault::Throttle, rate: 1.0, times: Some(3) });
        });
        held.release();
    };
    tokio::join!(stage.work(), meanwhile);
    assert!(!is_active(&stage, &key), "unknown is not no");
    // It has to wait until nobody can be deleting the key.
    retry(&stage).await;
    retry(&stage).await;
    assert!(is_active(&stage, &key), "{:?}, {:?}", stage.state_of(&key), stage.dead_letters().await);
}
