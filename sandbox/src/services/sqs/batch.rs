//! What the three batch operations have in common: the rules for the batch as a whole, and an answer per entry.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::error;
use super::knobs::Knobs;
use crate::call::{Answer, ApiError, Call, Reply};
use crate::wire::sqs;

/// Entries a batch can have.
const LARGEST_BATCH: usize = 10;

/// The entries of a batch, checked as a whole.
pub(super) fn entries(call: &Call) -> Result<Vec<&Value>, ApiError> {
    let entries: Vec<&Value> = call.json()["Entries"].as_array().map(|list| list.iter().collect()).unwrap_or_default();
    if entries.is_empty() {
        return Err(error::other(
            "EmptyBatchRequest",
            format!("There should be at least one {}RequestEntry in the request.", call.operation),
        ));
    }
    if entries.len() > LARGEST_BATCH {
        return Err(error::other(
            "TooManyEntriesInBatchRequest",
            format!("Maximum number of entries per request are {LARGEST_BATCH}. You have sent {}.", entries.len()),
        ));
    }
    let mut seen = BTreeSet::new();
    for entry in &entries {
        let id = id(entry);
        let characters = id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        if id.is_empty() || id.len() > 80 || !characters {
            return Err(error::other(
                "InvalidBatchEntryId",
                "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 \
                 letters long.",
            ));
        }
        if !seen.insert(id) {
            return Err(error::other("BatchEntryIdsNotDistinct", format!("Id {id} repeated.")));
        }
    }
    Ok(entries)
}

fn id(entry: &Value) -> &str {
    entry["Id"].as_str().unwrap_or_default()
}

/// The refusal the knobs hold for this entry.
pub(super) fn chosen_failure(knobs: &mut Knobs, call: &Call, entry: &Value) -> Option<Value> {
    let body = entry["MessageBody"].as_str().unwrap_or_default();
    let failure = knobs.entry_failure(&call.operation, id(entry), body)?;
    Some(json!({
        "Id": id(entry),
        "SenderFault": failure.sender_fault,
        "Code": failure.code,
        "Message": "Refused by the sandbox, as it was asked to.",
    }))
}

/// The answer to a batch, put together entry by entry.
#[derive(Debug, Default)]
pub(super) struct BatchAnswer {
    successful: Vec<Value>,
    failed: Vec<Value>,
}

impl BatchAnswer {
    /// Adds what became of an entry.
    pub(super) fn add(&mut self, entry: &Value, outcome: Result<Map<String, Value>, ApiError>) {
        match outcome {
            Ok(mut answer) => {
                answer.insert("Id".to_owned(), Value::String(id(entry).to_owned()));
                self.successful.push(Value::Object(answer));
            }
            Err(refusal) => self.failed.push(json!({
                "Id": id(entry),
                "SenderFault": refusal.status < 500,
                "Code": sqs::query_error_code(&refusal.code),
                "Message": refusal.message,
            })),
        }
    }

    /// Adds an entry that is refused on purpose.
    pub(super) fn fail(&mut self, failure: Value) {
        self.failed.push(failure);
    }

    /// The whole; a list that is empty is left out, as AWS does.
    pub(super) fn answer(self) -> Reply {
        let mut answer = Map::new();
        for (name, list) in [("Successful", self.successful), ("Failed", self.failed)] {
            if !list.is_empty() {
                answer.insert(name.to_owned(), Value::Array(list));
            }
        }
        Ok(Answer::Json(Value::Object(answer)))
    }
}
