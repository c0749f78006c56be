//! One attempt to make one successor, in the order of the rotation protocol (`docs/rotation-protocol.md`), with its numbers.
//!
//! Run twice: an attempt that died leaves its intent. Whoever comes next waits until the intent is old, settles it
//! (`settle.rs`), and only then makes another key. So there is never a second key while the first may still come to light.

mod publish;
mod turn;

use std::collections::BTreeMap;

use jiff::SignedDuration;
use key_rotation_aws::{AwsError, ErrorClass, MemberSession};
use rotation::user::UserTags;
use rotation::{AccessKeyId, Finding, Intent};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tracing::{info, warn};
use uuid::Uuid;

use super::destination::{Destination, SeenSecret};
use super::settle;
use super::{access_keys, find, is_live};
use crate::aws::iam::{Iam, NewKey};
use crate::aws::secret_quotas::Quota;
use crate::aws::smtp;
use crate::context::UserContext;
use crate::error::StepError;

/// What must be left of a session to begin an attempt to make a successor. An attempt is about eleven calls.
const MIN_SESSION_FOR_ATTEMPT: SignedDuration = SignedDuration::from_mins(6);

/// How an attempt ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The successor is live and published.
    Created(AccessKeyId),
    /// Nothing was made: interrupted attempts were settled, another attempt went first, or the keys are not those that the plan
    /// was made on. The user has to be looked at again.
    LookAgain(Vec<Finding>),
}

/// What an attempt is for.
#[derive(Debug, Clone, Copy)]
pub enum AttemptKind<'a> {
    /// A successor of `old`, where the user has just the keys `present` and no intent.
    Successor {
        /// The key that is replaced.
        old: &'a AccessKeyId,
        /// The keys the plan was made on.
        present: &'a [AccessKeyId],
        /// The tags the plan was made on, where they were not read afresh for it: they still have to be those.
        tags: Option<&'a UserTags>,
        /// The secret as the plan was made on it.
        secret: &'a SeenSecret,
    },
    /// No key: only what interrupted attempts left.
    Settle {
        /// The intents that the user had when it was looked at.
        seen: &'a [Intent],
    },
}

/// Why an attempt failed, and what becomes of its intent.
struct AttemptFailure {
    error: StepError,
    /// Not where a key may exist that nobody knows of: there the intent must stay to say so. Nor where it is cleared already.
    clear_intent: bool,
}

impl AttemptFailure {
    fn with_intent_untouched(error: impl Into<StepError>) -> Self {
        Self { error: error.into(), clear_intent: false }
    }
}

impl<E: Into<StepError>> From<E> for AttemptFailure {
    fn from(error: E) -> Self {
        Self { error: error.into(), clear_intent: true }
    }
}

struct RotationAttempt<'a> {
    context: UserContext<'a>,
    session: MemberSession,
    destination: Destination,
    intent: Intent,
}

/// Makes one attempt.
///
/// # Errors
/// [`StepError`]; the user then is as before, or the intent says what has to be settled.
pub async fn attempt(context: UserContext<'_>, kind: AttemptKind<'_>) -> Result<AttemptOutcome, StepError> {
    // 0: one session, never refreshed, with enough of it left.
    let session = context.account.sessions.with_at_least(MIN_SESSION_FOR_ATTEMPT).await?;
    let (successor_of, beside) = match kind {
        AttemptKind::Successor { old, present, .. } => {
            (Some(old.clone()), present.iter().filter(|key| *key != old).cloned().collect())
        }
        AttemptKind::Settle { .. } => (None, Vec::new()),
    };
    let intent = Intent { attempt: Uuid::new_v4(), written: context.now(), successor_of, beside };
    let destination = Destination::new(&context, &session);
    let attempt = RotationAttempt { context, session, destination, intent };
    attempt.run(kind).await
}

