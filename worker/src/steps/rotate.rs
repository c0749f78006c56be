//! One attempt to make one successor, in the order of the rotation protocol (`docs/rotation-protocol.md`).
//!
//! Run twice: an attempt that died leaves its intent; whoever comes next backs off until the intent is old, then settles it
//! (`settle.rs`), and only then makes another key. So there is never a second key while the first may still come to light.

use key_rotation_aws::{AwsError, ErrorClass, MemberSession};
use rotation::names::version_id;
use rotation::{AccessKeyId, Finding, Intent, KeyStatus};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tracing::{info, warn};
use uuid::Uuid;

use super::destination::Destination;
use super::settle;
use super::{UserWork, find};
use crate::aws::iam::{Iam, KeyRecord, NewKey};
use crate::aws::secrets::SecretRecord;
use crate::error::StepError;
use crate::sessions::TO_ATTEMPT;

/// How often a compare-and-swap is tried again with what is published now.
const SWAPS: usize = 3;

/// How an attempt ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// The successor is live and published.
    Made(AccessKeyId),
    /// Nothing was made: what is there had to be settled, or is not what the plan was made on. Look at the user again.
    LookAgain(Vec<Finding>),
}

/// What an attempt is for.
#[derive(Debug, Clone, Copy)]
pub enum Goal<'a> {
    /// A successor of `old`, when the user has just the keys `present`.
    Successor {
        /// The key that is replaced.
        old: &'a AccessKeyId,
        /// The keys the plan was made on.
        present: &'a [AccessKeyId],
    },
    /// Nothing new: only what interrupted attempts left.
    Settle,
}

/// Why the own intent is not cleared when an attempt fails.
struct Failed {
    error: StepError,
    /// What was made may exist without anybody knowing: the intent must stay to say so.
    keep_intent: bool,
}

impl<E: Into<StepError>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self { error: error.into(), keep_intent: false }
    }
}

/// How a new key stands to what is published.
enum Standing {
    /// It is published itself.
    Published,
    /// It may take over from this version; `None` where none is published.
    TakeOverFrom(Option<String>),
}

/// One attempt.
struct Run<'a> {
    work: UserWork<'a>,
    session: MemberSession,
    destination: Destination,
    intent: Intent,
}

/// Makes one attempt.
///
/// # Errors
/// [`StepError`]; the user then is as before, or the intent says what has to be settled.
pub async fn attempt(work: UserWork<'_>, goal: Goal<'_>) -> Result<Attempt, StepError> {
    // 0: one session, never refreshed, with enough of it left.
    let session = work.account.sessions.with(TO_ATTEMPT).await?;
    let (successor_of, beside) = match goal {
        Goal::Successor { old, present } => {
            (Some(old.clone()), present.iter().filter(|key| *key != old).cloned().collect())
        }
        Goal::Settle => (None, Vec::new()),
    };
    let intent = Intent { attempt: Uuid::new_v4(), written: work.now(), successor_of, beside };
    let destination = Destination::of(&work, &session);
    let run = Run { work, session, destination, intent };

    // 1: leave an intent. If the answer is lost it may be there: it then is an old intent one day, with nothing to settle.
    run.iam().leave_intent(work.user, &run.intent).await?;
    match run.with_intent(goal).await {
        Ok(attempt) => Ok(attempt),
        Err(Failed { error, keep_intent: true }) => Err(error),
        Err(Failed { error, keep_intent: false }) => {
            if let Err(uncleared) = run.clear(&[]).await {
                warn!(error = %uncleared, "the attempt's intent could not be cleared: it will be settled when it is old");
            }
            Err(error)
        }
    }
}

