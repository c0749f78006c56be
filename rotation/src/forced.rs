//! An operator's request to rotate one user now: a plan, or a refusal that says why.
//!
//! A request is delivered at least once, and however late. Which key it is about is on record from its first step on, by the
//! request's id in that key's state tag; so a later delivery never takes another key for it, least of all the successor that it
//! made itself. What has happened since the request was made voids it: a key that is newer than the request is never touched
//! unless it is named, and a key that was restored since is not disabled again.

mod old_key;

use std::ops::RangeInclusive;

use jiff::{SignedDuration, Timestamp};

use self::old_key::OldKey;
use crate::evidence::{disabled_record, known_use, no_earlier, notice_since, restored};
use crate::ids::AccessKeyId;
use crate::intent::is_from_the_future;
use crate::key::{Key, KeyStatus, LastUse};
use crate::lifecycle::{Blocker, blocker, untold_of_gone};
use crate::plan::{Action, Announcement, Deletable, DeleteReason, Notice, NoticeKind, Plan};
use crate::policy::{Policy, after};
use crate::refusal::Refusal;
use crate::request::ForceRotateRequest;
use crate::state::{KeyState, KeyStateKind};
use crate::user::User;
use crate::verdict::{Exemption, MissingFact, Verdict};

pub(crate) fn decide(now: Timestamp, policy: &Policy, user: &User, request: &ForceRotateRequest) -> Verdict {
    if let Some(refusal) = shield(now, user, request) {
        return Verdict::Refused(refusal);
    }
    let (policy, _) = user.policy(policy);
    let rules = ForcedRules { now, policy, user, request };
    match blocker(user) {
        // Containing a leaked key waits for nothing: not for an interrupted attempt to be settled, nor for a person to mend a tag.
        Some(Blocker::SettleFirst) => return rules.contain_or(Verdict::SettleFirst),
        Some(Blocker::Findings(findings)) => {
            return rules.contain_or(rules.refused(Refusal::blocked(&user.name, &findings)));
        }
        None => {}
    }
    let decided = rules.plan().and_then(|actions| {
        rules.everything_known(&actions)?;
        Ok(actions)
    });
    match decided {
        Ok(actions) => Verdict::Act(rules.record_deletions(actions)),
        Err(Obstacle::Missing(missing)) => rules.contain_or(Verdict::Undecided(missing)),
        Err(Obstacle::Refused(refusal)) => rules.refused(refusal),
    }
}

/// What keeps a request from a user. The tag `key-rotation:protected`, spelled exactly so, against every request; the exemption
/// group, an exemption by date (or a date that cannot be read, of which it is not known whether it has passed) and the tag in
/// another spelling only against one that does not override the exemption. Nothing else does.
fn shield(now: Timestamp, user: &User, request: &ForceRotateRequest) -> Option<Refusal> {
    let name = || user.name.clone();
    if user.tags.protected {
        return Some(Refusal::Protected { user: name() });
    }
    if request.override_exemption {
        return None;
    }
    let why = match user.exemption(now) {
        Some(Exemption::Protected) => "it carries the tag key-rotation:protected, in another spelling".to_owned(),
        Some(Exemption::Group) => "it is in the exemption group".to_owned(),
        Some(Exemption::Until { until }) => {
            format!("its tag key-rotation:exempt-until ends {until}")
        }
        None if user.tags.exempt_until_unreadable => {
            "its tag key-rotation:exempt-until cannot be read, so it is not known until when".to_owned()
        }
        None => return None,
    };
    Some(Refusal::Exempt { user: name(), why })
}

/// For how long the deletion of a key, or a report of its leak, must be on record before the request goes on: longer than IAM's reads
/// lag behind its writes, and not so long that the session which deletes could outlive the time for which a restore keeps away from the key.
/// (`docs/decisions/a-late-restore-waits.md`)
const DELETION_RECORDED_FOR: RangeInclusive<SignedDuration> =
    SignedDuration::from_mins(1)..=SignedDuration::from_mins(5);

/// For how long a deletion waits for a restore that has begun, or has just been carried out: longer than the fence, for which the restore may have to wait itself.
const RESTORE_GOES_FIRST_FOR: SignedDuration = SignedDuration::from_mins(30);

fn recorded_for_long_enough(at: Timestamp) -> Timestamp {
    at.checked_add(*DELETION_RECORDED_FOR.start()).unwrap_or(Timestamp::MAX)
}

