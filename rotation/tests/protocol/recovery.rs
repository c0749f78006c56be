//! What undisturbed deliveries make of whatever was left: one after the other, each when all intents are old.

use crate::keys::{BY_HAND, FOREIGN, OLD, has, members, own_key};
use crate::moves::Moves;
use crate::scenario::Scenario;
use crate::violation::Violation;
use crate::worker::{Place, Worker};
use crate::world::{Memory, World};

/// More than any state needs: settle, rotate, tell.
const DELIVERIES: usize = 8;
/// More moves than any of them needs.
const MOVES: usize = 200;

/// Delivers until nothing changes any more, and looks at the end.
pub(crate) fn recover(scenario: &Scenario, mut world: World) -> Result<(), (Violation, Vec<String>)> {
    let scenario = scenario.undisturbed();
    let mut lines = Vec::new();
    for delivery in 1..=DELIVERIES {
        world.rest();
        let before = world;
        // Of the two that are left for this, one that has made no key yet.
        let Some(me) = [3, 4].into_iter().find(|me| !has(world.created, own_key(*me))) else {
            return Err((Violation::MakesKeysForEver, lines));
        };
        let mut worker = Worker::at(Place::Idle);
        let mut moves = Vec::new();
        let deadline = lines.len() + MOVES;
        while worker.place != Place::End {
            assert!(lines.len() < deadline, "a delivery that never ends: {lines:?}");
            Moves::collect(&scenario, &world, me, worker, &mut moves);
            let Some(step) = moves.drain(..).next() else { break };
            lines.push(format!("delivery {delivery}: {}", step.label));
            (world, worker) = (step.world, step.worker);
            if let Some(violation) = step.violation.filter(|it| !scenario.tolerated.contains(it)) {
                return Err((violation, lines));
            }
        }
        world.rest();
        world.expired = before.expired;
        if world == before {
            break;
        }
    }
    good(&world).map_err(|violation| (violation, lines))
}

/// Whether the user is as it should be.
fn good(world: &World) -> Result<(), Violation> {
    if world.intents != 0 {
        return Err(Violation::IntentLeft);
    }
    if world.deletion_untold {
        return Err(Violation::DeletionNotTold);
    }
    // A key that a person made inactive stands in the way until its time is over, by the rules: nothing to settle.
    if world.inactive & world.meddled != 0 {
        return Ok(());
    }
    // Nor is one that was left to a person.
    if world.active & world.left != 0 {
        return Ok(());
    }
    let mut successors = members(world.active & !world.first);
    let successor = match (successors.next(), successors.next()) {
        // Whoever deletes the last key by hand has none.
        (None, _) if world.meddled != 0 && !has(world.active, OLD) => return Ok(()),
        (None, _) => return Err(Violation::NoSuccessor),
        (Some(_), Some(_)) => return Err(Violation::TwoSuccessors),
        (Some(successor), None) => successor,
    };
    // Whoever stores something else in the secret afterwards wants it so: a finding, once the old key is due.
    let replaced = has(world.meddled, FOREIGN) && has(world.published, successor);
    if successor != BY_HAND && !world.in_hand(successor) && !replaced {
        return Err(Violation::NotPublished);
    }
    match world.tag.memory {
        Memory::Noticed(made) if has(made, successor) => Ok(()),
        _ if !has(world.active, OLD) => Ok(()),
        Memory::Noticed(_)
        | Memory::NoticeUntold
        | Memory::Disabled
        | Memory::DisabledUntold
        | Memory::Renewed
        | Memory::Nothing => Err(Violation::NotTold),
    }
}
