//! Leak responses: containment waits for nothing, and what was asked for is done or truly refused.

use std::time::Duration;

use end_to_end::scenario::{leave_intent, publish, remember};
use end_to_end::{ACCOUNT, OWNER, Stage, USER};
use jiff::SignedDuration;
use rotation::job::{ForceRotate, Whom};
use rotation::{Job, Task};
use sandbox::KeySpec;
use sandbox::faults::{Calls, HoldPlan, StaleReads, When};
use sandbox::serve::REGION;
use sandbox::services::ses::RefuseAs;
use sandbox::world::MANAGEMENT_ACCOUNT;

use crate::{
    after_announcing, deliver, is_active, key_id, leak, only_refusal, overriding, restore_of, retry, used, whom,
};

#[tokio::test]
async fn a_leaked_key_is_made_inactive_while_what_else_is_asked_about_it_is_not_answered() {
    for action in ["secretsmanager:DescribeSecret", "iam:GetAccessKeyLastUsed"] {
        let stage = Stage::new().await;
        let key = stage.user(&[used(20)]).remove(0);
        stage.send(&leak(&stage, whom())).await;
        let calls = Calls { app: Some("worker".to_owned()), ..Calls::new(action) };
        let hold = stage.world(|world| world.faults.hold(HoldPlan { calls, at_call: 1, when: When::Before }));
        let meanwhile = async {
            tokio::time::timeout(Duration::from_secs(60), hold.reached()).await.expect("the call is made");
            assert!(!is_active(&stage, &key), "contained before {action} is answered");
            hold.release();
        };
        tokio::join!(stage.work(), meanwhile);
        assert_eq!(stage.keys().len(), 2, "its successor is made");
        let mails = stage.mails();
        let [(_, text)] = mails.as_slice() else { panic!("one mail, not {mails:?}") };
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words.matches("The key was disabled at once").count(), 1, "told once: {text}");
    }
}

#[tokio::test]
async fn a_leak_response_that_does_not_see_its_own_record_yet_makes_the_successor_all_the_same() {
    for by_key in [false, true] {
        let stage = Stage::with(false).await;
        let leaked = stage.user(&[used(50)]).remove(0);
        let stale = StaleReads { seconds: 10, reads: None, rate: 1.0, operation: Some("ListUserTags".to_owned()) };
        stage.world(|world| world.faults.stale_reads = Some(stale));
        let whom = if by_key { Whom::Key(key_id(&leaked)) } else { whom() };
        deliver(&stage, &leak(&stage, whom)).await;
        // By this delivery: the next one would see the record.
        assert!(stage.published_key().is_some_and(|key| is_active(&stage, &key)), "{:?}", stage.state_of(&leaked));
        for _ in 0..2 {
            retry(&stage).await;
        }
        assert!(!is_active(&stage, &leaked));
        assert_eq!((stage.waiting(), stage.dead_letters().await.len()), (0, 0));
    }
}

#[tokio::test]
async fn a_leak_response_whose_record_a_scheduled_run_has_written_over_goes_on_all_the_same() {
    for by_key in [false, true] {
        let stage = Stage::with(false).await;
        let leaked = stage.user(&[used(50)]).remove(0);
        stage.world(|world| world.faults.deny(ACCOUNT, "secretsmanager:DescribeSecret", None));
        let whom = if by_key { Whom::Key(key_id(&leaked)) } else { whom() };
        deliver(&stage, &leak(&stage, whom)).await;
        assert!(!is_active(&stage, &leaked));
        // As of a run that found the key inactive, and did not see by whom.
        remember(&stage, &leaked, "disabled", 0);
        stage.world(|world| world.faults.allow_all(ACCOUNT));
        retry(&stage).await;
        assert!(stage.published_key().is_some_and(|key| is_active(&stage, &key)), "{:?}", stage.dead_letters().await);
        assert_eq!((stage.waiting(), stage.dead_letters().await.len()), (0, 0));
    }
}

