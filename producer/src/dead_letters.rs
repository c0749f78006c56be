//! Dead letters: messages that workers have given up on, looked at, sent back, or deleted.

pub mod delete;
pub mod letter;
pub mod list;
pub mod redrive;
pub mod scan;
mod walk;

pub use delete::{DeleteOptions, DeleteReport};
pub use letter::{DeadLetter, DeadLetterReason};
pub use list::{DeadLettersReport, Filter, ListOptions};
pub use redrive::{RedriveOptions, RedriveReport};
