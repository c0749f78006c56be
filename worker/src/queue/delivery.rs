//! One delivery of one message, and the only place that acknowledges it.
//!
//! Every way to end a delivery consumes it, so that one cannot be ended twice.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::operation::send_message::builders::SendMessageFluentBuilder;
use aws_sdk_sqs::types::MessageSystemAttributeName;
use jiff::Timestamp;
use key_rotation_aws::backoff::retry_delay;
use key_rotation_aws::queue::attribute::{number, text};
use key_rotation_aws::{AwsError, QueueUrl, RedrivePolicy};
use rotation::dead_letter::attribute::{ATTEMPTS, ERROR_KIND, ERROR_MESSAGE, FIRST_MESSAGE_ID, FIRST_SENT, RUN_ID};
use tokio::time::Instant;
use tracing::{error, info, warn};
use uuid::{Uuid, uuid};

use super::batch_delete::BatchDeleter;
use super::heartbeat::{Heartbeat, change_visibility};
use super::limits::LONGEST_VISIBILITY;
use super::{Failure, Limits, Message, Outcome};

/// The namespace of the deduplication ids of copies: dead letters, and messages that are moved.
const DEDUPLICATION_NAMESPACE: Uuid = uuid!("b0b5c6d2-54b4-5d0d-9a32-7a4c8d2f6e10");
/// Longest `ErrorMessage`, in characters: attributes count towards the size of a message.
const LONGEST_MESSAGE: usize = 1024;

/// What deliveries of one queue need.
#[derive(Debug, Clone)]
pub struct QueueContext {
    /// The client for the queue's region.
    pub sqs: Client,
    /// The queue they come from.
    pub queue: QueueUrl,
    /// Where they go in the end.
    pub redrive: RedrivePolicy,
    /// Deletes what is done.
    pub deleter: BatchDeleter,
    /// The queue worker's numbers.
    pub limits: Limits,
    /// The receive that is under way, if there is one.
    pub open_receive: OpenReceive,
}

/// Until when a receive that is under way can still take messages. Clones share it.
///
/// A long poll that a stopping worker no longer waits for may go on at SQS until its wait is over. What is handed back before then
/// would be taken by it, count as received once more, and stay invisible for a whole visibility timeout.
#[derive(Debug, Clone, Default)]
pub struct OpenReceive(Arc<Mutex<Option<Instant>>>);

impl OpenReceive {
    /// A receive begins that waits this long.
    pub(super) fn begin(&self, wait: Duration) {
        *self.until() = Some(Instant::now() + wait);
    }

    /// It has been answered.
    pub(super) fn end(&self) {
        *self.until() = None;
    }

    /// In how many whole seconds no receive of this worker can take a message any more; nothing if none is under way.
    fn over_in(&self) -> Duration {
        let left = self.until().map(|until| until.saturating_duration_since(Instant::now()));
        left.filter(|left| !left.is_zero()).map_or(Duration::ZERO, |left| Duration::from_secs(left.as_secs() + 1))
    }