#[tokio::test]
async fn an_audit_of_a_request_tells_all_that_it_would_do_whatever_that_would_have_to_wait_for() {
    let stage = Stage::with(false).await;
    let keys = stage.user(&[used(30).inactive(), used(5)]);
    remember(&stage, &keys[0], "disabled", 2);
    let force = ForceRotate { whom: whom(), disable_old_now: false, override_exemption: false };
    let force = Job { dry_run: true, ..stage.job(Task::ForceRotate(force)) };
    let leak = Job { dry_run: true, ..leak(&stage, whom()) };
    for (job, says) in [
        (force, vec!["would be deleted", "would be replaced"]),
        (leak, vec!["would be disabled at once", "would be deleted"]),
    ] {
        deliver(&stage, &job).await;
        let (_, text) = stage.mails().pop().expect("a mail");
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(says.iter().all(|says| words.contains(says)), "{says:?}: {words}");
        assert_eq!((stage.waiting(), stage.keys().len()), (0, 2));
    }
}

#[tokio::test]
async fn a_leak_response_that_was_held_up_never_takes_the_key_a_person_made_meanwhile() {
    let stage = Stage::new().await;
    let leaked = stage.user(&[used(50)]).remove(0);
    stage.world(|world| world.faults.deny(ACCOUNT, "secretsmanager:DescribeSecret", None));
    deliver(&stage, &leak(&stage, whom())).await;
    assert!(!is_active(&stage, &leaked), "contained at once");
    stage.pass(SignedDuration::from_mins(5));
    let by_hand = stage.world(|world| {
        world.remove_key(ACCOUNT, USER, &leaked);
        world.add_key(ACCOUNT, USER, &KeySpec::aged(0).used_days_ago(0))
    });
    stage.world(|world| world.faults.allow_all(ACCOUNT));
    retry(&stage).await;

    assert!(is_active(&stage, &by_hand), "the key that a person made and installed");
    let successor = stage.published_key().expect("a published key");
    assert!(is_active(&stage, &successor) && successor != by_hand);
    assert_eq!((stage.waiting(), stage.dead_letters().await.len()), (0, 0));
}

#[tokio::test]
async fn a_request_by_user_whose_only_key_is_newer_is_refused() {
    let stage = Stage::new().await;
    stage.world(|world| {
        world.add_user(ACCOUNT, USER);
    });
    let request = leak(&stage, whom());
    stage.pass(SignedDuration::from_mins(5));
    let by_hand = stage.world(|world| world.add_key(ACCOUNT, USER, &KeySpec::aged(0)));
    deliver(&stage, &request).await;
    assert!(is_active(&stage, &by_hand));
    assert!(only_refusal(&stage).await.contains("created after the request was made"));
}

#[tokio::test]
async fn a_request_whose_clock_is_ahead_and_that_comes_twice_does_not_contain_its_own_successor() {
    let stage = Stage::with(false).await;
    let leaked = stage.user(&[used(50)]).remove(0);
    let request = leak(&stage, whom());
    let ahead = Job { requested_at: Some(stage.now() + SignedDuration::from_mins(4)), ..request };
    deliver(&stage, &ahead).await;
    let after_one = stage.keys();
    assert_eq!((after_one.len(), is_active(&stage, &leaked)), (2, false));
    stage.pass(SignedDuration::from_mins(1));
    deliver(&stage, &ahead).await;
    assert_eq!(stage.keys(), after_one, "nothing more is made, and nothing harmed");
    assert_eq!((stage.waiting(), stage.dead_letters().await.len(), stage.mails().len()), (0, 0, 1));
}

#[tokio::test]
async fn a_body_copied_under_no_id_of_its_own_is_refused_and_not_taken_for_what_was_done_before() {
    let stage = Stage::with(false).await;
    stage.user(&[used(50)]);
    let request = leak(&stage, whom());
    stage.pass(SignedDuration::from_secs(1));
    deliver(&stage, &request).await;
    let after_one = stage.keys();
    stage.pass(SignedDuration::from_hours(24));
    deliver(&stage, &Job { run_id: None, ..request }).await;
    assert_eq!(stage.keys(), after_one);
    assert!(only_refusal(&stage).await.contains("created after the request was made"));
}

