//! An AWS Organization on localhost: the one stand-in for AWS.
//!
//! An HTTP server on a loopback port that speaks the services' own wire protocols, so that the unmodified SDK and the `aws`
//! command line work against it with `AWS_ENDPOINT_URL`. It knows the operations that the product uses and a person with the
//! command line wants, and answers any other with an error that names it. Requests come in through [`server`], become a [`call::Call`], are carried out by one of the
//! [`services`] on the [`cloud::Cloud`], and end in the [`journal`]. The [`clock`] can be moved, [`faults`] can be switched on.

mod authorize;
pub mod call;
pub mod client;
pub mod clock;
pub mod cloud;
mod control;
mod dispatch;
pub mod faults;
pub mod generate;
pub mod journal;
pub mod policy;
mod refusal;
pub mod serve;
pub mod server;
pub mod services;
pub mod wire;
pub mod world;

pub use clock::Clock;
pub use cloud::Cloud;
pub use server::{Sandbox, SandboxOptions};
pub use world::{Credentials, KeySpec, KeyStatus, World};
