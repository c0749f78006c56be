//! Deletes, gathered into batches: each entry's own result counts.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::DeleteMessageBatchRequestEntry;
use key_rotation_aws::{AwsError, QueueUrl};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tracing::warn;

use super::limits::BATCH;

/// How long a delete waits for company. Short against any message's work, long enough to gather what ends together.
const BATCH_LINGER: Duration = Duration::from_millis(20);
/// How often an entry is tried. A message whose delete fails for good comes again and is found done.
const TRIES: usize = 3;

/// Takes receipt handles and deletes their messages. Clones share one batch.
#[derive(Debug, Clone)]
pub struct BatchDeleter {
    pending: mpsc::Sender<PendingDelete>,
    // Kept so that the task ends with the last clone.
    _task: Arc<AbortOnDrop>,
}

#[derive(Debug)]
struct PendingDelete {
    receipt: String,
    deleted: oneshot::Sender<bool>,
}

#[derive(Debug)]
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl BatchDeleter {
    /// Starts deleting from this queue.
    pub fn start(sqs: Client, queue: QueueUrl) -> Self {
        let (pending, mut inbox) = mpsc::channel::<PendingDelete>(BATCH * 4);
        let task = tokio::spawn(async move {
            while let Some(first) = inbox.recv().await {
                let mut batch = vec![first];
                let gather = tokio::time::sleep(BATCH_LINGER);
                tokio::pin!(gather);
                while batch.len() < BATCH {
                    tokio::select! {
                        biased;
                        next = inbox.recv() => match next {
                            Some(one) => batch.push(one),
                            None => break,
                        },
                        () = &mut gather => break,
                    }
                }
                delete(&sqs, &queue, batch).await;
            }
        });
        Self { pending, _task: Arc::new(AbortOnDrop(task)) }
    }

    /// Deletes one message; whether SQS says it is deleted.
    pub async fn delete(&self, receipt: String) -> bool {
        let (deleted, answer) = oneshot::channel();
        match self.pending.send(PendingDelete { receipt, deleted }).await {
            Ok(()) => answer.await.unwrap_or(false),
            Err(_) => false,
        }
    }
}

async fn delete(sqs: &Client, queue: &QueueUrl, mut batch: Vec<PendingDelete>) {
    for _ in 0..TRIES {
        let entries = batch.iter().enumerate().map(|(i, one)| {
            DeleteMessageBatchRequestEntry::builder()
                .id(i.to_string())
                .receipt_handle(&one.receipt)
                .build()
                .expect("id and receipt handle are set")
        });
        let answer = sqs
            .delete_message_batch()
            .queue_url(queue.as_str())
            .set_entries(Some(entries.collect()))
            .send()
            .await
            .map_err(|error| AwsError::new("sqs:DeleteMessageBatch", error));
        match answer {
            Ok(answer) => {
                let mut failed = vec![false; batch.len()];
                for entry in answer.failed() {
                    warn!(code = entry.code(), error = entry.message(), "a message could not be deleted");
                    if let Some(flag) = entry.id().parse::<usize>().ok().and_then(|i| failed.get_mut(i)) {
                        *flag = true;
                    }
                }
                let mut flags = failed.into_iter();
                let (retry, done): (Vec<_>, Vec<_>) = batch.into_iter().partition(|_| flags.next().unwrap_or(false));
                for one in done {
                    // The caller may be gone.
                    let _ = one.deleted.send(true);
                }
                batch = retry;
                if batch.is_empty() {
                    return;
                }
            }
            Err(error) => {
                warn!(%error, messages = batch.len(), "messages could not be deleted");
            }
        }
    }
    for one in batch {
        let _ = one.deleted.send(false);
    }
}
