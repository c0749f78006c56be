//! Events and metrics: what the log and the event bus say of keys, held against the documented schema and against what was done; and
//! the stack's queries, alarms and dashboard, which live on them.

mod bus;
mod lines;
mod log;
mod queries;
mod schema;
