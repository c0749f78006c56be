//! FIFO queues: order within a group, one consumer a group, and the five minutes in which repeats are recognised.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::operation::send_message::builders::SendMessageFluentBuilder;
use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName};
use sandbox::world::MANAGEMENT_ACCOUNT;

use crate::common::{code, operator, serve, world};
use crate::sqs::{advance, attribute, bodies, handle, queue, receive};

const BY_CONTENT: [(&str, &str); 2] = [("FifoQueue", "true"), ("ContentBasedDeduplication", "true")];

fn message(client: &Client, url: &str, group: &str, body: &str) -> SendMessageFluentBuilder {
    client.send_message().queue_url(url).message_group_id(group).message_body(body)
}

async fn send_all(client: &Client, url: &str, messages: &[(&str, &str)]) {
    for (group, body) in messages {
        message(client, url, group, body).send().await.expect("sent");
    }
}

#[tokio::test]
async fn messages_of_a_group_come_in_order_and_of_one_group_as_far_as_they_go() {
    let (_sandbox, client, url) = queue("work.fifo", &BY_CONTENT).await;
    send_all(&client, &url, &[("a", "a1"), ("b", "b1"), ("a", "a2"), ("b", "b2")]).await;
    let received = receive(&client, &url).await;
    assert_eq!(bodies(&received), ["a1", "a2", "b1", "b2"]);
    let numbers: Vec<&str> =
        received.iter().filter_map(|m| attribute(m, &MessageSystemAttributeName::SequenceNumber)).collect();
    assert!(numbers[0] < numbers[1] && numbers[2] < numbers[3], "{numbers:?}");
    assert_eq!(attribute(&received[0], &MessageSystemAttributeName::MessageGroupId), Some("a"));
}

#[tokio::test]
async fn a_group_is_nobody_else_s_while_one_of_its_messages_is_in_flight() {
    let (sandbox, client, url) = queue("work.fifo", &BY_CONTENT).await;
    send_all(&client, &url, &[("a", "a1"), ("a", "a2"), ("b", "b1")]).await;
    let one = || client.receive_message().queue_url(&url).visibility_timeout(30).send();
    let first = one().await.expect("received").messages.expect("a message");
    assert_eq!(bodies(&first), ["a1"]);
    assert_eq!(bodies(&receive(&client, &url).await), ["b1"]);
    assert!(receive(&client, &url).await.is_empty());
    client.delete_message().queue_url(&url).receipt_handle(handle(&first[0])).send().await.expect("deleted");
    let second = one().await.expect("received").messages.expect("a message");
    assert_eq!(bodies(&second), ["a2"]);
    advance(&sandbox, 30);
    assert_eq!(bodies(&receive(&client, &url).await), ["a2", "b1"]);
}

#[tokio::test]
async fn a_message_given_back_comes_before_the_later_ones_of_its_group() {
    let (_sandbox, client, url) = queue("work.fifo", &BY_CONTENT).await;
    send_all(&client, &url, &[("a", "a1"), ("a", "a2")]).await;
    let received = client.receive_message().queue_url(&url).send().await.expect("received").messages.expect("one");
    let give_back = client.change_message_visibility().queue_url(&url).receipt_handle(handle(&received[0]));
    give_back.visibility_timeout(0).send().await.expect("given back");
    assert_eq!(bodies(&receive(&client, &url).await), ["a1", "a2"]);
}

#[tokio::test]
async fn a_repeat_within_five_minutes_is_answered_as_the_original_and_not_delivered() {
    let (sandbox, client, url) = queue("work.fifo", &BY_CONTENT).await;
    let send = || message(&client, &url, "a", "same").send();
    let original = send().await.expect("sent");
    let received = receive(&client, &url).await;
    client.delete_message().queue_url(&url).receipt_handle(handle(&received[0])).send().await.expect("deleted");
    advance(&sandbox, 299);
    let repeat = send().await.expect("sent");
    assert_eq!(repeat.message_id(), original.message_id());
    assert_eq!(repeat.sequence_number(), original.sequence_number());
    assert!(receive(&client, &url).await.is_empty());
    advance(&sandbox, 1);
    assert_ne!(send().await.expect("sent").message_id(), original.message_id());
    assert_eq!(bodies(&receive(&client, &url).await), ["same"]);
}

