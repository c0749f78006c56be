//! Which key a request is about, and which one it has made: by what is on record, and never by guessing.

use jiff::{SignedDuration, Timestamp};

use super::{ForcedRules, Obstacle};
use crate::evidence::{disabled_record, known_publication, later, no_earlier, restored};
use crate::ids::AccessKeyId;
use crate::key::{Key, KeyStatus};
use crate::refusal::Refusal;
use crate::state::{KeyState, KeyStateKind};

/// The key that is to be replaced.
pub(super) enum OldKey<'a> {
    Present(&'a Key),
    /// It was contained by this request, and is gone: what is left is its state tag.
    Gone {
        id: AccessKeyId,
        state: KeyState,
    },
}

/// For how long after a restore was put on record a key that reads as inactive may be active: the restore may have to wait, and
/// reads lag.
const MAY_BE_RESTORED_FOR: SignedDuration = SignedDuration::from_hours(1);

impl<'a> ForcedRules<'a> {
    /// The key this request is about: the one that is on record for it; else the one that is named; else the user's only active
    /// one, which must be older than the request.
    pub(super) fn old_key(&self) -> Result<OldKey<'a>, Obstacle> {
        let old = match (self.key_on_record(), &self.request.access_key_id) {
            (Some(OldKey::Present(on_record)), _) => on_record,
            (Some(gone), _) => return Ok(gone),
            (None, Some(named)) => self.named_key(named)?,
            (None, None) => {
                let meant = self.only_active_key()?;
                self.refuse_if_perhaps_re_enabled(meant)?;
                meant
            }
        };
        match self.restored_since(old) {
            Some(at) => Err(Refusal::RestoredSince { user: self.user.name.clone(), key: old.id.clone(), at }.into()),
            None => Ok(OldKey::Present(old)),
        }
    }

    /// Which key was active when the request was made is not known of one that somebody has made active again at an unknown time: it may have
    /// taken the other one's place since.
    fn refuse_if_perhaps_re_enabled(&self, key: &Key) -> Result<(), Refusal> {
        let is_re_enabled = disabled_record(key).is_some_and(|state| state.restoring.is_none());
        match key.status {
            KeyStatus::Active if is_re_enabled => {
                Err(Refusal::PerhapsReEnabledSince { user: self.user.name.clone(), key: key.id.clone() })
            }
            KeyStatus::Active | KeyStatus::Inactive => Ok(()),
        }
    }

    /// When the key was made active again, or a restore of it begun, if that was asked for after the request was made.
    fn restored_since(&self, key: &Key) -> Option<Timestamp> {
        let state = key.state.as_ref()?;
        let since = match state.restoring {
            Some(_) => Some(state.requested_at.unwrap_or(state.at)),
            None => restored(key, self.now),
        };
        since.filter(|at| self.is_after_request(*at)).map(|_| state.at)
    }

    fn key_on_record(&self) -> Option<OldKey<'a>> {
        let is_named = |id: &AccessKeyId| self.request.access_key_id.as_ref().is_none_or(|named| named == id);
        if let Some(key) = self.user.keys.iter().find(|key| is_named(&key.id) && self.is_on_record(key)) {
            return Some(OldKey::Present(key));
        }
        let mut gone = self.user.orphaned_states();
        let (id, state) = gone.find(|(id, state)| is_named(id) && self.is_this_requests(state))?;
        Some(OldKey::Gone { id: id.clone(), state: state.clone() })
    }

    /// Whether the key's state tag says that this request is about it.
    pub(super) fn is_on_record(&self, key: &Key) -> bool {
        key.state.as_ref().is_some_and(|state| self.is_this_requests(state))
    }

    fn is_this_requests(&self, state: &KeyState) -> bool {
        let by_this_request = state.request == Some(self.request.origin.id);
        by_this_request
            && match state.kind {
                KeyStateKind::Disabled | KeyStateKind::Forced => true,
                KeyStateKind::Notified | KeyStateKind::Restored => false,
            }
    }

    fn named_key(&self, named: &AccessKeyId) -> Result<&'a Key, Obstacle> {
        let user = || self.user.name.clone();
        let Some(key) = self.user.keys.iter().find(|key| key.id == *named) else {
            return Err(Refusal::NotTheUsersKey { user: user(), key: named.clone() }.into());
        };
        match key.status {
            KeyStatus::Active => Ok(key),
            KeyStatus::Inactive if self.is_meant_though_inactive(key) => Ok(key),
            KeyStatus::Inactive => Err(Refusal::AlreadyInactive { user: user(), key: named.clone() }.into()),
        }
    }

    fn only_active_key(&self) -> Result<&'a Key, Obstacle> {
        let user = || self.user.name.clone();
        let active = self.keys(KeyStatus::Active);
        let (older, newer): (Vec<&Key>, Vec<&Key>) = active.into_iter().partition(|key| self.is_older(key));
        match (older.as_slice(), newer.as_slice()) {
            ([only], []) => Ok(only),
            // Replaced by a scheduled run since the request was made: that run's key is the successor.
            ([old], [successor]) if known_publication(successor)? => Ok(old),
            ([a, b, ..], _) | ([a], [b, ..]) => {
                Err(Refusal::TwoActiveKeys { user: user(), keys: vec![self.describe(a)?, self.describe(b)?] }.into())
            }
            // Nothing is made before a containment is on record: a newer key is a person's, who has seen to it.
            ([], [newer, ..]) => Err(Refusal::CreatedSince { user: user(), key: newer.id.clone() }.into()),
            ([], []) => {
                // The newest of them.
                let mut inactive = self.keys(KeyStatus::Inactive).into_iter().rev();
                let meant = inactive.find(|key| self.is_older(key) && self.is_meant_though_inactive(key));
                meant.ok_or_else(|| Refusal::NoActiveKey { user: user() }.into())
            }
        }
    }

    fn is_meant_though_inactive(&self, key: &Key) -> bool {
        self.request.disable_old_now && (self.may_have_been_contained(key) || self.may_be_active(key))
    }

    /// Whether a key is active, or may be although it reads as inactive: a restore has begun, or has been carried out just now.
    pub(super) fn may_be_active(&self, key: &Key) -> bool {
        let is_restored = |state: &KeyState| {
            let is_recent = self.now.duration_since(state.at) < MAY_BE_RESTORED_FOR;
            is_recent && (state.restoring.is_some() || state.kind == KeyStateKind::Restored)
        };
        key.status == KeyStatus::Active || key.state.as_ref().is_some_and(is_restored)
    }

    /// By an earlier delivery that did not get to record it; or whose record a scheduled run has written over, which found the key
    /// inactive and did not see that record yet, where the user was left without an active key.
    fn may_have_been_contained(&self, key: &Key) -> bool {
        let is_adopted_since = |state: &KeyState| {
            let is_scheduled = state.request.is_none() && state.restoring.is_none() && state.requested_at.is_none();
            is_scheduled && no_earlier(state.at, self.request.origin.requested_at)
        };
        let no_key_is_left = self.keys(KeyStatus::Active).is_empty();
        self.request.origin.redelivered
            && disabled_record(key).is_none_or(|state| no_key_is_left && is_adopted_since(state))
    }

    /// Among the active keys the one that this tool has made and published since: by this request, or by a scheduled run that
    /// came before it.
    pub(super) fn successor_of(&self, old: &OldKey<'a>) -> Result<Option<&'a Key>, Obstacle> {
        let (old_id, state) = match old {
            OldKey::Present(key) => (&key.id, key.state.as_ref()),
            OldKey::Gone { id, state } => (id, Some(state)),
        };
        let requested_at = self.request.origin.requested_at;
        // By whichever clock is behind: what was made since the request was put on record was made since it was asked for.
        let since =
            state.filter(|state| self.is_this_requests(state)).map_or(requested_at, |state| state.at.min(requested_at));
        for key in self.keys(KeyStatus::Active) {
            if key.id != *old_id && no_earlier(key.created, since) && known_publication(key)? {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    /// IAM's creation times are whole seconds, so the request's second counts as after the request.
    pub(super) fn is_older(&self, key: &Key) -> bool {
        !no_earlier(key.created, self.request.origin.requested_at)
    }

    fn is_after_request(&self, at: Timestamp) -> bool {
        later(at, self.request.origin.requested_at)
    }
}
