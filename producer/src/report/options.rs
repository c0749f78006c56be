//! What a report is asked for with.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use key_rotation_aws::settings::{UnusedKeysOption, days, exemption_group, period_variable, time_or_date, whole};
use rotation::names::DEFAULT_EXEMPTION_GROUP;
use rotation::policy::PolicyError;
use rotation::{Period, Policy};

use crate::command::CommandError;
use crate::organization::Scope;
use crate::request::LONGEST_WAIT;

/// Report how every access key stands, as a page, a table and JSON, by reading alone.
///
/// Nothing has to be deployed, and no queue is needed: with --this-account the credentials in use are enough; otherwise a role
/// that may read is assumed in each other account (IAM_ASSUMED_ROLE_NAME; OrganizationAccountAccessRole will do), in a session
/// that can do nothing but read. Keys are read from IAM's credential report, which is up to four hours old.
///
/// Exit status 1: something could not be read, which the first line says, or what --fail-on names was found.
#[derive(Debug, Clone, Args)]
pub struct ReportOptions {
    /// Whom it concerns.
    #[command(flatten)]
    pub scope: Scope,

    /// Only the account of the credentials in use: no role is assumed, and AWS Organizations is not asked
    #[arg(long, conflicts_with_all = ["units", "accounts", "excluded"])]
    pub this_account: bool,

    /// Look at every user instead of the credential report: key ids, exact dates, nothing up to four hours old; some calls
    /// a user instead of some an account
    #[arg(long)]
    pub live: bool,

    /// Wait so many seconds for a credential report that is still being generated
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = whole::<u64>("seconds", 0..=LONGEST_WAIT))]
    pub report_timeout: u64,

    /// Count ages to this time to come (RFC 3339, or a date for its first moment in UTC), and forecast from it
    #[arg(long, value_name = "TIME", value_parser = time_or_date)]
    pub as_of: Option<Timestamp>,

    /// Directory for report.html, report.json and keys.csv; made if it is not there
    #[arg(long, value_name = "DIR", default_value = "key-report")]
    pub out: PathBuf,

    /// Exit with 1 where there is any of these
    #[arg(long, value_enum, value_name = "WHAT")]
    pub fail_on: Option<FailOn>,

    /// The periods.
    #[command(flatten)]
    pub periods: PeriodOptions,

    /// IAM group whose members are left alone
    #[arg(
        long,
        env = "IAM_EXEMPTION_GROUP",
        value_name = "GROUP",
        default_value = DEFAULT_EXEMPTION_GROUP,
        value_parser = exemption_group
    )]
    pub iam_exemption_group: String,
}

/// What makes a pipeline fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Active keys at the inactive period or past it, of users who are not exempt
    Overdue,
}

/// The workers' periods, by the same names.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Periods")]
pub struct PeriodOptions {
    /// Days after which an active key gets a successor
    #[arg(long, env = "ROTATION_PERIOD", value_name = "DAYS", default_value_t = 90, value_parser = days)]
    pub rotation_period: u32,

    /// Days after which the replaced key is disabled; an older active key is overdue
    #[arg(long, env = "INACTIVE_PERIOD", value_name = "DAYS", default_value_t = 100, value_parser = days)]
    pub inactive_period: u32,

    /// Least days between disabled and deleted
    #[arg(long, env = "RECOVERY_GRACE_PERIOD", value_name = "DAYS", default_value_t = 10, value_parser = days)]
    pub recovery_grace_period: u32,

    /// Days at most that a disable is put off while the old key is in use and its successor is not
    #[arg(long, env = "IN_USE_EXTENSION", value_name = "DAYS", default_value_t = 0, value_parser = days)]
    pub in_use_extension: u32,

    /// What becomes of keys that were never used
    #[arg(long, env = "UNUSED_KEYS", value_enum, value_name = "WHAT", default_value = "rotate")]
    pub unused_keys: UnusedKeysOption,
}

impl Default for PeriodOptions {
    fn default() -> Self {
        let Period { rotation, inactive, recovery_grace, in_use_extension, .. } = Period::default();
        Self {
            rotation_period: rotation,
            inactive_period: inactive,
            recovery_grace_period: recovery_grace,
            in_use_extension,
            unused_keys: UnusedKeysOption::Rotate,
        }
    }
}

impl Default for ReportOptions {
    fn default() -> Self {
        Self {
            scope: Scope::default(),
            this_account: false,
            live: false,
            report_timeout: 60,
            as_of: None,
            out: PathBuf::from("key-report"),
            fail_on: None,
            periods: PeriodOptions::default(),
            iam_exemption_group: DEFAULT_EXEMPTION_GROUP.to_owned(),
        }
    }
}

impl PeriodOptions {
    /// The policy they make.
    pub(crate) fn policy(&self) -> Result<Policy, CommandError> {
        let period = Period {
            rotation: self.rotation_period,
            inactive: self.inactive_period,
            recovery_grace: self.recovery_grace_period,
            // Warnings are no part of a report.
            pending_action_warn: 0,
            in_use_extension: self.in_use_extension,
        };
        Policy::new(period, self.unused_keys.into()).map_err(|errors| {
            let sentence = |error: &PolicyError| format!("{} is wrong: {error}", period_variable(error.period()));
            let sentences: Vec<String> = errors.iter().map(sentence).collect();
            CommandError::Usage(sentences.join("\n"))
        })
    }
}

impl ReportOptions {
    /// What is asked for, as the report says it.
    pub(super) fn scope_in_words(&self) -> String {
        let Scope { units, accounts, excluded } = &self.scope;
        let list = |what: &str, ids: Vec<String>| (!ids.is_empty()).then(|| format!("{what} {}", ids.join(", ")));
        let text = |ids: &[rotation::AccountId]| ids.iter().map(ToString::to_string).collect();
        let parts = [
            list("organizational units", units.iter().map(ToString::to_string).collect()),
            list("accounts", text(accounts)),
        ];
        let named: Vec<String> = parts.into_iter().flatten().collect();
        let whole = match (self.this_account, named.is_empty()) {
            (true, _) => "the account of the credentials in use".to_owned(),
            (false, true) => "the whole organization".to_owned(),
            (false, false) => named.join(" and "),
        };
        match list("without", text(excluded)) {
            Some(without) => format!("{whole}, {without}"),
            None => whole,
        }
    }
}