    fn until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a delivery ends: an [`Outcome`] with what the queue worker adds to it.
#[derive(Debug, Clone)]
pub(super) enum DeliveryEnd {
    Done,
    Retry { failure: Failure, delay: Duration },
    DeadLetter(Failure),
    HandBack,
}

/// One delivery. Its message is kept invisible to others until it is ended or dropped.
#[derive(Debug)]
pub struct Delivery {
    message: Message,
    body: String,
    group: Option<String>,
    receipt: String,
    received: Instant,
    heartbeat: Heartbeat,
}

impl Delivery {
    /// Takes over what a receive brought. `None` for what no SQS sends: a message without a receipt handle.
    pub(super) fn new(received: aws_sdk_sqs::types::Message, context: &QueueContext) -> Option<Self> {
        let attribute = |name| received.attributes().and_then(|all| all.get(&name)).map(String::as_str);
        let number = |name| attribute(name).and_then(|text| text.parse::<i64>().ok());
        let receives = number(MessageSystemAttributeName::ApproximateReceiveCount).unwrap_or(1);
        let receive_count = u32::try_from(receives).unwrap_or(u32::MAX);
        let sent = number(MessageSystemAttributeName::SentTimestamp)
            .and_then(|millis| Timestamp::from_millisecond(millis).ok())
            .unwrap_or_else(Timestamp::now);
        let kept = |name| received.message_attributes()?.get(name)?.string_value.clone();
        let was_a_dead_letter = kept(ATTEMPTS).is_some();
        let (first_id, first_sent) = (kept(FIRST_MESSAGE_ID), kept(FIRST_SENT).and_then(|time| time.parse().ok()));
        let group = attribute(MessageSystemAttributeName::MessageGroupId).map(str::to_owned);
        let receipt = received.receipt_handle?;
        let QueueContext { sqs, queue, limits, .. } = context;
        let id = received.message_id.unwrap_or_default();
        Some(Self {
            message: Message {
                first_id: first_id.unwrap_or_else(|| id.clone()),
                id,
                // Whatever an attribute says, it was not sent later than this.
                sent: first_sent.map_or(sent, |first: Timestamp| first.min(sent)),
                receive_count,
                redelivered: receive_count > 1 || was_a_dead_letter,
                last_delivery: context.redrive.is_last(receive_count),
            },
            body: received.body.unwrap_or_default(),
            group: group.filter(|_| queue.is_fifo()),
            heartbeat: Heartbeat::start(sqs.clone(), queue.clone(), receipt.clone(), limits.visibility),
            receipt,
            received: Instant::now(),
        })
    }

    pub fn message(&self) -> &Message {
        &self.message
    }

    pub fn body(&self) -> &str {
        &self.body
    }

    /// When it was received.
    pub(super) fn received(&self) -> Instant {
        self.received
    }

    /// Its message group; none on a standard queue.
    pub fn group(&self) -> Option<&str> {
        self.group.as_deref()
    }

    /// What its handler says, as what becomes of it and of the messages that are covered by it.
    pub(super) fn delivery_end(&self, context: &QueueContext, outcome: Outcome) -> DeliveryEnd {
        match outcome {
            Outcome::Done => DeliveryEnd::Done,
            Outcome::DeadLetter(failure) => DeliveryEnd::DeadLetter(failure),
            Outcome::HandBack => DeliveryEnd::HandBack,
            // Who knows when it makes sense says so, and may have to be back in good time; SQS counts whole seconds.
            Outcome::Retry { failure, after } => {
                let after = after.map(|after| after.saturating_add(Duration::from_secs(1)));
                let delay = after.unwrap_or_else(|| self.retry_delay(context));
                DeliveryEnd::Retry { failure, delay }
            }
        }
    }

    /// Ends it. A retryable failure of the last delivery makes a dead letter, with its reason, before SQS's own redrive would
    /// make one without.
    pub(super) async fn end(self, context: &QueueContext, ending: DeliveryEnd, run_id: Option<String>) {
        match ending {
            DeliveryEnd::Done => self.done(context).await,
            DeliveryEnd::Retry { failure, .. } if self.message.last_delivery => {
                self.dead_letter(context, failure, run_id).await;
            }
            DeliveryEnd::Retry { failure, delay } => self.retry(context, &failure, delay).await,
            DeliveryEnd::DeadLetter(failure) => self.dead_letter(context, failure, run_id).await,
            DeliveryEnd::HandBack => self.hand_back(context).await,
        }
    }

    /// Gives it back: the next receive gets it, but none of this worker's own.
    pub(super) async fn hand_back(self, context: &QueueContext) {
        self.heartbeat.stop().await;
        let visible_in = context.open_receive.over_in();
        if let Err(error) = change_visibility(&context.sqs, &context.queue, &self.receipt, visible_in).await {
            warn!(%error, "the message could not be handed back: it comes again when its visibility times out");
        }
    }

    async fn done(self, context: &QueueContext) {
        self.heartbeat.stop().await;
        if !context.deleter.delete(self.receipt).await {
            warn!("the message is done but could not be deleted: it will come again and be found done");
        }
    }

