//! Of one message group a worker works on one message at a time; what waits is kept invisible, and scheduled messages that wait
//! together are one piece of work. SQS itself brings as many messages of a group in one receive as it can.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use end_to_end::Stage;
use jiff::SignedDuration;
use rotation::Reason;
use sandbox::faults::{Calls, HoldPlan, When};
use sandbox::services::sqs::Place;
use sandbox::world::MANAGEMENT_ACCOUNT;
use tokio::sync::Semaphore;
use worker::queue::consumer::RunMode;
use worker::queue::{Failure, Handler, Limits, Outcome, Stop};

use crate::stage::{Received, Work, consumer, drain, letters, limits, messages, send_in, until};

/// The bodies that were worked on, in order: each is written down when its work begins and when it ends.
#[derive(Clone, Default)]
struct Record(Arc<Mutex<Vec<String>>>);

impl Record {
    fn write(&self, line: String) {
        self.0.lock().expect("no panic").push(line);
    }

    fn read(&self) -> Vec<String> {
        self.0.lock().expect("no panic").clone()
    }
}

/// A handler that keeps a record, and waits for a permit before each end.
fn recording(record: &Record, permits: &Arc<Semaphore>, outcome: Outcome) -> impl Handler {
    let (record, permits) = (record.clone(), permits.clone());
    Work(move |received: Received| {
        let (record, permits, outcome) = (record.clone(), permits.clone(), outcome.clone());
        async move {
            record.write(format!("begin {}", received.body));
            permits.acquire().await.expect("it is never closed").forget();
            record.write(format!("end {}", received.body));
            outcome
        }
    })
}

#[tokio::test]
async fn of_one_group_one_message_is_worked_on_at_a_time_and_in_order() {
    for fifo in [true, false] {
        let stage = Stage::with(fifo).await;
        for body in ["a #1", "a #2", "a #3"] {
            send_in(&stage, "a", body).await;
        }
        let record = Record::default();
        drain(&stage, limits(), recording(&record, &Arc::new(Semaphore::new(3)), Outcome::Done)).await;
        let expected = ["begin a #1", "end a #1", "begin a #2", "end a #2", "begin a #3", "end a #3"];
        assert_eq!(record.read(), expected, "fifo: {fifo}");
        assert_eq!(stage.waiting(), 0);
    }
}

#[tokio::test]
async fn groups_do_not_wait_for_each_other() {
    let stage = Stage::new().await;
    for (group, body) in [("a", "a #1"), ("a", "a #2"), ("b", "b #1")] {
        send_in(&stage, group, body).await;
    }
    let (record, permits) = (Record::default(), Arc::new(Semaphore::new(0)));
    let serving = drain(&stage, limits(), recording(&record, &permits, Outcome::Done));
    let watching = async {
        until("both groups are worked on", || record.read().len() == 2).await;
        let mut begun = record.read();
        begun.sort();
        assert_eq!(begun, ["begin a #1", "begin b #1"]);
        permits.add_permits(3);
    };
    tokio::join!(serving, watching);
    assert_eq!(record.read().len(), 6);
}