/// Until when a deletion has to wait.
struct DeletionWait {
    until: Timestamp,
    /// Whether it is not on record yet, or not any more.
    to_record: bool,
}

enum Obstacle {
    Missing(MissingFact),
    Refused(Refusal),
}

impl From<MissingFact> for Obstacle {
    fn from(missing: MissingFact) -> Self {
        Obstacle::Missing(missing)
    }
}

impl From<Refusal> for Obstacle {
    fn from(refusal: Refusal) -> Self {
        Obstacle::Refused(refusal)
    }
}

struct ForcedRules<'a> {
    now: Timestamp,
    policy: Policy,
    user: &'a User,
    request: &'a ForceRotateRequest,
}

impl<'a> ForcedRules<'a> {
    fn plan(&self) -> Result<Vec<Action>, Obstacle> {
        let old = self.old_key()?;
        let successor = self.successor_of(&old)?;
        let mut actions = self.replace(&old, successor)?;
        // What an earlier delivery has deleted, and not told of; but nothing comes before a containment.
        let untold = untold_of_gone(self.user);
        let first = usize::from(matches!(actions.first(), Some(Action::Contain { .. })));
        actions.splice(first..first, untold);
        Ok(actions)
    }

    fn replace(&self, old: &OldKey<'a>, successor: Option<&Key>) -> Result<Vec<Action>, Obstacle> {
        match (old, successor) {
            (OldKey::Present(old), Some(successor)) => Ok(self.finish(old, successor)),
            (OldKey::Gone { id, state }, Some(successor)) => Ok(self.announce_successor(id, state, successor)),
            (OldKey::Present(old), None) => match old.status {
                KeyStatus::Active => self.replace_active(old),
                KeyStatus::Inactive => self.replace_contained(old),
            },
            (OldKey::Gone { id, state }, None) => self.replace_gone(id, state),
        }
    }

    /// Where a leak is reported of a key that is inactive already, nothing is left to be done; but that it is to stay so goes on record: a
    /// restore that was asked for before does not bring it back. Should one have begun before the record showed, its key is active when
    /// the user is looked at again, once the record can be seen by all.
    fn refused(&self, refusal: Refusal) -> Verdict {
        let is_inactive = match self.old_key() {
            Err(Obstacle::Refused(why)) => matches!(why, Refusal::AlreadyInactive { .. } | Refusal::NoActiveKey { .. }),
            Ok(_) | Err(Obstacle::Missing(_)) => false,
        };
        if !self.request.disable_old_now || !is_inactive {
            return Verdict::Refused(refusal);
        }
        let is_meant = |key: &&Key| match &self.request.access_key_id {
            Some(named) => key.id == *named,
            None => self.is_older(key),
        };
        // By a report of the same leak that was made later, or by a restore that was.
        let is_recorded = |key: &Key| {
            let requested_at = key.state.as_ref().and_then(|state| state.requested_at);
            requested_at.is_some_and(|at| no_earlier(at, self.request.origin.requested_at))
        };
        let inactive = self.keys(KeyStatus::Inactive).into_iter();
        let leaked = inactive.filter(|key| is_meant(key) && !is_recorded(key));
        let record = |key: &Key| Action::Record { key: key.id.clone(), state: self.with_leak_reported(key) };
        match leaked.map(record).collect::<Vec<_>>() {
            actions if actions.is_empty() => Verdict::Refused(refusal),
            actions => {
                let rest_after = Some(recorded_for_long_enough(self.now));
                Verdict::Act(Plan { actions, rest_after, refusal: Some(refusal), ..Plan::default() })
            }
        }
    }

    /// Nothing else of the record changes, or reports that come again and again would put off the key's deletion.
    fn with_leak_reported(&self, key: &Key) -> KeyState {
        let known = disabled_record(key).cloned();
        let state = known.unwrap_or_else(|| KeyState::new(KeyStateKind::Disabled, self.now).not_told());
        KeyState { restoring: None, requested_at: Some(self.request.origin.requested_at), ..state }
    }

    /// The key to be made inactive before anything else is found out or settled, where that is asked for and clear.
    fn contain_first(&self) -> Option<Action> {
        match self.old_key() {
            Ok(OldKey::Present(key)) if self.request.disable_old_now && self.may_be_active(key) => {
                Some(self.contain(key))
            }
            Ok(OldKey::Present(_) | OldKey::Gone { .. }) | Err(_) => None,
        }
    }

