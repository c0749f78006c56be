//! A message stays invisible to others for as long as it is worked on, and no longer.

use std::sync::Arc;
use std::time::Duration;

use end_to_end::Stage;
use jiff::SignedDuration;
use sandbox::services::sqs::Place;
use tokio::sync::Semaphore;
use worker::queue::heartbeat::{Heartbeat, change_visibility};
use worker::queue::{Handler, Limits, Outcome};

use crate::stage::{Work, calls, limits, messages, refused, send, serve, until};

const RENEW: &str = "ChangeMessageVisibility";
/// The shortest that SQS knows: a renewal every third of a second.
const VISIBILITY: Duration = Duration::from_secs(1);
/// Nearly as long.
const NEARLY: SignedDuration = SignedDuration::from_millis(900);

/// A handler that works until it gets a permit.
fn until_permitted(permits: &Arc<Semaphore>) -> impl Handler {
    let permits = permits.clone();
    Work(move |_| {
        let permits = permits.clone();
        async move {
            permits.acquire().await.expect("it is never closed").forget();
            Outcome::Done
        }
    })
}

#[tokio::test]
async fn a_message_is_invisible_to_others_while_it_is_worked_on_and_is_not_renewed_afterwards() {
    let stage = Stage::with(false).await;
    send(&stage, &["first"]).await;
    let finish = Arc::new(Semaphore::new(0));
    let limits = Limits { visibility: VISIBILITY, max_concurrent: 1, ..limits() };
    let serving = serve(&stage, limits, until_permitted(&finish)).await;
    for beat in 1..=4 {
        until("it is renewed", || calls(&stage, RENEW) >= beat).await;
        let before = calls(&stage, RENEW);
        stage.pass(NEARLY);
        until("it is renewed again", || calls(&stage, RENEW) > before).await;
    }
    let message = messages(&stage).remove(0);
    assert!(matches!(message.place, Place::InFlight { .. }), "3.6 s after a receive for 1 s");
    assert_eq!(message.receive_count, 1);

    finish.add_permits(1);
    until("it is deleted", || stage.waiting() == 0).await;
    let renewed = calls(&stage, RENEW);
    send(&stage, &["second"]).await;
    until("the second is renewed", || calls(&stage, RENEW) >= renewed + 2).await;
    assert_eq!(refused(&stage, RENEW), 0, "a renewal of the first would be refused now");
    serving.abort();
}

#[tokio::test]
async fn a_renewal_that_is_refused_is_the_last() {
    let stage = Stage::with(false).await;
    send(&stage, &["lost", "held"]).await;
    let sqs = stage.connection("test").sqs();
    let received = sqs
        .receive_message()
        .queue_url(stage.queue.as_str())
        .max_number_of_messages(2)
        .send()
        .await
        .expect("a receive");
    let receipt = |body: &str| {
        let message = received.messages().iter().find(|message| message.body() == Some(body));
        message.and_then(|message| message.receipt_handle().map(str::to_owned)).expect("both were received")
    };
    let (lost, held) = (receipt("lost"), receipt("held"));
    change_visibility(&sqs, &stage.queue, &lost, Duration::ZERO).await.expect("it is given back");
    let before = calls(&stage, RENEW);

    let renew = |receipt| Heartbeat::start(sqs.clone(), stage.queue.clone(), receipt, VISIBILITY);
    let _both = (renew(lost), renew(held));
    // The one that is held beats the time.
    until("the other was renewed four times", || calls(&stage, RENEW) >= before + 5).await;
    assert_eq!(refused(&stage, RENEW), 1);
}

#[tokio::test]
async fn work_on_a_message_that_has_timed_out_goes_on_and_its_next_delivery_is_handled_as_well() {
    let stage = Stage::with(true).await;
    send(&stage, &["slow"]).await;
    let finish = Arc::new(Semaphore::new(0));
    let limits = Limits { visibility: VISIBILITY, max_concurrent: 1, ..limits() };
    let serving = serve(&stage, limits, until_permitted(&finish)).await;
    until("it is worked on", || messages(&stage)[0].receive_count == 1).await;
    stage.pass(SignedDuration::from_secs(5));
    until("its renewal is refused", || refused(&stage, RENEW) == 1).await;
    finish.add_permits(1);
    until("it is received again", || messages(&stage)[0].receive_count == 2).await;
    finish.add_permits(1);
    until("it is deleted", || stage.waiting() == 0).await;
    serving.abort();
}
