//! The settings producer and worker share. Each is a flag and an environment variable, the flag winning.
//!
//! Text stays text until it is checked together, so that everything that is wrong is told at once, by the variable's name, and text
//! that is empty counts as not set. Numbers, choices and switches are read with the command line ([`crate::command_line`]): an empty
//! one is refused.

mod values;

use std::fmt::Display;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use rotation::UnusedKeys;
use rotation::policy::PeriodName;

use crate::error::{AwsError, ErrorClass};
use crate::queue::QueueUrl;
use crate::session::MemberRole;

pub use values::{ValueError, boolean, days, exemption_group, is_iam_name, namespace, time_or_date, whole};

/// The role's name where none is set: that of the tool this one takes over from.
pub const DEFAULT_MEMBER_ROLE: &str = "asa-iam-key-rotation-lambda-assumed-role";

/// What becomes of keys that were never used, as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UnusedKeysOption {
    /// They are rotated like any other
    Rotate,
    /// They get no successor: notice, then disabled, then deleted
    Retire,
}

impl From<UnusedKeysOption> for UnusedKeys {
    fn from(option: UnusedKeysOption) -> Self {
        match option {
            UnusedKeysOption::Rotate => UnusedKeys::Rotate,
            UnusedKeysOption::Retire => UnusedKeys::Retire,
        }
    }
}

/// Everything that is wrong with the settings, a sentence each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(Vec<String>);

impl Problems {
    pub fn add(&mut self, problem: impl Into<String>) {
        self.0.push(problem.into());
    }

    /// Reads a variable's value; `None` where it is not set, or wrong.
    pub fn parse<T>(&mut self, variable: &str, text: &Option<String>) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        match given(text)?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.add(format!("{variable} is wrong: {error}"));
                None
            }
        }
    }

    /// Checks a role's name.
    pub fn role(&mut self, variable: &str, name: &str, external_id: Option<String>) -> MemberRole {
        if name.starts_with("arn:") {
            self.add(format!(
                "{variable} is wrong: \"{name}\" is an ARN: give the role's name alone, after its path if it has one"
            ));
        } else if !is_role_name(name) {
            self.add(format!(
                "{variable} is wrong: \"{name}\" is not the name of an IAM role: it must be letters, digits or any of +=,.@_-, at most 64, after a path or none"
            ));
        }
        MemberRole { name: name.to_owned(), external_id }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn into_sentences(self) -> Vec<String> {
        self.0
    }
}

/// A variable's value, if it is set and not blank.
pub fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref().map(str::trim).filter(|text| !text.is_empty())
}

/// What is wrong with the variable that names a queue, where a call about that queue has failed because there is none.
pub fn no_such_queue(variable: &str, queue: &QueueUrl, error: &AwsError) -> Option<String> {
    // SQS's answer to a URL that it could not have given itself.
    let is_no_address = error.code.as_deref() == Some("InvalidAddress");
    (error.class == ErrorClass::NotFound || is_no_address)
        .then(|| format!("{variable} is wrong: there is no queue {queue}; take the URL that SQS shows for the queue"))
}

/// The variable that sets a period.
pub fn period_variable(period: PeriodName) -> &'static str {
    match period {
        PeriodName::Rotation => "ROTATION_PERIOD",
        PeriodName::Inactive => "INACTIVE_PERIOD",
        PeriodName::RecoveryGrace => "RECOVERY_GRACE_PERIOD",
        PeriodName::PendingActionWarn => "PENDING_ACTION_WARN_PERIOD",
        PeriodName::InUseExtension => "IN_USE_EXTENSION",
    }
}

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Queues")]
pub struct QueueSettings {
    /// URL of the work queue. It is FIFO if its name ends in .fifo; both kinds work
    #[arg(long, env = "QUEUE_URL", value_name = "URL", global = true)]
    pub queue_url: Option<String>,

    /// URL of the dead-letter queue [default: as the work queue's redrive policy says]
    #[arg(long, env = "DEAD_LETTER_QUEUE_URL", value_name = "URL", global = true)]
    pub dead_letter_queue_url: Option<String>,

