//! The proof by freezing: a worker stands still (SIGSTOP) at each of its calls in turn; its message times out and its session
//! ends; another worker does the work; then the first one goes on (SIGCONT) as if nothing had happened. Nothing may be broken by
//! it, and it must serve on and stop in good order.
//!
//! The thawed worker is worse off than a real one: only the sandbox's clock has moved, so its own still says that hardly any
//! time has passed. What stops it is what AWS refuses, what AWS's answers say of the time, and what it sees when it looks.

use end_to_end::scenario::{Ending, SCENARIOS, Scenario, ending};
use end_to_end::violations::violations;
use end_to_end::{Stage, USER};
use futures::stream::{self, StreamExt};
use jiff::SignedDuration;
use rotation::Task;
use rotation::names::{secret_name, version_id};
use sandbox::faults::{Calls, HoldPlan, When};
use sandbox::journal::Outcome;
use sandbox::serve::REGION;
use sandbox::world::MANAGEMENT_ACCOUNT;

use crate::process::{Process, Signal, until};

/// What is rotated: a first successor, which Secrets Manager publishes by itself, and a later one, which is published by
/// compare-and-swap.
const FROZEN_IN: [&str; 2] =
    ["a due key gets its first successor", "a due key whose own secret is published gets a successor"];
/// The message is anybody's, and the session and the intent are over: 15 minutes, and 5 for clocks.
const OLD: SignedDuration = SignedDuration::from_mins(21);
/// Deliveries in which the other worker must have finished.
const ROUNDS: usize = 4;
/// Cases side by side.
const AT_ONCE: usize = 3;

/// What differs besides: the kind of queue; and where secrets are, because calls to a central store do not run on the session
/// that ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deployment {
    Fifo,
    Standard,
    CentralStore,
}

const DEPLOYMENTS: [Deployment; 3] = [Deployment::Fifo, Deployment::Standard, Deployment::CentralStore];

impl Deployment {
    fn settings(self) -> Vec<(&'static str, &'static str)> {
        // Both messages in one receive, and one user at a time: so the order of the calls is always the same.
        let mut settings = vec![("MAX_CONCURRENT_MESSAGES", "2"), ("MAX_CONCURRENT_USERS", "1")];
        match self {
            Deployment::Fifo | Deployment::Standard => {}
            Deployment::CentralStore => {
                settings.push(("STORE_SECRETS_IN_CENTRAL_ACCOUNT", "true"));
                settings.push(("SECRET_KMS_KEY_ID", "alias/key-rotation"));
            }
        }
        settings
    }
}

/// A user with a due key, and two messages about it, as of two runs.
struct Scene {
    stage: Stage,
    /// The keys it has at first.
    before: Vec<String>,
}

impl Scene {
    async fn set(scenario: &Scenario, deployment: Deployment) -> Self {
        let stage = Stage::with(deployment == Deployment::Fifo).await;
        let job = (scenario.prepare)(&stage);
        let before: Vec<String> = stage.keys().into_iter().map(|(id, _)| id).collect();
        if deployment == Deployment::CentralStore
            && let Some(published) = stage.published_key()
        {
            store_centrally(&stage, &published);
        }
        stage.send(&job).await;
        stage.send(&stage.job(job.task)).await;
        stage.world(|world| world.journal.clear());
        Self { stage, before }
    }

    async fn ending(&self) -> (Vec<String>, Ending) {
        (violations(&self.stage), ending(&self.stage, &self.before).await)
    }
}

/// What an earlier rotation has published is where this deployment would have published it.
fn store_centrally(stage: &Stage, key: &str) {
    let account = end_to_end::ACCOUNT.parse().expect("an account id");
    let name = secret_name(&account, &USER.parse().expect("a user name"));
    let version = version_id(&key.parse().expect("a key id"));
    let value = serde_json::json!({"AccessKeyId": key, "SecretAccessKey": "earlier"}).to_string();
    stage.world(|world| {
        let now = world.now();
        world.secrets.arrange(now, MANAGEMENT_ACCOUNT, REGION, &name, &version, &value);
    });
}

struct Case {
    scenario: &'static Scenario,
    deployment: Deployment,
    /// The call it stands still at, from 1, and which that is.
    call: u64,
    operation: String,
    /// With the call under way, which arrives only when all is over; or with the answer there, not read.
    when: When,
    expected: Ending,
}

