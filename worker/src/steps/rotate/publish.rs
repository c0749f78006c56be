//! Step 7: moves `AWSCURRENT` to the new key's version, from the version that was published when the destination was prepared.

use key_rotation_aws::ErrorClass;
use rotation::names::version_id;
use rotation::{AccessKeyId, KeyStatus};
use tracing::warn;

use super::{AttemptFailure, RotationAttempt};
use crate::aws::iam::NewKey;
use crate::aws::secrets::SecretRecord;
use crate::error::StepError;
use crate::steps::access_keys;

/// How often the compare-and-swap is tried in all, each time from what is published by then.
const MAX_CAS_ATTEMPTS: usize = 3;

/// What is published, as far as a new key goes.
enum PublicationState {
    /// The new key.
    Published,
    /// Nothing of a live key's: the new one may take over from this version; `None` where none is published.
    TakeOverFrom(Option<String>),
}

impl RotationAttempt<'_> {
    /// Publishes the new key. Where another attempt's live key was first, the new one is deleted.
    pub(super) async fn publish(
        &self,
        new: &NewKey,
        present: &[AccessKeyId],
        prepared: SecretRecord,
    ) -> Result<(), AttemptFailure> {
        let version = version_id(&new.id);
        let mut expected = match prepared.published_version() {
            Some(current) => Some(current.to_owned()),
            // Secrets Manager publishes a secret's first version by itself: its own one, or that of an attempt that was faster.
            None => match self.publication_state(new, present).await? {
                PublicationState::Published => return Ok(()),
                PublicationState::TakeOverFrom(current) => current,
            },
        };
        for _ in 0..MAX_CAS_ATTEMPTS {
            let swap = self.destination.secrets.publish(&self.destination.name, &version, expected.as_deref());
            match self.unless_session_ended(swap).await {
                Ok(()) => return Ok(()),
                Err(StepError::Aws(error)) if error.class == ErrorClass::Conflict && !error.ambiguous => {}
                Err(StepError::Aws(error)) if error.class == ErrorClass::Conflict => {
                    // An earlier try of this call may have published it. Looks lag: one that does not show it proves nothing.
                    let published = self.read_published_version(new).await?.is_some_and(|current| current == version);
                    return if published { Ok(()) } else { Err(self.leave_for_settling(error)) };
                }
                Err(StepError::Aws(error)) if error.ambiguous => return Err(self.leave_for_settling(error)),
                Err(error) => {
                    let error = error.while_storing();
                    return Err(self.delete_unless_maybe_published(new, expected.as_deref(), error).await);
                }
            }
            // Refused: something else is published now.
            expected = match self.publication_state(new, present).await? {
                PublicationState::Published => return Ok(()),
                PublicationState::TakeOverFrom(current) => current,
            };
        }
        let outrun = StepError::Outrun("the published version keeps changing".into());
        Err(self.delete_unless_maybe_published(new, expected.as_deref(), outrun).await)
    }

    /// Deletes the new key, if what was seen to be published says that it is not. Once a version is stored something is
    /// published: where none is to be seen it may be the new one, as looks lag.
    async fn delete_unless_maybe_published(
        &self,
        new: &NewKey,
        seen: Option<&str>,
        error: StepError,
    ) -> AttemptFailure {
        match seen {
            Some(_) => self.delete_new_key(&new.id, error).await,
            None => AttemptFailure::with_intent_untouched(error),
        }
    }

    /// Reads what is published now. Where that belongs to another attempt's live key, that one won, and the new key is deleted.
    /// Where it belongs to a dead key, or to the one being replaced, it is to be taken over from exactly that.
    async fn publication_state(
        &self,
        new: &NewKey,
        present: &[AccessKeyId],
    ) -> Result<PublicationState, AttemptFailure> {
        let current = self.read_published_version(new).await?;
        let is_current = |key: &AccessKeyId| current.as_deref() == Some(version_id(key).as_str());
        if is_current(&new.id) {
            return Ok(PublicationState::Published);
        }
        let keys = match access_keys(&self.context, &self.session).await {
            Ok(keys) => keys,
            Err(error) => return Err(self.delete_unless_maybe_published(new, current.as_deref(), error).await),
        };
        let winner = keys.iter().find(|key| {
            key.id != new.id && !present.contains(&key.id) && key.status == KeyStatus::Active && is_current(&key.id)
        });
        match winner {
            Some(winner) => {
                let outrun = StepError::Outrun(format!("the key {} was published first", winner.id));
                Err(self.delete_new_key(&new.id, outrun).await)
            }
            None => Ok(PublicationState::TakeOverFrom(current)),
        }
    }

    async fn read_published_version(&self, new: &NewKey) -> Result<Option<String>, AttemptFailure> {
        match self.destination.look().await {
            Ok(record) => Ok(record.and_then(|record| record.published_version().map(str::to_owned))),
            // Whether the new key is published is not known, so it may be in its owner's hands already.
            Err(StepError::Aws(error)) => {
                warn!(access_key_id = %new.id, %error, "what is published now could not be read");
                Err(self.leave_for_settling(error))
            }
            Err(error) => Err(AttemptFailure::with_intent_untouched(error)),
        }
    }
}