    /// URL of the queue for operators' requests, which workers serve besides, however full the work queue is
    /// [default: none, they go to the work queue]
    #[arg(long, env = "URGENT_QUEUE_URL", value_name = "URL", global = true)]
    pub urgent_queue_url: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Queues {
    /// The work queue; `None` only where that is among the problems.
    pub work: Option<QueueUrl>,
    pub dead_letters: Option<QueueUrl>,
    /// The queue for operators' requests.
    pub urgent: Option<QueueUrl>,
}

impl QueueSettings {
    /// Checks the URLs, and that they go together.
    pub fn check(&self, problems: &mut Problems) -> Queues {
        if given(&self.queue_url).is_none() {
            problems.add("QUEUE_URL (--queue-url) is not set: it must be the URL of the work queue");
        }
        let queues = Queues {
            work: problems.parse("QUEUE_URL", &self.queue_url),
            dead_letters: problems.parse("DEAD_LETTER_QUEUE_URL", &self.dead_letter_queue_url),
            urgent: problems.parse("URGENT_QUEUE_URL", &self.urgent_queue_url),
        };
        queues.go_together(problems);
        queues
    }
}

impl Queues {
    /// SQS developer guide: "The dead-letter queue of a FIFO queue must also be a FIFO queue", and so for standard ones.
    fn go_together(&self, problems: &mut Problems) {
        let Some(work) = &self.work else { return };
        if self.dead_letters.as_ref().is_some_and(|dead_letters| dead_letters.is_fifo() != work.is_fifo()) {
            problems.add(
                "DEAD_LETTER_QUEUE_URL is wrong: the dead-letter queue must be FIFO (.fifo) where QUEUE_URL is, and standard where it is not",
            );
        }
        if self.dead_letters.as_ref() == Some(work) {
            problems.add("DEAD_LETTER_QUEUE_URL is wrong: it is the work queue's own URL");
        }
        if self.urgent.as_ref() == Some(work) {
            problems.add("URGENT_QUEUE_URL is wrong: it is the work queue's own URL; leave it out to have one queue");
        }
    }
}

/// The role in the member accounts.
#[derive(Debug, Clone, Default, Args)]
pub struct RoleSettings {
    /// Name of the role to assume in each account, with its path if it has one
    /// [default: asa-iam-key-rotation-lambda-assumed-role]
    #[arg(long, env = "IAM_ASSUMED_ROLE_NAME", value_name = "NAME", global = true)]
    pub iam_assumed_role_name: Option<String>,

    /// External id to give when assuming a role
    #[arg(long, env = "EXTERNAL_ID", value_name = "ID", global = true, hide_env_values = true)]
    pub external_id: Option<String>,
}

impl RoleSettings {
    /// Checks the role they describe.
    pub fn check(&self, problems: &mut Problems) -> MemberRole {
        let external_id = given(&self.external_id).map(str::to_owned);
        if external_id.as_deref().is_some_and(|id| !is_external_id(id)) {
            // Not repeated: some treat it as a secret, although AWS does not.
            problems.add("EXTERNAL_ID is wrong: it must be 2 to 1224 letters, digits or any of +=,.@:/_-");
        }
        let name = given(&self.iam_assumed_role_name).unwrap_or(DEFAULT_MEMBER_ROLE);
        problems.role("IAM_ASSUMED_ROLE_NAME", name, external_id)
    }
}

/// IAM API reference, `CreateRole`: `RoleName` `[\w+=,.@-]+` up to 64; a path before it ends in a slash.
fn is_role_name(text: &str) -> bool {
    let (path, name) = text.rsplit_once('/').unwrap_or(("", text));
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b);
    (1..=64).contains(&name.len()) && name.bytes().all(allowed) && path.bytes().all(|b| b.is_ascii_graphic())
}

/// STS API reference, `AssumeRole`: `ExternalId` `[\w+=,.@:\/-]*`, 2 to 1224.
fn is_external_id(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@:/_-".contains(&b);
    (2..=1224).contains(&text.len()) && text.bytes().all(allowed)
}

#[derive(Debug, Clone, Args)]
pub struct LogSettings {
    /// Format of log lines on stderr [default: text on a terminal, json elsewhere]
    #[arg(long, env = "LOG_FORMAT", value_enum, value_name = "FORMAT", global = true)]
    pub log_format: Option<LogFormat>,

    /// Namespace of the metrics that JSON log lines carry for CloudWatch [default: none, they carry no metrics]
    #[arg(long, env = "METRICS_NAMESPACE", value_name = "NAME", value_parser = namespace, global = true)]
    pub metrics_namespace: Option<String>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}
