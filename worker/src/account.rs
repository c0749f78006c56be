//! One message: one account (or one user of it), from the role assumed to the owners told.

use std::sync::Mutex;

use futures::stream::{self, StreamExt};
use jiff::Timestamp;
use key_rotation_aws::ErrorClass;
use rotation::job::Whom;
use rotation::{Job, Task, UserName};
use tracing::{Instrument, info, info_span, warn};

use crate::aws::iam::UserRecord;
use crate::error::{JobError, StepError};
use crate::inventory::{self, Inventory};
use crate::notices::{self, Digest, DigestItem, DigestReport, IncompleteUser};
use crate::queue::{Message, Stop};
use crate::recorder::TagRecorder;
use crate::rotator::Rotator;
use crate::sessions::{Sessions, TO_LOOK};
use crate::tally::Tally;
use crate::user;

/// The work on one message.
pub struct AccountWork<'a> {
    /// What all messages share.
    pub rotator: &'a Rotator,
    /// What the message asks for.
    pub job: &'a Job,
    /// The sessions in the account.
    pub sessions: Sessions,
    /// Whether nothing may be changed.
    pub dry_run: bool,
    /// When the request was made, by AWS's clock.
    pub requested_at: Timestamp,
    /// Whether an earlier delivery may have begun the work.
    pub redelivered: bool,
    /// Once it is asked for, no further user is begun.
    pub stop: &'a Stop,
}

/// What came of it.
#[derive(Debug, Default)]
struct Results {
    items: Vec<DigestItem>,
    failed: Vec<(UserName, StepError)>,
    /// Users that were not begun, because the worker is to stop.
    not_begun: usize,
}

/// Works on one message.
///
/// # Errors
/// [`JobError`], which says what becomes of the message.
pub async fn work(rotator: &Rotator, job: &Job, message: &Message, stop: &Stop) -> Result<(), JobError> {
    let dry_run = rotator.dry_run || job.dry_run;
    let run = job.run_id.map_or_else(|| message.id.clone(), |id| id.to_string());
    let name = format!("key-rotation-{}{run}", if dry_run { "audit-" } else { "" });
    let work = AccountWork {
        rotator,
        job,
        sessions: Sessions::new(rotator.connection.clone(), rotator.role.clone(), job.account.clone(), name, dry_run),
        dry_run,
        requested_at: job.requested_at.unwrap_or(message.sent),
        redelivered: message.redelivered,
        stop,
    };
    if rotator.dry_run && matches!(job.task, Task::Restore { .. }) {
        let why = "this worker only audits (DRY_RUN is not false): it makes no key active again";
        return Err(JobError::Refused(why.to_owned()));
    }
    let inventory = work.inventory().await?;
    let results = work.users(&inventory).await?;
    work.tell(results, message.last_delivery).await
}

/// What would be told about an account, or about one user of it: found out by reading alone.
///
/// # Errors
/// [`JobError`]: the account cannot be read, or has no such user.
pub async fn preview(rotator: &Rotator, job: &Job) -> Result<Digest, JobError> {
    let name = "key-rotation-preview".to_owned();
    let work = AccountWork {
        rotator,
        job,
        sessions: Sessions::new(rotator.connection.clone(), rotator.role.clone(), job.account.clone(), name, true),
        dry_run: true,
        requested_at: rotator.connection.clock().now(),
        redelivered: false,
        stop: &Stop::default(),
    };
    let inventory = work.inventory().await?;
    if let (Task::User(user), []) = (&job.task, inventory.users.as_slice()) {
        return Err(work.no_such_user(user));
    }
    let Results { items, failed, .. } = work.users(&inventory).await?;
    Ok(work.digest(items, &failed))
}