impl RotationAttempt<'_> {
    fn iam(&self) -> Iam<'_> {
        Iam::new(&self.session)
    }

    async fn run(&self, kind: AttemptKind<'_>) -> Result<AttemptOutcome, StepError> {
        if let AttemptKind::Settle { seen } = kind
            && seen.iter().any(|intent| !intent.is_expired(self.context.account.decision_time()))
        {
            // Somebody is at work: an intent more would only stand in the way.
            self.wait_until_no_attempt_is_under_way().await?;
            return Ok(AttemptOutcome::LookAgain(Vec::new()));
        }
        // 1: leave an intent. If the answer is lost it may be there: it then is an expired intent one day, with nothing to settle.
        self.iam().leave_intent(self.context.user, &self.intent).await?;
        let ended = match kind {
            AttemptKind::Successor { old, present, tags, secret } => {
                self.make_successor(old, present, tags, secret).await
            }
            AttemptKind::Settle { .. } => self.settle().await,
        };
        let AttemptFailure { error, clear_intent } = match ended {
            Ok(outcome) => return Ok(outcome),
            Err(failure) => failure,
        };
        if clear_intent && let Err(uncleared) = self.clear_intents(&[]).await {
            warn!(error = %uncleared, "the attempt's intent could not be cleared: it will be settled when it is old");
        }
        Err(error)
    }

    async fn make_successor(
        &self,
        old: &AccessKeyId,
        present: &[AccessKeyId],
        tags: Option<&UserTags>,
        secret: &SeenSecret,
    ) -> Result<AttemptOutcome, AttemptFailure> {
        // 2: wait for the turn. The plan was made on a look that showed no intent: one that is old now has to be settled first.
        match self.wait_for_turn().await? {
            Some(seen) if seen.intents.is_empty() && tags.is_none_or(|planned| seen.is_equivalent_to(planned)) => {}
            Some(_) => return self.look_again().await,
            None => return Ok(AttemptOutcome::LookAgain(Vec::new())),
        }

        // 3: prepare the destination, remember what is published.
        let prepared =
            self.destination.prepare(&self.context, &self.session, secret.clone(), Some(&self.intent)).await?;

        // 4: the keys are still those that the plan was made on.
        let keys = access_keys(&self.context, &self.session).await?;
        if keys.len() != present.len() || present.iter().any(|id| find(&keys, id).is_none()) {
            info!("the keys have changed since the plan was made: the user is looked at again");
            return self.look_again().await;
        }

        // 5: create; list again.
        let new = self.create_key().await?;
        info!(access_key_id = %old, successor = %new.id, "a successor key was made");
        self.delete_new_key_if_limit_raced(&new, present).await?;

        // 6: store as pending. Secrets Manager publishes a secret's first version by itself, and says so.
        let is_published = self.store_pending(&new).await?;

        // 7: publish by compare-and-swap.
        if !is_published {
            self.publish(&new, present, prepared).await?;
        }

        // 8: verify.
        let keys = access_keys(&self.context, &self.session).await?;
        if !is_live(&keys, &new.id) {
            return Err(StepError::Changed(format!("the new key {} does not show as active", new.id)).into());
        }

        // 9: clear the intent.
        self.clear_intents(&[]).await.map_err(AttemptFailure::with_intent_untouched)?;
        info!(access_key_id = %old, successor = %new.id, secret_name = self.destination.name, "the successor is stored and published");
        Ok(AttemptOutcome::Created(new.id))
    }

    async fn settle(&self) -> Result<AttemptOutcome, AttemptFailure> {
        let Some(UserTags { intents: expired_intents, .. }) = self.wait_for_turn().await? else {
            return Ok(AttemptOutcome::LookAgain(Vec::new()));
        };
        let record = self.destination.look().await?;
        let keys = access_keys(&self.context, &self.session).await?;
        let findings =
            settle::settle(&self.context, &self.session, &self.destination, &expired_intents, record, &keys).await?;
        self.clear_intents(&expired_intents).await.map_err(AttemptFailure::with_intent_untouched)?;
        Ok(AttemptOutcome::LookAgain(findings))
    }

    /// Clears its own intent; nothing was made.
    async fn look_again(&self) -> Result<AttemptOutcome, AttemptFailure> {
        self.clear_intents(&[]).await.map_err(AttemptFailure::with_intent_untouched)?;
        Ok(AttemptOutcome::LookAgain(Vec::new()))
    }

    async fn create_key(&self) -> Result<NewKey, AttemptFailure> {
        match self.iam().create_access_key(self.context.user).await {
            Ok(key) => Ok(key),
            Err(error) if error.ambiguous => Err(self.leave_for_settling(error)),
            Err(error) if error.class == ErrorClass::LimitExceeded => {
                Err(StepError::Outrun("the user has two keys already, though one was listed".into()).into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// IAM's limit of two keys is racy: where there are more keys than expected the new one is deleted, and another attempt has
    /// its turn.
    async fn delete_new_key_if_limit_raced(&self, new: &NewKey, present: &[AccessKeyId]) -> Result<(), AttemptFailure> {
        let keys = match access_keys(&self.context, &self.session).await {
            Ok(keys) => keys,
            Err(error) => return Err(self.delete_new_key(&new.id, error).await),
        };
        match keys.iter().find(|key| key.id != new.id && !present.contains(&key.id)) {
            None => Ok(()),
            Some(other) => {
                let outrun = StepError::Outrun(format!("the key {} was made at the same time", other.id));
                Err(self.delete_new_key(&new.id, outrun).await)
            }
        }
    }

    async fn store_pending(&self, new: &NewKey) -> Result<bool, AttemptFailure> {
        let value = secret_value(new, &self.context);
        let call = self.destination.secrets.put_pending(&self.destination.name, &new.id, &value);
        match self.unless_session_ended(call).await {
            Ok(is_published) => Ok(is_published),
            // It may be stored, and (a first version) published: settling finds out.
            Err(StepError::Aws(error)) if error.ambiguous => Err(self.leave_for_settling(error)),
            Err(error) => Err(self.delete_new_key(&new.id, error.while_storing()).await),
        }
    }

    /// Calls to the store are not stopped by the end of the member session where the store is central: stop them here, once it is
    /// their turn.
    async fn unless_session_ended<T>(&self, call: impl Future<Output = Result<T, AwsError>>) -> Result<T, StepError> {
        self.destination.secrets.wait_for_quota(Quota::Versions).await;
        if self.session.time_left().is_positive() { Ok(call.await?) } else { Err(StepError::SessionEnded) }
    }

    /// The new key was never used and never published: it is deleted, and the user is as before. If it cannot be deleted the
    /// intent stays, and a later delivery settles it.
    async fn delete_new_key(&self, new: &AccessKeyId, error: StepError) -> AttemptFailure {
        match self.iam().delete_unpublished_key(self.context.user, new).await {
            Ok(()) => {
                info!(access_key_id = %new, %error, "the new key was deleted again");
                AttemptFailure::from(error)
            }
            Err(undeleted) => {
                warn!(access_key_id = %new, error = %undeleted, "the new key could not be deleted again: it will be settled");
                AttemptFailure::with_intent_untouched(error)
            }
        }
    }

    /// The call may have taken effect: the intent stays, and a later delivery finds out.
    fn leave_for_settling(&self, error: AwsError) -> AttemptFailure {
        AttemptFailure::with_intent_untouched(StepError::Ambiguous { error, settled_from: self.intent.expires_at() })
    }

    /// Clears its own intent, and these.
    async fn clear_intents(&self, settled: &[Intent]) -> Result<(), StepError> {
        let mut attempts = vec![self.intent.attempt];
        attempts.extend(settled.iter().map(|intent| intent.attempt));
        Ok(self.iam().clear_intents(self.context.user, &attempts).await?)
    }
}

/// The secret's value: the fields its readers have always found in it; and the passwords by region of a user that sends mail by
/// SES's SMTP interface.
fn secret_value(new: &NewKey, context: &UserContext<'_>) -> SecretString {
    let mut value = json!({
        "AccessKeyId": new.id.as_str(),
        "CreateDate": new.created.to_string(),
        "SecretAccessKey": new.secret.expose_secret(),
        "Status": "Active",
        "UserName": context.user.as_str(),
    });
    let (regions, _) = context.smtp_regions();
    if !regions.is_empty() {
        let password = |region: &String| smtp::password(&new.secret, region).expose_secret().to_owned();
        let passwords: BTreeMap<&String, String> = regions.iter().map(|region| (region, password(region))).collect();
        value["SmtpPasswords"] = json!(passwords);
    }
    SecretString::from(value.to_string())
}
