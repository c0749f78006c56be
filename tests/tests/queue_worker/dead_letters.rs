//! What cannot succeed goes to the dead-letter queue with its reason, and is deleted only when it is safe there.

use end_to_end::Stage;
use jiff::SignedDuration;
use rotation::Reason;
use sandbox::journal::Effect;
use sandbox::services::sqs::Message;
use sandbox::world::MANAGEMENT_ACCOUNT;
use worker::queue::{Failure, Handler, Outcome};

use crate::stage::{Work, calls, drain, letters, limits, messages, send};

/// Longer than any delay of a retry.
const LATER: SignedDuration = SignedDuration::from_hours(1);

fn hopeless() -> impl Handler {
    Work(async |_| Outcome::DeadLetter(Failure::new(Reason::Refused, "because the test says so")))
}

fn attributes(letter: &Message) -> Vec<(&str, &str)> {
    let attributes = letter.attributes.iter();
    attributes.map(|(name, value)| (name.as_str(), value.string_value.as_deref().unwrap_or_default())).collect()
}

/// What happened to messages, in order: `sent` or `deleted`, and on which queue.
fn story(stage: &Stage) -> Vec<(&'static str, String)> {
    stage.world(|world| {
        let effects = world.journal.effects().iter();
        effects
            .filter_map(|record| match &record.effect {
                Effect::MessageSent { queue, .. } => Some(("sent", queue.clone())),
                Effect::MessageDeleted { queue, .. } => Some(("deleted", queue.clone())),
                _ => None,
            })
            .collect()
    })
}

/// The ids of all messages, in the order in which they were sent.
fn messages_sent(stage: &Stage) -> Vec<String> {
    stage.world(|world| {
        let effects = world.journal.effects().iter();
        effects
            .filter_map(|record| match &record.effect {
                Effect::MessageSent { id, .. } => Some(id.clone()),
                _ => None,
            })
            .collect()
    })
}

#[tokio::test]
async fn a_permanent_failure_is_in_the_dead_letter_queue_before_the_original_is_deleted() {
    for fifo in [true, false] {
        let stage = Stage::with(fifo).await;
        send(&stage, &["body"]).await;
        drain(&stage, limits(), hopeless()).await;
        let (work, dead) = (stage.queue.name().to_owned(), stage.dead_letters.name().to_owned());
        assert_eq!(story(&stage), [("sent", work.clone()), ("sent", dead), ("deleted", work)]);
        let letters = letters(&stage);
        assert_eq!(letters.len(), 1);
        assert_eq!(letters[0].body, "body");
        let first = &messages_sent(&stage)[0];
        assert_eq!(
            attributes(&letters[0]),
            [
                ("Attempts", "1"),
                ("ErrorKind", "Refused"),
                ("ErrorMessage", "because the test says so"),
                ("FirstMessageId", first.as_str()),
                ("FirstSent", "2026-03-01T09:00:00Z"),
                ("RunId", "run of body")
            ]
        );
    }
}

#[tokio::test]
async fn what_cannot_be_put_into_the_dead_letter_queue_stays_where_it_is() {
    let stage = Stage::new().await;
    let dead_letters = stage.dead_letters.name().to_owned();
    stage.world(|world| world.faults.deny(MANAGEMENT_ACCOUNT, "sqs:SendMessage", Some(&dead_letters)));
    send(&stage, &["body"]).await;
    drain(&stage, limits(), hopeless()).await;
    assert_eq!(letters(&stage), []);
    assert_eq!(messages(&stage).len(), 1);
    assert_eq!(calls(&stage, "DeleteMessageBatch"), 0);

    stage.world(|world| world.faults.allow_all(MANAGEMENT_ACCOUNT));
    stage.pass(LATER);
    drain(&stage, limits(), hopeless()).await;
    assert_eq!((letters(&stage).len(), messages(&stage).len()), (1, 0));
}

#[tokio::test]
async fn a_dead_letter_whose_original_could_not_be_deleted_is_one_letter_on_a_fifo_queue() {
    let stage = Stage::new().await;
    stage.world(|world| world.faults.deny(MANAGEMENT_ACCOUNT, "sqs:DeleteMessage*", None));
    send(&stage, &["body"]).await;
    drain(&stage, limits(), hopeless()).await;
    assert_eq!((letters(&stage).len(), messages(&stage).len()), (1, 1));

    stage.world(|world| world.faults.allow_all(MANAGEMENT_ACCOUNT));
    // Until its visibility timeout; SQS recognises a repeat for five minutes.
    stage.pass(SignedDuration::from_secs(121));
    drain(&stage, limits(), hopeless()).await;
    assert_eq!((letters(&stage).len(), messages(&stage).len()), (1, 0));
}

#[tokio::test]
async fn the_last_delivery_that_fails_is_a_dead_letter_with_its_reason_and_not_one_of_sqs() {
    let stage = Stage::with(false).await;
    send(&stage, &["body"]).await;
    let failing = || Work(async |_| Outcome::retry(Failure::new(Reason::Throttled, "not now")));
    for delivery in 1..=5 {
        assert_eq!(letters(&stage), [], "before delivery {delivery}");
        drain(&stage, limits(), failing()).await;
        stage.pass(LATER);
    }
    let letters = letters(&stage);
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].dead_letter_source, None, "SQS's own redrive would have told no reason");
    let attributes = attributes(&letters[0]);
    assert!(
        attributes.contains(&("Attempts", "5")) && attributes.contains(&("ErrorKind", "Throttled")),
        "{attributes:?}"
    );
}
