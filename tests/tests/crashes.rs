//! The exhaustive proof: every scenario × every AWS call of it × the worker dying before the call, or after its effect ×
//! delivered again at once, when the intent is old, or to two workers together.
//!
//! Driven by the calls a scenario is seen to make, so that a new call is covered with no new test. What must come of each is
//! what comes of the scenario when nothing goes wrong.

use std::sync::Arc;

use end_to_end::Stage;
use end_to_end::scenario::{Ending, SCENARIOS, Scenario, ending, violations};
use jiff::SignedDuration;
use sandbox::faults::{Calls, CrashPlan, When};
use tokio_util::sync::CancellationToken;
use worker::Tally;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    AtOnce,
    WhenOld,
    ToTwoTogether,
}

const VISIBILITY: SignedDuration = SignedDuration::from_secs(121);
const OLD: SignedDuration = SignedDuration::from_mins(21);
/// Deliveries until everything must have come to rest.
const ROUNDS: usize = 4;

async fn work_as(stage: &Stage, scenario: &Scenario, application: &str) {
    let connection = stage.connection(application);
    let tally = Arc::new(Tally::default());
    let settings = scenario.settings(stage);
    worker::run(&settings, &connection, tally, CancellationToken::new()).await.expect("the worker starts");
}

/// Delivers until the queue is empty; the clock goes to wherever the next message is to be had.
async fn come_to_rest(stage: &Stage, scenario: &Scenario) {
    for round in 0..ROUNDS {
        if stage.waiting() == 0 {
            return;
        }
        stage.world(|world| {
            let next = world.queues.next_visible();
            let now = world.now();
            world.clock.set(next.map_or(now, |next| next.max(now)) + SignedDuration::from_secs(1));
        });
        work_as(stage, scenario, &format!("later-{round}")).await;
    }
}

async fn undisturbed(scenario: &Scenario) -> (Ending, u64) {
    let stage = Stage::with(false).await;
    let job = (scenario.prepare)(&stage);
    let before: Vec<String> = stage.keys().into_iter().map(|(id, _)| id).collect();
    stage.send(&job).await;
    stage.world(|world| world.journal.clear());
    work_as(&stage, scenario, "w1").await;
    let calls = stage.world(|world| world.journal.calls().filter(|call| call.app == "w1").count() as u64);
    assert_eq!(violations(&stage), [] as [String; 0], "{}: undisturbed", scenario.name);
    let end = ending(&stage, &before).await;
    assert_eq!(end.waiting, 0, "{}: undisturbed", scenario.name);
    (end, calls)
}

async fn crashed(scenario: &Scenario, at_call: u64, when: When, again: Again) -> Result<(), String> {
    let stage = Stage::with(false).await;
    let job = (scenario.prepare)(&stage);
    let before: Vec<String> = stage.keys().into_iter().map(|(id, _)| id).collect();
    stage.send(&job).await;
    let died = stage.world(|world| {
        let calls = Calls { app: Some("w1".to_owned()), ..Calls::default() };
        world.faults.crash(CrashPlan { calls, at_call, when })
    });
    tokio::select! {
        biased;
        () = died.cancelled() => {}
        () = work_as(&stage, scenario, "w1") => {}
    }
    match again {
        Again::AtOnce => {
            stage.pass(VISIBILITY);
            work_as(&stage, scenario, "w2").await;
        }
        Again::WhenOld => {
            stage.pass(OLD);
            work_as(&stage, scenario, "w2").await;
        }
        Again::ToTwoTogether => {
            stage.pass(VISIBILITY);
            // Once the second worker is at it, the message times out and a third one gets it as well.
            let second = work_as(&stage, scenario, "w2");
            let third = async {
                stage.when_called("w2", "ListAccessKeys").await;
                stage.pass(VISIBILITY);
                work_as(&stage, scenario, "w3").await;
            };
            tokio::join!(second, third);
        }
    }
    come_to_rest(&stage, scenario).await;
    let broken = violations(&stage);
    let expected = undisturbed_ending(scenario);
    let end = ending(&stage, &before).await;
    if broken.is_empty() && end_is(&end, expected) {
        return Ok(());
    }
    let calls: Vec<String> = stage.world(|world| {
        let calls = world.journal.calls();
        calls.map(|call| format!("{} {} {} {:?}", call.app, call.operation, call.subject, call.outcome)).collect()
    });
    Err(format!(
        "{}: call {at_call}, {when:?}, {again:?}: {broken:?}\n  ended as {end:?}\n  expected {expected:?}\n  {}",
        scenario.name,
        calls.join("\n  ")
    ))
}

/// A refused request that was delivered to two workers can be two dead letters.
fn end_is(end: &Ending, expected: &Ending) -> bool {
    let mut letters = end.dead_letters.clone();
    letters.dedup();
    Ending { dead_letters: letters, ..end.clone() } == *expected
}

static EXPECTED: std::sync::OnceLock<Vec<(Ending, u64)>> = std::sync::OnceLock::new();

fn undisturbed_ending(scenario: &Scenario) -> &'static Ending {
    let n = SCENARIOS.iter().position(|other| other.name == scenario.name).expect("one of them");
    &EXPECTED.get().expect("computed first")[n].0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_crash_at_any_call_of_any_scenario_loses_a_key_a_secret_or_a_message() {
    let mut expected = Vec::new();
    for scenario in SCENARIOS {
        expected.push(undisturbed(scenario).await);
    }
    for (scenario, (end, calls)) in SCENARIOS.iter().zip(&expected) {
        println!("{}: {calls} calls; {end:?}", scenario.name);
    }
    let cases: Vec<_> = SCENARIOS
        .iter()
        .zip(&expected)
        .flat_map(|(scenario, (_, calls))| (1..=*calls).map(move |call| (scenario, call)))
        .flat_map(|(scenario, call)| [When::Before, When::After].map(|when| (scenario, call, when)))
        .flat_map(|(scenario, call, when)| {
            [Again::AtOnce, Again::WhenOld, Again::ToTwoTogether].map(|again| (scenario, call, when, again))
        })
        .collect();
    EXPECTED.set(expected).expect("set once");
    let total = cases.len();
    let results = futures::stream::StreamExt::collect::<Vec<_>>(futures::stream::StreamExt::buffer_unordered(
        futures::stream::iter(cases.into_iter().map(|(scenario, call, when, again)| {
            tokio::spawn(async move { crashed(scenario, call, when, again).await })
        })),
        6,
    ))
    .await;
    let failed: Vec<String> = results.into_iter().filter_map(|result| result.expect("no panic").err()).collect();
    println!("{} scenarios, {total} crashes, {} failed", SCENARIOS.len(), failed.len());
    for failure in &failed {
        println!("{}", failure.lines().take(3).collect::<Vec<_>>().join("\n"));
    }
    assert!(failed.is_empty(), "{} of {total} failed; the first in full:\n{}", failed.len(), failed[0]);
}
