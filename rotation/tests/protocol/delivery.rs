//! One delivery around an attempt, as in `worker/src/user.rs`, `account.rs` and `steps/key_status.rs`: look, decide, disable,
//! delete, tell, record. What is decided is what `rotation::lifecycle` decides about a user whose old key is due.

use crate::moves::{Answer, Moves};
use crate::scenario::Defence;
use crate::violation::Violation;
use crate::worker::{AttemptStep, DeliveryStep, Mark, Place, Worker};
use crate::world::{Memory, OLD, Set, StateTag, World, has, members, one, own_key};

const END: Worker = Worker::at(Place::End);
pub(crate) const NOTICE: Worker = Worker::at(Place::Delivery(DeliveryStep::Tell));
const DISABLED: Worker = Worker { mark: Mark::Disabled, ..Worker::at(Place::Delivery(DeliveryStep::Tell)) };

/// What a delivery may do next, outside of an attempt.
pub(crate) fn moves(moves: &mut Moves<'_>, step: DeliveryStep, worker: Worker) {
    match step {
        DeliveryStep::LookTags => look_tags(moves, worker),
        DeliveryStep::LookKeys => look_keys(moves),
        DeliveryStep::Tell => tell(moves, worker),
        DeliveryStep::Record => record(moves, worker),
        DeliveryStep::Disable => disable(moves, worker),
        DeliveryStep::Delete => delete(moves),
    }
}

/// Keys before tags: a key that an attempt has just made is seen together with its intent, or with its published version.
/// (The code may have the tags from the listing instead, and then reads them again before anything is done on their word: a
/// successor is made on the word of the tags that the attempt reads under its intent. Where it reads them after the keys, it
/// lists the keys once more and looks again where they differ: a caution that the model does without.)
fn look_keys(moves: &mut Moves<'_>) {
    for ((active, inactive), mut world) in moves.lists() {
        // `sessions.with(MIN_SESSION_FOR_READS)`: a new one where the present one is too short.
        world.new_session(moves.me);
        moves.go(
            "looks: keys",
            world,
            Worker { active, inactive, ..Worker::at(Place::Delivery(DeliveryStep::LookTags)) },
        );
    }
}

fn look_tags(moves: &mut Moves<'_>, worker: Worker) {
    let Worker { active, inactive, .. } = worker;
    for ((seen, tag), world) in moves.tags() {
        if seen == 0 && moves.scenario.leak {
            for ((current, _), world) in Moves::looks_at(&world) {
                let next = Worker { current, ..decide_leak(moves, active) };
                moves.go(words(next), world, next);
            }
        } else if seen == 0 {
            for ((current, _), world) in Moves::looks_at(&world) {
                let next = match decide(moves, active, inactive, tag, current) {
                    // The compare-and-swap will expect what is published now.
                    next @ Worker { place: Place::Attempt(_), .. } => Worker { current, ..next },
                    next => next,
                };
                moves.go(words(next), world, next);
            }
        } else if seen & !world.old != 0 && moves.scenario.with(Defence::WaitForTurn) {
            moves.go(
                "looks: an intent, which is young",
                world,
                Worker::at(Place::Attempt(AttemptStep::WaitWithoutIntent)),
            );
        } else {
            let settle = Worker { settling: true, ..Worker::at(Place::Attempt(AttemptStep::LeaveIntent)) };
            moves.go("looks: an intent, to be settled first", world, settle);
        }
    }
}

fn words(next: Worker) -> &'static str {
    match (next.place, next.mark) {
        (Place::Attempt(_), _) => "looks: the key needs a successor",
        (Place::Delivery(DeliveryStep::Tell), Mark::Noticed) => "looks: the owner is to be told",
        (Place::Delivery(DeliveryStep::Tell), Mark::Disabled) => "looks: the old key is found inactive",
        (Place::Delivery(DeliveryStep::Disable), _) => "looks: the old key is to be disabled",
        (Place::Delivery(DeliveryStep::Delete), _) => "looks: the old key is to be deleted",
        (Place::Delivery(DeliveryStep::LookTags | DeliveryStep::LookKeys | DeliveryStep::Record), _)
        | (Place::Idle | Place::Settle(_) | Place::Restore(_) | Place::End, _) => "looks: nothing is to be done",
    }
}

