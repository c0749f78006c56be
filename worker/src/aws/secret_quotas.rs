//! Secrets Manager's quotas on requests, below which a worker keeps in its own account: there, with a central store, it writes for all
//! accounts at once. In users' own accounts each has quotas to itself.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use key_rotation_aws::CallCounter;
use tokio::time::{Instant, sleep_until};

/// Requests a second that a worker makes of those that one quota counts together. Every quota here is at least 50 a second and region, for the
/// account whose identity makes the requests, and cannot be raised; that on `DescribeSecret` is 10,000 and out of reach. (Secrets Manager
/// User Guide, "AWS Secrets Manager quotas".) What is left is for others, and for Secrets Manager's counting by its own seconds.
const MAX_RATE: f64 = 40.0;

/// After requests that came too fast the rate is halved, but no more often than this: those under way meet the same refusal.
const HALVED_AT_MOST_EVERY: Duration = Duration::from_secs(1);

/// Requests that are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// `PutSecretValue`, `UpdateSecret`, `UpdateSecretVersionStage`, `ReplicateSecretToRegions`.
    Versions,
    /// `GetResourcePolicy`, `PutResourcePolicy`.
    Policies,
    /// `CreateSecret`.
    Create,
    /// `RestoreSecret`.
    Restore,
    /// `TagResource`.
    Tags,
    /// `ListSecrets`.
    List,
}

impl Quota {
    const COUNT: usize = Quota::List as usize + 1;
}

/// The turns that requests take, of each quota for itself.
///
/// Other workers use the same quotas and are not known of. So the rate is halved where requests came too fast, and rises again by one a
/// second and second.
#[derive(Debug)]
pub struct SecretQuotas {
    calls: CallCounter,
    rate: Mutex<RequestRate>,
}

#[derive(Debug)]
struct RequestRate {
    next: [Instant; Quota::COUNT],
    per_second: f64,
    throttles: u64,
    halved: Option<Instant>,
}

impl SecretQuotas {
    /// Goes by the refusals that this counts.
    pub fn new(calls: CallCounter) -> Self {
        let rate =
            RequestRate { next: [Instant::now(); Quota::COUNT], per_second: MAX_RATE, throttles: 0, halved: None };
        Self { calls, rate: Mutex::new(rate) }
    }

    /// Waits until the next request may be made.
    pub async fn wait_for_quota(&self, quota: Quota) {
        sleep_until(self.next(quota, Instant::now())).await;
    }

    fn next(&self, quota: Quota, now: Instant) -> Instant {
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        let throttles = self.calls.throttles();
        let was_just_halved = rate.halved.is_some_and(|halved| now.duration_since(halved) < HALVED_AT_MOST_EVERY);
        if throttles == rate.throttles {
            rate.per_second = (rate.per_second + 1.0 / rate.per_second).min(MAX_RATE);
        } else if !was_just_halved {
            rate.per_second = (rate.per_second / 2.0).max(1.0);
            rate.halved = Some(now);
        }
        rate.throttles = throttles;
        let interval = Duration::from_secs_f64(1.0 / rate.per_second);
        let next = &mut rate.next[quota as usize];
        let turn = (*next).max(now);
        *next = turn + interval;
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_one_quota_take_turns_and_those_of_another_do_not_wait_for_them() {
        let (quotas, now) = (SecretQuotas::new(CallCounter::default()), Instant::now());
        let turns: Vec<Instant> = (0..80).map(|_| quotas.next(Quota::Versions, now)).collect();
        assert_eq!(turns[0], now);
        let last = turns[79].duration_since(now).as_secs_f64();
        assert!((79.0 / 40.0 - last).abs() < 0.01, "the last of 80 after {last} s");
        assert_eq!(quotas.next(Quota::Policies, now), now);
    }
}
