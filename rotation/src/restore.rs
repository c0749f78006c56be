//! The undo: an operator's request to make a disabled key active again.

use jiff::Timestamp;

use crate::ids::{AccessKeyId, UserName};
use crate::key::{Key, KeyStatus, Memory, Remembered};
use crate::plan::Exemption;
use crate::policy::{Policy, after};
use crate::user::User;

/// What the rules say about a request to restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Make this key active, tell the owner, and record `restored` once that is accepted.
    Enable {
        /// The key.
        key: AccessKeyId,
        /// The earliest it is disabled again, where it has a successor.
        disable_due: Timestamp,
    },
    /// It is active, and that is on record: an earlier delivery has done it all.
    Done {
        /// The key.
        key: AccessKeyId,
    },
    /// It is active already; its owner has still to be told.
    Tell {
        /// The key.
        key: AccessKeyId,
        /// The earliest it is disabled again, where it has a successor.
        disable_due: Timestamp,
    },
    /// It will not be done, and asking again will not help.
    Refused(Refusal),
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Protected: nothing overrides that.
    #[error("the user {user} carries the tag key-rotation:protected: this tool may not touch it")]
    Protected {
        /// The user.
        user: UserName,
    },
    /// Too late, or never this user's.
    #[error(
        "the user {user} has no access key {key}: if it has been deleted it is too late, a deleted key cannot be brought back; its successor is in Secrets Manager"
    )]
    Gone {
        /// The user.
        user: UserName,
        /// The key.
        key: AccessKeyId,
    },
    /// No inactive key.
    #[error(
        "the user {user} has no inactive access key: there is nothing to restore; a key that has been deleted cannot be brought back"
    )]
    NothingInactive {
        /// The user.
        user: UserName,
    },
    /// More than one inactive key, none named.
    #[error("the user {user} has two inactive access keys, {}: name one with access_key_id (--access-key-id)", .keys.iter().map(AccessKeyId::as_str).collect::<Vec<_>>().join(" and "))]
    SeveralInactive {
        /// The user.
        user: UserName,
        /// The keys.
        keys: Vec<AccessKeyId>,
    },
}

/// Decides about a request to restore a key; `named` may be left out where only one key is inactive.
pub fn plan(
    now: Timestamp,
    policy: &Policy,
    user: &User,
    named: Option<&AccessKeyId>,
    requested_at: Timestamp,
) -> Answer {
    let name = || user.name.clone();
    if user.exemption(now) == Some(Exemption::Protected) {
        return Answer::Refused(Refusal::Protected { user: name() });
    }
    let (policy, _) = user.policy(policy);
    let disable_due = after(now, policy.install_grace());
    let inactive: Vec<&Key> = user.keys.iter().filter(|key| key.status == KeyStatus::Inactive).collect();
    let key = match (named, inactive.as_slice()) {
        (Some(named), _) => match user.keys.iter().find(|key| key.id == *named) {
            Some(key) => key,
            None => return Answer::Refused(Refusal::Gone { user: name(), key: named.clone() }),
        },
        (None, [only]) => only,
        (None, []) => match user.keys.iter().find(|key| restored_since(key, requested_at)) {
            Some(key) => key,
            None => return Answer::Refused(Refusal::NothingInactive { user: name() }),
        },
        (None, several) => {
            let keys = several.iter().map(|key| key.id.clone()).collect();
            return Answer::Refused(Refusal::SeveralInactive { user: name(), keys });
        }
    };
    let key_id = key.id.clone();
    match (key.status, &key.memory) {
        (KeyStatus::Inactive, _) => Answer::Enable { key: key_id, disable_due },
        (KeyStatus::Active, Memory::Known(Remembered::Disabled(_))) => Answer::Tell { key: key_id, disable_due },
        (KeyStatus::Active, Memory::Known(_) | Memory::Nothing | Memory::Unreadable(_)) => Answer::Done { key: key_id },
    }
}

/// Whether the key was restored by this request: on record since, or made active and not yet on record.
fn restored_since(key: &Key, requested_at: Timestamp) -> bool {
    match key.memory {
        Memory::Known(Remembered::Restored(at)) => at.as_second() >= requested_at.as_second(),
        Memory::Known(Remembered::Disabled(_)) => key.status == KeyStatus::Active,
        Memory::Known(Remembered::Notified(_) | Remembered::Forced(_)) | Memory::Nothing | Memory::Unreadable(_) => {
            false
        }
    }
}
