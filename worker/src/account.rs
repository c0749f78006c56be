//! One message: one account (or one user of it), from the role assumed to the owners told.

use std::time::Instant;

use futures::stream::{FuturesUnordered, StreamExt};
use key_rotation_aws::{ErrorClass, MIN_SESSION_FOR_READS, SessionPolicy, Sessions};
use rotation::job::Whom;
use rotation::names::session_name;
use rotation::selection::FullScan;
use rotation::{Event, EventKind, Job, Refusal, RequestOption, RequestOrigin, Task, UserName};
use tracing::{Instrument, info, info_span, warn};
use uuid::Uuid;

use crate::aws::iam::{Iam, UserRecord};
use crate::context::{AccountContext, UserContext, WorkerContext};
use crate::error::{JobError, StepError};
use crate::events::of_item;
use crate::inventory::{self, Inventory, Selection};
use crate::notices::{self, Digest, DigestItem, DigestReport, IncompleteUser};
use crate::pace::Pace;
use crate::queue::{Message, Outcome, Stop};
use crate::recorder::TagRecorder;
use crate::secret_policies;
use crate::summary::{Ended, Sums};
use crate::tally::Tally;
use crate::user::{self, UserError, UserReport};

/// What came of all users.
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
    let dry_run = worker.dry_run || job.dry_run;
    let run = job.run_id.map_or_else(|| message.id.clone(), |id| id.to_string());
    let session_name = session_name(&if dry_run { format!("audit-{run}") } else { run });
    let sessions = sessions(worker, job, session_name, dry_run);
    let (calls, sums) = (sessions.calls().clone(), Sums::default());
    let result = async {
        let origin = origin(job, message)?;
        let (full_scan, message_id) = (worker.full_scan, message.first_id.as_str());
        let account =
            AccountContext { worker, job, sessions, dry_run, full_scan, origin, message_id, stop, sums: &sums };
        account.refuse_what_an_audit_cannot_do()?;
        let inventory = account.inventory().await?;
        account.count_exemption_group(&inventory);
        let report = account.process_users(&inventory).await;
        secret_policies::bring_up_to_date(&account, &inventory).await;
        account.notify_owners(report, message.last_delivery).await
    }
    .await;
    let is_tried_again = matches!(&result, Err(error) if matches!(error.outcome(), Outcome::Retry { .. }));
    if !is_tried_again || message.last_delivery {
        worker.refused_stores.forget(&message.first_id);
    }
    if let Err(JobError::Refused(why)) = &result {
        let event =
            Event::new(EventKind::Refused, worker.connection.clock().now(), job.account.clone(), dry_run, job.run_id);
        let (user, access_key_id) = (job.user().cloned(), job.task.access_key_id().cloned());
        let event = Event { user, access_key_id, ..event.saying(why.clone()) };
        sums.count(&event);
        worker.events.emit(event);
    }
    let (counts, took) = (&sums.read(), begun.elapsed());
    Ended { job, message, dry_run, counts, calls: &calls, took, result: &result }.log();
    result
}

