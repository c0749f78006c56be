//! The proof by kills: an organization with hundreds of due keys, messages going on, three workers at a time, and SIGKILL at
//! random moments of their work. At the end no key, no secret, no message and no notice may be missing or one too many. One half
//! of the accounts is scheduled twice, so that two messages of one account wait; every user of the other half is in one message
//! and no more, so that a lost message is a user without a successor.
//!
//! Moments are drawn in calls, not in time: a worker is killed when the sandbox has seen so many more calls. From a seed; but
//! what processes do side by side is not replayable, and need not be: whatever they did, the end must be the same.

use std::collections::BTreeMap;
use std::time::Duration;

use end_to_end::Stage;
use end_to_end::violations::violations;
use jiff::SignedDuration;
use producer::dead_letters::redrive::{self, RedriveOptions};
use producer::organization::Scope;
use producer::schedule::{self, Granularity, ScheduleOptions};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rotation::AccountId;
use sandbox::call::Service;
use sandbox::journal::Effect;
use sandbox::services::sqs::Message;
use sandbox::world::MANAGEMENT_ACCOUNT;
use sandbox::{SandboxOptions, World};

use crate::attempts::Attempts;
use crate::population::{self, Due, not_at_rest};
use crate::process::Process;

/// Workers at a time.
const WORKERS: usize = 3;
/// Kills at least.
const KILLS: usize = 60;
/// Due users at least.
const DUE: usize = 300;
/// Calls of all workers together between two kills.
const BETWEEN_KILLS: std::ops::Range<u64> = 10..220;
/// Rounds without kills in which everything must come to rest.
const QUIET_ROUNDS: usize = 6;
/// How often the sandbox is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(2);
/// So many looks without a call mean that nobody has anything to do until time passes.
const IDLE: usize = 100;

