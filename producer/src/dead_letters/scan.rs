//! Reading the dead-letter queue without taking anything out of it.
//!
//! SQS has no way to look at a message without receiving it. So each is received, held while the rest is read, and released
//! at the end. Whoever is interrupted in between loses nothing: what was held comes back when its visibility times out. A
//! dead-letter queue has no redrive policy of its own, so being received counts for nothing there.

use std::collections::HashSet;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{ChangeMessageVisibilityBatchRequestEntry, MessageSystemAttributeName};
use futures::{StreamExt, stream};
use key_rotation_aws::{AwsError, Connection, QueueUrl, RetryPolicy};

use super::letter::DeadLetter;

/// How long a letter is held, in seconds, unless it is released before.
const HELD_SECONDS: i32 = 60;
/// How long a receive waits for a letter, in seconds. Any wait at all makes SQS ask all of its servers.
const WAIT_SECONDS: i32 = 1;
/// SQS API reference, `ReceiveMessage` and all batches: 10 messages.
const PER_CALL: i32 = 10;
/// A standard queue may answer with nothing although there is something: an empty answer counts only if given twice in a row.
const EMPTY_ANSWERS_BELIEVED: u32 = 2;
/// Batches released at once.
const RELEASES_AT_ONCE: usize = 8;

/// Receives letters, each once, and remembers which it holds.
#[derive(Debug)]
pub struct Scanner {
    client: Client,
    queue: QueueUrl,
    seen: HashSet<String>,
    held: Vec<String>,
}

impl Scanner {
    pub fn new(connection: &Connection, queue: &QueueUrl) -> Self {
        Self { client: connection.sqs(), queue: queue.clone(), seen: HashSet::new(), held: Vec::new() }
    }

    /// The next letters; none when the queue gives no more.
    ///
    /// A FIFO queue gives at most ten letters of one message group until one of them is deleted or visible again.
    ///
    /// # Errors
    /// [`AwsError`] where the queue cannot be read.
    pub async fn next(&mut self) -> Result<Vec<DeadLetter>, AwsError> {
        const OPERATION: &str = "sqs:ReceiveMessage";
        let believed = if self.queue.is_fifo() { 1 } else { EMPTY_ANSWERS_BELIEVED };
        for _ in 0..believed {
            let answer = RetryPolicy::MESSAGE
                .retry(async || {
                    let call = self
                        .client
                        .receive_message()
                        .queue_url(self.queue.as_str())
                        .max_number_of_messages(PER_CALL)
                        .visibility_timeout(HELD_SECONDS)
                        .wait_time_seconds(WAIT_SECONDS)
                        .message_attribute_names("All")
                        .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp);
                    call.send().await.map_err(|error| AwsError::new(OPERATION, error))
                })
                .await?;
            let letters: Vec<DeadLetter> =
                answer.messages.unwrap_or_default().into_iter().map(DeadLetter::read).collect();
            self.held.extend(letters.iter().map(|letter| letter.receipt_handle.clone()));
            // What comes again was held for too long: the scan has been round the queue.
            let new: Vec<DeadLetter> =
                letters.into_iter().filter(|letter| self.seen.insert(letter.message_id.clone())).collect();
            if !new.is_empty() {
                return Ok(new);
            }
        }
        Ok(Vec::new())
    }

    /// Takes a letter out of the queue for good.
    ///
    /// # Errors
    /// [`AwsError`] where it could not be: it stays.
    pub async fn delete(&self, letter: &DeadLetter) -> Result<(), AwsError> {
        const OPERATION: &str = "sqs:DeleteMessage";
        RetryPolicy::MESSAGE
            .retry(async || {
                let call = self.client.delete_message().queue_url(self.queue.as_str());
                let call = call.receipt_handle(&letter.receipt_handle);
                call.send().await.map(|_| ()).map_err(|error| AwsError::new(OPERATION, error))
            })
            .await
    }

    /// Releases every letter that is still there. Those that cannot be come back by themselves.
    pub async fn release(self) {
        let entries: Vec<_> = self.held.iter().enumerate().map(|(index, receipt)| entry(index, receipt)).collect();
        let batches = entries.chunks(PER_CALL.unsigned_abs() as usize);
        stream::iter(batches)
            .for_each_concurrent(RELEASES_AT_ONCE, async |batch| {
                let call = self.client.change_message_visibility_batch().queue_url(self.queue.as_str());
                if let Err(error) = call.set_entries(Some(batch.to_vec())).send().await {
                    let error = AwsError::new("sqs:ChangeMessageVisibilityBatch", error);
                    tracing::debug!(%error, "letters stay hidden until their visibility times out");
                }
            })
            .await;
    }
}

fn entry(index: usize, receipt: &str) -> ChangeMessageVisibilityBatchRequestEntry {
    ChangeMessageVisibilityBatchRequestEntry::builder()
        .id(index.to_string())
        .receipt_handle(receipt)
        .visibility_timeout(0)
        .build()
        .expect("id and receipt handle are set")
}

/// Reads up to `limit` letters and releases them all.
///
/// # Errors
/// [`AwsError`] where the queue cannot be read.
pub async fn read(connection: &Connection, queue: &QueueUrl, limit: usize) -> Result<Vec<DeadLetter>, AwsError> {
    let mut scanner = Scanner::new(connection, queue);
    let mut letters = Vec::new();
    let outcome = loop {
        if letters.len() >= limit {
            break Ok(());
        }
        match scanner.next().await {
            Ok(more) if more.is_empty() => break Ok(()),
            Ok(more) => letters.extend(more),
            Err(error) => break Err(error),
        }
    };
    scanner.release().await;
    outcome.map(|()| letters)
}
