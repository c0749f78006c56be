//! A rate that a service holds its callers to, as IAM does an account's: a token bucket, refilled by the sandbox's clock.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Faults, Site};
use crate::policy;

/// So many calls a second; what comes faster is throttled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RateLimit {
    /// The account of the caller's credentials.
    pub account: String,
    /// The actions that count together, with wildcards.
    pub actions: Vec<String>,
    pub a_second: f64,
    #[serde(skip)]
    bucket: Option<Bucket>,
}

/// What may still be called at once, as of then.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Bucket {
    tokens: f64,
    at: Timestamp,
}

impl RateLimit {
    /// At first, and after a second without a call, a second's calls may come at once.
    pub fn new(account: &str, actions: &[&str], a_second: f64) -> Self {
        let actions = actions.iter().map(|action| (*action).to_owned()).collect();
        Self { account: account.to_owned(), actions, a_second, bucket: None }
    }

    fn counts(&self, site: Site<'_>) -> bool {
        let action = format!("{}:{}", site.service.prefix(), site.operation);
        self.account == site.account && self.actions.iter().any(|pattern| policy::matches(pattern, &action))
    }

    fn admits_one(&mut self, now: Timestamp) -> bool {
        let most = self.a_second.max(1.0);
        let tokens = self.bucket.map_or(most, |Bucket { tokens, at }| {
            (tokens + now.duration_since(at).as_secs_f64().max(0.0) * self.a_second).min(most)
        });
        let admits = tokens >= 1.0;
        self.bucket = Some(Bucket { tokens: if admits { tokens - 1.0 } else { tokens }, at: now });
        admits
    }
}

impl Faults {
    /// Whether a call comes faster than a limit allows. Counts it, so: once per call.
    pub(crate) fn exceeds_a_limit(&mut self, site: Site<'_>, now: Timestamp) -> bool {
        let limit = self.limits.iter_mut().find(|limit| limit.counts(site));
        self.enabled && limit.is_some_and(|limit| !limit.admits_one(now))
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn so_many_calls_are_admitted_a_second_and_no_more_at_once_after_a_pause() {
        let mut limit = RateLimit::new("1", &["iam:*"], 2.0);
        let mut now = Timestamp::UNIX_EPOCH;
        let admitted = |limit: &mut RateLimit, now| (0..5).filter(|_| limit.admits_one(now)).count();
        assert_eq!(admitted(&mut limit, now), 2);
        now += SignedDuration::from_millis(500);
        assert_eq!(admitted(&mut limit, now), 1);
        now += SignedDuration::from_mins(1);
        assert_eq!(admitted(&mut limit, now), 2);
    }
}
