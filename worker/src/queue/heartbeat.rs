//! Keeps a message invisible to others for as long as a worker holds it.

use std::time::Duration;

use aws_sdk_sqs::Client;
use key_rotation_aws::{AwsError, ErrorClass, QueueUrl};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, warn};

/// Renews one message's visibility at a third of it, until it is stopped or dropped. One missed renewal, even two, do no harm; a
/// message that another worker has is given up: the work is idempotent.
#[derive(Debug)]
pub struct Heartbeat {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Heartbeat {
    pub fn start(sqs: Client, queue: QueueUrl, receipt: String, visibility: Duration) -> Self {
        let stop = CancellationToken::new();
        let renewing = renew(sqs, queue, receipt, visibility, stop.clone()).instrument(Span::current());
        Self { stop, task: tokio::spawn(renewing) }
    }

    /// Stops it. A renewal that is under way is waited for, so that none arrives after what becomes of the message next.
    pub async fn stop(mut self) {
        self.stop.cancel();
        // It ends by itself; a task that panicked has ended as well.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn renew(sqs: Client, queue: QueueUrl, receipt: String, visibility: Duration, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(visibility / 3) => {}
        }
        if let Err(error) = change_visibility(&sqs, &queue, &receipt, visibility).await {
            warn!(%error, "the message's visibility could not be renewed: another worker may get it as well");
            if matches!(error.class, ErrorClass::Invalid | ErrorClass::NotFound) {
                // Not in flight any more: nothing to renew, ever.
                return;
            }
        }
    }
}

/// Makes a message visible to others after this long (whole seconds).
pub async fn change_visibility(
    sqs: &Client,
    queue: &QueueUrl,
    receipt: &str,
    visible_in: Duration,
) -> Result<(), AwsError> {
    sqs.change_message_visibility()
        .queue_url(queue.as_str())
        .receipt_handle(receipt)
        .visibility_timeout(i32::try_from(visible_in.as_secs()).unwrap_or(i32::MAX))
        .send()
        .await
        .map(|_| ())
        .map_err(|error| AwsError::new("sqs:ChangeMessageVisibility", error))
}
