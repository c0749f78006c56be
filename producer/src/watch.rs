//! Following a queue until it is worked off: a progress bar with rate and time left on a terminal, plain lines elsewhere.
//!
//! What is followed is the queue, not the run: SQS cannot tell one run's messages from another's. Whether messages *of the
//! run* have ended as dead letters is read off the dead letters themselves.

mod bar;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use key_rotation_aws::Connection;
use serde::Serialize;
use uuid::Uuid;

use crate::command::{CommandError, count};
use crate::dead_letters::{self, DeadLetterReason, scan};
use crate::queue::{self, EmptyQueueDetector};
use crate::settings::Settings;

/// How often the queue is asked. Its counts are approximate and lag; faster would show nothing more.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Dead letters looked through for those of the run.
const LETTERS_READ: usize = 10_000;

/// How a queue was worked off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WatchReport {
    /// Messages of the run.
    pub sent: u64,
    /// The most messages there were on the queue at a time, of whichever run.
    pub messages: u64,
    /// How long it took, in seconds.
    pub seconds: u64,
    /// Messages of the run that ended as dead letters; `None` where the dead letters could not be read.
    pub dead_letters: Option<Vec<LostMessage>>,
}

/// A message of the run that ended as a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LostMessage {
    pub subject: String,
    pub reason: DeadLetterReason,
    /// The worker's sentence.
    pub message: Option<String>,
}

impl WatchReport {
    /// What went wrong, a sentence each.
    pub fn problems(&self) -> Vec<String> {
        let Some(letters) = &self.dead_letters else {
            return vec![
                "whether messages of this run ended as dead letters is not known: they could not be read".into(),
            ];
        };
        let sentence = |letter: &LostMessage| {
            let why = letter.message.as_deref().unwrap_or("no reason is on record");
            format!("{} ended as a dead letter ({}): {why}", letter.subject, letter.reason)
        };
        letters.iter().map(sentence).collect()
    }
}

impl fmt::Display for WatchReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the queue is empty after {} s: ", self.seconds)?;
        let sent = count(self.sent, "message");
        match self.dead_letters.as_deref() {
            Some([]) => write!(f, "{sent} of this run done")?,
            Some(letters) => {
                let done = self.sent.saturating_sub(letters.len() as u64);
                write!(f, "{done} of {sent} of this run done, {} dead ({})", letters.len(), by_reason(letters))?;
            }
            None => write!(f, "{sent} of this run done or dead")?,
        }
        f.write_str("; what workers did or would do to keys is in their log and mails, under the run's id")
    }
}

/// How many letters there are of each reason.
fn by_reason(letters: &[LostMessage]) -> String {
    let mut counts: BTreeMap<&DeadLetterReason, usize> = BTreeMap::new();
    for letter in letters {
        *counts.entry(&letter.reason).or_default() += 1;
    }
    counts.iter().map(|(reason, count)| format!("{count} {reason}")).collect::<Vec<_>>().join(", ")
}

/// Follows the work queue until it is believed empty, and looks for the run's dead letters.
///
/// # Errors
/// [`CommandError::Failed`] where the queue cannot be read: the messages are on it all the same.
pub async fn until_empty(
    connection: &Connection,
    settings: &Settings,
    run_id: Uuid,
    sent: u64,
    counts_lag: Duration,
) -> Result<WatchReport, CommandError> {
    let mut detector = EmptyQueueDetector::new(counts_lag);
    let mut bar = bar::Bar::new(sent);
    let mut most = sent;
    loop {
        let depth = queue::depth(connection, &settings.queue).await.map_err(|error| {
            CommandError::failed("the queue can no longer be watched; the messages are on it all the same", &error)
        })?;
        most = most.max(depth.total());
        bar.show(depth, detector.elapsed());
        if detector.is_empty(Some(depth)) {
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    bar.finish();
    let dead_letters = match dead_letters_of(connection, settings, run_id).await {
        Ok(letters) => Some(letters),
        Err(error) => {
            tracing::warn!(%error, "the dead letters could not be read");
            None
        }
    };
    Ok(WatchReport { sent, messages: most, seconds: detector.elapsed().as_secs(), dead_letters })
}

async fn dead_letters_of(
    connection: &Connection,
    settings: &Settings,
    run_id: Uuid,
) -> Result<Vec<LostMessage>, CommandError> {
    let queue = queue::dead_letter_queue(connection, settings).await?;
    let letters = scan::read(connection, &queue, LETTERS_READ).await;
    let letters = letters.map_err(|error| CommandError::failed("the dead letters could not be read", &error))?;
    let told = |letter: dead_letters::DeadLetter| LostMessage {
        subject: letter.subject(),
        reason: letter.reason,
        message: letter.message,
    };
    Ok(letters.into_iter().filter(|letter| letter.run_id == Some(run_id)).map(told).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(dead_letters: Option<Vec<LostMessage>>) -> WatchReport {
        WatchReport { sent: 20, messages: 20, seconds: 3, dead_letters }
    }

    #[test]
    fn a_run_that_left_dead_letters_has_failed_and_says_which() {
        let letter = LostMessage {
            subject: "account 123456789012".to_owned(),
            reason: DeadLetterReason::Known(rotation::Reason::RoleRefused),
            message: Some("the role is missing".to_owned()),
        };
        let watched = watched(Some(vec![letter]));
        assert_eq!(
            watched.problems(),
            ["account 123456789012 ended as a dead letter (RoleRefused): the role is missing"]
        );
        assert_eq!(
            watched.to_string(),
            "the queue is empty after 3 s: 19 of 20 messages of this run done, 1 dead (1 RoleRefused); \
             what workers did or would do to keys is in their log and mails, under the run's id"
        );
    }

    #[test]
    fn dead_letters_that_cannot_be_read_are_not_none() {
        assert_eq!(watched(None).problems().len(), 1);
        assert!(watched(Some(vec![])).problems().is_empty());
    }
}
