//! Keys that AWS reports as exposed: AWS's events, as it documents them, through the rules of the templates to a worker.

use std::time::Instant;

use end_to_end::deployment::Deployment;
use end_to_end::eventbridge::{matches, transformed};
use end_to_end::{ACCOUNT, OWNER, Stage, USER};
use jiff::SignedDuration;
use sandbox::KeySpec;
use sandbox::world::MANAGEMENT_ACCOUNT;
use serde_json::{Value, json};
use worker::Settings;

const RULES: [&str; 3] = ["ReportedKey", "ReportedKeyOfThisAccount", "QuarantinedUser"];

/// A form of the event about an exposed key: its name, and the event about this key.
type Form = (&'static str, fn(&str) -> Value);

/// A fixture about this key and this user.
fn event(file: &str, key: &str, user: &str) -> Value {
    let path = format!("{}/tests/exposed_keys/fixtures/{file}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text.replace("\"KEY\"", &format!("\"{key}\"")).replace("\"USER\"", &format!("\"{user}\"")))
        .expect("a fixture is JSON")
}

/// With this in its detail.
fn with(mut event: Value, field: &str, value: Value) -> Value {
    event["detail"][field] = value;
    event
}

/// What comes of an event in a member account: the messages for the urgent queue, each with its group.
fn messages(event: &Value, given: &[(&str, &str)]) -> Vec<(String, String)> {
    let member = Deployment::new("exposed-keys-member.yaml", "222222222222", &[("EventBusArn", "arn:of-the-bus")]);
    let is_sent = ["ReportedKey", "QuarantinedUser"]
        .into_iter()
        .any(|rule| matches(&member.document(rule, "EventPattern"), event));
    if !is_sent {
        return Vec::new();
    }
    let fleet = Deployment::new("exposed-keys.yaml", "111111111111", given);
    let rules = RULES.into_iter().filter(|rule| matches(&fleet.document(rule, "EventPattern"), event));
    rules
        .map(|rule| {
            let target = &fleet.document(rule, "Targets")[0];
            let group = target["SqsParameters"]["MessageGroupId"].as_str().expect("a group").to_owned();
            (group, transformed(&target["InputTransformer"], event))
        })
        .collect()
}

/// Puts on the queue what comes of an event.
async fn report(stage: &Stage, event: &Value, given: &[(&str, &str)]) {
    for (n, (group, body)) in messages(event, given).into_iter().enumerate() {
        // What EventBridge sends has no deduplication id: the queue makes one of the body.
        stage.send_body(&body, Some(group), Some(format!("{}-{n}-{}", event["id"], stage.waiting()))).await;
    }
}

/// A worker that finds owners by their tag: AWS's events do not have the account's address.
async fn work(stage: &Stage) {
    stage.work_with(&settings(stage)).await;
}

fn settings(stage: &Stage) -> Settings {
    Settings { event_bus: Some("default".to_owned()), ..stage.settings_with_owner_tag() }
}

/// The same, with a receive for each message: those of a group that one receive brings wait for one another in the worker alone.
async fn work_on_one_at_a_time(stage: &Stage) {
    let mut settings = settings(stage);
    settings.limits.max_concurrent = 1;
    stage.work_with(&settings).await;
}

/// A user whose owner is known.
fn owned(stage: &Stage, key: KeySpec) -> String {
    let id = stage.user(&[key]).remove(0);
    stage.world(|world| world.tag_user(ACCOUNT, USER, "owner", LEADER));
    id
}

fn mailed_to(stage: &Stage) -> Vec<String> {
    stage.world(|world| world.mail.outbox().iter().flat_map(|mail| mail.to.clone()).collect())
}

fn told(stage: &Stage) -> Vec<(String, bool)> {
    stage.world(|world| {
        let events = world.event_buses.events().iter().map(|event| &event.detail);
        events.map(|it| (it["event"].as_str().unwrap_or_default().to_owned(), it["dry_run"] == true)).collect()
    })
}

const LEADER: &str = "ada@example.org";
const CONTAIN: [(&str, &str); 2] = [("ContainReportedKeys", "True"), ("ContainQuarantinedUsers", "True")];

