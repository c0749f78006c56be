//! Disabling, containing, deleting and re-enabling a key: one more look before each harm.

use jiff::Timestamp;
use key_rotation_aws::MemberSession;
use rotation::user::UserTags;
use rotation::{AccessKeyId, Deletable, DisablePrecondition, Finding, Key, KeyState, KeyStateKind, KeyStatus, LastUse};
use tracing::{info, warn};

use super::destination::Destination;
use super::{access_keys, find, is_live};
use crate::aws::iam::Iam;
use crate::context::UserContext;
use crate::error::StepError;

/// How a disable ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DisableOutcome {
    Disabled,
    /// The look right before did not show what the plan was made on: the key stays active.
    Withheld(Finding),
}

/// Makes a replaced (or never used) key inactive, if a fresh look shows what the plan was made on.
///
/// Under stale reads the owner can have been told of a successor that is gone by now; so right before the harm the successor
/// must be live, and published or used. Run twice it finds the key inactive and asks to look again.
///
/// # Errors
/// [`StepError`]; nothing was changed.
pub async fn disable(
    context: &UserContext<'_>,
    session: &MemberSession,
    decided_on: &UserTags,
    key: &Key,
    precondition: &DisablePrecondition,
) -> Result<DisableOutcome, StepError> {
    let (state, key) = (key.state.as_ref(), &key.id);
    let keys = access_keys(context, session).await?;
    if !is_live(&keys, key) {
        return Err(StepError::Changed(format!("the key {key} is not active any more")));
    }
    let iam = Iam::new(session);
    let withheld = |why: String| Ok(DisableOutcome::Withheld(Finding::LookBeforeHarm { key: key.clone(), why }));
    match precondition {
        DisablePrecondition::SuccessorInHand { successor } => {
            if !is_live(&keys, successor) {
                return withheld(format!("its successor {successor} is not live"));
            }
            let destination = Destination::new(context, session);
            let record = destination.look().await?.filter(|record| record.publishes(successor));
            // Who uses it has it.
            if !iam.last_use(successor).await?.is_used() {
                let Some(record) = record else {
                    return withheld(format!("its successor {successor} is neither published nor ever used"));
                };
                if let Some(why) = destination.unreadable(context, session, &record).await? {
                    // The notice told of a key that could not be fetched: it is given anew, with all its days. It is void before the
                    // secret is mended: a worker that dies in between must not leave a notice that looks as if it had counted.
                    if let Some(state) = state {
                        let void = match state.kind {
                            // A run gives this one anew only if it is void: of one that is untold the request itself may come again.
                            KeyStateKind::Forced => state.clone().made_void(),
                            KeyStateKind::Notified | KeyStateKind::Restored | KeyStateKind::Disabled => {
                                state.clone().not_told()
                            }
                        };
                        iam.record_state(context.user, key, &void).await?;
                    }
                    destination.prepare(context, session, Some(record).into(), None).await?;
                    if why.was_so(destination.look().await?.as_ref()) {
                        let why = why.as_str();
                        return withheld(format!(
                            "the owner could not read the secret of its successor {successor} ({why}; now mended), and is told anew"
                        ));
                    }
                    if let Some(state) = state {
                        iam.record_state(context.user, key, state).await?;
                    }
                }
            }
        }
        DisablePrecondition::StillUnused => match iam.last_use(key).await? {
            LastUse::Never => {}
            LastUse::At { when, service, region } => {
                return withheld(format!("it was used at {when} ({service}, {region}), though it never had been"));
            }
            LastUse::Unknown => return withheld("whether it has been used is not known".to_owned()),
        },
    }
    refuse_if_overtaken(context, iam, decided_on, key).await?;
    iam.set_status(context.user, key, KeyStatus::Inactive).await?;
    info!(access_key_id = %key, "the key was disabled");
    Ok(DisableOutcome::Disabled)
}

/// Where the plan is not of just now: what is on record of the key, and whether its user is exempt, must be as it was.
async fn refuse_if_overtaken(
    context: &UserContext<'_>,
    iam: Iam<'_>,
    decided_on: &UserTags,
    key: &AccessKeyId,
) -> Result<(), StepError> {
    if !context.account.may_be_overtaken() {
        return Ok(());
    }
    let tags = UserTags::from_pairs(&iam.user_tags(context.user).await?);
    if tags.state_of(key) != decided_on.state_of(key) {
        return Err(StepError::Changed(format!("what is on record of the key {key} has changed")));
    }
    match tags.exempts_as(decided_on) {
        true => Ok(()),
        false => Err(StepError::Changed("an exemption of the user has changed".to_owned())),
    }
}

