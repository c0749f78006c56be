//! AWS's clock: what time it is where the keys live.
//!
//! A worker on a host whose clock is a month ahead would disable and delete keys a month early. So decisions are made on
//! AWS's own time: every answer carries a `Date` header, and "now" is the last of them plus the time since then on this
//! host's monotonic clock. `docs/decisions/time-is-aws-time.md` has the reasons.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use jiff::{SignedDuration, Timestamp};

/// `Date` headers are whole seconds, cut off: within this, a header says nothing new.
const RESOLUTION: SignedDuration = SignedDuration::from_secs(2);

/// A clock that is set by AWS's answers. Clones share one reading.
#[derive(Debug, Clone, Default)]
pub struct AwsClock(Arc<Mutex<Option<Reading>>>);

#[derive(Debug, Clone, Copy)]
struct Reading {
    time: Timestamp,
    at: Instant,
}

impl Reading {
    fn now(self) -> Timestamp {
        let since = SignedDuration::try_from(self.at.elapsed()).unwrap_or(SignedDuration::MAX);
        self.time.checked_add(since).unwrap_or(Timestamp::MAX)
    }
}

impl AwsClock {
    /// The time, by AWS. Before the first answer there is only this host's clock.
    pub fn now(&self) -> Timestamp {
        match *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(reading) => reading.now(),
            None => Timestamp::now(),
        }
    }

    /// Takes note of a `Date` header (RFC 9110, IMF-fixdate). What is no date is passed over.
    pub fn observe(&self, date: &str) {
        let Ok(zoned) = jiff::fmt::rfc2822::parse(date) else { return };
        let seen = zoned.timestamp();
        let mut reading = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = reading.map(Reading::now);
        // Forward always: what AWS has dated, as a key it has just made, must not lie in the future of whoever reads this
        // clock. Back only by more than the headers' own resolution.
        if known.is_none_or(|known| seen > known || known.duration_since(seen) > RESOLUTION) {
            *reading = Some(Reading { time: seen, at: Instant::now() });
        }
    }
}

impl AwsClock {
    fn observe_answer(&self, context: &BeforeDeserializationInterceptorContextRef<'_>) {
        if let Some(date) = context.response().headers().get("date") {
            self.observe(date);
        }
    }
}

/// Sets the clock from every answer; given to each client as an interceptor.
#[dyn_dispatch_hint]
impl Intercept for AwsClock {
    fn name(&self) -> &'static str {
        "AwsClock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.observe_answer(context);
        Ok(())
    }
}

/// Notes when one call was answered, by AWS's clock; given to that call as an interceptor.
///
/// Whoever asks the clock itself after the call may have been asleep in between.
#[derive(Debug, Clone)]
pub struct AnswerTime {
    clock: AwsClock,
    answered: Arc<Mutex<Option<Timestamp>>>,
}

impl AnswerTime {
    /// Goes by this clock.
    pub fn by(clock: AwsClock) -> Self {
        Self { clock, answered: Arc::default() }
    }

    /// When the last try of the call was answered; `None` if it was not.
    pub fn get(&self) -> Option<Timestamp> {
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[dyn_dispatch_hint]
impl Intercept for AnswerTime {
    fn name(&self) -> &'static str {
        "AnswerTime"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.clock.observe_answer(context);
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.clock.now());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_follows_the_date_header_however_far_it_is_from_this_hosts_clock() {
        let clock = AwsClock::default();
        clock.observe("Sun, 06 Nov 2044 08:49:37 GMT");
        let expected: Timestamp = "2044-11-06T08:49:37Z".parse().unwrap();
        assert!(clock.now().duration_since(expected).abs() < SignedDuration::from_secs(60));
    }

    #[test]
    fn a_header_within_its_own_resolution_does_not_turn_the_clock_back() {
        let clock = AwsClock::default();
        clock.observe("Sun, 06 Nov 2044 08:49:38 GMT");
        let before = clock.now();
        clock.observe("Sun, 06 Nov 2044 08:49:37 GMT");
        assert!(clock.now() >= before);
    }

    #[test]
    fn the_clock_is_never_behind_the_last_answer() {
        let clock = AwsClock::default();
        clock.observe("Sun, 06 Nov 2044 08:49:37 GMT");
        clock.observe("Sun, 06 Nov 2044 08:49:38 GMT");
        let answered: Timestamp = "2044-11-06T08:49:38Z".parse().unwrap();
        assert!(clock.now() >= answered, "a second behind is enough to date a notice before the key it is about");
    }

    #[test]
    fn what_is_no_date_is_passed_over() {
        let clock = AwsClock::default();
        clock.observe("yesterday");
        assert!(clock.now().duration_since(Timestamp::now()).abs() < SignedDuration::from_secs(60));
    }
}
