//! The product's main job, whole and real, without an AWS account.
//!
//! The real producer and the real workers run over a generated organization through real sockets, one scheduled run a simulated
//! day. In the end the sandbox's own journal, not the product, says whether the promises were kept.

mod chart;
pub mod fleet;
mod life;
mod outcome;
pub mod promises;
mod story;
mod table;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use self::chart::Chart;
use self::fleet::Fleet;
use self::promises::{Broken, CheckResult, check};

/// Broken promises that are shown; of the first one the whole story.
const SHOWN: usize = 10;

/// The settings of `demo`.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Accounts besides the management account
    #[arg(long, default_value_t = 5)]
    pub accounts: usize,
    /// Users in each account
    #[arg(long, default_value_t = 13)]
    pub users_per_account: usize,
    /// Simulated days: one scheduled run at the start, and one after each day
    #[arg(long, default_value_t = 110)]
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
    /// Tell at the end what was done with this user, written ACCOUNT/USER
    #[arg(long, value_name = "ACCOUNT/USER")]
    pub story: Option<String>,
    /// Directory for the reports and mails
    #[arg(long, value_name = "DIR", default_value = "target/demo")]
    pub out: PathBuf,
}

/// Why the demo could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("the sandbox cannot be served, or a file not be written: {0}")]
    Io(#[from] std::io::Error),
    #[error("there is no report: {0}")]
    Report(producer::CommandError),
    #[error("the queues could not be made: {0}")]
    SetUp(String),
    #[error("the producer failed on day {day}: {source}")]
    Producer { day: u32, source: producer::CommandError },
    #[error("a worker did not start on day {day}: {source}")]
    Worker { day: u32, source: worker::StartError },
}

/// Shows the demo; whether every promise was kept.
///
/// # Errors
/// [`DemoError`].
pub async fn run(args: &DemoArgs) -> Result<bool, DemoError> {
    let began = Instant::now();
    println!(
        "{} accounts with {} users each, seed {}; producer and {} workers in {}; {} days.",
        args.accounts,
        args.users_per_account,
        args.seed,
        args.workers,
        if args.audit { "audit mode" } else { "enforcement" },
        args.days
    );
    let mut fleet = Fleet::new(args).await?;
    let before = fleet.before(&args.out.join("before")).await?;
    let mut chart = Chart::default();
    let bar = progress_bar(u64::from(args.days));
    for day in 0..=args.days {
        fleet.live_a_day().await?;
        fleet.sandbox.with(|world| chart.note(world, &fleet.settings.policy));
        bar.set_position(u64::from(day));
    }
    bar.finish_and_clear();

    let table = fleet.sandbox.with(|world| table::table(world, &fleet.accounts, fleet.dead_letters.name()));
    println!("{table}\n\n{}\n", chart.draw());
    let after = fleet.report(&args.out.join("after")).await?;
    println!("{}\n", fleet.sandbox.with(|world| outcome::comparison(&before, &after, world)));
    let mails = fleet.sandbox.with(|world| outcome::write_mails(world.mail.outbox(), &args.out))?;
    show_what_is_next(&args.out, &mails);
    let record = fleet.record();
    let result = check(&record, &fleet.settings.policy);
    if let Some((account, user)) = args.story.as_deref().and_then(|story| story.split_once('/')) {
        println!("{}\n", story::of_user(&record, account, user, None));
    }
    if let Some(first) = result.broken.first() {
        show_broken(&result, args);
        println!("\n{}\n", story::of_user(&record, &first.account, &first.user, Some(first.call)));
    }
    println!("{result} ({:.1} s)", began.elapsed().as_secs_f64());
    Ok(result.broken.is_empty())
}

fn show_what_is_next(out: &Path, mails: &[&str]) {
    println!("To look at, in {}:", out.display());
    println!("  before/{0}, after/{0}   how every key stood, and stands", producer::report::PAGE);
    println!("  {}", mails.join(", "));
    println!(
        "\nTo try next:\n  \
         producer report --this-account   the same report on your own account: it only reads, and needs nothing deployed\n  \
         docs/tour.md                     the same with real processes and the aws command line\n  \
         docs/deployment.md               your organization, in audit mode first\n"
    );
}

fn show_broken(result: &CheckResult, args: &DemoArgs) {
    for Broken { promise, account, user, at, sentence, .. } in result.broken.iter().take(SHOWN) {
        println!("BROKEN ({promise}), {user} in {account}, {at}: {sentence}");
    }
    let more = result.broken.len().saturating_sub(SHOWN);
    if more > 0 {
        println!("and {more} more");
    }
    let DemoArgs { accounts, users_per_account, days, workers, seed, audit, .. } = args;
    let audit = if *audit { " --audit" } else { "" };
    println!(
        "\nThe same organization again: cargo run --release --bin demo -- --accounts {accounts} --users-per-account \
         {users_per_account} --days {days} --workers {workers} --seed {seed}{audit}\n\
         Which worker takes which message may differ from run to run; \
         --story ACCOUNT/USER tells what was done with any user."
    );
}

fn progress_bar(days: u64) -> ProgressBar {
    let target =
        if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("day {pos:>3} of {len} {wide_bar} {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(days), target).with_style(style)
}
