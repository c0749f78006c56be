//! Settling what interrupted attempts left: every key one of them may have made is published, or deleted, or left alone.
//!
//! Run twice: what is settled needs nothing more. Only expired intents are settled: whoever wrote one can do nothing any more in
//! the member account, because its session has ended.

use key_rotation_aws::{ErrorClass, MemberSession};
use rotation::names::version_id;
use rotation::{AccessKeyId, Event, EventKind, Finding, Intent, KeyStatus, LastUse, MissingFact};
use tracing::{info, warn};

use super::destination::{Destination, location};
use super::{access_keys, is_live};
use crate::aws::iam::{Iam, KeyRecord};
use crate::aws::secrets::SecretRecord;
use crate::context::UserContext;
use crate::error::StepError;
use crate::events;

/// Settles every key that an expired intent's attempt can have made, and that no intent names as one that was there before.
///
/// # Errors
/// [`StepError`]: the intents stay, and settling is tried again.
pub async fn settle(
    context: &UserContext<'_>,
    session: &MemberSession,
    destination: &Destination,
    expired_intents: &[Intent],
    mut record: Option<SecretRecord>,
    keys: &[KeyRecord],
) -> Result<Vec<Finding>, StepError> {
    let mut findings = Vec::new();
    let may_be_theirs = |key: &&KeyRecord| {
        !named(expired_intents, &key.id) && expired_intents.iter().any(|intent| intent.may_have_made(key.created))
    };
    for key in keys.iter().filter(may_be_theirs) {
        // Of a secret that is scheduled for deletion Secrets Manager neither changes nor tells anything else.
        if let Some(record) = record.as_mut().filter(|record| record.deleted) {
            destination.secrets.restore(&destination.name).await?;
            record.deleted = false;
        }
        let publishes = record.as_ref().is_some_and(|record| record.publishes(&key.id));
        let holds = record.as_ref().is_some_and(|record| record.holds(&key.id));
        if publishes {
            info!(access_key_id = %key.id, "an interrupted rotation had published its key: it stands");
            emit_published(context, &key.id);
            // One that a person has made inactive since is theirs to look after.
            if key.status == KeyStatus::Active {
                verify(context, session, &key.id).await?;
            }
        } else if holds && key.status == KeyStatus::Active && !is_beaten(key, record.as_ref(), keys, expired_intents) {
            let expected = record.as_ref().and_then(|record| record.published_version()).map(str::to_owned);
            publish(destination, &key.id, expected.as_deref()).await?;
            verify(context, session, &key.id).await?;
            info!(access_key_id = %key.id, "an interrupted rotation had stored its key: it is now published");
            emit_published(context, &key.id);
            record = destination.look().await?;
        } else {
            findings.extend(remove(context, session, destination, expired_intents, key).await?);
        }
    }
    Ok(findings)
}

fn emit_published(context: &UserContext<'_>, key: &AccessKeyId) {
    let secret = Some(events::secret(&location(context), &context.account.job.account));
    context.account.emit(Event { secret, ..context.event(EventKind::Published).of_key(key.clone()) });
}

/// Whether the key was there before one of these attempts, by that one's own word.
fn named(intents: &[Intent], key: &AccessKeyId) -> bool {
    intents.iter().any(|intent| intent.was_there_before(key))
}

/// Whether another attempt's key is live and published, so that this pending one came too late.
fn is_beaten(key: &KeyRecord, record: Option<&SecretRecord>, keys: &[KeyRecord], expired_intents: &[Intent]) -> bool {
    keys.iter().any(|other| {
        other.id != key.id
            && other.status == KeyStatus::Active
            && !named(expired_intents, &other.id)
            && record.is_some_and(|record| record.publishes(&other.id))
    })
}

async fn publish(destination: &Destination, key: &AccessKeyId, expected: Option<&str>) -> Result<(), StepError> {
    let version = version_id(key);
    match destination.secrets.publish(&destination.name, &version, expected).await {
        Ok(()) => Ok(()),
        Err(error) if error.class == ErrorClass::Conflict => {
            let published = destination.look().await?.is_some_and(|record| record.publishes(key));
            if published { Ok(()) } else { Err(StepError::Outrun("the published version has moved".into())) }
        }
        Err(error) => Err(error.into()),
    }
}

async fn verify(context: &UserContext<'_>, session: &MemberSession, key: &AccessKeyId) -> Result<(), StepError> {
    let keys = access_keys(context, session).await?;
    match is_live(&keys, key) {
        true => Ok(()),
        false => Err(StepError::Changed(format!("the published key {key} is not live"))),
    }
}

/// Nobody has its secret, and nobody was told of it. Never used, and an attempt has left its trace on the secret before it can have
/// made it: it goes. Used after all: it is a person's, and stays. So where no attempt was at work: then somebody else has written
/// the intent. A trace that confirms an expired intent is minutes old itself, so no look that lags misses it.
async fn remove(
    context: &UserContext<'_>,
    session: &MemberSession,
    destination: &Destination,
    expired_intents: &[Intent],
    key: &KeyRecord,
) -> Result<Option<Finding>, StepError> {
    let (iam, id) = (Iam::new(session), key.id.clone());
    match iam.last_use(&id).await? {
        LastUse::Never => {}
        LastUse::At { .. } => return Ok(Some(Finding::UsedButNotStored { key: id })),
        LastUse::Unknown => return Err(StepError::Undecided(MissingFact::LastUse(id))),
    }
    let last_attempt = destination.last_attempt().await?;
    let is_theirs = |intent: &Intent| {
        intent.may_have_made(key.created) && last_attempt.is_some_and(|attempt| intent.is_confirmed_by(attempt))
    };
    if !expired_intents.iter().any(is_theirs) {
        return Ok(Some(Finding::UnconfirmedIntent { key: id }));
    }
    warn!(access_key_id = %id, "an interrupted rotation left a key whose secret nobody has: it is deleted");
    iam.delete_unpublished_key(context.user, &id).await?;
    Ok(None)
}
