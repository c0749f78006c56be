//! Where a key stands against the periods, as reports count it.

use jiff::Timestamp;

use crate::key::{Key, KeyStatus};
use crate::policy::{Policy, after};
use crate::user::User;

/// Where a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
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

impl Standing {
    pub const ALL: [Standing; 5] =
        [Standing::WithinPolicy, Standing::Due, Standing::Overdue, Standing::Exempt, Standing::Inactive];

    /// As reports spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Standing::WithinPolicy => "within_policy",
            Standing::Due => "due",
            Standing::Overdue => "overdue",
            Standing::Exempt => "exempt",
            Standing::Inactive => "inactive",
        }
    }
}

impl User {
    /// Where one of its keys stands. That its owner has been given a date does not make an overdue key less so.
    pub fn standing(&self, now: Timestamp, policy: &Policy, key: &Key) -> Standing {
        let (policy, _) = self.policy(policy);
        match key.status {
            KeyStatus::Inactive => Standing::Inactive,
            KeyStatus::Active if self.exemption(now).is_some() => Standing::Exempt,
            KeyStatus::Active if now >= after(key.created, policy.inactive_period()) => Standing::Overdue,
            KeyStatus::Active if now >= after(key.created, policy.rotation_period()) => Standing::Due,
            KeyStatus::Active => Standing::WithinPolicy,
        }
    }
}
