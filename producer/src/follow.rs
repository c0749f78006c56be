//! Following one message to its end, for `--wait`.
//!
//! SQS tells nobody what became of a message, so it is pieced together from three things that a producer can see:
//!
//! 1. **The account.** Keys, tags and published versions show that the request has been carried out ([`rotation::progress`]).
//! 2. **The dead letters.** A refusal, or a failure for good, ends there with its reason and the request's run id.
//! 3. **The queue.** A worker deletes a message only once it is done or copied to the dead letters. So a queue that is
//!    empty, with no dead letter of the request, means that it is done. This says nothing while other messages are about.
//!
//! What is known in the end is said, and what is not known is said to be so.

mod observe;

use std::time::Duration;

use jiff::Timestamp;
use key_rotation_aws::{AwsError, Connection, Depth, QueueUrl, SessionPolicy, Sessions};
use rotation::names::session_name;
use rotation::progress::{Expectation, ObservedKey, ObservedUser, Progress};
use rotation::{AccessKeyId, AccountId, KeyStatus, UserName};
use serde::Serialize;
use uuid::Uuid;

use crate::dead_letters::{DeadLetter, DeadLetterReason, scan};
use crate::queue::{self, EmptyQueueDetector};
use crate::settings::Settings;
use observe::Observer;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Dead letters looked through for the request's.
const LETTERS_READ: usize = 10_000;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum RequestOutcome {
    /// Carried out.
    Done {
        /// What was done, as far as it shows.
        what: String,
    },
    /// Refused, or failed for good.
    Failed {
        /// The worker's `ErrorKind`.
        reason: DeadLetterReason,
        /// The worker's sentence.
        message: String,
    },
    /// Not known: too long under way, or gone without a trace.
    Unknown { what: String },
}

#[derive(Debug, Clone)]
pub struct FollowedRequest {
    pub run_id: Uuid,
    /// When it was made, by AWS's clock.
    pub requested_at: Timestamp,
    pub queue: QueueUrl,
    pub account: AccountId,
    /// The user, if named.
    pub user: Option<UserName>,
    /// The key, if named.
    pub access_key_id: Option<AccessKeyId>,
    /// What was asked for.
    pub expectation: Expectation,
}

/// Follows a request. Made before it is sent, so as to know how the user was before.
pub struct Follower<'a> {
    connection: &'a Connection,
    request: FollowedRequest,
    dead_letters: Option<QueueUrl>,
    observer: Result<(Observer, ObservedUser), String>,
    /// The user at the last look.
    latest: Option<ObservedUser>,
}

impl<'a> Follower<'a> {
    /// Looks at the user as it is before the request.
    pub async fn new(connection: &'a Connection, settings: &Settings, request: FollowedRequest) -> Self {
        let observer = match &request.expectation {
            Expectation::Audited => Err("an audit leaves nothing to be seen".to_owned()),
            Expectation::Rotated(_) | Expectation::Restored { .. } => {
                open_observer(connection, settings, &request).await.inspect_err(|why| {
                    tracing::warn!(account = %request.account, error = why, "the account cannot be read while waiting");
                })
            }
        };
        let dead_letters = match queue::dead_letter_queue(connection, settings).await {
            Ok(queue) => Some(queue),
            Err(error) => {
                tracing::warn!(%error, "a refusal cannot be seen while waiting");
                None
            }
        };
        Self { connection, request, dead_letters, observer, latest: None }
    }

