//! AWS's clock: what time it is where the keys live.
//!
//! A worker on a host whose clock is a month ahead would disable and delete keys a month early. So decisions are made on
//! AWS's own time: every answer carries a `Date` header, and "now" is the last of them plus the time since then on this
//! host's monotonic clock. `docs/decisions/time-is-aws-time.md` has the reasons.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};
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

    /// Takes note of the `Date` header (RFC 9110, IMF-fixdate) of the answer to a request that was sent then. What is no date
    /// is passed over.
    ///
    /// Forward always: what AWS has dated, as a key it has just made, must not lie in the future of whoever reads this clock.
    /// Back only by more than the headers' own resolution, and by no answer that may be old itself: it can have waited since
    /// the request was sent, for a worker that stood still. Were the clock to follow it, that worker would take its session
    /// for one that goes on.
    pub fn observe(&self, date: &str, sent: Instant) {
        let Some(seen) = parse(date) else { return };
        let latest = Reading { time: seen, at: sent }.now();
        let mut reading = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let set = match *reading {
            None => true,
            Some(known) if seen > known.now() => true,
            Some(known) => known.at < sent && known.now().duration_since(latest) > RESOLUTION,
        };
        if set {
            *reading = Some(Reading { time: seen, at: Instant::now() });
        }
    }
}

fn parse(date: &str) -> Option<Timestamp> {
    Some(jiff::fmt::rfc2822::parse(date).ok()?.timestamp())
}

fn date<'a>(context: &'a BeforeDeserializationInterceptorContextRef<'_>) -> Option<&'a str> {
    context.response().headers().get("date")
}

/// When a try of a call was sent.
#[derive(Debug)]
struct Sent(Instant);

impl Storable for Sent {
    type Storer = StoreReplace<Self>;
}

/// Sets the clock from every answer; given to each client as an interceptor.
#[dyn_dispatch_hint]
impl Intercept for AwsClock {
    fn name(&self) -> &'static str {
        "AwsClock"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        cfg.interceptor_state().store_put(Sent(Instant::now()));
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let (Some(date), Some(Sent(sent))) = (date(context), cfg.load::<Sent>()) {
            self.observe(date, *sent);
        }
        Ok(())
    }
}

/// Notes when one call was answered, by AWS's clock; given to that call as an interceptor.
///
/// Whoever asks the clock itself after the call may have been asleep in between.
#[derive(Debug, Clone)]
pub struct AnswerTime {
    clock: AwsClock,
    sent: Arc<Mutex<Option<Timestamp>>>,
    answered: Arc<Mutex<Option<Timestamp>>>,
}

impl AnswerTime {
    /// Goes by this clock.
    pub fn by(clock: AwsClock) -> Self {
        Self { clock, sent: Arc::default(), answered: Arc::default() }
    }

    /// When the last try of the call was answered: as the answer dates itself, but not before the try was sent (the services'
    /// clocks differ by a little). `None` if it was not.
    pub fn get(&self) -> Option<Timestamp> {
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[dyn_dispatch_hint]
impl Intercept for AnswerTime {
    fn name(&self) -> &'static str {
        "AnswerTime"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        *self.sent.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.clock.now());
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let sent = *self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let dated = date(context).and_then(parse);
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner) = dated.max(sent);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    /// A clock that an answer has set so many seconds ago.
    fn set(time: &str, seconds_ago: u64) -> AwsClock {
        let read = Instant::now().checked_sub(Duration::from_secs(seconds_ago)).unwrap();
        AwsClock(Arc::new(Mutex::new(Some(Reading { time: at(time), at: read }))))
    }

    fn about(clock: &AwsClock, time: &str) -> bool {
        clock.now().duration_since(at(time)).abs() < SignedDuration::from_secs(60)
    }

    #[test]
    fn the_clock_follows_the_date_header_however_far_it_is_from_this_hosts_clock() {
        let clock = AwsClock::default();
        clock.observe("Sun, 06 Nov 2044 08:49:37 GMT", Instant::now());
        assert!(about(&clock, "2044-11-06T08:49:37Z"));
    }

    #[test]
    fn a_header_within_its_own_resolution_does_not_turn_the_clock_back() {
        let clock = set("2044-11-06T08:49:38Z", 0);
        let before = clock.now();
        clock.observe("Sun, 06 Nov 2044 08:49:37 GMT", Instant::now());
        assert!(clock.now() >= before);
    }

    #[test]
    fn the_clock_is_never_behind_the_last_answer() {
        let clock = set("2044-11-06T08:49:37Z", 0);
        clock.observe("Sun, 06 Nov 2044 08:49:38 GMT", Instant::now());
        assert!(clock.now() >= at("2044-11-06T08:49:38Z"), "enough to date a notice before the key it is about");
    }

    #[test]
    fn a_clock_that_is_ahead_is_turned_back_by_the_answer_to_a_request_sent_since() {
        let clock = set("2044-11-06T09:49:37Z", 1);
        clock.observe("Sun, 06 Nov 2044 08:49:38 GMT", Instant::now());
        assert!(about(&clock, "2044-11-06T08:49:38Z"));
    }

    #[test]
    fn an_answer_that_waited_for_a_worker_that_stood_still_does_not_turn_the_clock_back() {
        let clock = set("2044-11-06T08:49:36Z", 1261);
        let sent = Instant::now().checked_sub(Duration::from_secs(1260)).unwrap();
        clock.observe("Sun, 06 Nov 2044 08:49:37 GMT", sent);
        assert!(about(&clock, "2044-11-06T09:10:37Z"), "21 minutes are over, whatever the answer says");
    }

    #[test]
    fn the_answer_to_an_earlier_request_does_not_turn_the_clock_back_behind_a_later_one() {
        let sent = Instant::now();
        let clock = set("2044-11-06T09:10:37Z", 0);
        clock.observe("Sun, 06 Nov 2044 08:49:37 GMT", sent);
        assert!(about(&clock, "2044-11-06T09:10:37Z"));
    }

    #[test]
    fn what_is_no_date_is_passed_over() {
        let clock = AwsClock::default();
        clock.observe("yesterday", Instant::now());
        assert!(clock.now().duration_since(Timestamp::now()).abs() < SignedDuration::from_secs(60));
    }
}
