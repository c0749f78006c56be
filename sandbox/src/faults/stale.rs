//! IAM's reads lagging behind its writes: for some time after a user was changed, a read of it can show what was there before.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Faults;
use crate::world::{Holdings, Past, User};

/// Writes of one user remembered at most; older states are as good as gone.
const WRITES_REMEMBERED: usize = 8;

/// How reads lag.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StaleReads {
    /// For how long after a write, in seconds of the sandbox's clock.
    pub seconds: i64,
    /// For how many reads after a write; any number if not given. The clock may stand still.
    #[serde(default)]
    pub reads: Option<u32>,
    /// How often a read within that is stale, from 0 to 1.
    pub rate: f64,
}

impl Faults {
    /// To be called before a user is changed: remembers what readers may still see.
    pub(crate) fn remember(&self, user: &mut User, now: Timestamp) {
        let Some(stale) = self.stale_reads.as_ref().filter(|_| self.enabled) else {
            user.past.clear();
            return;
        };
        user.past.push_back(Past { until: now, reads_left: stale.reads, holdings: user.holds.clone() });
        if user.past.len() > WRITES_REMEMBERED {
            user.past.pop_front();
        }
    }

    /// What a reader sees of a user now.
    pub(crate) fn seen<'a>(&mut self, account: &str, user: &'a mut User, now: Timestamp) -> &'a Holdings {
        let Some(stale) = self.stale_reads.as_ref().filter(|_| self.enabled) else { return &user.holds };
        let window = SignedDuration::from_secs(stale.seconds);
        user.past.retain(|past| past.reads_left != Some(0) && past.until.duration_until(now) <= window);
        if user.past.is_empty() {
            return &user.holds;
        }
        for past in &mut user.past {
            past.reads_left = past.reads_left.map(|left| left - 1);
        }
        if self.draws.next(&["stale", account, &user.name]) >= stale.rate {
            return &user.holds;
        }
        let which = self.draws.next(&["stale state", account, &user.name]) * user.past.len() as f64;
        user.past.get(which as usize).map_or(&user.holds, |past| &past.holdings)
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
        faults.remember(world.user_mut(MANAGEMENT_ACCOUNT, "ada"), now);
        world.tag_user(MANAGEMENT_ACCOUNT, "ada", "colour", "blue");
        world
    }

    fn sees_the_tag(world: &mut World) -> bool {
        let now = world.now();
        let mut faults = world.faults.clone();
        let user = world.user_mut(MANAGEMENT_ACCOUNT, "ada");
        let seen = !faults.seen(MANAGEMENT_ACCOUNT, user, now).tags.is_empty();
        world.faults = faults;
        seen
    }

    #[test]
    fn reads_are_stale_for_some_seconds_after_a_write() {
        let mut world = tagged(StaleReads { seconds: 10, reads: None, rate: 1.0 });
        assert!(!sees_the_tag(&mut world));
        world.clock.advance(SignedDuration::from_secs(10));
        assert!(!sees_the_tag(&mut world));
        world.clock.advance(SignedDuration::from_secs(1));
        assert!(sees_the_tag(&mut world));
    }

    #[test]
    fn reads_are_stale_for_so_many_reads_while_the_clock_stands() {
        let mut world = tagged(StaleReads { seconds: 10, reads: Some(2), rate: 1.0 });
        let seen: Vec<bool> = (0..3).map(|_| sees_the_tag(&mut world)).collect();
        assert_eq!(seen, [false, false, true]);
    }
}
