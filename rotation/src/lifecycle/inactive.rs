//! Inactive keys, each for itself; what was done to them and not told; and the records of keys that are gone.

use jiff::Timestamp;

use super::{LifecycleRules, is_announced, no_sooner_than_told};
use crate::evidence::{Known, disabled_record, known_publication, may_come_again, no_earlier, used_after_disable};
use crate::ids::AccessKeyId;
use crate::key::{Key, KeyStatus};
use crate::plan::{Action, Announcement, Deletable, DeleteReason, Upcoming};
use crate::policy::{after, before};
use crate::state::{KeyState, KeyStateKind};
use crate::user::User;

impl LifecycleRules {
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
        let actions = keys.iter().filter_map(|key| self.for_inactive(key)).chain(untold).collect();
        Ok((keys, actions))
    }

    /// An inactive key: adopted if this tool did not disable it; told of again if its owner has not been told that it did;
    /// deleted when its recovery grace is over.
    fn for_inactive(&self, key: &Key) -> Option<Action> {
        // The key may have been active again since it was contained, or since an exemption has made its record void: then it is new.
        let dates_from_then = |state: &KeyState| state.void || state.is_containment();
        let is_outdated =
            disabled_record(key).is_some_and(|state| dates_from_then(state) && used_after_disable(key, state.at));
        if let Some(announcement) = self.untold_disable(key).filter(|_| !is_outdated) {
            return Some(announcement);
        }
        match self.deletion_of(key) {
            None => Some(self.adopt(key)),
            Some((state, due)) if self.now >= due => {
                let reason = DeleteReason::RecoveryGraceOver { disabled: state.at };
                Some(Action::Delete(Deletable::new(key.id.clone(), reason, Some(state))))
            }
            Some((state, due)) => self.warn(key, Upcoming::Delete { contained: state.is_containment() }, due),
        }
    }

    /// That the key was disabled, where its owner has not been told.
    pub(super) fn untold_disable(&self, key: &Key) -> Option<Action> {
        let state = disabled_record(key).filter(|state| !state.told)?;
        (key.status == KeyStatus::Inactive).then(|| self.announce(key, state))
    }

    /// Since when an inactive key is known to be disabled, and when it may be deleted. A key that was used since was
    /// active in between, unseen: its record is void, and its recovery grace starts anew; so is one of which nobody knows, and one from
    /// before an exemption that has ended since, seen or unseen.
    pub(super) fn deletion_of<'k>(&self, key: &'k Key) -> Option<(&'k KeyState, Timestamp)> {
        let is_void = |state: &KeyState| used_after_disable(key, state.at) || self.is_from_before_an_exemption(state);
        let state = disabled_record(key).filter(|state| state.told && !is_void(state))?;
        Some((state, no_sooner_than_told(self.delete_due(state.at), state)))
    }

    /// A restore that has begun dates the record anew, and tells nobody: what its owner was told, and so when, stays in `until`.
    fn is_from_before_an_exemption(&self, state: &KeyState) -> bool {
        let told_until = state.until.filter(|_| state.restoring.is_some());
        let told = told_until.map_or(state.at, |until| before(until, self.policy.recovery_grace()).min(state.at));
        self.exempt_until.is_some_and(|until| !no_earlier(told, until))
    }

    pub(super) fn delete_due(&self, disabled: Timestamp) -> Timestamp {
        after(disabled, self.policy.recovery_grace())
    }

    fn adopt(&self, key: &Key) -> Action {
        let delete_due = self.delete_due(self.now);
        let disabled = KeyState::new(KeyStateKind::Disabled, self.now).until(delete_due);
        // The request that contained it goes on being known by that, and so does a restore that has begun, unless the key was active in between.
        let state = match disabled_record(key) {
            Some(known) => {
                let is_void = used_after_disable(key, known.at);
                KeyState {
                    request: known.request,
                    successor: known.successor.clone(),
                    restoring: known.restoring.filter(|_| !is_void),
                    requested_at: known.requested_at.filter(|_| !is_void),
                    ..disabled
                }
            }
            None => disabled,
        };
        Action::Adopt { key: key.id.clone(), state, delete_due }
    }

    fn announce(&self, key: &Key, state: &KeyState) -> Action {
        let delete_due = self.delete_due(self.now);
        let what = match state.is_containment() {
            true => Announcement::Contained,
            false => Announcement::Disabled { delete_due },
        };
        what.into_action(&key.id, Some(self.told_now(state)))
    }

    /// What is told after an exemption is not void by it, though a containment goes on dating from when it was.
    fn told_now(&self, state: &KeyState) -> KeyState {
        let at = if self.is_from_before_an_exemption(state) { self.now } else { state.at };
        KeyState { at, ..state.clone().until(self.delete_due(self.now)) }
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
        let what = Announcement::Successor { successor: active.id.clone() };
        Ok(Some(what.into_action(&contained.id, Some(self.told_now(state)))))
    }

    /// What the owner has not been told of keys that are gone is told. Else their state tags stay for the recovery grace, and as long
    /// as the request may come again that they name: by them it knows what it has done already.
    pub(super) fn keys_that_are_gone(&self, user: &User) -> Vec<Action> {
        let mut actions = untold_of_gone(user);
        let is_over = |state: &KeyState| self.now >= self.delete_due(state.at) && !may_come_again(state, self.now);
        let over = user.orphaned_states().filter(|(key, state)| is_over(state) && !is_announced(&actions, key));
        let over: Vec<Action> = over.map(|(key, _)| Action::Forget { key: key.clone() }).collect();
        actions.extend(over);
        actions
    }

    /// Deletions that came to nothing, as the key has been made active again since.
    pub(super) fn not_deleted(user: &User) -> impl Iterator<Item = Action> {
        let is_active = |id: &AccessKeyId| user.keys.iter().any(|key| key.id == *id && key.status == KeyStatus::Active);
        user.tags
            .deletions
            .iter()
            .map(|(id, _)| id)
            .filter(move |id| is_active(id))
            .map(|id| Action::ForgetDeletion { key: id.clone() })
    }
}

/// What the owner has still to be told of keys that are gone.
pub(crate) fn untold_of_gone(user: &User) -> Vec<Action> {
    let contained = user.orphaned_states().filter(|(_, state)| state.is_containment() && state.is_untold());
    let contained = contained.map(|(key, state)| Announcement::Contained.into_action(key, Some(state.clone())));
    let deleted = user.tags.deletions.iter().map(|(key, _)| key).filter(|key| user.is_gone(key));
    let deleted = deleted.map(|key| Announcement::Deleted.into_action(key, user.tags.state_of(key)));
    contained.chain(deleted).collect()
}
