//! What the rules say about one user.

use jiff::Timestamp;

use crate::ids::AccessKeyId;
use crate::plan::Plan;
use crate::refusal::Refusal;

/// What the rules say about one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The user is left alone.
    Exempt(Exemption),
    /// An interrupted rotation left its intent: it is settled first, then the question is asked again.
    SettleFirst,
    /// A fact must be known first. While it is not, nothing is changed.
    Undecided(MissingFact),
    /// What is to be done; possibly nothing.
    Act(Plan),
    /// What was asked for will not be done, and asking again will not help.
    Refused(Refusal),
}

/// Why a user is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exemption {
    /// It is in the exemption group.
    Group,
    /// Its tag says so.
    Until {
        /// The moment rotation resumes.
        until: Timestamp,
    },
    /// It carries `key-rotation:protected`; no request overrides that.
    Protected,
}

impl Exemption {
    /// As events spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Exemption::Group => "group",
            Exemption::Until { .. } => "exempt_until",
            Exemption::Protected => "protected",
        }
    }

    /// From when on the user is no longer left alone, where that is known.
    pub fn until(self) -> Option<Timestamp> {
        match self {
            Exemption::Until { until } => Some(until),
            Exemption::Group | Exemption::Protected => None,
        }
    }
}

/// What must be known before anything is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MissingFact {
    /// A key's last use.
    LastUse(AccessKeyId),
    /// Whether a key is the one published in the user's secret.
    Published(AccessKeyId),
}

impl MissingFact {
    pub fn access_key_id(&self) -> &AccessKeyId {
        match self {
            MissingFact::LastUse(key) | MissingFact::Published(key) => key,
        }
    }
}