#[tokio::test]
async fn a_request_from_the_future_or_of_more_than_two_weeks_ago_is_refused() {
    let stage = Stage::with(false).await;
    let key = stage.user(&[used(50)]).remove(0);
    let request = leak(&stage, whom());
    let future = Job { requested_at: Some(stage.now() + SignedDuration::from_mins(6)), ..request.clone() };
    deliver(&stage, &future).await;
    assert!(only_refusal(&stage).await.contains("correct the clock"));
    stage.pass_days(15);
    deliver(&stage, &request).await;
    assert!(is_active(&stage, &key));
    let dead = stage.dead_letters().await;
    assert!(dead.iter().any(|(_, message, _)| message.contains("more than 14 days ago")), "{dead:?}");
}

#[tokio::test]
async fn with_secrets_manager_failing_or_a_last_use_unknown_a_leaked_key_is_inactive_after_the_first_delivery() {
    for denied in ["secretsmanager:DescribeSecret", "iam:GetAccessKeyLastUsed"] {
        for by_key in [false, true] {
            let stage = Stage::new().await;
            let leaked = stage.user(&[used(50)]).remove(0);
            stage.world(|world| world.faults.deny(ACCOUNT, denied, None));
            let whom = if by_key { Whom::Key(key_id(&leaked)) } else { whom() };
            deliver(&stage, &leak(&stage, whom)).await;
            assert!(!is_active(&stage, &leaked), "{denied}");
            assert_eq!(stage.waiting(), 1, "{denied}: the rest is tried again");

            stage.world(|world| world.faults.allow_all(ACCOUNT));
            retry(&stage).await;
            assert_eq!((stage.waiting(), stage.dead_letters().await.len()), (0, 0), "{denied}");
            assert!(stage.published_key().is_some_and(|key| is_active(&stage, &key)), "{denied}");
        }
    }
}

#[tokio::test]
async fn that_a_key_was_disabled_is_told_before_the_request_ends_as_a_dead_letter() {
    let stage = Stage::with(false).await;
    let leaked = stage.user(&[used(50)]).remove(0);
    stage.world(|world| {
        world.faults.deny(ACCOUNT, "secretsmanager:CreateSecret", None);
        world.mail.knobs.refuse_all = Some(RefuseAs::SendingPaused);
    });
    deliver(&stage, &leak(&stage, whom())).await;
    assert!(!is_active(&stage, &leaked));
    assert_eq!((stage.waiting(), stage.dead_letters().await.len()), (1, 0), "its owner has still to be told");

    stage.world(|world| world.mail.knobs.refuse_all = None);
    retry(&stage).await;
    assert!(stage.mails().iter().any(|(_, text)| text.contains("disabled at once")), "{:?}", stage.mails());
    assert_eq!((stage.waiting(), stage.dead_letters().await.len()), (0, 1), "and now a person has to look");
}

#[tokio::test]
async fn nothing_but_the_protected_tag_shields_a_leaked_key_from_a_request_that_overrides_the_exemption() {
    let state = |key: &str| format!("key-rotation:state:{key}");
    for shield in ["state", "exempt-until", "group"] {
        let stage = Stage::new().await;
        let leaked = stage.user(&[used(50)]).remove(0);
        stage.world(|world| match shield {
            "state" => world.tag_user(ACCOUNT, USER, &state(&leaked), "yesterday"),
            "exempt-until" => world.tag_user(ACCOUNT, USER, "key-rotation:exempt-until", "some day"),
            _ => world.faults.deny(ACCOUNT, "iam:GetGroup", None),
        });
        deliver(&stage, &overriding(&stage)).await;
        assert!(!is_active(&stage, &leaked), "{shield}");
    }
    let stage = Stage::new().await;
    let protected = stage.user(&[used(50)]).remove(0);
    stage.world(|world| world.tag_user(ACCOUNT, USER, "key-rotation:protected", "true"));
    deliver(&stage, &overriding(&stage)).await;
    assert!(is_active(&stage, &protected));
    assert!(only_refusal(&stage).await.contains("key-rotation:protected"));
}

