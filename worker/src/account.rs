//! One message: one account (or one user of it), from the role assumed to the owners told.

mod notify;

use std::time::Instant;

use futures::stream::{FuturesUnordered, StreamExt};
use key_rotation_aws::{ErrorClass, MIN_SESSION_FOR_ONE_USER, MemberSession, SessionPolicy, Sessions};
use rotation::job::Whom;
use rotation::names::session_name;
use rotation::selection::FullScan;
use rotation::{AccessKeyId, Event, EventKind, Job, Refusal, RequestOption, RequestOrigin, Task, UserName};
use tracing::{Instrument, info, info_span, warn};
use uuid::Uuid;

use crate::aws::iam::{Iam, UserRecord};
use crate::context::{AccountContext, UserContext, WorkerContext};
use crate::error::{JobError, StepError};
use crate::inventory::{self, Inventory, RecentMembers, SelectionInput};
use crate::notices::{Digest, DigestItem};
use crate::pace::UserPace;
use crate::queue::{Message, Outcome, Stop};
use crate::secret_policies;
use crate::summary::{MessageCounter, MessageSummary};
use crate::user::{self, UserError, UserReport};

/// Results of all users.
#[derive(Debug, Default)]
struct AccountReport {
    items: Vec<DigestItem>,
    failed: Vec<(UserName, StepError)>,
    /// Users that were not begun, because the worker is to stop.
    not_begun: usize,
    /// Why what was asked for will not be done; what was done all the same is told.
    refused: Option<String>,
}

/// Works on one message, and sums up in the log what came of it.
///
/// # Errors
/// [`JobError`], which says what becomes of the message.
pub async fn process_message(
    worker: &WorkerContext,
    job: &Job,
    message: &Message,
    stop: &Stop,
) -> Result<(), JobError> {
    let begun = Instant::now();
    let dry_run = worker.settings.dry_run || job.dry_run;
    let run = job.run_id.map_or_else(|| message.id.clone(), |id| id.to_string());
    let session_name = session_name(&if dry_run { format!("audit-{run}") } else { run });
    let sessions = open_sessions(worker, job, session_name, dry_run);
    let (calls, counter) = (sessions.calls().clone(), MessageCounter::default());
    let result = process_account(worker, job, message, sessions, stop, &counter).await;
    let is_tried_again = matches!(&result, Err(error) if matches!(error.outcome(), Outcome::Retry { .. }));
    if !is_tried_again || message.last_delivery {
        worker.storage_refusals.forget(&message.id);
    }
    if let Err(JobError::Refused(why)) = &result {
        let event =
            Event::new(EventKind::Refused, worker.connection.clock().now(), job.account.clone(), dry_run, job.run_id);
        let (user, access_key_id) = (job.user().cloned(), job.task.access_key_id().cloned());
        let event = Event { user, access_key_id, ..event.saying(why.clone()) };
        counter.count(&event);
        worker.events.emit(event);
    }
    let (counts, took) = (&counter.read(), begun.elapsed());
    MessageSummary { job, message, dry_run, counts, calls: &calls, took, result: &result }.log();
    result
}

/// Reads the account, works on its users, and tells of it.
async fn process_account(
    worker: &WorkerContext,
    job: &Job,
    message: &Message,
    sessions: Sessions,
    stop: &Stop,
    counter: &MessageCounter,
) -> Result<(), JobError> {
    let account = AccountContext {
        worker,
        job,
        sessions,
        began: worker.connection.clock().now(),
        dry_run: worker.settings.dry_run || job.dry_run,
        full_scan: worker.settings.full_scan,
        origin: origin(job, message)?,
        message_id: &message.id,
        recent_members: RecentMembers::default(),
        stop,
        counter,
    };
    if let Some(why) = account.refusal().await {
        return Err(JobError::Refused(why));
    }
    let inventory = account.inventory().await?;
    account.count_exemption_group(&inventory);
    let report = account.process_users(&inventory).await;
    let told = account.notify_owners(report, message.last_delivery).await;
    // Of a whole account it may take longer than the message has left, and what was done to keys has to be told in that time.
    secret_policies::bring_up_to_date(&account, &inventory).await;
    told
}

/// What would be told about an account, or about one user of it: found out by reading alone.
///
/// # Errors
/// [`JobError`]: the account cannot be read, or has no such user.
pub async fn preview(worker: &WorkerContext, job: &Job) -> Result<Digest, JobError> {
    let account = AccountContext {
        worker,
        job,
        sessions: open_sessions(worker, job, session_name(&"preview"), true),
        began: worker.connection.clock().now(),
        dry_run: true,
        full_scan: FullScan::EVERY_RUN,
        origin: RequestOrigin { id: Uuid::nil(), requested_at: worker.connection.clock().now(), redelivered: false },
        message_id: "preview",
        recent_members: RecentMembers::default(),
        stop: &Stop::default(),
        counter: &MessageCounter::default(),
    };
    let inventory = account.inventory().await?;
    if let (Task::User(user), []) = (&job.task, inventory.looked_at.as_slice()) {
        return Err(account.no_such_user(user));
    }
    let AccountReport { items, failed, .. } = account.process_users(&inventory).await;
    Ok(account.digest(items, &failed))
}