/// An operator's request: makes a key inactive now. Run twice it finds it inactive.
///
/// # Errors
/// [`StepError`].
pub async fn contain(context: &UserContext<'_>, session: &MemberSession, key: &AccessKeyId) -> Result<(), StepError> {
    Iam::new(session).set_status(context.user, key, KeyStatus::Inactive).await?;
    warn!(access_key_id = %key, "the key was disabled at once, on an operator's request");
    Ok(())
}

/// Deletes an inactive key. That its deletion begins is recorded first, so that its owner is told whatever comes after. Run twice
/// it finds it gone.
///
/// # Errors
/// [`StepError`]; [`StepError::Changed`] where a fresh look shows the key active, or its record or an exemption changed: then
/// nothing is deleted.
pub async fn delete(
    context: &UserContext<'_>,
    session: &MemberSession,
    decided_on: &UserTags,
    key: &Deletable,
) -> Result<(), StepError> {
    let iam = Iam::new(session);
    refuse_if_overtaken(context, iam, decided_on, key.key()).await?;
    iam.record_deletion(context.user, key.key(), context.now()).await?;
    // The look is the last call before the harm.
    let keys = access_keys(context, session).await?;
    match find(&keys, key.key()) {
        Some(found) if found.status == KeyStatus::Active => {
            return Err(StepError::Changed(format!("the key {} is active again: it is not deleted", key.key())));
        }
        Some(_) => {
            iam.delete_access_key(context.user, key).await?;
            info!(access_key_id = %key.key(), reason = key.reason().as_str(), "the key was deleted");
        }
        None => {}
    }
    Ok(())
}

/// Right before a restore puts itself on record, in the place of what is there: of a leak that was reported since the restore was asked for
/// nobody would know then.
///
/// # Errors
/// [`StepError`]; [`StepError::Changed`] where there is such a report.
pub async fn refuse_if_leaked(
    context: &UserContext<'_>,
    session: &MemberSession,
    key: &AccessKeyId,
    requested_at: Timestamp,
) -> Result<(), StepError> {
    let tags = Iam::new(session).user_tags(context.user).await?;
    leaked_since(&UserTags::from_pairs(&tags), key, requested_at)
}

fn leaked_since(tags: &UserTags, key: &AccessKeyId, requested_at: Timestamp) -> Result<(), StepError> {
    match tags.is_leaked_since(key, requested_at) {
        true => Err(StepError::Changed(format!("the key {key} has been disabled since its restore was asked for"))),
        false => Ok(()),
    }
}

/// Makes a disabled key active again, which is on record by now: unless its deletion is, too, or another request has disabled it since
/// this one was made (`requested_at`), or while it was made active. Run twice it finds it active.
///
/// # Errors
/// [`StepError`]; [`StepError::HasToWait`] while somebody may be deleting the key.
pub async fn enable(
    context: &UserContext<'_>,
    session: &MemberSession,
    key: &AccessKeyId,
    requested_at: Timestamp,
) -> Result<(), StepError> {
    let tags = Iam::new(session).user_tags(context.user).await?;
    let tags = UserTags::from_pairs(&tags);
    if let Some(not_before) = tags.may_be_deleted_until(key, context.now()) {
        return Err(StepError::HasToWait { not_before });
    }
    if !tags.unreadable_of(key).is_empty() {
        return Err(StepError::Changed(format!("what is on record of the key {key} cannot be read")));
    }
    leaked_since(&tags, key, requested_at)?;
    Iam::new(session).set_status(context.user, key, KeyStatus::Active).await?;
    // That may have taken minutes, and a leak may have been reported meanwhile of a key that was inactive still. Where it cannot be found out
    // the key is made inactive, too: the next delivery makes it active again.
    if let Err(why) = refuse_if_leaked(context, session, key, requested_at).await {
        contain(context, session, key).await?;
        // Another delivery may have recorded by now that the restore is done: it has to be begun again. Nothing else is written over.
        let now = UserTags::from_pairs(&Iam::new(session).user_tags(context.user).await?);
        let is_done =
            |state: &KeyState| state.kind == KeyStateKind::Restored && state.requested_at == Some(requested_at);
        if let (Some(begun), true) = (tags.state_of(key), now.state_of(key).as_ref().is_some_and(is_done)) {
            Iam::new(session).record_state(context.user, key, &begun).await?;
        }
        return Err(why);
    }
    info!(access_key_id = %key, "the key was made active again, on an operator's request");
    Ok(())
}
