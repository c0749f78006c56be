//! The rules of access key rotation: values in, a plan out.
//!
//! Nothing here does I/O, knows an SDK type, reads a clock or rolls a die. What the rules need to know of the world is
//! in [`User`] and [`Policy`]; what they decide is a [`Verdict`]. A security auditor reads [`lifecycle`] top to bottom,
//! then [`forced`] and [`restore`], and has seen everything that can ever happen to a key.

pub mod dead_letter;
mod evidence;
pub mod finding;
pub mod forced;
pub mod ids;
pub mod intent;
pub mod job;
pub mod key;
pub mod lifecycle;
pub mod names;
pub mod plan;
pub mod policy;
pub mod restore;
pub mod user;

pub use dead_letter::Reason;
pub use finding::Finding;
pub use ids::{AccessKeyId, AccountId, InvalidId, UserName};
pub use intent::Intent;
pub use job::{Job, Task};
pub use key::{Key, KeyStatus, LastUse, Memory, Published, Remembered};
pub use plan::{Action, Deletable, Exemption, Missing, Notice, Plan, Safeguard, Upcoming, Verdict};
pub use policy::{Period, Policy, UnusedKeys};
pub use user::User;
