//! The undo: an operator's request to make a disabled key active again.
//!
//! It brings back the key that was disabled when it was made. A key that was disabled later (a leak contained, say, while the
//! request waited for its next delivery) stays as it is.
//!
//! A key whose deletion is due may be on the point of being deleted by a worker that has looked already, or whose looks lag. So its
//! record is renewed first; it is made active when nobody can act on the old record any more
//! (`docs/decisions/a-late-restore-waits.md`).

use jiff::{SignedDuration, Timestamp};

use crate::evidence::{disabled_record, later};
use crate::intent::{fence_after, is_from_the_future};
use crate::key::{Key, KeyStatus};
use crate::lifecycle::no_sooner_than_told;
use crate::plan::{Action, Plan};
use crate::policy::{Policy, after};
use crate::refusal::Refusal;
use crate::request::RestoreRequest;
use crate::state::{KeyState, KeyStateKind};
use crate::user::User;
use crate::verdict::Verdict;

/// A key that is deleted sooner than this counts as on the point of being deleted: longer than a session and its fence.
const DELETION_IS_NEAR: SignedDuration = SignedDuration::from_hours(1);

pub(crate) fn decide(now: Timestamp, policy: &Policy, user: &User, request: &RestoreRequest) -> Verdict {
    if user.tags.protected || user.tags.protected_in_other_case {
        return Verdict::Refused(Refusal::Protected { user: user.name.clone() });
    }
    match key_to_restore(user, request).and_then(|key| plan(now, policy, user, request, key)) {
        Ok(plan) => Verdict::Act(plan),
        Err(refusal) => Verdict::Refused(refusal),
    }
}

fn plan(now: Timestamp, policy: &Policy, user: &User, request: &RestoreRequest, key: &Key) -> Result<Plan, Refusal> {
    let unreadable = user.tags.unreadable_of(&key.id);
    if !unreadable.is_empty() {
        return Err(Refusal::blocked(&user.name, &unreadable));
    }
    if let Some(at) = disabled_since(now, key, request) {
        return Err(Refusal::DisabledSince { user: user.name.clone(), key: key.id.clone(), at });
    }
    if let Some(at) = leaked_since(key, request) {
        return Err(Refusal::LeakedSince { user: user.name.clone(), key: key.id.clone(), at });
    }
    if let Some(at) = restore_since(key, request) {
        return Err(Refusal::RestoreSince { user: user.name.clone(), key: key.id.clone(), at });
    }
    let (policy, _) = user.policy(policy);
    let disable_due = after(now, policy.install_grace());
    let (id, requested_at) = (request.origin.id, request.origin.requested_at);
    let restore = Action::Restore { key: key.id.clone(), disable_due, request: id, requested_at };
    // On record before it is active: by that a later delivery knows a key whose owner has not been told. What was on record stays, and
    // what was not told before is still to be told, should the key stay inactive.
    let before = disabled_record(key);
    let state = before.cloned().unwrap_or_else(|| KeyState::new(KeyStateKind::Disabled, now).not_told());
    let state = KeyState { at: now, restoring: Some(id), requested_at: Some(requested_at), ..state };
    let record = Action::Record { key: key.id.clone(), state };
    let wait =
        |actions, until, restore| Ok(Plan { actions, rest_after: Some(until), rest: vec![restore], ..Plan::default() });
    if let Some(until) = user.tags.may_be_deleted_until(&key.id, now).filter(|_| key.status == KeyStatus::Inactive) {
        return wait(vec![record], until, restore);
    }
    let actions = match (key.status, before) {
        (KeyStatus::Inactive, Some(disabled)) if deletion_is_near(now, &policy, disabled) => {
            return wait(vec![record], fence_after(now), restore);
        }
        // It was near when this request put itself on record; else an earlier try of this request did not get further.
        (KeyStatus::Inactive, Some(disabled))
            if is_by(disabled, request) && now <= fence_after(disabled.at) && may_have_been_near(now, disabled) =>
        {
            return wait(Vec::new(), fence_after(disabled.at), restore);
        }
        // It is active, and that is on record; its owner is told, if an earlier delivery has not come to that.
        (KeyStatus::Active, None) => match &key.state {
            Some(state) if state.kind == KeyStateKind::Restored && !state.told => vec![restore],
            Some(_) | None => Vec::new(),
        },
        // Inactive, and put on record anew right before it is made active: a deletion keeps away from what is recent. Or made active
        // by an earlier delivery, its owner not yet told.
        (KeyStatus::Inactive, _) | (KeyStatus::Active, Some(_)) => vec![record, restore],
    };
    Ok(Plan { actions, ..Plan::default() })
}

fn deletion_is_near(now: Timestamp, policy: &Policy, disabled: &KeyState) -> bool {
    no_sooner_than_told(after(disabled.at, policy.recovery_grace()), disabled).duration_since(now) < DELETION_IS_NEAR
}

