//! `producer status`: how many messages wait, are in flight, are delayed, and are dead, on every queue that is set.
//!
//! How old the oldest message is, SQS tells only through CloudWatch (`ApproximateAgeOfOldestMessage`, which the deployment's
//! alarm watches). Looking would be a receive: it counts towards the redrive policy and hides the message from workers, so
//! a status that is asked often would turn work into dead letters. It is said to be unknown. Dead letters' ages are in
//! `producer dead-letters list`.

use std::fmt;

use key_rotation_aws::{Connection, QueueUrl};
use serde::Serialize;

use crate::command::{CommandError, Report};
use crate::queue::{self, Depth};
use crate::settings::Settings;

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
    /// What it is for.
    pub purpose: Purpose,
    /// Its name.
    pub name: String,
    /// Its messages.
    #[serde(flatten)]
    pub depth: Depth,
    /// The age of the oldest message in seconds: always unknown, see the module.
    pub oldest_message_age_seconds: Option<u64>,
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
}

/// Carries it out.
///
/// # Errors
/// None so far: a queue that cannot be read is in the report.
pub async fn run(connection: &Connection, settings: &Settings) -> Result<StatusReport, CommandError> {
    let mut report = StatusReport { queues: Vec::new(), problems: Vec::new() };
    report.look(connection, Purpose::Work, &settings.queue).await;
    if let Some(urgent) = &settings.urgent_queue {
        report.look(connection, Purpose::Urgent, urgent).await;
    }
    match queue::dead_letter_queue(connection, settings).await {
        Ok(dead_letters) => report.look(connection, Purpose::DeadLetters, &dead_letters).await,
        Err(error) => report.problems.push(error.to_string()),
    }
    Ok(report)
}

impl StatusReport {
    async fn look(&mut self, connection: &Connection, purpose: Purpose, queue: &QueueUrl) {
        match queue::attributes(connection, queue).await {
            Ok(attributes) => self.queues.push(QueueStatus {
                purpose,
                name: queue.name().to_owned(),
                depth: attributes.depth,
                oldest_message_age_seconds: None,
            }),
            Err(error) => self.problems.push(format!("the queue {queue} could not be read: {error}")),
        }
    }
}

impl Report for StatusReport {
    fn problems(&self) -> Vec<String> {
        self.problems.clone()
    }
}

impl fmt::Display for StatusReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.queues.iter().map(|queue| queue.name.len()).max().unwrap_or(0).max("queue".len());
        let header = ["waiting", "in flight", "delayed", "oldest"];
        write!(f, "{:12}  {:width$}", "", "queue")?;
        header.iter().try_for_each(|title| write!(f, "  {title:>9}"))?;
        for queue in &self.queues {
            let Depth { waiting, in_flight, delayed } = queue.depth;
            let oldest = queue.oldest_message_age_seconds.map_or("unknown".to_owned(), |age| format!("{age} s"));
            write!(f, "\n{:12}  {:width$}", queue.purpose.as_str(), queue.name)?;
            write!(f, "  {waiting:>9}  {in_flight:>9}  {delayed:>9}  {oldest:>9}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> StatusReport {
        let depth = Depth { waiting: 12, in_flight: 3, delayed: 0 };
        let name = "work.fifo".to_owned();
        let queue = QueueStatus { purpose: Purpose::Work, name, depth, oldest_message_age_seconds: None };
        StatusReport { queues: vec![queue], problems: vec![] }
    }

    #[test]
    fn the_status_is_a_table_and_says_that_the_oldest_age_is_unknown() {
        let text = report().to_string();
        let words: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(words, ["work", "work.fifo", "12", "3", "0", "unknown"]);
    }

    #[test]
    fn in_json_the_counts_stand_beside_the_name_and_the_unknown_age_is_null() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(
            json["queues"][0],
            serde_json::json!({"purpose": "work", "name": "work.fifo", "waiting": 12, "in_flight": 3, "delayed": 0,
                "oldest_message_age_seconds": null})
        );
    }
}
