//! `producer dead-letters redrive`: sends dead letters back to be worked on again.
//!
//! One by one, each letter is sent first and taken away afterwards: interrupted in between, there are two of it and never
//! none. On a FIFO queue the second sending of the same letter is recognised by its deduplication id, which is the letter's
//! own; the body's would not do, since SQS would swallow a letter sent back within five minutes of its first sending.
//!
//! SQS's own move task (`StartMessageMoveTask`) is quicker and not used: a message that it moves has a new id and begins to be counted
//! anew, so a letter that SQS itself gave up on would come back as another request, of which nothing has been done.

use std::fmt;

use clap::Args;
use key_rotation_aws::queue::attribute::{number, text};
use key_rotation_aws::{AwsError, Connection, QueueUrl, RetryPolicy};
use rotation::dead_letter::attribute;
use rotation::{Job, Task};
use serde::Serialize;
use uuid::{Uuid, uuid};

use super::letter::DeadLetter;
use super::list::Filter;
use super::walk::{LetterOutcome, walk};
use crate::command::{CommandError, Report};
use crate::queue;
use crate::settings::Settings;

/// The namespace of redriven letters' deduplication ids.
const DEDUPLICATION_NAMESPACE: Uuid = uuid!("a7a0c1de-5a0e-5f5b-9c55-3d1d9d0b8e02");

/// Send dead letters back to be worked on again: all of them, or by reason or account.
///
/// Mend the cause first (`dead-letters list` says what it may be), or they come back. An operator's requests go to the
/// urgent queue where one is set, everything else to the work queue. Interrupted, nothing is lost: run it again.
#[derive(Debug, Clone, Default, Args)]
pub struct RedriveOptions {
    #[command(flatten)]
    /// Which letters.
    pub filter: Filter,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RedriveReport {
    pub queue: String,
    pub redriven: u64,
    /// Letters left where they are because they are not meant.
    pub left: u64,
    /// Letters on the queue that could not be looked at; see `list`.
    pub not_seen: u64,
    /// What failed, a sentence each. Such a letter is still a dead letter, or (said so) one besides being sent back.
    pub problems: Vec<String>,
}

/// Sends back the letters that the filter matches.
///
/// # Errors
/// [`CommandError`] where there is no dead-letter queue, or it cannot be read.
pub async fn run(
    connection: &Connection,
    settings: &Settings,
    options: &RedriveOptions,
) -> Result<RedriveReport, CommandError> {
    let dead_letters = queue::dead_letter_queue(connection, settings).await?;
    let sqs = connection.sqs();
    let summary = walk(connection, &dead_letters, &options.filter, async |scanner, letter| {
        let subject = letter.subject();
        if let Err(error) = send_back(&sqs, settings, &letter).await {
            return LetterOutcome::Kept(format!("{subject} is still a dead letter: {error}"));
        }
        tracing::info!(account = letter.account.as_ref().map(|id| id.as_str()), reason = %letter.reason, "a dead letter was redriven");
        match scanner.delete(&letter).await {
            Ok(()) => LetterOutcome::Done,
            Err(error) => LetterOutcome::DoneWithProblem(format!(
                "{subject} is sent back, but still a dead letter besides: {error}"
            )),
        }
    })
    .await?;
    Ok(RedriveReport {
        queue: dead_letters.name().to_owned(),
        redriven: summary.done,
        left: summary.left,
        not_seen: summary.not_seen,
        problems: summary.problems,
    })
}

async fn send_back(sqs: &aws_sdk_sqs::Client, settings: &Settings, letter: &DeadLetter) -> Result<(), AwsError> {
    const OPERATION: &str = "sqs:SendMessage";
    let job = Job::parse(&letter.body).ok();
    let queue = queue_for(job.as_ref(), settings);
    // A body that nobody can read excludes nothing but itself.
    let group = || job.as_ref().and_then(|job| queue.group_id(job)).unwrap_or_else(|| letter.message_id.clone());
    let own_id = || Uuid::new_v5(&DEDUPLICATION_NAMESPACE, letter.message_id.as_bytes()).to_string();
    // Tells a worker that the work may have been begun: SQS counts the receives of the new message from one. A letter without
    // a count is one that SQS itself gave up on, so it was received at least once.
    let attempts = letter.attempts.unwrap_or(1);
    RetryPolicy::MESSAGE
        .retry(async || {
            let mut call = sqs
                .send_message()
                .queue_url(queue.as_str())
                .message_body(&letter.body)
                .message_attributes(attribute::ATTEMPTS, number(attempts))
                .message_attributes(attribute::FIRST_MESSAGE_ID, text(&letter.first.id));
            if let Some(sent) = &letter.first.sent {
                call = call.message_attributes(attribute::FIRST_SENT, text(sent));
            }
            if queue.is_fifo() {
                call = call.message_group_id(group()).message_deduplication_id(own_id());
            }
            call.send().await.map(|_| ()).map_err(|error| AwsError::new(OPERATION, error))
        })
        .await
}

/// The queue a message belongs on: an operator's request on the urgent one.
fn queue_for<'a>(job: Option<&Job>, settings: &'a Settings) -> &'a QueueUrl {
    match job.map(|job| &job.task) {
        Some(Task::ForceRotate(_) | Task::Restore { .. }) => settings.operators_queue(),
        Some(Task::Account | Task::User(_)) | None => &settings.queue,
    }
}

impl Report for RedriveReport {
    fn problems(&self) -> Vec<String> {
        self.problems.clone()
    }
}

impl fmt::Display for RedriveReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} redriven from {}, {} left there", self.redriven, self.queue, self.left)?;
        if self.not_seen > 0 {
            write!(
                f,
                ", about {} not looked at: they stand behind those left; run it again without a filter",
                self.not_seen
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rotation::{AccountId, UserName};

    use super::*;

    fn settings(suffix: &str, urgent: bool) -> Settings {
        let queue = |name: &str| format!("https://sqs.eu-west-1.amazonaws.com/123456789012/{name}{suffix}").parse();
        let mut settings = Settings::new(queue("work").unwrap());
        settings.urgent_queue = urgent.then(|| queue("urgent").unwrap());
        settings
    }

    #[test]
    fn an_operators_request_goes_back_to_the_urgent_queue_and_a_scan_to_the_work_queue() {
        let settings = settings(".fifo", true);
        let account = AccountId::new("123456789012").unwrap();
        let user = UserName::new("alice").unwrap();
        let restore = Job::new(account.clone(), Task::Restore { user, access_key_id: None });
        assert_eq!(queue_for(Some(&restore), &settings).name(), "urgent.fifo");
        assert_eq!(queue_for(Some(&Job::new(account, Task::Account)), &settings).name(), "work.fifo");
        assert_eq!(queue_for(None, &settings).name(), "work.fifo");
    }
}
