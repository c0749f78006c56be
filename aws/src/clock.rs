//! AWS's clock: what time it is where the keys live.
//!
//! A worker on a host whose clock is a month ahead would disable and delete keys a month early. So decisions are made on
//! AWS's own time: every answer carries a `Date` header, and "now" is the last of them plus the time since then on this
//! host's monotonic clock. `docs/decisions/time-is-aws-time.md` has the reasons.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};
use jiff::{SignedDuration, Timestamp};
use rotation::intent::CLOCK_TOLERANCE;

/// `Date` headers are whole seconds, cut off: within this, a header says nothing new.
const RESOLUTION: SignedDuration = SignedDuration::from_secs(2);

/// So many other services have to contradict a jump before it is taken for a fault of the one that reported it.
const CONTRADICTIONS: usize = 2;

/// A clock that is set by AWS's answers. Clones share one reading.
///
/// One answer can be wrong: a page of a proxy, a host of AWS's with a bad clock. So a jump is believed only once two services
/// agree on it. Until then there are two answers to what time it is, and who asks says which one is safe:
/// [`earliest`](Self::earliest) for whatever becomes due, [`latest`](Self::latest) for whatever ends.
#[derive(Debug, Clone, Default)]
pub struct AwsClock(Arc<Mutex<Option<Readings>>>);

#[derive(Debug, Clone)]
struct Readings {
    believed: Reading,
    jump: Option<Jump>,
}

/// A jump that one service has reported.
#[derive(Debug, Clone)]
struct Jump {
    to: Reading,
    service: String,
    /// Services that have said since that there was none.
    contradicted_by: BTreeSet<String>,
}

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
    /// The time, by AWS, as far as its services agree. Before the first answer there is only this host's clock.
    pub fn now(&self) -> Timestamp {
        self.readings().as_ref().map_or_else(Timestamp::now, |readings| readings.believed.now())
    }

    /// The earliest that it can be: for decisions on what is due.
    pub fn earliest(&self) -> Timestamp {
        self.with_jump(Timestamp::min)
    }

    /// The latest that it can be: for what must not be done after some time.
    pub fn latest(&self) -> Timestamp {
        self.with_jump(Timestamp::max)
    }

    fn with_jump(&self, choose: fn(Timestamp, Timestamp) -> Timestamp) -> Timestamp {
        match self.readings().as_ref() {
            None => Timestamp::now(),
            Some(Readings { believed, jump: None }) => believed.now(),
            Some(Readings { believed, jump: Some(jump) }) => choose(believed.now(), jump.to.now()),
        }
    }

    fn readings(&self) -> MutexGuard<'_, Option<Readings>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of the `Date` header (RFC 9110, IMF-fixdate) of a service's answer to a request that was sent then. What is no
    /// date is passed over.
    ///
    /// Forward always, up to what AWS's clocks differ by: what AWS has dated, as a key it has just made, must not lie in the
    /// future of whoever reads this clock. Back only by more than the headers' own resolution, and by no answer that may be old
    /// itself: it can have waited since the request was sent, for a worker that stood still. Were the clock to follow it, that
    /// worker would take its session for one that goes on. Further, forward or back, once two services say so.
    pub fn observe(&self, date: &str, sent: Instant, service: &str) {
        let Some(time) = parse(date) else { return };
        let seen = Reading { time, at: Instant::now() };
        let mut readings = self.readings();
        let Some(Readings { believed, jump }) = readings.as_mut() else {
            *readings = Some(Readings { believed: seen, jump: None });
            return;
        };
        let ahead = time.duration_since(believed.now());
        let behind = believed.now().duration_since(Reading { time, at: sent }.now());
        let may_turn_back = believed.at < sent;
        // What differs by more is a jump, which one answer alone does not prove.
        if ahead > CLOCK_TOLERANCE || (behind > CLOCK_TOLERANCE && may_turn_back) {
            let agreed = jump.as_ref().is_some_and(|jump| {
                jump.service != service && time.duration_since(jump.to.now()).abs() <= CLOCK_TOLERANCE
            });
            if agreed {
                *readings = Some(Readings { believed: seen, jump: None });
            } else {
                *jump = Some(Jump { to: seen, service: service.to_owned(), contradicted_by: BTreeSet::new() });
            }
            return;
        }
        if ahead > SignedDuration::ZERO || (behind > RESOLUTION && may_turn_back) {
            *believed = seen;
        }
        // An answer to an earlier request contradicts nothing: it may have waited.
        if let Some(doubted) = jump.as_mut()
            && doubted.to.at < sent
        {
            doubted.contradicted_by.insert(service.to_owned());
            if doubted.service == service || doubted.contradicted_by.len() >= CONTRADICTIONS {
                *jump = None;
            }
        }
    }
}

fn parse(date: &str) -> Option<Timestamp> {
    Some(jiff::fmt::rfc2822::parse(date).ok()?.timestamp())
}

