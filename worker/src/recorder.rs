//! Records on users and keys what their owners have been told, as soon as the mail is accepted.

use std::collections::BTreeMap;

use futures::future::join_all;
use jiff::Timestamp;
use key_rotation_aws::{AwsError, ErrorClass};
use rotation::{AccessKeyId, KeyState, UserName};
use tracing::warn;

use crate::aws::iam::Iam;
use crate::context::AccountContext;
use crate::error::JobError;
use crate::events::notified;
use crate::notices::{DigestItem, Event, Recorder, cadence};
use crate::pace::UserPace;
use key_rotation_aws::MIN_SESSION_FOR_ONE_USER;

/// Writes the tags of one account's users. A crash before that means a second mail, never a missing one.
pub struct TagRecorder<'a> {
    account: &'a AccountContext<'a>,
    failed: Option<JobError>,
}

impl<'a> TagRecorder<'a> {
    pub fn new(account: &'a AccountContext<'a>) -> Self {
        Self { account, failed: None }
    }

    /// Whether every clock that a mail starts has been started.
    ///
    /// # Errors
    /// [`JobError::NotRecorded`].
    pub fn outcome(self) -> Result<(), JobError> {
        self.failed.map_or(Ok(()), Err)
    }

    /// Tells of the clocks that run now.
    fn emit_notified(&self, told: &[(&DigestItem, Timestamp)], failed: &[JobError]) {
        let is_recorded = |item: &DigestItem| {
            let is_its_key = |of: &AccessKeyId| item.key.as_ref().is_some_and(|key| key.id == *of);
            !failed.iter().any(|error| matches!(error, JobError::NotRecorded { key, .. } if is_its_key(key)))
        };
        for (item, _) in told.iter().filter(|(item, _)| is_recorded(item)) {
            if let Some(event) = notified(item, |kind| self.account.event(kind)) {
                self.account.emit(event);
            }
        }
    }

    /// One key after the other: IAM refuses tags of one user that are written at the same time.
    async fn states(&self, keys: &BTreeMap<&AccessKeyId, &(&DigestItem, Timestamp)>) -> Vec<JobError> {
        let mut failed = Vec::new();
        for (item, at) in keys.values() {
            failed.extend(self.state(item, *at).await);
        }
        failed
    }

    async fn state(&self, item: &DigestItem, at: Timestamp) -> Option<JobError> {
        let (state, key) = (item.record.as_ref()?, item.key.as_ref()?);
        let source = self.write_state(&item.user, &key.id, left(&item.event, state.clone(), at)).await.err()?;
        warn!(user = %item.user, access_key_id = %key.id, error = %source, "what the owner was told could not be recorded");
        Some(JobError::NotRecorded { key: key.id.clone(), source })
    }

    async fn write_state(&self, user: &UserName, key: &AccessKeyId, told: Option<KeyState>) -> Result<(), AwsError> {
        let session = self.account.sessions.with_at_least(MIN_SESSION_FOR_ONE_USER).await?;
        let iam = Iam::new(&session);
        gone(match told {
            Some(state) => iam.record_state(user, key, &state).await,
            None => iam.remove_state(user, key).await,
        })
    }

    /// A reminder that could not be recorded fails no message, which would only repeat it the sooner.
    async fn reminder(&self, user: &UserName, at: Timestamp) -> Option<String> {
        let error = self.write_reminder(user, at).await.err()?;
        warn!(%user, %error, "a reminder could not be recorded");
        Some(format!(
            "the owner of the user {user} was reminded, which could not be recorded: the next run reminds again ({error})"
        ))
    }

    async fn write_reminder(&self, user: &UserName, at: Timestamp) -> Result<(), AwsError> {
        let session = self.account.sessions.with_at_least(MIN_SESSION_FOR_ONE_USER).await?;
        gone(Iam::new(&session).record_reminder(user, at).await)
    }
}

impl Recorder for TagRecorder<'_> {
    async fn record(&mut self, told: &[(&DigestItem, Timestamp)]) -> Vec<String> {
        if self.account.dry_run {
            self.emit_notified(told, &[]);
            return Vec::new();
        }
        let at_once = UserPace::new(self.account.worker.max_concurrent_users).at_once();
        // Of several things told of one key, what the last one records holds the others.
        let mut by_user: BTreeMap<&UserName, BTreeMap<&AccessKeyId, &(&DigestItem, Timestamp)>> = BTreeMap::new();
        for item_told in told.iter().filter(|(item, _)| item.record.is_some()) {
            if let Some(key) = &item_told.0.key {
                by_user.entry(&item_told.0.user).or_default().insert(&key.id, item_told);
            }
        }
        let mut failed = Vec::new();
        for some in by_user.into_values().collect::<Vec<_>>().chunks(at_once) {
            failed.extend(join_all(some.iter().map(|keys| self.states(keys))).await.into_iter().flatten());
        }
        self.emit_notified(told, &failed);
        let mut problems: Vec<String> = failed.iter().map(ToString::to_string).collect();
        self.failed = failed.pop().or(self.failed.take());
        // A user may have several.
        let reminded: BTreeMap<&UserName, Timestamp> = told
            .iter()
            .filter(|(item, _)| cadence::is_reminder(&item.event))
            .map(|(item, at)| (&item.user, *at))
            .collect();
        for some in reminded.into_iter().collect::<Vec<_>>().chunks(at_once) {
            problems
                .extend(join_all(some.iter().map(|(user, at)| self.reminder(user, *at))).await.into_iter().flatten());
        }
        problems
    }
}

/// What is to be remembered once this has been told.
fn left(event: &Event, state: KeyState, at: Timestamp) -> Option<KeyState> {
    if *event == Event::Deleted { state.deletion_accepted(at) } else { Some(state.accepted(at)) }
}

/// A user that is gone has nothing left to be recorded on.
fn gone(result: Result<(), AwsError>) -> Result<(), AwsError> {
    match result {
        Err(error) if error.class == ErrorClass::NotFound => Ok(()),
        other => other,
    }
}
