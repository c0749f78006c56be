//! How many messages a queue holds.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use serde::Serialize;

use super::QueueUrl;
use crate::error::AwsError;

/// SQS's own counts, all approximate: they lag by up to a minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Depth {
    pub waiting: u64,
    /// Received, neither deleted nor visible again: being worked on, or waiting to be delivered again.
    pub in_flight: u64,
    /// Sent with a delay that is not over.
    pub delayed: u64,
}

impl Depth {
    /// Reads it.
    ///
    /// # Errors
    /// [`AwsError`]; `NotFound` where there is no such queue.
    pub async fn read(sqs: &Client, queue: &QueueUrl) -> Result<Self, AwsError> {
        const OPERATION: &str = "sqs:GetQueueAttributes";
        const COUNTS: [QueueAttributeName; 3] = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let call = sqs.get_queue_attributes().queue_url(queue.as_str()).set_attribute_names(Some(COUNTS.to_vec()));
        let answer = call.send().await.map_err(|error| AwsError::new(OPERATION, error))?;
        // A count that is missing is unknown, and unknown is not none.
        let count = |name: &QueueAttributeName| {
            let text = answer.attributes().and_then(|all| all.get(name)).map(String::as_str).unwrap_or_default();
            text.parse().map_err(|_| AwsError::incomplete(OPERATION, &format!("{name} is missing")))
        };
        let [waiting, in_flight, delayed] = &COUNTS;
        Ok(Self { waiting: count(waiting)?, in_flight: count(in_flight)?, delayed: count(delayed)? })
    }

    /// All messages on the queue.
    pub fn total(self) -> u64 {
        self.waiting + self.in_flight + self.delayed
    }
}
