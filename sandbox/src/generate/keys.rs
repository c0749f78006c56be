//! The states a user's keys can be in, by the periods the product has by default: rotated at 90 days, disabled at 100, deleted at 110.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::world::KeySpec;

/// A user's keys, as a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyCase {
    None,
    /// One, far from anything.
    Young,
    /// One, never used, far from anything.
    YoungUnused,
    /// One, about to be due.
    NearRotation,
    Due,
    /// One, due and never used.
    DueUnused,
    /// One, older than the whole lifecycle.
    Ancient,
    /// An old one with a successor, both used.
    Succeeded,
    /// An old one with a successor nobody uses yet.
    SuccessorUnused,
    BothDue,
    /// A young one, and one that a person switched off.
    YoungAndInactive,
    /// A due one, and one that a person switched off: no room for a successor.
    DueAndInactive,
    /// Nothing but one that a person switched off.
    Inactive,
}

impl KeyCase {
    pub(super) const ALL: [KeyCase; 13] = [
        KeyCase::None,
        KeyCase::Young,
        KeyCase::YoungUnused,
        KeyCase::NearRotation,
        KeyCase::Due,
        KeyCase::DueUnused,
        KeyCase::Ancient,
        KeyCase::Succeeded,
        KeyCase::SuccessorUnused,
        KeyCase::BothDue,
        KeyCase::YoungAndInactive,
        KeyCase::DueAndInactive,
        KeyCase::Inactive,
    ];

    pub(super) fn keys(self, rng: &mut ChaCha8Rng) -> Vec<KeySpec> {
        let young = KeySpec::aged(rng.random_range(1..80));
        let due = KeySpec::aged(rng.random_range(91..110));
        let ancient = KeySpec::aged(rng.random_range(111..900));
        let lately = rng.random_range(0..3);
        match self {
            KeyCase::None => vec![],
            KeyCase::Young => vec![young.used_days_ago(lately)],
            KeyCase::YoungUnused => vec![young],
            KeyCase::NearRotation => vec![KeySpec::aged(rng.random_range(83..90)).used_days_ago(lately)],
            KeyCase::Due => vec![due.used_days_ago(lately)],
            KeyCase::DueUnused => vec![due],
            KeyCase::Ancient => vec![ancient.used_days_ago(lately)],
            KeyCase::Succeeded => vec![due.used_days_ago(20), young.used_days_ago(lately)],
            KeyCase::SuccessorUnused => vec![due.used_days_ago(lately), young],
            KeyCase::BothDue => vec![ancient.used_days_ago(40), due.used_days_ago(lately)],
            KeyCase::YoungAndInactive => vec![ancient.inactive(), young.used_days_ago(lately)],
            KeyCase::DueAndInactive => vec![ancient.used_days_ago(60).inactive(), due.used_days_ago(lately)],
            KeyCase::Inactive => vec![ancient.inactive()],
        }
    }
}
