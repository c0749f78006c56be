//! The settings producer and worker share. Each is a flag and an environment variable, the flag winning.

use clap::{Args, ValueEnum};

use crate::queue::QueueUrl;
use crate::session::MemberRole;

/// The queues.
#[derive(Debug, Clone, Args)]
pub struct QueueSettings {
    /// URL of the work queue. It is FIFO if its name ends in .fifo; both kinds work
    #[arg(long, env = "QUEUE_URL", value_name = "URL", global = true)]
    pub queue_url: Option<String>,

    /// URL of the dead-letter queue [default: as the work queue's redrive policy says]
    #[arg(long, env = "DEAD_LETTER_QUEUE_URL", value_name = "URL", global = true)]
    pub dead_letter_queue_url: Option<String>,

    /// URL of the queue for operators' requests, which workers serve first [default: none, they go to the work queue]
    #[arg(long, env = "URGENT_QUEUE_URL", value_name = "URL", global = true)]
    pub urgent_queue_url: Option<String>,
}

/// The queues, checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Queues {
    /// The work queue.
    pub work: Option<QueueUrl>,
    /// Its dead-letter queue.
    pub dead_letters: Option<QueueUrl>,
    /// The queue for operators' requests.
    pub urgent: Option<QueueUrl>,
}

impl QueueSettings {
    /// Checks the URLs. A variable that is set but empty counts as not set: deployment templates write those.
    pub fn check(&self, problems: &mut Vec<String>) -> Queues {
        let mut url = |name: &str, text: &Option<String>| {
            let text = text.as_deref().filter(|text| !text.is_empty())?;
            text.parse().map_err(|error| problems.push(format!("{name}: {error}"))).ok()
        };
        Queues {
            work: url("QUEUE_URL", &self.queue_url),
            dead_letters: url("DEAD_LETTER_QUEUE_URL", &self.dead_letter_queue_url),
            urgent: url("URGENT_QUEUE_URL", &self.urgent_queue_url),
        }
    }
}

/// The role in the member accounts.
#[derive(Debug, Clone, Args)]
pub struct RoleSettings {
    /// Name of the role to assume in each account, with its path if it has one
    #[arg(
        long,
        env = "IAM_ASSUMED_ROLE_NAME",
        value_name = "NAME",
        default_value = "asa-iam-key-rotation-lambda-assumed-role",
        global = true
    )]
    pub iam_assumed_role_name: String,

    /// External id to give when assuming the role
    #[arg(long, env = "EXTERNAL_ID", value_name = "ID", global = true)]
    pub external_id: Option<String>,
}

impl RoleSettings {
    /// The role they describe.
    pub fn member_role(&self) -> MemberRole {
        MemberRole {
            name: self.iam_assumed_role_name.clone(),
            external_id: self.external_id.clone().filter(|id| !id.is_empty()),
        }
    }
}

/// Logging.
#[derive(Debug, Clone, Args)]
pub struct LogSettings {
    /// Format of log lines on stderr [default: text on a terminal, json elsewhere]
    #[arg(long, env = "LOG_FORMAT", value_enum, value_name = "FORMAT", global = true)]
    pub log_format: Option<LogFormat>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}
