//! An operator's request for one user: looked up, sent to the urgent queue where there is one, and followed if asked for.

use std::fmt;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use key_rotation_aws::settings::whole;
use key_rotation_aws::{AwsError, Connection, ErrorClass, RetryPolicy, SessionPolicy, iam};
use rotation::cloudtrail::{CallsOf, LOOKUP_LIMITS, lookup_command};
use rotation::names::session_name;
use rotation::progress::Expectation;
use rotation::{AccessKeyId, AccountId, Job, Task, UserName};
use serde::Serialize;
use uuid::Uuid;

use crate::command::{CommandError, Report};
use crate::enqueue::Enqueuer;
use crate::follow::{FollowedRequest, Follower, RequestOutcome};
use crate::organization::{AccountLookup, Member, MemberState, Organization, taken_as_named};
use crate::queue;
use crate::settings::Settings;

/// A day: what waits longer is a job of its own.
pub(crate) const LONGEST_WAIT: u64 = 24 * 60 * 60;

/// What stands in the place of an access key's id is not one. It is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "it is not an access key id, which is capital letters and digits as in AKIAIOSFODNN7EXAMPLE. If it was a secret access key, treat that as leaked: it is in this shell's history"
)]
pub(crate) struct NotAnAccessKeyId;

/// Reads an access key's id, and refuses a secret access key, which would be sent and logged: AWS's ids have no lower-case letters.
pub(crate) fn access_key_id(text: &str) -> Result<AccessKeyId, NotAnAccessKeyId> {
    match AccessKeyId::new(text) {
        Ok(id) if !text.contains(|c: char| c.is_ascii_lowercase()) => Ok(id),
        Ok(_) | Err(_) => Err(NotAnAccessKeyId),
    }
}

/// Whether to wait for the end.
#[derive(Debug, Clone, Copy, Args)]
pub struct WaitOptions {
    /// Follow the message to its end and say what was done (exit 0) or why not (exit 1)
    #[arg(long)]
    pub wait: bool,

    /// Give up waiting after this many seconds; the message stays on its way
    #[arg(long, requires = "wait", value_name = "SECONDS", default_value_t = 900, value_parser = whole::<u64>("seconds", 0..=LONGEST_WAIT))]
    pub wait_timeout: u64,

    /// With --wait: believe an empty queue no sooner than this many seconds after sending, as SQS's counts lag
    #[arg(long, requires = "wait", value_name = "SECONDS", default_value_t = 60, value_parser = whole::<u64>("seconds", 0..=LONGEST_WAIT))]
    pub counts_lag_seconds: u64,
}

/// A request on its way, or at its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RequestReport {
    /// The request's id: its log lines and its dead letter, if it ends as one, carry it.
    pub run_id: Uuid,
    /// When it was made, by AWS's clock.
    pub requested_at: Timestamp,
    /// The queue it was sent to.
    pub queue: String,
    /// Its message id there.
    pub message_id: String,
    pub account: AccountId,
    /// The account's name.
    pub account_name: Option<String>,
    /// The user, if named.
    pub user: Option<UserName>,
    /// The key, if named.
    pub access_key_id: Option<AccessKeyId>,
    /// The command that lists what the key did, or the user: after a leak, containing the key is half of it.
    pub lookup_command: Option<String>,
    /// Remarks that are not failures.
    pub remarks: Vec<String>,
    /// How it ended, where it was waited for.
    #[serde(flatten)]
    pub outcome: Option<RequestOutcome>,
}

/// The account that a request is about, and what is strange about it.
pub(crate) struct RequestedAccount {
    member: Member,
    remarks: Vec<String>,
}

/// A request being made: its id and the way to AWS.
pub(crate) struct RequestSender<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) settings: &'a Settings,
    run_id: Uuid,
}

impl<'a> RequestSender<'a> {
    /// Makes sure that the queue is there, which also sets AWS's clock.
    pub(crate) async fn open(
        connection: &'a Connection,
        settings: &'a Settings,
        run_id: Uuid,
    ) -> Result<Self, CommandError> {
        let variable = if settings.urgent_queue.is_some() { "URGENT_QUEUE_URL" } else { "QUEUE_URL" };
        queue::check(connection, variable, settings.operators_queue()).await?;
        Ok(Self { connection, settings, run_id })
    }

    /// The account a key belongs to.
    pub(crate) async fn account_of(&self, key: &AccessKeyId) -> Result<AccountId, CommandError> {
        const OPERATION: &str = "sts:GetAccessKeyInfo";
        let sts = self.connection.sts();
        let answer = RetryPolicy::MESSAGE
            .retry(async || {
                let call = sts.get_access_key_info().access_key_id(key.as_str());
                call.send().await.map_err(|error| AwsError::new(OPERATION, error))
            })
            .await;
        let unknown =
            |why: &str| CommandError::Usage(format!("AWS knows no account of the key {key}: {why}; nothing was sent"));
        match answer {
            Ok(answer) => {
                let account = answer.account().unwrap_or_default();
                AccountId::new(account).map_err(|_| unknown("the answer names none"))
            }
            Err(error) if matches!(error.class, ErrorClass::Invalid | ErrorClass::NotFound) => {
                Err(unknown(&error.to_string()))
            }
            Err(error) => {
                Err(CommandError::failed("the key's account could not be found out; nothing was sent", &error))
            }
        }
    }

