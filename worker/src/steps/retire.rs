//! Disabling, containing, deleting and re-enabling a key: one more look before each harm.

use key_rotation_aws::MemberSession;
use rotation::{AccessKeyId, Deletable, Finding, KeyStatus, LastUse, Remembered, Safeguard};
use tracing::{info, warn};

use super::destination::Destination;
use super::{UserWork, find};
use crate::aws::iam::Iam;
use crate::error::StepError;

/// Makes a replaced (or never used) key inactive, if a fresh look shows what the plan was made on.
///
/// Under stale reads the owner can have been told of a successor that is gone by now; so right before the harm the successor
/// must be live, and published or used. Run twice it finds the key inactive and asks to look again.
///
/// # Errors
/// [`StepError`]; nothing was changed.
pub async fn disable(
    work: &UserWork<'_>,
    session: &MemberSession,
    key: &AccessKeyId,
    safeguard: &Safeguard,
) -> Result<Result<(), Finding>, StepError> {
    let keys = work.keys(session).await?;
    if find(&keys, key).is_none_or(|key| key.status != KeyStatus::Active) {
        return Err(StepError::Changed(format!("the key {key} is not active any more")));
    }
    let iam = Iam::of(session);
    let refused = |why: String| Ok(Err(Finding::LookBeforeHarm { key: key.clone(), why }));
    match safeguard {
        Safeguard::SuccessorInHand { successor } => {
            if find(&keys, successor).is_none_or(|key| key.status != KeyStatus::Active) {
                return refused(format!("its successor {successor} is not live"));
            }
            let record = Destination::of(work, session).look().await?;
            let published = record.is_some_and(|record| record.publishes(successor));
            if !published && !iam.last_use(successor).await?.is_used() {
                return refused(format!("its successor {successor} is neither published nor ever used"));
            }
        }
        Safeguard::StillUnused => match iam.last_use(key).await? {
            LastUse::Never => {}
            LastUse::At { when, service, region } => {
                return refused(format!("it was used at {when} ({service}, {region}), though it never had been"));
            }
            LastUse::Unknown => return refused("whether it has been used is not known".to_owned()),
        },
    }
    iam.set_status(work.user, key, KeyStatus::Inactive).await?;
    info!(%key, "the key was disabled");
    Ok(Ok(()))
}

/// An operator's request: makes a key inactive now, and records when. Run twice it finds it inactive.
///
/// # Errors
/// [`StepError`]. If only the record failed the key is inactive all the same, and a later delivery of the same request
/// takes it from there.
pub async fn contain(work: &UserWork<'_>, session: &MemberSession, key: &AccessKeyId) -> Result<(), StepError> {
    let iam = Iam::of(session);
    iam.set_status(work.user, key, KeyStatus::Inactive).await?;
    warn!(%key, "the key was disabled at once, on an operator's request");
    Ok(iam.remember(work.user, key, Remembered::Disabled(work.now())).await?)
}

/// Deletes an inactive key. Run twice it finds it gone.
///
/// # Errors
/// [`StepError`]; [`StepError::Changed`] where a fresh look shows the key active: then nothing is deleted.
pub async fn delete(work: &UserWork<'_>, session: &MemberSession, key: &Deletable) -> Result<(), StepError> {
    let iam = Iam::of(session);
    let keys = work.keys(session).await?;
    match find(&keys, key.key()) {
        Some(found) if found.status == KeyStatus::Active => {
            return Err(StepError::Changed(format!("the key {} is active again: it is not deleted", key.key())));
        }
        Some(_) => {
            iam.delete_access_key(work.user, key.key()).await?;
            info!(key = %key.key(), reason = ?key.reason(), "the key was deleted");
        }
        None => {}
    }
    if !key.keeps_memory() {
        iam.forget(work.user, key.key()).await?;
    }
    Ok(())
}

/// Makes a disabled key active again. Run twice it finds it active.
///
/// # Errors
/// [`StepError`].
pub async fn enable(work: &UserWork<'_>, session: &MemberSession, key: &AccessKeyId) -> Result<(), StepError> {
    Iam::of(session).set_status(work.user, key, KeyStatus::Active).await?;
    info!(%key, "the key was made active again, on an operator's request");
    Ok(())
}