/// What would be told about an account, or about one user of it: found out by reading alone.
///
/// # Errors
/// [`JobError`]: the account cannot be read, or has no such user.
pub async fn preview(worker: &WorkerContext, job: &Job) -> Result<Digest, JobError> {
    let account = AccountContext {
        worker,
        job,
        sessions: sessions(worker, job, session_name(&"preview"), true),
        dry_run: true,
        full_scan: FullScan::EVERY_RUN,
        origin: RequestOrigin { id: Uuid::nil(), requested_at: worker.connection.clock().now(), redelivered: false },
        message_id: "preview",
        stop: &Stop::default(),
        sums: &Sums::default(),
    };
    let inventory = account.inventory().await?;
    if let (Task::User(user), []) = (&job.task, inventory.users.as_slice()) {
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

fn sessions(worker: &WorkerContext, job: &Job, name: String, read_only: bool) -> Sessions {
    let policy = read_only.then_some(SessionPolicy::Audit);
    // Each message's calls are counted for themselves.
    let connection = worker.connection.counting_anew();
    Sessions::new(connection, worker.role.clone(), job.account.clone(), name, policy)
}

impl AccountContext<'_> {
    fn refuse_what_an_audit_cannot_do(&self) -> Result<(), JobError> {
        if self.worker.dry_run && matches!(self.job.task, Task::Restore { .. }) {
            let why = "this worker only audits (DRY_RUN is not false): it makes no key active again";
            return Err(JobError::Refused(why.to_owned()));
        }
        Ok(())
    }

    /// Whom to look at.
    async fn inventory(&self) -> Result<Inventory, JobError> {
        let session = self.sessions.with(MIN_SESSION_FOR_READS).await.map_err(|source| {
            match matches!(source.class, ErrorClass::Denied | ErrorClass::NotFound) {
                true => JobError::RoleRefused { role: self.worker.role.name.clone(), source },
                false => JobError::Account(source),
            }
        })?;
        let group = &self.worker.exemption_group;
        // Who is exempt does not matter to a request that overrides it; so a group that cannot be read shields no leaked key.
        let read_group = match &self.job.task {
            Task::ForceRotate(request) => (!request.override_exemption).then_some(group.as_str()),
            Task::Account | Task::User(_) | Task::Restore { .. } => Some(group.as_str()),
        };
        if let Task::ForceRotate(request) = &self.job.task
            && let Some(refusal) = request.refusal(self.worker.connection.access_key_id().await.as_ref())
        {
            return Err(JobError::Refused(with_options(&refusal)));
        }
        let one =
            async |user: &UserName| Inventory::of_user(&session, read_group, user).await.map_err(JobError::Account);
        let asked_for = async |user: &UserName| {
            let found = one(user).await?;
            if found.users.is_empty() {
                return Err(self.no_such_user(user));
            }
            Ok(found)
        };
        match &self.job.task {
            Task::Account => Inventory::of_account(&session, &self.selection()).await.map_err(JobError::Account),
            // Found by a listing; gone since: nothing to do.
            Task::User(user) => one(user).await,
            Task::Restore { user, .. } => asked_for(user).await,
            Task::ForceRotate(request) => match &request.whom {
                Whom::User(user) | Whom::UserAndKey(user, _) => asked_for(user).await,
                Whom::Key(key) => {
                    let owner = inventory::owner_of(&session, key).await.map_err(JobError::Account)?;
                    let owner = owner.ok_or_else(|| {
                        JobError::Refused(format!(
                            "no user of the account {} has the access key {key}: check the key id and the account. (A key of the account's root user belongs to no user, and only the root user can delete it)",
                            self.job.account
                        ))
                    })?;
                    asked_for(&owner).await
                }
            },
        }
    }

    fn count_exemption_group(&self, inventory: &Inventory) {
        let Some(found) = inventory.exemption_group_found else { return };
        if !found {
            let group = self.worker.exemption_group.as_str();
            warn!(group, "the exemption group does not exist in this account: nobody is exempt by group");
        }
        self.sums.count_exemption_group(found);
    }

    fn selection(&self) -> Selection<'_> {
        let now = self.decision_time();
        Selection {
            now,
            run: self.job.requested_at.unwrap_or(now),
            policy: &self.worker.policy,
            full_scan: self.full_scan,
            account: &self.job.account,
            exemption_group: &self.worker.exemption_group,
        }
    }

    /// Works on the users; one user's failure does not stop the others. Those that the credential report has a say in come last:
    /// it may take a while to generate.
    async fn process_users(&self, inventory: &Inventory) -> AccountReport {
        let mut pace = Pace::new(self.worker.max_concurrent_users);
        let mut reports = self.process_each(inventory, inventory.users.iter().collect(), &mut pace).await;
        let mut not_begun = inventory.users.len() - reports.len();
        if !inventory.by_report.is_empty() {
            let chosen = self.chosen_by_report(inventory).await;
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
        let users = inventory.users.len() + inventory.by_report.len();
        self.sums.count_users(users, looked_at, not_begun);
        account
    }

    async fn chosen_by_report<'i>(&self, inventory: &'i Inventory) -> Vec<&'i UserRecord> {
        match self.sessions.with(MIN_SESSION_FOR_READS).await {
            Ok(session) => inventory.chosen_by_report(&session, &self.selection(), self.worker.report_wait).await,
            // The same is tried for each of them, and fails as it must.
            Err(_) => inventory.by_report.iter().collect(),
        }
    }

    /// Works on users, some at once. Once it is to stop, no further one is begun.
    async fn process_each(
        &self,
        inventory: &Inventory,
        users: Vec<&UserRecord>,
        pace: &mut Pace,
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
        let is_exempt = inventory.is_exempt(record, &self.worker.exemption_group);
        let process = async {
            let user = UserContext::new(self, record, is_exempt);
            let mut report = user::process_user(user).await;
            if self.has_vanished(record, &report).await {
                info!("the user has been deleted since it was listed");
                report.result = Ok(());
            }
            if let Err(UserError::Step(error)) = &report.result {
                let why = format!("the user could not be worked on: {error}");
                self.emit(user.event(EventKind::Failed).because(error.reason().as_str()).saying(why));
                Tally::count(&self.worker.tally.failures);
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
            Ok(()) | Err(_) => return false,
        }
        match self.sessions.with(MIN_SESSION_FOR_READS).await {
            Ok(session) => matches!(Iam::new(&session).user(&record.name).await, Ok(None)),
            Err(_) => false,
        }
    }

    /// Tells the owners, and records what was told once it is accepted.
    ///
    /// What will be told again anyway waits until the account has been worked through (or has been given up on), so that a
    /// message that is tried five times does not warn five times.
    async fn notify_owners(&self, report: AccountReport, last_delivery: bool) -> Result<(), JobError> {
        let AccountReport { items, failed, not_begun, refused } = report;
        // While one of them may get on by itself the message is tried again.
        let given_up = last_delivery || failed.iter().all(|(_, error)| error.needs_a_person());
        let complete = not_begun == 0 && given_up;
        let items: Vec<DigestItem> =
            items.into_iter().filter(|item| complete || !(self.dry_run || item.event.can_wait())).collect();
        let standing = items.iter().filter(|item| item.event.can_wait());
        standing.filter_map(|item| of_item(item, |kind| self.event(kind))).for_each(|event| self.emit(event));
        let incomplete = if complete { &failed[..] } else { &[] };
        let mut outcome = Ok(());
        if !items.is_empty() || !incomplete.is_empty() {
            let digest = self.digest(items, incomplete);
            let mut recorder = TagRecorder::new(self);
            let sent = self.worker.notices.deliver(&digest, &mut recorder).await;
            self.sums.count_mails(sent.mails, sent.failures.len());
            outcome = recorder.outcome().and_then(|()| mail_outcome(&digest, &sent));
        }
        if let Some(why) = refused {
            return Err(JobError::Refused(why));
        }
        if not_begun > 0 {
            return Err(JobError::Stopped { not_begun });
        }
        if !failed.is_empty() {
            let now = self.now();
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
            is_operators_request: self.job.is_operators_request(),
            is_redelivered: self.origin.redelivered,
            now: self.decision_time(),
            policy: self.worker.policy,
            items,
            incomplete: incomplete.iter().map(|(user, error)| incomplete_user(user, error)).collect(),
        }
    }

    fn no_such_user(&self, user: &UserName) -> JobError {
        let account = &self.job.account;
        JobError::Refused(format!("the account {account} has no user {user}: check the name and the account"))
    }
}

fn incomplete_user(user: &UserName, error: &StepError) -> IncompleteUser {
    IncompleteUser { user: user.clone(), reason: error.reason(), error: error.to_string() }
}

/// Whether what had to be told was told: what can be tried again is, and what cannot is for a person.
fn mail_outcome(digest: &Digest, report: &DigestReport) -> Result<(), JobError> {
    if let Some(failure) = report.failures.iter().find(|failure| failure.retryable) {
        return Err(JobError::Mail(failure.to_string()));
    }
    let untold =
        digest.items.iter().enumerate().any(|(i, item)| item.record.is_some() && !report.accepted.contains_key(&i));
    match report.failures.first() {
        Some(failure) if untold && !digest.dry_run => Err(JobError::Undeliverable(failure.to_string())),
        Some(_) | None => Ok(()),
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
