//! Whom to look at: which users of an account may need something, judged by the account's listing and its credential report.
//!
//! The report says *whom to look at* and never *what to do*: it is up to four hours old, has no key ids, and a key's date in it is
//! when the key was "created or last changed". What is decided about a user is decided on a look of its own.
//!
//! Passed over is only a user that carries nothing of this tool's, and whose keys the report shows active and young. That can be
//! wrong in one way: a key that was switched off and on again, by hand, is older than its date. So every user has its turn to be
//! looked at, whatever the report says.

use jiff::Timestamp;
use uuid::Uuid;

use crate::ids::AccountId;
use crate::lifecycle::quiet_until;
use crate::policy::{Policy, SECONDS_PER_DAY};
use crate::user::{User, UserTags};

/// How often every user is looked at, whatever the credential report says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FullScan {
    days: u32,
    run_interval: u32,
}

impl FullScan {
    /// Every user on every run: the report is not asked for.
    pub const EVERY_RUN: FullScan = FullScan { days: 1, run_interval: 1 };

    /// Every user at least once in so many days, where from one run to the next it is `run_interval` days.
    pub fn new(days: u32, run_interval: u32) -> Self {
        Self { days: days.max(1), run_interval: run_interval.max(1) }
    }

    /// Whether the user's turn falls on the run's day, or on one of the days since the run before it. The turns of an account's users spread
    /// evenly over the days, and those of users that have the same name in many accounts do too.
    fn is_scan_day_of(self, account: &AccountId, user: &User, run: Timestamp) -> bool {
        let hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{account}/{}", user.name).as_bytes()).as_u128();
        let phase = (hash % u128::from(self.days)) as i64;
        let day = run.as_second().div_euclid(SECONDS_PER_DAY);
        (day + phase).rem_euclid(i64::from(self.days)) < i64::from(self.run_interval)
    }
}

/// A key, as the credential report shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyInReport {
    pub active: bool,
    /// When it was created or last changed.
    pub last_rotated: Option<Timestamp>,
}

/// Why a user is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookReason {
    /// It is exempt, which the look finds out without a call.
    Exempt,
    /// It carries a tag that the rules read.
    Tagged,
    /// It is the day on which this user is looked at, whatever the report says.
    FullScan,
    /// The report has no row of this user, or one that cannot be read.
    NotReported,
    InactiveKey,
    /// By the report, a key of its may be due, or its owner be warned.
    MayBeDue,
}

impl LookReason {
    /// As logs spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            LookReason::Exempt => "exempt",
            LookReason::Tagged => "tagged",
            LookReason::FullScan => "full_scan",
            LookReason::NotReported => "not_reported",
            LookReason::InactiveKey => "inactive_key",
            LookReason::MayBeDue => "may_be_due",
        }
    }
}

/// Why a user is looked at whatever the credential report says, if it is. The user is as the listing shows it, without keys. `run` is
/// when the run was begun, whose day decides on turns: a message that is worked on after midnight makes nobody miss its own.
pub fn reason_without_report(
    now: Timestamp,
    run: Timestamp,
    full_scan: FullScan,
    account: &AccountId,
    user: &User,
) -> Option<LookReason> {
    if user.exemption(now).is_some() {
        Some(LookReason::Exempt)
    } else if has_tags_that_count(&user.tags) {
        Some(LookReason::Tagged)
    } else if full_scan.is_scan_day_of(account, user, run) {
        Some(LookReason::FullScan)
    } else {
        None
    }
}

/// Why a user that [`reason_without_report`] passes over is looked at all the same, if it is: by the keys in its row of the report;
/// `None`, where there is no row that can be read.
pub fn reason_by_report(now: Timestamp, policy: &Policy, keys: Option<&[KeyInReport]>) -> Option<LookReason> {
    let Some(keys) = keys else {
        return Some(LookReason::NotReported);
    };
    keys.iter().find_map(|key| match key {
        KeyInReport { active: false, .. } => Some(LookReason::InactiveKey),
        KeyInReport { active: true, last_rotated: None } => Some(LookReason::NotReported),
        KeyInReport { active: true, last_rotated: Some(since) } if now < quiet_until(policy, *since) => None,
        KeyInReport { active: true, last_rotated: Some(_) } => Some(LookReason::MayBeDue),
    })
}

/// Whether a user carries any tag of this tool's that a rule reads. The reminder stays for good once its owner was reminded; no rule
/// depends on it.
fn has_tags_that_count(tags: &UserTags) -> bool {
    *tags != UserTags { reminded: tags.reminded, ..UserTags::default() }
}
