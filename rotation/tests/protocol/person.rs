//! What a person does, past the tool.

use crate::keys::{BY_HAND, FOREIGN, NONE, OLD, has, members, one};
use crate::moves::Move;
use crate::scenario::{Act, Scenario};
use crate::worker::{Place, Worker};
use crate::world::World;

/// The place of an intent that a person has written: that of a third worker.
const FORGED_INTENT: u8 = 2;

/// What a person may do next.
pub(crate) fn moves(scenario: &Scenario, world: &World, moves: &mut Vec<Move>) {
    if world.person == 0 {
        return;
    }
    let mut done = |label, mut world: World| {
        world.person -= 1;
        moves.push(Move { label, world, worker: Worker::at(Place::End), violation: None });
    };
    let ours = |set| members(set).filter(|key| *key != OLD && *key != BY_HAND);
    for act in scenario.person {
        let mut after = *world;
        match act {
            Act::MakesKey | Act::MakesAndUsesKey => {
                if world.keys().count_ones() < 2 && !has(world.created, BY_HAND) {
                    after.create(BY_HAND);
                    if *act == Act::MakesAndUsesKey {
                        after.used |= one(BY_HAND);
                        done("a person makes a key and uses it", after);
                    } else {
                        done("a person makes a key", after);
                    }
                }
            }
            Act::DeletesSuccessor => {
                for key in ours(world.keys()) {
                    let mut after = *world;
                    after.remove(key);
                    // How far reads lag behind a person's calls nobody can tell from when the person made them.
                    after.ghosts &= !one(key);
                    after.meddled |= one(key);
                    done("a person deletes the new key", after);
                }
            }
            Act::DisablesSuccessor => {
                for key in ours(world.active) {
                    let mut after = *world;
                    after.set_status(key, false);
                    after.just_disabled &= !one(key);
                    after.meddled |= one(key);
                    done("a person makes the new key inactive", after);
                }
            }
            Act::EnablesOld => {
                if has(world.inactive, OLD) {
                    after.set_status(OLD, true);
                    after.just_enabled &= !one(OLD);
                    done("a person makes the old key active again", after);
                }
            }
            Act::InstallsPublished => {
                if world.current != NONE && has(world.active, world.current) && !has(world.used, world.current) {
                    after.used |= one(world.current);
                    done("the owner installs the published key", after);
                }
            }
            Act::ForgesIntent => {
                if !has(world.intents, FORGED_INTENT) {
                    after.forge_intent(FORGED_INTENT);
                    done("a person writes an intent", after);
                }
            }
            Act::StoresForeignVersion => {
                after.versions |= one(FOREIGN);
                after.current = FOREIGN;
                after.meddled |= one(FOREIGN);
                done("a person stores another value in the secret", after);
            }
        }
    }
}
