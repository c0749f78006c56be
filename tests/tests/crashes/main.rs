//! The exhaustive proof: every scenario × every AWS call of it × the worker dying before the call, or after its effect ×
//! delivered again at once, when the intent is old, or to two workers together.
//!
//! Driven by the calls a scenario is seen to make, so that a new call is covered with no new test. What must come of each is
//! what comes of the scenario when nothing goes wrong.

mod lost_answers;
mod trial;

use end_to_end::scenario::{SCENARIOS, Scenario};
use futures::StreamExt;
use jiff::SignedDuration;
use sandbox::faults::{Calls, CrashPlan, When};

use trial::{FIRST, Trial, Undisturbed, undisturbed};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    AtOnce,
    WhenOld,
    ToTwoTogether,
}

/// A little more than the queue's visibility timeout.
const VISIBILITY: SignedDuration = SignedDuration::from_secs(121);
/// A little more than the age at which an intent is old.
const OLD: SignedDuration = SignedDuration::from_mins(21);
/// Trials at a time.
const AT_ONCE: usize = 6;

async fn crashed(
    scenario: &Scenario,
    expected: &Undisturbed,
    at_call: u64,
    when: When,
    again: Again,
) -> Result<(), String> {
    let trial = Trial::prepare(scenario).await;
    let died = trial.stage.world(|world| {
        let calls = Calls { app: Some(FIRST.to_owned()), ..Calls::default() };
        world.faults.crash(CrashPlan { calls, at_call, when })
    });
    tokio::select! {
        biased;
        () = died.cancelled() => {}
        () = trial.work_through_as(FIRST) => {}
    }
    match again {
        Again::AtOnce => {
            trial.stage.pass(VISIBILITY);
            trial.work_as("w2").await;
        }
        Again::WhenOld => {
            trial.stage.pass(OLD);
            trial.work_as("w2").await;
        }
        Again::ToTwoTogether => {
            trial.stage.pass(VISIBILITY);
            // Once the second worker is at it, the message times out and a third one gets it as well.
            let second = trial.work_as("w2");
            let third = async {
                trial.stage.when_called("w2", "ListAccessKeys").await;
                trial.stage.pass(VISIBILITY);
                trial.work_as("w3").await;
            };
            tokio::join!(second, third);
        }
    }
    trial.come_to_rest().await;
    trial.next_run().await;
    let wrong = |what| format!("{}: call {at_call}, {when:?}, {again:?}: {what}", scenario.name);
    trial.judge(&expected.end).await.map_err(wrong)
}

/// Runs trials side by side; says how many there were, and shows those that failed.
async fn all_hold(what: &str, trials: impl IntoIterator<Item = impl Future<Output = Result<(), String>>>) {
    let results: Vec<_> = futures::stream::iter(trials).buffer_unordered(AT_ONCE).collect().await;
    let total = results.len();
    let failed: Vec<String> = results.into_iter().filter_map(Result::err).collect();
    println!("{} scenarios, {total} {what}, {} failed", SCENARIOS.len(), failed.len());
    for failure in &failed {
        println!("{}", failure.lines().take(3).collect::<Vec<_>>().join("\n"));
    }
    assert!(failed.is_empty(), "{} of {total} failed; the first in full:\n{}", failed.len(), failed[0]);
}

async fn undisturbed_all() -> Vec<(&'static Scenario, Undisturbed)> {
    let mut all = Vec::new();
    for scenario in SCENARIOS {
        all.push((scenario, undisturbed(scenario).await));
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_crash_at_any_call_of_any_scenario_loses_a_key_a_secret_or_a_message() {
    let all = undisturbed_all().await;
    for (scenario, undisturbed) in &all {
        println!("{}: {} calls; {:?}", scenario.name, undisturbed.calls.len(), undisturbed.end);
    }
    let mut trials = Vec::new();
    for (scenario, expected) in &all {
        for call in 1..=expected.calls.len() as u64 {
            for when in [When::Before, When::After] {
                for again in [Again::AtOnce, Again::WhenOld, Again::ToTwoTogether] {
                    trials.push(crashed(scenario, expected, call, when, again));
                }
            }
        }
    }
    all_hold("crashes", trials).await;
}