    /// The account as the organization knows it. One outside is refused; where the organization cannot be read, the request
    /// goes on with the id alone, since a leaked key does not wait for a permission.
    pub(crate) async fn account(&self, account: &AccountId) -> Result<RequestedAccount, CommandError> {
        let session_name = session_name(&self.run_id);
        let organization = Organization::new(self.connection, self.settings.org_list.as_ref(), &session_name);
        let described = organization.describe(account).await;
        let as_named = |error: &AwsError| {
            tracing::warn!(%account, %error, "the organization cannot be read: the account is taken as it is named");
            RequestedAccount { member: Member::as_named(account.clone()), remarks: vec![taken_as_named(account)] }
        };
        match described {
            Ok(AccountLookup::Foreign) => Err(CommandError::Usage(format!(
                "the account {account} does not belong to this organization; nothing was sent"
            ))),
            Ok(AccountLookup::Member(member)) => {
                if member.state != MemberState::Active {
                    tracing::warn!(%account, "the account is {}: the worker may not be able to assume its role there", member.state);
                }
                Ok(RequestedAccount { member, remarks: Vec::new() })
            }
            Ok(AccountLookup::Unreadable(error)) | Err(error) => Ok(as_named(&error)),
        }
    }

    /// Refuses a user that the account does not have. Where that cannot be found out, the worker will tell.
    async fn check_user(&self, account: &AccountId, user: &UserName) -> Result<(), CommandError> {
        let session_name = session_name(&self.run_id);
        let policy = Some(SessionPolicy::ReadOneUser);
        let session = self.settings.member_role.assume(self.connection, account, &session_name, policy).await;
        let found = match session {
            Ok(session) => iam::access_keys(session.iam(), user).await,
            Err(error) => {
                tracing::debug!(%account, %error, "the account cannot be read: whether it has the user is not known");
                return Ok(());
            }
        };
        match found {
            Err(error) if error.class == ErrorClass::NotFound => {
                Err(CommandError::Usage(format!("the account {account} has no user {user}; nothing was sent")))
            }
            Err(error) => {
                tracing::debug!(%account, %error, "whether the account has the user is not known");
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }

    /// Sends a request, and follows it where that is asked for.
    pub(crate) async fn send(
        &self,
        account: RequestedAccount,
        task: Task,
        dry_run: bool,
        wait: WaitOptions,
    ) -> Result<RequestReport, CommandError> {
        let RequestedAccount { member, remarks } = account;
        let (user, access_key_id) = (task.user().cloned(), task.access_key_id().cloned());
        if let Some(user) = &user {
            self.check_user(&member.account, user).await?;
        }
        let lookup_command = lookup_of(&task, self.connection.region());
        let queue = self.settings.operators_queue();
        let requested_at = self.connection.clock().now();
        let expectation = Expectation::new(&task, dry_run);
        let job = Job {
            name: member.name.clone(),
            email: member.email,
            dry_run,
            run_id: Some(self.run_id),
            requested_at: Some(requested_at),
            ..Job::new(member.account.clone(), task)
        };
        let followed = FollowedRequest {
            run_id: self.run_id,
            requested_at,
            queue: queue.clone(),
            account: member.account.clone(),
            user: user.clone(),
            access_key_id: access_key_id.clone(),
            expectation,
        };
        let follower =
            if wait.wait { Some(Follower::new(self.connection, self.settings, followed).await) } else { None };
        let sent = Enqueuer::new(self.connection, queue).send(&job).await;
        let message_id = sent.map_err(|error| CommandError::failed("the request could not be sent", &error))?;
        tracing::info!(account = %member.account, message_id, "the request is on the queue");
        let outcome = match follower {
            Some(follower) => {
                let counts_lag = Duration::from_secs(wait.counts_lag_seconds);
                Some(follower.wait(Duration::from_secs(wait.wait_timeout), counts_lag).await)
            }
            None => None,
        };
        Ok(RequestReport {
            run_id: self.run_id,
            requested_at,
            queue: queue.name().to_owned(),
            message_id,
            account: member.account,
            account_name: member.name,
            lookup_command,
            user,
            access_key_id,
            remarks,
            outcome,
        })
    }
}

/// The look-up that follows a containment, by the key where it is named.
fn lookup_of(task: &Task, region: &str) -> Option<String> {
    let contains = match task {
        Task::ForceRotate(request) => request.disable_old_now,
        Task::Account | Task::User(_) | Task::Restore { .. } => false,
    };
    let of = match (task.access_key_id(), task.user()) {
        (Some(key), _) => CallsOf::Key(key.as_str()),
        (None, Some(user)) => CallsOf::User(user),
        (None, None) => return None,
    };
    contains.then(|| lookup_command(of, region))
}

impl Report for RequestReport {
    fn problems(&self) -> Vec<String> {
        match &self.outcome {
            None | Some(RequestOutcome::Done { .. }) => Vec::new(),
            Some(RequestOutcome::Failed { reason, message }) => vec![format!("not done ({reason}): {message}")],
            Some(RequestOutcome::Unknown { what }) => vec![format!("not known to be done: {what}")],
        }
    }
}

impl fmt::Display for RequestReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "request {} sent to {} for account {}", self.run_id, self.queue, self.account)?;
        if let Some(name) = &self.account_name {
            write!(f, " ({name})")?;
        }
        if let Some(user) = &self.user {
            write!(f, ", user {user}")?;
        }
        if let Some(key) = &self.access_key_id {
            write!(f, ", key {key}")?;
        }
        for remark in &self.remarks {
            write!(f, "\nnote: {remark}")?;
        }
        match &self.outcome {
            Some(RequestOutcome::Done { what }) => write!(f, "\ndone: {what}")?,
            Some(RequestOutcome::Failed { .. } | RequestOutcome::Unknown { .. }) | None => {}
        }
        match &self.lookup_command {
            Some(line) => write!(
                f,
                "\n\nWhat it did until then, with credentials of account {}:\n\n  {line}\n\n{LOOKUP_LIMITS}",
                self.account
            ),
            None => Ok(()),
        }
    }
}
