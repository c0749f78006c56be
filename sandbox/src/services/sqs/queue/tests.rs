//! A queue against a plain list of what is in it, over any course of sends, receives, deletions, returns and waiting.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

#[test]
fn a_receipt_handle_reads_as_it_was_written() {
    let handle = Handle { ticket: 77, receive: 3, message: uuid::Uuid::from_u128(5).to_string() };
    assert_eq!(Handle::read(&handle.write()), Some(handle));
    assert_eq!(Handle::read("AQEBnothing"), None);
}

#[derive(Debug, Clone)]
enum Step {
    Send {
        group: u8,
        delay: i64,
    },
    Receive {
        count: usize,
        visibility: i64,
    },
    /// Deletes the nth of the messages in flight.
    Delete(usize),
    /// Gives the nth of the messages in flight back at once.
    GiveBack(usize),
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_u8, prop_oneof![Just(0), 1..20_i64]).prop_map(|(group, delay)| Step::Send { group, delay }),
        4 => (1..=10_usize, 0..60_i64).prop_map(|(count, visibility)| Step::Receive { count, visibility }),
        2 => (0..8_usize).prop_map(Step::Delete),
        1 => (0..8_usize).prop_map(Step::GiveBack),
        2 => (0..60_i64).prop_map(Step::Wait),
    ]
}

fn message(n: u64, group: u8, delay: i64, fifo: bool, now: Timestamp) -> Message {
    // On a FIFO queue delays are the queue's, so that no message overtakes another of its group.
    let place = if delay == 0 || fifo {
        Place::Visible
    } else {
        Place::Delayed { until: now + SignedDuration::from_secs(delay) }
    };
    Message {
        id: uuid::Uuid::from_u128(u128::from(n)).to_string(),
        body: n.to_string(),
        attributes: BTreeMap::new(),
        sender: "111122223333".into(),
        sent_at: now,
        group: fifo.then(|| group.to_string()),
        deduplication_id: None,
        sequence_number: None,
        receive_count: 0,
        first_received_at: None,
        dead_letter_source: None,
        place,
        rank: n,
    }
}

/// Tickets and messages that are where `wanted` says.
fn those(queue: &Queue, wanted: fn(&Place) -> bool) -> Vec<(u64, Option<String>)> {
    let chosen = queue.messages.iter().filter(|(_, message)| wanted(&message.place));
    chosen.map(|(ticket, message)| (*ticket, message.group.clone())).collect()
}

fn in_flight(queue: &Queue) -> Vec<(u64, Option<String>)> {
    those(queue, |place| matches!(place, Place::InFlight { .. }))
}

fn visible(queue: &Queue) -> Vec<(u64, Option<String>)> {
    those(queue, |place| matches!(place, Place::Visible))
}

/// What may be handed out, found by looking at every message.
fn deliverable(queue: &Queue) -> BTreeSet<u64> {
    let held: BTreeSet<Option<String>> = in_flight(queue).into_iter().map(|(_, group)| group).collect();
    let free = visible(queue).into_iter().filter(|(_, group)| !queue.attributes.fifo || !held.contains(group));
    free.map(|(ticket, _)| ticket).collect()
}

fn run(fifo: bool, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut now = Timestamp::UNIX_EPOCH;
    let mut queue = Queue::new("arn".into(), "111122223333", "q", Attributes::new(fifo), now);
    let mut alive: BTreeSet<String> = BTreeSet::new();
    for step in steps {
        queue.catch_up(now);
        match step {
            Step::Send { group, delay } => {
                let message = message(queue.next_ticket(), group, delay, fifo, now);
                alive.insert(message.body.clone());
                queue.insert(message);
            }
            Step::Receive { count, visibility } => {
                let allowed = deliverable(&queue);
                let next = queue.next(count);
                prop_assert_eq!(next.len(), allowed.len().min(count));
                prop_assert!(next.iter().all(|ticket| allowed.contains(ticket)));
                for ticket in next {
                    let group = queue.message(ticket).and_then(|message| message.group.clone());
                    let earlier = |(other, of): &(u64, Option<String>)| *of == group && *other < ticket;
                    prop_assert!(!fifo || !visible(&queue).iter().any(earlier), "{} overtook", ticket);
                    queue.hand_out(ticket, now, now + SignedDuration::from_secs(visibility), false);
                }
            }
            Step::Delete(nth) => {
                if let Some((ticket, _)) = in_flight(&queue).get(nth) {
                    let removed = queue.remove(*ticket);
                    prop_assert!(removed.is_some_and(|message| alive.remove(&message.body)));
                }
            }
            Step::GiveBack(nth) => {
                if let Some((ticket, _)) = in_flight(&queue).get(nth) {
                    queue.show_at(*ticket, now);
                }
            }
            Step::Wait(seconds) => now += SignedDuration::from_secs(seconds),
        }
        prop_assert_eq!(queue.in_flight(), in_flight(&queue).len());
        prop_assert_eq!(queue.visible(), visible(&queue).len());
        prop_assert_eq!(queue.visible() + queue.in_flight() + queue.delayed(), queue.len());
    }
    // Whatever was not deleted can be received in the end, each once.
    queue.catch_up(now + SignedDuration::from_secs(60));
    let left: Vec<u64> = queue.next(usize::MAX);
    let bodies: BTreeSet<String> =
        left.iter().filter_map(|ticket| queue.message(*ticket)).map(|message| message.body.clone()).collect();
    prop_assert_eq!(left.len(), alive.len());
    prop_assert_eq!(bodies, alive);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_standard_queue_hands_out_what_is_visible_and_loses_nothing(steps in prop::collection::vec(step(), 0..60)) {
        run(false, steps)?;
    }

    #[test]
    fn a_fifo_queue_keeps_order_and_groups_apart_and_loses_nothing(steps in prop::collection::vec(step(), 0..60)) {
        run(true, steps)?;
    }
}
