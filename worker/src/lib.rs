//! Takes messages off the queue and brings the access keys of one account to where policy wants them.
//!
//! The way of the data: `queue` → `account` → `inventory` → `user` → (the plan, made in the crate `rotation`) → `steps` →
//! `notices` → an outcome back to `queue`, the one place that acknowledges a message.

pub mod account;
pub mod aws;
pub mod error;
pub mod inventory;
pub mod notices;
pub mod preview;
pub mod queue;
pub mod recorder;
pub mod rotator;
pub mod run;
pub mod sessions;
pub mod settings;
pub mod steps;
pub mod tally;
pub mod user;

pub use rotator::Rotator;
pub use run::{Report, StartError, run};
pub use settings::{MailOptions, RawSettings, Settings};
pub use tally::Tally;
