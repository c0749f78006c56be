//! What arrives in an owner's mailbox, and what follows when nothing arrives.

mod undeliverable;

use end_to_end::scenario::{publish, remember};
use end_to_end::{ACCOUNT, OWNER, Stage, USER};
use sandbox::call::Service;
use sandbox::faults::{Calls, Fault, HoldPlan, Rule, When};
use sandbox::serve::{REGION, SENDER};
use sandbox::services::ses::RefuseAs;
use sandbox::world::MANAGEMENT_ACCOUNT;
use sandbox::{Clock, KeySpec, World};
use worker::queue::Stop;

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

/// Runs again until the message is done or a dead letter; the time its retries wait for passes.
async fn run_to_the_end(stage: &Stage) {
    stage.schedule().await;
    run_to_the_end_with(stage, &stage.settings()).await;
}

async fn run_to_the_end_with(stage: &Stage, settings: &worker::Settings) {
    for _ in 0..10 {
        stage.work_with(settings).await;
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
        format!("day 83: No action needed yet: access key of {USER} will be replaced on 2026-05-30"),
        format!("day 87: No action needed yet: access key of {USER} will be replaced on 2026-05-30"),
        format!("day 89: No action needed yet: access key of {USER} will be replaced on 2026-05-30"),
        format!("day 90: Action needed by 2026-06-09: access key of {USER} replaced"),
        format!("day 93: Action needed by 2026-06-09: access key of {USER} will be disabled"),
        format!("day 97: Action needed by 2026-06-09: access key of {USER} will be disabled"),
        format!("day 99: Action needed by 2026-06-09: access key of {USER} will be disabled"),
        format!("day 100: Stopped working, check by 2026-06-19: access key of {USER} disabled"),
        format!("day 103: Please check by 2026-06-19: access key of {USER} will be deleted"),
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
            assert!(!stage.is_told(&old), "{refusal:?}: no clock has started");
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
    stage.work_with(&stage.settings_with_owner_tag()).await;
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
async fn an_owner_tag_is_found_in_any_spelling_of_upper_and_lower_case_as_iam_takes_them_for_one() {
    for (set, on_the_user) in [("Owner", "owner"), ("owner", "OWNER"), ("OWNER", "Owner")] {
        let stage = Stage::new().await;
        stage.user(&[KeySpec::aged(95)]);
        stage.world(|world| world.tag_user(ACCOUNT, USER, on_the_user, LEADER));
        let mut settings = stage.settings();
        settings.mail.owner_tag = Some(set.to_owned());
        stage.schedule().await;
        stage.work_with(&settings).await;
        let told: Vec<String> = new_mails(&stage).into_iter().map(|(to, _)| to).collect();
        assert_eq!(told, [OWNER, LEADER], "RESOURCE_OWNER_TAG={set}, the user's tag {on_the_user}");
    }
}

#[tokio::test]
async fn what_is_found_once_is_told_though_another_user_of_the_account_is_tried_again() {
    let stage = Stage::new().await;
    let keys = stage.user(&[KeySpec::aged(101).used_days_ago(1), KeySpec::aged(11)]);
    publish(&stage, &keys[1]);
    remember(&stage, &keys[0], "notified", 11);
    stage.user_named("deploy", &[KeySpec::aged(95)]);
    let reader = format!("arn:aws:iam::{ACCOUNT}:role/whom-nobody-allowed");
    stage.world(|world| {
        world.tag_user(ACCOUNT, "deploy", "key-rotation:readers", &reader);
        let calls = Calls::new("iam:UpdateAccessKey");
        world.faults.add(Rule { calls, fault: Fault::ServerError, rate: 1.0, times: None });
    });
    stage.run().await;
    assert_eq!(stage.waiting(), 1, "the key that is to be disabled is tried again");
    let tells = |stage: &Stage| stage.mails().iter().filter(|(_, text)| text.contains(&reader)).count();
    assert_eq!(tells(&stage), 1, "{:?}", stage.mails());

    stage.world(|world| world.faults.rules.clear());
    stage.pass(jiff::SignedDuration::from_mins(16));
    stage.work().await;
    assert_eq!((stage.waiting(), stage.keys()[0].1), (0, false));
    assert_eq!(tells(&stage), 1, "and once: {:?}", stage.mails());
}

#[tokio::test]
async fn an_owner_who_cannot_be_told_repeats_no_mail_to_the_account_while_the_message_is_tried_again() {
    let stage = Stage::new().await;
    stage.user(&[KeySpec::aged(95)]);
    let other = stage.user_named("deploy", &[KeySpec::aged(95)]).remove(0);
    stage.world(|world| {
        world.tag_user(ACCOUNT, USER, "owner", LEADER);
        world.mail.knobs.production_access = false;
        world.mail.verify(MANAGEMENT_ACCOUNT, REGION, OWNER);
    });
    stage.schedule().await;
    run_to_the_end_with(&stage, &stage.settings_with_owner_tag()).await;
    assert_eq!(stage.dead_letters().await.len(), 1);
    let deliveries = stage.world(|world| world.journal.count(Service::Sts, "AssumeRole"));
    assert!(deliveries >= 5, "{deliveries}");
    let told = new_mails(&stage);
    let expected = [(OWNER.to_owned(), "Action needed by 2026-03-11: 2 access keys replaced".to_owned())];
    assert_eq!(told, expected, "the account, once");
    assert!(stage.world(|world| {
        let tags = &world.user(ACCOUNT, "deploy").holds.tags;
        tags[&format!("key-rotation:state:{other}")].starts_with("notified=")
    }));
}

/// The users that a notice is on record for.
fn recorded(stage: &Stage) -> Vec<String> {
    let is_recorded =
        |(key, value): (&String, &String)| key.starts_with("key-rotation:state:") && value.starts_with("notified=");
    stage.world(|world| {
        let users = (1..=OWNERS).map(|n| format!("user-{n}"));
        users.filter(|name| world.user(ACCOUNT, name).holds.tags.iter().any(is_recorded)).collect()
    })
}

const OWNERS: usize = 30;

/// Users with a key that is due, each with an owner of its own.
fn many_owners(stage: &Stage, owners: usize) {
    for n in 1..=owners {
        let user = format!("user-{n}");
        stage.user_named(&user, &[KeySpec::aged(95)]);
        stage.world(|world| world.tag_user(ACCOUNT, &user, "owner", &format!("owner-{n}@example.org")));
    }
}

#[tokio::test]
async fn a_delivery_that_is_cut_short_goes_on_with_the_owners_it_has_not_told() {
    let stage = Stage::new().await;
    many_owners(&stage, OWNERS);
    let mut settings = stage.settings_with_owner_tag();
    settings.limits.stop_grace = std::time::Duration::ZERO;
    let calls = Calls { action: Some("ses:SendEmail".to_owned()), ..Calls::default() };
    // The account's mail and those of nine owners are accepted; the next comes to nothing.
    let hold = stage.world(|world| world.faults.hold(HoldPlan { calls, at_call: 11, when: When::Before }));
    stage.schedule().await;
    let stop = Stop::default();
    let connection = stage.connection("worker");
    let cut = async {
        hold.reached().await;
        stop.ask();
    };
    let run = worker::run(&settings, &connection, stop.clone());
    let (report, ()) = tokio::join!(run, cut);
    report.expect("it starts");
    drop(hold);
    let first: Vec<String> = new_mails(&stage).into_iter().map(|(to, _)| to).collect();
    assert_eq!((first.len(), recorded(&stage).len()), (10, 9), "what was accepted is on record");

    run_to_the_end_with(&stage, &stage.settings_with_owner_tag()).await;
    let second: Vec<String> = new_mails(&stage).into_iter().map(|(to, _)| to).collect();
    assert_eq!(second.len(), 1 + OWNERS - 9);
    assert!(!second.iter().any(|to| first.contains(to) && to != OWNER), "no owner is mailed twice: {second:?}");
    assert_eq!(recorded(&stage).len(), OWNERS);
}

#[tokio::test]
async fn mails_are_sent_below_the_rate_that_ses_allows_and_none_comes_too_early() {
    let mut world = World::new(1, Clock::real());
    world.add_account(ACCOUNT, "prod", OWNER);
    let stage = Stage::with_world(world, true).await;
    many_owners(&stage, 5);
    stage.world(|world| world.mail.knobs.max_send_rate = Some(4));
    stage.schedule().await;
    stage.work_with(&stage.settings_with_owner_tag()).await;
    assert_eq!(new_mails(&stage).len(), 6);
    let sent = stage.world(|world| world.journal.count(Service::Ses, "SendEmail"));
    assert_eq!(sent, 6, "none was refused and tried again");
}

#[tokio::test]
async fn without_the_right_to_ask_for_the_rate_mails_are_sent_all_the_same() {
    let stage = Stage::new().await;
    let old = stage.user(&[KeySpec::aged(95)]).remove(0);
    stage.world(|world| world.faults.deny(MANAGEMENT_ACCOUNT, "ses:GetAccount", None));
    stage.run().await;
    assert_eq!(new_mails(&stage).len(), 1);
    assert!(stage.state_of(&old).is_some_and(|state| state.starts_with("notified=")));
}

#[tokio::test]
async fn weekly_runs_remind_before_each_date_whatever_the_weekday_on_which_a_key_is_due() {
    let stage = Stage::new().await;
    for n in 0..7 {
        let user = format!("user-{n}");
        stage.user_named(&user, &[KeySpec::aged(70 + n)]);
        stage.world(|world| world.tag_user(ACCOUNT, &user, "owner", &format!("owner-{n}@example.org")));
    }
    let mut mails = Vec::new();
    for _ in 0..9 {
        stage.schedule().await;
        stage.work_with(&stage.settings_with_owner_tag()).await;
        mails.extend(new_mails(&stage));
        stage.pass_days(7);
    }
    for n in 0..7 {
        let to = format!("owner-{n}@example.org");
        let story: Vec<&str> = mails.iter().filter(|mail| mail.0 == to).map(|mail| mail.1.as_str()).collect();
        for deed in ["replaced", "disabled", "deleted"] {
            let reminder = story.iter().position(|subject| subject.contains(&format!("user-{n} will be {deed}")));
            let done = story.iter().position(|subject| subject.ends_with(&format!("user-{n} {deed}")));
            assert!(reminder.is_some() && done > reminder, "{to}: {deed}: {story:#?}");
        }
    }
}

#[tokio::test]
async fn a_reminder_that_cannot_be_recorded_fails_no_message_and_the_administrator_hears_of_it() {
    let stage = Stage::new().await;
    stage.user(&[KeySpec::aged(85)]);
    stage.world(|world| world.faults.deny(ACCOUNT, "iam:TagUser", None));
    let mut settings = stage.settings();
    settings.mail.admin = Some("admin@example.org".to_owned());
    stage.schedule().await;
    stage.work_with(&settings).await;
    assert_eq!(stage.waiting(), 0);
    let (subject, text) = stage.mails().pop().expect("the administrator's");
    assert!(subject.contains("1 notice failed"), "{subject}");
    assert!(text.contains("could not be recorded"), "{text}");
}

#[tokio::test]
async fn ten_daily_audits_of_an_overdue_key_are_one_mail_a_week() {
    let stage = Stage::new().await;
    stage.user(&[KeySpec::aged(200)]);
    let mut settings = stage.settings();
    settings.dry_run = true;
    // From a Monday to the Wednesday after the next.
    for _ in 1..=10 {
        stage.pass_days(1);
        stage.schedule().await;
        stage.work_with(&settings).await;
    }
    assert_eq!(new_mails(&stage).len(), 2);
}

#[tokio::test]
async fn an_unverified_sender_starts_no_clock_and_the_message_is_tried_again() {
    let stage = Stage::new().await;
    let old = stage.user(&[KeySpec::aged(95)]).remove(0);
    let mut settings = stage.settings();
    settings.mail.sender = Some("nobody@unverified.example.net".to_owned());
    stage.schedule().await;
    stage.work_with(&settings).await;
    assert!(!stage.is_told(&old));
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
    stage.work_with(&stage.settings_with_owner_tag()).await;
    assert_eq!(new_mails(&stage).len(), 1);
    assert!(!stage.is_told(&old), "not everybody has been told");
    assert_eq!(stage.waiting(), 1);

    stage.world(|world| world.mail.knobs.max_send_rate = Some(14));
    stage.pass(jiff::SignedDuration::from_mins(15));
    stage.work_with(&stage.settings_with_owner_tag()).await;
    let told: Vec<String> = new_mails(&stage).into_iter().map(|(to, _)| to).collect();
    assert_eq!(told, [LEADER, "bo@example.org", OWNER], "the account, which may have been told before, comes last");
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