    /// With a fact unknown, an attempt unsettled or a tag unreadable only containment goes ahead; then it is decided again.
    fn contain_or(&self, verdict: Verdict) -> Verdict {
        match self.contain_first() {
            Some(action) => Verdict::Act(Plan { actions: vec![action], decide_again: true, ..Plan::default() }),
            None => verdict,
        }
    }

    fn everything_known(&self, actions: &[Action]) -> Result<(), MissingFact> {
        if actions.is_empty() {
            return Ok(());
        }
        self.user.keys.iter().try_for_each(|key| known_use(key).map(|_| ()))
    }

    // ---- no successor yet -----------------------------------------------------------------------------------------

    fn replace_active(&self, old: &Key) -> Result<Vec<Action>, Obstacle> {
        // It was done, and its owner told; that the successor is gone is somebody's later will.
        if self.is_told_of_forced(old) {
            return Ok(Vec::new());
        }
        if let Some(other) = self.keys(KeyStatus::Active).into_iter().find(|key| key.id != old.id) {
            return self.replace_one_of_two(old, other);
        }
        let mut actions = Vec::new();
        let notice = if self.request.disable_old_now {
            actions.push(self.contain(old));
            None
        } else {
            // That it was made active again is told before the record of that is written over.
            actions.extend(self.untold_restore(old));
            // On record before anything is made: a later delivery knows by it which key was to be replaced.
            let notice = self.notice(old, None);
            actions.push(Action::Record { key: old.id.clone(), state: notice.state(self.now).not_told() });
            Some(notice)
        };
        actions.extend(self.make_room_beside(old));
        actions.push(self.rotate(&old.id, vec![old.id.clone()], notice));
        Ok(actions)
    }

    fn replace_one_of_two(&self, old: &Key, other: &Key) -> Result<Vec<Action>, Obstacle> {
        let user = self.user.name.clone();
        if self.request.access_key_id.is_none() && !self.is_on_record(old) {
            let keys = vec![self.describe(old)?, self.describe(other)?];
            return Err(Refusal::TwoActiveKeys { user, keys }.into());
        }
        if !self.request.disable_old_now {
            return Err(Refusal::NamedKeyWouldHaveToGo { user, key: old.id.clone() }.into());
        }
        Ok(vec![self.contain(old), self.delete_contained(old), self.rotate(&old.id, vec![other.id.clone()], None)])
    }

    /// Contained before, successor still missing.
    fn replace_contained(&self, old: &Key) -> Result<Vec<Action>, Obstacle> {
        if !self.request.disable_old_now {
            return Err(Refusal::AlreadyInactive { user: self.user.name.clone(), key: old.id.clone() }.into());
        }
        // It was done, and its owner told; that the successor is gone is somebody's later will.
        if self.has_told_of_successor(old) {
            return Ok(Vec::new());
        }
        let mut actions = Vec::new();
        // On record before anything else: by the record a later delivery recognises the key, even one that is gone.
        if !self.is_on_record(old) {
            actions.push(self.contain(old));
        } else if old.state.as_ref().is_some_and(|state| !state.told) {
            actions.push(self.announce_containment(old));
        }
        if let [other] = self.keys(KeyStatus::Active).as_slice() {
            // Another key is active beside it: the contained one is deleted, then there is room.
            actions.push(self.delete_contained(old));
            actions.push(self.rotate(&old.id, vec![other.id.clone()], None));
            return Ok(actions);
        }
        actions.extend(self.make_room_beside(old));
        actions.push(self.rotate(&old.id, vec![old.id.clone()], None));
        Ok(actions)
    }

    /// Contained and deleted by an earlier delivery (or by a person): there is room for the successor.
    fn replace_gone(&self, old: &AccessKeyId, state: &KeyState) -> Result<Vec<Action>, Obstacle> {
        if state.successor.is_some() || !self.request.disable_old_now {
            return Ok(Vec::new());
        }
        let present: Vec<AccessKeyId> = self.user.keys.iter().map(|key| key.id.clone()).collect();
        if present.len() > 1 {
            let key = old.clone();
            return Err(Refusal::NoRoomForSuccessor { user: self.user.name.clone(), key }.into());
        }
        Ok(vec![self.rotate(old, present, None)])
    }

