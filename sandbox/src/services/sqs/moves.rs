//! Message move tasks: what `StartMessageMoveTask` takes off a dead-letter queue and puts back where it came from. Without a
//! rate everything moves at once; with one, as much as the sandbox's clock has allowed by the time of any SQS call.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::manage::is_source;
use super::message::{Message, Place};
use super::{State, error, in_range};
use crate::call::{Answer, ApiError, Call, Reply};
use crate::journal::Effect;
use crate::world::World;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MoveTask {
    /// What it is named by.
    pub handle: String,
    /// The dead-letter queue's ARN.
    pub source: String,
    /// Where everything goes; back to where each message came from if not given.
    pub destination: Option<String>,
    /// Messages a second; as fast as can be if not given.
    pub rate: Option<u32>,
    /// When it was started.
    pub started: Timestamp,
    /// How far it is.
    pub status: MoveStatus,
    pub moved: u64,
    /// Messages there were to move when it was started.
    pub to_move: u64,
    pub failure: Option<&'static str>,
}

/// How far a move task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MoveStatus {
    Running,
    Completed,
    Failed,
}

impl MoveTask {
    /// How many messages it may have moved by now.
    fn allowed(&self, now: Timestamp) -> u64 {
        let seconds = u64::try_from(now.duration_since(self.started).as_secs()).unwrap_or(0);
        self.rate.map_or(self.to_move, |rate| (seconds * u64::from(rate)).min(self.to_move))
    }
}

pub(super) fn start(state: &mut State, world: &mut World, call: &Call, now: Timestamp) -> Reply {
    let source = call.text("SourceArn").ok_or_else(|| error::missing_parameter("SourceArn"))?;
    let destination = call.text("DestinationArn");
    let rate = match call.json()["MaxNumberOfMessagesPerSecond"].as_i64() {
        None => None,
        given => Some(in_range("MaxNumberOfMessagesPerSecond", given, 1..=500, 500)?),
    };
    own(state, call, source, "SourceArn")?;
    if let Some(destination) = destination {
        own(state, call, destination, "DestinationArn")?;
    }
    if !state.queues.values().any(|queue| is_source(queue, source)) {
        return Err(error::invalid_value("Source queue must be configured as a Dead Letter Queue."));
    }
    if state.moves.iter().any(|task| task.source == source && task.status == MoveStatus::Running) {
        return Err(error::invalid_value(
            "There is already a task running. Only one active task is allowed for a source queue arn at a given time.",
        ));
    }
    let to_move = state.caught_up(source, now)?.visible() as u64;
    let task = json!({ "taskId": world.uuid().to_string(), "sourceArn": source });
    let handle = BASE64.encode(task.to_string());
    state.moves.push(MoveTask {
        handle: handle.clone(),
        source: source.to_owned(),
        destination: destination.map(str::to_owned),
        rate,
        started: now,
        status: MoveStatus::Running,
        moved: 0,
        to_move,
        failure: None,
    });
    advance(state, world, call, now);
    Ok(Answer::Json(json!({ "TaskHandle": handle })))
}

/// Refuses a queue that is not there or not the caller's.
fn own(state: &State, call: &Call, arn: &str, parameter: &str) -> Result<(), ApiError> {
    let queue = state.queues.get(arn).ok_or_else(|| error::resource_not_found(parameter))?;
    if queue.account == call.caller.account { Ok(()) } else { Err(error::access_denied(arn)) }
}

/// Lets every running task move what it may have moved by now.
pub(super) fn advance(state: &mut State, world: &mut World, call: &Call, now: Timestamp) {
    for at in 0..state.moves.len() {
        while state.moves[at].status == MoveStatus::Running {
            let task = &state.moves[at];
            if task.moved >= task.to_move {
                state.moves[at].status = MoveStatus::Completed;
            } else if task.moved < task.allowed(now) {
                let (status, failure) = match move_one(state, world, call, at, now) {
                    Ok(true) => continue,
                    Ok(false) => (MoveStatus::Completed, None),
                    Err(reason) => (MoveStatus::Failed, Some(reason)),
                };
                state.moves[at].status = status;
                state.moves[at].failure = failure;
            } else {
                break;
            }
        }
    }
}

/// Moves the next visible message of a task; `false` when there is none.
fn move_one(
    state: &mut State,
    world: &mut World,
    call: &Call,
    at: usize,
    now: Timestamp,
) -> Result<bool, &'static str> {
    // A moved message is a new one: new id, new age. (SQS Developer Guide, "Configuring a dead-letter queue redrive".)
    let new_id = world.uuid().to_string();
    let State { queues, moves, .. } = state;
    let task = &mut moves[at];
    let source = queues.get_mut(&task.source).ok_or("AWS.SimpleQueueService.NonExistentQueue")?;
    source.catch_up(now);
    let Some(ticket) = source.next(1).first().copied() else { return Ok(false) };
    let Some(message) = source.message(ticket) else { return Ok(false) };
    let destination = task.destination.clone().or_else(|| message.dead_letter_source.clone());
    let destination = destination.ok_or("CouldNotDetermineMessageSource")?;
    let (account, from) = (source.account.clone(), source.name.clone());
    if !queues.contains_key(&destination) {
        return Err("AWS.SimpleQueueService.NonExistentQueue");
    }
    let Some(message) = queues.get_mut(&task.source).and_then(|source| source.remove(ticket)) else { return Ok(false) };
    let id = message.id.clone();
    let Some(target) = queues.get_mut(&destination) else { return Ok(false) };
    let rank = target.next_ticket();
    let to = target.name.clone();
    target.insert(Message {
        id: new_id.clone(),
        sent_at: now,
        receive_count: 0,
        first_received_at: None,
        dead_letter_source: None,
        place: Place::Visible,
        rank,
        ..message
    });
    task.moved += 1;
    world.journal.effect(now, &call.caller, &account, Effect::MessageMoved { from, to: to.clone(), id });
    world.journal.effect(now, &call.caller, &account, Effect::MessageSent { queue: to, id: new_id });
    Ok(true)
}

pub(super) fn list(state: &State, call: &Call) -> Reply {
    let source = call.text("SourceArn").ok_or_else(|| error::missing_parameter("SourceArn"))?;
    let most = in_range("MaxResults", call.json()["MaxResults"].as_i64(), 1..=10, 1)? as usize;
    own(state, call, source, "SourceArn")?;
    let tasks = state.moves.iter().rev().filter(|task| task.source == source).take(most);
    let results: Vec<Value> = tasks.map(describe).collect();
    Ok(Answer::Json(json!({ "Results": results })))
}

fn describe(task: &MoveTask) -> Value {
    let mut result = json!({
        "Status": task.status,
        "SourceArn": task.source,
        "ApproximateNumberOfMessagesMoved": task.moved,
        "ApproximateNumberOfMessagesToMove": task.to_move,
        "StartedTimestamp": task.started.as_millisecond(),
    });
    // A handle is for calling off, so only a running task has one.
    if task.status == MoveStatus::Running {
        result["TaskHandle"] = json!(task.handle);
    }
    if let Some(destination) = &task.destination {
        result["DestinationArn"] = json!(destination);
    }
    if let Some(rate) = task.rate {
        result["MaxNumberOfMessagesPerSecond"] = json!(rate);
    }
    if let Some(reason) = task.failure {
        result["FailureReason"] = json!(reason);
    }
    result
}