#[tokio::test]
async fn a_key_that_aws_reports_as_exposed_is_contained_and_replaced_in_both_forms_of_the_event_and_when_suspected() {
    let forms: [Form; 4] = [
        ("the event", |key| event("health_exposed", key, USER)),
        ("its first form", |key| event("health_exposed_first_form", key, USER)),
        ("a suspicion", |key| {
            let code = json!("AWS_RISK_CREDENTIALS_EXPOSURE_SUSPECTED");
            with(event("health_exposed", key, USER), "eventTypeCode", code)
        }),
        ("a use by others", |key| {
            with(event("health_exposed", key, USER), "eventTypeCode", json!("AWS_RISK_CREDENTIALS_COMPROMISED"))
        }),
    ];
    for (form, event) in forms {
        let stage = Stage::new().await;
        let key = owned(&stage, KeySpec::aged(20).used_days_ago(1));
        let begun = Instant::now();
        report(&stage, &event(&key), &CONTAIN).await;
        work(&stage).await;
        println!("{form}: contained and replaced {} ms after the event", begun.elapsed().as_millis());

        let keys = stage.keys();
        assert_eq!((keys.len(), keys[0].clone(), keys[1].1), (2, (key, false), true), "{form}");
        assert_eq!(stage.published_key().as_ref(), Some(&keys[1].0));
        assert!(
            told(&stage).starts_with(&[("contained".to_owned(), false), ("published".to_owned(), false)]),
            "{form}"
        );
        assert_eq!(mailed_to(&stage), [LEADER], "{form}");
        assert!(stage.dead_letters().await.is_empty(), "{form}");
        let text = stage.mails().pop().expect("a mail").1;
        assert!(
            text.contains("AWS reported the key as exposed") && text.contains("aws cloudtrail lookup-events"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn unless_asked_for_it_is_only_told_what_would_be_by_mail_and_event_on_whatever_day() {
    for days in 0..7 {
        let stage = Stage::new().await;
        stage.pass_days(days);
        let key = owned(&stage, KeySpec::aged(20));
        let mut event = event("health_exposed", &key, USER);
        event["time"] = json!(stage.now().to_string());
        let body: Value = serde_json::from_str(&messages(&event, &[])[0].1).expect("a message is JSON");
        assert_eq!(body["dry_run"], true);
        report(&stage, &event, &[]).await;
        work(&stage).await;
        assert_eq!(stage.keys(), [(key, true)], "nothing is changed");
        assert!(told(&stage).contains(&("contained".to_owned(), true)));
        assert_eq!(mailed_to(&stage), [LEADER], "day {days}: its owner is told at once");
        let text = stage.mails().pop().expect("a mail").1;
        assert!(text.contains("The key would be disabled at once") && !text.contains("was disabled"), "{text}");
    }
}

#[tokio::test]
async fn an_owner_whom_nobody_knows_is_told_by_the_next_scheduled_run_and_until_then_there_is_a_dead_letter() {
    let stage = Stage::new().await;
    let key = stage.user(&[KeySpec::aged(20)]).remove(0);
    report(&stage, &event("health_exposed", &key, USER), &CONTAIN).await;
    work(&stage).await;
    assert_eq!(stage.keys()[0], (key, false));
    assert_eq!(stage.dead_letters().await[0].0, "Undeliverable");
    assert!(stage.mails().is_empty());
    stage.pass_days(1);
    stage.schedule().await;
    work(&stage).await;
    assert_eq!(mailed_to(&stage), [OWNER]);
}

#[tokio::test]
async fn a_report_that_comes_twice_and_one_of_its_end_contain_one_key_and_make_one_successor() {
    let stage = Stage::new().await;
    let key = owned(&stage, KeySpec::aged(20));
    let first = event("health_exposed", &key, USER);
    report(&stage, &first, &CONTAIN).await;
    work(&stage).await;
    let keys = stage.keys();
    // EventBridge delivers at least once; and AWS Health sends the event again when something about it changes.
    report(&stage, &first, &CONTAIN).await;
    let mut update = first.clone();
    update["id"] = json!("7bf73129-1428-4cd3-a780-95db273d1603");
    report(&stage, &update, &CONTAIN).await;
    let closed = with(first, "statusCode", json!("closed"));
    assert!(messages(&closed, &CONTAIN).is_empty());
    for _ in 0..3 {
        work(&stage).await;
        stage.pass(SignedDuration::from_mins(21));
    }
    assert_eq!(stage.keys(), keys, "the successor is left alone");
}

/// Two reports, which EventBridge puts into one message group. The first is about a user whose other key has to go for want of room: it
/// waits until that deletion has been announced for a minute.
async fn two_reports(stage: &Stage) -> (String, String) {
    let [_, first] = &stage.user(&[KeySpec::aged(50).inactive(), KeySpec::aged(20)])[..] else { panic!("two keys") };
    let second = stage.user_named("eve", &[KeySpec::aged(20)]).remove(0);
    stage.world(|world| [USER, "eve"].into_iter().for_each(|user| world.tag_user(ACCOUNT, user, "owner", LEADER)));
    for (n, key) in [first, &second].into_iter().enumerate() {
        let mut event = event("health_exposed", key, USER);
        event["id"] = json!(format!("7bf73129-1428-4cd3-a780-95db273d160{n}"));
        report(stage, &event, &CONTAIN).await;
    }
    (first.clone(), second)
}

#[tokio::test]
async fn a_reported_key_is_contained_and_replaced_while_the_report_before_it_waits_to_delete_a_key() {
    let stage = Stage::new().await;
    let (first, second) = two_reports(&stage).await;
    work_on_one_at_a_time(&stage).await;
    assert!(stage.keys().contains(&(first.clone(), false)), "the first one is contained");
    assert_eq!((stage.keys().len(), stage.waiting()), (2, 1), "and waits with its successor");
    assert_eq!(stage.keys_of("eve")[0], (second, false), "the second one has not waited for it");
    assert_eq!(stage.keys_of("eve").len(), 2);
    stage.pass(SignedDuration::from_mins(2));
    work_on_one_at_a_time(&stage).await;
    assert_eq!(stage.waiting(), 0);
    let keys = stage.keys();
    assert!(keys.len() == 2 && keys[0] == (first, false) && keys[1].1, "its successor has the room: {keys:?}");
    assert_eq!(stage.dead_letters().await, []);
}

#[tokio::test]
async fn a_worker_without_the_right_to_put_a_report_into_its_own_group_carries_it_out_all_the_same() {
    let stage = Stage::new().await;
    let (first, second) = two_reports(&stage).await;
    stage.world(|world| world.faults.deny(MANAGEMENT_ACCOUNT, "sqs:SendMessage", None));
    work_on_one_at_a_time(&stage).await;
    assert!(stage.keys().contains(&(first, false)));
    assert_eq!(stage.keys_of("eve"), [(second.clone(), true)], "the second one waits");
    for _ in 0..2 {
        stage.pass(SignedDuration::from_mins(2));
        work_on_one_at_a_time(&stage).await;
    }
    assert_eq!((stage.keys_of("eve")[0].clone(), stage.waiting()), ((second, false), 0));
}

#[tokio::test]
async fn a_quarantined_users_key_is_contained_and_its_successor_is_not_by_a_report_that_is_older() {
    let stage = Stage::new().await;
    let key = owned(&stage, KeySpec::aged(20));
    report(&stage, &event("quarantine", "", USER), &CONTAIN).await;
    work(&stage).await;
    let keys = stage.keys();
    assert_eq!((keys.len(), keys[0].clone(), keys[1].1), (2, (key, false), true));
    let mut again = event("quarantine", "", USER);
    again["id"] = json!("1a2b3c4d-0001-4000-8000-abcdefabcdee");
    report(&stage, &again, &CONTAIN).await;
    work(&stage).await;
    let active: Vec<_> = stage.keys().into_iter().filter(|(_, active)| *active).collect();
    assert_eq!(active, [keys[1].clone()], "the successor is newer than the report");
}

#[tokio::test]
async fn keys_that_are_gone_and_keys_of_no_user_end_as_refusals_and_change_nothing() {
    let stage = Stage::new().await;
    let key = owned(&stage, KeySpec::aged(20));
    stage.world(|world| world.remove_key(ACCOUNT, USER, &key));
    let kept = stage.user_named("eve", &[KeySpec::aged(20)]).remove(0);
    // Deleted since; and the root user's, which no user has.
    for (n, id) in [key.as_str(), "AKIAROOTROOTROOTROOT"].into_iter().enumerate() {
        let mut event = event("health_exposed", id, USER);
        event["id"] = json!(format!("7bf73129-1428-4cd3-a780-95db273d170{n}"));
        report(&stage, &event, &CONTAIN).await;
    }
    work(&stage).await;
    assert_eq!(stage.keys_of("eve"), [(kept, true)]);
    let dead_letters = stage.dead_letters().await;
    let reasons: Vec<&str> = dead_letters.iter().map(|(reason, ..)| reason.as_str()).collect();
    assert_eq!(reasons, ["Refused", "Refused"]);
    assert_eq!(told(&stage), [("refused".to_owned(), false), ("refused".to_owned(), false)]);
}

#[test]
fn session_keys_and_events_of_other_kinds_become_no_messages() {
    let exposed = || event("health_exposed", "AKIAIOSFODNN7EXAMPLE", USER);
    assert_eq!(messages(&exposed(), &[]).len(), 1);
    let not_ours = [
        event("health_exposed", "ASIAIOSFODNN7EXAMPLE", USER),
        with(exposed(), "eventTypeCode", json!("AWS_RISK_IAM_QUARANTINE")),
        with(exposed(), "service", json!("EC2")),
        with(event("quarantine", "", USER), "eventName", json!("DetachUserPolicy")),
        with(event("quarantine", "", USER), "errorCode", json!("AccessDenied")),
        with(
            event("quarantine", "", USER),
            "requestParameters",
            json!({"userName": USER, "policyArn": "arn:aws:iam::111122223333:policy/AWSCompromisedKeyQuarantineV2"}),
        ),
    ];
    for event in not_ours {
        assert!(messages(&event, &[]).is_empty(), "{event:#}");
    }
    let third = json!({"userName": USER, "policyArn": "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"});
    assert_eq!(messages(&with(event("quarantine", "", USER), "requestParameters", third), &[]).len(), 1);
}

#[test]
fn an_organizations_view_reports_the_affected_account_and_not_the_one_that_sees_it() {
    let mut event = event("health_exposed", "AKIAIOSFODNN7EXAMPLE", USER);
    event["account"] = json!("999999999999");
    let [(_, body)] = &messages(&event, &[])[..] else { panic!("one message") };
    let job = rotation::Job::parse(body).expect("the worker understands it");
    assert_eq!(job.account.as_str(), ACCOUNT);
    assert!(job.dry_run && job.is_operators_request() && job.run_id.is_some() && job.requested_at.is_some());
}

#[test]
fn the_urgent_queue_lets_in_the_rules_of_this_bus_and_only_where_the_fleet_says_so() {
    let allowed = |given: &[(&str, &str)]| {
        let fleet = Deployment::new("fleet.yaml", "111111111111", given);
        let takes = fleet.document("UrgentQueue", "ContentBasedDeduplication");
        let policy = fleet.document("RequestsComeFromTheProducer", "PolicyDocument");
        let statements = policy["Statement"].as_array().expect("statements").clone();
        (takes, statements.into_iter().filter(|statement| statement["Effect"] == "Allow").collect::<Vec<_>>())
    };
    assert_eq!(allowed(&[]), (json!(false), Vec::new()));
    let (takes, statements) = allowed(&[("ExposedKeys", "True")]);
    assert_eq!(takes, true, "EventBridge gives no deduplication id");
    let [statement] = &statements[..] else { panic!("one statement") };
    assert_eq!(statement["Principal"], json!({"Service": "events.amazonaws.com"}));
    assert_eq!(statement["Action"], "sqs:SendMessage");
    let rules = Deployment::new("exposed-keys.yaml", "111111111111", &[]);
    let bus = rules.document("Reports", "Name");
    let of_the_bus = format!("arn:aws:events:eu-west-1:111111111111:rule/{}/*", bus.as_str().expect("a name"));
    assert_eq!(statement["Condition"], json!({"ArnLike": {"aws:SourceArn": of_the_bus}}));
    for rule in RULES {
        let target = &rules.document(rule, "Targets")[0];
        assert_eq!(target["Arn"], "arn:aws:sqs:eu-west-1:111111111111:iam-key-rotation-urgent.fifo");
        assert!(target.get("RoleArn").is_none(), "a queue lets a rule in by its policy");
        // Amazon EventBridge API reference, SqsParameters: a text, which no path may stand for.
        let group = target["SqsParameters"]["MessageGroupId"].as_str().expect("a group");
        assert!(group.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{group}");
        let variables = target["InputTransformer"]["InputPathsMap"].as_object().expect("variables");
        assert!(variables.len() <= 100, "EventBridge user guide, input transformation: up to 100 variables");
    }
}
