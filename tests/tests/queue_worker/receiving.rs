//! Receiving, and what is said back to SQS: no more messages than are worked on or soon will be, no spinning, each deletion by itself.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aws_sdk_sqs::types::MessageAttributeValue;
use end_to_end::Stage;
use futures::future::join_all;
use sandbox::faults::{Calls, HoldPlan, When};
use sandbox::services::sqs::EntryFailure;
use sandbox::world::MANAGEMENT_ACCOUNT;
use tokio::sync::Semaphore;
use worker::queue::batch_delete::BatchDeleter;
use worker::queue::{Limits, Outcome};

use crate::stage::{Received, Work, calls, drain, limits, messages, send, serve, until};

const BODIES: [&str; 9] = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];

type Counter = Arc<AtomicUsize>;

/// How many of [`BODIES`] are deleted.
fn deleted(stage: &Stage) -> usize {
    BODIES.len() - messages(stage).len()
}

fn in_flight(stage: &Stage) -> usize {
    stage.world(|world| {
        let queue = world.queues.queue(MANAGEMENT_ACCOUNT, stage.queue.name());
        queue.expect("the work queue").in_flight()
    })
}

#[tokio::test]
async fn a_worker_holds_no_more_messages_than_it_works_on_while_its_work_is_long() {
    const AT_ONCE: usize = 3;
    let stage = Arc::new(Stage::with(false).await);
    send(&stage, &BODIES).await;
    let (started, ended, most) = (Counter::default(), Counter::default(), Counter::default());
    let finish = Arc::new(Semaphore::new(0));
    let handler = {
        let (stage, finish) = (stage.clone(), finish.clone());
        let (started, ended, most) = (started.clone(), ended.clone(), most.clone());
        Work(move |_| {
            let (stage, finish) = (stage.clone(), finish.clone());
            let (started, ended, most) = (started.clone(), ended.clone(), most.clone());
            async move {
                // In this order: what ends in between makes room.
                let received = in_flight(&stage) + deleted(&stage);
                most.fetch_max(received.saturating_sub(ended.load(Ordering::SeqCst)), Ordering::SeqCst);
                started.fetch_add(1, Ordering::SeqCst);
                finish.acquire().await.expect("it is never closed").forget();
                ended.fetch_add(1, Ordering::SeqCst);
                Outcome::Done
            }
        })
    };
    let serving = serve(&stage, Limits { max_concurrent: AT_ONCE, ..limits() }, handler).await;
    for ended in 0..=BODIES.len() - AT_ONCE {
        until("it works on as many as it may", || started.load(Ordering::SeqCst) == ended + AT_ONCE).await;
        until("the others are deleted or left to other workers", || in_flight(&stage) == AT_ONCE).await;
        finish.add_permits(1);
    }
    finish.add_permits(AT_ONCE);
    until("all are done", || stage.waiting() == 0).await;
    assert_eq!(most.load(Ordering::SeqCst), AT_ONCE);
    serving.abort();
}

