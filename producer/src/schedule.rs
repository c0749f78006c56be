//! `producer schedule`: one message per account, or per user, on the work queue.
//!
//! Listing, expanding accounts to users and sending run side by side over short channels: with 10,000 accounts the first message is
//! on the queue after the first page, and no more than a few hundred are ever held.

mod earlier;
mod report;

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use key_rotation_aws::Connection;
use key_rotation_aws::settings::whole;
use key_rotation_aws::telemetry::SUMMARY;
use rotation::event::SCHEMA_VERSION;
use rotation::names::session_name;
use rotation::{AccountId, Job, Task};
use serde::Serialize;
use tokio::sync::mpsc;
use tracing::Instrument;
use uuid::Uuid;

pub use earlier::{EarlierMessages, RunRecord};
pub use report::{Problem, ScheduleReport};

use crate::command::CommandError;
use crate::enqueue::Enqueuer;
use crate::organization::{Member, Organization, Scope, UnitOrAccount, enforced_accounts};
use crate::queue;
use crate::request::LONGEST_WAIT;
use crate::settings::Settings;
use crate::users::{ExpansionSummary, Users};
use crate::watch::{self, WatchReport};

/// What stands between two stages at most.
const BETWEEN_STAGES: usize = 100;

/// Send one message per account to the work queue, for the whole organization or for some units or accounts.
///
/// Without --ou and --account: every account whose state is ACTIVE. Which keys are due, and whether anything is changed at
/// all, is decided by the workers: they only report unless they run with DRY_RUN=false. So a roll-out in stages is: audit
/// everywhere, then enforcing workers with --enforce-in of the first accounts or units, then everybody.
#[derive(Debug, Clone, Default, Args)]
pub struct ScheduleOptions {
    /// Whom it concerns.
    #[command(flatten)]
    pub scope: Scope,

    /// One message per account, or per user: the latter assumes each account's role to list its users
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    pub granularity: Granularity,

    /// Ask for an audit only: workers say what they would do, and change nothing, even where they enforce
    #[arg(long)]
    pub dry_run: bool,

    /// Enforce in this unit or account alone, and audit everywhere else the run goes; may be repeated
    #[arg(long, env = "ENFORCE_IN", value_name = "OU|ID", value_delimiter = ',')]
    pub enforce_in: Vec<UnitOrAccount>,

    /// Follow the queue until it is worked off; exit 1 if messages of this run end as dead letters
    #[arg(long)]
    pub watch: bool,

    /// With --watch: believe an empty queue no sooner than this many seconds after sending, as SQS's counts lag
    #[arg(long, requires = "watch", value_name = "SECONDS", default_value_t = 60, value_parser = whole::<u64>("seconds", 0..=LONGEST_WAIT))]
    pub counts_lag_seconds: u64,
}

/// What a message is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Granularity {
    /// An account with all its users.
    #[default]
    Account,
    /// A single user.
    User,
}

/// Sends a message for each account, or user, of the scope.
///
/// # Errors
/// [`CommandError`] where nothing could be sent; what failed for single accounts is in the report.
pub async fn run(
    connection: &Connection,
    settings: &Settings,
    options: &ScheduleOptions,
) -> Result<ScheduleReport, CommandError> {
    let run_id = Uuid::new_v4();
    let span = tracing::info_span!("schedule", %run_id);
    // Boxed: it is a deep nest of futures, which whoever calls it need not carry.
    Box::pin(schedule(connection, settings, options, run_id)).instrument(span).await
}

