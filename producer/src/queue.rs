//! What a queue says of itself: how many messages wait, are in flight, or are delayed, and where its dead letters go.

use std::time::{Duration, Instant};

use aws_sdk_sqs::types::QueueAttributeName;
use key_rotation_aws::{AwsError, Connection, ErrorClass, QueueUrl};
use serde::Serialize;

use crate::backoff::{self, Patience};
use crate::command::CommandError;
use crate::settings::Settings;

/// SQS's own counts, all approximate: they lag by up to a minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Depth {
    /// Waiting to be received.
    pub waiting: u64,
    /// Received, neither deleted nor visible again: being worked on, or waiting for another attempt.
    pub in_flight: u64,
    /// Sent with a delay that is not over.
    pub delayed: u64,
}

impl Depth {
    /// All messages on the queue.
    pub fn total(self) -> u64 {
        self.waiting + self.in_flight + self.delayed
    }
}

/// Decides when to believe that a queue is empty.
///
/// SQS developer guide: its counts "may not achieve consistency until at least 1 minute after the producers stop sending
/// messages". Before that an empty queue may only look so.
#[derive(Debug)]
pub struct Emptiness {
    sent: Instant,
    settle: Duration,
    empty_answers: u32,
}

impl Emptiness {
    /// How often in a row the queue must say that it is empty.
    const BELIEVED: u32 = 3;

    /// For a queue to which something has been sent just now, and whose counts are true after this time.
    pub fn after(settle: Duration) -> Self {
        Self { sent: Instant::now(), settle, empty_answers: 0 }
    }

    /// Takes note of what the queue says; `None` where it could not be asked. Whether it is to be believed empty.
    pub fn believed(&mut self, depth: Option<Depth>) -> bool {
        self.empty_answers = if depth.is_some_and(|depth| depth.total() == 0) { self.empty_answers + 1 } else { 0 };
        self.empty_answers >= Self::BELIEVED && self.sent.elapsed() >= self.settle
    }

    /// How long ago that was.
    pub fn elapsed(&self) -> Duration {
        self.sent.elapsed()
    }
}

/// A queue's attributes, as far as they matter here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    /// How many messages.
    pub depth: Depth,
    /// The ARN of the queue that its redrive policy names.
    pub dead_letter_arn: Option<String>,
    /// Its own ARN.
    pub arn: Option<String>,
}

/// Reads a queue's attributes.
///
/// # Errors
/// [`AwsError`]; `NotFound` where there is no such queue.
pub async fn attributes(connection: &Connection, queue: &QueueUrl) -> Result<Attributes, AwsError> {
    const OPERATION: &str = "sqs:GetQueueAttributes";
    const ASKED: [QueueAttributeName; 5] = [
        QueueAttributeName::ApproximateNumberOfMessages,
        QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        QueueAttributeName::RedrivePolicy,
        QueueAttributeName::QueueArn,
    ];
    let client = connection.sqs();
    let answer = backoff::retry(Patience::MESSAGE, async || {
        let call = client.get_queue_attributes().queue_url(queue.as_str()).set_attribute_names(Some(ASKED.to_vec()));
        call.send().await.map_err(|error| AwsError::of(OPERATION, error))
    })
    .await?;
    let attribute = |name: &QueueAttributeName| answer.attributes().and_then(|all| all.get(name)).map(String::as_str);
    let count = |name: QueueAttributeName| {
        let text = attribute(&name).unwrap_or_default();
        text.parse().map_err(|_| AwsError::incomplete(OPERATION, &format!("{name} is missing")))
    };
    Ok(Attributes {
        depth: Depth {
            waiting: count(QueueAttributeName::ApproximateNumberOfMessages)?,
            in_flight: count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible)?,
            delayed: count(QueueAttributeName::ApproximateNumberOfMessagesDelayed)?,
        },
        dead_letter_arn: attribute(&QueueAttributeName::RedrivePolicy).and_then(dead_letter_arn),
        arn: attribute(&QueueAttributeName::QueueArn).map(str::to_owned),
    })
}