    // ---- the successor is there -----------------------------------------------------------------------------------

    /// The successor is safe; what is left is the old key: contained, or noticed, and its owner told.
    fn finish(&self, old: &Key, successor: &Key) -> Vec<Action> {
        let mut actions = Vec::new();
        match (old.status, self.request.disable_old_now) {
            (KeyStatus::Active, true) => actions.push(self.contain(old)),
            (KeyStatus::Active, false) => {
                let told = notice_since(old, successor.created).is_some_and(|state| state.kind == KeyStateKind::Forced);
                if !told {
                    let notice = self.notice(old, Some(successor.id.clone()));
                    actions.push(Action::Notify { key: old.id.clone(), notice });
                }
                return actions;
            }
            // Made inactive by somebody else since.
            (KeyStatus::Inactive, false) => return actions,
            (KeyStatus::Inactive, true) if !self.is_on_record(old) => actions.push(self.contain(old)),
            (KeyStatus::Inactive, true) => {
                if old.state.as_ref().is_some_and(|state| !state.told) {
                    actions.push(self.announce_containment(old));
                }
            }
        }
        if !self.has_told_of_successor(old) {
            actions.push(self.announcement(&old.id, Announcement::Successor { successor: successor.id.clone() }));
        }
        actions
    }

    fn announce_successor(&self, old: &AccessKeyId, state: &KeyState, successor: &Key) -> Vec<Action> {
        if state.successor.is_some() || !self.request.disable_old_now {
            return Vec::new();
        }
        vec![self.announcement(old, Announcement::Successor { successor: successor.id.clone() })]
    }

    // ---- deletions --------------------------------------------------------------------------------------------------

    /// A key may be on the point of being made active, by a request whose changes do not show yet. So its deletion is put on record first,
    /// and everything from there on waits until nobody can have missed that.
    fn record_deletions(&self, mut actions: Vec<Action>) -> Plan {
        let waits: Vec<(AccessKeyId, DeletionWait)> = actions
            .iter()
            .filter_map(|action| {
                let Action::Delete(deletable) = action else { return None };
                Some((deletable.key().clone(), self.deletion_wait(deletable.key())?))
            })
            .collect();
        let Some(rest_after) = waits.iter().map(|(_, wait)| wait.until).max() else {
            return Plan { actions, ..Plan::default() };
        };
        let first = actions.iter().position(|action| matches!(action, Action::Delete(_))).unwrap_or(actions.len());
        let rest = actions.split_off(first);
        let to_be_recorded = waits.into_iter().filter(|(_, wait)| wait.to_record);
        actions.extend(to_be_recorded.map(|(key, _)| Action::RecordDeletion { key }));
        Plan { actions, rest_after: Some(rest_after), rest, ..Plan::default() }
    }

    /// What a deletion has to wait for, if for anything.
    fn deletion_wait(&self, key: &AccessKeyId) -> Option<DeletionWait> {
        // Begun, or carried out just now: the key may still read as inactive.
        let is_restore = |state: &KeyState| state.restoring.is_some() || state.kind == KeyStateKind::Restored;
        let is_begun = |state: &KeyState| is_restore(state) && !is_from_the_future(state.at, self.now);
        let restoring = self.user.tags.state_of(key).filter(is_begun);
        let after = |state: KeyState| state.at.checked_add(RESTORE_GOES_FIRST_FOR).unwrap_or(Timestamp::MAX);
        if let Some(until) = restoring.map(after).filter(|until| self.now <= *until) {
            return Some(DeletionWait { until, to_record: false });
        }
        match self.user.tags.deletion_of(key).map(|at| (at, self.now.duration_since(at))) {
            Some((_, since)) if DELETION_RECORDED_FOR.contains(&since) => None,
            Some((at, since)) if !since.is_negative() && since < *DELETION_RECORDED_FOR.start() => {
                Some(DeletionWait { until: recorded_for_long_enough(at), to_record: false })
            }
            Some(_) | None => Some(DeletionWait { until: recorded_for_long_enough(self.now), to_record: true }),
        }
    }

    // ---- actions and records ----------------------------------------------------------------------------------------------------

    fn contain(&self, key: &Key) -> Action {
        Action::Contain { key: key.id.clone(), state: self.just_contained(key) }
    }

