//! Workers that die at a call. A worker is known by its SDK application name, one name for each time it is started; from the
//! moment it is dead, every further call of that name has its connection closed and changes nothing.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{Calls, Fate, Faults, Site};

/// When, within the fatal call, the worker dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Before the call is carried out.
    Before,
    /// After it took effect and before its answer was read.
    After,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrashPlan {
    /// Whose calls count, and which of them.
    #[serde(flatten)]
    pub calls: Calls,
    /// The fatal call, counted from 1 from now on.
    pub at_call: u64,
    /// Before or after its effect.
    pub when: When,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Crashes {
    armed: Vec<Armed>,
    dead: BTreeSet<String>,
}

#[derive(Debug, Clone, Serialize)]
struct Armed {
    plan: CrashPlan,
    counted: u64,
    #[serde(skip)]
    fired: CancellationToken,
}

impl Faults {
    /// Lets a worker die at a call. What is given back is cancelled at that moment, so that a test can drop the worker.
    pub fn crash(&mut self, plan: CrashPlan) -> CancellationToken {
        let fired = CancellationToken::new();
        self.crashes.armed.push(Armed { plan, counted: 0, fired: fired.clone() });
        fired
    }

    /// Lets a worker be dead from now on.
    pub fn kill(&mut self, app: &str) {
        self.crashes.dead.insert(app.to_owned());
    }

    /// Whether a worker of this name has died.
    pub fn is_dead(&self, app: &str) -> bool {
        self.crashes.dead.contains(app)
    }

    /// Forgets deaths that have not happened, and lets the dead call again.
    pub fn revive_all(&mut self) {
        self.crashes = Crashes::default();
    }
}

impl Crashes {
    pub(super) fn fate(&mut self, site: Site<'_>) -> Option<Fate> {
        if self.dead.contains(site.app) {
            return Some(Fate::DeadBefore);
        }
        let mut fatal = None;
        for armed in self.armed.iter_mut().filter(|armed| armed.plan.calls.contain(site)) {
            armed.counted += 1;
            if armed.counted == armed.plan.at_call {
                armed.fired.cancel();
                fatal = Some(armed.plan.when);
            }
        }
        let fate = match fatal? {
            When::Before => Fate::DeadBefore,
            When::After => Fate::DiesAfter,
        };
        self.dead.insert(site.app.to_owned());
        self.armed.retain(|armed| armed.counted < armed.plan.at_call);
        Some(fate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Service;

    fn call(app: &str) -> Site<'_> {
        Site { account: "1", app, service: Service::Iam, operation: "ListUsers", subject: "" }
    }

    fn plan(app: &str, at_call: u64, when: When) -> CrashPlan {
        CrashPlan { calls: Calls { app: Some(app.to_owned()), ..Calls::default() }, at_call, when }
    }

    #[test]
    fn a_worker_dies_at_its_call_and_stays_dead_while_others_live() {
        let mut faults = Faults::new(1);
        let died = faults.crash(plan("a", 2, When::After));
        assert_eq!(faults.fate(call("a")), Fate::CarryOut);
        assert_eq!(faults.fate(call("b")), Fate::CarryOut);
        assert!(!died.is_cancelled());
        assert_eq!(faults.fate(call("a")), Fate::DiesAfter);
        assert!(died.is_cancelled());
        assert_eq!(faults.fate(call("a")), Fate::DeadBefore);
        assert_eq!(faults.fate(call("b")), Fate::CarryOut);
    }

    #[test]
    fn death_can_come_before_the_effect() {
        let mut faults = Faults::new(1);
        faults.crash(plan("a", 1, When::Before));
        assert_eq!(faults.fate(call("a")), Fate::DeadBefore);
        faults.revive_all();
        assert_eq!(faults.fate(call("a")), Fate::CarryOut);
    }
}
