//! The loop: receive no more than can be worked on, work, end each delivery, stop in good order.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName};
use futures::FutureExt;
use key_rotation_aws::{AwsError, QueueUrl};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{Instrument, error, info, info_span, warn};

use super::acknowledge::Acknowledger;
use super::backoff::PollPause;
use super::delivery::{ATTEMPTS, Delivery, Desk};
use super::limits::BATCH;
use super::redrive::Redrive;
use super::{Failure, Handler, Limits, Outcome, Stop};

/// One queue to serve.
#[derive(Debug, Clone)]
pub struct Lane {
    /// The queue.
    pub queue: QueueUrl,
    /// Its dead letters.
    pub redrive: Redrive,
}

/// What a drained queue looked like in the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drained {
    /// Messages worked on.
    pub handled: u64,
    /// Messages still there, invisible: they wait for a retry, or another worker has them.
    pub left: u64,
}

/// How a lane is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Until the signal to stop.
    Stopped,
    /// Until the queue has stayed empty, or the signal to stop.
    Empty,
}

/// Serves one lane.
pub struct Consumer<H> {
    desk: Desk,
    handler: Arc<H>,
    until: Until,
}

impl<H: Handler> Consumer<H> {
    /// A consumer of this lane.
    pub fn new(sqs: aws_sdk_sqs::Client, lane: Lane, limits: Limits, handler: Arc<H>, until: Until) -> Self {
        let acknowledger = Acknowledger::start(sqs.clone(), lane.queue.clone());
        let desk = Desk { sqs, queue: lane.queue, redrive: lane.redrive, acknowledger, limits };
        Self { desk, handler, until }
    }

    /// Serves the lane until it is told to stop (or, draining, has nothing left to do).
    ///
    /// After the signal: nothing more is received, what a receive under way still brings is handed back at once, work in
    /// flight has the stop grace to end in, and what has not ended by then is handed back. After a second signal there is no
    /// grace.
    pub async fn run(self, stop: impl Into<Stop>) -> Drained {
        let stop = stop.into();
        let permits = Arc::new(Semaphore::new(self.desk.limits.max_concurrent));
        let mut work = JoinSet::new();
        let mut pause = PollPause::default();
        let mut handled: u64 = 0;
        let mut idle_since: Option<Instant> = None;
        let mut left = 0;
        while !stop.is_asked() {
            while let Some(ended) = work.try_join_next() {
                report(&ended);
            }
            let free = tokio::select! {
                biased;
                () = stop.asked() => break,
                permit = permits.clone().acquire_owned() => {
                    drop(permit);
                    permits.available_permits()
                }
            };
            let received = match self.receive(free.clamp(1, BATCH)).await {
                Ok(received) => {
                    pause.reset();
                    received
                }
                Err(error) => {
                    let pause = pause.next_pause();
                    warn!(%error, queue = self.desk.queue.name(), pause_ms = pause.as_millis(), "receiving failed");
                    tokio::select! { () = stop.asked() => {}, () = tokio::time::sleep(pause) => {} }
                    continue;
                }
            };
            if received.is_empty() && self.until == Until::Empty && permits_all_free(&permits, &self.desk.limits) {
                match self.waiting().await {
                    Ok(0) => break,
                    Ok(waiting) => {
                        left = waiting;
                        let since = *idle_since.get_or_insert_with(Instant::now);
                        if since.elapsed() >= self.desk.limits.drain_patience {
                            break;
                        }
                    }
                    Err(error) => warn!(%error, "the queue's depth could not be read"),
                }
            }
            for delivery in received {
                if stop.is_asked() {
                    delivery.hand_back(&self.desk).await;
                    continue;
                }
                idle_since = None;
                left = 0;
                handled += 1;
                let permit = permits.clone().acquire_owned().await.expect("the semaphore is never closed");
                let (desk, handler, stop) = (self.desk.clone(), self.handler.clone(), stop.clone());
                work.spawn(async move {
                    work_on(&desk, handler.as_ref(), delivery, &stop).await;
                    drop(permit);
                });
            }
        }
        while let Some(ended) = work.join_next().await {
            report(&ended);
        }
        Drained { handled, left }
    }

    async fn receive(&self, at_most: usize) -> Result<Vec<Delivery>, AwsError> {
        let limits = &self.desk.limits;
        // Draining, an answer "nothing there" is wanted soon; and while work is in flight no long wait may hold up its end.
        let wait = match self.until {
            Until::Stopped => limits.receive_wait,
            Until::Empty => limits.receive_wait.min(Duration::from_secs(1)),
        };
        let answer = self
            .desk
            .sqs
            .receive_message()
            .queue_url(self.desk.queue.as_str())
            .max_number_of_messages(i32::try_from(at_most).unwrap_or(1))
            .wait_time_seconds(i32::try_from(wait.as_secs()).unwrap_or(0))
            .visibility_timeout(i32::try_from(limits.visibility.as_secs()).unwrap_or(i32::MAX))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .message_attribute_names(ATTEMPTS)
            .send()
            .await
            .map_err(|error| AwsError::of("sqs:ReceiveMessage", error))?;
        let received = answer.messages.unwrap_or_default();
        Ok(received.into_iter().filter_map(|message| Delivery::new(message, &self.desk.redrive)).collect())
    }

    /// Messages in the queue, visible or not.
    async fn waiting(&self) -> Result<u64, AwsError> {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let answer = self
            .desk
            .sqs
            .get_queue_attributes()
            .queue_url(self.desk.queue.as_str())
            .set_attribute_names(Some(names.to_vec()))
            .send()
            .await
            .map_err(|error| AwsError::of("sqs:GetQueueAttributes", error))?;
        let attributes = answer.attributes.unwrap_or_default();
        Ok(names.iter().filter_map(|name| attributes.get(name)?.parse::<u64>().ok()).sum())
    }
}

fn permits_all_free(permits: &Semaphore, limits: &Limits) -> bool {
    permits.available_permits() == limits.max_concurrent
}

fn report(ended: &Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        error!(%error, "a delivery was not ended: its message comes again when its visibility times out");
    }
}

/// Works on one delivery and ends it.
async fn work_on<H: Handler>(desk: &Desk, handler: &H, delivery: Delivery, stop: &Stop) {
    let message = delivery.message().clone();
    let run_id = handler.run_id(&message.body);
    let span = info_span!(
        "message",
        message_id = message.id,
        run_id,
        attempt = message.receive_count,
        queue = desk.queue.name()
    );
    async {
        // What the handler leaves behind when it is dropped or panics is in AWS, and every step is made for that.
        let work = AssertUnwindSafe(handler.handle(message)).catch_unwind();
        let outcome = tokio::select! {
            biased;
            ended = work => match ended {
                Ok(outcome) => Some(outcome),
                Err(_panic) => Some(Outcome::retry(Failure::new("Panic", "the worker panicked; its log has the place"))),
            },
            () = tokio::time::sleep(desk.limits.handler_timeout) => {
                let limit = desk.limits.handler_timeout.as_secs();
                Some(Outcome::retry(Failure::new("Timeout", format!("not done within {limit} seconds"))))
            }
            () = stop.out_of_time(desk.limits.stop_grace) => None,
            () = delivery.keep(desk) => None,
        };
        match outcome {
            Some(outcome) => delivery.end(desk, outcome, run_id).await,
            None => {
                info!("stopping: the message is handed back unfinished");
                delivery.hand_back(desk).await;
            }
        }
    }
    .instrument(span)
    .await;
}
