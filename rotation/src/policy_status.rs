//! Where a key stands against the periods, as reports count it.

use jiff::Timestamp;
use serde::Serialize;

use crate::key::{Key, KeyStatus};
use crate::policy::{Policy, after};
use crate::user::User;

/// Where a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyStatus {
    /// Active, and younger than the rotation period.
    WithinPolicy,
    /// Active, and at the rotation period or past it: it is being replaced, or is to be.
    Due,
    /// Still active at the inactive period or past it.
    Overdue,
    /// Active, and its user is left alone.
    Exempt,
    /// It signs nothing, whoever its user is.
    Inactive,
}

impl PolicyStatus {
    pub const ALL: [PolicyStatus; 5] = [
        PolicyStatus::WithinPolicy,
        PolicyStatus::Due,
        PolicyStatus::Overdue,
        PolicyStatus::Exempt,
        PolicyStatus::Inactive,
    ];

    /// As reports spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            PolicyStatus::WithinPolicy => "within_policy",
            PolicyStatus::Due => "due",
            PolicyStatus::Overdue => "overdue",
            PolicyStatus::Exempt => "exempt",
            PolicyStatus::Inactive => "inactive",
        }
    }
}

impl User {
    /// Where one of its keys stands. That its owner has been given a date does not make an overdue key less so.
    pub fn policy_status(&self, now: Timestamp, policy: &Policy, key: &Key) -> PolicyStatus {
        let (policy, _) = self.policy(policy);
        match key.status {
            KeyStatus::Inactive => PolicyStatus::Inactive,
            KeyStatus::Active if self.exemption(now).is_some() => PolicyStatus::Exempt,
            KeyStatus::Active if now >= after(key.created, policy.inactive_period()) => PolicyStatus::Overdue,
            KeyStatus::Active if now >= after(key.created, policy.rotation_period()) => PolicyStatus::Due,
            KeyStatus::Active => PolicyStatus::WithinPolicy,
        }
    }
}
