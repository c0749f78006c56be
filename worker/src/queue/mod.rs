//! The queue worker: takes messages, has them handled, and does with each what its handler says.
//!
//! Knows nothing of keys. What it promises: a worker never holds more messages than it works on; a message is deleted only
//! after its work is done or it is safe in the dead-letter queue; a panic, an overrun or a lost connection is one failed
//! delivery, never a lost message.

pub mod acknowledge;
pub mod backoff;
pub mod consumer;
pub mod delivery;
pub mod heartbeat;
pub mod limits;
pub mod redrive;
pub mod stop;

use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;

pub use consumer::{Consumer, Drained, Lane};
pub use limits::{Limits, LimitsError};
pub use stop::Stop;

/// What shall become of a message. One place does it ([`delivery`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The work is done, or was done before.
    Done,
    /// Not now: deliver it again after a while.
    Retry {
        /// Why.
        failure: Failure,
        /// Not before this long, where that is known; otherwise by how often it has failed.
        after: Option<Duration>,
    },
    /// It cannot succeed: put it aside for a person.
    DeadLetter(Failure),
}

/// Why a delivery failed. Holds no secret: it goes to the log and onto dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// A word for grouping, as in `AssumeRoleDenied`.
    pub kind: String,
    /// A sentence for a person.
    pub message: String,
}

impl Failure {
    /// A failure of this kind, said in this sentence.
    pub fn new(kind: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind: kind.into(), message: message.into() }
    }
}

impl Outcome {
    /// Not now: deliver it again after a while.
    pub fn retry(failure: Failure) -> Self {
        Outcome::Retry { failure, after: None }
    }
}

/// One message as its handler sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// SQS's id of it.
    pub id: String,
    /// Its body.
    pub body: String,
    /// When it was first sent, by SQS's clock.
    pub sent: Timestamp,
    /// How often it has been received, this time included.
    pub receive_count: u32,
    /// Whether an earlier delivery may have begun the work: it was received before, or was a dead letter once.
    pub redelivered: bool,
    /// Whether this is its last delivery: if it fails again it becomes a dead letter.
    pub last_delivery: bool,
}

/// Whoever does the work.
pub trait Handler: Send + Sync + 'static {
    /// Works on one message. May be dropped at any await point: when it overruns its time, or the process stops.
    fn handle(&self, message: Message) -> impl Future<Output = Outcome> + Send;

    /// The run a body belongs to, for the dead letter's attribute.
    fn run_id(&self, body: &str) -> Option<String>;
}