async fn schedule(
    connection: &Connection,
    settings: &Settings,
    options: &ScheduleOptions,
    run_id: Uuid,
) -> Result<ScheduleReport, CommandError> {
    let earlier = match queue::check(connection, "QUEUE_URL", &settings.queue).await? {
        Some(depth) => EarlierMessages::read(connection, &settings.queue, depth).await,
        None => None,
    };
    if let Some(earlier) = &earlier {
        tracing::warn!("{earlier}");
    }
    let session_name = session_name(&run_id);
    let organization = Organization::new(connection, settings.org_list.as_ref(), &session_name);
    let resolved = options.scope.resolve(&organization).await?;
    let enforced = enforced_accounts(&options.enforce_in, &organization).await?;

    let run = ScheduledRun {
        run_id,
        requested_at: connection.clock().now(),
        dry_run: options.dry_run,
        enforced,
        reached: Mutex::default(),
    };
    let users = Users { connection, role: &settings.member_role, session_name: &session_name };
    let enqueuer = Enqueuer::new(connection, &settings.queue);
    let (found, members) = mpsc::channel(BETWEEN_STAGES);
    let (ready, jobs) = mpsc::channel(BETWEEN_STAGES);
    let (listed, expanded, sent) = tokio::join!(
        resolved.list(&organization, found),
        run.jobs(members, ready, options.granularity, &users),
        enqueuer.send_all(jobs),
    );
    let mut report = ScheduleReport::new(&run, &settings.queue, options.granularity, listed, expanded, sent);
    report.earlier = earlier;
    if report.messages > 0 {
        let record = RunRecord { run_id, requested_at: run.requested_at, messages: report.messages };
        if let Err(error) = earlier::record(connection, &settings.queue, &record).await {
            report
                .remarks
                .push(format!("this run is not on record on the queue, so a later one cannot tell its age: {error}"));
        }
    }
    tracing::info!(
        target: SUMMARY,
        schema_version = SCHEMA_VERSION,
        event = "run_scheduled",
        dry_run = report.dry_run,
        accounts = report.accounts,
        accounts_excluded = report.excluded,
        accounts_not_active = report.not_active.values().sum::<u64>(),
        accounts_not_reached = report.accounts_not_reached(),
        messages = report.messages,
        "the run is on the queue"
    );
    if options.watch {
        let counts_lag = Duration::from_secs(options.counts_lag_seconds);
        match watch::until_empty(connection, settings, run_id, report.messages, counts_lag).await {
            Ok(watched) => {
                log_finished(&watched, report.dry_run);
                report.watched = Some(watched);
            }
            Err(error) => report.problems.push(Problem::general(error.to_string())),
        }
    }
    Ok(report)
}

/// What is known of a run at its end without a database: how many messages there were and how many of them are dead letters. What
/// was done to keys is in the workers' summaries, under the run's id.
fn log_finished(watched: &WatchReport, dry_run: bool) {
    tracing::info!(
        target: SUMMARY,
        schema_version = SCHEMA_VERSION,
        event = "run_finished",
        dry_run,
        messages = watched.sent,
        dead_letters = watched.dead_letters.as_ref().map(Vec::len),
        seconds = watched.seconds,
        "the run is finished"
    );
}

/// What all messages of a run have in common.
struct ScheduledRun {
    run_id: Uuid,
    requested_at: Timestamp,
    /// Whether it only audits, wherever.
    dry_run: bool,
    /// The accounts in which it does more than audit; `None`: in all.
    enforced: Option<HashSet<AccountId>>,
    /// Those of them that the run has come to.
    reached: Mutex<HashSet<AccountId>>,
}

impl ScheduledRun {
    /// How many accounts it does more than audit in, where that is not in all.
    fn enforced_accounts(&self) -> Option<usize> {
        self.enforced.as_ref()?;
        Some(self.reached.lock().unwrap_or_else(PoisonError::into_inner).len())
    }

    fn audits(&self, account: &AccountId) -> bool {
        self.dry_run || self.enforced.as_ref().is_some_and(|those| !those.contains(account))
    }

    fn job(&self, member: Member, task: Task) -> Job {
        if self.enforced.is_some() && !self.audits(&member.account) {
            self.reached.lock().unwrap_or_else(PoisonError::into_inner).insert(member.account.clone());
        }
        Job {
            name: member.name,
            email: member.email,
            dry_run: self.audits(&member.account),
            run_id: Some(self.run_id),
            requested_at: Some(self.requested_at),
            ..Job::new(member.account, task)
        }
    }

    async fn jobs(
        &self,
        mut members: mpsc::Receiver<Member>,
        to: mpsc::Sender<Job>,
        granularity: Granularity,
        users: &Users<'_>,
    ) -> ExpansionSummary {
        match granularity {
            Granularity::User => users.expand(members, to, |member, user| self.job(member, Task::User(user))).await,
            Granularity::Account => {
                let mut summary = ExpansionSummary::default();
                while let Some(member) = members.recv().await {
                    if to.send(self.job(member, Task::Account)).await.is_err() {
                        break;
                    }
                    summary.accounts += 1;
                }
                summary
            }
        }
    }
}
