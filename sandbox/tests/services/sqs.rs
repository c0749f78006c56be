//! Standard queues: sending, receiving, visibility, deletion, attributes, and the refusals of each.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_sdk_sqs::operation::send_message::SendMessageError;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message, MessageAttributeValue,
    MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry,
};
use jiff::SignedDuration;
use sandbox::Sandbox;
use sandbox::world::MANAGEMENT_ACCOUNT;

use crate::common::{REGION, code, member, noon, operator, serve, world};

/// A sandbox with one queue that has these attributes, a client, and the queue's URL.
pub(crate) async fn queue(name: &str, attributes: &[(&str, &str)]) -> (Sandbox, Client, String) {
    let sandbox = serve(world()).await;
    let url = sandbox
        .with(|world| world.queues.create_queue(noon(), REGION, MANAGEMENT_ACCOUNT, name, attributes))
        .expect("a queue");
    let client = Client::new(&operator(&sandbox).await);
    (sandbox, client, url)
}

pub(crate) fn advance(sandbox: &Sandbox, seconds: i64) {
    sandbox.with(|world| world.clock.advance(SignedDuration::from_secs(seconds)));
}

pub(crate) async fn send(client: &Client, url: &str, body: &str) -> String {
    let sent = client.send_message().queue_url(url).message_body(body).send().await.expect("sent");
    sent.message_id.expect("an id")
}

/// Up to ten messages that are there now, with every attribute.
pub(crate) async fn receive(client: &Client, url: &str) -> Vec<Message> {
    let received = client
        .receive_message()
        .queue_url(url)
        .max_number_of_messages(10)
        .message_system_attribute_names(MessageSystemAttributeName::All)
        .message_attribute_names("All")
        .send()
        .await
        .expect("received");
    received.messages.unwrap_or_default()
}

pub(crate) fn bodies(messages: &[Message]) -> Vec<&str> {
    messages.iter().filter_map(Message::body).collect()
}

pub(crate) fn handle(message: &Message) -> &str {
    message.receipt_handle().expect("a handle")
}

pub(crate) fn attribute<'a>(message: &'a Message, name: &MessageSystemAttributeName) -> Option<&'a str> {
    message.attributes().and_then(|attributes| attributes.get(name)).map(String::as_str)
}

/// Visible, in flight and delayed messages, as the queue's attributes count them.
pub(crate) async fn counts(client: &Client, url: &str) -> [String; 3] {
    let names = [
        QueueAttributeName::ApproximateNumberOfMessages,
        QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        QueueAttributeName::ApproximateNumberOfMessagesDelayed,
    ];
    let attributes = client
        .get_queue_attributes()
        .queue_url(url)
        .set_attribute_names(Some(names.to_vec()))
        .send()
        .await
        .expect("attributes")
        .attributes
        .expect("attributes");
    names.map(|name| attributes[&name].clone())
}

#[tokio::test]
async fn a_message_is_received_as_it_was_sent() {
    let (_sandbox, client, url) = queue("work", &[]).await;
    let kind = MessageAttributeValue::builder().data_type("String").string_value("plain").build().expect("complete");
    let sent = client
        .send_message()
        .queue_url(&url)
        .message_body("héllo")
        .message_attributes("Kind", kind)
        .send()
        .await
        .expect("sent");
    let received = receive(&client, &url).await;
    let [message] = received.as_slice() else { panic!("{received:?}") };
    assert_eq!(message.message_id(), sent.message_id());
    assert_eq!(message.body(), Some("héllo"));
    assert_eq!(message.md5_of_body(), sent.md5_of_message_body());
    assert_eq!(message.md5_of_message_attributes(), sent.md5_of_message_attributes());
    let kind = message.message_attributes().expect("attributes").get("Kind").expect("the attribute sent");
    assert_eq!((kind.data_type(), kind.string_value()), ("String", Some("plain")));
    assert_eq!(attribute(message, &MessageSystemAttributeName::ApproximateReceiveCount), Some("1"));
    let sent_at = noon().as_millisecond().to_string();
    assert_eq!(attribute(message, &MessageSystemAttributeName::SentTimestamp), Some(sent_at.as_str()));
}

