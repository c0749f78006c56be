//! The queue worker by itself: what it does with messages, whatever their handler does. The handlers are the tests' own; the
//! queue is the sandbox's, behind the real SDK.

mod dead_letters;
mod failures;
mod groups;
mod heartbeat;
mod one_account;
mod receiving;
mod silence;
mod stage;
mod throttling;
