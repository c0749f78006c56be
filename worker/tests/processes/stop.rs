//! A worker that is told to stop: SIGTERM from ECS or systemd, SIGINT from a terminal. It receives nothing more, lets work in
//! flight end within its limit, hands the rest back at once, and exits 0.

use std::time::Duration;

use end_to_end::{ACCOUNT, OWNER, Stage};
use jiff::SignedDuration;
use rotation::Task;
use sandbox::call::Service;
use sandbox::faults::{Calls, Hold, HoldPlan, When};
use sandbox::journal::Effect;
use sandbox::services::sqs::Place;
use sandbox::world::MANAGEMENT_ACCOUNT;
use sandbox::{Clock, KeySpec, SandboxOptions, World};

use crate::process::{Process, Signal, until};

/// What the worker logs when it has got a signal: from then on it must behave so.
const TOLD: &str = "shutting down";
/// So that this line is logged.
const LOGGING: (&str, &str) = ("RUST_LOG", "info");
/// Longer than any test.
const LONG_GRACE: (&str, &str) = ("STOP_GRACE", "3600");

/// A worker in the middle of a message: the call that makes a key is under way. Another message waits.
async fn in_the_middle(stage: &Stage, settings: &[(&str, &str)]) -> (Process, Hold) {
    stage.user(&[KeySpec::aged(95).used_days_ago(1)]);
    let hold = stage.world(|world| {
        let calls = Calls::new("iam:CreateAccessKey");
        world.faults.hold(HoldPlan { calls, at_call: 1, when: When::Before })
    });
    for _ in 0..2 {
        stage.send(&stage.job(Task::Account)).await;
    }
    let worker = Process::start(stage, &[&[LOGGING, ("MAX_CONCURRENT_MESSAGES", "1")], settings].concat());
    until("the key is being made", || hold.is_reached()).await;
    (worker, hold)
}

async fn tell(worker: &Process, signal: Signal, times: usize) {
    worker.signal(signal);
    until("the worker has got the signal", || worker.log().matches(TOLD).count() == times).await;
}

/// How often each message has been received, and whether it can be received now.
fn messages(stage: &Stage) -> Vec<(u32, bool)> {
    stage.world(|world| {
        let queue = world.queues.queue(MANAGEMENT_ACCOUNT, stage.queue.name()).expect("the work queue");
        queue.messages().map(|message| (message.receive_count, message.place == Place::Visible)).collect()
    })
}

fn receives(stage: &Stage) -> u64 {
    stage.world(|world| world.journal.count(Service::Sqs, "ReceiveMessage"))
}

#[tokio::test]
async fn an_idle_worker_exits_0_on_sigterm_and_on_sigint() {
    for signal in [Signal::Terminate, Signal::Interrupt] {
        let stage = Stage::new().await;
        let mut worker = Process::start(&stage, &[]);
        until("it waits for messages", || receives(&stage) > 0).await;
        worker.signal(signal);
        assert_eq!(worker.ended().await, Some(0), "{signal:?}: {}", worker.log());
    }
}

#[tokio::test]
async fn told_to_stop_it_ends_what_it_works_on_and_receives_nothing_more() {
    for signal in [Signal::Terminate, Signal::Interrupt] {
        let stage = Stage::with(false).await;
        let (mut worker, hold) = in_the_middle(&stage, &[LONG_GRACE]).await;
        let before = receives(&stage);
        tell(&worker, signal, 1).await;
        hold.release();
        assert_eq!(worker.ended().await, Some(0), "{}", worker.log());
        assert_eq!(stage.keys().len(), 2, "the work was ended");
        assert!(stage.published_key().is_some());
        assert_eq!(messages(&stage), [(0, true)], "its message is deleted, and the other was never received");
        assert_eq!(receives(&stage), before);
    }
}

#[tokio::test]
async fn what_has_not_ended_within_the_limit_is_handed_back_at_once() {
    for fifo in [true, false] {
        let stage = Stage::with(fifo).await;
        let (mut worker, hold) = in_the_middle(&stage, &[("STOP_GRACE", "0")]).await;
        worker.signal(Signal::Terminate);
        assert_eq!(worker.ended().await, Some(0), "{}", worker.log());
        assert_eq!(messages(&stage), [(1, true), (0, true)], "visible without any time having passed");
        hold.release();
        let left = stage.world(|world| world.journal.count(Service::Sqs, "DeleteMessageBatch"));
        assert_eq!(left, 0, "nothing unfinished was deleted");
    }
}

#[tokio::test]
async fn a_second_signal_ends_the_grace() {
    let stage = Stage::new().await;
    let (mut worker, _hold) = in_the_middle(&stage, &[LONG_GRACE]).await;
    tell(&worker, Signal::Terminate, 1).await;
    assert!(worker.is_running(), "one signal alone leaves it an hour");
    tell(&worker, Signal::Interrupt, 2).await;
    assert_eq!(worker.ended().await, Some(0), "{}", worker.log());
    assert_eq!(messages(&stage), [(1, true), (0, true)]);
}

/// How often each message has been received at most.
fn most_receives(stage: &Stage) -> u32 {
    messages(stage).into_iter().map(|(receives, _)| receives).max().unwrap_or_default()
}

fn successors(stage: &Stage) -> usize {
    stage.world(|world| {
        let effects = world.journal.effects().iter();
        effects.filter(|record| matches!(record.effect, Effect::KeyCreated { .. })).count()
    })
}

/// A fleet that is deployed while it works: each time users that were begun are finished and told of, and the next worker goes on
/// from there. The worker's own long poll is under way all the while, and must not take what is handed back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_stops_cost_a_message_one_receive_each_and_everything_is_done_in_the_end() {
    const DUE: usize = 60;
    /// Longer than a long poll that a stopped worker no longer waits for.
    const LATER: SignedDuration = SignedDuration::from_secs(21);
    for fifo in [true, false] {
        let mut world = World::new(1, Clock::frozen_at("2026-03-01T09:00:00Z".parse().expect("a valid time")));
        world.add_account(ACCOUNT, "prod", OWNER);
        let options = SandboxOptions { longest_wait: Duration::from_secs(20), ..SandboxOptions::new(world) };
        let stage = Stage::serving(options, fifo).await;
        let users: Vec<String> = (0..DUE).map(|number| format!("user-{number}")).collect();
        for user in &users {
            stage.user_named(user, &[KeySpec::aged(95).used_days_ago(1)]);
        }
        stage.world(|world| world.faults.latency = Duration::from_millis(20));
        stage.send(&stage.job(Task::Account)).await;
        for stops in 1..=3 {
            let worker = Process::start(&stage, &[LOGGING]);
            let before = successors(&stage);
            until("some users are done", || successors(&stage) >= before + 6).await;
            worker.stop().await;
            assert!(most_receives(&stage) <= stops, "{} receives after {stops} stops", most_receives(&stage));
            assert_eq!(stage.waiting(), 1, "the message is on the queue");
            stage.pass(LATER);
        }
        let told = stage.world(|world| world.mail.outbox().len());
        assert_eq!(told, 3, "each told of what it had done");
        let mut last = Process::drain(&stage, &[]);
        assert_eq!(last.ended().await, Some(0), "{}", last.log());
        assert_eq!(stage.waiting(), 0);
        assert_eq!(stage.dead_letters().await, []);
        assert_eq!(successors(&stage), DUE);
        let mails = stage.mails();
        for user in &users {
            let old = &stage.keys_of(user)[0].0;
            assert!(mails.iter().any(|(_, text)| text.contains(old)), "{user} is told");
        }
    }
}
