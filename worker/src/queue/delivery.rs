//! One delivery of one message, and the only place that acknowledges it.
//!
//! Every way to end a delivery consumes it, so that one cannot be ended twice.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{MessageAttributeValue, MessageSystemAttributeName};
use jiff::Timestamp;
use key_rotation_aws::{AwsError, QueueUrl};
use tracing::{error, info, warn};
use uuid::{Uuid, uuid};

use super::acknowledge::Acknowledger;
use super::backoff::retry_delay;
use super::heartbeat::{change_visibility, keep_invisible};
use super::redrive::Redrive;
use super::{Failure, Limits, Message, Outcome};

/// The namespace of dead letters' deduplication ids.
const DEDUPLICATION_NAMESPACE: Uuid = uuid!("b0b5c6d2-54b4-5d0d-9a32-7a4c8d2f6e10");
/// The attribute of a dead letter that counts its deliveries. It stays on the message when that is redriven, and then tells
/// that work may have begun: SQS counts a redriven message's receives from one.
pub(super) const ATTEMPTS: &str = "Attempts";
/// Longest `ErrorMessage`, in characters: attributes count towards the size of a message.
const LONGEST_REASON: usize = 1024;

/// What deliveries of one queue need.
#[derive(Debug, Clone)]
pub struct Desk {
    /// SQS.
    pub sqs: Client,
    /// The queue they come from.
    pub queue: QueueUrl,
    /// Where they go in the end.
    pub redrive: Redrive,
    /// Deletes.
    pub acknowledger: Acknowledger,
    /// The numbers.
    pub limits: Limits,
}

/// One delivery.
#[derive(Debug)]
pub struct Delivery {
    message: Message,
    receipt: String,
}

impl Delivery {
    /// Takes over what a receive brought. `None` for what no SQS sends: a message without a receipt handle.
    pub fn new(received: aws_sdk_sqs::types::Message, redrive: &Redrive) -> Option<Self> {
        let attribute = |name| received.attributes().and_then(|all| all.get(&name)).map(String::as_str);
        let number = |name| attribute(name).and_then(|text| text.parse::<i64>().ok());
        let receives = number(MessageSystemAttributeName::ApproximateReceiveCount).unwrap_or(1);
        let receive_count = u32::try_from(receives).unwrap_or(u32::MAX);
        let sent = number(MessageSystemAttributeName::SentTimestamp)
            .and_then(|millis| Timestamp::from_millisecond(millis).ok())
            .unwrap_or_else(Timestamp::now);
        let was_a_dead_letter = received.message_attributes().is_some_and(|all| all.contains_key(ATTEMPTS));
        Some(Self {
            receipt: received.receipt_handle?,
            message: Message {
                id: received.message_id.unwrap_or_default(),
                body: received.body.unwrap_or_default(),
                sent,
                receive_count,
                redelivered: receive_count > 1 || was_a_dead_letter,
                last_delivery: redrive.is_last(receive_count),
            },
        })
    }

    /// The message.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// Keeps it invisible to others; never ends.
    pub async fn keep(&self, desk: &Desk) {
        keep_invisible(&desk.sqs, &desk.queue, &self.receipt, desk.limits.visibility).await;
    }

    /// Does with it what its handler says. A retryable failure of the last delivery makes a dead letter, with its reason,
    /// before SQS's own redrive would make one without.
    pub async fn end(self, desk: &Desk, outcome: Outcome, run_id: Option<String>) {
        match outcome {
            Outcome::Done => self.done(desk).await,
            Outcome::Retry { failure, .. } if self.message.last_delivery => {
                self.dead_letter(desk, failure, run_id).await;
            }
            Outcome::Retry { failure, after } => self.retry(desk, &failure, after).await,
            Outcome::DeadLetter(failure) => self.dead_letter(desk, failure, run_id).await,
        }
    }

    /// Gives it back untouched: the next receive gets it at once.
    pub async fn hand_back(self, desk: &Desk) {
        if let Err(error) = change_visibility(&desk.sqs, &desk.queue, &self.receipt, Duration::ZERO).await {
            warn!(%error, "the message could not be handed back: it comes again when its visibility times out");
        }
    }

    async fn done(self, desk: &Desk) {
        if !desk.acknowledger.delete(self.receipt).await {
            warn!("the message is done but could not be deleted: it will come again and be found done");
        }
    }

    async fn retry(self, desk: &Desk, failure: &Failure, after: Option<Duration>) {
        let Limits { first_retry, longest_retry, .. } = desk.limits;
        let jittered = retry_delay(self.message.receive_count, first_retry, longest_retry);
        let delay = after.unwrap_or_default().saturating_add(jittered);
        warn!(
            kind = failure.kind,
            reason = failure.message,
            attempts = self.message.receive_count,
            retry_in_seconds = delay.as_secs(),
            "the message failed and will be delivered again"
        );
        if let Err(error) = change_visibility(&desk.sqs, &desk.queue, &self.receipt, delay).await {
            warn!(%error, "the retry could not be delayed: the message comes again when its visibility times out");
        }
    }

    /// The copy is safe in the dead-letter queue before the original is deleted: a crash in between makes two, never none.
    async fn dead_letter(self, desk: &Desk, failure: Failure, run_id: Option<String>) {
        match self.copy_to_dead_letters(desk, &failure, run_id).await {
            Ok(()) => {
                error!(
                    kind = failure.kind,
                    reason = failure.message,
                    attempts = self.message.receive_count,
                    "the message cannot succeed and is now a dead letter"
                );
                self.done(desk).await;
            }
            Err(error) => {
                warn!(%error, "the message could not be put into the dead-letter queue: it stays where it is");
                self.retry(desk, &failure, None).await;
            }
        }
    }

    async fn copy_to_dead_letters(
        &self,
        desk: &Desk,
        failure: &Failure,
        run_id: Option<String>,
    ) -> Result<(), AwsError> {
        let reason: String = failure.message.chars().take(LONGEST_REASON).collect();
        let mut send = desk
            .sqs
            .send_message()
            .queue_url(desk.redrive.dead_letter_queue.as_str())
            .message_body(&self.message.body)
            .message_attributes("ErrorKind", text(&failure.kind))
            .message_attributes("ErrorMessage", text(&reason))
            .message_attributes(ATTEMPTS, number(self.message.receive_count));
        if let Some(run_id) = run_id {
            send = send.message_attributes("RunId", text(&run_id));
        }
        if desk.redrive.dead_letter_queue.is_fifo() {
            // One message is one dead letter, however often this is tried. Each is a group of its own: letters wait for nothing,
            // and of one group an operator would be shown no more than ten.
            let id = Uuid::new_v5(&DEDUPLICATION_NAMESPACE, self.message.id.as_bytes());
            send = send.message_group_id(&self.message.id).message_deduplication_id(id.to_string());
        }
        send.send().await.map(|_| ()).map_err(|error| AwsError::of("sqs:SendMessage", error))?;
        info!(queue = desk.redrive.dead_letter_queue.name(), "the message has been copied to the dead-letter queue");
        Ok(())
    }
}

fn text(value: &str) -> MessageAttributeValue {
    // SQS refuses an empty attribute value.
    let value = if value.is_empty() { "-" } else { value };
    attribute("String", value)
}

fn number(value: u32) -> MessageAttributeValue {
    attribute("Number", &value.to_string())
}

fn attribute(kind: &str, value: &str) -> MessageAttributeValue {
    MessageAttributeValue::builder().data_type(kind).string_value(value).build().expect("the data type is set")
}