/// What a handler says of the newest is what becomes of all.
#[tokio::test]
async fn scheduled_messages_that_wait_together_are_one_piece_of_work_and_end_as_the_newest_does() {
    const BODIES: [&str; 3] = ["scheduled #1", "scheduled #2", "scheduled #3"];
    let failure = || Failure::new(Reason::Invalid, "because the test says so");
    for fifo in [true, false] {
        for (outcome, left, dead) in [
            (Outcome::Done, 0, 0),
            (Outcome::DeadLetter(failure()), 0, 3),
            (Outcome::Retry { failure: failure(), after: None }, 3, 0),
            (Outcome::HandBack, 3, 0),
        ] {
            let stage = Stage::with(fifo).await;
            for body in BODIES {
                send_in(&stage, "scheduled", body).await;
                stage.pass(SignedDuration::from_secs(1));
            }
            let record = Record::default();
            let handler = recording(&record, &Arc::new(Semaphore::new(1)), outcome.clone());
            let one_delivery = Limits { retry_delay: Duration::from_secs(600), stop_grace: Duration::ZERO, ..limits() };
            if outcome == Outcome::HandBack {
                // Handed back, it would be received again at once.
                let stop = Stop::default();
                let consumer = consumer(&stage, one_delivery, handler, RunMode::UntilStopped).await;
                let watching = async {
                    until("it is worked on", || record.read().len() == 2).await;
                    stop.ask();
                };
                tokio::join!(consumer.run(stop.clone()), watching);
            } else {
                drain(&stage, one_delivery, handler).await;
            }
            assert_eq!(&record.read()[..2], ["begin scheduled #3", "end scheduled #3"], "{outcome:?}");
            assert_eq!((stage.waiting(), letters(&stage).len()), (left, dead), "{outcome:?}, fifo: {fifo}");
            if matches!(outcome, Outcome::Retry { .. }) {
                let messages = messages(&stage);
                assert!(messages.iter().all(|message| message.place == messages[0].place), "they come back together");
            }
            let runs = letters(&stage).into_iter().filter_map(|letter| letter.attributes["RunId"].string_value.clone());
            assert_eq!(runs.collect::<BTreeSet<_>>().len(), dead, "each letter has its own run");
        }
    }
}

#[tokio::test]
async fn what_waits_for_its_group_is_kept_invisible_counts_as_held_and_is_handed_back_on_a_stop() {
    const VISIBILITY: Duration = Duration::from_secs(1);
    let stage = Stage::new().await;
    for (group, body) in [("a", "a #1"), ("a", "a #2"), ("b", "b #1"), ("c", "c #1")] {
        send_in(&stage, group, body).await;
    }
    let (record, permits, stop) = (Record::default(), Arc::new(Semaphore::new(0)), Stop::default());
    let limits = Limits { visibility: VISIBILITY, max_concurrent: 3, ..limits() };
    let handler = recording(&record, &permits, Outcome::Done);
    let serving = consumer(&stage, limits, handler, RunMode::UntilStopped).await.run(stop.clone());
    let in_flight = || messages(&stage).iter().filter(|m| matches!(m.place, Place::InFlight { .. })).count();
    let watching = async {
        until("two groups are worked on", || record.read().len() == 2).await;
        for _ in 0..4 {
            // Longer than its visibility in all: it is renewed although nobody works on it yet.
            let renewed = || crate::stage::calls(&stage, "ChangeMessageVisibility");
            let before = renewed();
            until("all three are renewed", || renewed() >= before + 3).await;
            stage.pass(SignedDuration::from_millis(600));
        }
        assert_eq!(in_flight(), 3, "the fourth is left to others");
        stop.ask();
        until("what waits is handed back", || in_flight() == 2).await;
        permits.add_permits(2);
    };
    tokio::join!(serving, watching);
    let left: Vec<(String, u32)> = messages(&stage).into_iter().map(|m| (m.body, m.receive_count)).collect();
    assert_eq!(left, [("a #2".to_owned(), 1), ("c #1".to_owned(), 0)], "never worked on, and received once at most");
}

/// SQS may go on with a long poll that nobody waits for any more.
#[tokio::test]
async fn what_is_handed_back_cannot_be_taken_by_the_workers_own_long_poll() {
    let stage = Stage::with(false).await;
    // The second receive waits for messages until the test is over.
    let plan = HoldPlan { calls: Calls::new("sqs:ReceiveMessage"), at_call: 2, when: When::Before };
    let poll = stage.world(|world| world.faults.hold(plan));
    send_in(&stage, "a", "a").await;
    let (record, stop) = (Record::default(), Stop::default());
    let handler = recording(&record, &Arc::new(Semaphore::new(0)), Outcome::Done);
    let limits = Limits { stop_grace: Duration::ZERO, receive_wait: Duration::from_secs(20), ..limits() };
    let serving = consumer(&stage, limits, handler, RunMode::UntilStopped).await.run(stop.clone());
    let watching = async {
        until("it is worked on", || record.read().len() == 1).await;
        until("the next long poll is under way", || poll.is_reached()).await;
        stop.ask();
    };
    tokio::join!(serving, watching);
    let message = messages(&stage).remove(0);
    let Place::InFlight { until, .. } = message.place else { panic!("it is visible: {message:?}") };
    let later = until.duration_since(stage.now());
    assert!(later > SignedDuration::from_secs(1) && later <= SignedDuration::from_secs(21), "{later:?}");
    assert_eq!(message.receive_count, 1);
}

