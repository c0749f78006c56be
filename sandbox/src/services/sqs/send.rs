//! `SendMessage` and `SendMessageBatch`.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::attributes::DeduplicationScope;
use super::message::{self, LARGEST_MESSAGE, Message, MessageAttribute, Place};
use super::queue::Queue;
use super::recent::Receipt;
use super::{State, batch, error, in_range, target};
use crate::call::{Answer, ApiError, Call, Reply};
use crate::journal::Effect;
use crate::world::World;

/// What `SendMessage` and an entry of `SendMessageBatch` have in common.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Sent {
    #[serde(default)]
    message_body: String,
    delay_seconds: Option<i64>,
    #[serde(default)]
    message_attributes: BTreeMap<String, MessageAttribute>,
    #[serde(default)]
    message_system_attributes: Map<String, Value>,
    message_group_id: Option<String>,
    message_deduplication_id: Option<String>,
}

impl Sent {
    fn size(&self) -> usize {
        message::size(&self.message_body, &self.message_attributes)
    }
}

pub(super) fn one(state: &mut State, world: &mut World, call: &Call, now: Timestamp) -> Reply {
    let arn = target(call)?;
    accept(state, world, call, now, &arn, call.request()?).map(|answer| Answer::Json(Value::Object(answer)))
}

pub(super) fn batch(state: &mut State, world: &mut World, call: &Call, now: Timestamp) -> Reply {
    let arn = target(call)?;
    state.caught_up(&arn, now)?;
    let mut parsed = Vec::new();
    for entry in batch::entries(call)? {
        let sent = Sent::deserialize(entry)
            .map_err(|error| ApiError::new(400, "SerializationException", error.to_string()))?;
        parsed.push((entry, sent));
    }
    let size: usize = parsed.iter().map(|(_, sent)| sent.size()).sum();
    if size > LARGEST_MESSAGE {
        return Err(error::other(
            "BatchRequestTooLong",
            format!("Batch requests cannot be longer than {LARGEST_MESSAGE} bytes. You have sent {size} bytes."),
        ));
    }
    let mut outcome = batch::BatchAnswer::default();
    for (entry, sent) in parsed {
        match batch::chosen_failure(&mut state.knobs, call, entry) {
            Some(failure) => outcome.fail(failure),
            None => outcome.add(entry, accept(state, world, call, now, &arn, sent)),
        }
    }
    outcome.answer()
}

/// Puts one message on its queue and says what the sender is told.
fn accept(
    state: &mut State,
    world: &mut World,
    call: &Call,
    now: Timestamp,
    arn: &str,
    sent: Sent,
) -> Result<Map<String, Value>, ApiError> {
    // Drawn first, so that the queue and the random stream are not borrowed at once.
    let id = world.uuid().to_string();
    let knobs = state.knobs.clone();
    let queue = state.caught_up(arn, now)?;
    check(queue, &sent)?;
    let mut answer = checksums(&sent);
    let delay = in_range("DelaySeconds", sent.delay_seconds, 0..=900, queue.attributes.delay)?;
    let fifo = queue.attributes.fifo;
    let deduplication_id = if fifo { Some(deduplication_id(queue, &sent)?) } else { None };
    let key = deduplication_id.as_ref().map(|id| match queue.attributes.deduplication_scope {
        DeduplicationScope::Queue => id.clone(),
        DeduplicationScope::MessageGroup => format!("{}\n{id}", sent.message_group_id.as_deref().unwrap_or_default()),
    });
    if let Some(original) = key.as_ref().and_then(|key| queue.recent.original(key, now)) {
        tell(&mut answer, original);
        return Ok(answer);
    }

    let ticket = queue.next_ticket();
    // 20 digits that only grow, as SQS's do.
    let sequence_number = fifo.then(|| (18_849_496_460_467_696_128 + u128::from(ticket) * 256).to_string());
    let (late, behind) = match fifo {
        true => (0, 0),
        false => (knobs.late_by(&sent.message_body, ticket), knobs.behind_by(&sent.message_body, ticket)),
    };
    let place = match delay + late {
        0 => Place::Visible,
        seconds => Place::Delayed { until: now + SignedDuration::from_secs(i64::from(seconds)) },
    };
    let receipt = Receipt { message_id: id.clone(), sequence_number: sequence_number.clone() };
    tell(&mut answer, &receipt);
    if let Some(key) = key {
        queue.recent.remember(key, receipt, now);
    }
    queue.insert(Message {
        id: id.clone(),
        body: sent.message_body,
        attributes: sent.message_attributes,
        sender: call.caller.account.clone(),
        sent_at: now,
        group: sent.message_group_id,
        deduplication_id,
        sequence_number,
        receive_count: 0,
        first_received_at: None,
        dead_letter_source: None,
        place,
        rank: ticket + behind,
    });
    let (account, queue) = (queue.account.clone(), queue.name.clone());
    world.journal.effect(now, &call.caller, &account, Effect::MessageSent { queue, id });
    Ok(answer)
}

