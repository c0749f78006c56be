//! Following a queue until it is worked off: a progress bar with rate and time left on a terminal, plain lines elsewhere.
//!
//! What is followed is the queue, not the run: SQS cannot tell one run's messages from another's. Whether messages *of the
//! run* have ended as dead letters is read off the dead letters themselves.

mod bar;

use std::fmt;
use std::time::Duration;

use key_rotation_aws::Connection;
use serde::Serialize;
use uuid::Uuid;

use crate::command::CommandError;
use crate::dead_letters::{Letter, LetterReason, scan};
use crate::queue::{self, Depth, Emptiness};
use crate::settings::Settings;

/// How often the queue is asked. Its counts are approximate and lag; faster would show nothing more.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Dead letters looked through for those of the run.
const LETTERS_READ: usize = 10_000;

/// How a queue was worked off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Watched {
    /// The most messages there were at a time.
    pub messages: u64,
    /// How long it took, in seconds.
    pub seconds: u64,
    /// Messages of the run that ended as dead letters; `None` where the dead letters could not be read.
    pub dead_letters: Option<Vec<DeadLetter>>,
}

/// A message of the run that ended as a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadLetter {
    /// What it is about.
    pub subject: String,
    /// Its `ErrorKind`.
    pub reason: LetterReason,
    /// The worker's sentence.
    pub message: Option<String>,
}

impl Watched {
    /// What went wrong, a sentence each.
    pub fn problems(&self) -> Vec<String> {
        let Some(letters) = &self.dead_letters else {
            return vec![
                "whether messages of this run ended as dead letters is not known: they could not be read".into(),
            ];
        };
        let sentence = |letter: &DeadLetter| {
            let why = letter.message.as_deref().unwrap_or("no reason is on record");
            format!("{} ended as a dead letter ({}): {why}", letter.subject, letter.reason)
        };
        letters.iter().map(sentence).collect()
    }
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worked off in {} s, {} messages at most", self.seconds, self.messages)?;
        match &self.dead_letters {
            Some(letters) if !letters.is_empty() => write!(f, ", {} of them now dead letters", letters.len()),
            Some(_) | None => Ok(()),
        }
    }
}

/// Follows the work queue until it is believed empty, and looks for the run's dead letters.
///
/// # Errors
/// [`CommandError::Failed`] where the queue cannot be read: the messages are on it all the same.
pub async fn until_worked_off(
    connection: &Connection,
    settings: &Settings,
    run_id: Uuid,
    sent: u64,
    settle: Duration,
) -> Result<Watched, CommandError> {
    let mut emptiness = Emptiness::after(settle);
    let mut bar = bar::Bar::new(sent);
    let mut most = sent;
    loop {
        let depth = depth(connection, settings).await?;
        most = most.max(depth.total());
        bar.show(depth, emptiness.elapsed());
        if emptiness.believed(Some(depth)) {
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
    Ok(Watched { messages: most, seconds: emptiness.elapsed().as_secs(), dead_letters })
}

async fn depth(connection: &Connection, settings: &Settings) -> Result<Depth, CommandError> {
    match queue::attributes(connection, &settings.queue).await {
        Ok(attributes) => Ok(attributes.depth),
        Err(error) => {
            Err(CommandError::failed("the queue can no longer be watched; the messages are on it all the same", &error))
        }
    }
}

async fn dead_letters_of(
    connection: &Connection,
    settings: &Settings,
    run_id: Uuid,
) -> Result<Vec<DeadLetter>, CommandError> {
    let queue = queue::dead_letter_queue(connection, settings).await?;
    let letters = scan::read(connection, &queue, LETTERS_READ).await;
    let letters = letters.map_err(|error| CommandError::failed("the dead letters could not be read", &error))?;
    let told =
        |letter: Letter| DeadLetter { subject: letter.subject(), reason: letter.reason, message: letter.message };
    Ok(letters.into_iter().filter(|letter| letter.run_id == Some(run_id)).map(told).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(dead_letters: Option<Vec<DeadLetter>>) -> Watched {
        Watched { messages: 20, seconds: 3, dead_letters }
    }

    #[test]
    fn a_run_that_left_dead_letters_has_failed_and_says_which() {
        let letter = DeadLetter {
            subject: "account 123456789012".to_owned(),
            reason: LetterReason::Known(rotation::Reason::RoleRefused),
            message: Some("the role is missing".to_owned()),
        };
        let watched = watched(Some(vec![letter]));
        assert_eq!(
            watched.problems(),
            ["account 123456789012 ended as a dead letter (RoleRefused): the role is missing"]
        );
        assert_eq!(watched.to_string(), "worked off in 3 s, 20 messages at most, 1 of them now dead letters");
    }

    #[test]
    fn dead_letters_that_cannot_be_read_are_not_none() {
        assert_eq!(watched(None).problems().len(), 1);
        assert!(watched(Some(vec![])).problems().is_empty());
    }
}
