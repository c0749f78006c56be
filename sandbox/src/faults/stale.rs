//! Reads lagging behind writes: for some time after a user or a secret was changed, a read of it can show what was there before.
//! IAM says so itself ("Changes that I make are not always immediately visible", IAM User Guide, troubleshooting); of Secrets
//! Manager it is known from those who had to wait for it (hashicorp/terraform-provider-aws, pull request 18462).

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Faults;

/// Writes of one thing remembered at most; older states are as good as gone.
const WRITES_REMEMBERED: usize = 8;

/// What something was before recent writes, oldest first; kept only while stale reads are switched on.
#[derive(Debug, Clone)]
pub(crate) struct StaleView<T>(VecDeque<State<T>>);

/// What something was before a write.
#[derive(Debug, Clone)]
struct State<T> {
    /// When it was overwritten.
    until: Timestamp,
    /// How many more reads may see it, where that is limited.
    reads_left: Option<u32>,
    was: T,
}

impl<T> Default for StaleView<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StaleReads {
    /// For how long after a write, in seconds of the sandbox's clock.
    pub seconds: i64,
    /// For how many reads after a write; any number if not given. The clock may stand still.
    #[serde(default)]
    pub reads: Option<u32>,
    /// How often a read within that is stale, from 0 to 1.
    pub rate: f64,
    /// Only this operation's reads (`ListUserTags`); all if not given.
    #[serde(default)]
    pub operation: Option<String>,
}

impl Faults {
    /// To be called before something is changed: remembers what readers may still see.
    pub(crate) fn remember<T>(&self, view: &mut StaleView<T>, now: Timestamp, was: impl FnOnce() -> T) {
        let Some(stale) = self.stale_reads.as_ref().filter(|_| self.enabled) else {
            view.0.clear();
            return;
        };
        view.0.push_back(State { until: now, reads_left: stale.reads, was: was() });
        if view.0.len() > WRITES_REMEMBERED {
            view.0.pop_front();
        }
    }

    /// What a reader sees instead of what is there now, if it sees something older. `what` and `name` say of what.
    pub(crate) fn stale<'a, T>(
        &mut self,
        operation: &str,
        what: &str,
        name: &str,
        view: &'a mut StaleView<T>,
        now: Timestamp,
    ) -> Option<&'a T> {
        let stale = self.stale_reads.as_ref().filter(|_| self.enabled)?;
        if stale.operation.as_ref().is_some_and(|only| only != operation) {
            return None;
        }
        let window = SignedDuration::from_secs(stale.seconds);
        view.0.retain(|state| state.reads_left != Some(0) && state.until.duration_until(now) <= window);
        if view.0.is_empty() {
            return None;
        }
        for state in &mut view.0 {
            state.reads_left = state.reads_left.map(|left| left - 1);
        }
        if self.draws.next(&["stale", what, name]) >= stale.rate {
            return None;
        }
        let which = self.draws.next(&["stale state", what, name]) * view.0.len() as f64;
        view.0.get(which as usize).map(|state| &state.was)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::world::{MANAGEMENT_ACCOUNT, World};

    fn tagged(stale: StaleReads) -> World {
        let mut world = World::new(3, Clock::frozen_at(Timestamp::UNIX_EPOCH));
        world.faults.stale_reads = Some(stale);
        let now = world.now();
        world.add_user(MANAGEMENT_ACCOUNT, "ada");
        let faults = world.faults.clone();
        let user = world.user_mut(MANAGEMENT_ACCOUNT, "ada");
        faults.remember(&mut user.stale_view, now, || user.holds.clone());
        world.tag_user(MANAGEMENT_ACCOUNT, "ada", "colour", "blue");
        world
    }

    fn sees_the_tag(world: &mut World) -> bool {
        let now = world.now();
        let mut faults = world.faults.clone();
        let user = world.user_mut(MANAGEMENT_ACCOUNT, "ada");
        let seen =
            faults.stale("ListUserTags", MANAGEMENT_ACCOUNT, "ada", &mut user.stale_view, now).unwrap_or(&user.holds);
        let seen = !seen.tags.is_empty();
        world.faults = faults;
        seen
    }

    #[test]
    fn reads_are_stale_for_some_seconds_after_a_write() {
        let mut world = tagged(StaleReads { seconds: 10, reads: None, rate: 1.0, operation: None });
        assert!(!sees_the_tag(&mut world));
        world.clock.advance(SignedDuration::from_secs(10));
        assert!(!sees_the_tag(&mut world));
        world.clock.advance(SignedDuration::from_secs(1));
        assert!(sees_the_tag(&mut world));
    }

    #[test]
    fn reads_are_stale_for_so_many_reads_while_the_clock_stands() {
        let mut world = tagged(StaleReads { seconds: 10, reads: Some(2), rate: 1.0, operation: None });
        let seen: Vec<bool> = (0..3).map(|_| sees_the_tag(&mut world)).collect();
        assert_eq!(seen, [false, false, true]);
    }
}
