//! How much, how long, how often: the queue worker's numbers, within their bounds and checked against each other.

use std::ops::RangeInclusive;
use std::time::Duration;

/// SQS: "maximum 12 hours from the first time that Amazon SQS receives the ReceiveMessage request" for all extensions.
pub const LONGEST_VISIBILITY: Duration = Duration::from_secs(12 * 60 * 60);
/// SQS API reference, `ReceiveMessage`, `WaitTimeSeconds`.
pub const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// SQS API reference: entries of a batch, messages of a receive.
pub const BATCH: usize = 10;

/// `VISIBILITY_TIMEOUT`: it is renewed at a third of it, which has to leave time for the call.
pub(crate) const VISIBILITY_SECONDS: RangeInclusive<u64> = 10..=LONGEST_VISIBILITY.as_secs();
/// `MESSAGE_TIMEOUT`: whatever is renewed, SQS delivers a message again after 12 hours.
pub(crate) const MESSAGE_TIMEOUT_SECONDS: RangeInclusive<u64> = 1..=LONGEST_VISIBILITY.as_secs() - 1;
/// `RETRY_DELAY` and `MAX_RETRY_DELAY`: 11 hours leave one to work in.
pub(crate) const RETRY_DELAY_SECONDS: RangeInclusive<u64> = 0..=11 * 60 * 60;
/// `STOP_GRACE` and `DRAIN_PATIENCE`: as long as a message may take.
pub(crate) const WAIT_SECONDS: RangeInclusive<u64> = 0..=LONGEST_VISIBILITY.as_secs();
/// Messages, or users, at once: far above what AWS's rates per account admit.
pub(crate) const AT_ONCE: RangeInclusive<u64> = 1..=10_000;

/// The queue worker's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Messages worked on at once.
    pub max_concurrent: usize,
    /// For how long a received message is invisible to others; renewed by the heartbeat at a third of it.
    pub visibility: Duration,
    /// After this long a handler is dropped.
    pub message_timeout: Duration,
    /// How long a receive waits for messages.
    pub receive_wait: Duration,
    /// After the signal to stop, how long work in flight may go on.
    pub stop_grace: Duration,
    /// The first delay after a retryable failure; doubled for each further one.
    pub retry_delay: Duration,
    /// The longest delay after a retryable failure.
    pub longest_retry: Duration,
    /// With `drain`: how long the queue may stay without a message to receive while others are still invisible. By default longer
    /// than the minute after which a handler may want a message back (`Outcome::Retry`), and a retry's delay.
    pub drain_patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_concurrent: 16,
            visibility: Duration::from_secs(120),
            message_timeout: Duration::from_secs(60 * 60),
            receive_wait: LONGEST_WAIT,
            stop_grace: Duration::from_secs(25),
            retry_delay: Duration::from_secs(15),
            longest_retry: Duration::from_secs(15 * 60),
            drain_patience: Duration::from_secs(90),
        }
    }
}

/// Numbers that contradict each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitsError {
    /// A delay in the wrong order.
    #[error("RETRY_DELAY ({first:?}) must not be greater than MAX_RETRY_DELAY ({longest:?})")]
    RetryOrder { first: Duration, longest: Duration },
    /// A message that failed at the end of its time could not be kept back as long as it should be.
    #[error(
        "MESSAGE_TIMEOUT ({timeout:?}) and MAX_RETRY_DELAY ({longest:?}) together must be at most 12 hours: SQS keeps a message invisible for 12 hours in all"
    )]
    TooLongTogether {
        /// The longest that work on a message may take.
        timeout: Duration,
        /// The longest delay after it.
        longest: Duration,
    },
}

impl Limits {
    /// Checks that the numbers, each within its bounds, go together.
    ///
    /// # Errors
    /// The first pair that does not.
    pub fn check(&self) -> Result<(), LimitsError> {
        let (first, timeout, longest) = (self.retry_delay, self.message_timeout, self.longest_retry);
        if first > longest {
            return Err(LimitsError::RetryOrder { first, longest });
        }
        if timeout + longest > LONGEST_VISIBILITY {
            return Err(LimitsError::TooLongTogether { timeout, longest });
        }
        Ok(())
    }
}
