//! Handlers that fail, panic or never end: one failed delivery each, never a lost message, and nobody else is held up.

use std::time::Duration;

use end_to_end::violations::violations;
use end_to_end::{ACCOUNT, Stage};
use jiff::SignedDuration;
use rotation::Reason;
use sandbox::KeySpec;
use sandbox::faults::{Calls, HoldPlan, When};
use sandbox::services::sqs::{Message, Place};
use worker::queue::{ConsumerReport, Failure, Limits, Outcome};

use crate::stage::{Work, calls, drain, limits, messages, send};

const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(60);

fn failing() -> Outcome {
    Outcome::retry(Failure::new(Reason::Throttled, "as the test says"))
}

/// For how long each message is invisible from now on.
fn invisible_for(stage: &Stage) -> Vec<Duration> {
    let now = stage.now();
    let visible_in = |message: &Message| match message.place {
        Place::InFlight { until, .. } => Duration::try_from(until.duration_since(now)).unwrap_or_default(),
        Place::Visible | Place::Delayed { .. } => Duration::ZERO,
    };
    messages(stage).iter().map(visible_in).collect()
}

#[tokio::test]
async fn a_panic_is_one_failed_message_and_the_others_go_on() {
    let stage = Stage::with(false).await;
    send(&stage, &["a", "panic", "b"]).await;
    let handler = Work(async |message: crate::stage::Received| {
        assert_ne!(message.body, "panic", "asked for by the test");
        Outcome::Done
    });
    let drained = drain(&stage, Limits { max_concurrent: 1, retry_delay: FIRST, ..limits() }, handler).await;
    assert_eq!(drained, ConsumerReport { handled: 3, left: 1 });
    let left = messages(&stage);
    assert_eq!(left.iter().map(|message| message.body.as_str()).collect::<Vec<_>>(), ["panic"]);
    let delay = invisible_for(&stage).remove(0);
    assert!(delay > Duration::ZERO && delay <= FIRST, "it is tried again in {delay:?}");
}

/// With the number of receives the delay's ceiling doubles up to the cap, and the delay is anything below it.
#[tokio::test]
async fn a_failed_message_is_delayed_by_how_often_it_was_received() {
    let stage = Stage::with(false).await;
    let bodies: Vec<String> = (0..20).map(|number| format!("message {number}")).collect();
    send(&stage, &bodies.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let limits = Limits { retry_delay: FIRST, longest_retry: LONGEST, ..limits() };
    for ceiling in [10, 20, 40, 60].map(Duration::from_secs) {
        drain(&stage, limits, Work(async |_| failing())).await;
        let delays = invisible_for(&stage);
        assert_eq!(delays.len(), bodies.len());
        assert!(delays.iter().all(|delay| *delay >= Duration::from_secs(1) && *delay <= ceiling), "{delays:?}");
        // That twenty draws all fall into one half happens once in half a million runs.
        assert!(delays.iter().any(|delay| *delay <= ceiling / 2), "below {ceiling:?}: {delays:?}");
        assert!(delays.iter().any(|delay| *delay >= ceiling / 2), "below {ceiling:?}: {delays:?}");
        stage.pass(SignedDuration::try_from(ceiling).expect("it is short"));
    }
}

#[tokio::test]
async fn a_message_that_is_not_to_be_tried_before_some_time_is_not() {
    let stage = Stage::with(false).await;
    send(&stage, &["later"]).await;
    const AFTER: Duration = Duration::from_secs(1200);
    let handler = Work(async |_| Outcome::Retry {
        failure: Failure::new(Reason::Throttled, "as the test says"),
        after: Some(AFTER),
    });
    drain(&stage, Limits { retry_delay: FIRST, ..limits() }, handler).await;
    let delay = invisible_for(&stage).remove(0);
    let in_time = AFTER..=AFTER + Duration::from_secs(2);
    assert!(in_time.contains(&delay), "and no retry's delay besides: {delay:?}");
}

/// The real handler, in the middle of an attempt: its key is stored, and the answer never comes.
#[tokio::test]
async fn a_handler_that_overruns_its_time_is_dropped_and_its_message_tried_again() {
    let stage = Stage::with(false).await;
    stage.user(&[KeySpec::aged(95).used_days_ago(1)]);
    stage.schedule().await;
    let calls_of = Calls::new("secretsmanager:PutSecretValue");
    let hold = stage.world(|world| world.faults.hold(HoldPlan { calls: calls_of, at_call: 1, when: When::After }));
    let mut settings = stage.settings();
    settings.limits.message_timeout = Duration::from_secs(3);
    let report = stage.work_with(&settings).await;
    assert!(hold.is_reached());
    assert_eq!((report.handled, report.left), (1, 1));
    hold.release();
    let after_it = stage.world(|world| {
        let given_up = world.journal.calls().find(|call| call.operation == "ChangeMessageVisibility");
        let given_up = given_up.expect("it is to be tried again").seq;
        world.journal.calls().filter(|call| call.seq > given_up && call.account == ACCOUNT).count()
    });
    assert_eq!(after_it, 0, "whoever was working on it calls no more");

    stage.pass(SignedDuration::from_mins(21));
    stage.work().await;
    assert_eq!(stage.waiting(), 0);
    assert_eq!(stage.keys().len(), 2);
    assert_eq!(violations(&stage), [] as [String; 0]);
    assert_eq!(calls(&stage, "DeleteMessageBatch"), 1);
}