/// Whether the deletion may have been near before the record was renewed: by the date that the owner was told, which stays on it.
fn may_have_been_near(now: Timestamp, renewed: &KeyState) -> bool {
    renewed.until.is_none_or(|until| until.duration_since(now) < DELETION_IS_NEAR)
}

fn is_by(state: &KeyState, request: &RestoreRequest) -> bool {
    state.restoring == Some(request.origin.id) || state.request == Some(request.origin.id)
}

/// When an inactive key was disabled, if that was after the request was made, and not put on record by it. IAM and tags know
/// whole seconds; what was disabled within the request's own counts as before.
fn disabled_since(now: Timestamp, key: &Key, request: &RestoreRequest) -> Option<Timestamp> {
    let state = key.state.as_ref().filter(|_| key.status == KeyStatus::Inactive)?;
    let by_this_request = is_by(state, request);
    let since = match state.kind {
        // A restore has begun, this one or another: when the key was disabled is no longer on record.
        KeyStateKind::Disabled => state.restoring.is_none() && later(state.at, request.origin.requested_at),
        // It was made active, by this request or since it was made, and has been disabled again.
        KeyStateKind::Restored => by_this_request || later(state.at, request.origin.requested_at),
        // It was active when its owner was to be told of what will happen, and somebody has disabled it since.
        KeyStateKind::Notified | KeyStateKind::Forced => {
            later(state.at, request.origin.requested_at) && !is_from_the_future(state.at, now)
        }
    };
    since.then_some(state.at)
}

/// When a leak of the key was reported, if that was after the request was made. Also where somebody has made the key active meanwhile:
/// that report stays on record.
fn leaked_since(key: &Key, request: &RestoreRequest) -> Option<Timestamp> {
    let reported = key.state.as_ref()?.leak_reported();
    reported.filter(|at| later(*at, request.origin.requested_at))
}

/// When another restore of the key was asked for that has begun, if that was after the request was made: this one would take its place
/// on record, and with it the date that tells which requests came before.
fn restore_since(key: &Key, request: &RestoreRequest) -> Option<Timestamp> {
    let is_of_restore = |state: &&KeyState| state.restoring.is_some() || state.kind == KeyStateKind::Restored;
    let asked = key.state.as_ref().filter(is_of_restore)?.requested_at?;
    later(asked, request.origin.requested_at).then_some(asked)
}

fn key_to_restore<'a>(user: &'a User, request: &RestoreRequest) -> Result<&'a Key, Refusal> {
    let name = || user.name.clone();
    if let Some(named) = &request.access_key_id {
        let found = user.keys.iter().find(|key| key.id == *named);
        return found.ok_or_else(|| Refusal::Gone { user: name(), key: named.clone() });
    }
    // Begun by an earlier delivery, whatever else has become inactive since.
    if let Some(begun) = user.keys.iter().find(|key| is_restored_by(key, request)) {
        return Ok(begun);
    }
    if let Some((gone, _)) = user.orphaned_states().find(|(_, state)| is_by(state, request)) {
        return Err(Refusal::Gone { user: name(), key: gone.clone() });
    }
    let inactive: Vec<&Key> = user.keys.iter().filter(|key| key.status == KeyStatus::Inactive).collect();
    let meant = match inactive.as_slice() {
        [only] => *only,
        [] => return Err(Refusal::NothingInactive { user: name() }),
        several => {
            let keys = several.iter().map(|key| key.id.clone()).collect();
            return Err(Refusal::SeveralInactive { user: name(), keys });
        }
    };
    // One that is on record as disabled may have been meant, and be active or gone by now. An earlier delivery may have begun with any
    // other, and its record be written over.
    let is_disabled = |state: &KeyState| state.kind == KeyStateKind::Disabled && state.restoring.is_none();
    let may_have_been_meant = |state: &KeyState| request.origin.redelivered || is_disabled(state);
    let mut others = user.tags.states.iter().filter(|(key, _)| *key != meant.id);
    let perhaps_another = others.any(|(_, state)| may_have_been_meant(state));
    if perhaps_another && !was_inactive_before(meant, request) {
        return Err(Refusal::PerhapsNotMeant { user: name(), key: meant.id.clone() });
    }
    Ok(meant)
}

/// Whether it is on record that the key was disabled before the request was made, and nothing since.
fn was_inactive_before(key: &Key, request: &RestoreRequest) -> bool {
    disabled_record(key).is_some_and(|state| state.restoring.is_none() && !later(state.at, request.origin.requested_at))
}

fn is_restored_by(key: &Key, request: &RestoreRequest) -> bool {
    key.state.as_ref().is_some_and(|state| is_by(state, request))
}
