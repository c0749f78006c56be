//! The whole of AWS as the sandbox has it: the world, and the state of each service that keeps one of its own. One value behind one
//! lock. Calls are carried out on it; tests and the `/_sandbox` routes arrange and read it.

use std::ops::{Deref, DerefMut};

use serde::Serialize;

use crate::call::{Call, Reply, Service};
use crate::services::{eventbridge, iam, organizations, secretsmanager, ses, sqs, sts};
use crate::world::World;

/// All state of a sandbox.
///
/// It dereferences to its [`World`], because most of what a test arranges and reads is there.
#[derive(Debug, Clone, Serialize)]
pub struct Cloud {
    /// Organization, accounts, clock, journal and faults.
    #[serde(flatten)]
    pub world: World,
    pub secrets: secretsmanager::State,
    pub queues: sqs::State,
    pub mail: ses::State,
    pub event_buses: eventbridge::State,
}

impl Cloud {
    pub(crate) fn handle(&mut self, call: &Call) -> Reply {
        let Self { world, secrets, queues, mail, event_buses } = self;
        match call.service {
            Service::Iam => iam::handle(world, call),
            Service::Sts => sts::handle(world, call),
            Service::Organizations => organizations::handle(world, call),
            Service::SecretsManager => secretsmanager::handle(secrets, world, call),
            Service::Sqs => sqs::handle(queues, world, call),
            Service::Ses => ses::handle(mail, world, call),
            Service::EventBridge => eventbridge::handle(event_buses, world, call),
        }
    }
}

impl From<World> for Cloud {
    /// This world, with no secrets, queues or mail in it.
    fn from(world: World) -> Self {
        Self {
            world,
            secrets: secretsmanager::State::default(),
            queues: sqs::State::default(),
            mail: ses::State::default(),
            event_buses: eventbridge::State::default(),
        }
    }
}

impl Deref for Cloud {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl DerefMut for Cloud {
    fn deref_mut(&mut self) -> &mut World {
        &mut self.world
    }
}
