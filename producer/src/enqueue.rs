//! Sends messages in batches, several at once; each entry's own result counts.
//!
//! A batch call can succeed while entries in it fail. Those are tried again one by one with growing waits; what stays
//! failed is told by account and user. A queue that takes no batch at all ends the run: there is nowhere to send to.

mod batch;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use key_rotation_aws::{AwsError, Connection, QueueUrl, RetryPolicy};
use rotation::Job;
use tokio::sync::mpsc::Receiver;

pub use batch::{Batch, BatchEntry};

/// Batches on their way at once. A FIFO queue takes 300 calls a second, which these reach at 25 ms a call.
const BATCHES_AT_ONCE: usize = 8;

/// Sends jobs to one queue.
#[derive(Debug, Clone)]
pub struct Enqueuer {
    client: Client,
    queue: QueueUrl,
}

/// A job that did not get onto the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsentJob {
    pub job: Job,
    pub why: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SendSummary {
    /// Messages on the queue.
    pub messages: u64,
    /// Those that are not.
    pub failed: Vec<UnsentJob>,
    /// Why sending stopped before the last job, if it did.
    pub stopped_by: Option<AwsError>,
}

/// What became of one batch.
struct BatchSent {
    messages: u64,
    failed: Vec<UnsentJob>,
}

impl Enqueuer {
    pub fn new(connection: &Connection, queue: &QueueUrl) -> Self {
        Self { client: connection.sqs(), queue: queue.clone() }
    }

    /// Sends every job that comes in, until no more come or the queue takes nothing any more.
    pub async fn send_all(&self, mut jobs: Receiver<Job>) -> SendSummary {
        let mut sent = SendSummary::default();
        let mut under_way = FuturesUnordered::new();
        let mut filling = Batch::default();
        let mut open = true;
        while open || !under_way.is_empty() {
            tokio::select! {
                job = jobs.recv(), if open && under_way.len() < BATCHES_AT_ONCE => {
                    let full = match job {
                        Some(job) => filling.push(BatchEntry::new(job)),
                        None => {
                            open = false;
                            filling.take()
                        }
                    };
                    under_way.extend(full.map(|batch| self.send_batch(batch)));
                }
                Some(done) = under_way.next() => match done {
                    Ok(BatchSent { messages, failed }) => {
                        sent.messages += messages;
                        sent.failed.extend(failed);
                    }
                    Err((error, unsent)) => {
                        open = false;
                        sent.failed.extend(unsent);
                        sent.stopped_by.get_or_insert(error);
                    }
                },
            }
        }
        if sent.stopped_by.is_some() {
            let why = "the run was broken off";
            sent.failed.extend(filling.take().into_iter().flatten().map(|entry| entry.unsent(why)));
        }
        sent
    }

    /// Sends one job.
    ///
    /// # Errors
    /// [`AwsError`] after the last try.
    pub async fn send(&self, job: &Job) -> Result<String, AwsError> {
        self.send_one(&BatchEntry::new(job.clone())).await
    }

    async fn send_one(&self, entry: &BatchEntry) -> Result<String, AwsError> {
        const OPERATION: &str = "sqs:SendMessage";
        let answer = RetryPolicy::MESSAGE
            .retry(async || {
                let call = self
                    .client
                    .send_message()
                    .queue_url(self.queue.as_str())
                    .message_body(&entry.body)
                    .set_message_group_id(self.queue.group_id(&entry.job))
                    .set_message_deduplication_id(self.queue.deduplication_id(&entry.body));
                call.send().await.map_err(|error| AwsError::new(OPERATION, error))
            })
            .await?;
        answer.message_id.ok_or_else(|| AwsError::incomplete(OPERATION, "no message id came"))
    }

    async fn send_batch(&self, batch: Vec<BatchEntry>) -> Result<BatchSent, (AwsError, Vec<UnsentJob>)> {
        const OPERATION: &str = "sqs:SendMessageBatch";
        let called = match self.entries(&batch) {
            Ok(entries) => {
                RetryPolicy::RUN
                    .retry(async || {
                        let call = self.client.send_message_batch().queue_url(self.queue.as_str());
                        let call = call.set_entries(Some(entries.clone()));
                        call.send().await.map_err(|error| AwsError::new(OPERATION, error))
                    })
                    .await
            }
            Err(error) => Err(error),
        };
        let answer = match called {
            Ok(answer) => answer,
            Err(error) => {
                let unsent = batch.into_iter().map(|entry| entry.unsent(&error.to_string())).collect();
                return Err((error, unsent));
            }
        };
        let mut sent = BatchSent { messages: 0, failed: Vec::new() };
        for (index, entry) in batch.into_iter().enumerate() {
            let id = index.to_string();
            if answer.successful().iter().any(|done| done.id() == id) {
                sent.messages += 1;
                continue;
            }
            // Failed, or (which SQS does not do) not answered for: either way it is not known to be on the queue.
            let code = answer.failed().iter().find(|failed| failed.id() == id).map(|failed| failed.code());
            tracing::debug!(account = %entry.job.account, code, "an entry of a batch failed: sending it by itself");
            match self.send_one(&entry).await {
                Ok(_) => sent.messages += 1,
                Err(error) => sent.failed.push(entry.unsent(&error.to_string())),
            }
        }
        Ok(sent)
    }

    fn entries(&self, batch: &[BatchEntry]) -> Result<Vec<SendMessageBatchRequestEntry>, AwsError> {
        let entries = batch.iter().enumerate().map(|(index, entry)| {
            SendMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .message_body(&entry.body)
                .set_message_group_id(self.queue.group_id(&entry.job))
                .set_message_deduplication_id(self.queue.deduplication_id(&entry.body))
                .build()
        });
        let built: Result<Vec<_>, _> = entries.collect();
        built.map_err(|error| AwsError::incomplete("sqs:SendMessageBatch", &error.to_string()))
    }
}