#[tokio::test]
async fn a_message_that_waits_for_no_other_is_moved_to_a_group_of_its_own_and_goes_on_being_the_one_that_it_was() {
    let stage = Stage::with(true).await;
    for body in ["urgent a", "urgent b"] {
        send_in(&stage, "shared", body).await;
    }
    let sent: Vec<_> = messages(&stage).into_iter().map(|message| message.id).collect();
    let seen: Arc<Mutex<Vec<Received>>> = Arc::default();
    let writing = seen.clone();
    // The first one fails, and its next delivery is long in coming.
    let handler = Work(move |received: Received| {
        writing.lock().expect("no panic").push(received.clone());
        async move {
            match received.body.as_str() {
                "urgent a" => Outcome::Retry {
                    failure: Failure::new(Reason::Transient, "not yet"),
                    after: Some(Duration::from_secs(1800)),
                },
                _ => Outcome::Done,
            }
        }
    });
    // One receive for each message: what one receive brings waits in the worker alone.
    drain(&stage, Limits { max_concurrent: 1, ..limits() }, handler).await;
    let mut seen = seen.lock().expect("no panic").clone();
    seen.sort_by(|a, b| a.body.cmp(&b.body));
    let first_ids: Vec<_> = seen.iter().map(|received| received.message.first_id.clone()).collect();
    assert_eq!(first_ids, sent, "each is worked on once, as the one that was sent");
    assert!(seen.iter().all(|received| received.message.id != received.message.first_id));
    assert!(seen.iter().all(|received| !received.message.redelivered), "no work had begun before");
    let left = messages(&stage);
    assert_eq!((left.len(), left[0].body.as_str()), (1, "urgent a"), "the other one has not waited for it");
    assert_eq!(left[0].group.as_deref(), Some("of-its-own:-urgent-a"));
}

#[tokio::test]
async fn a_message_that_cannot_be_moved_is_worked_on_where_it_is() {
    let stage = Stage::with(true).await;
    for body in ["urgent a", "urgent b"] {
        send_in(&stage, "shared", body).await;
    }
    stage.world(|world| world.faults.deny(MANAGEMENT_ACCOUNT, "sqs:SendMessage", None));
    let record = Record::default();
    drain(&stage, limits(), recording(&record, &Arc::new(Semaphore::new(2)), Outcome::Done)).await;
    assert_eq!(record.read(), ["begin urgent a", "end urgent a", "begin urgent b", "end urgent b"]);
    assert_eq!((stage.waiting(), letters(&stage).len()), (0, 0));
}

#[tokio::test]
async fn a_worker_that_dies_between_the_copy_and_the_end_of_the_original_makes_no_second_copy() {
    let stage = Stage::with(true).await;
    send_in(&stage, "shared", "urgent a").await;
    stage.world(|world| world.faults.deny(MANAGEMENT_ACCOUNT, "sqs:DeleteMessageBatch", None));
    let record = Record::default();
    let permits = Arc::new(Semaphore::new(9));
    drain(&stage, limits(), recording(&record, &permits, Outcome::Done)).await;
    assert_eq!(messages(&stage).len(), 2, "the original and its copy: neither could be deleted");
    stage.world(|world| world.faults.allow_all(MANAGEMENT_ACCOUNT));
    stage.pass(SignedDuration::from_mins(3));
    drain(&stage, limits(), recording(&record, &permits, Outcome::Done)).await;
    assert_eq!(stage.waiting(), 0, "no copy more was made");
}
