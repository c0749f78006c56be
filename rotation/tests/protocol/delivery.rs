//! One delivery around an attempt, as in `worker/src/user.rs`, `account.rs` and `steps/key_status.rs`: look, decide, disable,
//! delete, tell, record. What is decided is what `rotation::lifecycle` decides about a user whose old key is due.

use crate::keys::{OLD, Set, has, members, one, own_key};
use crate::moves::{Answer, Moves};
use crate::scenario::Defence;
use crate::violation::Violation;
use crate::worker::{AttemptStep, DeliveryStep, Mark, Place, Worker};
use crate::world::{Memory, StateTag, World};

const END: Worker = Worker::at(Place::End);
pub(crate) const NOTICE: Worker = Worker::at(Place::Delivery(DeliveryStep::Tell));
const DISABLED: Worker = Worker { mark: Mark::Disabled, ..NOTICE };
const DELETED: Worker = Worker { mark: Mark::Deleted, ..NOTICE };

/// What is told, after what has to be recorded before it.
fn told(moves: &Moves<'_>, what: Worker) -> Worker {
    let first = moves.scenario.mails && moves.scenario.with(Defence::RecordBeforeMail);
    if first { what.to(Place::Delivery(DeliveryStep::RecordUntold)) } else { what }
}

/// What a delivery may do next, outside of an attempt.
pub(crate) fn moves(moves: &mut Moves<'_>, step: DeliveryStep, worker: Worker) {
    match step {
        DeliveryStep::LookTags => look_tags(moves, worker),
        DeliveryStep::LookKeys => look_keys(moves),
        DeliveryStep::RecordUntold => record_untold(moves, worker),
        DeliveryStep::Tell => tell(moves, worker),
        DeliveryStep::Record => record(moves, worker),
        DeliveryStep::Disable => disable(moves, worker),
        DeliveryStep::MarkDeletion => mark_deletion(moves, worker),
        DeliveryStep::Delete => delete(moves),
    }
}

