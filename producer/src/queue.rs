//! What a queue says of itself, as the commands need it: how many messages it holds, when to believe that it is empty, and
//! where its dead letters go.

use std::time::{Duration, Instant};

use key_rotation_aws::settings::no_such_queue;
use key_rotation_aws::{AwsError, Connection, Depth, ErrorClass, QueueUrl, RedriveError, RedrivePolicy, RetryPolicy};

use crate::command::CommandError;
use crate::settings::Settings;

/// Decides when to believe that a queue is empty.
///
/// SQS developer guide: its counts "may not achieve consistency until at least 1 minute after the producers stop sending
/// messages". Before that an empty queue may only look so.
#[derive(Debug)]
pub struct EmptyQueueDetector {
    sent: Instant,
    counts_lag: Duration,
    empty_answers: u32,
}

impl EmptyQueueDetector {
    /// How often in a row the queue must say that it is empty.
    const BELIEVED: u32 = 3;

    /// For a queue to which something has been sent just now, and whose counts are true after this time.
    pub fn new(counts_lag: Duration) -> Self {
        Self { sent: Instant::now(), counts_lag, empty_answers: 0 }
    }

    /// Takes note of what the queue says; `None` where it could not be asked. Whether it is believed empty.
    pub fn is_empty(&mut self, depth: Option<Depth>) -> bool {
        self.empty_answers = if depth.is_some_and(|depth| depth.total() == 0) { self.empty_answers + 1 } else { 0 };
        self.empty_answers >= Self::BELIEVED && self.sent.elapsed() >= self.counts_lag
    }

    /// How long ago that was.
    pub fn elapsed(&self) -> Duration {
        self.sent.elapsed()
    }
}

/// How many messages a queue holds.
///
/// # Errors
/// [`AwsError`]; `NotFound` where there is no such queue.
pub async fn depth(connection: &Connection, queue: &QueueUrl) -> Result<Depth, AwsError> {
    let sqs = connection.sqs();
    RetryPolicy::MESSAGE.retry(async || Depth::read(&sqs, queue).await).await
}

/// Makes sure, before anything is done, that a queue to be sent to is there, and says how many messages it holds; `None` for
/// whoever may send but not ask. It also sets AWS's clock.
///
/// # Errors
/// [`CommandError::Usage`] where it does not exist, [`CommandError::Failed`] where there is no answer.
pub async fn check(connection: &Connection, variable: &str, queue: &QueueUrl) -> Result<Option<Depth>, CommandError> {
    match depth(connection, queue).await {
        Ok(depth) => Ok(Some(depth)),
        Err(error) if error.class == ErrorClass::Denied => {
            tracing::debug!(%error, queue = queue.name(), "the queue's attributes cannot be read");
            Ok(None)
        }
        Err(error) => Err(match no_such_queue(variable, queue, &error) {
            Some(wrong) => CommandError::Usage(wrong),
            None => CommandError::failed(&format!("the queue {queue} gives no answer; nothing was sent"), &error),
        }),
    }
}

/// Why the dead letters could not be read: there is no such queue, or it gives no answer.
pub(crate) fn dead_letters_unreadable(queue: &QueueUrl, error: &AwsError) -> CommandError {
    match no_such_queue("DEAD_LETTER_QUEUE_URL", queue, error) {
        Some(wrong) => CommandError::Usage(wrong),
        None => CommandError::failed("the dead-letter queue could not be read", error),
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
    match RedrivePolicy::read(&connection.sqs(), &settings.queue, None).await {
        Ok(redrive) => Ok(redrive.dead_letter_queue),
        Err(RedriveError::Aws { queue, source }) => Err(match no_such_queue("QUEUE_URL", &queue, &source) {
            // The queue that the redrive policy names may be missing as well: that is asked for by another call.
            Some(wrong) if source.operation == "sqs:GetQueueAttributes" => CommandError::Usage(wrong),
            Some(_) | None => CommandError::Failed(RedriveError::Aws { queue, source }.to_string()),
        }),
        Err(
            error @ (RedriveError::NoDeadLetterQueue(_)
            | RedriveError::Unreadable(_)
            | RedriveError::KindsDiffer { .. }),
        ) => Err(CommandError::Usage(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: Option<Depth> = Some(Depth { waiting: 0, in_flight: 0, delayed: 0 });
    const ONE_IN_FLIGHT: Option<Depth> = Some(Depth { waiting: 0, in_flight: 1, delayed: 0 });

    #[test]
    fn a_queue_is_believed_empty_once_it_has_said_so_three_times_in_a_row() {
        let mut detector = EmptyQueueDetector::new(Duration::ZERO);
        let answers = [EMPTY, EMPTY, ONE_IN_FLIGHT, EMPTY, EMPTY, None, EMPTY, EMPTY, EMPTY];
        let believed: Vec<bool> = answers.into_iter().map(|depth| detector.is_empty(depth)).collect();
        assert_eq!(believed.iter().position(|believed| *believed), Some(answers.len() - 1));
    }

    #[test]
    fn a_queue_is_not_believed_empty_before_its_counts_are_true() {
        let mut detector = EmptyQueueDetector::new(Duration::from_secs(3600));
        assert!((0..100).all(|_| !detector.is_empty(EMPTY)));
    }
}
