//! Which of a user's keys takes another's place, and whether it has been installed: whether it has signed a call since it was made, which
//! is all that AWS tells of it.

use crate::key::{Key, KeyStatus, LastUse, Published};
use crate::state::{KeyState, KeyStateKind};
use crate::user::User;

/// A key that takes the place of another, while both are active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Succession<'a> {
    pub previous: &'a Key,
    pub successor: &'a Key,
    /// What the owner has been told about the previous key.
    pub notice: Option<&'a KeyState>,
}

/// Whether a key has been installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Installed {
    /// It has signed a call.
    Yes,
    NotYet,
    /// Its last use is not known.
    Unknown,
}

impl From<&LastUse> for Installed {
    fn from(last_use: &LastUse) -> Self {
        match last_use {
            LastUse::At { .. } => Installed::Yes,
            LastUse::Never => Installed::NotYet,
            LastUse::Unknown => Installed::Unknown,
        }
    }
}

impl User {
    /// The oldest active key and the newest, where the newest is published, or the owner has been told that the oldest has to go.
    pub fn succession(&self) -> Option<Succession<'_>> {
        let active = self.keys_by_age().into_iter().filter(|key| key.status == KeyStatus::Active);
        let active: Vec<&Key> = active.collect();
        let [previous, .., successor] = active.as_slice() else { return None };
        let notice = previous.state.as_ref().filter(|state| match state.kind {
            KeyStateKind::Notified | KeyStateKind::Forced | KeyStateKind::Restored => true,
            KeyStateKind::Disabled => false,
        });
        let is_one = notice.is_some() || successor.published == Published::Yes;
        is_one.then_some(Succession { previous, successor, notice })
    }

    /// Whether a key that is to be installed has been: the published one, or one that takes another's place. `None` for any other.
    pub fn installed(&self, key: &Key) -> Option<Installed> {
        let is_successor = self.succession().is_some_and(|succession| succession.successor.id == key.id);
        let is_to_be = key.status == KeyStatus::Active && (key.published == Published::Yes || is_successor);
        is_to_be.then(|| Installed::from(&key.last_use))
    }
}