#[tokio::test]
async fn what_a_leak_response_has_recorded_is_not_written_over_by_a_notice_whose_mail_was_under_way() {
    let stage = Stage::with(false).await;
    let keys = stage.user(&[used(95), used(5)]);
    publish(&stage, &keys[1]);
    let mail = HoldPlan { calls: Calls::new("ses:SendEmail"), at_call: 1, when: When::Before };
    let held = stage.world(|world| world.faults.hold(mail));
    stage.schedule().await;
    let meanwhile = async {
        held.reached().await;
        stage.pass(SignedDuration::from_secs(30));
        deliver(&stage, &leak(&stage, Whom::UserAndKey(USER.parse().expect("a user name"), key_id(&keys[0])))).await;
        held.release();
    };
    tokio::join!(stage.work(), meanwhile);
    let state = stage.state_of(&keys[0]).expect("it is on record");
    assert!(state.starts_with("disabled=") && state.contains(" by="), "{state}");
    after_announcing(&stage).await;
    assert_eq!((stage.waiting(), stage.dead_letters().await.len()), (0, 0));
    assert!(stage.published_key().is_some_and(|key| key != keys[1] && is_active(&stage, &key)), "its successor");
}

#[tokio::test]
async fn a_leak_response_beside_what_an_interrupted_rotation_and_a_person_left_ends_with_a_successor() {
    // Also where nobody can be told of the person's key, which is found only once.
    for letters in [0, 1] {
        let stage = Stage::new().await;
        let leaked = stage.user(&[used(50)]).remove(0);
        leave_intent(&stage, &leaked, 30);
        // Made within the interrupted attempt's time, and used: a person's.
        let by_hand = KeySpec { age: SignedDuration::from_mins(29), ..KeySpec::aged(0).used_days_ago(0) };
        let by_hand = stage.world(|world| world.add_key(ACCOUNT, USER, &by_hand));
        if letters > 0 {
            stage.world(|world| world.mail.suppress(world.now(), MANAGEMENT_ACCOUNT, REGION, OWNER));
        }
        deliver(&stage, &leak(&stage, Whom::UserAndKey(USER.parse().expect("a user name"), key_id(&leaked)))).await;
        assert!(!is_active(&stage, &leaked), "at once");
        after_announcing(&stage).await;
        for _ in 0..8 * letters {
            retry(&stage).await;
        }

        assert!(stage.keys().iter().all(|(key, active)| *key != leaked || !active), "contained");
        assert!(is_active(&stage, &by_hand));
        let successor = stage.published_key().expect("a successor is stored and published");
        assert!(is_active(&stage, &successor));
        assert_eq!((stage.waiting(), stage.dead_letters().await.len()), (0, letters));
    }
}

#[tokio::test]
async fn a_restore_that_could_not_be_told_is_told_before_a_forced_rotation_writes_over_its_record() {
    let stage = Stage::with(false).await;
    let key = stage.user(&[used(50).inactive()]).remove(0);
    remember(&stage, &key, "disabled", 1);
    stage.world(|world| world.mail.knobs.refuse_all = Some(RefuseAs::SendingPaused));
    deliver(&stage, &restore_of(&stage, &key)).await;
    assert!(is_active(&stage, &key));
    stage.world(|world| world.mail.knobs.refuse_all = None);
    let force = ForceRotate { whom: whom(), disable_old_now: false, override_exemption: false };
    stage.pass(SignedDuration::from_secs(1));
    deliver(&stage, &stage.job(Task::ForceRotate(force))).await;
    retry(&stage).await;
    let told: String = stage.mails().into_iter().map(|(_, text)| text).collect();
    assert!(told.contains("active again") && told.contains("replaced"), "{told}");
    assert_eq!((stage.waiting(), stage.dead_letters().await.len()), (0, 0));
}

#[tokio::test]
async fn a_request_without_an_id_of_its_own_is_the_same_request_after_it_was_a_dead_letter() {
    let stage = Stage::with(false).await;
    let leaked = stage.user(&[used(50)]).remove(0);
    stage.world(|world| world.faults.deny(ACCOUNT, "secretsmanager:DescribeSecret", None));
    let body = format!(
        r#"{{"account":"{ACCOUNT}","email":"owner@example.org","ForceRotate":"{USER}","disable_old_now":true}}"#
    );
    stage.send_body(&body, None, None).await;
    for _ in 0..8 {
        stage.work().await;
        stage.pass(SignedDuration::from_mins(16));
    }
    assert_eq!((stage.waiting(), stage.dead_letters().await.len()), (0, 1));
    assert!(!is_active(&stage, &leaked));

    stage.world(|world| world.faults.allow_all(ACCOUNT));
    stage.pass_days(1);
    let arn = |queue: &str| format!("arn:aws:sqs:{REGION}:{MANAGEMENT_ACCOUNT}:{queue}");
    let (from, to) = (arn(stage.dead_letters.name()), arn(stage.queue.name()));
    let back = stage.connection("test").sqs().start_message_move_task().source_arn(from).destination_arn(to);
    back.send().await.expect("the letter is moved back");
    stage.work().await;

    assert_eq!((stage.waiting(), stage.dead_letters().await.len()), (0, 0), "known by what it has done before");
    assert!(stage.published_key().is_some_and(|key| is_active(&stage, &key)));
}

