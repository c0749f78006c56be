//! The rows: what is measured, on what.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use end_to_end::{OWNER, Stage};
use rotation::{AccountId, Job, Task};
use sandbox::call::Service;
use sandbox::faults::RateLimit;
use sandbox::world::MANAGEMENT_ACCOUNT;

use crate::organization::{Calls, Shape, account, served, slow_down};
use crate::process::{Program, Usage};
use crate::results::Figures;

/// How often it is looked whether something is done.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// What all rows share.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) programs: PathBuf,
    /// The share of a row's accounts that there are.
    pub(crate) size: f64,
}

#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Start,
    Idle,
    Rotations,
    Workers,
    Throttled,
    Fleet,
    Large,
}

pub(crate) const ROWS: [Row; 7] = [
    Row { name: "start", what: "a worker, from its start to its first receive; no latency", kind: Kind::Start },
    Row { name: "idle", what: "1,000 accounts of 100 users, nothing due, 30 ms a call, one worker", kind: Kind::Idle },
    Row { name: "rotations", what: "200 accounts of 10 users, all due, one worker; no latency", kind: Kind::Rotations },
    Row {
        name: "workers",
        what: "640 idle accounts of 20 users, 100 ms a call: four workers against one",
        kind: Kind::Workers,
    },
    Row {
        name: "throttled",
        what: "500 idle accounts of 20 users, 30 ms a call, one worker: one account held to 2 IAM calls a second, and not",
        kind: Kind::Throttled,
    },
    Row {
        name: "fleet",
        what: "10,000 idle accounts of 50 users through the producer and two workers; no latency",
        kind: Kind::Fleet,
    },
    Row { name: "large", what: "one account of 5,000 users, all due, 30 ms a call, one worker", kind: Kind::Large },
];

pub(crate) fn names() -> Vec<&'static str> {
    ROWS.iter().map(|row| row.name).collect()
}

impl Row {
    pub(crate) async fn measure(&self, bench: &Bench) -> Figures {
        match self.kind {
            Kind::Start => bench.start().await,
            Kind::Idle => bench.idle().await,
            Kind::Rotations => bench.rotations().await,
            Kind::Workers => bench.workers().await,
            Kind::Throttled => bench.throttled().await,
            Kind::Fleet => bench.fleet().await,
            Kind::Large => bench.large().await,
        }
    }
}

/// What workers took to work off what was on the queue.
struct Drained {
    wall: Duration,
    calls: Calls,
    workers: Vec<Usage>,
    /// Of the sandbox, for the same.
    sandbox_cpu: f64,
}

impl Drained {
    fn cpu(&self) -> f64 {
        self.workers.iter().map(|usage| usage.cpu).sum()
    }

    fn peak_rss(&self) -> f64 {
        self.workers.iter().map(|usage| usage.rss).fold(0.0, f64::max)
    }

    /// What every row tells.
    fn figures(&self) -> Figures {
        let (calls, wall) = (self.calls.all as f64, self.wall.as_secs_f64());
        vec![
            ("wall_seconds", wall),
            ("calls", calls),
            ("calls_in_accounts", self.calls.in_accounts() as f64),
            ("calls_a_second", calls / wall),
            ("worker_cpu_seconds", self.cpu()),
            ("worker_cpu_ms_a_call", self.cpu() * 1e3 / calls),
            ("worker_peak_rss_mib", self.peak_rss()),
            ("sandbox_cpu_seconds", self.sandbox_cpu),
        ]
    }
}

impl Bench {
    fn part_of(&self, of: usize) -> usize {
        ((of as f64 * self.size).round() as usize).max(1)
    }

    fn worker(&self, stage: &Stage) -> Program {
        Program::start(&self.programs, "worker", &[], stage)
    }

