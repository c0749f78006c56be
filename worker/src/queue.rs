//! The queue worker: takes messages, has them handled, and does with each what its handler says.
//!
//! Knows nothing of keys. What it promises: a worker never holds more messages than it works on, besides a few for the
//! next free places (`receive_ahead`) and those that are done and about to be deleted; of one message group it works on one message at
//! a time; a message is deleted only after its work is done or it is safe in the dead-letter queue; a panic, an overrun or a lost
//! connection is one failed delivery, never a lost message; a stop is no failure.

pub mod batch_delete;
pub mod consumer;
pub mod delivery;
mod groups;
pub mod heartbeat;
pub mod limits;
mod receive_ahead;
pub mod stop;

use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;
use rotation::Reason;

pub use consumer::{Consumer, ConsumerReport, QueueConfig};
pub use limits::{Limits, LimitsError};
pub use stop::Stop;

/// What shall become of a message. One place does it ([`delivery`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The work is done, or was done before.
    Done,
    /// Not now: deliver it again after a while.
    Retry {
        failure: Failure,
        /// When it makes sense, where that is known; else the delay is by how often it has failed.
        after: Option<Duration>,
    },
    /// It cannot succeed: put it aside for a person.
    DeadLetter(Failure),
    /// The worker is stopping and the work is not finished: another worker takes it from here. Not a failure.
    HandBack,
}

/// Why a delivery failed. Holds no secret: it goes to the log and onto dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub reason: Reason,
    /// A sentence for a person.
    pub error: String,
}

impl Failure {
    /// A failure for this reason, said in this sentence.
    pub fn new(reason: Reason, error: impl Into<String>) -> Self {
        Self { reason, error: error.into() }
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
    /// Its id in SQS; the same for every delivery.
    pub id: String,
    /// The id of the message that it is a copy of, if it was a dead letter in between; else its own.
    pub first_id: String,
    /// When the first was sent, by SQS's clock.
    pub sent: Timestamp,
    /// How often it has been received, this time included.
    pub receive_count: u32,
    /// Whether an earlier delivery may have begun the work: it was received before, or was a dead letter once.
    pub redelivered: bool,
    /// Whether this is its last delivery: if it fails again it becomes a dead letter.
    pub last_delivery: bool,
}

/// A message's body, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed<R> {
    /// What it asks for.
    pub job: R,
    /// The producer's run it belongs to, for the log and the dead letter's attribute.
    pub run_id: Option<String>,
    /// Where the queue itself has no message groups: of messages with the same group a worker works on one at a time.
    pub group: String,
    /// The group in which it waits for no other message. From any other group of a FIFO queue it is moved there before it is worked on.
    pub own_group: Option<String>,
    /// Messages of one group with the same work that wait together are one piece of work: the newest is worked on, and the
    /// others end as it does. `None` for what is to be done for its own sake.
    pub same_work: Option<String>,
}

/// Works on messages.
pub trait Handler: Send + Sync + 'static {
    /// What a message asks for.
    type Job: Send + Sync + 'static;

    /// Reads a message's body. Each is read once.
    ///
    /// # Errors
    /// It asks for nothing that can be understood, and becomes a dead letter.
    fn parse(&self, body: &str) -> Result<Parsed<Self::Job>, Failure>;

    /// Works on one message. May be dropped at any await point: when it overruns its time, or the process stops. Once `stop`
    /// is asked for it should begin nothing new, finish what it has begun, and say [`Outcome::HandBack`] if that was not all.
    fn handle(&self, message: &Message, job: &Self::Job, stop: &Stop) -> impl Future<Output = Outcome> + Send;
}
