//! How much, how long, how often: the queue worker's numbers, checked against each other.

use std::time::Duration;

/// SQS: "maximum 12 hours from the first time that Amazon SQS receives the ReceiveMessage request" for all extensions.
pub const LONGEST_VISIBILITY: Duration = Duration::from_secs(12 * 60 * 60);
/// SQS API reference, `ReceiveMessage`, `WaitTimeSeconds`.
pub const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// SQS API reference: entries of a batch, messages of a receive.
pub const BATCH: usize = 10;

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

/// Numbers that contradict each other, or SQS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitsError {
    /// Nothing would ever be worked on.
    #[error("MAX_CONCURRENT_MESSAGES must be at least 1")]
    NoConcurrency,
    /// The heartbeat needs room.
    #[error(
        "VISIBILITY_TIMEOUT must be from 10 seconds to 12 hours, but is {0:?}: it is renewed at a third of it while work goes on"
    )]
    Visibility(Duration),
    /// SQS takes a message away after 12 hours, whatever is renewed.
    #[error(
        "MESSAGE_TIMEOUT must be from 1 second to less than 12 hours, but is {0:?}: SQS delivers a message again after 12 hours in all"
    )]
    MessageTimeout(Duration),
    /// A delay in the wrong order.
    #[error("RETRY_DELAY ({first:?}) must not be greater than MAX_RETRY_DELAY ({longest:?})")]
    RetryOrder { first: Duration, longest: Duration },
    /// A delay that SQS cannot keep.
    #[error(
        "MAX_RETRY_DELAY must be at most 11 hours, but is {0:?}: SQS keeps a message invisible for 12 hours in all"
    )]
    RetryTooLong(Duration),
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
    /// Checks the numbers.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn check(&self) -> Result<(), Vec<LimitsError>> {
        let mut errors = Vec::new();
        if self.max_concurrent == 0 {
            errors.push(LimitsError::NoConcurrency);
        }
        if self.visibility < Duration::from_secs(10) || self.visibility > LONGEST_VISIBILITY {
            errors.push(LimitsError::Visibility(self.visibility));
        }
        if self.message_timeout < Duration::from_secs(1) || self.message_timeout >= LONGEST_VISIBILITY {
            errors.push(LimitsError::MessageTimeout(self.message_timeout));
        }
        if self.retry_delay > self.longest_retry {
            errors.push(LimitsError::RetryOrder { first: self.retry_delay, longest: self.longest_retry });
        }
        if self.longest_retry > Duration::from_secs(11 * 60 * 60) {
            errors.push(LimitsError::RetryTooLong(self.longest_retry));
        }
        // Where one of them is wrong by itself, that is said already.
        if errors.is_empty() && self.message_timeout + self.longest_retry > LONGEST_VISIBILITY {
            let (timeout, longest) = (self.message_timeout, self.longest_retry);
            errors.push(LimitsError::TooLongTogether { timeout, longest });
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}
