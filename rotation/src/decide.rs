//! The one question, and its answer: *(now, policy, what is known of one user, what is asked for) -> a verdict*.

use jiff::Timestamp;

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
        Request::ForceRotate(request) => forced::decide(now, policy, user, request),
        Request::Restore(request) => restore::decide(now, policy, user, request),
    }
}