    /// Waits for the end, at most this long; `counts_lag` is how long after sending SQS's counts are not believed.
    pub async fn wait(mut self, at_most: Duration, counts_lag: Duration) -> RequestOutcome {
        let mut detector = EmptyQueueDetector::new(counts_lag);
        let mut letters_before = None;
        loop {
            let pending = match self.look_into_account().await {
                Progress::Done(what) => return RequestOutcome::Done { what },
                Progress::Pending(what) => what,
            };
            // The queue first: a message that has left it by now is among the letters read after.
            let gone = detector.is_empty(self.depth(Some(&self.request.queue)).await);
            let late = detector.elapsed() >= at_most;
            let letters = self.depth(self.dead_letters.as_ref()).await.map(Depth::total);
            if gone || late || letters != letters_before {
                letters_before = letters;
                if let Some(letter) = self.own_letter().await {
                    return failed(letter);
                }
            }
            if gone {
                return self.gone(&pending);
            }
            if late {
                let seconds = at_most.as_secs();
                let what = format!(
                    "{}the request is still under way after {seconds} s: {pending}; it is not a dead letter",
                    self.by_hand()
                );
                return RequestOutcome::Unknown { what };
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn look_into_account(&mut self) -> Progress {
        let (observer, before) = match &self.observer {
            Ok(observed) => observed,
            Err(why) => return Progress::Pending(format!("the account cannot be read ({why})")),
        };
        match observer.snapshot().await {
            Ok(now) => {
                let progress = self.request.expectation.progress(before, &now, self.request.requested_at);
                self.latest = Some(now);
                progress
            }
            Err(error) => Progress::Pending(format!("the account could not be looked into ({error})")),
        }
    }

    async fn depth(&self, queue: Option<&QueueUrl>) -> Option<Depth> {
        queue::depth(self.connection, queue?).await.ok()
    }

    async fn own_letter(&self) -> Option<DeadLetter> {
        let queue = self.dead_letters.as_ref()?;
        let letters = match scan::read(self.connection, queue, LETTERS_READ).await {
            Ok(letters) => letters,
            Err(error) => {
                tracing::warn!(%error, "the dead letters could not be read");
                return None;
            }
        };
        letters.into_iter().find(|letter| letter.run_id == Some(self.request.run_id))
    }

    /// Neither on the queue nor among the dead letters.
    fn gone(&self, pending: &str) -> RequestOutcome {
        let worked_off = "the message has been worked off and is no dead letter";
        let looked = self.observer.is_ok();
        match (&self.request.expectation, self.dead_letters.is_some()) {
            (Expectation::Audited, true) => RequestOutcome::Done {
                what: format!(
                    "{worked_off}: what would be done is in the worker's log and notices, under run {}",
                    self.request.run_id
                ),
            },
            (Expectation::Rotated(_) | Expectation::Restored { .. }, true) if !looked => {
                RequestOutcome::Done { what: format!("{worked_off}; {pending}") }
            }
            (Expectation::Rotated(_) | Expectation::Restored { .. } | Expectation::Audited, _) => {
                RequestOutcome::Unknown {
                    what: format!(
                        "{}{worked_off} that could be found, but {pending}; a worker that only audits (DRY_RUN) changes nothing: see its log for run {}",
                        self.by_hand(),
                        self.request.run_id
                    ),
                }
            }
        }
    }

    /// How to contain, without a worker, what was to be contained and is still active; what leaks does not wait for a fleet that only
    /// audits. Nothing where that is not the case, or not known.
    fn by_hand(&self) -> String {
        let Expectation::Rotated(asked) = &self.request.expectation else { return String::new() };
        let (Ok((observer, _)), Some(latest), true) = (&self.observer, &self.latest, asked.disable_old_now) else {
            return String::new();
        };
        let is_meant = |key: &&ObservedKey| match asked.whom.access_key_id() {
            Some(named) => key.id == *named,
            None => key.created < self.request.requested_at,
        };
        let active = latest.keys.iter().filter(|key| key.status == KeyStatus::Active).filter(is_meant);
        let user = observer.user();
        let commands: Vec<String> = active
            .map(|key| {
                format!("aws iam update-access-key --user-name {user} --access-key-id {} --status Inactive", key.id)
            })
            .collect();
        match commands.as_slice() {
            [command] => {
                format!("to contain it now, with credentials of account {}: {command}; ", self.request.account)
            }
            // Nobody can tell which is meant.
            [] | [_, _, ..] => String::new(),
        }
    }
}

async fn open_observer(
    connection: &Connection,
    settings: &Settings,
    request: &FollowedRequest,
) -> Result<(Observer, ObservedUser), String> {
    let (role, account) = (settings.member_role.clone(), request.account.clone());
    let policy = Some(SessionPolicy::ReadOneUser);
    let sessions = Sessions::new(connection.clone(), role, account, session_name(&request.run_id), policy);
    let observed = async {
        let observer = Observer::open(sessions, request.user.as_ref(), request.access_key_id.as_ref()).await?;
        let before = observer.snapshot().await?;
        Ok((observer, before))
    };
    observed.await.map_err(|error: AwsError| error.to_string())
}

fn failed(letter: DeadLetter) -> RequestOutcome {
    let message = letter.message.unwrap_or_else(|| "no worker has written a reason".to_owned());
    RequestOutcome::Failed { reason: letter.reason, message }
}
