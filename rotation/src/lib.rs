//! The rules of access key rotation: values in, a verdict out.
//!
//! Nothing here does I/O, knows an SDK type, reads a clock or uses randomness. What the rules need to know of the world is
//! in [`User`], [`Policy`] and [`Request`]; [`decide`] answers with a [`Verdict`]. A security auditor reads `lifecycle`
//! top to bottom, then `forced` and `restore`, and has seen everything that can happen to a key that somebody has. Keys that nobody
//! has, those of interrupted rotations, are settled by the protocol (docs/rotation-protocol.md), whose times are in `intent`.

pub mod cloudtrail;
pub mod dead_letter;
mod decide;
pub mod event;
pub mod evidence;
pub mod finding;
mod forced;
pub mod forecast;
pub mod ids;
pub mod intent;
pub mod job;
pub mod key;
mod lifecycle;
pub mod names;
pub mod plan;
pub mod policy;
mod policy_status;
pub mod progress;
pub mod readers;
mod refusal;
mod request;
mod restore;
pub mod secret_policy;
pub mod selection;
pub mod state;
mod succession;
pub mod user;
mod verdict;

pub use dead_letter::Reason;
pub use decide::decide;
pub use event::{Event, EventKind};
pub use finding::Finding;
pub use forecast::{Forecast, ForecastKind, ForecastStep, Unforeseeable, forecast};
pub use ids::{AccessKeyId, AccountId, InvalidId, UserName};
pub use intent::Intent;
pub use job::{Job, Task};
pub use key::{Key, KeyStatus, LastUse, Published};
pub use plan::{Action, Announcement, Deletable, DisablePrecondition, Notice, Plan, Upcoming};
pub use policy::{Period, Policy, UnusedKeys};
pub use policy_status::PolicyStatus;
pub use refusal::{Refusal, RequestOption};
pub use request::{ForceRotateRequest, MAX_REQUEST_AGE, Request, RequestOrigin, RestoreRequest};
pub use state::{KeyState, KeyStateKind};
pub use succession::{Installed, Succession};
pub use user::User;
pub use verdict::{Exemption, MissingFact, Verdict};
