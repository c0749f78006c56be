//! `producer report`: how every access key stands, by reading alone. No queue and no worker is needed for it.
//!
//! `gather` reads the accounts, some at once; `evaluate` makes a [`Document`] of what was read, with the rules' own judgement;
//! `files` writes it as a page, as a table and as JSON.

mod access;
mod account;
mod controls;
pub mod document;
mod evaluate;
mod files;
mod gather;
mod keys_table;
mod options;
mod page;
mod progress;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use key_rotation_aws::{Connection, RetryPolicy};
use rotation::AccountId;
use rotation::names::session_name;
use serde::Serialize;
use tracing::Instrument;
use uuid::Uuid;

pub use document::Document;
pub use options::{FailOn, PeriodOptions, ReportOptions};

use self::access::AccessMethod;
use self::account::AccountReader;
use self::document::{Read, Source, Summary};
use self::evaluate::Basis;
use self::gather::AccountRecords;
use self::progress::ProgressDisplay;
use crate::command::{CommandError, Report, count};
use crate::organization::Organization;
use crate::settings::AccountAccess;

/// The files of a report.
pub const PAGE: &str = "report.html";
pub const DATA: &str = "report.json";
pub const TABLE: &str = "keys.csv";

/// Problems that are named one by one on stderr; all of them are in the report.
const NAMED: usize = 20;

/// What was found, in short.
#[derive(Debug, Clone, Serialize)]
pub struct ReportSummary {
    /// Whether all that was asked for was read.
    pub complete: bool,
    /// The same in a sentence.
    pub coverage: String,
    pub as_of: Timestamp,
    pub summary: Summary,
    /// What was written.
    pub files: Vec<PathBuf>,
    /// Remarks that are not failures.
    pub remarks: Vec<String>,
    pub problems: Vec<String>,
}

/// Reads the accounts and writes the report.
///
/// # Errors
/// [`CommandError`] where there is no report; accounts that could not be read are in it.
pub async fn run(
    connection: &Connection,
    access: &AccountAccess,
    options: &ReportOptions,
) -> Result<ReportSummary, CommandError> {
    let run_id = Uuid::new_v4();
    let (document, gathered) =
        Box::pin(make(connection, access, options, run_id)).instrument(tracing::info_span!("report", %run_id)).await?;
    let files = files::write(&document, &options.out)?;
    let mut problems = problems(&document, &gathered);
    if options.fail_on == Some(FailOn::Overdue) && document.summary.overdue > 0 {
        problems.push(format!("{} overdue", count(document.summary.overdue, "active key")));
    }
    let Document { complete, coverage, as_of, summary, .. } = document;
    Ok(ReportSummary { complete, coverage, as_of, summary, files, remarks: remarks(&gathered), problems })
}

async fn make(
    connection: &Connection,
    access: &AccountAccess,
    options: &ReportOptions,
    run_id: Uuid,
) -> Result<(Document, AccountRecords), CommandError> {
    let policy = options.periods.policy()?;
    if let Some(as_of) = options.as_of {
        // Any answer sets AWS's clock.
        own_account(connection).await?;
        if as_of < connection.clock().now() {
            return Err(CommandError::Usage(format!(
                "--as-of {as_of} is over: accounts show how they are now, so it must be a time to come"
            )));
        }
    }
    files::check(&options.out)?;
    let progress = ProgressDisplay::new();
    let gathered = gather(connection, access, options, run_id, &progress).await;
    progress.finish();
    let gathered = gathered?;
    let generated_at = connection.clock().now();
    let basis = Basis {
        generated_at,
        as_of: options.as_of.unwrap_or(generated_at),
        policy,
        exemption_group: options.iam_exemption_group.clone(),
        scope: options.scope_in_words(),
        source: if options.live { Source::Live } else { Source::CredentialReport },
    };
    tracing::info!(accounts = gathered.accounts.len(), "the accounts are read");
    Ok((evaluate::evaluate(&gathered, &basis), gathered))
}