/// Makes sure, before anything is done, that a queue to be sent to is there. It also sets AWS's clock.
///
/// # Errors
/// [`CommandError::Usage`] where it does not exist, [`CommandError::Failed`] where there is no answer. Who may send but not
/// ask goes on.
pub async fn check(connection: &Connection, variable: &str, queue: &QueueUrl) -> Result<(), CommandError> {
    match attributes(connection, queue).await {
        Ok(_) => Ok(()),
        Err(error) if error.class == ErrorClass::NotFound => {
            Err(CommandError::Usage(format!("{variable} is wrong: there is no queue {queue}")))
        }
        Err(error) if error.class == ErrorClass::Denied => {
            tracing::debug!(%error, queue = queue.name(), "the queue's attributes cannot be read");
            Ok(())
        }
        Err(error) => {
            Err(CommandError::failed(&format!("the queue {queue} gives no answer; nothing was sent"), &error))
        }
    }
}

/// The dead-letter queue: as set, else as the work queue's redrive policy says.
///
/// # Errors
/// [`CommandError`] where neither names one.
pub async fn dead_letter_queue(connection: &Connection, settings: &Settings) -> Result<QueueUrl, CommandError> {
    if let Some(queue) = &settings.dead_letter_queue {
        return Ok(queue.clone());
    }
    let read = attributes(connection, &settings.queue).await;
    let read =
        read.map_err(|error| CommandError::failed("the work queue's redrive policy could not be read", &error))?;
    let Some(arn) = read.dead_letter_arn else {
        return Err(CommandError::Usage(
            "DEAD_LETTER_QUEUE_URL is not set, and the work queue has no redrive policy that names a dead-letter queue"
                .to_owned(),
        ));
    };
    url_of(connection, &arn).await
}

async fn url_of(connection: &Connection, arn: &str) -> Result<QueueUrl, CommandError> {
    const OPERATION: &str = "sqs:GetQueueUrl";
    let what = "the dead-letter queue that the work queue's redrive policy names was not found";
    // arn:partition:sqs:region:account:name
    let mut parts = arn.rsplit(':');
    let name = parts.next().unwrap_or_default();
    let owner = parts.next().unwrap_or_default();
    let call = connection.sqs().get_queue_url().queue_name(name).queue_owner_aws_account_id(owner);
    let answer = call.send().await.map_err(|error| CommandError::failed(what, &AwsError::of(OPERATION, error)))?;
    let url = answer.queue_url().unwrap_or_default();
    url.parse().map_err(|error| CommandError::Failed(format!("{what}: {error}")))
}

/// `{"deadLetterTargetArn":"…","maxReceiveCount":…}`
fn dead_letter_arn(policy: &str) -> Option<String> {
    let policy: serde_json::Value = serde_json::from_str(policy).ok()?;
    Some(policy.get("deadLetterTargetArn")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: Option<Depth> = Some(Depth { waiting: 0, in_flight: 0, delayed: 0 });
    const ONE_IN_FLIGHT: Option<Depth> = Some(Depth { waiting: 0, in_flight: 1, delayed: 0 });

    #[test]
    fn a_queue_is_believed_empty_once_it_has_said_so_three_times_in_a_row() {
        let mut emptiness = Emptiness::after(Duration::ZERO);
        let answers = [EMPTY, EMPTY, ONE_IN_FLIGHT, EMPTY, EMPTY, None, EMPTY, EMPTY, EMPTY];
        let believed: Vec<bool> = answers.into_iter().map(|depth| emptiness.believed(depth)).collect();
        assert_eq!(believed.iter().position(|believed| *believed), Some(answers.len() - 1));
    }

    #[test]
    fn a_queue_is_not_believed_empty_before_its_counts_have_settled() {
        let mut emptiness = Emptiness::after(Duration::from_secs(3600));
        assert!((0..100).all(|_| !emptiness.believed(EMPTY)));
    }

    #[test]
    fn the_dead_letter_queue_is_read_off_the_redrive_policy() {
        let policy = r#"{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:123456789012:dead.fifo","maxReceiveCount":"10"}"#;
        assert_eq!(dead_letter_arn(policy).as_deref(), Some("arn:aws:sqs:eu-west-1:123456789012:dead.fifo"));
        assert_eq!(dead_letter_arn("{}"), None);
        assert_eq!(dead_letter_arn("not JSON"), None);
    }
}
