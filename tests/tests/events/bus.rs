//! The event bus: what is put on it, and what follows where it cannot be.

use end_to_end::{ACCOUNT, Stage};
use sandbox::KeySpec;
use sandbox::call::Service;
use sandbox::faults::{Calls, Fault, Rule};
use sandbox::services::eventbridge::PutEvent;
use sandbox::world::MANAGEMENT_ACCOUNT;
use serde_json::Value;
use worker::Settings;
use worker::aws::event_bus::SOURCE;

use crate::log::Log;
use crate::schema::fields;

const BUS: &str = "security-events";

async fn stage() -> Stage {
    let stage = Stage::new().await;
    stage.world(|world| world.event_buses.add_bus(MANAGEMENT_ACCOUNT, BUS));
    stage
}

fn settings(stage: &Stage) -> Settings {
    Settings { event_bus: Some(BUS.to_owned()), ..stage.settings() }
}

async fn run(stage: &Stage) {
    stage.schedule().await;
    stage.work_with(&settings(stage)).await;
}

fn on_the_bus(stage: &Stage) -> Vec<PutEvent> {
    stage.world(|world| world.event_buses.events().to_vec())
}

/// The line of the log with what makes it a line taken away.
fn detail_of(line: &Value) -> Value {
    let known = fields();
    let kept = line.as_object().expect("a line").iter().filter(|(name, _)| known.contains(*name));
    Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
}

#[tokio::test]
async fn a_keys_whole_life_is_on_the_bus_as_it_is_in_the_log_and_nothing_besides() {
    let log = Log::capture();
    let stage = stage().await;
    stage.user(&[KeySpec::aged(85)]);
    stage.user_named("exempt", &[KeySpec::aged(85)]);
    stage.world(|world| world.tag_user(ACCOUNT, "exempt", "key-rotation:protected", "yes"));
    for _ in 0..27 {
        stage.pass_days(1);
        run(&stage).await;
    }
    let events = on_the_bus(&stage);
    let details: Vec<Value> = events.iter().map(|event| event.detail.clone()).collect();
    for event in &events {
        assert_eq!((event.bus.as_str(), event.source.as_str()), (BUS, SOURCE));
        assert!(event.detail.get("timestamp").is_none(), "nothing of the log is in it");
        let detail = event.detail.as_object().expect("an object");
        assert!(detail.keys().all(|name| fields().contains(name)), "{detail:?}");
    }
    let told = log.events().into_iter().filter(|line| line["event"] != "exempt");
    assert_eq!(details, told.map(|line| detail_of(&line)).collect::<Vec<_>>());
    let types: Vec<&str> = events.iter().map(|event| event.detail_type.as_str()).collect();
    for expected in ["Access Key Published", "Access Key Owner Notified", "Access Key Disabled", "Access Key Deleted"] {
        assert_eq!(types.iter().filter(|detail_type| **detail_type == expected).count(), 1, "{expected}: {types:?}");
    }
    let secrets = stage.world(|world| world.secret_access_keys().to_vec());
    let sent = serde_json::to_string(&details).expect("JSON");
    assert!(secrets.iter().all(|secret| !sent.contains(secret.as_str())), "no secret is on the bus");
}

#[tokio::test]
async fn a_bus_that_refuses_for_a_moment_gets_every_event_once() {
    let stage = stage().await;
    stage.user(&[KeySpec::aged(95)]);
    stage.world(|world| world.event_buses.refuse_entries(2, "ThrottlingException"));
    run(&stage).await;
    let kinds: Vec<Value> = on_the_bus(&stage).iter().map(|event| event.detail["event"].clone()).collect();
    assert_eq!(kinds.len(), 2, "{kinds:?}");
    assert!(kinds.contains(&"published".into()) && kinds.contains(&"notified".into()));
}

#[tokio::test]
async fn a_bus_that_takes_nothing_keeps_no_key_from_its_rotation_and_shows_in_log_and_metric() {
    let log = Log::capture();
    let stage = stage().await;
    stage.user(&[KeySpec::aged(95)]);
    stage.world(|world| world.faults.deny(MANAGEMENT_ACCOUNT, "events:PutEvents", None));
    run(&stage).await;

    assert_eq!((stage.keys().len(), stage.waiting(), stage.mails().len()), (2, 0, 1), "rotated, told, done");
    assert_eq!(log.events().len(), 2, "the log has them");
    let lost: Vec<Value> = log.summaries().into_iter().filter(|line| line["events_refused"].is_number()).collect();
    assert_eq!(lost.iter().filter_map(|line| line["events_refused"].as_u64()).sum::<u64>(), 2);
    assert!(lost.iter().all(|line| line["error"].as_str().is_some_and(|why| why.contains("AccessDenied"))), "{lost:?}");
    assert!(lost.iter().all(|line| line["_aws"].is_object()), "it is a metric");
    let calls = stage.world(|world| world.journal.count(Service::EventBridge, "PutEvents"));
    assert!(calls < 6, "a refusal for good is not tried again and again: {calls} calls");
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again() {
    let stage = stage().await;
    stage.user(&[KeySpec::aged(95)]);
    stage.world(|world| {
        let calls = Calls::new("events:PutEvents");
        world.faults.add(Rule { calls, fault: Fault::LoseAnswer, rate: 1.0, times: Some(1) });
    });
    run(&stage).await;
    let kinds: Vec<Value> = on_the_bus(&stage).iter().map(|event| event.detail["event"].clone()).collect();
    assert!(kinds.contains(&"published".into()) && kinds.contains(&"notified".into()), "at least once: {kinds:?}");
}

#[tokio::test]
async fn without_a_bus_nothing_is_sent() {
    let stage = stage().await;
    stage.user(&[KeySpec::aged(95)]);
    stage.run().await;
    assert_eq!(stage.world(|world| world.journal.count(Service::EventBridge, "PutEvents")), 0);
}
