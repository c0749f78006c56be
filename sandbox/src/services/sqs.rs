//! Simple Queue Service: standard and FIFO queues with visibility, delays, long polling, deduplication, redrive policies and
//! move tasks, all by the sandbox's clock, so that a moved clock makes messages visible, late or forgotten.
//!
//! Where AWS leaves room, this is chosen:
//! - A stale receipt handle (the message was received again since) deletes nothing and is answered as a success on a standard
//!   queue, as the documentation of `DeleteMessage` says; on a FIFO queue it is refused, and so is a handle whose visibility
//!   timeout is over.
//! - A message that reaches its dead-letter queue starts there with a receive count of 0. It keeps its id and attributes and, on a
//!   standard queue, its age.
//! - Queues answer callers of their own account only; queue policies are stored and not read.

mod acknowledge;
mod attributes;
mod batch;
mod error;
mod knobs;
mod manage;
mod message;
mod moves;
mod queue;
mod receive;
mod recent;
mod send;
mod visible_index;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

pub use attributes::{Attributes, DeduplicationScope, RedriveAllowPolicy, RedrivePolicy};
pub use knobs::{EntryFailure, Knobs};
pub use message::{LARGEST_MESSAGE, Message, MessageAttribute, Place};
pub use moves::{MoveStatus, MoveTask};
pub use queue::Queue;

use crate::call::{ApiError, Call, Reply, partition};
use crate::refusal;
use crate::world::World;

/// The queues of every account and region.
#[derive(Debug, Clone, Default, Serialize)]
pub struct State {
    /// What queue URLs start with: `http://127.0.0.1:4599`.
    endpoint: String,
    pub knobs: Knobs,
    /// The queues, by ARN.
    queues: BTreeMap<String, Queue>,
    /// Move tasks, newest last.
    moves: Vec<MoveTask>,
}

impl State {
    /// Says where the sandbox listens.
    pub fn set_endpoint(&mut self, endpoint: String) {
        self.endpoint = endpoint;
    }

    /// Makes a queue, as `CreateQueue` does; gives its URL. Making one again with the same attributes changes nothing.
    pub fn create_queue(
        &mut self,
        now: Timestamp,
        region: &str,
        account: &str,
        name: &str,
        attributes: &[(&str, &str)],
    ) -> Result<String, ApiError> {
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        manage::create(self, now, region, account, name, &attributes)?;
        Ok(self.url(account, name))
    }

    pub fn url(&self, account: &str, name: &str) -> String {
        format!("{}/{account}/{name}", self.endpoint)
    }

    /// All queues, by ARN.
    pub fn queues(&self) -> &BTreeMap<String, Queue> {
        &self.queues
    }

    /// A queue by account and name, in whichever region it is.
    pub fn queue(&self, account: &str, name: &str) -> Option<&Queue> {
        self.queues.values().find(|queue| queue.account == account && queue.name == name)
    }

    /// The move tasks so far, oldest first.
    pub fn moves(&self) -> &[MoveTask] {
        &self.moves
    }

    /// The next moment at which a message becomes visible by itself: when long polls should be looked at again while the clock
    /// runs.
    pub fn next_visible(&self) -> Option<Timestamp> {
        self.queues.values().filter_map(Queue::next_visible).min()
    }

    /// A queue, brought up to `now`.
    fn caught_up(&mut self, arn: &str, now: Timestamp) -> Result<&mut Queue, ApiError> {
        let queue = self.queues.get_mut(arn).ok_or_else(error::queue_does_not_exist)?;
        queue.catch_up(now);
        Ok(queue)
    }
}

/// Carries out one call.
pub fn handle(state: &mut State, world: &mut World, call: &Call) -> Reply {
    let now = world.now();
    moves::advance(state, world, call, now);
    match call.operation.as_str() {
        "SendMessage" => send::one(state, world, call, now),
        "SendMessageBatch" => send::batch(state, world, call, now),
        "ReceiveMessage" => receive::receive(state, world, call, now),
        "DeleteMessage" => acknowledge::delete(state, world, call, now),
        "DeleteMessageBatch" => acknowledge::delete_batch(state, world, call, now),
        "ChangeMessageVisibility" => acknowledge::change_visibility(state, world, call, now),
        "ChangeMessageVisibilityBatch" => acknowledge::change_visibility_batch(state, world, call, now),
        "CreateQueue" => manage::create_queue(state, world, call, now),
        "GetQueueUrl" => manage::get_queue_url(state, call),
        "ListQueues" => manage::list_queues(state, call),
        "GetQueueAttributes" => manage::get_attributes(state, call, now),
        "SetQueueAttributes" => manage::set_attributes(state, world, call, now),
        "ListQueueTags" => manage::list_tags(state, call, now),
        "TagQueue" => manage::tag_queue(state, world, call, now),
        "StartMessageMoveTask" => moves::start(state, world, call, now),
        "ListMessageMoveTasks" => moves::list(state, call),
        _ => Err(refusal::unsupported(call)),
    }
}

fn arn(region: &str, account: &str, name: &str) -> String {
    format!("arn:{}:sqs:{region}:{account}:{name}", partition(region))
}

/// The ARN of the queue a call names by its URL. Only the last two parts of a URL count, so that a queue is found under any
/// name of the host.
fn target(call: &Call) -> Result<String, ApiError> {
    let url = call.text("QueueUrl").ok_or_else(|| error::missing_parameter("QueueUrl"))?;
    let mut parts = url.trim_end_matches('/').rsplit('/');
    let (Some(name), Some(account)) = (parts.next(), parts.next()) else {
        return Err(error::queue_does_not_exist());
    };
    let arn = arn(&call.region, account, name);
    if account != call.caller.account { Err(error::access_denied(&arn)) } else { Ok(arn) }
}

/// A number of a request that has to be in a range, as SQS words it.
fn in_range(
    name: &str,
    value: Option<i64>,
    range: std::ops::RangeInclusive<u32>,
    default: u32,
) -> Result<u32, ApiError> {
    let Some(value) = value else { return Ok(default) };
    u32::try_from(value).ok().filter(|value| range.contains(value)).ok_or_else(|| {
        let reason = format!("Must be between {} and {}, if provided.", range.start(), range.end());
        error::invalid_parameter(name, value, &reason)
    })
}
