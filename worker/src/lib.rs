//! Takes messages off the queue and brings the access keys of one account to where policy wants them.
//!
//! The way of a message: `queue` → `handler` → `account` → `inventory` → `user` (look, decide by the crate `rotation`, execute by
//! `steps`) → `notices` → an outcome back to `queue`, the one place that acknowledges a message.

pub mod account;
pub mod aws;
pub mod context;
pub mod error;
pub mod events;
pub mod handler;
pub mod inventory;
pub mod notices;
pub mod pace;
pub mod preview;
pub mod queue;
pub mod recorder;
pub mod run;
pub mod secret_policies;
pub mod settings;
pub mod steps;
pub mod storage_refusals;
pub mod summary;
pub mod user;

pub use run::{StartError, WorkerReport, run};
pub use settings::{RawSettings, Settings};
