//! The lines of the log: events, summaries, metrics.

use std::collections::BTreeSet;

use end_to_end::{ACCOUNT, Stage, USER};
use key_rotation_aws::telemetry::metrics::METRICS;
use rotation::job::{ForceRotate, Whom};
use rotation::{Job, Task, UserName};
use sandbox::KeySpec;
use serde_json::{Value, json};

use crate::log::{Log, NAMESPACE};

/// Days of one user's life.
async fn live(stage: &Stage, days: i64) {
    for _ in 0..days {
        stage.pass_days(1);
        stage.run().await;
    }
}

/// The events of one kind.
fn of_kind<'a>(events: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    events.iter().filter(move |event| event["event"] == kind)
}

#[tokio::test]
async fn a_keys_life_is_told_event_by_event_with_whose_it_is_at_the_top_of_every_line() {
    let log = Log::capture();
    let stage = Stage::new().await;
    let old = stage.user(&[KeySpec::aged(85)]).remove(0);
    live(&stage, 27).await;

    let (events, new) = (log.events(), stage.keys()[0].0.clone());
    let story: Vec<&str> = events.iter().filter_map(|event| event["event"].as_str()).collect();
    let without_reminders: Vec<&str> = story.iter().copied().filter(|kind| *kind != "upcoming").collect();
    assert_eq!(without_reminders, ["published", "notified", "disabled", "deleted"]);
    for event in &events {
        assert_eq!((&event["account"], &event["user"]), (&json!(ACCOUNT), &json!(USER)));
        assert!(event["run_id"].is_string() && event["message_id"].is_string(), "{event}");
    }
    let one = |kind| of_kind(&events, kind).next().expect("it is told");
    assert_eq!((&one("published")["access_key_id"], &one("published")["replaces"]), (&json!(new), &json!(old)));
    assert!(one("published")["secret_name"].as_str().is_some_and(|name| name.contains(ACCOUNT)));
    assert_eq!((&one("notified")["access_key_id"], &one("notified")["successor"]), (&json!(old), &json!(new)));
    assert_eq!(one("notified")["due"], "2026-03-16T09:00:00Z");
    for kind in ["disabled", "deleted"] {
        assert_eq!(one(kind)["access_key_id"], json!(old));
    }
}

#[tokio::test]
async fn a_mail_is_logged_with_the_id_that_ses_gave_it_beside_that_of_the_message() {
    let log = Log::capture();
    let stage = Stage::new().await;
    stage.user(&[KeySpec::aged(95)]);
    stage.run().await;

    let sent: Vec<String> =
        stage.world(|world| world.mail.outbox().iter().map(|mail| mail.message_id.clone()).collect());
    let lines = log.lines();
    let logged: Vec<&Value> = lines.iter().filter(|line| line["mail_id"].is_string()).collect();
    assert!(!sent.is_empty() && logged.len() == sent.len(), "{sent:?}: {logged:#?}");
    for line in logged {
        assert!(sent.iter().any(|id| line["mail_id"] == **id), "{line}");
        assert!(line["message_id"].is_string() && line["message_id"] != line["mail_id"], "{line}");
    }
}

#[tokio::test]
async fn a_message_is_summed_up_with_what_was_found_and_done_and_how_many_calls_that_took() {
    let log = Log::capture();
    let stage = Stage::new().await;
    stage.user(&[KeySpec::aged(95).used_days_ago(1)]);
    stage.user_named("overdue", &[KeySpec::aged(400).used_days_ago(1)]);
    stage.user_named("young", &[KeySpec::aged(5)]);
    stage.user_named("exempt", &[KeySpec::aged(400)]);
    stage.world(|world| world.tag_user(ACCOUNT, "exempt", "key-rotation:protected", "yes"));
    stage.world(|world| world.journal.clear());
    stage.run().await;

    let summaries = log.summaries();
    let [line] = summaries.as_slice() else { panic!("{summaries:#?}") };
    let expected = [
        ("event", json!("message_processed")),
        ("outcome", json!("done")),
        ("task", json!("account")),
        ("accounts_processed", json!(1)),
        ("accounts_not_reached", json!(0)),
        ("users", json!(4)),
        ("users_exempt", json!(1)),
        ("users_failed", json!(0)),
        ("exemption_group_found", json!(0)),
        ("keys_active", json!(3)),
        ("keys_overdue", json!(1)),
        ("keys_created", json!(2)),
        ("keys_disabled", json!(0)),
        ("owners_notified", json!(2)),
        ("mails_sent", json!(1)),
        ("mails_refused", json!(0)),
        ("aws_throttles", json!(0)),
    ];
    for (name, value) in expected {
        assert_eq!(line[name], value, "{name}: {line:#}");
    }
    let calls = stage.world(|world| {
        let in_account = |call: &&sandbox::journal::CallRecord| call.account == ACCOUNT || call.service == "sts";
        world.journal.calls().filter(in_account).count()
    });
    assert_eq!(line["aws_calls"], json!(calls));
}

