//! The day-by-day chart: keys by state, one line a state, one column some days.

use std::fmt::Write as _;

use rotation::names::STATE_TAG_PREFIX;
use rotation::policy::days;
use rotation::{KeyState, KeyStateKind, Policy};

use sandbox::world::{KeyStatus, World};

/// Columns at most.
const WIDTH: usize = 61;
const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const STATES: [&str; 5] = ["active, young", "active, due", "being replaced", "disabled", "exempt or protected"];

/// Counts of each day.
#[derive(Debug, Default)]
pub(super) struct Chart {
    days: Vec<[usize; STATES.len()]>,
}

impl Chart {
    /// Counts the keys as they are now.
    pub(super) fn note(&mut self, world: &World, policy: &Policy) {
        let now = world.now();
        let due = days(policy.rotation_period());
        let mut counts = [0; STATES.len()];
        for account in world.accounts.values() {
            for user in account.users.values() {
                let exempt = user.holds.groups.contains(sandbox::generate::EXEMPTION_GROUP)
                    || user.holds.tags.contains_key(sandbox::generate::EXEMPT_UNTIL_TAG);
                for key in &user.holds.keys {
                    let state = user.holds.tags.get(&format!("{STATE_TAG_PREFIX}{}", key.id));
                    let state = state.and_then(|state| KeyState::parse(state));
                    let told = state.is_some_and(|state| state.kind != KeyStateKind::Disabled);
                    let old = key.created.duration_until(now) >= due;
                    let which = match key.status {
                        _ if exempt => 4,
                        KeyStatus::Inactive => 3,
                        KeyStatus::Active if told => 2,
                        KeyStatus::Active if old => 1,
                        KeyStatus::Active => 0,
                    };
                    counts[which] += 1;
                }
            }
        }
        self.days.push(counts);
    }

    pub(super) fn draw(&self) -> String {
        let step = self.days.len().div_ceil(WIDTH).max(1);
        let columns: Vec<_> = self.days.iter().step_by(step).collect();
        let mut chart = String::from("Keys by state, day by day\n");
        for (row, name) in STATES.iter().enumerate() {
            let most = columns.iter().map(|day| day[row]).max().unwrap_or(0).max(1);
            let bars: String = columns
                .iter()
                .map(|day| BLOCKS[(day[row] * (BLOCKS.len() - 1)).div_ceil(most).min(BLOCKS.len() - 1)])
                .collect();
            let last = self.days.last().map_or(0, |day| day[row]);
            let peak = self.days.iter().map(|day| day[row]).max().unwrap_or(0);
            if peak == 0 {
                continue;
            }
            let _ = writeln!(chart, "{name:>20} {bars} {last:>5} (peak {peak})");
        }
        let last = self.days.len().saturating_sub(1);
        let _ = write!(chart, "{:>20} day 0{:>width$}", "", last, width = columns.len().saturating_sub(5));
        chart
    }
}
