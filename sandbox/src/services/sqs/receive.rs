//! `ReceiveMessage`: hands out what is visible, moves to the dead-letter queue what was received too often, or waits.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::knobs::Happening;
use super::message::{Message, Place, Wanted};
use super::queue::LONGEST_IN_FLIGHT;
use super::{State, error, in_range, target};
use crate::call::{Answer, Call, Reply};
use crate::journal::Effect;
use crate::world::World;

/// Messages that can be in flight at once. (Amazon SQS message quotas; since November 2024 the same for FIFO queues.)
const IN_FLIGHT_LIMIT: usize = 120_000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Receive {
    max_number_of_messages: Option<i64>,
    visibility_timeout: Option<i64>,
    wait_time_seconds: Option<i64>,
    #[serde(default)]
    attribute_names: Vec<String>,
    #[serde(default)]
    message_system_attribute_names: Vec<String>,
    #[serde(default)]
    message_attribute_names: Vec<String>,
}

pub(super) fn receive(state: &mut State, world: &mut World, call: &Call, now: Timestamp) -> Reply {
    let arn = target(call)?;
    let request: Receive = call.request()?;
    let queue = state.caught_up(&arn, now)?;
    let count = in_range("MaxNumberOfMessages", request.max_number_of_messages, 1..=10, 1)? as usize;
    let defaults = &queue.attributes;
    let visibility =
        in_range("VisibilityTimeout", request.visibility_timeout, 0..=LONGEST_IN_FLIGHT, defaults.visibility_timeout)?;
    let wait = in_range("WaitTimeSeconds", request.wait_time_seconds, 0..=20, defaults.receive_wait)?;
    let system = request.message_system_attribute_names.iter().chain(&request.attribute_names);
    let wanted = Wanted::new(system, request.message_attribute_names)?;
    if queue.in_flight() >= IN_FLIGHT_LIMIT {
        return match queue.attributes.fifo {
            true => Ok(Answer::Json(json!({}))),
            false => {
                Err(error::other("OverLimit", "Too many messages in flight: delete some, or let some become visible."))
            }
        };
    }

    let (account, name) = (queue.account.clone(), queue.name.clone());
    let until = now + SignedDuration::from_secs(i64::from(visibility));
    let taken = take(state, &arn, count, now, until, &wanted);
    for (id, dead_letter_queue) in taken.dead {
        let effect = Effect::MessageDeadLettered { queue: name.clone(), dead_letter_queue, id };
        world.journal.effect(now, &call.caller, &account, effect);
    }
    for (id, receive_count) in taken.received {
        let effect = Effect::MessageReceived { queue: name.clone(), id, receive_count };
        world.journal.effect(now, &call.caller, &account, effect);
    }
    match (taken.messages.is_empty(), wait) {
        (false, _) => Ok(Answer::Json(json!({ "Messages": taken.messages }))),
        (true, 0) => Ok(Answer::Json(json!({}))),
        (true, wait) => Ok(Answer::Wait { at_most: Duration::from_secs(u64::from(wait)), otherwise: json!({}) }),
    }
}

#[derive(Debug, Default)]
struct Taken {
    messages: Vec<Value>,
    /// Ids, with how often each has been received by now.
    received: Vec<(String, u32)>,
    /// Ids, with the name of the dead-letter queue.
    dead: Vec<(String, String)>,
}

/// Hands out up to `count` messages.
fn take(state: &mut State, arn: &str, count: usize, now: Timestamp, until: Timestamp, wanted: &Wanted) -> Taken {
    let mut taken = Taken::default();
    let redrive = state.queues.get(arn).and_then(|queue| queue.attributes.redrive.clone());
    // A message whose dead-letter queue is gone stays where it is.
    let redrive = redrive.filter(|redrive| state.queues.contains_key(&redrive.dead_letter_target_arn));
    let mut dead = Vec::new();
    let Some(queue) = state.queues.get_mut(arn) else { return taken };
    let duplicating = !queue.attributes.fifo;
    while taken.messages.len() < count {
        let tickets = queue.next(count - taken.messages.len());
        if tickets.is_empty() {
            break;
        }
        for ticket in tickets {
            let Some(message) = queue.message(ticket) else { continue };
            if redrive.as_ref().is_some_and(|redrive| message.receive_count >= redrive.max_receive_count) {
                dead.extend(queue.remove(ticket));
                continue;
            }
            let receives = u64::from(message.receive_count);
            let again = duplicating
                && state.knobs.happens(state.knobs.duplicate, Happening::Duplicate, &message.body, receives);
            if let Some((handle, message)) = queue.hand_out(ticket, now, until, again) {
                taken.messages.push(message.received(&handle.write(), wanted));
                taken.received.push((message.id.clone(), message.receive_count));
            }
        }
    }
    if let Some(redrive) = redrive {
        taken.dead = bury(state, arn, &redrive.dead_letter_target_arn, dead, now);
    }
    taken
}

/// Puts messages on their dead-letter queue; gives their ids and its name.
fn bury(state: &mut State, source: &str, target: &str, dead: Vec<Message>, now: Timestamp) -> Vec<(String, String)> {
    let Some(queue) = state.queues.get_mut(target) else { return Vec::new() };
    dead.into_iter()
        .map(|message| {
            let id = message.id.clone();
            let ticket = queue.next_ticket();
            queue.insert(Message {
                // Retention goes on counting on a standard queue and starts anew on a FIFO queue. (SQS Developer Guide,
                // "Using dead-letter queues".)
                sent_at: if queue.attributes.fifo { now } else { message.sent_at },
                receive_count: 0,
                first_received_at: None,
                dead_letter_source: Some(source.to_owned()),
                place: Place::Visible,
                rank: ticket,
                ..message
            });
            (id, queue.name.clone())
        })
        .collect()
}
