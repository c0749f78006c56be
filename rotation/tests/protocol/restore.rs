//! An operator's restore of a key whose recovery grace is over, so that a scheduled delivery may be about to delete it.

use crate::delivery::NOTICE;
use crate::keys::{OLD, has};
use crate::moves::{Answer, Moves};
use crate::scenario::Defence;
use crate::worker::{Place, RestoreStep, Worker};
use crate::world::Memory;

const END: Worker = Worker::at(Place::End);

const fn at(step: RestoreStep) -> Worker {
    Worker::at(Place::Restore(step))
}

/// What a restore may do next.
pub(crate) fn moves(moves: &mut Moves<'_>, step: RestoreStep, worker: Worker) {
    match step {
        RestoreStep::LookKeys => look_keys(moves),
        RestoreStep::LookTags => look_tags(moves, worker),
        RestoreStep::Renew => renew(moves),
        RestoreStep::Again => moves.go("restore: the message comes again", *moves.world, at(RestoreStep::LookKeys)),
        RestoreStep::Enable => enable(moves),
    }
}

fn look_keys(moves: &mut Moves<'_>) {
    for ((active, inactive), mut world) in moves.lists() {
        world.new_session(moves.me);
        moves.go("restore: looks at the keys", world, Worker { active, inactive, ..at(RestoreStep::LookTags) });
    }
}

fn look_tags(moves: &mut Moves<'_>, worker: Worker) {
    for ((_, tag), world) in moves.tags() {
        let next = if has(worker.active, OLD) {
            NOTICE
        } else if !has(worker.inactive, OLD) {
            END
        } else {
            match tag.memory {
                _ if !moves.scenario.with(Defence::RestoreRenews) => at(RestoreStep::Enable),
                Memory::Renewed if tag.grace_over => at(RestoreStep::Renew),
                Memory::Renewed if tag.is_old || !moves.scenario.with(Defence::RestoreWaits) => at(RestoreStep::Enable),
                Memory::Renewed => at(RestoreStep::Again),
                Memory::Nothing
                | Memory::Noticed(_)
                | Memory::NoticeUntold
                | Memory::Disabled
                | Memory::DisabledUntold => at(RestoreStep::Renew),
            }
        };
        let label = match next.place {
            Place::End => "restore: the key is gone",
            Place::Restore(RestoreStep::Enable) => "restore: the record is renewed, and old",
            Place::Restore(RestoreStep::Again) => "restore: the record is renewed, and young",
            Place::Restore(_) => "restore: the record is to be renewed",
            Place::Delivery(_) | Place::Attempt(_) | Place::Settle(_) | Place::Idle => "restore: the key is active",
        };
        moves.go(label, world, next);
    }
}

fn renew(moves: &mut Moves<'_>) {
    for answer in moves.answers() {
        let mut world = *moves.world;
        if *answer != Answer::Refused && *answer != Answer::Unclear(false) {
            world.remember(Memory::Renewed);
        }
        moves.go("restore: renews the record", world, at(RestoreStep::Again));
    }
}

fn enable(moves: &mut Moves<'_>) {
    for answer in moves.answers() {
        let mut world = *moves.world;
        if *answer != Answer::Refused && *answer != Answer::Unclear(false) {
            world.set_status(OLD, true);
        }
        let next = if *answer == Answer::Done { NOTICE } else { at(RestoreStep::Again) };
        moves.go("restore: makes the key active", world, next);
    }
}
