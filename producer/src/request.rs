//! An operator's request for one user: looked up, sent to the urgent queue where there is one, and followed if asked for.

use std::fmt;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use key_rotation_aws::{AwsError, Connection, ErrorClass};
use rotation::{AccessKeyId, AccountId, Job, Task, UserName};
use serde::Serialize;
use uuid::Uuid;

use crate::backoff::{self, Patience};
use crate::command::{CommandError, Report};
use crate::enqueue::Enqueuer;
use crate::follow::{Follower, Goal, Outcome, Request};
use crate::organization::{Described, Member, Organization, Standing};
use crate::queue;
use crate::settings::Settings;

/// Whether to wait for the end.
#[derive(Debug, Clone, Copy, Args)]
pub struct WaitOptions {
    /// Follow the message to its end and say what was done (exit 0) or why not (exit 1)
    #[arg(long)]
    pub wait: bool,

    /// Give up waiting after this many seconds; the message stays on its way
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    pub wait_timeout: u64,

    /// With --wait: believe an empty queue no sooner than this many seconds after sending, as SQS's counts lag
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub settle: u64,
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
    /// The account.
    pub account: AccountId,
    /// The account's name.
    pub account_name: Option<String>,
    /// The user, if named.
    pub user: Option<UserName>,
    /// The key, if named.
    pub access_key_id: Option<AccessKeyId>,
    /// How it ended, where it was waited for.
    #[serde(flatten)]
    pub outcome: Option<Outcome>,
}

/// A request being made: its id and the way to AWS.
pub(crate) struct Desk<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) settings: &'a Settings,
    run_id: Uuid,
}

impl<'a> Desk<'a> {
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
        let answer = backoff::retry(Patience::MESSAGE, async || {
            let call = sts.get_access_key_info().access_key_id(key.as_str());
            call.send().await.map_err(|error| AwsError::of(OPERATION, error))
        })
        .await;
        let unknown =
            |why: &str| CommandError::Usage(format!("AWS knows no account of the key {key}: {why}; nothing was sent"));
        match answer {
            Ok(answer) => {
                let account = answer.account().unwrap_or_default();
                AccountId::new(account).map_err(|_| unknown("the answer names none"))
            }
            Err(error) => match error.class {
                ErrorClass::Invalid | ErrorClass::NotFound => Err(unknown(&error.to_string())),
                ErrorClass::Throttled
                | ErrorClass::Transient
                | ErrorClass::SessionEnded
                | ErrorClass::Denied
                | ErrorClass::Conflict
                | ErrorClass::LimitExceeded
                | ErrorClass::Rejected
                | ErrorClass::SendingOff => {
                    Err(CommandError::failed("the key's account could not be found out; nothing was sent", &error))
                }
            },
        }
    }

    /// The account as the organization knows it. One outside is refused; where the organization cannot be read, the request
    /// goes on with the id alone, since a leaked key does not wait for a permission.
    pub(crate) async fn member(&self, account: &AccountId) -> Result<Member, CommandError> {
        let session_name = format!("key-rotation-{}", self.run_id);
        let organization = Organization::open(self.connection, self.settings.org_list.as_ref(), &session_name).await;
        let described = match organization {
            Ok(organization) => organization.describe(account).await,
            Err(error) => Err(error),
        };
        let as_named = |error: &AwsError| {
            tracing::warn!(%account, %error, "the organization cannot be read: the account is taken as it is named");
            Member { account: account.clone(), name: None, email: None, standing: Standing::Active }
        };
        match described {
            Ok(Described::Foreign) => Err(CommandError::Usage(format!(
                "the account {account} does not belong to this organization; nothing was sent"
            ))),
            Ok(Described::Member(member)) => {
                if member.standing != Standing::Active {
                    tracing::warn!(%account, "the account is {}: the worker may not get in", member.standing);
                }
                Ok(member)
            }
            Ok(Described::Unreadable(error)) | Err(error) => Ok(as_named(&error)),
        }
    }

    /// Sends a request, and follows it where that is asked for.
    pub(crate) async fn send(
        &self,
        member: Member,
        task: Task,
        dry_run: bool,
        wait: WaitOptions,
    ) -> Result<RequestReport, CommandError> {
        let queue = self.settings.operators_queue();
        let requested_at = self.connection.clock().now();
        let (goal, user, access_key_id) = describe(&task, dry_run);
        let job = Job {
            name: member.name.clone(),
            email: member.email,
            dry_run,
            run_id: Some(self.run_id),
            requested_at: Some(requested_at),
            ..Job::new(member.account.clone(), task)
        };
        let followed = Request {
            run_id: self.run_id,
            requested_at,
            queue: queue.clone(),
            account: member.account.clone(),
            user: user.clone(),
            access_key_id: access_key_id.clone(),
            goal,
        };
        let follower =
            if wait.wait { Some(Follower::new(self.connection, self.settings, followed).await) } else { None };
        let sent = Enqueuer::new(self.connection, queue).send(&job).await;
        let message_id = sent.map_err(|error| CommandError::failed("the request could not be sent", &error))?;
        tracing::info!(account = %member.account, message_id, "the request is on the queue");
        let outcome = match follower {
            Some(follower) => {
                let (at_most, settle) = (Duration::from_secs(wait.wait_timeout), Duration::from_secs(wait.settle));
                Some(follower.to_the_end(at_most, settle).await)
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
            user,
            access_key_id,
            outcome,
        })
    }
}

fn describe(task: &Task, dry_run: bool) -> (Goal, Option<UserName>, Option<AccessKeyId>) {
    let (goal, user, key) = match task {
        Task::Account => (Goal::Looked, None, None),
        Task::User(user) => (Goal::Looked, Some(user), None),
        Task::ForceRotate(request) => {
            (Goal::Rotated(request.clone()), request.whom.user(), request.whom.access_key_id())
        }
        Task::Restore { user, access_key_id } => {
            (Goal::Restored { access_key_id: access_key_id.clone() }, Some(user), access_key_id.as_ref())
        }
    };
    (if dry_run { Goal::Looked } else { goal }, user.cloned(), key.cloned())
}

impl Report for RequestReport {
    fn problems(&self) -> Vec<String> {
        match &self.outcome {
            None | Some(Outcome::Done { .. }) => Vec::new(),
            Some(Outcome::Failed { reason, message }) => vec![format!("not done ({reason}): {message}")],
            Some(Outcome::Unknown { what }) => vec![format!("not known to be done: {what}")],
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
        match &self.outcome {
            Some(Outcome::Done { what }) => write!(f, "\ndone: {what}"),
            Some(Outcome::Failed { .. } | Outcome::Unknown { .. }) | None => Ok(()),
        }
    }
}
