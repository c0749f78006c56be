//! What has become of operators' requests, and what they may do to a key after each other: of two about one key the one that was made
//! later counts, in whatever order they are delivered.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rotation::plan::DeleteReason;
use rotation::{AccessKeyId, Action, KeyState, KeyStateKind, KeyStatus, Request, User};
use uuid::Uuid;

use super::model::ModelKey;

#[derive(Debug, Default)]
pub(crate) struct Requests {
    /// When the newest request was made that put a key's leak on record.
    leaks: BTreeMap<AccessKeyId, Timestamp>,
    /// When the newest restore was made that has begun with a key.
    restores: BTreeMap<AccessKeyId, Timestamp>,
    /// The key that a restore has begun with.
    begun_with: BTreeMap<Uuid, AccessKeyId>,
}

impl Requests {
    /// Checks one step of a request before it is taken.
    pub(crate) fn take(&mut self, request: &Request, action: &Action, keys: &[ModelKey], seen: &User) {
        match (request, action) {
            (Request::Restore(restore), Action::Record { key, .. } | Action::Restore { key, .. }) => {
                let made = restore.origin.requested_at;
                let first = self.begun_with.insert(restore.origin.id, key.clone()).unwrap_or_else(|| key.clone());
                // What it began with may be written over. Another key that was inactive when it was made may be the one that is meant.
                let held = seen.keys.iter().find(|held| held.id == *key);
                let was_inactive = held
                    .and_then(|key| key.state.as_ref())
                    .is_some_and(|state| state.kind == KeyStateKind::Disabled && !is_later(state.at, made));
                assert!(first == *key || was_inactive, "a restore took {key}, but had begun with {first}: {seen:?}");
                let is_inactive = keys.iter().any(|held| held.id == *key && held.status == KeyStatus::Inactive);
                if is_inactive && matches!(action, Action::Restore { .. }) {
                    // Unless a restore that was made after the report has begun with it too.
                    let newest = self.newest_restore(key).map_or(made, |newest| newest.max(made));
                    let reported_since = self.leaks.get(key).is_some_and(|leak| is_later(*leak, newest));
                    assert!(!reported_since, "{key} was restored, though its leak was reported since: {self:?}");
                }
                keep_newest(&mut self.restores, key, made);
            }
            (Request::ForceRotate(forced), Action::Contain { key, .. }) => {
                self.assert_not_restored_since(key, forced.origin.requested_at);
                keep_newest(&mut self.leaks, key, forced.origin.requested_at);
            }
            (Request::ForceRotate(forced), Action::Delete(deletable))
                if deletable.reason() == DeleteReason::Contained =>
            {
                self.assert_not_restored_since(deletable.key(), forced.origin.requested_at);
            }
            (Request::ForceRotate(forced), Action::Record { key, state })
                if KeyState::leak_reported(state).is_some() =>
            {
                keep_newest(&mut self.leaks, key, forced.origin.requested_at);
            }
            _ => {}
        }
    }

    /// When the newest restore was asked for that has begun with the key.
    pub(crate) fn newest_restore(&self, key: &AccessKeyId) -> Option<Timestamp> {
        self.restores.get(key).copied()
    }

    fn assert_not_restored_since(&self, key: &AccessKeyId, made: Timestamp) {
        let since = self.restores.get(key).is_some_and(|restore| is_later(*restore, made));
        assert!(!since, "{key} was contained or deleted by a request that was made before its restore: {self:?}");
    }

    /// What was on record of a key is gone or void, by a run or a person: nobody can know any more which request came first.
    pub(crate) fn forget(&mut self, key: &AccessKeyId) {
        self.leaks.remove(key);
        self.restores.remove(key);
        self.begun_with.retain(|_, begun| begun != key);
    }

    /// The same for all keys.
    pub(crate) fn forget_all(&mut self) {
        *self = Self::default();
    }
}

/// In whole seconds, as tags are.
fn is_later(a: Timestamp, b: Timestamp) -> bool {
    a.as_second() > b.as_second()
}

fn keep_newest(times: &mut BTreeMap<AccessKeyId, Timestamp>, key: &AccessKeyId, made: Timestamp) {
    let newest = times.entry(key.clone()).or_insert(made);
    *newest = made.max(*newest);
}
