//! The sandbox's queues, secrets and mail through the real SDK and over a real socket.

#[path = "../common.rs"]
mod common;
mod secretsmanager;
mod secretsmanager_access;
mod ses;
mod sqs;
mod sqs_dead_letters;
mod sqs_fifo;
mod sqs_knobs;
mod sqs_queues;
