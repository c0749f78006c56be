//! How long to wait before trying again: exponential, capped, full jitter. The one place that knows the crate `backoff`.
//!
//! Two uses: the poll loop after a failed receive, and the delay of a message after a retryable failure. "Full jitter" is
//! the term of AWS's Architecture Blog ("Exponential Backoff And Jitter"): anything from nothing to the whole delay, so
//! that workers that failed together do not come back together.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;

/// The first pause of the poll loop.
const FIRST_POLL_PAUSE: Duration = Duration::from_millis(200);
/// Its longest.
const LONGEST_POLL_PAUSE: Duration = Duration::from_secs(30);

fn exponential(first: Duration, longest: Duration) -> ExponentialBackoff {
    ExponentialBackoff {
        current_interval: first,
        initial_interval: first,
        // Half the interval either way; [`full_jitter`] stretches that over the whole of it.
        randomization_factor: 0.5,
        multiplier: 2.0,
        max_interval: longest,
        max_elapsed_time: None,
        ..ExponentialBackoff::default()
    }
}

/// From "interval plus or minus a half" to "nothing to interval".
fn full_jitter(drawn: Duration, interval: Duration) -> Duration {
    drawn.saturating_sub(interval / 2).min(interval)
}

/// Pauses of the poll loop.
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

/// The delay of a message that has now failed for the `attempts`th time.
pub fn retry_delay(attempts: u32, first: Duration, longest: Duration) -> Duration {
    let mut backoff = exponential(first, longest);
    // Beyond this many doublings any first delay has reached any longest.
    for _ in 1..attempts.clamp(1, 64) {
        backoff.next_backoff();
    }
    let interval = backoff.current_interval;
    let drawn = backoff.next_backoff().unwrap_or(longest);
    // SQS counts in whole seconds; nothing at all would bring the message back at once.
    full_jitter(drawn, interval).max(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_secs(15);
    const LONGEST: Duration = Duration::from_secs(900);

    #[test]
    fn a_retry_delay_lies_between_nothing_and_the_doubled_interval_and_never_beyond_the_cap() {
        for attempts in 1..200 {
            let ceiling = FIRST.saturating_mul(1 << (attempts - 1).min(10)).min(LONGEST);
            for _ in 0..50 {
                let delay = retry_delay(attempts, FIRST, LONGEST);
                assert!(delay <= ceiling, "attempt {attempts}: {delay:?} > {ceiling:?}");
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
        pause.reset();
        assert!(pause.next_pause() < Duration::from_secs(1));
    }
}