/// By what an operator's request is known, and when it was made. Of scheduled work neither matters.
fn origin(job: &Job, message: &Message) -> Result<RequestOrigin, JobError> {
    // SQS's message ids are UUIDs; were one not, its hash would do as well.
    let message_id =
        || message.first_id.parse().unwrap_or_else(|_| Uuid::new_v5(&Uuid::NAMESPACE_OID, message.first_id.as_bytes()));
    let made = job.requested_at.filter(|_| job.is_operators_request());
    let origin = RequestOrigin::new(job.run_id.unwrap_or_else(message_id), made, message.sent, message.redelivered);
    origin.map_err(|refusal| JobError::Refused(with_options(&refusal)))
}

fn open_sessions(worker: &WorkerContext, job: &Job, name: String, read_only: bool) -> Sessions {
    let policy = read_only.then_some(SessionPolicy::Audit);
    // Each message's calls are counted for themselves.
    let connection = worker.connection.with_own_counter();
    Sessions::new(connection, worker.settings.role.clone(), job.account.clone(), name, policy)
}

impl AccountContext<'_> {
    /// Why the message is refused whatever the account looks like, if it is: nobody can carry it out, or this worker only audits and it asks
    /// for what cannot wait for another.
    async fn refusal(&self) -> Option<String> {
        if let Task::ForceRotate(request) = &self.job.task
            && let Some(refusal) = request.refusal(self.worker.connection.access_key_id().await.as_ref())
        {
            return Some(with_options(&refusal));
        }
        let only_audits = self.worker.settings.dry_run && !self.job.dry_run;
        let refusal = self.job.task.refusal_in_audit().filter(|_| only_audits)?;
        Some(format!("DRY_RUN is not false: {refusal}"))
    }

    /// Whom to look at.
    async fn inventory(&self) -> Result<Inventory, JobError> {
        let session = self.first_session().await?;
        match &self.job.task {
            Task::Account => Inventory::for_account(&session, &self.selection()).await.map_err(JobError::Account),
            // Found by a listing; gone since: nothing to do.
            Task::User(user) => self.user_if_there(&session, user).await,
            Task::Restore { user, .. } => self.requested_user(&session, user).await,
            Task::ForceRotate(request) => match &request.whom {
                Whom::User(user) | Whom::UserAndKey(user, _) => self.requested_user(&session, user).await,
                Whom::Key(key) => {
                    let owner = inventory::owner_of(&session, key).await.map_err(JobError::Account)?;
                    let owner = owner.ok_or_else(|| self.no_owner(key))?;
                    self.requested_user(&session, &owner).await
                }
            },
        }
    }

    async fn first_session(&self) -> Result<MemberSession, JobError> {
        self.sessions.with_at_least(MIN_SESSION_FOR_ONE_USER).await.map_err(|source| {
            match matches!(source.class, ErrorClass::Denied | ErrorClass::NotFound) {
                true => JobError::RoleRefused { role: self.worker.settings.role.name.clone(), source },
                false => JobError::Account(source),
            }
        })
    }

    async fn user_if_there(&self, session: &MemberSession, user: &UserName) -> Result<Inventory, JobError> {
        let group = self.worker.settings.exemption_group.as_str();
        // Who is exempt does not matter to a request that overrides it; so a group that cannot be read shields no leaked key.
        let read_group = match &self.job.task {
            Task::ForceRotate(request) => (!request.override_exemption).then_some(group),
            Task::Account | Task::User(_) | Task::Restore { .. } => Some(group),
        };
        Inventory::for_user(session, read_group, user).await.map_err(JobError::Account)
    }

    async fn requested_user(&self, session: &MemberSession, user: &UserName) -> Result<Inventory, JobError> {
        let found = self.user_if_there(session, user).await?;
        if found.looked_at.is_empty() { Err(self.no_such_user(user)) } else { Ok(found) }
    }

    fn no_owner(&self, key: &AccessKeyId) -> JobError {
        JobError::Refused(format!(
            "no user of the account {} has the access key {key}: check the key id and the account. (A key of the account's root user belongs to no user, and only the root user can delete it)",
            self.job.account
        ))
    }

    fn count_exemption_group(&self, inventory: &Inventory) {
        let Some(found) = inventory.exemption_group_found else { return };
        if !found {
            let exemption_group = self.worker.settings.exemption_group.as_str();
            warn!(exemption_group, "the exemption group does not exist in this account: nobody is exempt by group");
        }
        self.counter.count_exemption_group(found);
    }

    fn selection(&self) -> SelectionInput<'_> {
        let now = self.decision_time();
        SelectionInput {
            now,
            run: self.job.requested_at.unwrap_or(now),
            policy: &self.worker.settings.policy,
            full_scan: self.full_scan,
            account: &self.job.account,
            exemption_group: &self.worker.settings.exemption_group,
        }
    }

    /// Works on the users; one user's failure does not stop the others. Users that depend on the credential report come last:
    /// generating it takes time.
    async fn process_users(&self, inventory: &Inventory) -> AccountReport {
        let mut pace = UserPace::new(self.worker.settings.max_concurrent_users);
        let mut reports = self.process_each(inventory, inventory.looked_at.iter().collect(), &mut pace).await;
        let mut not_begun = inventory.looked_at.len() - reports.len();
        if !inventory.undecided.is_empty() {
            let chosen = self.choose_by_report(inventory).await;
            let more = chosen.len();
            let further = self.process_each(inventory, chosen, &mut pace).await;
            not_begun += more - further.len();
            reports.extend(further);
        }
        reports.sort_by(|(a, _), (b, _)| a.cmp(b));
        let looked_at = reports.len();
        let mut account = AccountReport { not_begun, ..AccountReport::default() };
        for (user, UserReport { items, result }) in reports {
            account.items.extend(items);
            match result {
                Ok(()) => {}
                Err(UserError::Refused(refusal)) => account.refused = Some(with_options(&refusal)),
                Err(UserError::Step(error)) => account.failed.push((user, error)),
            }
        }
        let users = inventory.looked_at.len() + inventory.undecided.len();
        self.counter.count_users(users, looked_at, not_begun);
        account
    }

    async fn choose_by_report<'i>(&self, inventory: &'i Inventory) -> Vec<&'i UserRecord> {
        match self.sessions.with_at_least(MIN_SESSION_FOR_ONE_USER).await {
            Ok(session) => {
                inventory
                    .choose_by_report(&session, &self.selection(), self.worker.settings.credential_report_wait)
                    .await
            }
            // Each user then fails with the same error.
            Err(_) => inventory.undecided.iter().collect(),
        }
    }

    /// Works on users, some at once. Once it is to stop, no further one is begun.
    async fn process_each(
        &self,
        inventory: &Inventory,
        users: Vec<&UserRecord>,
        pace: &mut UserPace,
    ) -> Vec<(UserName, UserReport)> {
        let mut reports = Vec::new();
        let mut waiting = users.into_iter();
        let mut running = FuturesUnordered::new();
        let mut seen = self.sessions.calls().throttles();
        loop {
            while running.len() < pace.at_once() && !self.stop.is_asked() {
                let Some(user) = waiting.next() else { break };
                running.push(self.process_user(inventory, user));
            }
            // The one place that waits: users under way go on only while it does, and one may have the lock of the sessions.
            let Some(report) = running.next().await else { return reports };
            reports.push(report);
            let throttles = self.sessions.calls().throttles();
            pace.after_user(throttles > seen);
            seen = throttles;
        }
    }

    async fn process_user(&self, inventory: &Inventory, record: &UserRecord) -> (UserName, UserReport) {
        let is_exempt = inventory.is_exempt(record, &self.worker.settings.exemption_group);
        let process = async {
            let user = UserContext::new(self, record, is_exempt);
            let mut report = user::process(user).await;
            if self.has_vanished(record, &report).await {
                info!("the user has been deleted since it was listed");
                report.result = Ok(());
            }
            if let Err(UserError::Step(error)) = &report.result {
                let why = format!("the user could not be worked on: {error}");
                self.emit(user.event(EventKind::Failed).because(error.reason().as_str()).saying(why));
            }
            report
        };
        (record.name.clone(), process.instrument(info_span!("user", user = %record.name)).await)
    }

    /// Whether scheduled work on a user failed because somebody has deleted it since it was listed.
    async fn has_vanished(&self, record: &UserRecord, report: &UserReport) -> bool {
        let is_scheduled = matches!(self.job.task, Task::Account | Task::User(_));
        match &report.result {
            Err(UserError::Step(StepError::Aws(error))) if is_scheduled && error.class == ErrorClass::NotFound => {}
            // A policy that names a user that is gone is malformed.
            Err(UserError::Step(StepError::NotPrepared(_))) if is_scheduled => {}
            Ok(()) | Err(_) => return false,
        }
        match self.sessions.with_at_least(MIN_SESSION_FOR_ONE_USER).await {
            Ok(session) => matches!(Iam::new(&session).user(&record.name).await, Ok(None)),
            Err(_) => false,
        }
    }

    fn no_such_user(&self, user: &UserName) -> JobError {
        let account = &self.job.account;
        JobError::Refused(format!("the account {account} has no user {user}: check the name and the account"))
    }
}

/// A refusal, with the spelling of what the request could have said to be granted.
fn with_options(refusal: &Refusal) -> String {
    let spelled = |option: &RequestOption| match option {
        RequestOption::OverrideExemption => "override_exemption (--override-exemption)",
        RequestOption::AccessKeyId => "access_key_id (--access-key-id)",
        RequestOption::DisableOldNow => "disable_old_now (--disable-old-now)",
    };
    match refusal.options() {
        [] => refusal.to_string(),
        options => {
            let spelled: Vec<&str> = options.iter().map(spelled).collect();
            format!("{refusal}. In the message (and as an option of the producer): {}", spelled.join(", "))
        }
    }
}
