//! What producer and worker share of AWS: the connection, the clock, member sessions, the queue's address, the one
//! classifier of errors, and the settings and logging both binaries have in common.
//!
//! Neither knows the other; both stand on this and on `rotation`, which knows nothing of AWS's SDK.

pub mod clock;
pub mod connection;
pub mod error;
pub mod queue;
pub mod session;
pub mod settings;
pub mod telemetry;
pub mod tries;

pub use clock::{AnswerTime, AwsClock};
pub use connection::{Connection, ConnectionError};
pub use error::{AwsError, ErrorClass};
pub use queue::QueueUrl;
pub use session::{MemberRole, MemberSession};
pub use tries::Tries;