#[tokio::test]
async fn an_explicit_deduplication_id_goes_before_the_content() {
    let (_sandbox, client, url) = queue("work.fifo", &BY_CONTENT).await;
    for (id, body) in [("1", "same"), ("2", "same"), ("2", "other")] {
        message(&client, &url, "a", body).message_deduplication_id(id).send().await.expect("sent");
    }
    let received = receive(&client, &url).await;
    assert_eq!(bodies(&received), ["same", "same"]);
    assert_eq!(attribute(&received[1], &MessageSystemAttributeName::MessageDeduplicationId), Some("2"));
}

#[tokio::test]
async fn deduplication_by_group_lets_two_groups_have_the_same_message() {
    let attributes =
        [("FifoQueue", "true"), ("ContentBasedDeduplication", "true"), ("DeduplicationScope", "messageGroup")];
    let (_sandbox, client, url) = queue("work.fifo", &attributes).await;
    send_all(&client, &url, &[("a", "same"), ("b", "same"), ("a", "same")]).await;
    assert_eq!(bodies(&receive(&client, &url).await), ["same", "same"]);
}

#[tokio::test]
async fn what_a_fifo_queue_needs_is_asked_for() {
    let (_sandbox, client, url) = queue("work.fifo", &[("FifoQueue", "true")]).await;
    let plain = client.send_message().queue_url(&url).message_body("m").send().await;
    assert_eq!(code(plain).as_deref(), Some("MissingParameter"));
    let without_id = message(&client, &url, "a", "m").send().await;
    assert_eq!(code(without_id).as_deref(), Some("InvalidParameterValue"));
    let delayed = message(&client, &url, "a", "m").message_deduplication_id("1").delay_seconds(5).send().await;
    assert_eq!(code(delayed).as_deref(), Some("InvalidParameterValue"));
}

#[tokio::test]
async fn a_standard_queue_knows_no_deduplication_id() {
    let (_sandbox, client, url) = queue("work", &[]).await;
    let refused = message(&client, &url, "a", "m").message_deduplication_id("1").send().await;
    assert_eq!(code(refused).as_deref(), Some("InvalidParameterValue"));
    message(&client, &url, "a", "m").send().await.expect("a group is for fair sharing there");
}

#[tokio::test]
async fn a_receipt_handle_whose_time_is_over_is_refused() {
    let (sandbox, client, url) = queue("work.fifo", &BY_CONTENT).await;
    send_all(&client, &url, &[("a", "a1")]).await;
    let received = receive(&client, &url).await;
    advance(&sandbox, 30);
    let refused = client.delete_message().queue_url(&url).receipt_handle(handle(&received[0])).send().await;
    assert_eq!(code(refused).as_deref(), Some("InvalidParameterValue"));
    assert_eq!(bodies(&receive(&client, &url).await), ["a1"]);
}

#[tokio::test]
async fn name_and_attribute_of_a_fifo_queue_go_together() {
    let sandbox = serve(world()).await;
    let client = Client::new(&operator(&sandbox).await);
    let create = |name: &str| client.create_queue().queue_name(name);
    let fifo = QueueAttributeName::FifoQueue;
    assert_eq!(code(create("work.fifo").send().await).as_deref(), Some("InvalidParameterValue"));
    assert_eq!(
        code(create("work").attributes(fifo.clone(), "true").send().await).as_deref(),
        Some("InvalidParameterValue")
    );
    create("work.fifo").attributes(fifo, "true").send().await.expect("made");
    let is_fifo =
        sandbox.with(|world| world.queues.queue(MANAGEMENT_ACCOUNT, "work.fifo").map(|queue| queue.attributes.fifo));
    assert_eq!(is_fifo, Some(true));
}
