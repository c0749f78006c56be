//! Trying again: exponentially longer waits with jitter, by the crate `backoff`, which is used nowhere else in here.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;
use key_rotation_aws::{AwsError, ErrorClass};

/// How often, and how fast, something is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// The first wait; each is about twice the one before.
    pub first: Duration,
    /// No wait is longer, jitter aside.
    pub longest: Duration,
    /// How often it is tried in all.
    pub attempts: u32,
}

impl Patience {
    /// For one message: given up after about six seconds, on top of the SDK's own three tries a call.
    pub const MESSAGE: Patience =
        Patience { first: Duration::from_millis(200), longest: Duration::from_secs(4), attempts: 6 };
    /// For what the whole run depends on, a page of a listing or a batch: given up after about half a minute.
    pub const RUN: Patience =
        Patience { first: Duration::from_millis(500), longest: Duration::from_secs(10), attempts: 7 };

    /// The waits between the attempts: one fewer than attempts, each within half of twice the one before.
    pub fn waits(self) -> impl Iterator<Item = Duration> {
        let mut backoff = ExponentialBackoff {
            current_interval: self.first,
            initial_interval: self.first,
            max_interval: self.longest,
            multiplier: 2.0,
            randomization_factor: 0.5,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        let retries = usize::try_from(self.attempts.saturating_sub(1)).unwrap_or(usize::MAX);
        std::iter::from_fn(move || backoff.next_backoff()).take(retries)
    }
}

/// Makes a call until it succeeds, fails in a way that trying again does not mend, or patience is at its end.
///
/// # Errors
/// The last attempt's.
pub async fn retry<T>(patience: Patience, mut call: impl AsyncFnMut() -> Result<T, AwsError>) -> Result<T, AwsError> {
    let mut waits = patience.waits();
    loop {
        match call().await {
            Ok(answer) => return Ok(answer),
            Err(error) if !worth_trying_again(error.class) => return Err(error),
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

/// Whether the same call may succeed a little later.
pub fn worth_trying_again(class: ErrorClass) -> bool {
    match class {
        ErrorClass::Throttled | ErrorClass::Transient => true,
        ErrorClass::SessionEnded
        | ErrorClass::Denied
        | ErrorClass::NotFound
        | ErrorClass::Conflict
        | ErrorClass::LimitExceeded
        | ErrorClass::Rejected
        | ErrorClass::SendingOff
        | ErrorClass::Invalid => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_stay_within_their_bound_and_end() {
        let patience = Patience { first: Duration::from_millis(100), longest: Duration::from_secs(1), attempts: 9 };
        let waits: Vec<Duration> = patience.waits().collect();
        assert_eq!(waits.len(), 8);
        assert!(waits[0] >= Duration::from_millis(50) && waits[0] <= Duration::from_millis(150));
        assert!(waits.iter().all(|wait| *wait <= Duration::from_millis(1500)));
        assert!(waits[7] >= Duration::from_millis(500), "the last waits are around the longest");
    }

    #[test]
    fn one_attempt_means_no_wait() {
        let patience = Patience { attempts: 1, ..Patience::MESSAGE };
        assert_eq!(patience.waits().count(), 0);
    }
}
