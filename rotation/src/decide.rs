//! The one question, and its answer: *(now, policy, what is known of one user, what is asked for) -> a verdict*.

use jiff::Timestamp;

use crate::plan::Action;
use crate::policy::Policy;
use crate::refusal::Refusal;
use crate::request::{ForceRotateRequest, Request, RestoreRequest};
use crate::user::User;
use crate::verdict::Verdict;
use crate::{forced, lifecycle, restore};

/// Decides about one user.
///
/// It may be asked about an ordinary look with every last use and publication still unknown: only if something is to be done
/// or said does it matter, and then the answer is [`Verdict::Undecided`]. That is how idle users cost no further calls.
pub fn decide(now: Timestamp, policy: &Policy, user: &User, request: &Request) -> Verdict {
    match request {
        Request::Scheduled => lifecycle::decide(now, policy, user),
        Request::ForceRotate(ForceRotateRequest { origin, .. }) | Request::Restore(RestoreRequest { origin, .. })
            if origin.is_too_old(now) =>
        {
            Verdict::Refused(Refusal::TooOld { requested_at: origin.requested_at })
        }
        Request::ForceRotate(request) => unless_own_key(forced::decide(now, policy, user, request), request),
        Request::Restore(request) => restore::decide(now, policy, user, request),
    }
}

/// A program that has made the key inactive that it signs with gets no further, and leaves the user without a successor.
fn unless_own_key(verdict: Verdict, request: &ForceRotateRequest) -> Verdict {
    let Some(own) = &request.own_key else { return verdict };
    let is_contained = |action: &Action| matches!(action, Action::Contain { key, .. } if key == own);
    let contains_it = matches!(&verdict, Verdict::Act(plan) if plan.actions.iter().any(is_contained));
    if contains_it { Verdict::Refused(Refusal::OwnKey { key: own.clone() }) } else { verdict }
}