async fn gather(
    connection: &Connection,
    access: &AccountAccess,
    options: &ReportOptions,
    run_id: Uuid,
    progress: &ProgressDisplay,
) -> Result<AccountRecords, CommandError> {
    let session_name = session_name(&run_id);
    let report_timeout = Duration::from_secs(options.report_timeout);
    let reader = |method| AccountReader {
        method,
        exemption_group: &options.iam_exemption_group,
        live: options.live,
        report_timeout,
    };
    if options.this_account {
        let account = own_account(connection).await?;
        progress.found();
        let record = gather::one(account, None, reader(AccessMethod::Own(connection)), progress).await;
        return Ok(AccountRecords { accounts: vec![record], ..AccountRecords::default() });
    }
    let organization = Organization::new(connection, access.org_list.as_ref(), &session_name);
    let resolved = options.scope.resolve(&organization).await?;
    let own = match own_account(connection).await {
        Ok(own) => Some(own),
        Err(error) => {
            tracing::debug!(%error, "every account is read with a role");
            None
        }
    };
    let role = &access.member_role;
    let method = AccessMethod::Role { connection, role, session_name: &session_name, own: own.as_ref() };
    let gathered = gather::organization(resolved, &organization, reader(method), progress).await;
    match &gathered.broken_off {
        Some(error) if gathered.accounts.is_empty() => Err(CommandError::Failed(format!(
            "the organization's accounts cannot be listed ({error}): name them with --account, or report on the account of your credentials alone with --this-account"
        ))),
        Some(_) | None => Ok(gathered),
    }
}

async fn own_account(connection: &Connection) -> Result<AccountId, CommandError> {
    let identity = RetryPolicy::MESSAGE.retry(async || connection.identity().await).await;
    let identity =
        identity.map_err(|error| CommandError::failed("whose credentials these are is not known", &error))?;
    Ok(identity.account)
}

fn problems(document: &Document, gathered: &AccountRecords) -> Vec<String> {
    let mut problems = Vec::new();
    if let Some(error) = &gathered.broken_off {
        problems.push(format!("the list of accounts broke off, those after it are not in the report: {error}"));
    }
    problems.extend(
        gathered.named_not_active.iter().map(|(account, state)| {
            format!("account {account} was asked for, but is {state}: it is not in the report")
        }),
    );
    let accounts = document.accounts.iter().filter_map(|account| match &account.read {
        Read::Yes => None,
        Read::No(why) => Some(format!("account {} could not be read: {why}", account.id)),
    });
    problems.extend(first_of(accounts.collect(), "account"));
    let users = document.users_not_read.iter();
    let users = users.map(|row| format!("the user {} of account {}: {}", row.user, row.account, row.why));
    problems.extend(first_of(users.collect(), "user"));
    if problems.is_empty() && document.accounts.is_empty() {
        problems.push("no account was read: there is none in what was asked for".to_owned());
    }
    problems
}

/// The first of many, and how many more there are.
fn first_of(mut all: Vec<String>, what: &str) -> Vec<String> {
    let more = all.len().saturating_sub(NAMED);
    if more > 0 {
        all.truncate(NAMED);
        all.push(format!("and {} more: see {}", count(more as u64, what), DATA));
    }
    all
}

fn remarks(gathered: &AccountRecords) -> Vec<String> {
    let as_named = gathered
        .as_named
        .iter()
        .map(|account| format!("the organization cannot be read: account {account} is taken as it was named"));
    let unmet = gathered.unmet_exclusions.iter().map(|account| {
        format!("account {account} is excluded, but the organization has no such account: is the id right?")
    });
    as_named.chain(unmet).collect()
}

impl Report for ReportSummary {
    fn problems(&self) -> Vec<String> {
        self.problems.clone()
    }
}

impl fmt::Display for ReportSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { keys, active, overdue, within_90_days, exempt, users, .. } = self.summary;
        writeln!(f, "{}", self.coverage)?;
        writeln!(f, "{} of {}, {active} active, {exempt} of those exempt", count(keys, "key"), count(users, "user"))?;
        write!(f, "{overdue} overdue; {within_90_days} of {active} at most 90 days old")?;
        if let Some(oldest) = self.summary.oldest_active_days {
            write!(f, ", the oldest {oldest}")?;
        }
        for remark in &self.remarks {
            write!(f, "\nnote: {remark}")?;
        }
        for file in &self.files {
            write!(f, "\n{}", file.display())?;
        }
        Ok(())
    }
}
