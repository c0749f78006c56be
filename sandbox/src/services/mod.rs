//! The services, a module each: a [`Call`] in, a [`Reply`] out, the [`World`] changed. They know nothing of HTTP.

pub mod iam;
pub mod organizations;
pub(crate) mod refusal;
pub mod secretsmanager;
pub mod ses;
pub mod sqs;
pub mod sts;

use crate::call::{Call, Reply, Service};
use crate::world::World;

/// Carries out a call.
pub fn handle(world: &mut World, call: &Call) -> Reply {
    match call.service {
        Service::Iam => iam::handle(world, call),
        Service::Sts => sts::handle(world, call),
        Service::Organizations => organizations::handle(world, call),
        Service::SecretsManager => secretsmanager::handle(world, call),
        Service::Sqs => sqs::handle(world, call),
        Service::Ses => ses::handle(world, call),
    }
}
