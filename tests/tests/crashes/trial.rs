//! One trial of a scenario: set up, worked on until it has come to rest, and judged by how it ends when nothing goes wrong.

use end_to_end::Stage;
use end_to_end::scenario::{Ending, Scenario, ending};
use end_to_end::told::told;
use end_to_end::violations::{early_notices, violations};
use jiff::SignedDuration;
use worker::queue::Stop;

/// The worker that meets with an accident.
pub(crate) const FIRST: &str = "w1";
/// How often one thing is told at most: by each worker that has got hold of the work, of whom there are up to three, once.
const TOLD_AT_MOST: usize = 3;
/// Deliveries until everything must have come to rest.
const ROUNDS: usize = 6;

/// What comes of a scenario when nothing goes wrong.
#[derive(Debug, Clone)]
pub(crate) struct Undisturbed {
    pub(crate) end: Ending,
    /// The operations called, in their order.
    pub(crate) calls: Vec<String>,
}

pub(crate) struct Trial<'a> {
    pub(crate) stage: Stage,
    scenario: &'a Scenario,
    before: Vec<String>,
    is_scheduled: bool,
}

impl<'a> Trial<'a> {
    /// Prepares the scenario; its message is on the queue. Scheduled work is asked for twice, as by two runs.
    pub(crate) async fn prepare(scenario: &'a Scenario) -> Self {
        let stage = Stage::with(false).await;
        let job = (scenario.prepare)(&stage);
        let before = stage.keys().into_iter().map(|(id, _)| id).collect();
        stage.send(&job).await;
        let is_scheduled = job.scheduled_work().is_some();
        if is_scheduled {
            stage.send(&stage.job(job.task)).await;
        }
        stage.world(|world| world.journal.clear());
        Self { stage, scenario, before, is_scheduled }
    }

    /// A worker of this application name drains the queue, unless it does not get as far as its first message.
    pub(crate) async fn work_as(&self, application: &str) {
        let connection = self.stage.connection(application);
        let settings = (self.scenario.settings)(&self.stage);
        let ended = worker::run(&settings, &connection, Stop::default()).await;
        if let Err(error) = ended {
            println!("{application} did not start: {error}");
        }
    }

    /// The same worker again and again, until the queue is empty: what has to wait is delivered anew.
    pub(crate) async fn work_through_as(&self, application: &str) {
        self.work_as(application).await;
        for _ in 0..ROUNDS {
            if !self.wait_for_a_message() {
                return;
            }
            self.work_as(application).await;
        }
    }

    /// Delivers until the queue is empty.
    pub(crate) async fn come_to_rest(&self) {
        for round in 0..ROUNDS {
            if !self.wait_for_a_message() {
                return;
            }
            self.work_as(&format!("later-{round}")).await;
        }
    }

    /// The clock goes to wherever the next message is to be had, if there is one.
    fn wait_for_a_message(&self) -> bool {
        self.stage.waiting() > 0
            && self.stage.world(|world| {
                let next = world.queues.next_visible();
                let now = world.now();
                world.clock.set(next.map_or(now, |next| next.max(now)) + SignedDuration::from_secs(1));
                true
            })
    }

    /// The next scheduled run, where the scenario is one's: in it shows what the one before has left to do.
    pub(crate) async fn next_run(&self) {
        if self.is_scheduled {
            self.stage.schedule().await;
            self.work_as("next-run").await;
        }
    }

    /// Judges the end.
    ///
    /// # Errors
    /// What is wrong, with every call that was made.
    pub(crate) async fn judge(&self, expected: &Ending) -> Result<(), String> {
        let mut broken = [violations(&self.stage), early_notices(&self.stage)].concat();
        let too_often = told(&self.stage).into_iter().filter(|(_, times)| *times > TOLD_AT_MOST);
        broken.extend(too_often.map(|(told, times)| format!("{times} times: {told:?}")));
        let end = ending(&self.stage, &self.before).await;
        if broken.is_empty() && end_is(&end, expected) {
            return Ok(());
        }
        let calls: Vec<String> = self.stage.world(|world| {
            let calls = world.journal.calls();
            calls.map(|call| format!("{} {} {} {:?}", call.app, call.operation, call.subject, call.outcome)).collect()
        });
        Err(format!("{broken:?}\n  ended as {end:?}\n  expected {expected:?}\n  {}", calls.join("\n  ")))
    }
}

/// Runs a scenario in which nothing goes wrong.
pub(crate) async fn undisturbed(scenario: &Scenario) -> Undisturbed {
    let trial = Trial::prepare(scenario).await;
    trial.work_through_as(FIRST).await;
    let calls = trial.stage.world(|world| {
        let calls = world.journal.calls().filter(|call| call.app == FIRST);
        calls.map(|call| format!("{}:{}", call.service, call.operation)).collect()
    });
    trial.next_run().await;
    assert_eq!(violations(&trial.stage), [] as [String; 0], "{}: undisturbed", scenario.name);
    let end = ending(&trial.stage, &trial.before).await;
    assert_eq!(end.waiting, 0, "{}: undisturbed", scenario.name);
    Undisturbed { end, calls }
}

/// A refused request that was delivered to two workers can be two dead letters.
fn end_is(end: &Ending, expected: &Ending) -> bool {
    let mut letters = end.dead_letters.clone();
    letters.dedup();
    Ending { dead_letters: letters, ..end.clone() } == *expected
}