#[tokio::test]
async fn attributes_come_only_when_asked_for() {
    let (_sandbox, client, url) = queue("work", &[]).await;
    send(&client, &url, "one").await;
    let received = client.receive_message().queue_url(&url).send().await.expect("received");
    let message = &received.messages()[0];
    assert!(message.attributes().is_none() && message.message_attributes().is_none());
    let unknown = client
        .receive_message()
        .queue_url(&url)
        .message_system_attribute_names(MessageSystemAttributeName::from("Colour"))
        .send()
        .await;
    assert_eq!(code(unknown).as_deref(), Some("InvalidAttributeName"));
}

#[tokio::test]
async fn a_received_message_is_hidden_until_its_visibility_timeout_is_over() {
    let (sandbox, client, url) = queue("work", &[("VisibilityTimeout", "60")]).await;
    send(&client, &url, "one").await;
    assert_eq!(bodies(&receive(&client, &url).await), ["one"]);
    advance(&sandbox, 59);
    assert!(receive(&client, &url).await.is_empty());
    assert_eq!(counts(&client, &url).await, ["0", "1", "0"]);
    advance(&sandbox, 1);
    let again = receive(&client, &url).await;
    assert_eq!(attribute(&again[0], &MessageSystemAttributeName::ApproximateReceiveCount), Some("2"));
    let first = noon().as_millisecond().to_string();
    let name = &MessageSystemAttributeName::ApproximateFirstReceiveTimestamp;
    assert_eq!(attribute(&again[0], name), Some(first.as_str()));
}

#[tokio::test]
async fn a_deleted_message_does_not_come_back() {
    let (sandbox, client, url) = queue("work", &[]).await;
    send(&client, &url, "one").await;
    let received = receive(&client, &url).await;
    for _ in 0..2 {
        let deleted = client.delete_message().queue_url(&url).receipt_handle(handle(&received[0])).send().await;
        deleted.expect("deleting twice is a success");
    }
    advance(&sandbox, 3_600);
    assert!(receive(&client, &url).await.is_empty());
    assert_eq!(counts(&client, &url).await, ["0", "0", "0"]);
}

#[tokio::test]
async fn a_stale_receipt_handle_deletes_nothing() {
    let (sandbox, client, url) = queue("work", &[("VisibilityTimeout", "30")]).await;
    send(&client, &url, "one").await;
    let first = receive(&client, &url).await;
    advance(&sandbox, 30);
    let second = receive(&client, &url).await;
    client.delete_message().queue_url(&url).receipt_handle(handle(&first[0])).send().await.expect("a success");
    advance(&sandbox, 30);
    assert_eq!(bodies(&receive(&client, &url).await), ["one"]);
    // The handle of the latest receive works even when its timeout is over, as long as nobody received again.
    assert_ne!(handle(&first[0]), handle(&second[0]));
}

#[tokio::test]
async fn what_was_never_a_receipt_handle_is_refused() {
    let (_sandbox, client, url) = queue("work", &[]).await;
    let refused = client.delete_message().queue_url(&url).receipt_handle("nonsense").send().await;
    assert_eq!(code(refused).as_deref(), Some("ReceiptHandleIsInvalid"));
}

#[tokio::test]
async fn a_message_in_flight_can_be_kept_longer_and_given_back_at_once() {
    let (sandbox, client, url) = queue("work", &[("VisibilityTimeout", "30")]).await;
    send(&client, &url, "one").await;
    let received = receive(&client, &url).await;
    let change = |seconds| {
        client
            .change_message_visibility()
            .queue_url(&url)
            .receipt_handle(handle(&received[0]))
            .visibility_timeout(seconds)
    };
    change(100).send().await.expect("kept longer");
    advance(&sandbox, 99);
    assert!(receive(&client, &url).await.is_empty());
    change(0).send().await.expect("given back");
    let refused = change(5).send().await.expect_err("it is not in flight any more").into_service_error();
    assert!(refused.is_message_not_inflight(), "{refused:?}");
    assert_eq!(bodies(&receive(&client, &url).await), ["one"]);
}