    async fn retry(self, context: &QueueContext, failure: &Failure, delay: Duration) {
        self.heartbeat.stop().await;
        // SQS refuses what would keep a message invisible for longer in all.
        let delay = delay.min(LONGEST_VISIBILITY.saturating_sub(self.received.elapsed() + Duration::from_secs(1)));
        warn!(
            reason = %failure.reason,
            error = failure.error,
            receive_count = self.message.receive_count,
            retry_in_seconds = delay.as_secs(),
            "the message failed and will be delivered again"
        );
        if let Err(error) = change_visibility(&context.sqs, &context.queue, &self.receipt, delay).await {
            warn!(%error, "the retry could not be delayed: the message comes again when its visibility times out");
        }
    }

    fn retry_delay(&self, context: &QueueContext) -> Duration {
        retry_delay(self.message.receive_count, context.limits.retry_delay, context.limits.longest_retry)
    }

    /// The copy is safe in the dead-letter queue before the original is deleted: a crash in between makes two, never none.
    async fn dead_letter(self, context: &QueueContext, failure: Failure, run_id: Option<String>) {
        match self.copy_to_dead_letters(context, &failure, run_id).await {
            Ok(()) => {
                error!(
                    reason = %failure.reason,
                    error = failure.error,
                    receive_count = self.message.receive_count,
                    "the message cannot succeed and is now a dead letter"
                );
                self.done(context).await;
            }
            Err(error) => {
                warn!(%error, "the message could not be put into the dead-letter queue: it stays where it is");
                let delay = self.retry_delay(context);
                self.retry(context, &failure, delay).await;
            }
        }
    }

    async fn copy_to_dead_letters(
        &self,
        context: &QueueContext,
        failure: &Failure,
        run_id: Option<String>,
    ) -> Result<(), AwsError> {
        let message: String = failure.error.chars().take(LONGEST_MESSAGE).collect();
        let mut send = self
            .copy(context, &context.redrive.dead_letter_queue)
            .message_attributes(ERROR_KIND, text(failure.reason.as_str()))
            .message_attributes(ERROR_MESSAGE, text(&message))
            .message_attributes(ATTEMPTS, number(self.message.receive_count));
        if let Some(run_id) = run_id {
            send = send.message_attributes(RUN_ID, text(&run_id));
        }
        if context.redrive.dead_letter_queue.is_fifo() {
            // Each is a group of its own: letters wait for nothing, and of one group an operator would be shown no more than ten.
            send = send.message_group_id(&self.message.id).message_deduplication_id(self.copy_id());
        }
        send.send().await.map(|_| ()).map_err(|error| AwsError::new("sqs:SendMessage", error))?;
        info!(queue = context.redrive.dead_letter_queue.name(), "the message has been copied to the dead-letter queue");
        Ok(())
    }

    /// Sends a copy of the message into this group of its queue, and returns true: this delivery has nothing more to do. Returns false, and
    /// the message is processed in the group that it has, where it is in this one already, the queue has no groups, or sending fails.
    ///
    /// The copy is sent before the original is deleted. A crash in between makes two, and the second finds the work done.
    pub(super) async fn move_to_group(&self, context: &QueueContext, group: &str) -> bool {
        if self.group().is_none_or(|is| is == group) {
            return false;
        }
        let mut send =
            self.copy(context, &context.queue).message_group_id(group).message_deduplication_id(self.copy_id());
        if self.message.redelivered {
            send = send.message_attributes(ATTEMPTS, number(self.message.receive_count));
        }
        match send.send().await.map_err(|error| AwsError::new("sqs:SendMessage", error)) {
            Ok(_) => {
                info!(
                    message_group = group,
                    "the message was put into a group of its own, where it waits for no other"
                );
                true
            }
            Err(error) => {
                warn!(%error, message_group = group, "the message could not be put into a group of its own: others wait for it");
                false
            }
        }
    }

    /// The same message, to be sent again: it goes on being the one that it was.
    fn copy(&self, context: &QueueContext, to: &QueueUrl) -> SendMessageFluentBuilder {
        let send = context.sqs.send_message().queue_url(to.as_str()).message_body(&self.body);
        send.message_attributes(FIRST_MESSAGE_ID, text(&self.message.first_id))
            .message_attributes(FIRST_SENT, text(&self.message.sent.to_string()))
    }

    /// One message has one copy, however often that is tried.
    fn copy_id(&self) -> String {
        Uuid::new_v5(&DEDUPLICATION_NAMESPACE, self.message.id.as_bytes()).to_string()
    }
}