fn checksums(sent: &Sent) -> Map<String, Value> {
    let mut answer = Map::new();
    answer.insert("MD5OfMessageBody".to_owned(), json!(message::md5_hex(sent.message_body.as_bytes())));
    if !sent.message_attributes.is_empty() {
        let pairs = sent.message_attributes.iter().map(|(name, attribute)| (name.as_str(), attribute));
        answer.insert("MD5OfMessageAttributes".to_owned(), json!(message::attributes_md5(pairs)));
    }
    answer
}

fn tell(answer: &mut Map<String, Value>, receipt: &Receipt) {
    answer.insert("MessageId".to_owned(), json!(receipt.message_id));
    if let Some(number) = &receipt.sequence_number {
        answer.insert("SequenceNumber".to_owned(), json!(number));
    }
}

/// Refuses what a queue refuses to take.
fn check(queue: &Queue, sent: &Sent) -> Result<(), ApiError> {
    message::check_body(&sent.message_body)?;
    message::check_attributes(&sent.message_attributes)?;
    if let Some(name) = sent.message_system_attributes.keys().next() {
        return Err(ApiError::new(
            501,
            "NotImplemented",
            format!("sandbox: the message system attribute {name} is not supported"),
        ));
    }
    if sent.size() > queue.attributes.maximum_message_size as usize {
        return Err(error::invalid_value(format!(
            "One or more parameters are invalid. Reason: Message must be shorter than {} bytes.",
            queue.attributes.maximum_message_size
        )));
    }
    for (name, id) in
        [("MessageGroupId", &sent.message_group_id), ("MessageDeduplicationId", &sent.message_deduplication_id)]
    {
        // Letters, digits and ASCII punctuation.
        if id.as_ref().is_some_and(|id| id.is_empty() || id.len() > 128 || !id.bytes().all(|b| b.is_ascii_graphic())) {
            let reason =
                format!("{name} can only include alphanumeric and punctuation characters. 1 to 128 in length.");
            return Err(error::invalid_parameter(name, id.as_deref().unwrap_or_default(), &reason));
        }
    }
    if queue.attributes.fifo {
        if sent.message_group_id.is_none() {
            return Err(error::missing_parameter("MessageGroupId"));
        }
        if let Some(seconds) = sent.delay_seconds {
            return Err(error::not_for_this_kind_of_queue("DelaySeconds", seconds));
        }
    } else if let Some(id) = &sent.message_deduplication_id {
        return Err(error::not_for_this_kind_of_queue("MessageDeduplicationId", id));
    }
    Ok(())
}

fn deduplication_id(queue: &Queue, sent: &Sent) -> Result<String, ApiError> {
    match &sent.message_deduplication_id {
        Some(id) => Ok(id.clone()),
        None if queue.attributes.content_based_deduplication => Ok(message::content_hash(&sent.message_body)),
        None => Err(error::invalid_value(
            "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly",
        )),
    }
}
