//! What has happened is told until the mail is accepted, what cannot be recorded is not told, and a date that was mailed is kept.

use end_to_end::scenario::{key_id, publish, remember};
use end_to_end::{ACCOUNT, OWNER, Stage, USER};
use jiff::SignedDuration;
use rotation::job::{ForceRotate, Whom};
use rotation::names::delete_tag;
use rotation::{Period, Policy, Task, UnusedKeys};
use sandbox::KeySpec;
use sandbox::faults::{Calls, Fault, HoldPlan, Rule, When};
use sandbox::generate::EXEMPTION_GROUP;
use sandbox::services::ses::RefuseAs;
use worker::Settings;

const ADMINISTRATOR: &str = "admin@example.org";

fn used(days: i64) -> KeySpec {
    KeySpec::aged(days).used_days_ago(1)
}

fn tag(stage: &Stage, key: &str) -> Option<String> {
    stage.world(|world| world.user(ACCOUNT, USER).holds.tags.get(key).cloned())
}

fn mail_fails(stage: &Stage, fails: bool) {
    stage.world(|world| world.mail.knobs.refuse_all = fails.then_some(RefuseAs::SendingPaused));
}

/// Subjects of the mails since the last look, with their recipients.
fn new_mails(stage: &Stage) -> Vec<(String, String)> {
    stage.world(|world| {
        let seen = world.mail.outbox().iter().map(|mail| (mail.to.join(","), mail.subject.clone())).collect();
        world.mail.clear_outbox();
        seen
    })
}

async fn run_with(stage: &Stage, settings: &Settings) {
    stage.schedule().await;
    stage.work_with(settings).await;
}

fn leak(stage: &Stage) -> rotation::Job {
    let whom = Whom::User(USER.parse().expect("a user name"));
    stage.job(Task::ForceRotate(ForceRotate { whom, disable_old_now: true, override_exemption: false }))
}

// ---- told until accepted ---------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_containment_and_its_successor_are_told_by_the_next_delivery_where_the_first_ones_mail_failed() {
    let stage = Stage::new().await;
    let leaked = stage.user(&[used(50)]).remove(0);
    mail_fails(&stage, true);
    stage.send(&leak(&stage)).await;
    stage.work().await;
    assert!(stage.state_of(&leaked).is_some_and(|state| state.ends_with("told=no")), "{:?}", stage.state_of(&leaked));

    mail_fails(&stage, false);
    stage.pass(SignedDuration::from_mins(16));
    stage.work().await;
    let mails = stage.mails();
    assert_eq!(mails.len(), 1, "{mails:?}");
    let successor = stage.published_key().expect("a successor");
    assert!(mails[0].1.contains(&leaked) && mails[0].1.contains(&successor), "{}", mails[0].1);
    let state = stage.state_of(&leaked).expect("on record");
    assert!(state.contains(&format!("successor={successor}")) && !state.contains("told=no"), "{state}");
    assert_eq!(stage.waiting(), 0);
}

#[tokio::test]
async fn a_containment_whose_request_has_ended_untold_is_told_by_the_next_scheduled_run() {
    let stage = Stage::new().await;
    let leaked = stage.user(&[used(50)]).remove(0);
    mail_fails(&stage, true);
    stage.send(&leak(&stage)).await;
    for _ in 0..8 {
        stage.work().await;
        stage.pass(SignedDuration::from_mins(16));
    }
    assert_eq!((stage.waiting(), stage.dead_letters().await.len()), (0, 1));

    mail_fails(&stage, false);
    stage.run().await;
    let mails = stage.mails();
    assert_eq!(mails.len(), 1, "{mails:?}");
    assert!(mails[0].1.contains(&leaked), "{}", mails[0].1);
    stage.run().await;
    assert_eq!(stage.mails().len(), 1, "told once");
}

#[tokio::test]
async fn a_disable_whose_mail_failed_is_told_as_such_and_the_recovery_grace_starts_with_the_mail() {
    let stage = Stage::new().await;
    let keys = stage.user(&[used(101), KeySpec::aged(11)]);
    publish(&stage, &keys[1]);
    remember(&stage, &keys[0], "notified", 11);
    mail_fails(&stage, true);
    stage.run().await;
    assert!(stage.keys().contains(&(keys[0].clone(), false)));

    mail_fails(&stage, false);
    stage.pass_days(3);
    new_mails(&stage);
    stage.work().await;
    stage.run().await;
    let told = new_mails(&stage);
    assert!(told.len() == 1 && told[0].1.contains("disabled"), "{told:?}");
    stage.pass_days(9);
    stage.run().await;
    assert_eq!(stage.keys().len(), 2, "ten days from the mail");
    stage.pass_days(1);
    stage.run().await;
    assert_eq!(stage.keys().len(), 1);
}