    fn just_contained(&self, key: &Key) -> KeyState {
        // What an earlier delivery has told of the successor stays told.
        let successor = key.state.clone().filter(|_| self.is_on_record(key)).and_then(|state| state.successor);
        KeyState { successor, ..self.contained_state().not_told() }
    }

    fn contained_state(&self) -> KeyState {
        KeyState::new(KeyStateKind::Disabled, self.now).of_request(self.request.origin.id).until(self.delete_due())
    }

    /// The record of the containment, as this or an earlier delivery has written it. A key that somebody has made active again is contained
    /// anew: since then, and not since the first time, it is inactive.
    fn containment(&self, key: &AccessKeyId) -> KeyState {
        let is_active = |known: &Key| known.id == *key && known.status == KeyStatus::Active;
        let is_contained_anew = self.user.keys.iter().any(is_active);
        match self.user.tags.state_of(key).filter(|state| state.is_containment() && !is_contained_anew) {
            Some(state) => state.until(self.delete_due()).marked_told(),
            None => self.contained_state(),
        }
    }

    fn delete_due(&self) -> Timestamp {
        after(self.now, self.policy.recovery_grace())
    }

    fn announce_containment(&self, key: &Key) -> Action {
        self.announcement(&key.id, Announcement::Contained)
    }

    fn announcement(&self, key: &AccessKeyId, what: Announcement) -> Action {
        what.into_action(key, Some(self.containment(key)))
    }

    fn delete_contained(&self, key: &Key) -> Action {
        let recorded = key.state.clone().filter(|state| self.is_on_record(key) && state.is_containment());
        let state = recorded.filter(|_| key.status == KeyStatus::Inactive).unwrap_or_else(|| self.just_contained(key));
        Action::Delete(Deletable::new(key.id.clone(), DeleteReason::Contained, Some(&state)))
    }

    /// The operator asked for the place of the inactive keys.
    fn make_room_beside(&self, old: &Key) -> Vec<Action> {
        let others = self.keys(KeyStatus::Inactive).into_iter().filter(|key| key.id != old.id);
        let reason = DeleteReason::MakesRoomForForced;
        others.map(|key| Action::Delete(Deletable::new(key.id.clone(), reason, key.state.as_ref()))).collect()
    }

    fn rotate(&self, old: &AccessKeyId, present: Vec<AccessKeyId>, notice: Option<Notice>) -> Action {
        let contained = self.request.disable_old_now.then(|| self.containment(old));
        Action::Rotate { old: old.clone(), present, notice, contained }
    }

    fn notice(&self, key: &Key, successor: Option<AccessKeyId>) -> Notice {
        let disable_due = Some(after(self.now, self.policy.install_grace()));
        Notice {
            kind: NoticeKind::Forced { successor },
            disable_due,
            request: Some(self.request.origin.id),
            requested_at: restored(key, self.now),
        }
    }

    fn untold_restore(&self, key: &Key) -> Option<Action> {
        let state = key.state.as_ref().filter(|state| state.kind == KeyStateKind::Restored && !state.told)?;
        let disable_due = Some(after(self.now, self.policy.install_grace()));
        let notice = Notice {
            kind: NoticeKind::Restored,
            disable_due,
            request: state.request,
            requested_at: state.requested_at,
        };
        Some(Action::Notify { key: key.id.clone(), notice })
    }

    fn has_told_of_successor(&self, old: &Key) -> bool {
        self.is_on_record(old) && old.state.as_ref().is_some_and(|state| state.successor.is_some())
    }

    fn is_told_of_forced(&self, key: &Key) -> bool {
        key.state.as_ref().is_some_and(|state| state.kind == KeyStateKind::Forced && state.told)
            && self.is_on_record(key)
    }

    fn keys(&self, status: KeyStatus) -> Vec<&'a Key> {
        self.user.keys_by_age().into_iter().filter(|key| key.status == status).collect()
    }

    fn describe(&self, key: &Key) -> Result<String, MissingFact> {
        known_use(key)?;
        let age = SignedDuration::from_secs(self.now.as_second() - key.created.as_second()).as_hours() / 24;
        let last_use = match &key.last_use {
            LastUse::Unknown | LastUse::Never => "never used".to_owned(),
            LastUse::At { when, service, region } => format!("last used {when} ({service}, {region})"),
        };
        Ok(format!("{}, {age} days old, {last_use}", key.id))
    }
}
