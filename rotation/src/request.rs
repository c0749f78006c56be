//! What is asked for about one user, and by whom.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::ids::AccessKeyId;
use crate::intent::CLOCK_TOLERANCE;
use crate::refusal::Refusal;

/// What is asked for about one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Bring the user's keys to where policy wants them.
    Scheduled,
    ForceRotate(ForceRotateRequest),
    Restore(RestoreRequest),
}

/// How old a request may be. Longer than this SQS keeps no message (SQS Developer Guide, message retention: at most 14 days), so
/// an older one has been put back by hand, and nobody remembers the state of the user that it was made for.
pub const MAX_REQUEST_AGE: SignedDuration = SignedDuration::from_hours(14 * 24);

/// Where an operator's request comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestOrigin {
    /// The id under which state tags record the request.
    pub id: Uuid,
    /// When it was made, by AWS's clock: what has happened since may make it void.
    pub requested_at: Timestamp,
    /// Whether an earlier delivery of the same message may have begun the work.
    pub redelivered: bool,
}

/// An operator's request to rotate one user now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForceRotateRequest {
    /// The key to replace, where one is named.
    pub access_key_id: Option<AccessKeyId>,
    /// Contain first: the old key is made inactive before anything else.
    pub disable_old_now: bool,
    /// Rotate although the user is exempt.
    pub override_exemption: bool,
    /// The key that the program itself signs with, which it makes inactive for nobody.
    pub own_key: Option<AccessKeyId>,
    pub origin: RequestOrigin,
}

/// An operator's request to make a disabled key active again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreRequest {
    /// The key; may be left out where only one is inactive.
    pub access_key_id: Option<AccessKeyId>,
    pub origin: RequestOrigin,
}

impl RequestOrigin {
    /// The origin of a request whose message says when it was made, or does not, and was sent then by SQS's clock. Nobody can
    /// have made it later than that: SQS's clock counts where theirs is ahead.
    ///
    /// # Errors
    /// It is further ahead than clocks can be apart.
    pub fn new(id: Uuid, made: Option<Timestamp>, sent: Timestamp, redelivered: bool) -> Result<Self, Refusal> {
        let requested_at = made.unwrap_or(sent);
        if requested_at.duration_since(sent) > CLOCK_TOLERANCE {
            return Err(Refusal::FromTheFuture { requested_at, sent });
        }
        Ok(Self { id, requested_at: requested_at.min(sent), redelivered })
    }

    pub(crate) fn is_too_old(&self, now: Timestamp) -> bool {
        now.duration_since(self.requested_at) > MAX_REQUEST_AGE
    }
}
