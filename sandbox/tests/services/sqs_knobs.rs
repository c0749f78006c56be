//! What queues do wrong on purpose, and that they are fast with many messages.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, SendMessageBatchRequestEntry};
use sandbox::services::sqs::{EntryFailure, Knobs};

use crate::sqs::{advance, bodies, handle, queue, receive, send};

#[tokio::test]
async fn a_duplicated_message_is_delivered_while_it_is_in_flight_and_only_the_last_handle_deletes_it() {
    let (sandbox, client, url) = queue("work", &[]).await;
    sandbox.with(|world| world.queues.knobs = Knobs { duplicate: 1.0, ..Knobs::default() });
    let id = send(&client, &url, "twice").await;
    let first = receive(&client, &url).await;
    sandbox.with(|world| world.queues.knobs = Knobs::default());
    let second = receive(&client, &url).await;
    assert_eq!(second[0].message_id(), Some(id.as_str()));
    assert!(receive(&client, &url).await.is_empty());
    let delete = |handle: &str| client.delete_message().queue_url(&url).receipt_handle(handle).send();
    delete(handle(&first[0])).await.expect("answered as a success");
    advance(&sandbox, 30);
    let third = receive(&client, &url).await;
    assert_eq!(bodies(&third), ["twice"]);
    delete(handle(&third[0])).await.expect("deleted");
    advance(&sandbox, 30);
    assert!(receive(&client, &url).await.is_empty());
}

#[tokio::test]
async fn a_forgotten_deletion_brings_the_message_back() {
    let (sandbox, client, url) = queue("work", &[]).await;
    sandbox.with(|world| world.queues.knobs = Knobs { forget_delete: 1.0, ..Knobs::default() });
    send(&client, &url, "again").await;
    let received = receive(&client, &url).await;
    client.delete_message().queue_url(&url).receipt_handle(handle(&received[0])).send().await.expect("a success");
    advance(&sandbox, 30);
    assert_eq!(bodies(&receive(&client, &url).await), ["again"]);
}

#[tokio::test]
async fn reordered_messages_all_come_and_in_the_same_order_for_the_same_seed() {
    let mut orders = Vec::new();
    for seed in [7, 7, 8] {
        let (sandbox, client, url) = queue("work", &[]).await;
        sandbox.with(|world| world.queues.knobs = Knobs { seed, reorder_by: 6, ..Knobs::default() });
        for n in 0..10 {
            send(&client, &url, &n.to_string()).await;
        }
        let received = receive(&client, &url).await;
        orders.push(bodies(&received).into_iter().map(str::to_owned).collect::<Vec<_>>());
    }
    let sent: Vec<String> = (0..10).map(|n| n.to_string()).collect();
    assert_eq!(orders[0], orders[1]);
    assert_ne!(orders[0], orders[2]);
    assert_ne!(orders[0], sent);
    assert_eq!(orders[0].iter().collect::<BTreeSet<_>>(), sent.iter().collect());
}

#[tokio::test]
async fn a_late_message_comes_within_its_delay() {
    let (sandbox, client, url) = queue("work", &[]).await;
    sandbox.with(|world| world.queues.knobs = Knobs { delay: 1.0, delay_up_to: 20, ..Knobs::default() });
    send(&client, &url, "late").await;
    assert!(receive(&client, &url).await.is_empty());
    advance(&sandbox, 20);
    assert_eq!(bodies(&receive(&client, &url).await), ["late"]);
}

#[tokio::test]
async fn chosen_entries_of_a_batch_fail_as_often_as_asked() {
    let (sandbox, client, url) = queue("work", &[]).await;
    let failure = EntryFailure {
        operation: Some("SendMessageBatch".into()),
        containing: Some("unlucky".into()),
        times: Some(1),
        code: "InternalError".into(),
        sender_fault: false,
    };
    sandbox.with(|world| world.queues.knobs.entry_failures.push(failure));
    let send = || {
        let entry = |id: &str, body: &str| {
            SendMessageBatchRequestEntry::builder().id(id).message_body(body).build().expect("complete")
        };
        client.send_message_batch().queue_url(&url).entries(entry("1", "lucky")).entries(entry("2", "unlucky")).send()
    };
    let sent = send().await.expect("an answer");
    assert_eq!(sent.failed().iter().map(|one| (one.id(), one.code())).collect::<Vec<_>>(), [("2", "InternalError")]);
    assert_eq!(bodies(&receive(&client, &url).await), ["lucky"]);
    assert!(send().await.expect("an answer").failed().is_empty());
}

/// 10,000 messages sent, received, deleted in batches by one client one after the other. A receive that looked at every
/// message would take minutes.
#[tokio::test]
async fn ten_thousand_messages_go_through_in_seconds() {
    for (name, attributes) in
        [("many", [].as_slice()), ("many.fifo", &[("FifoQueue", "true"), ("ContentBasedDeduplication", "true")])]
    {
        let (_sandbox, client, url) = queue(name, attributes).await;
        let began = Instant::now();
        for batch in 0..1_000 {
            let entries = (0..10).map(|n| {
                let group = attributes.first().map(|_| format!("group-{batch}-{n}"));
                let entry =
                    SendMessageBatchRequestEntry::builder().id(n.to_string()).message_body(format!("{batch}-{n}"));
                entry.set_message_group_id(group).build().expect("complete")
            });
            let sent = client.send_message_batch().queue_url(&url).set_entries(Some(entries.collect())).send().await;
            assert_eq!(sent.expect("sent").successful().len(), 10);
        }
        let mut seen = BTreeSet::new();
        loop {
            let received = receive(&client, &url).await;
            if received.is_empty() {
                break;
            }
            let entries = received.iter().enumerate().map(|(n, message)| {
                seen.insert(message.body().map(str::to_owned));
                let entry = DeleteMessageBatchRequestEntry::builder().id(n.to_string()).receipt_handle(handle(message));
                entry.build().expect("complete")
            });
            let deleted =
                client.delete_message_batch().queue_url(&url).set_entries(Some(entries.collect())).send().await;
            assert!(deleted.expect("deleted").failed().is_empty());
        }
        assert_eq!(seen.len(), 10_000);
        assert!(began.elapsed() < Duration::from_secs(30), "{name}: {:?}", began.elapsed());
    }
}
