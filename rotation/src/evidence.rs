//! What is known of one key, as the rules ask for it: what could not be found out is an error, never a "no".

use jiff::{SignedDuration, Timestamp};

use crate::intent::is_from_the_future;
use crate::key::{Key, KeyStatus, LastUse, Published};
use crate::request::MAX_REQUEST_AGE;
use crate::state::{KeyState, KeyStateKind};
use crate::verdict::MissingFact;

/// An answer, or the fact that must be known before there can be one.
pub(crate) type Known<T> = Result<T, MissingFact>;

/// A disable takes effect everywhere within seconds; a use this much later means that the key was active again.
const DISABLE_TAKES_EFFECT_WITHIN: SignedDuration = SignedDuration::from_hours(1);

/// Longer than IAM's reads lag behind its writes.
const READS_LAG_FOR: SignedDuration = SignedDuration::from_mins(1);

/// The notice on a key that its owner has been given no earlier than `since`: an older one was about another successor.
pub(crate) fn notice_since(key: &Key, since: Timestamp) -> Option<&KeyState> {
    key.state.as_ref().filter(|state| match state.kind {
        KeyStateKind::Notified | KeyStateKind::Forced | KeyStateKind::Restored => {
            state.told && no_earlier(state.at, since)
        }
        KeyStateKind::Disabled => false,
    })
}

/// The record that the key was disabled, if that is what its state tag says.
pub(crate) fn disabled_record(key: &Key) -> Option<&KeyState> {
    key.state.as_ref().filter(|state| state.kind == KeyStateKind::Disabled)
}

/// Whether an active key was made active again after it had been disabled, and its owner has not been told what follows.
pub(crate) fn is_untold_re_enabled(key: &Key) -> bool {
    key.state.as_ref().is_some_and(|state| match state.kind {
        KeyStateKind::Disabled => true,
        KeyStateKind::Restored => !state.told,
        KeyStateKind::Notified | KeyStateKind::Forced => false,
    })
}

/// Whether a key that reads as active was contained so shortly ago that it need not be: reads lag behind writes.
pub(crate) fn may_be_contained_still(key: &Key, now: Timestamp) -> bool {
    let is_recent =
        |state: &KeyState| now.duration_since(state.at) < READS_LAG_FOR && !is_from_the_future(state.at, now);
    let contained = key.state.as_ref().filter(|state| state.is_containment() && state.restoring.is_none());
    key.status == KeyStatus::Active && contained.is_some_and(is_recent)
}

/// When it was asked for that an active key be made so, or a person did it, while a request of before that may still come: whatever its
/// owner has been told of since. A date that cannot be, as a mail service whose clock is wrong gives it, is none.
pub(crate) fn restored(key: &Key, now: Timestamp) -> Option<Timestamp> {
    let state = key.state.as_ref()?;
    let restored = match state.kind {
        KeyStateKind::Restored => Some(state.requested_at.unwrap_or(state.at)),
        KeyStateKind::Notified | KeyStateKind::Forced => state.requested_at,
        // A request has begun to, or has, and died before it could record that.
        KeyStateKind::Disabled => state.restoring.map(|_| state.requested_at.unwrap_or(state.at)),
    };
    restored.filter(|at| !is_from_the_future(*at, now) && now.duration_since(*at) <= MAX_REQUEST_AGE)
}

/// Whether an operator's request may still be delivered again that has to find this record: its own, or that of a leak reported since.
pub(crate) fn may_come_again(state: &KeyState, now: Timestamp) -> bool {
    let is_of_request = state.request.is_some() || state.restoring.is_some() || state.requested_at.is_some();
    let newest = state.requested_at.map_or(state.at, |requested| requested.max(state.at));
    is_of_request && now.duration_since(newest) <= MAX_REQUEST_AGE
}

/// Whether `at` is not before `since`, in whole seconds, as tags and IAM's creation times are.
pub fn no_earlier(at: Timestamp, since: Timestamp) -> bool {
    at.as_second() >= since.as_second()
}

/// Whether `at` is after `than`, in whole seconds: within one second neither of two is later than the other.
pub fn later(at: Timestamp, than: Timestamp) -> bool {
    at.as_second() > than.as_second()
}

/// Whether the key signed a call when it should long have been disabled. (An unknown last use stops the plan elsewhere.)
pub(crate) fn used_after_disable(key: &Key, disabled: Timestamp) -> bool {
    match key.last_use {
        LastUse::At { when, .. } => when.duration_since(disabled) > DISABLE_TAKES_EFFECT_WITHIN,
        LastUse::Unknown | LastUse::Never => false,
    }
}

/// When the key was last used (`None`: never), if that is known. Never used sorts before any use.
pub(crate) fn known_use(key: &Key) -> Known<Option<Timestamp>> {
    match &key.last_use {
        LastUse::Unknown => Err(MissingFact::LastUse(key.id.clone())),
        LastUse::Never => Ok(None),
        LastUse::At { when, .. } => Ok(Some(*when)),
    }
}

/// Whether the key is the published one, if that is known.
pub(crate) fn known_publication(key: &Key) -> Known<bool> {
    match key.published {
        Published::Unknown => Err(MissingFact::Published(key.id.clone())),
        Published::Yes => Ok(true),
        Published::No => Ok(false),
    }
}
