//! An intent: the tag that a rotation attempt leaves on the user before it makes a key.
//!
//! Should the attempt die, the intent tells whoever comes next that a key may exist whose secret nobody has, when it can
//! have been made, which key it was to succeed, and which others were there.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::ids::AccessKeyId;
use crate::key::{parse_tag_time, tag_time};

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
    /// The other keys that the user had: no more to be cleared away than that one.
    pub beside: Vec<AccessKeyId>,
}

impl Intent {
    /// Reads a tag's value: `2026-11-22T10:00:00Z`, `2026-11-22T10:00:00Z for=AKIA…`, or that and `beside=AKIA…` for each
    /// further key.
    pub fn parse(attempt: Uuid, value: &str) -> Option<Self> {
        let mut words = value.split(' ');
        let written = parse_tag_time(words.next()?)?;
        let key = |word: &str, name: &str| AccessKeyId::new(word.strip_prefix(name)?).ok();
        let successor_of = match words.next() {
            Some(word) => Some(key(word, "for=")?),
            None => None,
        };
        let beside = words.map(|word| key(word, "beside=")).collect::<Option<_>>()?;
        Some(Self { attempt, written, successor_of, beside })
    }

    /// Whether the key was there before the attempt, by its own word.
    pub fn names(&self, key: &AccessKeyId) -> bool {
        self.successor_of.as_ref() == Some(key) || self.beside.contains(key)
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
        if let Some(key) = &self.successor_of {
            write!(f, " for={key}")?;
            for key in &self.beside {
                write!(f, " beside={key}")?;
            }
        }
        Ok(())
    }
}
