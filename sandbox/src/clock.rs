//! The sandbox's clock: what every service, every `Date` header and every expiry goes by. It runs at real speed from any
//! starting point, or stands still until it is moved, so that a simulated year takes as long as its calls take.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// A clock that runs or stands still, and can be moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub enum Clock {
    /// Runs at real speed.
    Running {
        /// How far it is ahead of the machine's own clock.
        ahead: SignedDuration,
    },
    Frozen {
        at: Timestamp,
    },
}

impl Clock {
    /// The machine's own time.
    pub fn real() -> Self {
        Clock::Running { ahead: SignedDuration::ZERO }
    }

    /// Starts at `from` and runs at real speed.
    pub fn running_from(from: Timestamp) -> Self {
        Clock::Running { ahead: from.duration_since(Timestamp::now()) }
    }

    /// Stands still at `at`.
    pub fn frozen_at(at: Timestamp) -> Self {
        Clock::Frozen { at }
    }

    pub fn now(&self) -> Timestamp {
        match *self {
            Clock::Running { ahead } => Timestamp::now().saturating_add(ahead).unwrap_or(Timestamp::MAX),
            Clock::Frozen { at } => at,
        }
    }

    /// Whether time passes by itself.
    pub fn is_running(&self) -> bool {
        match self {
            Clock::Running { .. } => true,
            Clock::Frozen { .. } => false,
        }
    }

    /// Moves it by `by`; it goes on running, or standing still, from there.
    pub fn advance(&mut self, by: SignedDuration) {
        self.set(self.now().saturating_add(by).unwrap_or(Timestamp::MAX));
    }

    /// Moves it to `to`; it goes on running, or standing still, from there.
    pub fn set(&mut self, to: Timestamp) {
        *self = match self {
            Clock::Running { .. } => Clock::running_from(to),
            Clock::Frozen { .. } => Clock::frozen_at(to),
        };
    }

    /// Stops it where it is.
    pub fn freeze(&mut self) {
        *self = Clock::frozen_at(self.now());
    }

    /// Lets it run from where it is.
    pub fn resume(&mut self) {
        *self = Clock::running_from(self.now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(text: &str) -> Timestamp {
        text.parse().expect("an RFC 3339 instant")
    }

    #[test]
    fn a_frozen_clock_moves_only_when_moved() {
        let mut clock = Clock::frozen_at(instant("2026-01-01T00:00:00Z"));
        assert_eq!(clock.now(), clock.now());
        clock.advance(SignedDuration::from_hours(24));
        assert_eq!(clock.now(), instant("2026-01-02T00:00:00Z"));
        clock.set(instant("2025-06-01T12:00:00Z"));
        assert_eq!(clock.now(), instant("2025-06-01T12:00:00Z"));
    }

    #[test]
    fn a_running_clock_keeps_running_from_where_it_was_set() {
        let start = instant("2030-01-01T00:00:00Z");
        let mut clock = Clock::running_from(start);
        assert!(clock.now() >= start && clock.is_running());
        clock.advance(SignedDuration::from_hours(1));
        assert!(clock.now() >= instant("2030-01-01T01:00:00Z") && clock.is_running());
    }

    #[test]
    fn freezing_and_resuming_keep_the_time_shown() {
        let mut clock = Clock::running_from(instant("2030-01-01T00:00:00Z"));
        clock.freeze();
        let shown = clock.now();
        assert!(!clock.is_running());
        clock.resume();
        assert!(clock.now() >= shown && clock.is_running());
    }
}
