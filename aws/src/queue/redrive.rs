//! The redrive policy: after how many receives SQS itself gives up on a message, and where it puts it.
//!
//! The worker reads it at start and gives up one step earlier, on the last delivery, so that the dead letter carries its
//! reason; SQS's own redrive stays as the backstop for workers that die. The producer reads it to find the dead letters.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;

use super::QueueUrl;
use crate::error::AwsError;

/// Where messages go that cannot succeed, and after how many receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedrivePolicy {
    pub dead_letter_queue: QueueUrl,
    /// SQS's `maxReceiveCount`; `None` where the queue has no redrive policy.
    pub max_receives: Option<u32>,
}

/// Used where the queue itself has no redrive policy.
const DEFAULT_MAX_RECEIVES: u32 = 10;

/// Why it is not known where dead letters go.
#[derive(Debug, thiserror::Error)]
pub enum RedriveError {
    /// SQS did not say.
    #[error("the queue {queue} could not be read: {source}")]
    Aws { queue: QueueUrl, source: AwsError },
    /// Neither a setting nor a policy.
    #[error(
        "the queue {0} has no redrive policy and DEAD_LETTER_QUEUE_URL is not set: it is not known where messages go that cannot succeed"
    )]
    NoDeadLetterQueue(QueueUrl),
    /// A policy that cannot be read.
    #[error("the redrive policy of {0} cannot be read: set DEAD_LETTER_QUEUE_URL")]
    Unreadable(QueueUrl),
    /// A FIFO queue's dead letters go to a FIFO queue, and a standard queue's to a standard queue.
    #[error("{queue} and its dead-letter queue {dead_letters} must both be FIFO or both be standard queues")]
    KindsDiffer { queue: QueueUrl, dead_letters: QueueUrl },
}

impl RedrivePolicy {
    /// Finds out where the queue's dead letters go; `configured` wins over the queue's own policy.
    ///
    /// # Errors
    /// [`RedriveError`].
    pub async fn read(sqs: &Client, queue: &QueueUrl, configured: Option<&QueueUrl>) -> Result<Self, RedriveError> {
        let aws = |source| RedriveError::Aws { queue: queue.clone(), source };
        let answer = sqs
            .get_queue_attributes()
            .queue_url(queue.as_str())
            .attribute_names(QueueAttributeName::RedrivePolicy)
            .send()
            .await
            .map_err(|error| aws(AwsError::new("sqs:GetQueueAttributes", error)))?;
        let policy = answer.attributes().and_then(|attributes| attributes.get(&QueueAttributeName::RedrivePolicy));
        let policy = match policy {
            Some(text) => Some(Document::parse(text).ok_or_else(|| RedriveError::Unreadable(queue.clone()))?),
            None => None,
        };
        let dead_letter_queue = match (configured, &policy) {
            (Some(url), _) => url.clone(),
            (None, None) => return Err(RedriveError::NoDeadLetterQueue(queue.clone())),
            (None, Some(policy)) => {
                let found = sqs
                    .get_queue_url()
                    .queue_name(&policy.name)
                    .queue_owner_aws_account_id(&policy.account)
                    .send()
                    .await
                    .map_err(|error| aws(AwsError::new("sqs:GetQueueUrl", error)))?;
                let url = found.queue_url().and_then(|url| url.parse().ok());
                url.ok_or_else(|| RedriveError::Unreadable(queue.clone()))?
            }
        };
        if dead_letter_queue.is_fifo() != queue.is_fifo() {
            return Err(RedriveError::KindsDiffer { queue: queue.clone(), dead_letters: dead_letter_queue });
        }
        Ok(Self { dead_letter_queue, max_receives: policy.map(|policy| policy.max_receives) })
    }

    /// Whether a message received this often fails for the last time if it fails now.
    pub fn is_last(&self, receive_count: u32) -> bool {
        receive_count >= self.max_receives.unwrap_or(DEFAULT_MAX_RECEIVES)
    }
}

/// `{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:123456789012:name","maxReceiveCount":"5"}`; the count comes as a number
/// from some and as a string from others.
struct Document {
    account: String,
    name: String,
    max_receives: u32,
}

impl Document {
    fn parse(text: &str) -> Option<Self> {
        let document: serde_json::Value = serde_json::from_str(text).ok()?;
        let mut arn = document.get("deadLetterTargetArn")?.as_str()?.rsplit(':');
        let (name, account) = (arn.next()?.to_owned(), arn.next()?.to_owned());
        let count = document.get("maxReceiveCount")?;
        let max_receives = match count.as_str() {
            Some(text) => text.parse().ok()?,
            None => u32::try_from(count.as_u64()?).ok()?,
        };
        Some(Self { account, name, max_receives })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<(String, String, u32)> {
        Document::parse(text).map(|policy| (policy.account, policy.name, policy.max_receives))
    }

    #[test]
    fn the_dead_letter_queue_and_the_count_are_read_off_the_policy() {
        let arn = r#""deadLetterTargetArn":"arn:aws:sqs:eu-west-1:123456789012:dead.fifo""#;
        let expected = Some(("123456789012".to_owned(), "dead.fifo".to_owned(), 10));
        assert_eq!(parsed(&format!(r#"{{{arn},"maxReceiveCount":"10"}}"#)), expected);
        assert_eq!(parsed(&format!(r#"{{{arn},"maxReceiveCount":10}}"#)), expected);
        assert_eq!(parsed("{}"), None);
        assert_eq!(parsed("not JSON"), None);
    }
}
