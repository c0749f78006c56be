//! What producer and worker share of AWS: the connection, the clock, member sessions and what they are limited to, reads of
//! IAM, the queue, the one classifier of errors, backoff, and the settings and logging both binaries have in common.
//!
//! Neither knows the other; both stand on this and on `rotation`, which knows nothing of AWS's SDK.

pub mod backoff;
pub mod calls;
pub mod clock;
pub mod command_line;
pub mod connection;
pub mod credential_report;
pub mod environment;
pub mod error;
pub mod https;
pub mod iam;
pub mod queue;
pub mod secret;
pub mod session;
pub mod session_policy;
pub mod sessions;
pub mod settings;
pub mod telemetry;
pub mod tries;

pub use backoff::RetryPolicy;
pub use calls::CallCounter;
pub use clock::{AnswerTime, AwsClock};
pub use connection::{Connection, ConnectionError, Identity};
pub use credential_report::{CredentialReport, CredentialReportError};
pub use error::{AwsError, ErrorClass};
pub use queue::QueueUrl;
pub use queue::depth::Depth;
pub use queue::redrive::{RedriveError, RedrivePolicy};
pub use session::{MemberRole, MemberSession};
pub use session_policy::SessionPolicy;
pub use sessions::{MIN_SESSION_FOR_ONE_USER, Sessions};
pub use tries::Tries;
