//! Sends events to an EventBridge bus: in batches, beside the work, which never waits for it.
//!
//! Events are sent at least once or, where EventBridge takes them neither at once nor a few seconds later, not at all: then the log
//! says so, and it has each of them as a line anyway.

use std::time::Duration;

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use key_rotation_aws::telemetry::SUMMARY;
use key_rotation_aws::{AwsError, RetryPolicy};
use rotation::Event;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::task::JoinHandle;
use tracing::warn;

const PUT_EVENTS: &str = "events:PutEvents";
/// EventBridge's `source` of all events.
pub const SOURCE: &str = "key-rotation";
/// Entries of one call (EventBridge API reference, `PutEvents`: 1 to 10).
const BATCH: usize = 10;
/// Events that wait to be sent. More than a bus that cannot be reached for half a minute makes of a worker's messages.
const MAX_WAITING: usize = 10_000;
/// How long an event waits for company.
const BATCH_LINGER: Duration = Duration::from_millis(50);
/// How long a stopping worker waits for what is still to be sent: some of the half minute that a task has to stop.
const LONGEST_FLUSH: Duration = Duration::from_secs(10);

/// The way to the bus. Clones share it.
#[derive(Debug, Clone)]
pub struct EventBus(mpsc::Sender<Event>);

/// The task that sends.
#[derive(Debug)]
pub struct EventSender(JoinHandle<()>);

impl EventBus {
    /// Starts sending to this bus, which is named or given by its ARN.
    pub fn start(client: Client, bus: String) -> (Self, EventSender) {
        let (queue, waiting) = mpsc::channel(MAX_WAITING);
        (Self(queue), EventSender(tokio::spawn(send_all(client, bus, waiting))))
    }

    /// Hands an event over to be sent.
    pub fn send(&self, event: Event) {
        if let Err(TrySendError::Full(_) | TrySendError::Closed(_)) = self.0.try_send(event) {
            log_refused(1, "too many events wait to be sent");
        }
    }
}

impl EventSender {
    /// Waits until everything is sent, for a while. To be called when nobody can hand over any more.
    pub async fn finish(self) {
        if tokio::time::timeout(LONGEST_FLUSH, self.0).await.is_err() {
            warn!("events that were still to be sent to the event bus are lost: the worker stops");
        }
    }
}

fn log_refused(events: usize, why: &str) {
    warn!(target: SUMMARY, events_refused = events, error = why, "events could not be sent to the event bus");
}

async fn send_all(client: Client, bus: String, mut waiting: mpsc::Receiver<Event>) {
    let mut batch = Vec::with_capacity(BATCH);
    while waiting.recv_many(&mut batch, BATCH).await > 0 {
        if batch.len() < BATCH {
            tokio::time::sleep(BATCH_LINGER).await;
            while batch.len() < BATCH
                && let Ok(event) = waiting.try_recv()
            {
                batch.push(event);
            }
        }
        send(&client, &bus, std::mem::take(&mut batch)).await;
    }
}

/// Sends a batch; what is refused for a reason that passes is tried again.
async fn send(client: &Client, bus: &str, mut batch: Vec<Event>) {
    let mut waits = RetryPolicy::MESSAGE.waits();
    loop {
        let (again, why) = match put(client, bus, &batch).await {
            Ok(failed) => {
                let (again, lost): (Vec<_>, Vec<_>) = failed.into_iter().partition(|(_, code)| may_pass(code));
                for (_, code) in &lost {
                    log_refused(1, &format!("{PUT_EVENTS} refused it: {code}"));
                }
                let why =
                    again.first().map_or_else(String::new, |(_, code)| format!("{PUT_EVENTS} refused it: {code}"));
                (again.into_iter().map(|(index, _)| batch[index].clone()).collect(), why)
            }
            Err(error) if error.class.may_pass() => (batch, error.to_string()),
            Err(error) => return log_refused(batch.len(), &error.to_string()),
        };
        if again.is_empty() {
            return;
        }
        let Some(wait) = waits.next() else { return log_refused(again.len(), &why) };
        tokio::time::sleep(wait).await;
        batch = again;
    }
}

/// Whether an entry with this error may be taken another time (API reference, `PutEventsResultEntry`: "Retryable errors").
fn may_pass(code: &str) -> bool {
    matches!(code, "InternalFailure" | "InternalException" | "ThrottlingException")
}

/// One call; gives the entries that were refused, by their place, and why.
async fn put(client: &Client, bus: &str, events: &[Event]) -> Result<Vec<(usize, String)>, AwsError> {
    let entries = events.iter().map(|event| entry(bus, event)).collect();
    let answer = client.put_events().set_entries(Some(entries)).send().await;
    let answer = answer.map_err(|error| AwsError::new(PUT_EVENTS, error))?;
    let refused = answer.entries().iter().enumerate();
    Ok(refused.filter_map(|(index, entry)| Some((index, entry.error_code.clone()?))).collect())
}

fn entry(bus: &str, event: &Event) -> PutEventsRequestEntry {
    PutEventsRequestEntry::builder()
        .event_bus_name(bus)
        .source(SOURCE)
        .detail_type(event.kind.detail_type())
        .detail(serde_json::to_string(event).expect("strings, numbers and times always serialize"))
        .time(DateTime::from_secs(event.time.as_second()))
        .build()
}
