//! What arrives in an owner's mailbox, and what follows when nothing arrives.

use end_to_end::{ACCOUNT, OWNER, Stage, USER};
use sandbox::KeySpec;
use sandbox::serve::{REGION, SENDER};
use sandbox::services::ses::{RefuseAs, Suppressed};
use sandbox::world::MANAGEMENT_ACCOUNT;

const LEADER: &str = "ada@example.org";

/// Recipients and subjects of the mails since the last look, subjects without the account.
fn new_mails(stage: &Stage) -> Vec<(String, String)> {
    stage.world(|world| {
        let mails = world.mail.outbox().iter();
        let seen = mails.map(|mail| (mail.to.join(","), mail.subject.replace(" - prod (111122223333)", ""))).collect();
        world.mail.clear_outbox();
        seen
    })
}

fn refuse(stage: &Stage, how: Option<RefuseAs>) {
    stage.world(|world| world.mail.knobs.refuse_all = how);
}

fn worker_with_owner_tag(stage: &Stage) -> worker::Settings {
    let mut settings = stage.settings();
    settings.owner_tag = Some("owner".to_owned());
    settings
}

/// Runs again until the message is done or a dead letter; the time its retries wait for passes.
async fn run_to_the_end(stage: &Stage) {
    stage.schedule().await;
    for _ in 0..10 {
        stage.work().await;
        if stage.waiting() == 0 {
            return;
        }
        stage.pass(jiff::SignedDuration::from_mins(15));
    }
    panic!("the message does not end");
}

#[tokio::test]
async fn in_120_days_an_owner_gets_these_mails_and_no_others() {
    let stage = Stage::new().await;
    stage.user(&[KeySpec::aged(0)]);
    let mut story = Vec::new();
    for day in 1..=120 {
        stage.pass_days(1);
        stage.run().await;
        story.extend(new_mails(&stage).into_iter().map(|(to, subject)| {
            assert_eq!(to, OWNER);
            format!("day {day}: {subject}")
        }));
    }
    // Day 0 is 2026-03-01. The successor's own life goes on: it is due on day 180.
    let expected = [
        format!("day 84: No action needed yet: access key of {USER} will be replaced on 2026-05-30"),
        format!("day 87: No action needed yet: access key of {USER} will be replaced on 2026-05-30"),
        format!("day 89: No action needed yet: access key of {USER} will be replaced on 2026-05-30"),
        format!("day 90: Action needed by 2026-06-09: access key of {USER} replaced"),
        format!("day 94: Action needed by 2026-06-09: access key of {USER} will be disabled"),
        format!("day 97: Action needed by 2026-06-09: access key of {USER} will be disabled"),
        format!("day 99: Action needed by 2026-06-09: access key of {USER} will be disabled"),
        format!("day 100: Please check by 2026-06-19: access key of {USER} disabled"),
        format!("day 104: Please check by 2026-06-19: access key of {USER} will be deleted"),
        format!("day 107: Please check by 2026-06-19: access key of {USER} will be deleted"),
        format!("day 109: Please check by 2026-06-19: access key of {USER} will be deleted"),
        format!("day 110: No action needed: access key of {USER} deleted"),
    ];
    assert_eq!(story, expected);
}

#[tokio::test]
async fn the_same_message_twice_within_the_fifo_window_is_one_mail() {
    let stage = Stage::new().await;
    stage.user(&[KeySpec::aged(95)]);
    let job = stage.job(rotation::Task::Account);
    stage.send(&job).await;
    stage.send(&job).await;
    stage.work().await;
    assert_eq!(new_mails(&stage).len(), 1);
    stage.send(&job).await;
    stage.work().await;
    assert_eq!(new_mails(&stage), []);
}

#[tokio::test]
async fn while_ses_refuses_everything_no_key_is_disabled_and_afterwards_the_grace_starts_with_the_notice() {
    for refusal in [RefuseAs::MessageRejected, RefuseAs::SendingPaused] {
        let stage = Stage::new().await;
        let old = stage.user(&[KeySpec::aged(89)]).remove(0);
        refuse(&stage, Some(refusal));
        for _ in 1..=15 {
            stage.pass_days(1);
            run_to_the_end(&stage).await;
            assert!(stage.keys().contains(&(old.clone(), true)), "{refusal:?}: nobody has been told");
            assert_eq!(stage.state_of(&old), None, "{refusal:?}: no clock has started");
        }
        assert_eq!(stage.keys().len(), 2, "{refusal:?}: the rotation itself has happened, once");

        refuse(&stage, None);
        stage.pass_days(1);
        run_to_the_end(&stage).await;
        let told: Vec<_> = new_mails(&stage);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].1.contains("will be disabled"), "{told:?}");
        for _ in 1..10 {
            stage.pass_days(1);
            run_to_the_end(&stage).await;
            assert!(stage.keys().contains(&(old.clone(), true)), "{refusal:?}: the owner still has time");
        }
        stage.pass(jiff::SignedDuration::from_hours(25));
        run_to_the_end(&stage).await;
        assert!(stage.keys().contains(&(old.clone(), false)), "{refusal:?}");
    }
}

#[tokio::test]
async fn a_mail_that_is_never_accepted_ends_as_a_dead_letter_that_names_who_and_why_and_no_address() {
    let stage = Stage::new().await;
    stage.user(&[KeySpec::aged(95)]);
    refuse(&stage, Some(RefuseAs::SendingPaused));
    run_to_the_end(&stage).await;
    let dead = stage.dead_letters().await;
    assert_eq!(dead.len(), 1, "{dead:?}");
    let (_, reason, _) = &dead[0];
    assert!(reason.contains("the mail to the account was not sent: SendingPausedException"), "{reason}");
    assert!(!reason.contains('@'), "{reason}");
}

