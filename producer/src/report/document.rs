//! The report as data: what `report.json` holds, and what the page and the table are made from. docs/report.schema.json
//! describes it; a field that goes, or changes its meaning, raises [`SCHEMA`].

use jiff::Timestamp;
use jiff::civil::Date;
use rotation::{AccessKeyId, AccountId, KeyStatus, LastUse, PolicyStatus};
use serde::{Serialize, Serializer};

/// The version of what is written.
pub const SCHEMA: u32 = 1;

/// A report on every key.
#[derive(Debug, Clone, Serialize)]
pub struct Document {
    pub schema: u32,
    /// The program and its version.
    pub tool: String,
    /// When the accounts were read, by AWS's clock.
    pub generated_at: Timestamp,
    /// The moment that ages are counted to.
    pub as_of: Timestamp,
    /// What was asked for, in words.
    pub scope: String,
    pub source: Source,
    /// Whether all that was asked for was read.
    pub complete: bool,
    /// The same in a sentence.
    pub coverage: String,
    pub policy: PolicyRow,
    pub summary: Summary,
    pub ages: Vec<AgeBand>,
    pub controls: Vec<ControlResult>,
    pub forecast: ForecastRows,
    pub accounts: Vec<AccountRow>,
    /// Accounts of the organization that are not active, and are not read.
    pub not_active: Vec<NotActiveRow>,
    /// Users of whom something could not be read.
    pub users_not_read: Vec<UserNotRead>,
    pub findings: Vec<FindingRow>,
    pub exempt: Vec<ExemptRow>,
    pub successors_not_installed: Vec<SuccessorRow>,
    pub keys: Vec<KeyRow>,
}

/// Where keys were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// IAM's credential report, and users live where it is not enough.
    CredentialReport,
    /// Every user live.
    Live,
}

/// The periods, in days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyRow {
    pub rotation_period: u32,
    pub inactive_period: u32,
    pub recovery_grace_period: u32,
    pub exemption_group: String,
}

/// The figures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    pub accounts_read: u64,
    pub accounts_not_read: u64,
    pub accounts_not_active: u64,
    pub users: u64,
    pub users_not_read: u64,
    pub users_with_two_active_keys: u64,
    pub keys: u64,
    pub active: u64,
    pub inactive: u64,
    /// Active keys younger than the rotation period.
    pub within_policy: u64,
    /// Active keys between the rotation and the inactive period.
    pub due: u64,
    /// Active keys at the inactive period or past it.
    pub overdue: u64,
    /// Active keys whose users are left alone.
    pub exempt: u64,
    /// Active keys at most 90 days old, whoever is exempt.
    pub within_90_days: u64,
    /// Active keys that were never used.
    pub never_used: u64,
    /// Active keys unused for 45 days or more; of one never used, since it was created.
    pub unused_45_days: u64,
    /// The same for 90 days.
    pub unused_90_days: u64,
    /// Active keys of whose use nothing is known.
    pub last_use_unknown: u64,
    /// The age of the oldest active key.
    pub oldest_active_days: Option<i64>,
    pub findings: u64,
    pub successors_not_installed: u64,
}

/// Active keys of these ages, and inactive ones, by state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AgeBand {
    pub from_days: i64,
    /// Up to this age; `null`: any.
    pub to_days: Option<i64>,
    pub within_policy: u64,
    pub due: u64,
    pub overdue: u64,
    pub exempt: u64,
    pub inactive: u64,
}

/// Where a framework asks for a control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Requirement {
    pub framework: &'static str,
    pub ids: &'static str,
}

/// How the keys stand against a control.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ControlResult {
    pub id: &'static str,
    pub title: &'static str,
    pub result: ControlVerdict,
    /// `active keys`, or `users`.
    pub of: &'static str,
    pub checked: u64,
    pub failed: u64,
    /// Of how many of those it is not known.
    pub unknown: u64,
    pub requirements: &'static [Requirement],
    pub source: &'static str,
}

/// Whether a control is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlVerdict {
    Met,
    NotMet,
    /// Nothing fails of what was read, and not everything was.
    Unknown,
}

/// What the rules would do.
#[derive(Debug, Clone, Serialize)]
pub struct ForecastRows {
    pub days: Vec<ForecastDay>,
    /// Users of whom something must be known first.
    pub unforeseeable: Vec<UnforeseeableRow>,
}

/// One day of it, in keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ForecastDay {
    pub date: Date,
    pub replace: u64,
    pub notify: u64,
    pub disable: u64,
    pub adopt: u64,
    pub delete: u64,
}

/// A user whose days from this one on cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnforeseeableRow {
    pub account: AccountId,
    pub user: String,
    pub from: Date,
    pub why: String,
}

/// An account that was to be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccountRow {
    pub id: AccountId,
    pub name: Option<String>,
    pub read: Read,
    /// As of when its credential report is.
    pub credential_report_at: Option<Timestamp>,
    pub users: u64,
    pub keys: u64,
    pub active: u64,
    pub overdue: u64,
    pub oldest_overdue_days: Option<i64>,
}

/// Whether something was read: `true`, or why it was not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    Yes,
    No(String),
}

impl Serialize for Read {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Read::Yes => serializer.serialize_bool(true),
            Read::No(why) => serializer.serialize_str(why),
        }
    }
}

/// An account that is suspended, closed or not yet open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotActiveRow {
    pub id: AccountId,
    pub name: Option<String>,
    pub state: String,
}

/// A user of whom something could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserNotRead {
    pub account: AccountId,
    pub user: String,
    pub why: String,
}

/// Something a person has to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FindingRow {
    pub account: AccountId,
    pub user: String,
    /// The first day on which it would be reported.
    pub date: Date,
    pub finding: String,
}

/// A user that is left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExemptRow {
    pub account: AccountId,
    pub user: String,
    #[serde(flatten)]
    pub exemption: ExemptionCell,
    pub active_keys: u64,
    pub oldest_active_days: Option<i64>,
}

/// By what, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ExemptionCell {
    pub by: &'static str,
    pub until: Option<Timestamp>,
}

/// A successor that nobody has used yet, while the previous key is still active.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SuccessorRow {
    pub account: AccountId,
    pub user: String,
    pub access_key_id: AccessKeyId,
    pub last_used: Option<Timestamp>,
    pub successor: AccessKeyId,
    pub successor_created: Timestamp,
    /// What the owner was told.
    pub disable_on: Option<Timestamp>,
}

/// A key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyRow {
    pub account: AccountId,
    pub user: String,
    /// `null` where only the credential report was read, which has no ids.
    pub access_key_id: Option<AccessKeyId>,
    pub status: KeyStatus,
    /// Where only the credential report was read: created or last changed.
    pub created: Timestamp,
    pub age_days: i64,
    pub usage: Usage,
    pub last_used: Option<Timestamp>,
    pub last_used_service: Option<String>,
    pub exempt: Option<ExemptionCell>,
    pub state: PolicyStatus,
    /// What the rules would do to it next, within the forecast.
    pub next: Option<NextStep>,
}

/// What is known of a key's use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Usage {
    Used,
    Never,
    Unknown,
}

impl From<&LastUse> for Usage {
    fn from(last_use: &LastUse) -> Self {
        match last_use {
            LastUse::At { .. } => Usage::Used,
            LastUse::Never => Usage::Never,
            LastUse::Unknown => Usage::Unknown,
        }
    }
}

/// The next thing that would be done to a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NextStep {
    pub step: &'static str,
    pub date: Date,
}