/// The plan for these keys.
fn decide(moves: &Moves<'_>, active: Set, inactive: Set, tag: StateTag, current: u8) -> Worker {
    let StateTag { memory, grace_over, .. } = tag;
    let keys = active | inactive;
    // More than two: a person has to look.
    if keys.count_ones() > 2 {
        return END;
    }
    if has(inactive, OLD) {
        return match memory {
            Memory::Disabled | Memory::Renewed if grace_over => Worker::at(Place::Delivery(DeliveryStep::Delete)),
            Memory::Disabled | Memory::Renewed => END,
            Memory::Noticed(_) | Memory::Nothing => DISABLED,
        };
    }
    if !has(active, OLD) {
        return END;
    }
    let counts = |successor: u8| match memory {
        Memory::Noticed(made) => !moves.scenario.with(Defence::NoticeNotOlder) || has(made, successor),
        Memory::Disabled | Memory::Renewed | Memory::Nothing => false,
    };
    match (memory, members(keys & !one(OLD)).next()) {
        // Re-enabled by a person.
        (Memory::Disabled | Memory::Renewed, _) => NOTICE,
        (Memory::Noticed(_) | Memory::Nothing, None) => Worker::at(Place::Attempt(AttemptStep::LeaveIntent)),
        // An inactive key has to be deleted first, in its time.
        (Memory::Noticed(_) | Memory::Nothing, Some(other)) if has(inactive, other) => END,
        (Memory::Noticed(_) | Memory::Nothing, Some(successor)) => {
            let in_hand = current == successor || has(moves.world.used, successor);
            match (counts(successor), grace_over, in_hand) {
                (false, _, _) => NOTICE,
                (true, true, true) => {
                    Worker { active: one(successor), ..Worker::at(Place::Delivery(DeliveryStep::Disable)) }
                }
                (true, false, _) | (true, true, false) => END,
            }
        }
    }
}

/// The plan of a forced rotation whose key was contained and deleted, beside a key that stays.
fn decide_leak(moves: &Moves<'_>, active: Set) -> Worker {
    let made_since = active & !moves.scenario.present();
    if made_since == 0 { Worker::at(Place::Attempt(AttemptStep::LeaveIntent)) } else { END }
}

/// The mail is accepted. It does not run on the member session.
fn tell(moves: &mut Moves<'_>, worker: Worker) {
    let mut world = *moves.world;
    world.tell();
    let current = world.current;
    let to_be_had = has(world.active, current) && current != OLD || has(world.meddled, current);
    let true_word = !worker.rotated || has(world.published, own_key(moves.me)) && to_be_had;
    let allowed = if true_word { Ok(()) } else { Err(Violation::ToldOfNothing) };
    let recorded = Worker { told: world.told, rotated: false, ..worker.to(Place::Delivery(DeliveryStep::Record)) };
    moves.go_if("tell", world, recorded, allowed);
    if moves.scenario.faults {
        moves.go("tell: the mail is not accepted", *moves.world, END);
    }
}

fn record(moves: &mut Moves<'_>, worker: Worker) {
    let told = if moves.scenario.with(Defence::DatedWhenTold) { worker.told } else { moves.world.created };
    let memory = match worker.mark {
        Mark::Noticed => Memory::Noticed(told),
        Mark::Disabled => Memory::Disabled,
    };
    for answer in moves.answers() {
        let mut world = *moves.world;
        if *answer != Answer::Refused && *answer != Answer::Unclear(false) {
            world.remember(memory);
        }
        moves.go("record", world, END);
    }
}

/// The look and the call are one move: what happens between them nothing can prevent, as IAM has no conditional writes.
fn disable(moves: &mut Moves<'_>, worker: Worker) {
    let successor = members(worker.active).next().unwrap_or(OLD);
    let looks = moves.lists().into_iter().flat_map(|((active, _), world)| {
        Moves::looks_at(&world).into_iter().map(move |((current, _), world)| (active, current, world))
    });
    for (active, current, world) in looks {
        let in_hand = current == successor || has(moves.world.used, successor);
        let looks_right = has(active, OLD) && has(active, successor) && in_hand;
        if !looks_right && moves.scenario.with(Defence::LookBeforeDisable) {
            moves.go("disable: the look shows something else", world, END);
            continue;
        }
        for answer in moves.answers() {
            let mut world = world;
            let allowed = match answer {
                Answer::Done | Answer::Unclear(true) | Answer::RefusedThoughDone => harmless(&world),
                Answer::Unclear(false) | Answer::Refused => Ok(()),
            };
            if *answer != Answer::Refused && *answer != Answer::Unclear(false) {
                world.set_status(OLD, false);
            }
            let next = if *answer == Answer::Done { DISABLED } else { END };
            moves.go_if("disable", world, next, allowed);
        }
    }
}

/// Whether the old key may be made inactive: another is in somebody's hands, and was told of long enough ago.
fn harmless(world: &World) -> Result<(), Violation> {
    let in_hand: Set = members(world.active & !one(OLD)).filter(|key| world.in_hand(*key)).map(one).sum();
    if !has(world.active, OLD) {
        Ok(())
    } else if in_hand == 0 {
        Err(Violation::DisabledWithoutSuccessor)
    } else if in_hand & world.told_in_time == 0 {
        Err(Violation::DisabledWithoutNotice)
    } else {
        Ok(())
    }
}

fn delete(moves: &mut Moves<'_>) {
    for ((active, inactive), world) in moves.lists() {
        if has(active, OLD) && moves.scenario.with(Defence::LookBeforeDelete) {
            moves.go("delete: it is active again", world, END);
        } else if has(inactive, OLD) || has(active, OLD) {
            let mut after = world;
            let allowed = if has(world.active, OLD) { Err(Violation::OldKeyDeleted) } else { Ok(()) };
            after.remove(OLD);
            after.remember(Memory::Nothing);
            moves.go_if("delete", after, END, allowed);
        }
    }
}