#[tokio::test]
async fn a_message_is_in_flight_for_twelve_hours_at_most() {
    let (sandbox, client, url) = queue("work", &[("VisibilityTimeout", "40000")]).await;
    send(&client, &url, "one").await;
    let received = receive(&client, &url).await;
    let change = |seconds| {
        client
            .change_message_visibility()
            .queue_url(&url)
            .receipt_handle(handle(&received[0]))
            .visibility_timeout(seconds)
    };
    assert_eq!(code(change(43_201).send().await).as_deref(), Some("InvalidParameterValue"));
    advance(&sandbox, 3_600);
    assert_eq!(code(change(43_200).send().await).as_deref(), Some("InvalidParameterValue"));
    change(39_600).send().await.expect("twelve hours in all");
}

#[tokio::test]
async fn a_long_poll_is_answered_when_a_message_comes() {
    let (_sandbox, client, url) = queue("work", &[]).await;
    let poll = client.receive_message().queue_url(&url).wait_time_seconds(20).send();
    let (received, ()) = tokio::join!(poll, async {
        tokio::task::yield_now().await;
        send(&client, &url, "late").await;
    });
    assert_eq!(bodies(received.expect("received").messages()), ["late"]);
}

#[tokio::test]
async fn a_long_poll_is_answered_when_the_clock_is_moved_past_a_delay() {
    let (sandbox, client, url) = queue("work", &[("DelaySeconds", "300")]).await;
    send(&client, &url, "delayed").await;
    assert_eq!(counts(&client, &url).await, ["0", "0", "1"]);
    let poll = client.receive_message().queue_url(&url).wait_time_seconds(20).send();
    let (received, ()) = tokio::join!(poll, async { advance(&sandbox, 300) });
    assert_eq!(bodies(received.expect("received").messages()), ["delayed"]);
}

#[tokio::test]
async fn a_long_poll_without_a_message_ends_when_its_time_is_over() {
    let (_sandbox, client, url) = queue("work", &[]).await;
    let before = std::time::Instant::now();
    let received = client.receive_message().queue_url(&url).wait_time_seconds(1).send().await.expect("an answer");
    assert!(received.messages.is_none());
    assert!(before.elapsed() >= Duration::from_millis(900));
}

#[tokio::test]
async fn messages_older_than_the_retention_period_are_gone() {
    let (sandbox, client, url) = queue("work", &[("MessageRetentionPeriod", "3600")]).await;
    send(&client, &url, "old").await;
    advance(&sandbox, 1_800);
    send(&client, &url, "young").await;
    advance(&sandbox, 1_800);
    let age = |world: &mut sandbox::Cloud| {
        world.queues.queue(MANAGEMENT_ACCOUNT, "work").and_then(|queue| queue.oldest_age(world.now()))
    };
    assert_eq!(bodies(&receive(&client, &url).await), ["young"]);
    assert_eq!(sandbox.with(age), Some(SignedDuration::from_secs(1_800)));
}

#[tokio::test]
async fn a_message_may_have_a_mebibyte_and_not_a_byte_more() {
    let (_sandbox, client, url) = queue("work", &[]).await;
    let body = "x".repeat(1_048_576);
    client.send_message().queue_url(&url).message_body(&body).send().await.expect("just fits");
    let refused = client.send_message().queue_url(&url).message_body(body + "x").send().await;
    assert_eq!(code(refused).as_deref(), Some("InvalidParameterValue"));
}

#[tokio::test]
async fn a_queue_that_is_not_there_is_told_by_its_typed_error() {
    let (sandbox, client, url) = queue("work", &[]).await;
    let other = url.replace("/work", "/other");
    let refused = client.send_message().queue_url(&other).message_body("m").send().await;
    let refused = refused.expect_err("no such queue").into_service_error();
    assert!(matches!(refused, SendMessageError::QueueDoesNotExist(_)), "{refused:?}");
    assert_eq!(refused.code(), Some("AWS.SimpleQueueService.NonExistentQueue"));
    let stranger = Client::new(&member(&sandbox).await);
    let refused = stranger.send_message().queue_url(&url).message_body("m").send().await;
    assert_eq!(code(refused).as_deref(), Some("AccessDeniedException"));
}

