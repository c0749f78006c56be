//! Queues themselves: made, found, listed, read and changed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::attributes::{Attributes, READ_ONLY, RedriveAllowPolicy};
use super::queue::Queue;
use super::{State, arn, error, in_range, target};
use crate::call::{Answer, ApiError, Call, Reply};
use crate::journal::Effect;
use crate::world::World;

/// Tags a queue can have. (API reference, `TagQueue`, recommends no more; AWS's quota for tags is the same.)
const TAGS_PER_QUEUE: usize = 50;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Create {
    queue_name: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    #[serde(default, alias = "tags")]
    tags: BTreeMap<String, String>,
}

pub(super) fn create_queue(state: &mut State, world: &mut World, call: &Call, now: Timestamp) -> Reply {
    let wanted: Create = call.request()?;
    let account = call.caller.account.clone();
    let made = create(state, now, &call.region, &account, &wanted.queue_name, &wanted.attributes)?;
    if made {
        if let Some(queue) = state.queues.get_mut(&arn(&call.region, &account, &wanted.queue_name)) {
            queue.tags = wanted.tags;
        }
        let effect = Effect::QueueCreated { queue: wanted.queue_name.clone() };
        world.journal.effect(now, &call.caller, &account, effect);
    }
    Ok(Answer::Json(json!({ "QueueUrl": state.url(&account, &wanted.queue_name) })))
}

/// Makes a queue; says whether it was not there before.
pub(super) fn create(
    state: &mut State,
    now: Timestamp,
    region: &str,
    account: &str,
    name: &str,
    wanted: &BTreeMap<String, String>,
) -> Result<bool, ApiError> {
    let fifo = name.ends_with(".fifo");
    let stem = name.strip_suffix(".fifo").unwrap_or(name);
    let characters = stem.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if stem.is_empty() || name.len() > 80 || !characters {
        return Err(error::invalid_value(
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
        ));
    }
    let asked_for_fifo = wanted.get("FifoQueue").is_some_and(|value| value == "true");
    if fifo && !asked_for_fifo {
        // The one name with a dot in it is that of a queue asked for as FIFO.
        return Err(error::invalid_value(
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
        ));
    }
    if asked_for_fifo && !fifo {
        return Err(error::invalid_value(
            "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo \
             suffix and be 1 to 80 in length.",
        ));
    }
    let arn = arn(region, account, name);
    let mut attributes = Attributes::new(fifo);
    for (attribute, value) in wanted {
        attributes.set(attribute, value)?;
    }
    if let Some(queue) = state.queues.get(&arn) {
        let mut same = queue.attributes.clone();
        for (attribute, value) in wanted {
            same.set(attribute, value)?;
            if same != queue.attributes {
                let message = format!(
                    "A queue already exists with the same name and a different value for attribute {attribute}"
                );
                return Err(error::other("QueueNameExists", message));
            }
        }
        return Ok(false);
    }
    check_redrive(state, &arn, &attributes)?;
    state.queues.insert(arn.clone(), Queue::new(arn, account, name, attributes, now));
    Ok(true)
}

/// Refuses a redrive policy whose target is missing, of the other kind, or not willing.
fn check_redrive(state: &State, source: &str, attributes: &Attributes) -> Result<(), ApiError> {
    let Some(redrive) = &attributes.redrive else { return Ok(()) };
    let refused = |reason: &str| {
        let policy = attributes.list().into_iter().find(|(name, _)| *name == "RedrivePolicy");
        error::invalid_parameter("RedrivePolicy", policy.map(|(_, value)| value).unwrap_or_default(), reason)
    };
    let target = state
        .queues
        .get(&redrive.dead_letter_target_arn)
        .ok_or_else(|| refused("Dead letter target does not exist."))?;
    if target.attributes.fifo != attributes.fifo {
        return Err(refused("Dead-letter queue must be same type of queue as the source."));
    }
    match &target.attributes.redrive_allow {
        RedriveAllowPolicy::AllowAll => Ok(()),
        RedriveAllowPolicy::ByQueue(arns) if arns.iter().any(|arn| arn == source) => Ok(()),
        RedriveAllowPolicy::DenyAll | RedriveAllowPolicy::ByQueue(_) => {
            Err(refused("The dead-letter queue's RedriveAllowPolicy does not allow this source queue."))
        }
    }
}

pub(super) fn get_queue_url(state: &State, call: &Call) -> Reply {
    let name = call.text("QueueName").ok_or_else(|| error::missing_parameter("QueueName"))?;
    let account = call.text("QueueOwnerAWSAccountId").unwrap_or(&call.caller.account);
    let arn = arn(&call.region, account, name);
    if account != call.caller.account || !state.queues.contains_key(&arn) {
        return Err(error::queue_does_not_exist());
    }
    Ok(Answer::Json(json!({ "QueueUrl": state.url(account, name) })))
}

