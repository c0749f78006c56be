//! The rotation protocol as a model, searched to the last state.
//!
//! One user, up to three workers that interleave at every call, each of which may crash or be frozen before any of them; calls
//! that are refused or whose answers are lost, with or without effect; stale reads; IAM's limit of two keys, racing; a central store;
//! a person who acts in between; days that pass. The workers' steps are those of the code, under the same names:
//!
//! | here | there |
//! |---|---|
//! | `attempt.rs` | `worker/src/steps/rotate.rs` |
//! | `settle.rs` | `worker/src/steps/settle.rs` |
//! | `restore.rs` | `rotation/src/restore.rs`, where the key's deletion is due |
//! | `delivery.rs` | `worker/src/user.rs`, `account.rs`, `steps/key_status.rs`, and what `rotation::lifecycle` decides |
//! | `world.rs` | IAM and Secrets Manager, as far as one user goes |
//!
//! `holds.rs` shows that nothing is ever broken, `progress.rs` that attempts that meet get on, `without.rs` what breaks when one
//! defence is left out, `limits.rs` what no order of steps can prevent. `cargo test --release --workspace --test protocol --
//! --nocapture` prints states and traces.
//!
//! A model is no code: whoever changes a step there changes it here.

mod attempt;
mod delivery;
mod explore;
mod holds;
mod keys;
mod limits;
mod moves;
mod person;
mod progress;
mod recovery;
mod restore;
mod scenario;
mod settle;
mod violation;
mod without;
mod worker;
mod world;