impl Run<'_> {
    fn iam(&self) -> Iam<'_> {
        Iam::of(&self.session)
    }

    async fn with_intent(&self, goal: Goal<'_>) -> Result<Attempt, Failed> {
        // 2: others at work?
        let old_intents = self.others().await?;

        // 3: prepare the destination, remember what is published.
        let prepared = match goal {
            Goal::Successor { .. } => Some(self.destination.prepare(&self.work, &self.session).await?),
            Goal::Settle => self.destination.look().await?,
        };

        // 4: explain every key.
        let keys = self.work.keys(&self.session).await?;
        let (old, present) = match goal {
            Goal::Settle => return self.settle(&old_intents, prepared, &keys, &[]).await,
            Goal::Successor { old, present } => (old, present),
        };
        if let Some(missing) = present.iter().find(|id| find(&keys, id).is_none()) {
            return Err(StepError::Changed(format!("the key {missing} is gone")).into());
        }
        if keys.iter().any(|key| !present.contains(&key.id)) {
            return self.settle(&old_intents, prepared, &keys, present).await;
        }
        let prepared = prepared.ok_or_else(|| StepError::Changed("its secret is gone".into()))?;

        // 5: create; list again.
        let new = self.create().await?;
        info!(key = %new.id, old = %old, "a successor key was made");
        self.alone(&new, present).await?;

        // 6: store as pending.
        self.store(&new).await?;

        // 7: publish by compare-and-swap.
        self.publish(&new, present, prepared).await?;

        // 8: verify.
        let keys = self.work.keys(&self.session).await?;
        if find(&keys, &new.id).is_none_or(|key| key.status != KeyStatus::Active) {
            return Err(StepError::Changed(format!("the new key {} is not to be seen", new.id)).into());
        }

        // 9: clear the own intent, and the old ones (nothing of theirs was there to settle).
        self.clear(&old_intents).await.map_err(|error| Failed { error, keep_intent: true })?;
        info!(key = %new.id, old = %old, secret = self.destination.name, "the successor is stored and published");
        Ok(Attempt::Made(new.id))
    }

    /// The intents of others, all of them old; an error if one is young.
    async fn others(&self) -> Result<Vec<Intent>, StepError> {
        let tags = self.iam().user_tags(self.work.user).await?;
        let tags = rotation::user::UserTags::read(tags.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        let others: Vec<Intent> =
            tags.intents.into_iter().filter(|intent| intent.attempt != self.intent.attempt).collect();
        let now = self.work.now();
        match others.iter().filter(|intent| !intent.is_old(now)).map(Intent::end).max() {
            Some(settled_from) => Err(StepError::OthersAtWork { settled_from }),
            None => Ok(others),
        }
    }

    async fn settle(
        &self,
        old_intents: &[Intent],
        record: Option<SecretRecord>,
        keys: &[KeyRecord],
        present: &[AccessKeyId],
    ) -> Result<Attempt, Failed> {
        let settlement =
            settle::settle(&self.work, &self.session, &self.destination, old_intents, record, keys, present)
                .await
                .map_err(|error| Failed { error, keep_intent: false })?;
        self.clear(old_intents).await.map_err(|error| Failed { error, keep_intent: true })?;
        Ok(Attempt::LookAgain(settlement))
    }

    async fn create(&self) -> Result<NewKey, Failed> {
        match self.iam().create_access_key(self.work.user).await {
            Ok(key) => Ok(key),
            Err(error) if error.ambiguous => Err(self.left_to_settle(error)),
            Err(error) if error.class == ErrorClass::LimitExceeded => {
                Err(StepError::Outrun("the user has two keys already, though one was listed".into()).into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// IAM's limit of two keys is racy: with more keys than expected the own one goes, and another attempt has its turn.
    async fn alone(&self, new: &NewKey, present: &[AccessKeyId]) -> Result<(), Failed> {
        let keys = match self.work.keys(&self.session).await {
            Ok(keys) => keys,
            Err(error) => return Err(self.undo(&new.id, error).await),
        };
        match keys.iter().find(|key| key.id != new.id && !present.contains(&key.id)) {
            None => Ok(()),
            Some(other) => {
                let outrun = StepError::Outrun(format!("the key {} was made at the same time", other.id));
                Err(self.undo(&new.id, outrun).await)
            }
        }
    }

    async fn store(&self, new: &NewKey) -> Result<(), Failed> {
        let value = secret_value(new, &self.work);
        match self.unless_fenced(self.destination.secrets.put_pending(&self.destination.name, &new.id, &value)).await {
            Ok(()) => Ok(()),
            // It may be stored, and (a first version) published: settling finds out.
            Err(StepError::Aws(error)) if error.ambiguous => Err(self.left_to_settle(error)),
            Err(error) => Err(self.undo(&new.id, error).await),
        }
    }

    /// Moves `AWSCURRENT` from the version remembered in step 3, and from no other, to the new one.
    async fn publish(&self, new: &NewKey, present: &[AccessKeyId], prepared: SecretRecord) -> Result<(), Failed> {
        let version = version_id(&new.id);
        let mut expected = match prepared.current() {
            Some(current) => Some(current.to_owned()),
            // Secrets Manager publishes a secret's first version by itself: the own one, or that of an attempt that was faster.
            None => match self.standing(new, present).await? {
                Standing::Published => return Ok(()),
                Standing::TakeOverFrom(current) => current,
            },
        };
        for _ in 0..SWAPS {
            let swap = self.destination.secrets.publish(&self.destination.name, &version, expected.as_deref());
            match self.unless_fenced(swap).await {
                Ok(()) => return Ok(()),
                Err(StepError::Aws(error)) if error.class == ErrorClass::Conflict && !error.ambiguous => {}
                Err(StepError::Aws(error)) if error.class == ErrorClass::Conflict => {
                    // An earlier try of this call may have published it. Looks lag: one that does not show it proves nothing.
                    let published = self.published_now(new).await?.is_some_and(|current| current == version);
                    return if published { Ok(()) } else { Err(self.left_to_settle(error)) };
                }
                Err(StepError::Aws(error)) if error.ambiguous => return Err(self.left_to_settle(error)),
                Err(error) => return Err(self.give_up(new, expected.as_deref(), error).await),
            }
            // Refused: something else is published now.
            expected = match self.standing(new, present).await? {
                Standing::Published => return Ok(()),
                Standing::TakeOverFrom(current) => current,
            };
        }
        let outrun = StepError::Outrun("the published version keeps changing".into());
        Err(self.give_up(new, expected.as_deref(), outrun).await)
    }

    /// Undoes, if what was seen to be published says that the new key is not. Once a version is stored something is published:
    /// where none is to be seen it may be the new one, as looks lag.
    async fn give_up(&self, new: &NewKey, seen: Option<&str>, error: StepError) -> Failed {
        match seen {
            Some(_) => self.undo(&new.id, error).await,
            None => Failed { error, keep_intent: true },
        }
    }

    /// How the new key stands to what is published now. Where that belongs to another attempt's live key, that one won, and the
    /// new key goes. Where it belongs to a dead key, or to the one being replaced, it is to be taken over from exactly that.
    async fn standing(&self, new: &NewKey, present: &[AccessKeyId]) -> Result<Standing, Failed> {
        let current = self.published_now(new).await?;
        let is_current = |key: &AccessKeyId| current.as_deref() == Some(version_id(key).as_str());
        if is_current(&new.id) {
            return Ok(Standing::Published);
        }
        let keys = match self.work.keys(&self.session).await {
            Ok(keys) => keys,
            Err(error) => return Err(self.give_up(new, current.as_deref(), error).await),
        };
        let winner = keys.iter().find(|key| {
            key.id != new.id && !present.contains(&key.id) && key.status == KeyStatus::Active && is_current(&key.id)
        });
        match winner {
            Some(winner) => {
                let outrun = StepError::Outrun(format!("the key {} was published first", winner.id));
                Err(self.undo(&new.id, outrun).await)
            }
            None => Ok(Standing::TakeOverFrom(current)),
        }
    }

    async fn published_now(&self, new: &NewKey) -> Result<Option<String>, Failed> {
        match self.destination.look().await {
            Ok(record) => Ok(record.and_then(|record| record.current().map(str::to_owned))),
            // Whether the new key is published is not known, so it may be in its owner's hands already.
            Err(StepError::Aws(error)) => {
                warn!(key = %new.id, %error, "what is published now could not be read");
                Err(self.left_to_settle(error))
            }
            Err(error) => Err(Failed { error, keep_intent: true }),
        }
    }

    /// Calls to the store are not stopped by the end of the member session where the store is central: stop them here.
    async fn unless_fenced(&self, call: impl Future<Output = Result<(), AwsError>>) -> Result<(), StepError> {
        if self.session.time_left().is_positive() { Ok(call.await?) } else { Err(StepError::SessionEnded) }
    }

    /// The new key was never used and never published: it goes, and the user is as before. If it cannot be deleted the
    /// intent stays, and a later delivery settles it.
    async fn undo(&self, new: &AccessKeyId, error: StepError) -> Failed {
        match self.iam().delete_access_key(self.work.user, new).await {
            Ok(()) => {
                info!(key = %new, reason = %error, "the new key was deleted again");
                Failed { error, keep_intent: false }
            }
            Err(undeleted) => {
                warn!(key = %new, error = %undeleted, "the new key could not be deleted again: it will be settled");
                Failed { error, keep_intent: true }
            }
        }
    }

    fn left_to_settle(&self, error: AwsError) -> Failed {
        let error = StepError::Ambiguous { error, settled_from: self.intent.end() };
        Failed { error, keep_intent: true }
    }

    async fn clear(&self, old_intents: &[Intent]) -> Result<(), StepError> {
        let mut attempts = vec![self.intent.attempt];
        attempts.extend(old_intents.iter().map(|intent| intent.attempt));
        Ok(self.iam().clear_intents(self.work.user, &attempts).await?)
    }
}

/// The secret's value: the fields its readers have always found in it.
fn secret_value(new: &NewKey, work: &UserWork<'_>) -> SecretString {
    let value = json!({
        "AccessKeyId": new.id.as_str(),
        "CreateDate": new.created.to_string(),
        "SecretAccessKey": new.secret.expose_secret(),
        "Status": "Active",
        "UserName": work.user.as_str(),
    });
    SecretString::from(value.to_string())
}
