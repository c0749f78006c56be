//! What earlier runs left on the work queue, told before a run adds to it.
//!
//! SQS tells neither whose messages a queue holds nor how old they are. So each run leaves a record of itself on the queue, as a
//! tag: its id, when it was requested, and how many messages it sent.

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use key_rotation_aws::{AwsError, Connection, Depth, QueueUrl, RetryPolicy};
use rotation::names::LAST_RUN_TAG;
use rotation::state::tag_time;
use serde::Serialize;
use uuid::Uuid;

use crate::command::{age, count};

/// A run as its tag records it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunRecord {
    pub run_id: Uuid,
    pub requested_at: Timestamp,
    pub messages: u64,
}

impl fmt::Display for RunRecord {
    /// Only characters that SQS allows in a tag's value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let requested_at = tag_time(self.requested_at);
        write!(f, "run={} requested={requested_at} messages={}", self.run_id, self.messages)
    }
}

/// A tag's value that is no record of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the queue's tag {LAST_RUN_TAG} is not as this program writes it")]
pub struct UnreadableRecord;

impl FromStr for RunRecord {
    type Err = UnreadableRecord;

    fn from_str(text: &str) -> Result<Self, UnreadableRecord> {
        let mut words = text.split(' ');
        let mut value = |name: &str| words.next()?.strip_prefix(name)?.strip_prefix('=').map(str::to_owned);
        let mut read = || {
            let run_id = value("run")?.parse().ok()?;
            let requested_at = value("requested")?.parse().ok()?;
            Some(Self { run_id, requested_at, messages: value("messages")?.parse().ok()? })
        };
        read().ok_or(UnreadableRecord)
    }
}

/// Messages that were on the queue when a run began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EarlierMessages {
    #[serde(flatten)]
    pub depth: Depth,
    /// The last run that sent any, where that is on record.
    pub last_run: Option<RunRecord>,
    /// How long ago that was requested.
    pub last_run_age_seconds: Option<i64>,
}

impl EarlierMessages {
    /// What the queue holds, with the last run's record. A record that cannot be read is a warning in the log.
    pub(super) async fn read(connection: &Connection, queue: &QueueUrl, depth: Depth) -> Option<Self> {
        if depth.total() == 0 {
            return None;
        }
        let last_run = last_run(connection, queue).await.unwrap_or_else(|why| {
            tracing::warn!(error = why, "the record of the last run could not be read");
            None
        });
        let now = connection.clock().now();
        let last_run_age_seconds = last_run.as_ref().map(|run| now.duration_since(run.requested_at).as_secs());
        Some(Self { depth, last_run, last_run_age_seconds })
    }
}

impl fmt::Display for EarlierMessages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Depth { in_flight, .. } = self.depth;
        write!(f, "before this run the queue held {}, {in_flight} in flight", count(self.depth.total(), "message"))?;
        match (&self.last_run, self.last_run_age_seconds) {
            (Some(run), Some(seconds)) => write!(
                f,
                ": the last run, {}, sent {} {} ago",
                run.run_id,
                count(run.messages, "message"),
                age(SignedDuration::from_secs(seconds))
            ),
            (Some(_) | None, _) => f.write_str(": of which run is not on record"),
        }
    }
}

async fn last_run(connection: &Connection, queue: &QueueUrl) -> Result<Option<RunRecord>, String> {
    let sqs = connection.sqs();
    let answer = RetryPolicy::MESSAGE.retry(async || {
        let call = sqs.list_queue_tags().queue_url(queue.as_str());
        call.send().await.map_err(|error| AwsError::new("sqs:ListQueueTags", error))
    });
    let tags = answer.await.map_err(|error| error.to_string())?.tags.unwrap_or_default();
    tags.get(LAST_RUN_TAG).map(|value| value.parse::<RunRecord>().map_err(|error| error.to_string())).transpose()
}

/// Leaves a run's record on the queue.
///
/// # Errors
/// [`AwsError`]: a later run cannot tell when this one was.
pub(super) async fn record(connection: &Connection, queue: &QueueUrl, run: &RunRecord) -> Result<(), AwsError> {
    let sqs = connection.sqs();
    RetryPolicy::MESSAGE
        .retry(async || {
            let call = sqs.tag_queue().queue_url(queue.as_str()).tags(LAST_RUN_TAG, run.to_string());
            call.send().await.map(|_| ()).map_err(|error| AwsError::new("sqs:TagQueue", error))
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> RunRecord {
        let requested_at = "2026-11-22T10:00:00Z".parse().unwrap();
        RunRecord { run_id: Uuid::nil(), requested_at, messages: 1000 }
    }

    #[test]
    fn a_record_is_read_as_it_is_written_with_characters_that_sqs_allows_in_tags() {
        let text = run().to_string();
        assert_eq!(text, "run=00000000-0000-0000-0000-000000000000 requested=2026-11-22T10:00:00Z messages=1000");
        assert_eq!(text.parse(), Ok(run()));
        assert!(text.chars().all(|c| c.is_ascii_alphanumeric() || " _.:/=+-@".contains(c)));
        for wrong in ["", "run=1", "run=00000000-0000-0000-0000-000000000000 messages=1000"] {
            assert_eq!(wrong.parse::<RunRecord>(), Err(UnreadableRecord), "{wrong}");
        }
    }

    #[test]
    fn an_earlier_run_is_told_with_its_age_and_its_messages() {
        let depth = Depth { waiting: 809, in_flight: 3, delayed: 0 };
        let told = EarlierMessages { depth, last_run: Some(run()), last_run_age_seconds: Some(26 * 3600) };
        assert_eq!(
            told.to_string(),
            "before this run the queue held 812 messages, 3 in flight: the last run, \
             00000000-0000-0000-0000-000000000000, sent 1000 messages 26 h ago"
        );
        let unknown = EarlierMessages { last_run: None, last_run_age_seconds: None, ..told };
        assert!(unknown.to_string().ends_with("of which run is not on record"));
    }
}