#[tokio::test]
async fn an_account_that_has_the_exemption_group_counts_as_one_and_requests_do_not_count() {
    let log = Log::capture();
    let stage = Stage::new().await;
    stage.user(&[KeySpec::aged(95)]);
    stage.run().await;
    stage.world(|world| world.add_group(ACCOUNT, "iamkeyrotationEXEMPTIONgroup"));
    let user = UserName::new(USER).expect("a user name");
    let request = ForceRotate { whom: Whom::User(user.clone()), disable_old_now: false, override_exemption: false };
    for task in [Task::Account, Task::User(user), Task::ForceRotate(request)] {
        stage.send(&stage.job(task)).await;
        stage.work().await;
    }
    let found: Vec<_> = log.summaries().iter().map(|line| line.get("exemption_group_found").cloned()).collect();
    assert_eq!(found, [Some(json!(0)), Some(json!(1)), Some(json!(1)), None]);
}

#[tokio::test]
async fn an_account_that_cannot_be_reached_counts_once_when_it_is_given_up() {
    let log = Log::capture();
    let stage = Stage::new().await;
    stage.user(&[KeySpec::aged(95)]);
    stage.world(|world| world.faults.deny(ACCOUNT, "iam:GetAccountAuthorizationDetails", None));
    stage.schedule().await;
    for _ in 0..12 {
        stage.work().await;
        stage.pass(jiff::SignedDuration::from_mins(21));
    }
    let summaries = log.summaries();
    assert!(summaries.len() > 1, "it was tried again");
    let (last, before) = summaries.split_last().expect("there are some");
    assert!(before.iter().all(|line| line["outcome"] == "retry" && line.get("accounts_not_reached").is_none()));
    assert_eq!((&last["outcome"], &last["accounts_not_reached"]), (&json!("dead_letter"), &json!(1)));
    assert_eq!(last["reason"], "Denied");
}

#[tokio::test]
async fn in_audit_mode_events_say_what_would_be_and_nothing_counts_as_done() {
    let log = Log::capture();
    let stage = Stage::new().await;
    stage.user(&[KeySpec::aged(95)]);
    stage.send(&Job { dry_run: true, ..stage.job(Task::Account) }).await;
    stage.work().await;
    let events = log.events();
    assert!(events.iter().all(|event| event["dry_run"] == true), "{events:#?}");
    let published = of_kind(&events, "published").next().expect("what would be");
    assert_eq!(published["message"], "a successor would be made and published");
    assert!(published.get("access_key_id").is_none() && published["replaces"].is_string());
    let line = &log.summaries()[0];
    assert!(line.get("keys_created").is_none() && line["keys_active"] == 1, "{line:#}");
}

#[tokio::test]
async fn summaries_carry_metrics_as_cloudwatch_wants_them() {
    let log = Log::capture();
    let stage = Stage::new().await;
    stage.user(&[KeySpec::aged(95)]);
    stage.run().await;
    let known: BTreeSet<&str> = METRICS.iter().map(|(name, _)| *name).collect();
    for line in log.summaries() {
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Namespace"], NAMESPACE);
        for metric in directive["Metrics"].as_array().expect("metrics") {
            let name = metric["Name"].as_str().expect("a name");
            // "The root node MUST contain all target members."
            assert!(line[name].is_number() && known.contains(name), "{name}");
        }
    }
    assert!(log.events().iter().all(|line| line.get("_aws").is_none()), "events are no metrics");
}
