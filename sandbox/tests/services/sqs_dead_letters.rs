//! Redrive policies, dead-letter queues, and the way back by move tasks.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName};
use sandbox::Sandbox;
use sandbox::journal::Effect;
use sandbox::world::MANAGEMENT_ACCOUNT;

use crate::common::{REGION, code, noon};
use crate::sqs::{advance, attribute, bodies, handle, queue, receive, send};

fn arn(name: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{MANAGEMENT_ACCOUNT}:{name}")
}

/// A work queue whose messages get `receives` receives, and its dead-letter queue: sandbox, client, and both URLs.
async fn pair(receives: u32) -> (Sandbox, Client, String, String) {
    let (sandbox, client, dead) = queue("dead", &[]).await;
    let policy = format!(r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":"{receives}"}}"#, arn("dead"));
    let work = sandbox.with(|world| {
        let attributes = [("RedrivePolicy", policy.as_str()), ("VisibilityTimeout", "30")];
        world.queues.create_queue(noon(), REGION, MANAGEMENT_ACCOUNT, "work", &attributes)
    });
    (sandbox, client, work.expect("a queue"), dead)
}

/// Receives and lets go, until everything is on the dead-letter queue.
async fn exhaust(sandbox: &Sandbox, client: &Client, work: &str, receives: u32) {
    for _ in 0..=receives {
        receive(client, work).await;
        advance(sandbox, 30);
    }
}

#[tokio::test]
async fn a_message_received_too_often_goes_to_the_dead_letter_queue_at_the_next_receive() {
    let (sandbox, client, work, dead) = pair(2).await;
    let id = send(&client, &work, "poison").await;
    for _ in 0..2 {
        assert_eq!(bodies(&receive(&client, &work).await), ["poison"]);
        advance(&sandbox, 30);
    }
    assert!(receive(&client, &dead).await.is_empty());
    assert!(receive(&client, &work).await.is_empty());
    let received = receive(&client, &dead).await;
    let [message] = received.as_slice() else { panic!("{received:?}") };
    assert_eq!((message.message_id(), message.body()), (Some(id.as_str()), Some("poison")));
    let source = attribute(message, &MessageSystemAttributeName::DeadLetterQueueSourceArn);
    assert_eq!(source, Some(arn("work").as_str()));
    let sent_at = noon().as_millisecond().to_string();
    assert_eq!(attribute(message, &MessageSystemAttributeName::SentTimestamp), Some(sent_at.as_str()));
    let noted = Effect::MessageDeadLettered { queue: "work".into(), dead_letter_queue: "dead".into(), id };
    assert!(sandbox.with(|world| world.journal.effects().iter().any(|record| record.effect == noted)));
}

#[tokio::test]
async fn a_fifo_queue_s_dead_letter_keeps_its_group_and_frees_it() {
    let attributes = [("FifoQueue", "true"), ("ContentBasedDeduplication", "true")];
    let (sandbox, client, dead) = queue("dead.fifo", &attributes).await;
    let policy = format!(r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":1}}"#, arn("dead.fifo"));
    let work = sandbox.with(|world| {
        let more = [attributes[0], attributes[1], ("RedrivePolicy", policy.as_str()), ("VisibilityTimeout", "30")];
        world.queues.create_queue(noon(), REGION, MANAGEMENT_ACCOUNT, "work.fifo", &more)
    });
    let work = work.expect("a queue");
    for body in ["poison", "fine"] {
        client.send_message().queue_url(&work).message_group_id("a").message_body(body).send().await.expect("sent");
    }
    client.receive_message().queue_url(&work).send().await.expect("received");
    advance(&sandbox, 30);
    assert_eq!(bodies(&receive(&client, &work).await), ["fine"]);
    let received = receive(&client, &dead).await;
    assert_eq!(bodies(&received), ["poison"]);
    assert_eq!(attribute(&received[0], &MessageSystemAttributeName::MessageGroupId), Some("a"));
}

#[tokio::test]
async fn a_redrive_policy_needs_a_queue_of_the_same_kind_that_is_there_and_willing() {
    let (sandbox, client, _work, dead) = pair(1).await;
    let set = |url: &str, target: &str| {
        let policy = format!(r#"{{"deadLetterTargetArn":"{target}","maxReceiveCount":3}}"#);
        client.set_queue_attributes().queue_url(url).attributes(QueueAttributeName::RedrivePolicy, policy).send()
    };
    let other = sandbox.with(|world| world.queues.create_queue(noon(), REGION, MANAGEMENT_ACCOUNT, "other", &[]));
    let other = other.expect("a queue");
    assert_eq!(code(set(&other, &arn("missing")).await).as_deref(), Some("InvalidParameterValue"));
    let fifo = [("FifoQueue", "true")];
    sandbox
        .with(|world| world.queues.create_queue(noon(), REGION, MANAGEMENT_ACCOUNT, "other.fifo", &fifo))
        .expect("a queue");
    assert_eq!(code(set(&other, &arn("other.fifo")).await).as_deref(), Some("InvalidParameterValue"));
    let unwilling = format!(r#"{{"redrivePermission":"byQueue","sourceQueueArns":["{}"]}}"#, arn("work"));
    client
        .set_queue_attributes()
        .queue_url(&dead)
        .attributes(QueueAttributeName::RedriveAllowPolicy, unwilling)
        .send()
        .await
        .expect("set");
    assert_eq!(code(set(&other, &arn("dead")).await).as_deref(), Some("InvalidParameterValue"));
}

#[tokio::test]
async fn a_move_task_brings_dead_letters_back_where_they_came_from_as_new_messages() {
    let (sandbox, client, work, dead) = pair(1).await;
    let mut ids = Vec::new();
    for body in ["a", "b", "c"] {
        ids.push(send(&client, &work, body).await);
    }
    exhaust(&sandbox, &client, &work, 1).await;
    client.start_message_move_task().source_arn(arn("dead")).send().await.expect("started");
    assert!(receive(&client, &dead).await.is_empty());
    let back = receive(&client, &work).await;
    assert_eq!(bodies(&back), ["a", "b", "c"]);
    assert!(back.iter().all(|message| !ids.contains(&message.message_id().expect("an id").to_owned())));
    assert_eq!(attribute(&back[0], &MessageSystemAttributeName::ApproximateReceiveCount), Some("1"));
    let tasks = client.list_message_move_tasks().source_arn(arn("dead")).send().await.expect("tasks");
    let task = &tasks.results()[0];
    assert_eq!((task.status(), task.approximate_number_of_messages_moved()), (Some("COMPLETED"), 3));
    assert_eq!((task.task_handle(), task.approximate_number_of_messages_to_move()), (None, Some(3)));
}

#[tokio::test]
async fn a_move_task_at_a_rate_goes_by_the_clock() {
    let (sandbox, client, work, dead) = pair(1).await;
    for n in 0..6 {
        send(&client, &work, &n.to_string()).await;
    }
    exhaust(&sandbox, &client, &work, 1).await;
    let start = || {
        let task = client.start_message_move_task().source_arn(arn("dead")).destination_arn(arn("work"));
        task.max_number_of_messages_per_second(2).send()
    };
    start().await.expect("started");
    assert_eq!(code(start().await).as_deref(), Some("InvalidParameterValue"));
    assert!(receive(&client, &work).await.is_empty());
    advance(&sandbox, 2);
    assert_eq!(bodies(&receive(&client, &work).await), ["0", "1", "2", "3"]);
    assert_eq!(bodies(&receive(&client, &dead).await), ["4", "5"]);
}

#[tokio::test]
async fn a_move_task_starts_only_from_a_dead_letter_queue() {
    let (_sandbox, client, _work, _dead) = pair(1).await;
    let start = |name: &str| client.start_message_move_task().source_arn(arn(name)).send();
    assert_eq!(code(start("work").await).as_deref(), Some("InvalidParameterValue"));
    let refused = start("missing").await.expect_err("not there").into_service_error();
    assert!(refused.is_resource_not_found_exception(), "{refused:?}");
}

#[tokio::test]
async fn a_message_sent_to_a_dead_letter_queue_by_hand_cannot_find_its_way_back_alone() {
    let (_sandbox, client, _work, dead) = pair(1).await;
    send(&client, &dead, "by hand").await;
    client.start_message_move_task().source_arn(arn("dead")).send().await.expect("started");
    let tasks = client.list_message_move_tasks().source_arn(arn("dead")).send().await.expect("tasks");
    assert_eq!(tasks.results()[0].status(), Some("FAILED"));
    assert_eq!(tasks.results()[0].failure_reason(), Some("CouldNotDetermineMessageSource"));
    let there = receive(&client, &dead).await;
    client.delete_message().queue_url(&dead).receipt_handle(handle(&there[0])).send().await.expect("still there");
}
