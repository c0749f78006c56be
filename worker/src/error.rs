//! What can go wrong while a user is worked on, and what becomes of the message then.

use std::time::Duration;

use jiff::Timestamp;
use key_rotation_aws::{AwsError, ErrorClass};
use rotation::{AccessKeyId, MissingFact, Reason, UserName};

use crate::queue::{Failure, Outcome};

/// Why work on a user stopped. Nothing is half done that a later delivery does not settle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// A call that makes a key or publishes one may or may not have taken effect: the intent stays, and a later delivery
    /// settles it.
    #[error("{error}; whether it took effect is not known, so the attempt will be cleared up after {settled_from}")]
    Ambiguous {
        error: AwsError,
        /// When the attempt's intent is old.
        settled_from: Timestamp,
    },
    /// Another attempt is under way, or has died and is not old enough to be settled.
    #[error(
        "another rotation attempt for the user is under way or was interrupted; the user is not looked at again before {not_before}"
    )]
    OthersAtWork {
        /// When the others' intents are old, or (where they may still be at work) have been silent for too long.
        not_before: Timestamp,
    },
    /// The rest of a request must not be done yet: a deletion has to be on record for some time, a restore has to keep away from one, or a
    /// leak report from a restore of before.
    #[error(
        "a deletion or a restore of a key is announced or may be under way: the request goes on after {not_before}"
    )]
    HasToWait {
        /// When it may be done.
        not_before: Timestamp,
    },
    /// The secret of a new key was refused, in a way that a person has to mend. The key was deleted again, and every further try
    /// would make and delete another.
    #[error("the new key could not be stored, so it was deleted again and no other is made before this is mended: {0}")]
    NotStored(AwsError),
    /// What a user's secret has to be was refused, in a way that a person has to mend. No key was made, and no old one disabled.
    #[error("the user's secret could not be prepared, so no key is made or disabled before this is mended: {0}")]
    NotPrepared(AwsError),
    /// A user was renamed, and another has its name now: the secret of that name publishes the renamed one's key.
    #[error(
        "the secret {secret} belongs to another user, that had this name before (its tag key-rotation:user-id says so): once that user has its key, delete the secret without a recovery window, which frees its name"
    )]
    SecretOfAnother { secret: String },
    /// Another attempt has won, or IAM's limit was hit by one.
    #[error("another rotation attempt got ahead: {0}")]
    Outrun(String),
    /// The user is no longer as the plan assumed.
    #[error("the user changed while it was being worked on: {0}")]
    Changed(String),
    /// Something that decides what may be done could not be found out.
    #[error("the {} is not known, so nothing is changed", describe(.0))]
    Undecided(MissingFact),
    /// The session ended, or has not enough time left for what comes next.
    #[error("the session in the member account has ended")]
    SessionEnded,
}

fn describe(missing: &MissingFact) -> String {
    match missing {
        MissingFact::LastUse(key) => format!("last use of the key {key}"),
        MissingFact::Published(key) => format!("publication of the key {key}"),
    }
}

impl StepError {
    /// The reason of a dead letter whose work stopped so.
    pub fn reason(&self) -> Reason {
        match self {
            StepError::Aws(error) | StepError::NotStored(error) | StepError::NotPrepared(error) => error.class.into(),
            StepError::Ambiguous { .. } => Reason::Ambiguous,
            StepError::OthersAtWork { .. } | StepError::HasToWait { .. } => Reason::OthersAtWork,
            StepError::SecretOfAnother { .. } => Reason::SecretOfAnother,
            StepError::Outrun(_) => Reason::Outrun,
            StepError::Changed(_) => Reason::Changed,
            StepError::Undecided(_) => Reason::Undecided,
            StepError::SessionEnded => Reason::SessionEnded,
        }
    }

    /// The same, where a call to store or publish a new key failed: [`StepError::NotStored`] if trying again will not help.
    pub fn while_storing(self) -> Self {
        match self {
            StepError::Aws(error) if is_refused_for_good(error.class) => StepError::NotStored(error),
            other => other,
        }
    }

    /// The same, where a call that prepares the secret failed: [`StepError::NotPrepared`] if trying again will not help.
    pub fn while_preparing(self) -> Self {
        match self {
            StepError::Aws(error) if is_refused_for_good(error.class) => StepError::NotPrepared(error),
            other => other,
        }
    }

    /// The earliest time at which another try makes sense.
    pub fn not_before(&self) -> Option<Timestamp> {
        match self {
            StepError::Ambiguous { settled_from: time, .. }
            | StepError::OthersAtWork { not_before: time }
            | StepError::HasToWait { not_before: time } => Some(*time),
            StepError::Aws(_)
            | StepError::NotStored(_)
            | StepError::NotPrepared(_)
            | StepError::SecretOfAnother { .. }
            | StepError::Outrun(_)
            | StepError::Changed(_)
            | StepError::Undecided(_)
            | StepError::SessionEnded => None,
        }
    }

