//! The services, a module each: a [`Call`](crate::call::Call) in, a [`Reply`](crate::call::Reply) out, the
//! [`World`](crate::world::World) and the service's own state changed. They know nothing of HTTP, nor of each other.

pub mod eventbridge;
pub mod iam;
pub mod organizations;
pub mod secretsmanager;
pub mod ses;
pub mod sqs;
pub mod sts;
