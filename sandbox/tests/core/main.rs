//! The sandbox's core through the real SDK and over a real socket: credentials, IAM, Organizations, faults, and the knobs.

#[path = "../common.rs"]
mod common;
mod control;
mod credentials;
mod faults;
mod iam;
mod organizations;
