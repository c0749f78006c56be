//! `producer status`: how many messages wait, are in flight, are delayed, and are dead, on every queue that is set.
//!
//! How old the oldest message is, SQS tells only through CloudWatch (`ApproximateAgeOfOldestMessage`, which the deployment's
//! alarm watches). Looking would be a receive: it counts towards the redrive policy and hides the message from workers, so
//! a status that is asked often would turn work into dead letters. Dead letters' ages are in `producer dead-letters list`.

pub mod user;

use std::fmt;

use clap::Args;
use key_rotation_aws::settings::no_such_queue;
use key_rotation_aws::{Connection, Depth, QueueUrl};
use rotation::{AccountId, UserName};
use serde::Serialize;

use crate::command::{CommandError, Report};
use crate::queue;
use crate::settings::Settings;

/// Show how many messages wait, are in flight, are delayed and are dead, on every queue that is set; or one user's keys.
///
/// SQS's counts are approximate and lag by up to a minute. It tells the age of the oldest message only through CloudWatch
/// (ApproximateAgeOfOldestMessage). Of a user it says whether the new key has been used since it was made: as long as it has not,
/// nobody has installed it.
#[derive(Debug, Clone, Args)]
#[group(skip)]
pub struct StatusOptions {
    /// The user's account; no queue is looked at
    #[arg(long, value_name = "ID", requires = "user")]
    pub account: Option<AccountId>,

    /// The user, by name without path
    #[arg(long, value_name = "NAME", requires = "account")]
    pub user: Option<UserName>,
}

/// The queues as they are now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatusReport {
    /// Every queue that is set or found.
    pub queues: Vec<QueueStatus>,
    /// What could not be read.
    pub problems: Vec<String>,
}

/// One queue as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QueueStatus {
    pub purpose: Purpose,
    pub name: String,
    #[serde(flatten)]
    pub depth: Depth,
}

/// What a queue is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Scheduled runs.
    Work,
    /// Operators' requests.
    Urgent,
    /// What workers have given up on.
    DeadLetters,
}

impl Purpose {
    fn as_str(self) -> &'static str {
        match self {
            Purpose::Work => "work",
            Purpose::Urgent => "urgent",
            Purpose::DeadLetters => "dead letters",
        }
    }

    /// The variable that names it.
    fn variable(self) -> &'static str {
        match self {
            Purpose::Work => "QUEUE_URL",
            Purpose::Urgent => "URGENT_QUEUE_URL",
            Purpose::DeadLetters => "DEAD_LETTER_QUEUE_URL",
        }
    }
}

/// Reads how many messages each queue holds.
///
/// # Errors
/// [`CommandError::Usage`] where a queue does not exist; one that cannot be read for another reason is in the report.
pub async fn run(connection: &Connection, settings: &Settings) -> Result<StatusReport, CommandError> {
    let mut report = StatusReport { queues: Vec::new(), problems: Vec::new() };
    report.look(connection, Purpose::Work, &settings.queue).await?;
    if let Some(urgent) = &settings.urgent_queue {
        report.look(connection, Purpose::Urgent, urgent).await?;
    }
    match queue::dead_letter_queue(connection, settings).await {
        Ok(dead_letters) => report.look(connection, Purpose::DeadLetters, &dead_letters).await?,
        // What is wrong with the work queue is told once.
        Err(error) if report.problems.contains(&error.to_string()) => {}
        Err(error) => report.problems.push(error.to_string()),
    }
    Ok(report)
}

impl StatusReport {
    async fn look(&mut self, connection: &Connection, purpose: Purpose, queue: &QueueUrl) -> Result<(), CommandError> {
        match queue::depth(connection, queue).await {
            Ok(depth) => self.queues.push(QueueStatus { purpose, name: queue.name().to_owned(), depth }),
            Err(error) => match no_such_queue(purpose.variable(), queue, &error) {
                Some(wrong) => return Err(CommandError::Usage(wrong)),
                None => self.problems.push(format!("the queue {queue} could not be read: {error}")),
            },
        }
        Ok(())
    }
}

impl Report for StatusReport {
    fn problems(&self) -> Vec<String> {
        self.problems.clone()
    }
}

/// The widest table that a terminal of 80 columns shows.
const NAME_WIDTH: usize = 80 - 12 - 3 * 11 - 2;

impl fmt::Display for StatusReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:12}  {:>9}  {:>9}  {:>9}  queue", "", "waiting", "in flight", "delayed")?;
        for queue in &self.queues {
            let Depth { waiting, in_flight, delayed } = queue.depth;
            write!(f, "\n{:12}  {waiting:>9}  {in_flight:>9}  {delayed:>9}", queue.purpose.as_str())?;
            write!(f, "  {}", shortened(&queue.name))?;
        }
        Ok(())
    }
}

/// A queue's name may have 80 characters; its end tells most.
fn shortened(name: &str) -> String {
    let length = name.chars().count();
    if length <= NAME_WIDTH {
        return name.to_owned();
    }
    std::iter::once('…').chain(name.chars().skip(length - NAME_WIDTH + 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(name: &str) -> StatusReport {
        let depth = Depth { waiting: 12, in_flight: 3, delayed: 0 };
        let queue = QueueStatus { purpose: Purpose::DeadLetters, name: name.to_owned(), depth };
        StatusReport { queues: vec![queue], problems: vec![] }
    }

    #[test]
    fn the_status_is_a_table_that_fits_80_columns() {
        let text = report("work.fifo").to_string();
        let words: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(words, ["dead", "letters", "12", "3", "0", "work.fifo"]);
        let text = report(&format!("{}.fifo", "x".repeat(75))).to_string();
        assert!(text.lines().all(|line| line.chars().count() <= 80) && text.ends_with("x.fifo"), "{text}");
    }

    #[test]
    fn in_json_the_counts_stand_beside_the_name() {
        let json = serde_json::to_value(report("dead.fifo")).unwrap();
        assert_eq!(
            json["queues"][0],
            serde_json::json!({"purpose": "dead-letters", "name": "dead.fifo", "waiting": 12, "in_flight": 3, "delayed": 0})
        );
    }
}
