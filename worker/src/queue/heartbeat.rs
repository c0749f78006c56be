//! Keeps a message invisible to others while it is worked on.

use std::time::Duration;

use aws_sdk_sqs::Client;
use key_rotation_aws::{AwsError, ErrorClass, QueueUrl};
use tracing::warn;

/// Renews a message's visibility at a third of it, for ever: race it against the work and drop it. One missed renewal,
/// even two, do no harm; a message that is no longer ours is not fought for: the work is idempotent.
pub async fn keep_invisible(sqs: &Client, queue: &QueueUrl, receipt: &str, visibility: Duration) {
    loop {
        tokio::time::sleep(visibility / 3).await;
        match change_visibility(sqs, queue, receipt, visibility).await {
            Ok(()) => {}
            Err(error) => {
                warn!(%error, "the message's visibility could not be renewed: another worker may get it as well");
                if matches!(error.class, ErrorClass::Invalid | ErrorClass::NotFound) {
                    // Not in flight any more: nothing to renew, ever.
                    std::future::pending::<()>().await;
                }
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
        .map_err(|error| AwsError::of("sqs:ChangeMessageVisibility", error))
}
