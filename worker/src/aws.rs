//! AWS as the worker's steps want it: thin, typed, one function per call, every list read to its last page.

pub mod event_bus;
pub mod iam;
pub mod mail;
pub mod secret_quotas;
pub mod secrets;
pub mod ses_account;
pub mod smtp;
pub mod suppression;
