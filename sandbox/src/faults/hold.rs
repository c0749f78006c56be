//! Calls that are held up at a known point, for as long as a test needs to do something meanwhile: freeze the process that made
//! the call, let time pass, send it a signal. A barrier, where a sleep would be a guess.

use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Calls, Faults, Site, When};

/// A call to be held up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldPlan {
    /// Whose calls count, and which of them.
    pub calls: Calls,
    /// The call, counted from 1 from now on.
    pub at_call: u64,
    /// Before it is carried out (its caller's rights are looked at when it goes on), or when nothing is missing but its answer.
    pub when: When,
}

/// A call that is, or will be, held up. It goes on when this is dropped.
#[derive(Debug)]
pub struct Hold {
    reached: CancellationToken,
    _released: DropGuard,
}

impl Hold {
    /// Ends when the call is there and held up.
    pub async fn reached(&self) {
        self.reached.cancelled().await;
    }

    /// Whether the call has come.
    pub fn is_reached(&self) -> bool {
        self.reached.is_cancelled()
    }

    /// Lets the call go on.
    pub fn release(self) {}
}

/// What a call that is to be held up carries with it.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    when: When,
    reached: CancellationToken,
    released: CancellationToken,
}

impl Held {
    /// Waits, if it is to be held up at this point.
    pub(crate) async fn pause(&self, here: When) {
        if self.when == here {
            self.reached.cancel();
            self.released.cancelled().await;
        }
    }
}

/// The calls still to be held up.
#[derive(Debug, Clone, Default)]
pub(super) struct Holds(Vec<Armed>);

#[derive(Debug, Clone)]
struct Armed {
    calls: Calls,
    calls_until: u64,
    held: Held,
}

impl Faults {
    /// Holds a call up.
    pub fn hold(&mut self, plan: HoldPlan) -> Hold {
        let (reached, released) = (CancellationToken::new(), CancellationToken::new());
        let held = Held { when: plan.when, reached: reached.clone(), released: released.clone() };
        self.holds.0.push(Armed { calls: plan.calls, calls_until: plan.at_call, held });
        Hold { reached, _released: released.drop_guard() }
    }

    /// Whether a call is to be held up. Counts it, so: once per call.
    pub(crate) fn held(&mut self, site: Site<'_>) -> Option<Held> {
        let mut held = None;
        self.holds.0.retain_mut(|armed| {
            if !armed.calls.contain(site) {
                return true;
            }
            armed.calls_until = armed.calls_until.saturating_sub(1);
            if armed.calls_until == 0 {
                held = Some(armed.held.clone());
            }
            armed.calls_until > 0
        });
        held
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Service;

    fn call(operation: &str) -> Site<'_> {
        Site { account: "1", app: "a", service: Service::Iam, operation, subject: "" }
    }

    #[tokio::test]
    async fn the_call_named_is_held_up_where_it_was_asked_for_until_it_is_released() {
        let mut faults = Faults::new(1);
        let hold = faults.hold(HoldPlan { calls: Calls::new("iam:Create*"), at_call: 2, when: When::After });
        assert!(faults.held(call("CreateAccessKey")).is_none());
        assert!(faults.held(call("ListUsers")).is_none());
        let held = faults.held(call("CreateAccessKey")).expect("the second of them");
        assert!(faults.held(call("CreateAccessKey")).is_none(), "one call, once");
        held.pause(When::Before).await;
        assert!(!hold.is_reached(), "it was to be held up after its effect");
        let goes_on = tokio::spawn(async move { held.pause(When::After).await });
        hold.reached().await;
        assert!(!goes_on.is_finished());
        hold.release();
        goes_on.await.expect("it goes on");
    }
}