#[tokio::test]
async fn a_deletion_whose_mail_failed_is_told_by_the_next_run_and_no_more() {
    let stage = Stage::new().await;
    let keys = stage.user(&[KeySpec::aged(111).used_days_ago(20).inactive(), used(21)]);
    publish(&stage, &keys[1]);
    remember(&stage, &keys[0], "disabled", 11);
    mail_fails(&stage, true);
    stage.run().await;
    assert_eq!(stage.keys().len(), 1, "deleted");
    assert!(tag(&stage, &delete_tag(&key_id(&keys[0]))).is_some(), "not told");

    mail_fails(&stage, false);
    stage.pass_days(1);
    stage.work().await;
    let told = stage.mails();
    assert!(told.len() == 1 && told[0].0.contains("deleted") && told[0].1.contains(&keys[0]), "{told:?}");
    assert_eq!((stage.state_of(&keys[0]), tag(&stage, &delete_tag(&key_id(&keys[0])))), (None, None));
    stage.pass_days(1);
    stage.run().await;
    assert_eq!(stage.mails().len(), 1, "told once");
}

#[tokio::test]
async fn a_deletion_that_made_room_for_a_forced_rotation_is_told_by_the_next_delivery_where_the_first_ones_mail_failed()
{
    let stage = Stage::new().await;
    let keys = stage.user(&[used(30).inactive(), used(5)]);
    let whom = Whom::User(USER.parse().expect("a user name"));
    mail_fails(&stage, true);
    let force = ForceRotate { whom, disable_old_now: false, override_exemption: false };
    stage.send(&stage.job(Task::ForceRotate(force))).await;
    stage.work().await;
    assert_eq!(stage.keys().len(), 2, "announced");
    stage.pass(SignedDuration::from_mins(2));
    stage.work().await;
    assert!(!stage.keys().iter().any(|(key, _)| *key == keys[0]), "it had to make room");

    mail_fails(&stage, false);
    stage.pass(SignedDuration::from_mins(16));
    stage.work().await;
    let mails = stage.mails();
    assert!(mails.len() == 1 && mails[0].1.contains(&format!("{} deleted", keys[0])), "{mails:?}");
    assert_eq!((stage.state_of(&keys[0]), stage.waiting()), (None, 0));
}

// ---- not told what cannot be recorded ----------------------------------------------------------------------------------

#[tokio::test]
async fn where_tags_cannot_be_written_no_owner_is_told_and_the_administrator_of_every_such_user() {
    let stage = Stage::new().await;
    for user in [USER, "deploy", "ci"] {
        stage.user_named(user, &[used(95), used(5)]);
    }
    stage.world(|world| world.faults.deny(ACCOUNT, "iam:TagUser", None));
    let mut settings = stage.settings();
    settings.mail.admin = Some(ADMINISTRATOR.to_owned());
    stage.schedule().await;
    for _ in 0..8 {
        stage.work_with(&settings).await;
        stage.pass(SignedDuration::from_mins(16));
    }
    assert_eq!((stage.waiting(), stage.dead_letters().await.len()), (0, 1));
    stage.world(|world| {
        let mails = world.mail.outbox();
        let to_owner = mails.iter().filter(|mail| mail.to.iter().any(|to| to == OWNER)).count();
        assert_eq!(to_owner, 0, "no date is told that is not on record");
        let text = |mail: &sandbox::services::ses::Mail| mail.text.clone().unwrap_or_default();
        let to_admin: Vec<String> = mails.iter().filter(|mail| mail.to == [ADMINISTRATOR]).map(text).collect();
        let [summary] = &to_admin[..] else { panic!("one summary, not {}", to_admin.len()) };
        assert!([USER, "deploy", "ci"].iter().all(|user| summary.contains(user)), "{summary}");
        assert!(summary.contains("iam:TagUser"), "{summary}");
    });

    stage.world(|world| world.faults.allow_all(ACCOUNT));
    run_with(&stage, &settings).await;
    assert_eq!(new_mails(&stage).iter().filter(|(to, _)| to == OWNER).count(), 1);
}

// ---- a date that was mailed is kept --------------------------------------------------------------------------------------

fn with(stage: &Stage, period: Period) -> Settings {
    let policy = Policy::new(period, UnusedKeys::Rotate).expect("a valid policy");
    Settings { policy, ..stage.settings() }
}

#[tokio::test]
async fn a_key_is_not_disabled_before_the_date_that_was_mailed_though_the_inactive_period_is_shortened() {
    let stage = Stage::new().await;
    let old = stage.user(&[used(90)]).remove(0);
    stage.run().await;
    let shorter = with(&stage, Period { inactive: 91, ..Period::default() });
    for day in 1..=9 {
        stage.pass_days(1);
        run_with(&stage, &shorter).await;
        assert!(stage.keys().contains(&(old.clone(), true)), "day {day}: the mail said ten days");
    }
    // However long the first run took.
    stage.pass(SignedDuration::from_hours(25));
    run_with(&stage, &shorter).await;
    assert!(stage.keys().contains(&(old, false)));
}