/// The `Date` of an answer that AWS itself has given: a page of a proxy has a date too, but no request id of AWS's. (AWS SDKs and
/// Tools Reference Guide: responses carry the request id in `x-amzn-RequestId` or `x-amz-request-id`.)
fn date<'a>(context: &'a BeforeDeserializationInterceptorContextRef<'_>) -> Option<&'a str> {
    let headers = context.response().headers();
    headers.get("x-amzn-requestid").or_else(|| headers.get("x-amz-request-id"))?;
    headers.get("date")
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
        if let (Some(date), Some(Sent(sent)), Some(call)) = (date(context), cfg.load::<Sent>(), cfg.load::<Metadata>())
        {
            self.observe(date, *sent, call.service());
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
    pub fn new(clock: AwsClock) -> Self {
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
        let believed = Reading { time: at(time), at: read };
        AwsClock(Arc::new(Mutex::new(Some(Readings { believed, jump: None }))))
    }

    /// Requests sent now that these services answer with this date.
    fn answers(clock: &AwsClock, date: &str, services: &[&str]) {
        for service in services {
            clock.observe(date, Instant::now(), service);
        }
    }

    fn is_about(now: Timestamp, time: &str) -> bool {
        now.duration_since(at(time)).abs() < SignedDuration::from_secs(60)
    }

    const NOON: &str = "2044-11-06T12:00:00Z";
    const NOON_AS_HEADER: &str = "Sun, 06 Nov 2044 12:00:00 GMT";
    const A_MONTH_ON: &str = "2044-12-06T12:00:00Z";
    const A_MONTH_ON_AS_HEADER: &str = "Tue, 06 Dec 2044 12:00:00 GMT";

    #[test]
    fn the_first_answer_sets_the_clock_however_far_it_is_from_this_hosts_clock() {
        let clock = AwsClock::default();
        answers(&clock, NOON_AS_HEADER, &["SQS"]);
        assert!(is_about(clock.now(), NOON));
    }

    #[test]
    fn a_header_within_its_own_resolution_does_not_turn_the_clock_back() {
        let clock = set("2044-11-06T12:00:01Z", 0);
        let before = clock.now();
        answers(&clock, NOON_AS_HEADER, &["SQS"]);
        assert!(clock.now() >= before);
    }

    #[test]
    fn the_clock_is_never_behind_the_last_answer() {
        let clock = set("2044-11-06T11:59:59Z", 0);
        answers(&clock, NOON_AS_HEADER, &["SQS"]);
        assert!(clock.now() >= at(NOON), "enough to date a notice before the key it is about");
    }

    #[test]
    fn one_answer_or_one_service_does_not_make_the_clock_jump() {
        let clock = set(NOON, 1);
        answers(&clock, A_MONTH_ON_AS_HEADER, &["IAM", "IAM", "IAM"]);
        assert!(is_about(clock.now(), NOON) && is_about(clock.earliest(), NOON));
        assert!(is_about(clock.latest(), A_MONTH_ON), "what must not be done after some time is not done");
    }

    #[test]
    fn two_services_that_agree_make_the_clock_jump_forward_and_back() {
        for (from, to, header) in [(NOON, A_MONTH_ON, A_MONTH_ON_AS_HEADER), (A_MONTH_ON, NOON, NOON_AS_HEADER)] {
            let clock = set(from, 1);
            answers(&clock, header, &["STS"]);
            assert!(is_about(clock.now(), from));
            answers(&clock, header, &["IAM"]);
            for time in [clock.now(), clock.earliest(), clock.latest()] {
                assert!(is_about(time, to), "{time}");
            }
        }
    }

    #[test]
    fn a_first_answer_that_was_wrong_is_corrected_by_two_services() {
        let clock = AwsClock::default();
        answers(&clock, A_MONTH_ON_AS_HEADER, &["SQS"]);
        answers(&clock, NOON_AS_HEADER, &["STS"]);
        assert!(is_about(clock.earliest(), NOON), "nothing becomes due on the word of one");
        answers(&clock, NOON_AS_HEADER, &["IAM"]);
        assert!(is_about(clock.now(), NOON));
    }

    #[test]
    fn a_jump_that_others_contradict_is_forgotten() {
        for contradicting in [["STS", "SQS"], ["IAM", "IAM"]] {
            let clock = set(NOON, 1);
            answers(&clock, A_MONTH_ON_AS_HEADER, &["IAM"]);
            assert!(is_about(clock.latest(), A_MONTH_ON));
            answers(&clock, NOON_AS_HEADER, &contradicting);
            assert!(is_about(clock.latest(), NOON), "{contradicting:?}");
        }
    }

    #[test]
    fn services_that_report_different_jumps_do_not_agree() {
        let clock = set(NOON, 1);
        answers(&clock, A_MONTH_ON_AS_HEADER, &["IAM"]);
        answers(&clock, "Wed, 07 Dec 2044 12:00:00 GMT", &["STS"]);
        assert!(is_about(clock.now(), NOON));
    }

    #[test]
    fn answers_that_waited_for_a_worker_that_stood_still_do_not_turn_the_clock_back() {
        let clock = set("2044-11-06T12:00:00Z", 1261);
        let sent = Instant::now().checked_sub(Duration::from_secs(1260)).unwrap();
        for service in ["IAM", "STS"] {
            clock.observe("Sun, 06 Nov 2044 12:00:01 GMT", sent, service);
        }
        assert!(is_about(clock.now(), "2044-11-06T12:21:01Z"), "21 minutes are over, whatever the answers say");
    }

    #[test]
    fn answers_to_earlier_requests_do_not_turn_the_clock_back_behind_a_later_one() {
        let sent = Instant::now();
        let clock = set("2044-11-06T12:21:00Z", 0);
        for service in ["IAM", "STS"] {
            clock.observe(NOON_AS_HEADER, sent, service);
        }
        assert!(is_about(clock.now(), "2044-11-06T12:21:00Z"));
    }

    #[test]
    fn what_is_no_date_is_passed_over() {
        let clock = AwsClock::default();
        answers(&clock, "yesterday", &["SQS"]);
        assert!(clock.now().duration_since(Timestamp::now()).abs() < SignedDuration::from_secs(60));
    }
}