/// Two pieces of work end, the second while a receive is under way: so twice that is received ahead with the next one, and waits.
#[tokio::test]
async fn while_work_is_short_and_the_queue_has_more_some_messages_wait_in_the_worker_for_the_next_free_places() {
    const AT_ONCE: usize = 16;
    let stage = Stage::with(false).await;
    let bodies: Vec<String> = (0..30).map(|number| format!("account {number}")).collect();
    send(&stage, &bodies.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let started = Arc::new(Mutex::new(Vec::new()));
    let finish = Arc::new(Semaphore::new(0));
    let handler = {
        let (started, finish) = (started.clone(), finish.clone());
        Work(move |received: Received| {
            started.lock().expect("no test panics with it").push(received.body);
            let finish = finish.clone();
            async move {
                finish.acquire().await.expect("it is never closed").forget();
                Outcome::Done
            }
        })
    };
    let began = || started.lock().expect("no test panics with it").clone();
    let deleted = || bodies.len() - messages(&stage).len();
    let serving = serve(&stage, Limits { max_concurrent: AT_ONCE, ..limits() }, handler).await;
    until("all places are taken", || began().len() == AT_ONCE).await;
    let receives = HoldPlan { calls: Calls::new("sqs:ReceiveMessage"), at_call: 1, when: When::Before };
    let receive = stage.world(|world| world.faults.hold(receives));
    finish.add_permits(1);
    until("the free place is received for", || receive.is_reached()).await;
    finish.add_permits(1);
    until("a second piece of work is done meanwhile", || deleted() == 2).await;
    receive.release();

    until("two messages wait for a place", || in_flight(&stage) == AT_ONCE + 2).await;
    until("the others are worked on", || began().len() == AT_ONCE + 2).await;
    let receives = calls(&stage, "ReceiveMessage");
    finish.add_permits(1);
    until("one of the two has its place", || began().len() == AT_ONCE + 3).await;
    finish.add_permits(1);
    until("so has the other", || began().len() == AT_ONCE + 4).await;
    until("what is done is deleted", || deleted() == 4).await;
    assert_eq!(began()[AT_ONCE + 2..], bodies[AT_ONCE + 2..AT_ONCE + 4], "the first received is the first");
    assert_eq!(
        (calls(&stage, "ReceiveMessage"), in_flight(&stage)),
        (receives, AT_ONCE),
        "no receive was needed for them"
    );
    finish.add_permits(bodies.len());
    until("all are done", || stage.waiting() == 0).await;
    serving.abort();
}

/// What is done takes nobody's place, until SQS has not been told of so many that something must be wrong.
#[tokio::test]
async fn others_are_worked_on_while_what_is_done_is_being_deleted_but_no_more_than_as_many_again_are_held() {
    const AT_ONCE: usize = 3;
    let stage = Stage::with(false).await;
    send(&stage, &BODIES).await;
    let deletes = HoldPlan { calls: Calls::new("sqs:DeleteMessageBatch"), at_call: 1, when: When::Before };
    let delete = stage.world(|world| world.faults.hold(deletes));
    let worked_on = Counter::default();
    let handler = {
        let worked_on = worked_on.clone();
        Work(move |_| {
            worked_on.fetch_add(1, Ordering::SeqCst);
            async { Outcome::Done }
        })
    };
    let serving = serve(&stage, Limits { max_concurrent: AT_ONCE, ..limits() }, handler).await;
    until("as many again are worked on", || worked_on.load(Ordering::SeqCst) == 2 * AT_ONCE).await;
    until("what is done is being deleted", || delete.is_reached()).await;
    let sqs = stage.connection("metronome").sqs();
    for _ in 0..50 {
        sqs.get_queue_attributes().queue_url(stage.queue.as_str()).send().await.expect("an answer");
    }
    assert_eq!(
        (worked_on.load(Ordering::SeqCst), in_flight(&stage)),
        (2 * AT_ONCE, 2 * AT_ONCE),
        "the others are left"
    );
    delete.release();
    until("all are done", || stage.waiting() == 0).await;
    assert_eq!(worked_on.load(Ordering::SeqCst), BODIES.len());
    serving.abort();
}

#[tokio::test]
async fn a_receive_that_fails_is_not_repeated_at_once_and_work_goes_on_when_it_succeeds_again() {
    /// Calls one after the other, to compare with: a loop that spins would have made as many.
    const CALLS: usize = 200;
    let stage = Stage::with(false).await;
    stage.world(|world| world.faults.deny(MANAGEMENT_ACCOUNT, "sqs:ReceiveMessage", None));
    let serving = serve(&stage, limits(), Work(async |_| Outcome::Done)).await;
    let sqs = stage.connection("metronome").sqs();
    for _ in 0..CALLS {
        sqs.get_queue_attributes().queue_url(stage.queue.as_str()).send().await.expect("an answer");
    }
    until("it was tried again", || calls(&stage, "ReceiveMessage") >= 2).await;
    let receives = calls(&stage, "ReceiveMessage");
    assert!(receives < CALLS as u64 / 10, "{receives} receives within {CALLS} calls");

    stage.world(|world| world.faults.allow_all(MANAGEMENT_ACCOUNT));
    send(&stage, &["body"]).await;
    until("work goes on", || stage.waiting() == 0).await;
    serving.abort();
}

/// Receives all messages; gives their receipt handles.
async fn receipts(stage: &Stage) -> Vec<String> {
    let sqs = stage.connection("test").sqs();
    let received = sqs.receive_message().queue_url(stage.queue.as_str()).max_number_of_messages(10).send().await;
    let messages = received.expect("a receive").messages.unwrap_or_default();
    messages.into_iter().filter_map(|message| message.receipt_handle).collect()
}

async fn delete_all(stage: &Stage) -> Vec<bool> {
    let receipts = receipts(stage).await;
    let deleter = BatchDeleter::start(stage.connection("test").sqs(), stage.queue.clone());
    join_all(receipts.into_iter().map(|receipt| deleter.delete(receipt))).await
}

fn refuse_first_entry(stage: &Stage, times: Option<u32>) {
    stage.world(|world| {
        world.queues.knobs.entry_failures = vec![EntryFailure {
            operation: Some("DeleteMessageBatch".to_owned()),
            containing: Some("0".to_owned()),
            times,
            code: "InternalError".to_owned(),
            sender_fault: false,
        }];
    });
}

#[tokio::test]
async fn an_entry_of_a_batch_that_is_refused_is_tried_again_by_itself() {
    let stage = Stage::with(false).await;
    send(&stage, &["a", "b", "c"]).await;
    refuse_first_entry(&stage, Some(1));
    assert_eq!(delete_all(&stage).await, [true, true, true]);
    assert_eq!((stage.waiting(), calls(&stage, "DeleteMessageBatch")), (0, 2));
}

#[tokio::test]
async fn an_entry_that_is_refused_for_good_is_said_to_be_and_the_others_are_deleted() {
    let stage = Stage::with(false).await;
    send(&stage, &["a", "b", "c"]).await;
    refuse_first_entry(&stage, None);
    assert_eq!(delete_all(&stage).await, [false, true, true]);
    assert_eq!(messages(&stage).iter().map(|message| message.body.as_str()).collect::<Vec<_>>(), ["a"]);
    assert_eq!(calls(&stage, "DeleteMessageBatch"), 3);
}

/// SQS counts the receives of a letter that is sent back from one, as if nobody had ever begun with it.
#[tokio::test]
async fn a_dead_letter_that_was_sent_back_is_told_from_a_new_message() {
    let stage = Stage::with(false).await;
    let attempts = MessageAttributeValue::builder().data_type("Number").string_value("5").build();
    let sqs = stage.connection("test").sqs();
    let sent = sqs
        .send_message()
        .queue_url(stage.queue.as_str())
        .message_body("sent back")
        .message_attributes("Attempts", attempts.expect("an attribute"))
        .send();
    sent.await.expect("it is taken");
    send(&stage, &["new"]).await;
    let handled = Work(async |received: Received| {
        assert_eq!(received.message.receive_count, 1);
        assert_eq!(received.message.redelivered, received.body == "sent back");
        Outcome::Done
    });
    drain(&stage, limits(), handled).await;
    assert_eq!(stage.waiting(), 0, "both are as they should be");
}
