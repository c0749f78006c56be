//! One access key: what IAM says of it, and what this tool remembers of it.
//!
//! IAM says neither when a key was disabled nor whether its owner was told. That is kept on the user, in one IAM user tag
//! per key (see [`crate::names::state_tag`]), whose value is a [`Remembered`].

use std::fmt;

use jiff::Timestamp;

use crate::ids::AccessKeyId;

/// One access key of one user, as known right now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its id.
    pub id: AccessKeyId,
    /// Whether it works.
    pub status: KeyStatus,
    /// IAM's `CreateDate` (whole seconds).
    pub created: Timestamp,
    /// When it last signed a call.
    pub last_use: LastUse,
    /// Whether the user's secret publishes it.
    pub published: Published,
    /// What its state tag says.
    pub memory: Memory,
}

/// IAM's key status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStatus {
    /// It signs calls.
    Active,
    /// It is kept, but signs nothing; it can be made active again.
    Inactive,
}

/// What `GetAccessKeyLastUsed` said. *Unknown is not "never".*
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LastUse {
    /// Not asked, or the call failed.
    Unknown,
    /// IAM has no use on record.
    Never,
    /// Its last use.
    At {
        /// When.
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
    /// It is.
    Yes,
    /// It is not, or there is no such secret.
    No,
}

/// A key's state tag, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Memory {
    /// No tag.
    Nothing,
    /// A tag.
    Known(Remembered),
    /// A tag that says nothing this tool has written: a finding, and a reason to change nothing.
    Unreadable(String),
}

impl Memory {
    /// Reads a tag's value.
    pub fn read(value: &str) -> Self {
        match Remembered::parse(value) {
            Some(remembered) => Memory::Known(remembered),
            None => Memory::Unreadable(value.to_owned()),
        }
    }
}

/// What a state tag records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remembered {
    /// A notice about this key was accepted: it has a successor, or will be disabled.
    Notified(Timestamp),
    /// The same, for a forced rotation: the install grace counts from here whatever the key's age.
    Forced(Timestamp),
    /// This tool disabled it, or first saw it inactive.
    Disabled(Timestamp),
    /// It was seen active again after `Disabled`: a person re-enabled it, and its owner has been told what follows.
    Restored(Timestamp),
}

impl Remembered {
    /// Reads `notified=2026-11-22T10:00:00Z` and its like; `None` for anything else.
    pub fn parse(value: &str) -> Option<Self> {
        let (word, time) = value.split_once('=')?;
        let time = parse_tag_time(time)?;
        match word {
            "notified" => Some(Remembered::Notified(time)),
            "forced" => Some(Remembered::Forced(time)),
            "disabled" => Some(Remembered::Disabled(time)),
            "restored" => Some(Remembered::Restored(time)),
            _ => None,
        }
    }

    /// When it was written.
    pub fn time(self) -> Timestamp {
        match self {
            Remembered::Notified(t) | Remembered::Forced(t) | Remembered::Disabled(t) | Remembered::Restored(t) => t,
        }
    }
}

impl fmt::Display for Remembered {
    /// The tag's value: whole seconds, UTC, only characters that IAM allows in a tag.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self {
            Remembered::Notified(_) => "notified",
            Remembered::Forced(_) => "forced",
            Remembered::Disabled(_) => "disabled",
            Remembered::Restored(_) => "restored",
        };
        write!(f, "{word}={}", tag_time(self.time()))
    }
}

/// A time in a tag. Years before 0 are none: they cannot be written back in four digits, and nobody means them.
pub(crate) fn parse_tag_time(text: &str) -> Option<Timestamp> {
    /// 0000-01-01T00:00:00Z.
    const YEAR_0: i64 = -62_167_219_200;
    let time: Timestamp = text.parse().ok()?;
    (time.as_second() >= YEAR_0).then_some(time)
}

/// A time as tags spell it: `2026-11-22T10:00:00Z`.
pub fn tag_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
