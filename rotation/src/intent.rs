//! An intent: the tag that a rotation attempt leaves on the user before it makes a key.
//!
//! Should the attempt die, the intent tells whoever comes next that a key may exist whose secret nobody has, when it can
//! have been made, which key it was to succeed, and which others were there.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::ids::AccessKeyId;
use crate::state::{parse_tag_time, tag_time};

/// How long a member session lives: the fence. Nothing of an attempt can happen in the member account after it.
/// 15 minutes is the shortest that STS grants (`AssumeRole`, `DurationSeconds`, 900).
pub const SESSION_SECONDS: i32 = 900;

/// How far two clocks of AWS, or IAM's whole seconds, may be apart. (AWS General Reference, Signature Version 4: a request is refused
/// if its time differs from AWS's by more than five minutes.)
pub const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// An attempt is about eleven calls (steps 1 to 9 of `docs/rotation-protocol.md`), a second or two. Whoever has not cleared its
/// intent after this time is dead, frozen, or slower than it is worth waiting for.
const SILENT_AFTER: SignedDuration = SignedDuration::from_mins(1);

/// IAM's reads lag its writes by seconds: of two attempts that wrote their intents further apart than this, the later one saw the other's.
const UNSEEN_WITHIN: SignedDuration = SignedDuration::from_mins(1);

/// When whoever had a session at this time can do nothing any more in the member account.
pub fn fence_after(time: Timestamp) -> Timestamp {
    let fence = SignedDuration::from_secs(i64::from(SESSION_SECONDS)) + CLOCK_TOLERANCE;
    time.checked_add(fence).unwrap_or(Timestamp::MAX)
}

/// Whether no worker can have written this time by now: a hand has, or a clock was wrong. Nobody waits for it to pass.
pub(crate) fn is_from_the_future(time: Timestamp, now: Timestamp) -> bool {
    time.duration_since(now) > CLOCK_TOLERANCE
}

/// One attempt's intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    pub attempt: Uuid,
    /// When it was written, by AWS's clock.
    pub written: Timestamp,
    /// The key a successor is made for: never the one to be cleared away when the intent is settled. None where the attempt
    /// makes no key, but only settles.
    pub successor_of: Option<AccessKeyId>,
    /// The other keys that the user had: not to be cleared away either.
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
    pub fn was_there_before(&self, key: &AccessKeyId) -> bool {
        self.successor_of.as_ref() == Some(key) || self.beside.contains(key)
    }

    /// Whether whoever wrote it can no longer do anything in the member account: its session has ended.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now > self.expires_at()
    }

    /// When it becomes old.
    pub fn expires_at(&self) -> Timestamp {
        fence_after(self.written)
    }

    /// Whether no attempt can have written it by now: a hand has, or a clock was wrong. It never becomes old by itself.
    fn is_from_the_future(&self, now: Timestamp) -> bool {
        is_from_the_future(self.written, now)
    }

    /// When its attempt has been silent for too long to be waited for.
    pub fn silent_from(&self) -> Timestamp {
        self.written.checked_add(SILENT_AFTER).unwrap_or(Timestamp::MAX)
    }

    /// Whether a key made at this time can be this attempt's: not before it, and not after its session ended. An attempt that
    /// names no key to succeed only settles what others left, and makes none: were its intent to claim keys, then one made by
    /// hand around it, or the very key that is being replaced, would be taken for an orphan and deleted.
    pub fn may_have_made(&self, created: Timestamp) -> bool {
        if self.successor_of.is_none() {
            return false;
        }
        let from = self.written.checked_sub(CLOCK_TOLERANCE).unwrap_or(Timestamp::MIN);
        from <= created && created <= self.expires_at()
    }

    /// Whether an attempt has prepared the secret, which comes before it makes a key, that is this one or can have met it: `attempt` is
    /// when the intent was written of the last attempt that did. One takes another's place there only where it did not see the
    /// other's intent; any later one sees it, and waits until it is old and settled. So near are the two that when this intent is old
    /// the other's session has been over for minutes: no look lags behind what that one has done.
    pub fn is_confirmed_by(&self, attempt: Timestamp) -> bool {
        self.written.duration_since(attempt).abs() <= UNSEEN_WITHIN
    }
}

