//! An intent: the tag that a rotation attempt leaves on the user before it makes a key.
//!
//! Should the attempt die, the intent tells whoever comes next that a key may exist whose secret nobody has, when it can
//! have been made, and which key it was to succeed.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::ids::AccessKeyId;
use crate::key::tag_time;

/// How long a member session lives: the fence. Nothing of an attempt can happen in the member account after it.
/// 15 minutes is the shortest that STS grants (`AssumeRole`, `DurationSeconds`, 900).
pub const SESSION_SECONDS: i32 = 900;

/// How far two clocks of AWS, or IAM's whole seconds, may be apart.
pub const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// One attempt's intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// The attempt.
    pub attempt: Uuid,
    /// When it was written, by AWS's clock.
    pub written: Timestamp,
    /// The key a successor is made for: never the one to be cleared away when the intent is settled. None where the attempt
    /// makes no key, but only settles.
    pub successor_of: Option<AccessKeyId>,
}

impl Intent {
    /// Reads a tag's value: `2026-11-22T10:00:00Z` or `2026-11-22T10:00:00Z for=AKIA…`.
    pub fn parse(attempt: Uuid, value: &str) -> Option<Self> {
        let (time, rest) = match value.split_once(' ') {
            Some((time, rest)) => (time, Some(rest)),
            None => (value, None),
        };
        let successor_of = match rest {
            Some(rest) => Some(AccessKeyId::new(rest.strip_prefix("for=")?).ok()?),
            None => None,
        };
        Some(Self { attempt, written: time.parse().ok()?, successor_of })
    }

    /// Whether whoever wrote it can no longer do anything in the member account: its session has ended.
    pub fn is_old(&self, now: Timestamp) -> bool {
        now > self.end()
    }

    /// When it becomes old.
    pub fn end(&self) -> Timestamp {
        self.written
            .checked_add(SignedDuration::from_secs(i64::from(SESSION_SECONDS)) + CLOCK_TOLERANCE)
            .unwrap_or(Timestamp::MAX)
    }

    /// Whether a key made at this time can be this attempt's: not before it, and not after its session ended. An attempt that
    /// names no key to succeed only settles what others left, and makes none: were its intent to claim keys, then one made by
    /// hand around it, or the very key that is being replaced, would be taken for an orphan and deleted.
    pub fn may_have_made(&self, created: Timestamp) -> bool {
        if self.successor_of.is_none() {
            return false;
        }
        let from = self.written.checked_sub(CLOCK_TOLERANCE).unwrap_or(Timestamp::MIN);
        from <= created && created <= self.end()
    }
}

impl fmt::Display for Intent {
    /// The tag's value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&tag_time(self.written))?;
        match &self.successor_of {
            Some(key) => write!(f, " for={key}"),
            None => Ok(()),
        }
    }
}