/// Keys before tags: a key that an attempt has just made is seen together with its intent, or with its published version.
/// (The code may have the tags from the listing instead, and then reads them again before anything is done on their word: a
/// successor is made on the word of the tags that the attempt reads under its intent. Where it reads them after the keys, it
/// lists the keys once more and looks again where they differ: a caution that the model does without.)
fn look_keys(moves: &mut Moves<'_>) {
    for ((active, inactive), mut world) in moves.lists() {
        // `sessions.with(MIN_SESSION_FOR_ONE_USER)`: a new one where the present one is too short.
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
        (Place::Delivery(DeliveryStep::Tell | DeliveryStep::RecordUntold), Mark::Noticed) => {
            "looks: the owner is to be told"
        }
        (Place::Delivery(DeliveryStep::Tell | DeliveryStep::RecordUntold), Mark::Disabled) => {
            "looks: the old key is found inactive"
        }
        (Place::Delivery(DeliveryStep::Tell | DeliveryStep::RecordUntold), Mark::Deleted) => {
            "looks: that the old key was deleted is to be told"
        }
        (Place::Delivery(DeliveryStep::Disable), _) => "looks: the old key is to be disabled",
        (Place::Delivery(DeliveryStep::Delete | DeliveryStep::MarkDeletion), _) => {
            "looks: the old key is to be deleted"
        }
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
        let clock_runs = match memory {
            Memory::Disabled | Memory::Renewed => true,
            Memory::DisabledUntold => !moves.scenario.with(Defence::UntoldStartsNothing),
            Memory::Noticed(_) | Memory::NoticeUntold | Memory::Nothing => false,
        };
        let marks = moves.scenario.mails && moves.scenario.with(Defence::MarkBeforeDelete);
        return match (clock_runs, grace_over) {
            (true, true) if marks => Worker::at(Place::Delivery(DeliveryStep::MarkDeletion)),
            (true, true) => Worker::at(Place::Delivery(DeliveryStep::Delete)),
            (true, false) => END,
            (false, _) => told(moves, DISABLED),
        };
    }
    if !has(active, OLD) {
        return if tag.deleting { DELETED } else { END };
    }
    let counts = |successor: u8| match memory {
        Memory::Noticed(made) => !moves.scenario.with(Defence::NoticeNotOlder) || has(made, successor),
        Memory::Disabled | Memory::DisabledUntold | Memory::Renewed | Memory::NoticeUntold | Memory::Nothing => false,
    };
    match (memory, members(keys & !one(OLD)).next()) {
        // Re-enabled by a person.
        (Memory::Disabled | Memory::DisabledUntold | Memory::Renewed, _) => told(moves, NOTICE),
        (Memory::Noticed(_) | Memory::NoticeUntold | Memory::Nothing, None) => {
            Worker::at(Place::Attempt(AttemptStep::LeaveIntent))
        }
        // An inactive key has to be deleted first, in its time.
        (Memory::Noticed(_) | Memory::NoticeUntold | Memory::Nothing, Some(other)) if has(inactive, other) => END,
        (Memory::Noticed(_) | Memory::NoticeUntold | Memory::Nothing, Some(successor)) => {
            let in_hand = current == successor || has(moves.world.used, successor);
            match (counts(successor), grace_over, in_hand) {
                (false, _, _) => told(moves, NOTICE),
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
    match worker.mark {
        Mark::Noticed => world.tell(),
        Mark::Disabled => {
            world.tell();
            world.told_inactive = has(world.inactive, OLD);
        }
        Mark::Deleted => world.deletion_untold = false,
    }
    let current = world.current;
    let to_be_had = has(world.active, current) && current != OLD || has(world.meddled, current);
    let true_word = !worker.rotated || has(world.published, own_key(moves.me)) && to_be_had;
    let allowed = match true_word {
        _ if moves.scenario.untaggable => Err(Violation::ToldOffTheRecord),
        true => Ok(()),
        false => Err(Violation::ToldOfNothing),
    };
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
        Mark::Deleted => Memory::Nothing,
    };
    for answer in moves.tag_answers() {
        let mut world = *moves.world;
        if *answer != Answer::Refused && *answer != Answer::Unclear(false) {
            match worker.mark {
                Mark::Deleted => world.mark_deletion(false),
                Mark::Noticed | Mark::Disabled => world.remember(memory),
            }
        }
        moves.go("record", world, END);
    }
}

/// What cannot be recorded is not mailed.
fn record_untold(moves: &mut Moves<'_>, worker: Worker) {
    let memory = match worker.mark {
        Mark::Noticed => Memory::NoticeUntold,
        Mark::Disabled | Mark::Deleted => Memory::DisabledUntold,
    };
    for answer in moves.tag_answers() {
        let mut world = *moves.world;
        if *answer != Answer::Refused && *answer != Answer::Unclear(false) {
            world.remember(memory);
        }
        let next = if *answer == Answer::Done { worker.to(Place::Delivery(DeliveryStep::Tell)) } else { END };
        moves.go("record_not_told", world, next);
    }
}

fn mark_deletion(moves: &mut Moves<'_>, worker: Worker) {
    for answer in moves.tag_answers() {
        let mut world = *moves.world;
        if *answer != Answer::Refused && *answer != Answer::Unclear(false) {
            world.mark_deletion(true);
        }
        let next = if *answer == Answer::Done { worker.to(Place::Delivery(DeliveryStep::Delete)) } else { END };
        moves.go("delete: its record", world, next);
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
            let next = if *answer == Answer::Done { told(moves, DISABLED) } else { END };
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
            let allowed = if has(world.active, OLD) {
                Err(Violation::OldKeyDeleted)
            } else if moves.scenario.mails && !world.told_inactive && has(world.inactive, OLD) {
                Err(Violation::DeletedUntold)
            } else {
                Ok(())
            };
            after.deletion_untold |= moves.scenario.mails && has(after.inactive, OLD);
            after.remove(OLD);
            if moves.scenario.mails {
                moves.go_if("delete", after, DELETED, allowed);
            } else {
                after.remember(Memory::Nothing);
                moves.go_if("delete", after, END, allowed);
            }
        }
    }
}