impl AccountWork<'_> {
    /// The time decisions are made for: the earliest that it can be by AWS's clocks, or in a forecast another.
    pub fn decision_time(&self) -> Timestamp {
        self.rotator.as_of.unwrap_or_else(|| self.rotator.connection.clock().earliest())
    }

    /// Whom to look at.
    async fn inventory(&self) -> Result<Inventory, JobError> {
        let session = self.sessions.with(TO_LOOK).await.map_err(|source| match source.class {
            ErrorClass::Denied | ErrorClass::NotFound => {
                JobError::RoleRefused { role: self.rotator.role.name.clone(), source }
            }
            ErrorClass::Throttled
            | ErrorClass::Transient
            | ErrorClass::SessionEnded
            | ErrorClass::Conflict
            | ErrorClass::LimitExceeded
            | ErrorClass::Rejected
            | ErrorClass::SendingOff
            | ErrorClass::Invalid => JobError::Account(source),
        })?;
        let group = &self.rotator.exemption_group;
        let one = async |user: &UserName| Inventory::of_user(&session, group, user).await.map_err(JobError::Account);
        let asked_for = async |user: &UserName| {
            let found = one(user).await?;
            if found.users.is_empty() {
                return Err(self.no_such_user(user));
            }
            Ok(found)
        };
        match &self.job.task {
            Task::Account => Inventory::of_account(&session, group).await.map_err(JobError::Account),
            // Found by a listing; gone since: nothing to do.
            Task::User(user) => one(user).await,
            Task::Restore { user, .. } => asked_for(user).await,
            Task::ForceRotate(request) => match &request.whom {
                Whom::User(user) | Whom::UserAndKey(user, _) => asked_for(user).await,
                Whom::Key(key) => {
                    let owner = inventory::owner_of(&session, key).await.map_err(JobError::Account)?;
                    let owner = owner.ok_or_else(|| {
                        JobError::Refused(format!(
                            "no user of the account {} has the access key {key}: check the key id and the account",
                            self.job.account
                        ))
                    })?;
                    asked_for(&owner).await
                }
            },
        }
    }

    /// Works on the users, some at once; one user's failure does not stop the others.
    async fn users(&self, inventory: &Inventory) -> Result<Results, JobError> {
        let results = Mutex::new(Results::default());
        let refused = Mutex::new(None);
        stream::iter(&inventory.users)
            .for_each_concurrent(self.rotator.users_at_once, |record| {
                let span = info_span!("user", user = %record.name);
                let (results, refused) = (&results, &refused);
                async move {
                    if self.stop.is_asked() {
                        lock(results).not_begun += 1;
                        return;
                    }
                    let exempt = inventory.is_exempt(record, &self.rotator.exemption_group);
                    Tally::count(&self.rotator.tally.users);
                    let mut items = Vec::new();
                    let ended = user::work(self, record, exempt, &mut items).await;
                    let mut results = lock(results);
                    results.items.append(&mut items);
                    match ended {
                        Ok(()) => {}
                        Err(user::UserError::Refused(why)) => *lock(refused) = Some(why),
                        Err(user::UserError::Step(error)) => {
                            warn!(%error, reason = %error.reason(), "the user could not be worked on");
                            Tally::count(&self.rotator.tally.failures);
                            results.failed.push((record.name.clone(), error));
                        }
                    }
                }
                .instrument(span)
            })
            .await;
        let mut results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        results.failed.sort_by(|(a, _), (b, _)| a.cmp(b));
        results.items.sort_by(|a, b| a.user.cmp(&b.user));
        if let Some(why) = refused.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
            return Err(JobError::Refused(why));
        }
        info!(
            account = %self.job.account,
            users = inventory.users.len(),
            failed = results.failed.len(),
            "the account's users have been looked at"
        );
        Ok(results)
    }

    /// Tells the owners, and records what was told once it is accepted.
    ///
    /// What will be told again anyway waits until the account has been worked through (or has been given up on), so that a
    /// message that is tried five times does not warn five times.
    async fn tell(&self, results: Results, last_delivery: bool) -> Result<(), JobError> {
        let Results { items, failed, not_begun } = results;
        let given_up = last_delivery || failed.iter().any(|(_, error)| error.needs_a_person());
        let complete = not_begun == 0 && (failed.is_empty() || given_up);
        let items: Vec<DigestItem> =
            items.into_iter().filter(|item| complete || !(self.dry_run || item.event.can_wait())).collect();
        let incomplete = if complete { &failed[..] } else { &[] };
        let mut outcome = Ok(());
        if !items.is_empty() || !incomplete.is_empty() {
            let digest = self.digest(items, incomplete);
            let mut recorder = TagRecorder::new(self);
            let report = self.rotator.notices.deliver(&digest, &mut recorder).await;
            Tally::add(&self.rotator.tally.mails, report.mails as u64);
            outcome = recorder.outcome().and_then(|()| mail_outcome(&digest, &report));
        }
        if not_begun > 0 {
            return Err(JobError::Stopped { not_begun });
        }
        if !failed.is_empty() {
            let now = self.rotator.connection.clock().now();
            return Err(JobError::Users { failed, now });
        }
        outcome
    }

    /// All there is to tell.
    fn digest(&self, items: Vec<DigestItem>, incomplete: &[(UserName, StepError)]) -> Digest {
        Digest {
            account: notices::Account {
                id: self.job.account.clone(),
                name: self.job.name.clone(),
                email: self.job.email.clone(),
            },
            dry_run: self.dry_run,
            run_id: self.job.run_id,
            now: self.decision_time(),
            policy: self.rotator.policy,
            items,
            incomplete: incomplete.iter().map(|(user, error)| incomplete_user(user, error)).collect(),
        }
    }

    fn no_such_user(&self, user: &UserName) -> JobError {
        let account = &self.job.account;
        JobError::Refused(format!("the account {account} has no user {user}: check the name and the account"))
    }

    /// The value of the user's owner tag, if there is such a setting and such a tag.
    pub fn owner_tag(&self, record: &UserRecord) -> Option<String> {
        let wanted = self.rotator.owner_tag.as_deref()?;
        record.tags.iter().find(|(key, _)| key == wanted).map(|(_, value)| value.clone())
    }
}

fn incomplete_user(user: &UserName, error: &StepError) -> IncompleteUser {
    IncompleteUser { user: user.clone(), reason: error.reason(), error: error.to_string() }
}

/// Whether what had to be told was told: what can be tried again is, and what cannot is for a person.
fn mail_outcome(digest: &Digest, delivery: &DigestReport) -> Result<(), JobError> {
    if let Some(failure) = delivery.failures.iter().find(|failure| failure.retryable) {
        return Err(JobError::Mail(failure.to_string()));
    }
    let untold =
        digest.items.iter().enumerate().any(|(i, item)| item.mark.is_some() && !delivery.accepted.contains_key(&i));
    match delivery.failures.first() {
        Some(failure) if untold && !digest.dry_run => Err(JobError::Undeliverable(failure.to_string())),
        Some(_) | None => Ok(()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
