//! `sandbox demo`: the product's main job, whole and real, without an AWS account.
//!
//! The real producer and the real worker run over a generated organization through real sockets, one scheduled run a simulated
//! day. In the end the sandbox's own journal, not the product, says whether the three promises were kept.

mod chart;
pub mod connect;
mod life;
pub mod promises;
mod table;

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::{SignedDuration, Timestamp};
use key_rotation_aws::QueueUrl;
use producer::schedule::ScheduleOptions;
use worker::Tally;
use worker::queue::Stop;

use self::chart::Chart;
use self::life::Owners;
use crate::clock::Clock;
use crate::generate::{self, Shape};
use crate::serve::{REGION, SENDER, set_up_fleet};
use crate::server::{Sandbox, SandboxOptions};
use crate::world::{MEMBER_ROLE, World};

/// The settings of `sandbox demo`.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Accounts besides the management account
    #[arg(long, default_value_t = 20)]
    pub accounts: usize,
    /// Users in each account
    #[arg(long, default_value_t = 20)]
    pub users_per_account: usize,
    /// Simulated days, with one scheduled run each
    #[arg(long, default_value_t = 120)]
    pub days: u32,
    /// Workers side by side
    #[arg(long, default_value_t = 2)]
    pub workers: usize,
    /// What the organization is drawn from
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Only tell what would be done: audit mode
    #[arg(long)]
    pub audit: bool,
}

/// Why the demo could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// No port.
    #[error("the sandbox cannot be served: {0}")]
    Io(#[from] std::io::Error),
    /// The queues could not be made.
    #[error("the queues could not be made: {0}")]
    SetUp(String),
    /// The producer failed.
    #[error("the producer failed on day {day}: {source}")]
    Producer {
        /// The day.
        day: u32,
        /// Why.
        source: producer::CommandError,
    },
    /// A worker did not start.
    #[error("a worker did not start on day {day}: {source}")]
    Worker {
        /// The day.
        day: u32,
        /// Why.
        source: worker::StartError,
    },
}

/// How a long poll waits at most, in real time: simulated days need no real seconds.
const LONGEST_WAIT: Duration = Duration::from_millis(10);

/// Shows the demo; whether every promise was kept.
///
/// # Errors
/// [`DemoError`].
pub async fn run(args: &DemoArgs) -> Result<bool, DemoError> {
    let began = Instant::now();
    // Fixed, so that the same seed tells the same story on any day.
    let start: Timestamp = "2026-01-01T06:00:00Z".parse().expect("a valid time");
    let mut world = World::new(args.seed, Clock::frozen_at(start));
    let shape = Shape { accounts: args.accounts, users_per_account: args.users_per_account };
    let accounts = generate::organization(&mut world, shape);
    let sandbox = Sandbox::start(SandboxOptions { longest_wait: LONGEST_WAIT, ..SandboxOptions::new(world) }).await?;
    let queues = sandbox.with(|world| set_up_fleet(world, REGION, true));
    let queues = queues.map_err(|error| DemoError::SetUp(error.message))?;
    let url = |text: &str| text.parse::<QueueUrl>().map_err(|error| DemoError::SetUp(error.to_string()));
    let (queue, dead_letters) = (url(&queues.work)?, url(&queues.dead_letters)?);

    let mut settings = worker::Settings::new(queue.clone());
    settings.dry_run = args.audit;
    settings.drain = true;
    settings.mail.sender = Some(SENDER.to_owned());
    settings.owner_tag = Some(generate::OWNER_TAG.to_owned());
    settings.role.name = MEMBER_ROLE.to_owned();
    settings.limits.drain_patience = Duration::ZERO;
    let producing = producer::Settings {
        queue,
        dead_letter_queue: Some(dead_letters.clone()),
        urgent_queue: None,
        member_role: settings.role.clone(),
        org_list: None,
    };
    let producer_connection = connect::connection(&sandbox, "demo-producer");
    let connections: Vec<_> =
        (1..=args.workers).map(|n| connect::connection(&sandbox, &format!("demo-worker-{n}"))).collect();
    let tally = Arc::new(Tally::default());

    println!(
        "{} accounts with {} users each; producer and {} workers in {}; {} days.",
        args.accounts,
        args.users_per_account,
        args.workers,
        if args.audit { "audit mode" } else { "enforcement" },
        args.days
    );
    let bar = progress_bar(u64::from(args.days));
    let mut owners = Owners::new(args.seed);
    let mut chart = Chart::default();
    let mut unread = life::Unreadable::choose(&sandbox, &accounts);
    for day in 0..=args.days {
        sandbox.with(|world| {
            if day > 0 {
                world.clock.advance(SignedDuration::from_hours(24));
            }
            owners.live_a_day(world);
            unread.on_day(world, day);
        });
        producer::schedule::run(&producer_connection, &producing, &ScheduleOptions::default())
            .await
            .map_err(|source| DemoError::Producer { day, source })?;
        let working =
            connections.iter().map(|connection| worker::run(&settings, connection, tally.clone(), Stop::default()));
        for worked in futures::future::join_all(working).await {
            worked.map_err(|source| DemoError::Worker { day, source })?;
        }
        sandbox.with(|world| chart.note(world, &settings.policy));
        bar.set_position(u64::from(day));
    }
    bar.finish_and_clear();

    let (table, verdict) = sandbox.with(|world| {
        (table::table(world, &accounts, dead_letters.name(), &tally), promises::check(world, &settings.policy))
    });
    println!("{table}\n\n{}", chart.draw());
    for broken in verdict.broken.iter().take(20) {
        println!("BROKEN: {broken}");
    }
    println!(
        "\nChecked against the journal: {} disables, {} deletions, what followed {} refused questions: {} promises broken ({:.1} s)",
        verdict.disables,
        verdict.deletions,
        verdict.unknowns,
        verdict.broken.len(),
        began.elapsed().as_secs_f64()
    );
    Ok(verdict.broken.is_empty())
}

fn progress_bar(days: u64) -> ProgressBar {
    let target =
        if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("day {pos:>3} of {len} {wide_bar} {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(days), target).with_style(style)
}