#[tokio::test]
async fn an_owner_is_told_of_its_own_user_and_the_account_of_all() {
    let stage = Stage::new().await;
    stage.user(&[KeySpec::aged(95)]);
    stage.user_named("deploy", &[KeySpec::aged(95)]);
    stage.world(|world| world.tag_user(ACCOUNT, "deploy", "owner", &format!("{LEADER} Owner@Example.org")));
    stage.schedule().await;
    stage.work_with(&worker_with_owner_tag(&stage)).await;
    let mut told: Vec<(String, String)> = new_mails(&stage);
    told.sort();
    // The account's address once, though the tag names it too.
    assert_eq!(
        told,
        [
            (LEADER.to_owned(), "Action needed by 2026-03-11: access key of deploy replaced".to_owned()),
            (OWNER.to_owned(), "Action needed by 2026-03-11: 2 access keys replaced".to_owned()),
        ]
    );
}

#[tokio::test]
async fn an_owner_whose_address_ses_refuses_does_not_stop_the_clock_the_accounts_mail_started() {
    let stage = Stage::new().await;
    let old = stage.user(&[KeySpec::aged(95)]).remove(0);
    stage.world(|world| {
        let now = world.now();
        world.tag_user(ACCOUNT, USER, "owner", LEADER);
        world.mail.suppress(now, MANAGEMENT_ACCOUNT, REGION, LEADER);
        world.mail.knobs.suppressed = Suppressed::Refuse;
    });
    stage.schedule().await;
    stage.work_with(&worker_with_owner_tag(&stage)).await;
    let told: Vec<String> = new_mails(&stage).into_iter().map(|(to, _)| to).collect();
    assert_eq!(told, [OWNER]);
    assert!(stage.state_of(&old).is_some_and(|state| state.starts_with("notified=")));
    assert_eq!(stage.waiting(), 0);
}

#[tokio::test]
async fn an_unverified_sender_starts_no_clock_and_the_message_is_tried_again() {
    let stage = Stage::new().await;
    let old = stage.user(&[KeySpec::aged(95)]).remove(0);
    let mut settings = stage.settings();
    settings.mail.sender = Some("nobody@unverified.example.net".to_owned());
    stage.schedule().await;
    stage.work_with(&settings).await;
    assert_eq!(stage.state_of(&old), None);
    assert_eq!(stage.waiting(), 1, "it will be tried again");
    stage.pass_days(1);
    stage.work().await;
    assert!(stage.state_of(&old).is_some_and(|state| state.starts_with("notified=")));
}

#[tokio::test]
async fn an_owner_who_is_not_told_for_lack_of_sending_rate_holds_the_clock_until_all_have_been_told() {
    let stage = Stage::new().await;
    let old = stage.user(&[KeySpec::aged(95)]).remove(0);
    stage.world(|world| {
        world.tag_user(ACCOUNT, USER, "owner", &format!("{LEADER} bo@example.org"));
        // The clock stands still: one mail goes through, the others come too early however long they are held back.
        world.mail.knobs.max_send_rate = Some(1);
    });
    stage.schedule().await;
    stage.work_with(&worker_with_owner_tag(&stage)).await;
    assert_eq!(new_mails(&stage).len(), 1);
    assert_eq!(stage.state_of(&old), None, "not everybody has been told");
    assert_eq!(stage.waiting(), 1);

    stage.world(|world| world.mail.knobs.max_send_rate = Some(14));
    stage.pass(jiff::SignedDuration::from_mins(15));
    stage.work_with(&worker_with_owner_tag(&stage)).await;
    let told: Vec<String> = new_mails(&stage).into_iter().map(|(to, _)| to).collect();
    assert_eq!(told, [OWNER, LEADER, "bo@example.org"]);
    assert!(stage.state_of(&old).is_some_and(|state| state.starts_with("notified=")));
    assert_eq!(stage.waiting(), 0);
}

#[tokio::test]
async fn with_mail_switched_off_notices_go_to_the_log_and_count_as_given() {
    let stage = Stage::new().await;
    let old = stage.user(&[KeySpec::aged(95)]).remove(0);
    let mut settings = stage.settings();
    settings.mail.sender = None;
    stage.schedule().await;
    stage.work_with(&settings).await;
    assert_eq!(new_mails(&stage), []);
    assert!(stage.state_of(&old).is_some_and(|state| state.starts_with("notified=")));
    assert_eq!(stage.waiting(), 0);
}

#[tokio::test]
async fn mails_carry_what_operators_set_and_never_a_secret() {
    let stage = Stage::new().await;
    stage.user(&[KeySpec::aged(95)]);
    let mut settings = stage.settings();
    settings.mail.reply_to = vec!["help@example.org".to_owned()];
    settings.mail.configuration_set = Some("rotation".to_owned());
    stage.world(|world| world.mail.knobs.configuration_sets = vec!["rotation".to_owned()]);
    stage.schedule().await;
    stage.work_with(&settings).await;
    stage.world(|world| {
        let [mail] = world.mail.outbox() else { panic!("one mail") };
        assert_eq!((mail.from.as_str(), mail.reply_to.as_slice()), (SENDER, &["help@example.org".to_owned()][..]));
        assert_eq!(mail.configuration_set.as_deref(), Some("rotation"));
        let both = format!("{:?}{:?}", mail.html, mail.text);
        for key in &world.user(ACCOUNT, USER).holds.keys {
            assert!(both.contains(&key.id) && !both.contains(&key.secret_access_key), "the key ids and no secret");
        }
    });
}
