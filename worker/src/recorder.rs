//! Records on users and keys what their owners have been told, as soon as the mail is accepted.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt};
use jiff::Timestamp;
use key_rotation_aws::{AwsError, ErrorClass};
use rotation::evidence::no_earlier;
use rotation::policy::after;
use rotation::user::UserTags;
use rotation::{AccessKeyId, KeyState, UserName};
use tracing::{info, warn};

use crate::aws::iam::{Iam, done_if_not_found};
use crate::context::AccountContext;
use crate::error::JobError;
use crate::events::notified;
use crate::notices::{DigestItem, News, Recorder, cadence};
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
    pub fn finish(self) -> Result<(), JobError> {
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
    async fn record_keys(&self, user: &UserName, keys: BTreeMap<&AccessKeyId, ToRecord>) -> Vec<JobError> {
        let mut failed = Vec::new();
        for (key, to_record) in keys {
            if let Err(source) = self.record_key(user, key, to_record).await {
                warn!(%user, access_key_id = %key, error = %source, "what the owner was told could not be recorded");
                failed.push(JobError::NotRecorded { key: key.clone(), source });
            }
        }
        failed
    }

    async fn record_key(&self, user: &UserName, key: &AccessKeyId, to_record: ToRecord) -> Result<(), AwsError> {
        let session = self.account.sessions.with_at_least(MIN_SESSION_FOR_ONE_USER).await?;
        let iam = Iam::new(&session);
        let ToRecord { state, is_deleted } = to_record;
        if let Some(state) = &state {
            if self.is_overtaken(iam, user, key, state).await? {
                info!(%user, access_key_id = %key, "a request about the key has come in between: its record stays");
            } else {
                done_if_not_found(iam.record_state(user, key, state).await)?;
            }
        }
        match (is_deleted, state) {
            (false, _) => Ok(()),
            (true, Some(_)) => done_if_not_found(iam.remove_deletion(user, key).await),
            (true, None) => done_if_not_found(iam.forget_key(user, key).await),
        }
    }

    /// Whether an operator's request has recorded something of the key since this account was begun: it knows the key by that.
    async fn is_overtaken(
        &self,
        iam: Iam<'_>,
        user: &UserName,
        key: &AccessKeyId,
        state: &KeyState,
    ) -> Result<bool, AwsError> {
        let began = self.account.began;
        if state.request.is_none() && !self.account.may_be_overtaken() {
            return Ok(false);
        }
        let tags = match iam.user_tags(user).await {
            Err(error) if error.class == ErrorClass::NotFound => return Ok(false),
            other => other?,
        };
        let tags = UserTags::from_pairs(&tags);
        let is_anothers = |there: &KeyState| {
            let request = there.restoring.or(there.request);
            request.is_some() && request != state.request && no_earlier(there.at, began)
        };
        let has_later_leak = |there: &KeyState| there.leak_reported() > state.leak_reported();
        Ok(tags.state_of(key).as_ref().is_some_and(|there| is_anothers(there) || has_later_leak(there)))
    }

    /// A reminder that could not be recorded fails no message, which would only repeat it the sooner.
    async fn record_reminder(&self, user: &UserName, at: Timestamp) -> Option<String> {
        let error = self.write_reminder(user, at).await.err()?;
        warn!(%user, %error, "a reminder could not be recorded");
        Some(format!(
            "the owner of the user {user} was reminded, which could not be recorded: the next run reminds again ({error})"
        ))
    }

    async fn write_reminder(&self, user: &UserName, at: Timestamp) -> Result<(), AwsError> {
        let session = self.account.sessions.with_at_least(MIN_SESSION_FOR_ONE_USER).await?;
        done_if_not_found(Iam::new(&session).record_reminder(user, at).await)
    }
}

impl Recorder for TagRecorder<'_> {
    async fn record(&mut self, told: &[(&DigestItem, Timestamp)]) -> Vec<String> {
        if self.account.dry_run {
            self.emit_notified(told, &[]);
            return Vec::new();
        }
        let at_once = UserPace::new(self.account.worker.settings.max_concurrent_users).at_once();
        let mut by_user: BTreeMap<&UserName, BTreeMap<&AccessKeyId, ToRecord>> = BTreeMap::new();
        for (item, at) in told.iter().filter(|(item, _)| item.record.is_some() || item.news == News::Deleted) {
            if let Some(key) = &item.key {
                let grace = self.account.worker.settings.policy.recovery_grace();
                by_user.entry(&item.user).or_default().entry(&key.id).or_default().add(item, *at, grace);
            }
        }
        let users: Vec<_> = by_user.into_iter().map(|(user, keys)| self.record_keys(user, keys)).collect();
        let failed: Vec<Vec<JobError>> = stream::iter(users).buffer_unordered(at_once).collect().await;
        let mut failed: Vec<JobError> = failed.into_iter().flatten().collect();
        self.emit_notified(told, &failed);
        let mut problems: Vec<String> = failed.iter().map(ToString::to_string).collect();
        self.failed = failed.pop().or(self.failed.take());
        // A user may have several.
        let reminded: BTreeMap<&UserName, Timestamp> = told
            .iter()
            .filter(|(item, _)| cadence::is_reminder(&item.news))
            .map(|(item, at)| (&item.user, *at))
            .collect();
        let reminders: Vec<_> = reminded.into_iter().map(|(user, at)| self.record_reminder(user, at)).collect();
        let reminders: Vec<Option<String>> = stream::iter(reminders).buffer_unordered(at_once).collect().await;
        problems.extend(reminders.into_iter().flatten());
        problems
    }
}

/// What is to be remembered of a key once this has been told.
#[derive(Debug, Default)]
struct ToRecord {
    state: Option<KeyState>,
    is_deleted: bool,
}

impl ToRecord {
    /// Of several things told of one key, what the last one records holds the others.
    fn add(&mut self, item: &DigestItem, at: Timestamp, recovery_grace: u32) {
        self.is_deleted |= item.news == News::Deleted;
        self.state = item.record.clone().map(|state| accepted(state, at, recovery_grace)).or(self.state.take());
    }
}

/// A containment goes on dating from when it was: its recovery grace counts from the mail all the same, by the date until when.
fn accepted(state: KeyState, at: Timestamp, recovery_grace: u32) -> KeyState {
    let earliest = after(at, recovery_grace);
    let until = state.until.map(|until| if state.is_containment() { until.max(earliest) } else { until });
    KeyState { until, ..state.accepted(at) }
}

#[cfg(test)]
mod tests {
    use rotation::KeyStateKind;
    use uuid::Uuid;

    use super::*;

    /// The mail about a large account is accepted long after its users were decided on.
    #[test]
    fn a_contained_keys_recovery_grace_counts_from_when_its_mail_was_accepted() {
        let decided: Timestamp = "2026-11-22T02:00:00Z".parse().unwrap();
        let mailed: Timestamp = "2026-11-22T02:50:00Z".parse().unwrap();
        let contained =
            KeyState::new(KeyStateKind::Disabled, decided).of_request(Uuid::nil()).until(after(decided, 10));
        let told = accepted(contained.clone().not_told(), mailed, 10);
        assert_eq!(told, contained.until(after(mailed, 10)));
    }
}
