//! How long to wait before trying again: exponentially growing, capped, with jitter. The one place that knows the crate
//! `backoff`.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;

use crate::error::AwsError;

/// The first pause of a poll loop.
const FIRST_POLL_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_POLL_PAUSE: Duration = Duration::from_secs(30);

fn exponential(first: Duration, longest: Duration) -> ExponentialBackoff {
    ExponentialBackoff {
        current_interval: first,
        initial_interval: first,
        max_interval: longest,
        multiplier: 2.0,
        // Half the interval either way.
        randomization_factor: 0.5,
        max_elapsed_time: None,
        ..ExponentialBackoff::default()
    }
}

/// How often, and how fast, a call is tried again, on top of the SDK's own three tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The first wait; each is about twice the one before.
    pub first: Duration,
    /// No wait is longer, jitter aside.
    pub longest: Duration,
    /// How often it is tried in all.
    pub tries: u32,
}

impl RetryPolicy {
    /// For one message: given up after about six seconds.
    pub const MESSAGE: RetryPolicy =
        RetryPolicy { first: Duration::from_millis(200), longest: Duration::from_secs(4), tries: 6 };
    /// For what a whole run depends on, a page of a listing or a batch: given up after about half a minute.
    pub const RUN: RetryPolicy =
        RetryPolicy { first: Duration::from_millis(500), longest: Duration::from_secs(10), tries: 7 };

    /// The waits between the tries: one fewer than tries, each within half of twice the one before.
    pub fn waits(self) -> impl Iterator<Item = Duration> {
        let mut backoff = exponential(self.first, self.longest);
        let retries = usize::try_from(self.tries.saturating_sub(1)).unwrap_or(usize::MAX);
        std::iter::from_fn(move || backoff.next_backoff()).take(retries)
    }

    /// Makes a call until it succeeds, fails in a way that does not pass by itself, or has been tried often enough.
    ///
    /// # Errors
    /// The last try's.
    pub async fn retry<T>(self, mut call: impl AsyncFnMut() -> Result<T, AwsError>) -> Result<T, AwsError> {
        let mut waits = self.waits();
        loop {
            match call().await {
                Ok(answer) => return Ok(answer),
                Err(error) if !error.class.may_pass() || error.unsigned => return Err(error),
                Err(error) => match waits.next() {
                    Some(wait) => {
                        tracing::debug!(%error, ?wait, "trying again");
                        tokio::time::sleep(wait).await;
                    }
                    None => return Err(error),
                },
            }
        }
    }
}

/// Pauses of a poll loop whose receives fail.
#[derive(Debug)]
pub struct PollPause(ExponentialBackoff);

impl Default for PollPause {
    fn default() -> Self {
        Self(exponential(FIRST_POLL_PAUSE, LONGEST_POLL_PAUSE))
    }
}

impl PollPause {
    /// The next pause: never nothing, so that the loop cannot spin.
    pub fn next_pause(&mut self) -> Duration {
        self.0.next_backoff().unwrap_or(LONGEST_POLL_PAUSE).max(FIRST_POLL_PAUSE / 2)
    }

    /// A receive has succeeded.
    pub fn reset(&mut self) {
        self.0.reset();
    }
}

/// The delay of a message that has now failed so many times.
///
/// With "full jitter" (AWS Architecture Blog, "Exponential Backoff And Jitter"): anything from nothing to the whole delay, so
/// that messages that failed together do not come back together.
pub fn retry_delay(failures: u32, first: Duration, longest: Duration) -> Duration {
    let mut backoff = exponential(first, longest);
    // Beyond this many doublings any first delay has reached any longest.
    for _ in 1..failures.clamp(1, 64) {
        backoff.next_backoff();
    }
    let interval = backoff.current_interval;
    let drawn = backoff.next_backoff().unwrap_or(longest);
    // From "interval plus or minus a half" to "nothing to interval".
    let jittered = drawn.saturating_sub(interval / 2).min(interval);
    // SQS counts in whole seconds; nothing at all would bring the message back at once.
    jittered.max(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_secs(15);
    const LONGEST: Duration = Duration::from_secs(900);

    #[test]
    fn waits_grow_stay_within_their_bound_and_end() {
        let policy = RetryPolicy { first: Duration::from_millis(100), longest: Duration::from_secs(1), tries: 9 };
        let waits: Vec<Duration> = policy.waits().collect();
        assert_eq!(waits.len(), 8);
        assert!(waits[0] >= Duration::from_millis(50) && waits[0] <= Duration::from_millis(150));
        assert!(waits.iter().all(|wait| *wait <= Duration::from_millis(1500)));
        assert!(waits[7] >= Duration::from_millis(500), "the last waits are around the longest");
    }

    #[test]
    fn one_try_means_no_wait() {
        let policy = RetryPolicy { tries: 1, ..RetryPolicy::MESSAGE };
        assert_eq!(policy.waits().count(), 0);
    }

    #[test]
    fn a_retry_delay_lies_between_nothing_and_the_doubled_interval_and_never_beyond_the_cap() {
        for failures in 1..200 {
            let ceiling = FIRST.saturating_mul(1 << (failures - 1).min(10)).min(LONGEST);
            for _ in 0..50 {
                let delay = retry_delay(failures, FIRST, LONGEST);
                assert!(delay <= ceiling, "{failures} failures: {delay:?} > {ceiling:?}");
                assert!(delay >= Duration::from_secs(1));
            }
        }
    }

    #[test]
    fn retry_delays_are_spread_over_the_whole_interval() {
        let delays: Vec<Duration> = (0..400).map(|_| retry_delay(4, FIRST, LONGEST)).collect();
        let interval = Duration::from_secs(120);
        assert!(delays.iter().any(|delay| *delay < interval / 4));
        assert!(delays.iter().any(|delay| *delay > interval * 3 / 4));
    }

    #[test]
    fn the_poll_loop_never_spins_and_its_pauses_grow() {
        let mut pause = PollPause::default();
        let pauses: Vec<Duration> = (0..12).map(|_| pause.next_pause()).collect();
        assert!(pauses.iter().all(|pause| *pause >= FIRST_POLL_PAUSE / 2));
        assert!(pauses[11] > pauses[0]);
    }
}
