//! What is known of one key, as the rules ask for it: what could not be found out is an error, never a "no".

use jiff::{SignedDuration, Timestamp};

use crate::key::{Key, LastUse, Memory, Published, Remembered};
use crate::plan::Missing;

/// A decision, or what must be known first.
pub(crate) type Decided<T> = Result<T, Missing>;

/// A disable takes effect everywhere within seconds; a use this much later means that the key was active again.
const DISABLE_TAKES_EFFECT_WITHIN: SignedDuration = SignedDuration::from_hours(1);

/// The notice on a key, if it was given no earlier than `since`: an older one was about another successor.
pub(crate) fn notice_since(key: &Key, since: Timestamp) -> Option<Remembered> {
    match key.memory {
        Memory::Known(noticed @ (Remembered::Notified(at) | Remembered::Forced(at) | Remembered::Restored(at)))
            if no_earlier(at, since) =>
        {
            Some(noticed)
        }
        Memory::Known(_) | Memory::Nothing | Memory::Unreadable(_) => None,
    }
}

/// In whole seconds, as tags and IAM's creation times are.
pub(crate) fn no_earlier(at: Timestamp, since: Timestamp) -> bool {
    at.as_second() >= since.as_second()
}

/// Whether the key signed a call when it should long have been disabled. (An unknown last use stops the plan elsewhere.)
pub(crate) fn used_after_disable(key: &Key, disabled: Timestamp) -> bool {
    match key.last_use {
        LastUse::At { when, .. } => when.duration_since(disabled) > DISABLE_TAKES_EFFECT_WITHIN,
        LastUse::Unknown | LastUse::Never => false,
    }
}

/// When the key was last used (`None`: never), if that is known. Never used sorts before any use.
pub(crate) fn known_use(key: &Key) -> Decided<Option<Timestamp>> {
    match &key.last_use {
        LastUse::Unknown => Err(Missing::LastUse(key.id.clone())),
        LastUse::Never => Ok(None),
        LastUse::At { when, .. } => Ok(Some(*when)),
    }
}

/// Whether the key is the published one, if that is known.
pub(crate) fn known_publication(key: &Key) -> Decided<bool> {
    match key.published {
        Published::Unknown => Err(Missing::Published(key.id.clone())),
        Published::Yes => Ok(true),
        Published::No => Ok(false),
    }
}
