//! The producer: puts one message per account, or per user, on the queue, and carries out an operator's requests.
//!
//! The way of a scheduled run: [`organization`] says whom it concerns, page by page; [`users`] turns accounts into users
//! where that is asked for; [`enqueue`] sends, in batches, while the listing still goes on. [`schedule`] ties them
//! together. The other commands have a file each: [`force_rotate`] and [`restore`], which send a [`request`], [`status`],
//! [`dead_letters`], and [`report`], which needs no queue. [`follow`] waits for a single message's end, [`watch`] for a queue's.
//!
//! Every command is a function of a connection, settings and options that returns a report: a value that can be printed,
//! serialized, or looked at by a caller in the same process.

pub mod cli;
pub mod command;
pub mod dead_letters;
pub mod enqueue;
pub mod follow;
pub mod force_rotate;
pub mod organization;
mod publication;
pub mod queue;
pub mod report;
pub mod request;
pub mod restore;
pub mod schedule;
pub mod settings;
pub mod status;
pub mod users;
pub mod watch;

pub use command::{CommandError, ExitStatus, Report};
pub use settings::Settings;
