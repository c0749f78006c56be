//! The exhaustive proof without a crash: every scenario × every operation it calls × its first try taking effect with the
//! answer lost or unreadable, and the further tries of the SDK throttled, or failing at the service.
//!
//! What the worker then sees is the last try's plain refusal, of a call that took effect.

use std::collections::BTreeSet;

use sandbox::faults::{Calls, Fault, Rule};

use crate::trial::{FIRST, Trial, Undisturbed};
use crate::{Scenario, all_hold, undisturbed_all};

/// The SDK tries a call three times.
const FURTHER_TRIES: u64 = 2;

async fn lost_then(
    scenario: &Scenario,
    expected: &Undisturbed,
    operation: String,
    first: Fault,
    then: Fault,
) -> Result<(), String> {
    let trial = Trial::prepare(scenario).await;
    trial.stage.world(|world| {
        let calls = Calls { action: Some(operation.clone()), app: Some(FIRST.to_owned()), ..Calls::default() };
        world.faults.add(Rule { calls: calls.clone(), fault: first, rate: 1.0, times: Some(1) });
        world.faults.add(Rule { calls, fault: then, rate: 1.0, times: Some(FURTHER_TRIES) });
    });
    trial.work_through_as(FIRST).await;
    trial.come_to_rest().await;
    trial.next_run().await;
    let wrong = |what| format!("{}: {operation}, {first:?}, then {then:?}: {what}", scenario.name);
    trial.judge(&expected.end).await.map_err(wrong)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_lost_before_a_plain_refusal_loses_a_key_a_secret_or_a_message() {
    let all = undisturbed_all().await;
    let mut trials = Vec::new();
    for (scenario, expected) in &all {
        let operations: BTreeSet<&String> = expected.calls.iter().collect();
        for operation in operations {
            for first in [Fault::LoseAnswer, Fault::GarbleAnswer, Fault::ProxyAnswer] {
                for then in [Fault::Throttle, Fault::ServerError] {
                    trials.push(lost_then(scenario, expected, operation.clone(), first, then));
                }
            }
        }
    }
    all_hold("calls with their answer lost", trials).await;
}