/// What an undisturbed worker does: its calls up to the end of its message, and what comes of it. Two freezes for each.
async fn cases(scenario: &'static Scenario, deployment: Deployment) -> Vec<Case> {
    let scene = Scene::set(scenario, deployment).await;
    let worker = Process::start(&scene.stage, &deployment.settings());
    until("the message is done", || scene.stage.waiting() == 0).await;
    worker.stop().await;
    let (broken, expected) = scene.ending().await;
    assert_eq!(broken, [] as [String; 0], "{}: undisturbed", scenario.name);
    assert_eq!(expected.published.as_deref(), Some("a new key"), "{}: undisturbed", scenario.name);
    let operations: Vec<String> = scene.stage.world(|world| {
        let calls = world.journal.calls();
        calls.map(|call| format!("{}:{}", call.service, call.operation)).collect()
    });
    let last = operations.iter().position(|operation| operation == "sqs:DeleteMessageBatch").expect("it was deleted");
    let frozen = operations.into_iter().take(last + 1).zip(1..);
    frozen
        .flat_map(|(operation, call)| {
            [When::Before, When::After].map(|when| {
                let (operation, expected) = (operation.clone(), expected.clone());
                Case { scenario, deployment, call, operation, when, expected }
            })
        })
        .collect()
}

impl Case {
    /// Gives how many calls of the thawed worker were refused because its session was over.
    async fn run(&self) -> Result<usize, String> {
        let scene = Scene::set(self.scenario, self.deployment).await;
        let stage = &scene.stage;
        let plan = HoldPlan { calls: Calls::default(), at_call: self.call, when: self.when };
        let hold = stage.world(|world| world.faults.hold(plan));
        let sleeper = Process::start(stage, &self.deployment.settings());
        until("the call is reached", || hold.is_reached()).await;
        sleeper.freeze().await;

        stage.pass(OLD);
        for _ in 0..ROUNDS {
            let mut other = Process::drain(stage, &self.deployment.settings());
            other.ended().await;
            if stage.waiting() == 0 {
                break;
            }
            stage.world(|world| {
                let next = world.queues.next_visible().unwrap_or(world.now()).max(world.now());
                world.clock.set(next + SignedDuration::from_secs(1));
            });
        }
        self.check("the other worker has finished", &scene, &sleeper.log()).await?;

        let calls = stage.world(|world| world.journal.total());
        hold.release();
        if self.when == When::Before {
            until("the late call has arrived", || stage.world(|world| world.journal.total()) > calls).await;
        }
        stage.send(&stage.job(Task::Account)).await;
        sleeper.signal(Signal::Thaw);
        until("the thawed worker has done the next message", || stage.waiting() == 0).await;
        let log = sleeper.log();
        sleeper.stop().await;
        self.check("the thawed worker has gone on", &scene, &log).await?;
        Ok(stage.world(|world| {
            let later = world.journal.calls().filter(|call| call.seq > calls);
            later.filter(|call| matches!(&call.outcome, Outcome::Refused(code) if code.starts_with("Expired"))).count()
        }))
    }

    async fn check(&self, when: &str, scene: &Scene, log: &str) -> Result<(), String> {
        let (broken, end) = scene.ending().await;
        if broken.is_empty() && end == self.expected && !log.contains("panicked") {
            return Ok(());
        }
        let Self { scenario, deployment, call, operation, when: point, expected } = self;
        let name = format!("{} ({deployment:?}), frozen at call {call}, {operation}, {point:?}", scenario.name);
        Err(format!("{name}: when {when}: {broken:?}\n  is     {end:?}\n  not    {expected:?}\n{log}"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_frozen_at_any_of_its_calls_breaks_nothing_when_it_wakes() {
    let mut all = Vec::new();
    for scenario in SCENARIOS.iter().filter(|scenario| FROZEN_IN.contains(&scenario.name)) {
        for deployment in DEPLOYMENTS {
            all.extend(cases(scenario, deployment).await);
        }
    }
    let total = all.len();
    let results: Vec<Result<usize, String>> =
        stream::iter(&all).map(Case::run).buffer_unordered(AT_ONCE).collect().await;
    let refused: usize = results.iter().flatten().sum();
    let failed: Vec<String> = results.into_iter().filter_map(Result::err).collect();
    println!(
        "{} scenarios, {} deployments, {total} freezes, {refused} late calls refused because the session was over, {} failed",
        FROZEN_IN.len(),
        DEPLOYMENTS.len(),
        failed.len()
    );
    for failure in &failed {
        println!("{failure}");
    }
    assert!(failed.is_empty(), "{} of {total} failed; the first: {}", failed.len(), failed[0]);
    assert!(all.iter().any(|case| case.operation == "iam:CreateAccessKey") && refused > 0);
}