/// One page of the URLs of the caller's queues that are `chosen`.
fn page(state: &State, call: &Call, list: &str, chosen: impl Fn(&Queue) -> bool) -> Reply {
    let most = in_range("MaxResults", call.json()["MaxResults"].as_i64(), 1..=1_000, 1_000)? as usize;
    let prefix = arn(&call.region, &call.caller.account, "");
    let after = call.text("NextToken").map_or(prefix.clone(), |name| format!("{prefix}{name}"));
    let mut queues = state
        .queues
        .range(after.clone()..)
        .take_while(|(arn, _)| arn.starts_with(&prefix))
        .filter(|(arn, queue)| **arn != after && chosen(queue))
        .map(|(_, queue)| queue);
    let shown: Vec<&Queue> = queues.by_ref().take(most).collect();
    let urls: Vec<String> = shown.iter().map(|queue| state.url(&queue.account, &queue.name)).collect();
    let mut answer = json!({});
    if !urls.is_empty() {
        answer[list] = json!(urls);
    }
    // A list longer than a thousand is cut off silently unless the caller pages.
    if call.json()["MaxResults"].is_i64() && queues.next().is_some() {
        answer["NextToken"] = json!(shown.last().map(|queue| &queue.name));
    }
    Ok(Answer::Json(answer))
}

pub(super) fn list_queues(state: &State, call: &Call) -> Reply {
    let prefix = call.text("QueueNamePrefix").unwrap_or_default();
    page(state, call, "QueueUrls", |queue| queue.name.starts_with(prefix))
}

/// Whether a queue's dead letters go to `target`.
pub(super) fn is_source(queue: &Queue, target: &str) -> bool {
    queue.attributes.redrive.as_ref().is_some_and(|redrive| redrive.dead_letter_target_arn == target)
}

pub(super) fn get_attributes(state: &mut State, call: &Call, now: Timestamp) -> Reply {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Get {
        #[serde(default)]
        attribute_names: Vec<String>,
    }
    let wanted: Get = call.request()?;
    let arn = target(call)?;
    let queue = state.caught_up(&arn, now)?;
    let all = wanted.attribute_names.iter().any(|name| name == "All");
    if let Some(name) = wanted.attribute_names.iter().find(|name| *name != "All" && !Attributes::is_known(name)) {
        return Err(error::unknown_attribute(name));
    }
    let mut list = queue.attributes.list();
    list.extend(READ_ONLY.iter().map(|name| (*name, read_only(queue, name))));
    let attributes: Map<String, Value> = list
        .into_iter()
        .filter(|(name, _)| all || wanted.attribute_names.iter().any(|wanted| wanted == name))
        .map(|(name, value)| (name.to_owned(), Value::String(value)))
        .collect();
    Ok(Answer::Json(if attributes.is_empty() { json!({}) } else { json!({ "Attributes": attributes }) }))
}

fn read_only(queue: &Queue, name: &str) -> String {
    match name {
        "QueueArn" => queue.arn.clone(),
        "CreatedTimestamp" => queue.created.as_second().to_string(),
        "LastModifiedTimestamp" => queue.modified.as_second().to_string(),
        "ApproximateNumberOfMessages" => queue.visible().to_string(),
        "ApproximateNumberOfMessagesNotVisible" => queue.in_flight().to_string(),
        "ApproximateNumberOfMessagesDelayed" => queue.delayed().to_string(),
        _ => String::new(),
    }
}

pub(super) fn set_attributes(state: &mut State, world: &mut World, call: &Call, now: Timestamp) -> Reply {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Set {
        attributes: BTreeMap<String, String>,
    }
    let wanted: Set = call.request()?;
    let arn = target(call)?;
    let mut attributes = state.caught_up(&arn, now)?.attributes.clone();
    for (name, value) in &wanted.attributes {
        attributes.set(name, value)?;
    }
    check_redrive(state, &arn, &attributes)?;
    let queue = state.caught_up(&arn, now)?;
    queue.attributes = attributes;
    queue.modified = now;
    let effect = Effect::QueueAttributesSet { queue: queue.name.clone() };
    world.journal.effect(now, &call.caller, &queue.account.clone(), effect);
    Ok(Answer::Json(json!({})))
}

pub(super) fn list_tags(state: &mut State, call: &Call, now: Timestamp) -> Reply {
    let queue = state.caught_up(&target(call)?, now)?;
    Ok(Answer::Json(if queue.tags.is_empty() { json!({}) } else { json!({ "Tags": queue.tags }) }))
}

pub(super) fn tag_queue(state: &mut State, world: &mut World, call: &Call, now: Timestamp) -> Reply {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Tag {
        tags: BTreeMap<String, String>,
    }
    let wanted: Tag = call.request()?;
    let queue = state.caught_up(&target(call)?, now)?;
    let mut tags = queue.tags.clone();
    tags.extend(wanted.tags);
    set_tags(queue, world, call, now, tags)
}

fn set_tags(
    queue: &mut Queue,
    world: &mut World,
    call: &Call,
    now: Timestamp,
    tags: BTreeMap<String, String>,
) -> Reply {
    let allowed = |(key, value): (&String, &String)| {
        (1..=128).contains(&key.chars().count()) && value.chars().count() <= 256 && !key.starts_with("aws:")
    };
    if tags.len() > TAGS_PER_QUEUE || !tags.iter().all(allowed) {
        return Err(error::invalid_value(format!(
            "A queue has at most {TAGS_PER_QUEUE} tags, with keys of 1 to 128 characters that do not begin with aws:, and \
             values of up to 256."
        )));
    }
    queue.tags = tags;
    let effect = Effect::QueueTagged { queue: queue.name.clone() };
    world.journal.effect(now, &call.caller, &queue.account.clone(), effect);
    Ok(Answer::Json(json!({})))
}
