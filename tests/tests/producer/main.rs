//! The producer against a sandboxed organization, through the real SDK.

mod dead_letters;
mod requests;
mod schedule;
mod stage;
