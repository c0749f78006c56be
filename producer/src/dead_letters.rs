//! Dead letters: messages that workers have given up on, looked at and sent back.

pub mod advice;
pub mod letter;
pub mod list;
pub mod redrive;
pub mod scan;
mod walk;

pub use letter::Letter;
pub use list::{DeadLettersReport, Filter, ListOptions};
pub use redrive::{RedriveOptions, RedriveReport};