#[tokio::test]
async fn a_report_of_a_leak_that_comes_while_the_mail_about_an_earlier_one_is_under_way_stays_on_record() {
    let stage = Stage::with(false).await;
    let key = stage.user(&[used(95)]).remove(0);
    let mail = HoldPlan { calls: Calls::new("ses:SendEmail"), at_call: 1, when: When::Before };
    let held = stage.world(|world| world.faults.hold(mail));
    let report = || leak(&stage, Whom::UserAndKey(USER.parse().expect("a user name"), key_id(&key)));
    stage.send(&report()).await;
    let meanwhile = async {
        held.reached().await;
        stage.pass(SignedDuration::from_secs(5));
        let between = restore_of(&stage, &key);
        stage.pass(SignedDuration::from_secs(5));
        deliver(&stage, &report()).await;
        held.release();
        between
    };
    let (_, between) = tokio::join!(stage.work(), meanwhile);
    let state = stage.state_of(&key).expect("it is on record");
    assert!(state.contains(" asked="), "{state}");
    deliver(&stage, &between).await;
    assert!(!is_active(&stage, &key), "{:?}", stage.state_of(&key));
}

#[tokio::test]
async fn a_key_that_was_restored_while_the_look_before_its_disable_was_under_way_stays_active() {
    let stage = Stage::with(false).await;
    let keys = stage.user(&[used(101), used(11)]);
    publish(&stage, &keys[1]);
    remember(&stage, &keys[0], "notified", 11);
    let look = HoldPlan { calls: Calls::new("iam:ListAccessKeys"), at_call: 2, when: When::Before };
    let held = stage.world(|world| world.faults.hold(look));
    stage.schedule().await;
    let meanwhile = async {
        held.reached().await;
        let now = rotation::state::tag_time(stage.now());
        let restored = format!("restored={now} until={now} by={} asked={now}", uuid::Uuid::from_u128(7));
        stage.world(|world| world.tag_user(ACCOUNT, USER, &rotation::names::state_tag(&key_id(&keys[0])), &restored));
        stage.pass(SignedDuration::from_secs(30));
        held.release();
    };
    tokio::join!(stage.work(), meanwhile);
    assert!(is_active(&stage, &keys[0]), "{:?}", stage.state_of(&keys[0]));
}

#[tokio::test]
async fn a_worker_that_only_audits_refuses_what_cannot_wait_and_says_how_it_is_done_by_hand() {
    let stage = Stage::with(false).await;
    let keys = stage.user(&[used(50), used(20).inactive()]);
    let audit = worker::Settings { dry_run: true, ..stage.settings() };
    let leaked = Whom::UserAndKey(USER.parse().expect("a user name"), key_id(&keys[0]));
    for (job, key, status) in
        [(leak(&stage, leaked.clone()), &keys[0], "Inactive"), (restore_of(&stage, &keys[1]), &keys[1], "Active")]
    {
        stage.send(&job).await;
        stage.work_with(&audit).await;
        let command = format!("aws iam update-access-key --user-name {USER} --access-key-id {key} --status {status}");
        let dead = stage.dead_letters().await;
        assert!(dead.last().is_some_and(|(reason, why, _)| reason == "Refused" && why.ends_with(&command)), "{dead:?}");
    }
    assert_eq!((stage.dead_letters().await.len(), stage.mails().len()), (2, 0));
    // Who asks for no more than an audit is told what would be done.
    stage.send(&Job { dry_run: true, ..leak(&stage, leaked) }).await;
    stage.work_with(&audit).await;
    assert_eq!((stage.dead_letters().await.len(), stage.mails().len(), stage.waiting()), (2, 1, 0));
    assert_eq!(stage.keys(), [(keys[0].clone(), true), (keys[1].clone(), false)]);
}