struct Storm {
    stage: Stage,
    rng: ChaCha8Rng,
    workers: Vec<Process>,
    kills: usize,
    redriven: u64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_killed_at_any_moment_lose_nothing_on_a_fifo_queue() {
    kill_workers(true, 0x6b69_6c6c).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_killed_at_any_moment_lose_nothing_on_a_standard_queue() {
    kill_workers(false, 0x6b69_6c6d).await;
}

async fn kill_workers(fifo: bool, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (world, due) = population::organization(&mut rng);
    assert!(due.len() >= DUE, "only {} users are due", due.len());
    let accounts = population::accounts(&due);
    let options = SandboxOptions { longest_wait: Duration::from_millis(250), ..SandboxOptions::new(world) };
    let stage = Stage::serving(options, fifo).await;
    let mut storm = Storm { stage, rng, workers: Vec::new(), kills: 0, redriven: 0 };
    let (first, second) = accounts.split_at(accounts.len() / 2);
    storm.schedule(first, Granularity::Account).await;
    storm.schedule(first, Granularity::Account).await;
    storm.rage(KILLS / 4).await;
    // These come while the others are still being worked on, a message for each user.
    assert!(storm.stage.waiting() > 0);
    storm.schedule(second, Granularity::User).await;
    storm.rage(usize::MAX).await;
    storm.come_to_rest().await;
    storm.tell(&due);
    let mut broken = violations(&storm.stage);
    broken.extend(storm.stage.world(|world| not_at_rest(world, &due)));
    broken.extend(storm.unexplained_letters());
    assert_eq!(broken, [] as [String; 0]);
    assert!(storm.kills >= KILLS, "only {} kills", storm.kills);
    let attempts = storm.stage.world(|world| Attempts::new(world));
    assert!(attempts.orphans_deleted + attempts.pending_published > 0, "the kills missed the steps: {attempts}");
}

impl Storm {
    async fn schedule(&self, accounts: &[AccountId], granularity: Granularity) {
        let scope = Scope { accounts: accounts.to_vec(), ..Scope::default() };
        let options = ScheduleOptions { scope, granularity, ..ScheduleOptions::default() };
        let connection = self.stage.connection("producer");
        let report = schedule::run(&connection, &self.stage.producer_settings(), &options).await;
        let report = report.expect("the organization can be scheduled");
        assert_eq!(report.problems, []);
    }

    fn worker(&self) -> Process {
        // Few messages at a time, so that a kill interrupts some of the work and not all of it.
        Process::start(&self.stage, &[("MAX_CONCURRENT_MESSAGES", "3"), ("MAX_CONCURRENT_USERS", "3")])
    }

    /// Lets workers work, and kills them, until there were so many kills or the queue is empty.
    async fn rage(&mut self, kills: usize) {
        while self.workers.len() < WORKERS {
            self.workers.push(self.worker());
        }
        while self.stage.waiting() > 0 && self.kills < kills {
            let after = self.rng.random_range(BETWEEN_KILLS);
            if self.calls(after).await {
                let victim = self.rng.random_range(0..WORKERS);
                self.workers[victim].kill();
                self.workers[victim] = self.worker();
                self.kills += 1;
                self.pass_a_while();
            } else {
                // Everything waits for its time: a retry, a dead worker's message, an intent to become old.
                self.stage.world(|world| {
                    let next = world.queues.next_visible().unwrap_or(world.now()).max(world.now());
                    world.clock.set(next + SignedDuration::from_secs(1));
                });
            }
        }
    }

    /// Mostly no time at all passes with a kill; now and then a visibility timeout, or a session with its intents.
    fn pass_a_while(&mut self) {
        let seconds = match self.rng.random_range(0..20) {
            0..12 => 0,
            12..16 => 10,
            16..19 => 121,
            _ => 21 * 60,
        };
        self.stage.pass(SignedDuration::from_secs(seconds));
    }

    /// Waits for so many more calls; false where no more come.
    async fn calls(&self, more: u64) -> bool {
        let until = self.worked() + more;
        let (mut last, mut looks) = (0, 0);
        while self.worked() < until {
            let now = self.worked();
            looks = if now == last { looks + 1 } else { 0 };
            last = now;
            if looks == IDLE || self.stage.waiting() == 0 {
                return false;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        true
    }

    /// Calls so far that are work, and not waiting for it.
    fn worked(&self) -> u64 {
        self.stage.world(|world| world.journal.total() - world.journal.count(Service::Sqs, "ReceiveMessage"))
    }

    /// The workers are told to stop; dead letters are sent back; then one worker after the other, in peace.
    async fn come_to_rest(&mut self) {
        for worker in self.workers.drain(..) {
            worker.stop().await;
        }
        assert_eq!(self.unexplained_letters(), [] as [String; 0]);
        let connection = self.stage.connection("producer");
        let report = redrive::run(&connection, &self.stage.producer_settings(), &RedriveOptions::default()).await;
        let report = report.expect("the dead letters can be sent back");
        assert_eq!(report.problems, [] as [String; 0]);
        self.redriven = report.redriven;
        for _ in 0..QUIET_ROUNDS {
            let mut worker = Process::drain(&self.stage, &[]);
            worker.ended().await;
            if self.stage.waiting() == 0 {
                return;
            }
            self.stage.pass(SignedDuration::from_mins(22));
        }
        panic!("{} messages never come to rest", self.stage.waiting());
    }

    /// The dead letters that are there, but for those that were delivered as often as the queue allows.
    fn unexplained_letters(&self) -> Vec<String> {
        let explained = |letter: &&Message| {
            let attempts = letter.attributes.get("Attempts").and_then(|attempts| attempts.string_value.as_deref());
            letter.dead_letter_source.is_some() || attempts == Some("5")
        };
        let letters = self.letters();
        letters.iter().filter(|letter| !explained(letter)).map(|letter| format!("dead letter: {letter:?}")).collect()
    }

    fn letters(&self) -> Vec<Message> {
        self.stage.world(|world| {
            let queue = world.queues.queue(MANAGEMENT_ACCOUNT, self.stage.dead_letters.name());
            queue.expect("the dead-letter queue").messages().cloned().collect()
        })
    }

    /// The count of everything.
    fn tell(&self, due: &[Due]) {
        let left = self.letters().len();
        let Self { kills, redriven, .. } = self;
        self.stage.world(|world| {
            let users: usize = world.accounts.values().map(|account| account.users.len()).sum();
            println!("{kills} SIGKILLs of {WORKERS} workers at a time, {} due users of {users}", due.len());
            println!("{}", Attempts::new(world));
            let effects = |is: fn(&Effect) -> bool| world.journal.effects().iter().filter(|e| is(&e.effect)).count();
            println!(
                "messages: {} sent, {} deliveries, {} deleted, {} moved by the redrive policy, {redriven} dead letters sent \
                 back, {left} left; {} mails",
                effects(|effect| matches!(effect, Effect::MessageSent { .. })),
                effects(|effect| matches!(effect, Effect::MessageReceived { .. })),
                effects(|effect| matches!(effect, Effect::MessageDeleted { .. })),
                effects(|effect| matches!(effect, Effect::MessageDeadLettered { .. })),
                world.mail.outbox().len(),
            );
            println!("{} AWS calls: {}", world.journal.total(), by_operation(world));
        });
    }
}

fn by_operation(world: &World) -> String {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for (key, count) in world.journal.counts() {
        *counts.entry(format!("{}:{}", key.service, key.operation)).or_default() += count;
    }
    let counts: Vec<String> = counts.iter().map(|(operation, count)| format!("{operation} {count}")).collect();
    counts.join(", ")
}
