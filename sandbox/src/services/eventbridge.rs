//! EventBridge: buses, and what was put on them. There are no rules: what is on a bus is for tests and the `/_sandbox` routes to
//! read.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::call::{Answer, ApiError, Call, Reply};
use crate::refusal;
use crate::world::World;

/// Entries of one call, at most, and their bytes together (API reference, `PutEvents`; user guide, "Calculating PutEvents event
/// entry size").
const ENTRIES: usize = 10;
const BYTES: usize = 256 * 1024;

/// What EventBridge knows and has taken.
#[derive(Debug, Clone, Default, Serialize)]
pub struct State {
    /// Buses besides each account's `default`, by account and name.
    buses: BTreeSet<(String, String)>,
    events: Vec<PutEvent>,
    /// So many entries to come are refused with this code.
    refuse: Option<(usize, String)>,
}

/// What was put on a bus.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PutEvent {
    pub account: String,
    pub bus: String,
    pub source: String,
    pub detail_type: String,
    pub detail: Value,
    /// As the sender says.
    pub time: Option<Value>,
    /// When it was taken.
    pub at: Timestamp,
}

impl State {
    /// Makes a bus.
    pub fn add_bus(&mut self, account: &str, name: &str) {
        self.buses.insert((account.to_owned(), name.to_owned()));
    }

    /// Everything on all buses, in order.
    pub fn events(&self) -> &[PutEvent] {
        &self.events
    }

    /// The next entries are refused so, one by one.
    pub fn refuse_entries(&mut self, entries: usize, code: &str) {
        self.refuse = Some((entries, code.to_owned()));
    }

    fn next_refusal(&mut self) -> Option<String> {
        let (left, code) = self.refuse.as_mut().filter(|(left, _)| *left > 0)?;
        *left -= 1;
        Some(code.clone())
    }
}

/// Carries out a call.
pub fn handle(state: &mut State, world: &mut World, call: &Call) -> Reply {
    match call.operation.as_str() {
        "PutEvents" => put_events(state, world, call).map(Answer::Json),
        _ => Err(refusal::unsupported(call)),
    }
}

fn put_events(state: &mut State, world: &World, call: &Call) -> Result<Value, ApiError> {
    let entries = call.json()["Entries"].as_array().cloned().unwrap_or_default();
    if entries.is_empty() || entries.len() > ENTRIES {
        let message = format!(
            "1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length between 1 and {ENTRIES}"
        );
        return Err(ApiError::new(400, "ValidationException", message));
    }
    if entries.iter().map(|entry| entry.to_string().len()).sum::<usize>() > BYTES {
        let message = "Total size of the entries in the request is over the limit.";
        return Err(ApiError::new(400, "ValidationException", message));
    }
    let mut answers = Vec::new();
    for entry in &entries {
        answers.push(match take(state, world, call, entry) {
            Ok(event) => {
                state.events.push(event);
                json!({"EventId": format!("sandbox-{}", state.events.len())})
            }
            Err((code, message)) => json!({"ErrorCode": code, "ErrorMessage": message}),
        });
    }
    let failed = answers.iter().filter(|answer| answer.get("ErrorCode").is_some()).count();
    Ok(json!({"FailedEntryCount": failed, "Entries": answers}))
}

fn take(state: &mut State, world: &World, call: &Call, entry: &Value) -> Result<PutEvent, (String, &'static str)> {
    let refuse = |code: &str, message| Err((code.to_owned(), message));
    if let Some(code) = state.next_refusal() {
        return Err((code, "as the test wants it"));
    }
    let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    let named = entry["EventBusName"].as_str().unwrap_or("default");
    let bus = named.rsplit_once("event-bus/").map_or(named, |(_, name)| name).to_owned();
    let account = named.split(':').nth(4).unwrap_or(&call.caller.account).to_owned();
    if bus != "default" && !state.buses.contains(&(account.clone(), bus.clone())) {
        return refuse("InvalidArgument", "Event bus does not exist.");
    }
    let (source, detail_type) = (text("Source"), text("DetailType"));
    if source.is_empty() || detail_type.is_empty() {
        return refuse("InvalidArgument", "Parameter is not valid. Reason: Source and DetailType are required.");
    }
    if source.starts_with("aws.") {
        return refuse("NotAuthorizedForSourceException", "Not authorized for the source.");
    }
    match serde_json::from_str(&text("Detail")) {
        Ok(detail @ Value::Object(_)) => {
            let time = entry.get("Time").cloned();
            Ok(PutEvent { account, bus, source, detail_type, detail, time, at: world.now() })
        }
        Ok(_) | Err(_) => refuse("MalformedDetail", "Detail is malformed."),
    }
}