    /// Workers, until no more than so many messages are left; whichever they are at then is cut short.
    async fn drain(&self, stage: &Stage, workers: usize, down_to: usize) -> Drained {
        stage.world(|world| world.journal.clear());
        let (began, sandbox) = (Instant::now(), Usage::of_the_sandbox());
        let mut workers: Vec<Program> = (0..workers).map(|_| self.worker(stage)).collect();
        until(|| stage.waiting() <= down_to, &mut workers).await;
        Drained {
            wall: began.elapsed(),
            calls: Calls::of(stage),
            workers: workers.iter_mut().map(Program::usage).collect(),
            sandbox_cpu: Usage::of_the_sandbox().cpu - sandbox.cpu,
        }
    }

    async fn start(&self) -> Figures {
        const TRIES: usize = 20;
        let mut took = Vec::new();
        let mut calls = 0;
        for _ in 0..TRIES {
            // A receive is counted once it is answered: so there is a message.
            let stage = served(Shape::idle(1, 0)).await;
            schedule(&stage, 1).await;
            stage.world(|world| world.journal.clear());
            let began = Instant::now();
            let worker = self.worker(&stage);
            loop {
                let so_far =
                    stage.world(|world| (world.journal.total(), world.journal.count(Service::Sqs, "ReceiveMessage")));
                if so_far.1 > 0 {
                    calls = so_far.0 - 1;
                    break;
                }
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
            took.push(began.elapsed().as_secs_f64() * 1e3);
            drop(worker);
        }
        took.sort_by(f64::total_cmp);
        vec![("least_ms", took[0]), ("median_ms", took[TRIES / 2]), ("calls_before_it", calls as f64)]
    }

    async fn idle(&self) -> Figures {
        let latency = Duration::from_millis(30);
        let shape = Shape::idle(self.part_of(1_000), 100);
        let stage = served(shape).await;
        schedule(&stage, shape.accounts).await;
        slow_down(&stage, latency);
        let drained = self.drain(&stage, 1, 0).await;
        let bound = drained.calls.bound(1, latency).as_secs_f64();
        let wall = drained.wall.as_secs_f64();
        let mut figures = drained.figures();
        figures.extend([
            ("bound_seconds", bound),
            ("of_the_bound", wall / bound),
            ("messages_a_second", shape.accounts as f64 / wall),
            ("calls_an_account", drained.calls.in_accounts() as f64 / shape.accounts as f64),
        ]);
        figures
    }

    async fn rotations(&self) -> Figures {
        let shape = Shape { accounts: self.part_of(200), users: 10, age_days: 95 };
        self.rotate_all(shape, Duration::ZERO).await
    }

    /// As many users as IAM allows in an account.
    async fn large(&self) -> Figures {
        let shape = Shape { accounts: 1, users: self.part_of(5_000), age_days: 95 };
        self.rotate_all(shape, Duration::from_millis(30)).await
    }

    async fn rotate_all(&self, shape: Shape, latency: Duration) -> Figures {
        let stage = served(shape).await;
        schedule(&stage, shape.accounts).await;
        slow_down(&stage, latency);
        let drained = self.drain(&stage, 1, 0).await;
        let rotated = (shape.accounts * shape.users) as f64;
        let mut figures = drained.figures();
        figures.extend([
            ("mails", drained.calls.mails as f64),
            ("rotations_a_second", rotated / drained.wall.as_secs_f64()),
            ("calls_a_rotation", drained.calls.in_accounts() as f64 / rotated),
        ]);
        figures
    }

    async fn workers(&self) -> Figures {
        let latency = Duration::from_millis(100);
        let mut walls = Vec::new();
        let mut figures = Vec::new();
        for workers in [1, 4] {
            let shape = Shape::idle(self.part_of(640), 20);
            let stage = served(shape).await;
            schedule(&stage, shape.accounts).await;
            slow_down(&stage, latency);
            let drained = self.drain(&stage, workers, 0).await;
            let bound = drained.calls.bound(workers, latency).as_secs_f64();
            walls.push(drained.wall.as_secs_f64());
            figures = drained.figures();
            figures.push(("of_the_bound", drained.wall.as_secs_f64() / bound));
        }
        figures.extend([("wall_seconds_of_one_worker", walls[0]), ("times_faster", walls[0] / walls[1])]);
        figures
    }

    async fn throttled(&self) -> Figures {
        /// The first of all, so that it is held to its rate while all others are worked on.
        const SLOW: usize = 0;
        let mut runs = Vec::new();
        for limited in [false, true] {
            let shape = Shape::idle(self.part_of(500), 20);
            let stage = served(shape).await;
            schedule(&stage, shape.accounts).await;
            slow_down(&stage, Duration::from_millis(30));
            if limited {
                let limit = RateLimit::new(&account(SLOW), &["iam:*"], 2.0);
                stage.world(|world| world.faults.limits.push(limit));
            }
            let mut drained = self.drain(&stage, 1, usize::from(limited)).await;
            drained.calls.accounts.remove(&account(SLOW));
            runs.push(drained);
        }
        let [free, limited] = runs.as_slice() else { unreachable!("two runs") };
        let mut figures = limited.figures();
        let accounts = free.calls.accounts.iter();
        let differ = accounts.filter(|(account, calls)| limited.calls.accounts.get(*account) != Some(calls)).count();
        let (before, wall) = (free.wall.as_secs_f64(), limited.wall.as_secs_f64());
        figures.extend([
            ("wall_seconds_without_the_limit", before),
            ("others_slower_percent", (wall / before - 1.0) * 100.0),
            ("others_with_other_calls", differ as f64),
        ]);
        figures
    }

    async fn fleet(&self) -> Figures {
        let accounts = self.part_of(10_000);
        let stage = served(Shape::idle(accounts, 50)).await;
        let (began, sandbox) = (Instant::now(), Usage::of_the_sandbox());
        let arguments = ["schedule", "--exclude-account", MANAGEMENT_ACCOUNT];
        let mut producer = Program::start(&self.programs, "producer", &arguments, &stage);
        let mut workers: Vec<Program> = (0..2).map(|_| self.worker(&stage)).collect();
        let ended = loop {
            if let Some(ended) = producer.ended() {
                break ended;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        };
        assert!(ended.success(), "the producer failed: {ended}");
        let scheduled = began.elapsed().as_secs_f64();
        until(|| stage.waiting() == 0, &mut workers).await;
        let drained = Drained {
            wall: began.elapsed(),
            calls: Calls::of(&stage),
            workers: workers.iter_mut().map(Program::usage).collect(),
            sandbox_cpu: Usage::of_the_sandbox().cpu - sandbox.cpu,
        };
        let wall = drained.wall.as_secs_f64();
        assert_eq!(drained.calls.accounts.len(), accounts, "every account was worked on");
        let mut figures = drained.figures();
        figures.extend([
            ("messages_a_second", accounts as f64 / wall),
            ("worker_cpu_ms_an_account", drained.cpu() * 1e3 / accounts as f64),
            ("all_scheduled_after_seconds", scheduled),
            ("producer_cpu_seconds", producer.last_usage().cpu),
            ("producer_peak_rss_mib", producer.last_usage().rss),
        ]);
        figures
    }
}

/// Puts a message for each of the first accounts on the queue.
async fn schedule(stage: &Stage, accounts: usize) {
    for number in 0..accounts {
        let id = AccountId::new(account(number)).expect("an account id");
        stage.send(&Job { email: Some(OWNER.to_owned()), ..Job::new(id, Task::Account) }).await;
    }
}

/// Waits until something is so, while none of these programs ends.
async fn until(is_so: impl Fn() -> bool, programs: &mut [Program]) {
    while !is_so() {
        for program in programs.iter_mut() {
            if let Some(ended) = program.ended() {
                panic!("a worker has ended before its time: {ended}");
            }
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