/// What an attempt does about the intents of others that it sees.
///
/// Nothing that must never be depends on it: an attempt goes on only if it sees no young intent of others. It is for progress: of
/// attempts that see each other's intents exactly one waits beside its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// None of them is young: it goes on.
    Mine,
    /// All of them were written a moment ago, and have higher ids: it waits until they are gone.
    OthersGiveWay,
    /// They were written a moment ago, and one has a lower id: it clears its intent, if it has one, and waits until they are gone.
    GiveWay,
    /// One was written a while ago, and its attempt should have ended since: it gives up until that intent is old.
    BackOff {
        /// When it is old.
        until: Timestamp,
    },
}

impl Turn {
    /// What the attempt `own` does about these, or one that has written no intent.
    pub fn new(own: Option<Uuid>, others: &[Intent], now: Timestamp) -> Self {
        let young: Vec<&Intent> = others.iter().filter(|intent| !intent.is_expired(now)).collect();
        let silent = young.iter().filter(|intent| now > intent.silent_from() || intent.is_from_the_future(now));
        if let Some(until) = silent.map(|intent| intent.expires_at()).max() {
            // No message waits for the date of a tag from the future.
            return Turn::BackOff { until: until.min(fence_after(now)) };
        }
        match (young.iter().map(|intent| intent.attempt).min(), own) {
            (None, _) => Turn::Mine,
            (Some(lowest), Some(own)) if own < lowest => Turn::OthersGiveWay,
            (Some(_), _) => Turn::GiveWay,
        }
    }
}

impl fmt::Display for Intent {
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

#[cfg(test)]
mod tests {
    use super::*;

    const WRITTEN: &str = "2026-11-22T10:00:00Z";

    fn intents() -> [Intent; 2] {
        [1, 2].map(|n| Intent::parse(Uuid::from_u128(n), WRITTEN).unwrap())
    }

    fn later(seconds: i64) -> Timestamp {
        WRITTEN.parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
    }

    #[test]
    fn of_two_attempts_that_see_each_other_the_one_with_the_lower_id_keeps_its_intent() {
        let [lower, higher] = intents();
        let (own, other) = (lower.attempt, higher.attempt);
        assert_eq!(Turn::new(Some(own), &[higher], later(2)), Turn::OthersGiveWay);
        assert_eq!(Turn::new(Some(other), &[lower], later(2)), Turn::GiveWay);
    }

    #[test]
    fn whoever_has_written_no_intent_gives_way_to_all() {
        assert_eq!(Turn::new(None, &intents(), later(2)), Turn::GiveWay);
        assert_eq!(Turn::new(None, &[], later(2)), Turn::Mine);
    }

    #[test]
    fn an_intent_is_confirmed_by_an_attempt_of_its_own_minute_and_by_none_before_or_after() {
        let [intent, _] = intents();
        for (seconds, is_confirmed) in [(-61, false), (-60, true), (0, true), (60, true), (61, false)] {
            assert_eq!(intent.is_confirmed_by(later(seconds)), is_confirmed, "{seconds} s");
        }
        let session_ends = later(60) + SignedDuration::from_secs(SESSION_SECONDS.into());
        assert!(
            intent.expires_at().duration_since(session_ends) >= SignedDuration::from_mins(4),
            "longer than reads lag"
        );
    }

    #[test]
    fn nobody_waits_for_the_date_of_an_intent_from_the_future() {
        let forged = Intent::parse(Uuid::from_u128(9), "2099-01-01T00:00:00Z").unwrap();
        let turn = Turn::new(None, &[forged], later(0));
        assert_eq!(turn, Turn::BackOff { until: later(20 * 60) });
    }

    #[test]
    fn an_attempt_that_is_silent_for_a_minute_is_not_waited_for_until_its_intent_is_old() {
        let [lower, higher] = intents();
        let old = later(20 * 60);
        for (seconds, turn) in [
            (60, Turn::OthersGiveWay),
            (61, Turn::BackOff { until: old }),
            (20 * 60, Turn::BackOff { until: old }),
            (20 * 60 + 1, Turn::Mine),
        ] {
            assert_eq!(
                Turn::new(Some(lower.attempt), std::slice::from_ref(&higher), later(seconds)),
                turn,
                "{seconds} s"
            );
        }
    }
}
