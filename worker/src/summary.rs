//! What came of one message, in numbers: one line of the log for each time that it is worked on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use key_rotation_aws::CallCounter;
use key_rotation_aws::telemetry::SUMMARY;
use rotation::event::SCHEMA_VERSION;
use rotation::{AccessKeyId, Event, EventKind, Job, KeyStatus, Policy, Task, User};
use tracing::info;

use crate::error::JobError;
use crate::queue::{Message, Outcome};

/// Counts while a message is worked on.
#[derive(Debug, Default)]
pub struct MessageCounter(Mutex<MessageCounts>);

/// What is counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageCounts {
    pub events: BTreeMap<EventKind, u64>,
    /// Users of the account, or the one that the message is about.
    pub users: u64,
    pub users_looked_at: u64,
    /// Users that were not begun because the worker stops.
    pub users_not_begun: u64,
    /// Whether the account has the exemption group, where that was asked.
    pub exemption_group_found: Option<bool>,
    /// Of the users that were looked at; who is exempt is not.
    pub keys_active: u64,
    pub keys_inactive: u64,
    /// Active keys that are older than they may get, and were not disabled meanwhile.
    pub keys_overdue: BTreeSet<AccessKeyId>,
    pub mails_sent: u64,
    pub mails_refused: u64,
}

impl MessageCounter {
    pub fn count(&self, event: &Event) {
        let mut counts = self.lock();
        *counts.events.entry(event.kind).or_default() += 1;
        let is_inactive_now = matches!(event.kind, EventKind::Disabled | EventKind::Contained) && !event.dry_run;
        if let Some(key) = event.access_key_id.as_ref().filter(|_| is_inactive_now) {
            counts.keys_overdue.remove(key);
        }
    }

    pub fn count_users(&self, users: usize, looked_at: usize, not_begun: usize) {
        let mut counts = self.lock();
        (counts.users, counts.users_looked_at, counts.users_not_begun) =
            (number(users), number(looked_at), number(not_begun));
    }

    pub fn count_exemption_group(&self, found: bool) {
        self.lock().exemption_group_found = Some(found);
    }

    pub fn count_keys(&self, user: &User, now: Timestamp, policy: &Policy) {
        let mut counts = self.lock();
        for key in &user.keys {
            match key.status {
                KeyStatus::Active => counts.keys_active += 1,
                KeyStatus::Inactive => counts.keys_inactive += 1,
            }
        }
        counts.keys_overdue.extend(user.overdue_keys(now, policy).map(|key| key.id.clone()));
    }

    pub fn count_mails(&self, sent: usize, refused: usize) {
        let mut counts = self.lock();
        counts.mails_sent += number(sent);
        counts.mails_refused += number(refused);
    }

    pub fn read(&self) -> MessageCounts {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, MessageCounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn number(of: usize) -> u64 {
    u64::try_from(of).unwrap_or(u64::MAX)
}

/// What a message's work came to.
pub struct MessageSummary<'a> {
    pub job: &'a Job,
    pub message: &'a Message,
    pub dry_run: bool,
    pub counts: &'a MessageCounts,
    pub calls: &'a CallCounter,
    pub took: Duration,
    pub result: &'a Result<(), JobError>,
}

impl MessageSummary<'_> {
    /// Writes the line. The numbers that describe an account's state are there only when the message is done or given up: one
    /// that is tried again would count them twice.
    pub fn log(&self) {
        let MessageCounts {
            events,
            users,
            users_looked_at,
            users_not_begun,
            keys_active,
            keys_inactive,
            keys_overdue,
            ..
        } = self.counts;
        let of = |kind| events.get(&kind).copied().unwrap_or_default();
        let MessageEnd { outcome, reason, is_over } = self.end();
        let is_reached = self.is_reached();
        // In audit mode nothing was made, disabled or deleted.
        let done = |kind| (!self.dry_run).then(|| of(kind));
        let once = |count: u64| is_over.then_some(count);
        // A request looks at its one user only.
        let of_account = |count: u64| once(count).filter(|_| !self.job.is_operators_request());
        info!(
            target: SUMMARY,
            schema_version = SCHEMA_VERSION,
            event = "message_processed",
            account = self.job.account.as_str(),
            user = self.job.user().map(rotation::UserName::as_str),
            run_id = self.job.run_id.map(tracing::field::display),
            dry_run = self.dry_run,
            task = task(&self.job.task),
            outcome,
            reason,
            messages_finished = u64::from(is_over),
            accounts_processed = once(u64::from(is_reached)),
            accounts_not_reached = once(u64::from(!is_reached)),
            users = once(*users),
            users_looked_at = once(*users_looked_at),
            users_exempt = once(of(EventKind::Exempt)),
            users_failed = once(of(EventKind::Failed)),
            users_not_begun,
            exemption_group_found = self.counts.exemption_group_found.map(u64::from).and_then(of_account),
            keys_active = of_account(*keys_active),
            keys_inactive = of_account(*keys_inactive),
            keys_overdue = of_account(number(keys_overdue.len())),
            keys_created = done(EventKind::Published),
            keys_disabled = done(EventKind::Disabled),
            keys_deleted = done(EventKind::Deleted),
            keys_contained = done(EventKind::Contained),
            keys_restored = done(EventKind::Restored),
            owners_notified = of(EventKind::Notified),
            findings = of(EventKind::Finding),
            refused = of(EventKind::Refused),
            mails_sent = self.counts.mails_sent,
            mails_refused = self.counts.mails_refused,
            aws_calls = self.calls.calls(),
            aws_throttles = self.calls.throttles(),
            seconds = self.took.as_secs_f64(),
            "the message was worked on"
        );
    }

    fn end(&self) -> MessageEnd {
        let outcome = self.result.as_ref().map_or_else(JobError::outcome, |()| Outcome::Done);
        match &outcome {
            Outcome::Done => MessageEnd { outcome: "done", reason: None, is_over: true },
            Outcome::Retry { failure, .. } if !self.message.last_delivery => {
                MessageEnd { outcome: "retry", reason: Some(failure.reason.as_str()), is_over: false }
            }
            Outcome::Retry { failure, .. } | Outcome::DeadLetter(failure) => {
                MessageEnd { outcome: "dead_letter", reason: Some(failure.reason.as_str()), is_over: true }
            }
            Outcome::HandBack => MessageEnd { outcome: "handed_back", reason: None, is_over: false },
        }
    }

    /// Whether the account could be read.
    fn is_reached(&self) -> bool {
        match self.result {
            Err(JobError::RoleRefused { .. } | JobError::Account(_)) => false,
            Ok(())
            | Err(
                JobError::Refused(_)
                | JobError::Users { .. }
                | JobError::Stopped { .. }
                | JobError::Mail(_)
                | JobError::Undeliverable(_)
                | JobError::NotRecorded { .. },
            ) => true,
        }
    }
}

/// What becomes of the message, as the line has it.
struct MessageEnd {
    outcome: &'static str,
    reason: Option<&'static str>,
    /// Whether this is the last word on it.
    is_over: bool,
}

fn task(task: &Task) -> &'static str {
    match task {
        Task::Account => "account",
        Task::User(_) => "user",
        Task::ForceRotate(_) => "force_rotate",
        Task::Restore { .. } => "restore",
    }
}
