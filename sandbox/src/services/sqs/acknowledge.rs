//! `DeleteMessage` and `ChangeMessageVisibility`, single and in batches: what a consumer says of a message it was handed.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::knobs::Happening;
use super::message::Place;
use super::queue::{Handle, LONGEST_IN_FLIGHT};
use super::{State, batch, error, in_range, target};
use crate::call::{Answer, ApiError, Call, Reply};
use crate::journal::Effect;
use crate::world::World;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Acknowledged {
    #[serde(default)]
    receipt_handle: String,
    visibility_timeout: Option<i64>,
}

impl Acknowledged {
    fn handle(&self) -> Result<Handle, ApiError> {
        if self.receipt_handle.is_empty() {
            return Err(error::missing_parameter("ReceiptHandle"));
        }
        Handle::read(&self.receipt_handle).ok_or_else(|| error::receipt_handle_is_invalid(&self.receipt_handle))
    }

    fn refused(&self, reason: &str) -> ApiError {
        error::invalid_parameter("ReceiptHandle", &self.receipt_handle, reason)
    }
}

type Operation = fn(&mut State, &mut World, &Call, Timestamp, &str, &Acknowledged) -> Result<(), ApiError>;

pub(super) fn delete(state: &mut State, world: &mut World, call: &Call, now: Timestamp) -> Reply {
    one(state, world, call, now, delete_one)
}

pub(super) fn delete_batch(state: &mut State, world: &mut World, call: &Call, now: Timestamp) -> Reply {
    many(state, world, call, now, delete_one)
}

pub(super) fn change_visibility(state: &mut State, world: &mut World, call: &Call, now: Timestamp) -> Reply {
    one(state, world, call, now, change_one)
}

pub(super) fn change_visibility_batch(state: &mut State, world: &mut World, call: &Call, now: Timestamp) -> Reply {
    many(state, world, call, now, change_one)
}

fn one(state: &mut State, world: &mut World, call: &Call, now: Timestamp, operation: Operation) -> Reply {
    let arn = target(call)?;
    operation(state, world, call, now, &arn, &call.request()?)?;
    Ok(Answer::Json(json!({})))
}

fn many(state: &mut State, world: &mut World, call: &Call, now: Timestamp, operation: Operation) -> Reply {
    let arn = target(call)?;
    state.caught_up(&arn, now)?;
    let mut outcome = batch::BatchAnswer::default();
    for entry in batch::entries(call)? {
        if let Some(failure) = batch::chosen_failure(&mut state.knobs, call, entry) {
            outcome.fail(failure);
            continue;
        }
        let acknowledged = Acknowledged::deserialize(entry)
            .map_err(|error| ApiError::new(400, "SerializationException", error.to_string()))?;
        let done = operation(state, world, call, now, &arn, &acknowledged);
        outcome.add(entry, done.map(|()| Map::<String, Value>::new()));
    }
    outcome.answer()
}

fn delete_one(
    state: &mut State,
    world: &mut World,
    call: &Call,
    now: Timestamp,
    arn: &str,
    acknowledged: &Acknowledged,
) -> Result<(), ApiError> {
    let handle = acknowledged.handle()?;
    state.caught_up(arn, now)?;
    let State { queues, knobs, .. } = state;
    let queue = queues.get_mut(arn).ok_or_else(error::queue_does_not_exist)?;
    // Deleting what is deleted is a success.
    let Some(message) = queue.of(&handle) else { return Ok(()) };
    let latest = message.receive_count == handle.receive;
    let held = matches!(message.place, Place::InFlight { .. });
    if queue.attributes.fifo {
        if !latest || !held {
            return Err(acknowledged.refused("The receipt handle has expired."));
        }
    } else if !latest
        || knobs.happens(knobs.forget_delete, Happening::ForgetDelete, &message.body, u64::from(handle.receive))
    {
        return Ok(());
    }
    queue.remove(handle.ticket);
    let effect = Effect::MessageDeleted { queue: queue.name.clone(), id: handle.message };
    world.journal.effect(now, &call.caller, &queue.account.clone(), effect);
    Ok(())
}

fn change_one(
    state: &mut State,
    _world: &mut World,
    _call: &Call,
    now: Timestamp,
    arn: &str,
    acknowledged: &Acknowledged,
) -> Result<(), ApiError> {
    let handle = acknowledged.handle()?;
    if acknowledged.visibility_timeout.is_none() {
        return Err(error::missing_parameter("VisibilityTimeout"));
    }
    let timeout = in_range("VisibilityTimeout", acknowledged.visibility_timeout, 0..=LONGEST_IN_FLIGHT, 0)?;
    let queue = state.caught_up(arn, now)?;
    let Some(message) = queue.of(&handle).filter(|message| message.receive_count == handle.receive) else {
        return Err(acknowledged.refused("Message does not exist or is not available for visibility timeout change."));
    };
    let since = match message.place {
        Place::InFlight { since, .. } => since,
        Place::Visible | Place::Delayed { .. } => {
            return Err(error::other("MessageNotInflight", "The message referred to isn't in flight."));
        }
    };
    let until = now + SignedDuration::from_secs(i64::from(timeout));
    if until > since + SignedDuration::from_secs(i64::from(LONGEST_IN_FLIGHT)) {
        return Err(error::invalid_value(format!(
            "Value {timeout} for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the message is \
             beyond the limit [{LONGEST_IN_FLIGHT} seconds]."
        )));
    }
    queue.show_at(handle.ticket, until);
    queue.catch_up(now);
    Ok(())
}