fn entry(id: &str, body: &str) -> SendMessageBatchRequestEntry {
    SendMessageBatchRequestEntry::builder().id(id).message_body(body).build().expect("complete")
}

#[tokio::test]
async fn a_batch_answers_for_each_entry() {
    let (_sandbox, client, url) = queue("work", &[("MaximumMessageSize", "1024")]).await;
    let sent = client
        .send_message_batch()
        .queue_url(&url)
        .entries(entry("good", "small"))
        .entries(entry("bad", &"x".repeat(1_025)))
        .send()
        .await
        .expect("an answer");
    assert_eq!(sent.successful().iter().map(|one| one.id()).collect::<Vec<_>>(), ["good"]);
    let [failed] = sent.failed() else { panic!("{sent:?}") };
    assert_eq!((failed.id(), failed.code(), failed.sender_fault()), ("bad", "InvalidParameterValue", true));
    assert_eq!(bodies(&receive(&client, &url).await), ["small"]);
}

#[tokio::test]
async fn a_batch_as_a_whole_is_refused_with_the_error_for_what_is_wrong_with_it() {
    let (_sandbox, client, url) = queue("work", &[]).await;
    let send = |entries: Vec<SendMessageBatchRequestEntry>| {
        client.send_message_batch().queue_url(&url).set_entries(Some(entries)).send()
    };
    let refused = send(vec![]).await.expect_err("empty").into_service_error();
    assert!(refused.is_empty_batch_request(), "{refused:?}");
    let eleven = (0..11).map(|n| entry(&n.to_string(), "m")).collect();
    let refused = send(eleven).await.expect_err("eleven").into_service_error();
    assert!(refused.is_too_many_entries_in_batch_request(), "{refused:?}");
    let refused = send(vec![entry("a", "m"), entry("a", "m")]).await.expect_err("twice").into_service_error();
    assert!(refused.is_batch_entry_ids_not_distinct(), "{refused:?}");
    let refused = send(vec![entry("a b", "m")]).await.expect_err("a space").into_service_error();
    assert!(refused.is_invalid_batch_entry_id(), "{refused:?}");
    let half = "x".repeat(600_000);
    let refused = send(vec![entry("a", &half), entry("b", &half)]).await.expect_err("too long").into_service_error();
    assert!(refused.is_batch_request_too_long(), "{refused:?}");
}

#[tokio::test]
async fn messages_are_deleted_and_kept_in_batches() {
    let (sandbox, client, url) = queue("work", &[]).await;
    for body in ["a", "b"] {
        send(&client, &url, body).await;
    }
    let received = receive(&client, &url).await;
    let delete = |id: &str, handle: &str| {
        DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle(handle).build().expect("complete")
    };
    let deleted = client
        .delete_message_batch()
        .queue_url(&url)
        .entries(delete("a", handle(&received[0])))
        .entries(delete("x", "nonsense"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(deleted.successful()[0].id(), "a");
    assert_eq!(deleted.failed()[0].code(), "ReceiptHandleIsInvalid");
    let keep = ChangeMessageVisibilityBatchRequestEntry::builder()
        .id("b")
        .receipt_handle(handle(&received[1]))
        .visibility_timeout(7_200)
        .build()
        .expect("complete");
    let kept = client.change_message_visibility_batch().queue_url(&url).entries(keep).send().await.expect("an answer");
    assert_eq!((kept.successful().len(), kept.failed().len()), (1, 0));
    advance(&sandbox, 7_199);
    assert!(receive(&client, &url).await.is_empty());
}

#[tokio::test]
async fn numbers_out_of_range_are_refused() {
    let (_sandbox, client, url) = queue("work", &[]).await;
    let receive = || client.receive_message().queue_url(&url);
    for refused in [
        receive().max_number_of_messages(11).send().await,
        receive().max_number_of_messages(0).send().await,
        receive().wait_time_seconds(21).send().await,
        receive().visibility_timeout(43_201).send().await,
    ] {
        assert_eq!(code(refused).as_deref(), Some("InvalidParameterValue"));
    }
}
