//! One access key, as IAM, Secrets Manager and its state tag show it.

use jiff::Timestamp;
use serde::Serialize;

use crate::ids::AccessKeyId;
use crate::state::KeyState;

/// One access key of one user, as known right now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub id: AccessKeyId,
    pub status: KeyStatus,
    /// IAM's `CreateDate` (whole seconds).
    pub created: Timestamp,
    pub last_use: LastUse,
    pub published: Published,
    /// `None`: there is no state tag. One that cannot be read is among [`crate::user::UserTags::unreadable`].
    pub state: Option<KeyState>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyStatus {
    Active,
    /// It is kept, but signs nothing; it can be made active again.
    Inactive,
}

impl KeyStatus {
    /// As reports spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            KeyStatus::Active => "active",
            KeyStatus::Inactive => "inactive",
        }
    }
}

/// What `GetAccessKeyLastUsed` answered. *Unknown is not "never".*
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LastUse {
    /// Not asked, or the call failed.
    Unknown,
    /// IAM has no use on record.
    Never,
    At {
        when: Timestamp,
        /// The service called, as in `s3`.
        service: String,
        /// The region called, as in `eu-west-1`.
        region: String,
    },
}

impl LastUse {
    /// Whether it is known that the key has been used.
    pub fn is_used(&self) -> bool {
        match self {
            LastUse::At { .. } => true,
            LastUse::Unknown | LastUse::Never => false,
        }
    }
}

/// Whether the version staged `AWSCURRENT` in the user's secret is this key's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// Not asked, or the call failed.
    Unknown,
    Yes,
    /// It is another's, or there is no such secret.
    No,
}
