//! Why an operator's request is refused: each a sentence that tells what to do instead.

use crate::ids::{AccessKeyId, UserName};

/// Why a request is refused. Each is a sentence that tells the operator what to do instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Exempt by group or date.
    #[error(
        "the user {user} is exempt ({why}); send the request with override_exemption (--override-exemption) to rotate it all the same"
    )]
    Exempt {
        /// The user.
        user: UserName,
        /// By what.
        why: String,
    },
    /// Protected: nothing overrides that.
    #[error(
        "the user {user} carries the tag key-rotation:protected: this tool may not touch it; rotate the key by hand or remove the tag"
    )]
    Protected {
        /// The user.
        user: UserName,
    },
    /// Nothing to rotate.
    #[error("the user {user} has no active access key: there is nothing to rotate")]
    NoActiveKey {
        /// The user.
        user: UserName,
    },
    /// The named key is not this user's.
    #[error("the user {user} has no access key {key}: check the key id and the account")]
    NotTheUsersKey {
        /// The user.
        user: UserName,
        /// The key.
        key: AccessKeyId,
    },
    /// The named key is inactive already.
    #[error(
        "the key {key} of the user {user} is inactive already: it signs nothing. To rotate the user's active key, send the request without a key id"
    )]
    AlreadyInactive {
        /// The user.
        user: UserName,
        /// The key.
        key: AccessKeyId,
    },
    /// Two active keys, none named.
    #[error("the user {user} has two active access keys, so one of them has to be given up: {}. Name it with access_key_id (--access-key-id) and disable_old_now (--disable-old-now): it is disabled and deleted, and a successor made", .keys.join("; "))]
    TwoActiveKeys {
        /// The user.
        user: UserName,
        /// Both, described: id, age, last use.
        keys: Vec<String>,
    },
    /// Two active keys, one named, but not to be disabled now.
    #[error(
        "the user {user} has two active access keys, and IAM allows no third: the named key {key} can only be replaced by disabling and deleting it first; send the request with disable_old_now (--disable-old-now) if that is meant"
    )]
    NamedKeyWouldHaveToGo {
        /// The user.
        user: UserName,
        /// The key.
        key: AccessKeyId,
    },
    /// Something a person has to look at first.
    #[error("nothing is changed for the user {user}: {why}")]
    Standstill {
        /// The user.
        user: UserName,
        /// The findings.
        why: String,
    },
}