    /// Whether a person has to mend something first; until then trying again is useless or does harm.
    pub fn needs_a_person(&self) -> bool {
        matches!(self, StepError::NotStored(_) | StepError::NotPrepared(_) | StepError::SecretOfAnother { .. })
    }

    /// Whether a new session is needed before anything else is tried.
    pub fn session_ended(&self) -> bool {
        match self {
            StepError::SessionEnded => true,
            StepError::Aws(error) | StepError::Ambiguous { error, .. } => error.class == ErrorClass::SessionEnded,
            StepError::OthersAtWork { .. }
            | StepError::HasToWait { .. }
            | StepError::NotStored(_)
            | StepError::NotPrepared(_)
            | StepError::SecretOfAnother { .. }
            | StepError::Outrun(_)
            | StepError::Changed(_)
            | StepError::Undecided(_) => false,
        }
    }
}

/// Why the work on a whole message failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// The role cannot be assumed: it does not exist there, or does not trust this worker. Trying again will not help.
    #[error(
        "the role {role} of the account cannot be assumed (it is missing there, does not trust this worker, or asks for another external id): {source}"
    )]
    RoleRefused { role: String, source: AwsError },
    /// The account as a whole could not be read.
    #[error("the account could not be read: {0}")]
    Account(AwsError),
    /// A request that will not be granted.
    #[error("{0}")]
    Refused(String),
    /// Some users could not be worked on.
    #[error("{} of the account's users could not be worked on: {}", .failed.len(), summary(.failed))]
    Users {
        /// Which, and why.
        failed: Vec<(UserName, StepError)>,
        /// AWS's time when that was known.
        now: Timestamp,
    },
    /// The worker is to stop, and has not begun with all users.
    #[error("the worker is stopping: {not_begun} of the account's users have not been looked at yet")]
    Stopped { not_begun: usize },
    /// Mails could not be sent.
    #[error("the users were worked on, but {0}")]
    Mail(String),
    /// Mails cannot be sent, now or later: the clocks they would start stand still until a person has mended it.
    #[error("the users were worked on, but {0}: no key is disabled before its owner can be told")]
    Undeliverable(String),
    /// What was told could not be recorded: it will be told again.
    #[error("the owner of the key {key} was told, but that could not be recorded: {source}")]
    NotRecorded { key: AccessKeyId, source: AwsError },
}

/// Whether a call that was refused so will be refused again.
fn is_refused_for_good(class: ErrorClass) -> bool {
    match class {
        ErrorClass::Denied | ErrorClass::LimitExceeded | ErrorClass::NotEnabled | ErrorClass::Invalid => true,
        ErrorClass::Throttled
        | ErrorClass::Transient
        | ErrorClass::SessionEnded
        | ErrorClass::NotFound
        | ErrorClass::Conflict
        | ErrorClass::Rejected
        | ErrorClass::SendingPaused => false,
    }
}

/// The first few users with their reasons.
fn summary(failed: &[(UserName, StepError)]) -> String {
    const SHOWN: usize = 5;
    let mut lines: Vec<String> = failed.iter().take(SHOWN).map(|(user, error)| format!("{user}: {error}")).collect();
    if failed.len() > SHOWN {
        lines.push(format!("and {} more", failed.len() - SHOWN));
    }
    lines.join("; ")
}

impl JobError {
    /// What becomes of the message. The one place that decides it.
    pub fn outcome(&self) -> Outcome {
        let failure = |reason| Failure::new(reason, self.to_string());
        match self {
            JobError::RoleRefused { .. } => Outcome::DeadLetter(failure(Reason::RoleRefused)),
            JobError::Refused(_) => Outcome::DeadLetter(failure(Reason::Refused)),
            JobError::Undeliverable(_) => Outcome::DeadLetter(failure(Reason::Undeliverable)),
            JobError::Stopped { .. } => Outcome::HandBack,
            JobError::Account(error) if error.class == ErrorClass::NotEnabled => {
                Outcome::DeadLetter(failure(Reason::NotEnabled))
            }
            JobError::Account(error) => Outcome::retry(failure(error.class.into())),
            JobError::Mail(_) => Outcome::retry(failure(Reason::Mail)),
            JobError::NotRecorded { .. } => Outcome::retry(failure(Reason::NotRecorded)),
            JobError::Users { failed, now } => {
                let may_get_on = failed.iter().filter(|(_, error)| !error.needs_a_person());
                let Some((_, first)) = may_get_on.clone().next() else {
                    let reason = failed.first().map_or(Reason::Undecided, |(_, error)| error.reason());
                    return Outcome::DeadLetter(failure(reason));
                };
                // The others need not wait for those that a person has to look after; and where one failed that has no time of its own,
                // the delay by how often that has happened counts.
                let times: Option<Vec<Timestamp>> = may_get_on.map(|(_, error)| error.not_before()).collect();
                let not_before = times.and_then(|times| times.into_iter().max());
                let after = not_before.and_then(|time| Duration::try_from(time.duration_since(*now)).ok());
                Outcome::Retry { failure: failure(first.reason()), after }
            }
        }
    }
}
