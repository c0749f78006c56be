//! Inactive keys, each for itself; what was done to them and not told; and the records of keys that are gone.

use jiff::Timestamp;

use super::{Rules, kept};
use crate::evidence::{Known, disabled_record, known_publication, used_after_disable};
use crate::ids::AccessKeyId;
use crate::key::{Key, KeyStatus};
use crate::plan::{Action, Announcement, Deletable, DeleteReason, Upcoming, untold_of_gone};
use crate::policy::after;
use crate::request::MAX_REQUEST_AGE;
use crate::state::{KeyState, KeyStateKind};
use crate::user::User;

impl Rules {
    /// The inactive keys and what is to be done about each. Where the owner of a contained key has not been told of its successor,
    /// that comes first: the key stays until the date that is then told, for the mail of a deletion names no successor. The keys
    /// are given back as they are once that is told.
    pub(super) fn all_inactive(&self, active: &[&Key], inactive: &[&Key]) -> Known<(Vec<Key>, Vec<Action>)> {
        let mut keys: Vec<Key> = inactive.iter().map(|key| (*key).clone()).collect();
        let untold = match (active, keys.as_mut_slice()) {
            ([only], [contained, ..]) => {
                let untold = self.untold_successor(contained, only)?;
                if let (Some(_), Some(state)) = (&untold, contained.state.as_mut()) {
                    state.until = Some(self.delete_due(self.now));
                }
                untold
            }
            ([] | [_, _, ..], _) | ([_], []) => None,
        };
        let actions = keys.iter().filter_map(|key| self.inactive(key)).chain(untold).collect();
        Ok((keys, actions))
    }

    /// An inactive key: adopted if this tool did not disable it; told of again if its owner has not been told that it did;
    /// deleted when its recovery grace is over.
    fn inactive(&self, key: &Key) -> Option<Action> {
        if let Some(announcement) = self.untold_disable(key) {
            return Some(announcement);
        }
        match self.deletion_of(key) {
            None => Some(self.adopt(key)),
            Some((state, due)) if self.now >= due => {
                let reason = DeleteReason::RecoveryGraceOver { disabled: state.at };
                Some(Action::Delete(Deletable::new(key.id.clone(), reason, state.clone())))
            }
            Some((_, due)) => self.warn(key, Upcoming::Delete, due),
        }
    }

    /// That the key was disabled, where its owner has not been told.
    pub(super) fn untold_disable(&self, key: &Key) -> Option<Action> {
        let state = disabled_record(key).filter(|state| !state.told && !was_to_make_room(state))?;
        (key.status == KeyStatus::Inactive).then(|| self.announce(key, state))
    }

    /// Since when an inactive key is known to be disabled, and when it may be deleted. A key that was used since was
    /// active in between, unseen: its record is void, and its recovery grace starts anew; so is one of which nobody knows.
    pub(super) fn deletion_of<'k>(&self, key: &'k Key) -> Option<(&'k KeyState, Timestamp)> {
        let state = disabled_record(key).filter(|state| state.told && !used_after_disable(key, state.at))?;
        Some((state, kept(self.delete_due(state.at), state)))
    }

    pub(super) fn delete_due(&self, disabled: Timestamp) -> Timestamp {
        after(disabled, self.policy.recovery_grace())
    }

    fn adopt(&self, key: &Key) -> Action {
        let delete_due = self.delete_due(self.now);
        let disabled = KeyState::new(KeyStateKind::Disabled, self.now).until(delete_due);
        // The request that contained it goes on being known by that.
        let state = match &key.state {
            Some(known) if known.is_containment() => {
                KeyState { by: known.by, successor: known.successor.clone(), ..disabled }
            }
            Some(_) | None => disabled,
        };
        Action::Adopt { key: key.id.clone(), state, delete_due }
    }

    fn announce(&self, key: &Key, state: &KeyState) -> Action {
        let delete_due = self.delete_due(self.now);
        let what = match state.is_containment() {
            true => Announcement::Contained,
            false => Announcement::Disabled { delete_due },
        };
        let state = what.recorded_in(state.clone().until(delete_due));
        Action::Announce { key: key.id.clone(), what, state }
    }

    /// The key that a request made in place of the one it contained, where its owner has not been told of it.
    fn untold_successor(&self, contained: &Key, active: &Key) -> Known<Option<Action>> {
        let Some(state) = disabled_record(contained).filter(|state| state.is_containment()) else {
            return Ok(None);
        };
        let is_candidate = state.successor.is_none() && active.created >= contained.created;
        if !is_candidate || !known_publication(active)? {
            return Ok(None);
        }
        let what = Announcement::Successor { by: active.id.clone() };
        let state = what.recorded_in(state.clone().until(self.delete_due(self.now)));
        Ok(Some(Action::Announce { key: contained.id.clone(), what, state }))
    }

    /// State tags of keys that are gone. What their owner has not been told of is told. Else they stay for the recovery grace, and
    /// as long as the request may come again that they name: by them it knows what it has done already.
    pub(super) fn keys_that_are_gone(&self, user: &User) -> Vec<Action> {
        user.orphaned_states().flat_map(|(key, state)| self.gone(key, state)).collect()
    }

    fn gone(&self, key: &AccessKeyId, state: &KeyState) -> Vec<Action> {
        let untold = untold_of_gone(key, state);
        let may_come_again = state.by.is_some() && self.now.duration_since(state.at) <= MAX_REQUEST_AGE;
        if untold.is_empty() && self.now >= self.delete_due(state.at) && !may_come_again {
            return vec![Action::Forget { key: key.clone() }];
        }
        untold
    }
}

/// Whether a forced rotation was about to delete the key, which was on no record before. Where it is still there that request has
/// died, and nobody has disabled the key but its owner.
fn was_to_make_room(state: &KeyState) -> bool {
    state.deleting && !state.is_containment()
}