#[tokio::test]
async fn a_key_is_not_deleted_before_the_date_that_was_mailed_though_the_recovery_grace_is_shortened() {
    let stage = Stage::new().await;
    stage.user(&[used(300).inactive()]);
    stage.run().await;
    let shorter = with(&stage, Period { recovery_grace: 1, ..Period::default() });
    for day in 1..=9 {
        stage.pass_days(1);
        run_with(&stage, &shorter).await;
        assert_eq!(stage.keys().len(), 1, "day {day}: the mail said ten days");
    }
    stage.pass_days(1);
    run_with(&stage, &shorter).await;
    assert_eq!(stage.keys(), []);
}

#[tokio::test]
async fn after_an_exemption_an_owner_is_told_anew_before_a_key_is_disabled() {
    let stage = Stage::new().await;
    let old = stage.user(&[used(90)]).remove(0);
    stage.run().await;
    stage.world(|world| world.add_group_member(ACCOUNT, EXEMPTION_GROUP, USER));
    for _ in 0..92 {
        stage.pass_days(1);
        stage.run().await;
    }
    stage.world(|world| world.remove_group_member(ACCOUNT, EXEMPTION_GROUP, USER));
    new_mails(&stage);
    stage.pass_days(1);
    stage.run().await;
    assert!(stage.keys().contains(&(old.clone(), true)), "not without a word");
    assert_eq!(new_mails(&stage).len(), 1, "its owner is told anew");
    for _ in 1..10 {
        stage.pass_days(1);
        stage.run().await;
        assert!(stage.keys().iter().all(|(_, active)| *active));
    }
    stage.pass_days(1);
    stage.run().await;
    assert!(!stage.keys().iter().all(|(_, active)| *active), "after the install grace");
}

#[tokio::test]
async fn a_forced_rotation_that_was_told_before_an_exemption_is_told_anew_after_it() {
    for disable_old_now in [false, true] {
        let stage = Stage::new().await;
        let old = stage.user(&[used(50)]).remove(0);
        let whom = Whom::User(USER.parse().expect("a user name"));
        let force = ForceRotate { whom, disable_old_now, override_exemption: false };
        stage.send(&stage.job(Task::ForceRotate(force))).await;
        stage.work().await;
        assert_eq!((stage.keys().len(), new_mails(&stage).len()), (2, 1));
        stage.pass_days(1);
        stage.world(|world| world.add_group_member(ACCOUNT, EXEMPTION_GROUP, USER));
        for _ in 1..12 {
            stage.run().await;
            stage.pass_days(1);
        }
        assert_eq!(new_mails(&stage), [], "nothing while it is exempt");
        stage.world(|world| world.remove_group_member(ACCOUNT, EXEMPTION_GROUP, USER));
        stage.run().await;
        assert_eq!(new_mails(&stage).len(), 1, "its owner is told anew");
        let is_as_it_was = || stage.keys().contains(&(old.clone(), !disable_old_now));
        for _ in 0..9 {
            assert!(is_as_it_was(), "and has the days that were told");
            stage.pass_days(1);
            stage.run().await;
        }
        stage.pass_days(1);
        stage.run().await;
        assert!(!is_as_it_was(), "disabled, or deleted, on the day");
    }
}

#[tokio::test]
async fn what_was_told_of_two_keys_of_one_user_is_recorded_one_after_the_other_and_tried_again_where_iam_refuses() {
    let stage = Stage::new().await;
    let old = |days| KeySpec::aged(days).inactive().used_days_ago(60);
    let keys = stage.user(&[old(400), old(300)]);
    let calls = || Calls { account: Some(ACCOUNT.to_owned()), ..Calls::new("iam:TagUser") };
    // Two records that the keys are looked after, then the mail, then two that it was accepted.
    let third = HoldPlan { calls: calls(), at_call: 3, when: When::Before };
    let held = stage.world(|world| world.faults.hold(third));
    let tags = || stage.world(|world| world.journal.count(sandbox::call::Service::Iam, "TagUser"));
    let story = async {
        held.reached().await;
        let so_far = tags();
        // Only time can show that no call comes. On a slow machine this sees less, and fails no more often.
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        assert_eq!(tags(), so_far, "the second waits for the first");
        stage.world(|world| {
            world.faults.add(Rule { calls: calls(), fault: Fault::Concurrent, rate: 1.0, times: Some(2) });
        });
        held.release();
    };
    stage.schedule().await;
    let (report, ()) = tokio::join!(stage.work(), story);
    assert_eq!((report.left, new_mails(&stage).len()), (0, 1));
    for key in keys {
        let state = stage.state_of(&key).expect("it is on record");
        assert!(state.starts_with("disabled=") && !state.contains("told=no"), "{state}");
    }
}
