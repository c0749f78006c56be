//! What a key's state tag records.
//!
//! IAM says neither when a key was disabled nor whether its owner was told. That is kept on the user, in one IAM user tag
//! per key (see [`crate::names::state_tag`]).

use std::fmt;

use jiff::Timestamp;
use uuid::Uuid;

use crate::ids::AccessKeyId;

/// One state tag, read: `kind=time`, and what else is known, each as a `word=value` pair after a space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyState {
    pub kind: KeyStateKind,
    /// Since when; for what an owner was told, when the mail was accepted.
    pub at: Timestamp,
    /// The date that the owner was told (`until=`): nothing comes sooner, whatever the settings say by then.
    pub until: Option<Timestamp>,
    /// The operator's request that did it (`by=`).
    pub request: Option<Uuid>,
    /// The successor that this request made, once its owner has been told of it (`successor=`).
    pub successor: Option<AccessKeyId>,
    /// The operator's request that is about to make the key active (`restoring=`): it is written before that, and goes with the
    /// record that the key was restored.
    pub restoring: Option<Uuid>,
    /// When the request was made that restores the key, or has restored it, or has reported its leak when it was disabled already
    /// (`asked=`): of two requests the later one counts, whichever is carried out first.
    pub requested_at: Option<Timestamp>,
    /// Whether the owner has been told. While it has not (`told=no`), it has to be told again, and no clock runs.
    pub told: bool,
    /// Whether it had been told, before an exemption (`told=void`): it is told again when the user is no longer exempt.
    pub void: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStateKind {
    /// A notice about this key: it has a successor, or will be disabled.
    Notified,
    /// The same, for a forced rotation: the install grace counts from here whatever the key's age.
    Forced,
    /// This tool disabled it, or first saw it inactive.
    Disabled,
    /// It was made active again after `Disabled`, by a person or on an operator's request.
    Restored,
}

impl KeyStateKind {
    fn word(self) -> &'static str {
        match self {
            KeyStateKind::Notified => "notified",
            KeyStateKind::Forced => "forced",
            KeyStateKind::Disabled => "disabled",
            KeyStateKind::Restored => "restored",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        match word {
            "notified" => Some(KeyStateKind::Notified),
            "forced" => Some(KeyStateKind::Forced),
            "disabled" => Some(KeyStateKind::Disabled),
            "restored" => Some(KeyStateKind::Restored),
            _ => None,
        }
    }
}

impl KeyState {
    /// A state that the owner has been told of.
    pub fn new(kind: KeyStateKind, at: Timestamp) -> Self {
        Self {
            kind,
            at,
            until: None,
            request: None,
            successor: None,
            restoring: None,
            requested_at: None,
            told: true,
            void: false,
        }
    }

    /// The same with the date that its owner is told.
    #[must_use]
    pub fn until(self, date: Timestamp) -> Self {
        Self { until: Some(date), ..self }
    }

    /// The same, brought about by an operator's request.
    #[must_use]
    pub fn of_request(self, request: Uuid) -> Self {
        Self { request: Some(request), ..self }
    }

    /// The same, with its owner still to be told.
    #[must_use]
    pub fn not_told(self) -> Self {
        Self { told: false, ..self }
    }

    /// The same, with its owner told.
    #[must_use]
    pub(crate) fn marked_told(self) -> Self {
        Self { told: true, void: false, ..self }
    }

    /// The same, with what the owner was told void.
    #[must_use]
    pub fn made_void(self) -> Self {
        Self { told: false, void: true, ..self }
    }

    /// Whether both record the same kind of state for the same operator's request, whatever has been told of it. False without a request.
    pub fn is_of_same_request(&self, other: &Self) -> bool {
        (self.kind, self.request) == (other.kind, other.request) && self.request.is_some()
    }

    /// Whether the owner has to be told also while the user is exempt.
    pub fn is_untold(&self) -> bool {
        !self.told && !self.void
    }

    /// As it is recorded once the owner has been told. A clock starts then; what a request contained dates from the
    /// containment, by which it is known what came before it.
    #[must_use]
    pub fn accepted(self, at: Timestamp) -> Self {
        let at = if self.is_containment() { self.at } else { at };
        Self { at, ..self.marked_told() }
    }

    /// When the leak of the key was reported, where that was after it had been disabled.
    pub fn leak_reported(&self) -> Option<Timestamp> {
        self.requested_at.filter(|_| self.kind == KeyStateKind::Disabled && self.restoring.is_none())
    }

    /// Whether an operator's request disabled the key.
    pub fn is_containment(&self) -> bool {
        self.kind == KeyStateKind::Disabled && self.request.is_some()
    }

    /// Reads `notified=2026-11-22T10:00:00Z until=2026-12-02T10:00:00Z` and its like; `None` for anything else, which is a
    /// finding: what is not understood may be what forbids the next step.
    pub fn parse(value: &str) -> Option<Self> {
        let mut pairs = value.split(' ').map(|pair| pair.split_once('='));
        let (word, time) = pairs.next()??;
        let mut state = Self::new(KeyStateKind::from_word(word)?, parse_tag_time(time)?);
        for pair in pairs {
            match pair? {
                ("until", date) if state.until.is_none() => state.until = Some(parse_tag_time(date)?),
                ("by", request) if state.request.is_none() => state.request = Some(request.parse().ok()?),
                ("successor", key) if state.successor.is_none() => state.successor = Some(AccessKeyId::new(key).ok()?),
                ("restoring", request) if state.restoring.is_none() => state.restoring = Some(request.parse().ok()?),
                ("asked", time) if state.requested_at.is_none() => state.requested_at = Some(parse_tag_time(time)?),
                ("told", "no") if state.told => state.told = false,
                ("told", "void") if state.told => (state.told, state.void) = (false, true),
                _ => return None,
            }
        }
        Some(state)
    }
}

impl fmt::Display for KeyState {
    /// The tag's value: whole seconds, UTC, only characters that IAM allows in a tag, and below its 256.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.kind.word(), tag_time(self.at))?;
        if let Some(date) = self.until {
            write!(f, " until={}", tag_time(date))?;
        }
        if let Some(request) = self.request {
            write!(f, " by={request}")?;
        }
        if let Some(key) = &self.successor {
            write!(f, " successor={key}")?;
        }
        if let Some(request) = self.restoring {
            write!(f, " restoring={request}")?;
        }
        if let Some(time) = self.requested_at {
            write!(f, " asked={}", tag_time(time))?;
        }
        match (self.told, self.void) {
            (true, _) => Ok(()),
            (false, false) => f.write_str(" told=no"),
            (false, true) => f.write_str(" told=void"),
        }
    }
}

/// A time in a tag. Years before 0 are refused: they cannot be written back in four digits, and nobody means them.
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
