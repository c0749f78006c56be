//! Settling, as in `worker/src/steps/settle.rs`.

use crate::attempt::predecessors;
use crate::moves::{Answer, Moves};
use crate::scenario::Defence;
use crate::worker::{Attempt, Delivery, Place, Settle, Worker};
use crate::world::{BY_HAND, FOREIGN, OLD, Set, has, members, one};

const END: Worker = Worker::at(Place::End);
const CLEAR_OWN: Worker = Worker::at(Place::Attempt(Attempt::ClearOwn));

/// The worker at the next key that has to be settled, or at the end of them. No call is made.
pub(crate) fn next(moves: &Moves<'_>, mut worker: Worker, present: Set) -> Worker {
    let predecessors = predecessors(moves, worker.intents);
    for key in members(worker.todo) {
        let claims = |intent: u8| {
            let makes_none = has(moves.world.settling, intent) && moves.scenario.with(Defence::SettlingMakesNone);
            !makes_none && has(moves.world.window[usize::from(intent)], key)
        };
        let predecessor = has(predecessors, key);
        if predecessor || !members(worker.intents).any(claims) {
            worker.finding |= !predecessor && present != 0;
            worker.todo &= !one(key);
            continue;
        }
        let live = has(worker.active, key);
        let place = if worker.current == key {
            if !live && moves.scenario.with(Defence::InactiveIsSettled) {
                worker.todo &= !one(key);
                continue;
            }
            Place::Settle(Settle::Verify)
        } else if has(worker.versions, key) && live && !loses(moves, worker, key) {
            Place::Settle(Settle::Publish)
        } else {
            Place::Settle(Settle::Remove)
        };
        return worker.to(place);
    }
    Worker { intents: worker.intents, finding: worker.finding, ..Worker::at(Place::Settle(Settle::Clear)) }
}

/// Whether another attempt's key is live and published, so that this pending one came too late.
fn loses(moves: &Moves<'_>, worker: Worker, key: u8) -> bool {
    let published = worker.current;
    moves.scenario.with(Defence::SettlingHasWinner)
        && published != key
        && published != FOREIGN
        && !has(predecessors(moves, worker.intents), published)
        && has(worker.active, published)
}

/// What settling may do next.
pub(crate) fn moves(moves: &mut Moves<'_>, step: Settle, worker: Worker) {
    let key = members(worker.todo).next().unwrap_or(OLD);
    match step {
        Settle::Publish => publish(moves, worker, key),
        Settle::Published => published(moves, worker, key),
        Settle::Verify => verify(moves, worker, key),
        Settle::Look => look(moves, worker, key),
        Settle::Remove => remove(moves, worker, key),
        Settle::Clear => clear(moves, worker),
    }
}

fn publish(moves: &mut Moves<'_>, worker: Worker, key: u8) {
    for answer in moves.answers() {
        let mut world = *moves.world;
        let effect = *answer != Answer::Refused && *answer != Answer::Unclear(false);
        let swapped = effect && world.swap(key, worker.current, moves.scenario.with(Defence::Expectation));
        match answer {
            Answer::Done if swapped => moves.go("settle: publish", world, worker.to(Place::Settle(Settle::Verify))),
            Answer::Done => {
                moves.go("settle: something else is published", world, worker.to(Place::Settle(Settle::Published)));
            }
            Answer::Unclear(_) | Answer::Refused | Answer::RefusedThoughDone => {
                moves.go("settle: publish failed", world, CLEAR_OWN);
            }
        }
    }
}

fn published(moves: &mut Moves<'_>, worker: Worker, key: u8) {
    for ((current, _), world) in moves.looks() {
        if current == key {
            moves.go("settle: it is published already", world, worker.to(Place::Settle(Settle::Verify)));
        } else {
            moves.go("settle: the published version has moved", world, CLEAR_OWN);
        }
    }
}

fn verify(moves: &mut Moves<'_>, worker: Worker, key: u8) {
    for ((active, _), world) in moves.lists() {
        if has(active, key) || !moves.scenario.with(Defence::Verify) {
            moves.go("settle: verify", world, worker.to(Place::Settle(Settle::Look)));
        } else {
            moves.go("settle: the published key is not live", world, CLEAR_OWN);
        }
    }
}

fn look(moves: &mut Moves<'_>, worker: Worker, key: u8) {
    for ((current, versions), world) in moves.looks() {
        let read = Worker { current, versions, todo: worker.todo & !one(key), ..worker };
        moves.go("settle: look", world, next(moves, read, present(moves, worker)));
    }
}

fn remove(moves: &mut Moves<'_>, worker: Worker, key: u8) {
    let rest = Worker { todo: worker.todo & !one(key), ..worker };
    if has(moves.world.used, key) {
        let rest = Worker { finding: true, ..rest };
        moves.go("remove: it was used, so it is a person's", *moves.world, next(moves, rest, present(moves, worker)));
        return;
    }
    for answer in moves.answers() {
        let mut world = *moves.world;
        let allowed = match answer {
            Answer::Done | Answer::Unclear(true) | Answer::RefusedThoughDone => world.delete(key),
            Answer::Refused | Answer::Unclear(false) => Ok(()),
        };
        match answer {
            Answer::Done => {
                let label = if key == BY_HAND { "remove (the key made by hand)" } else { "remove" };
                moves.go_if(label, world, next(moves, rest, present(moves, worker)), allowed);
            }
            Answer::Unclear(_) | Answer::Refused | Answer::RefusedThoughDone => {
                moves.go_if("remove: not known to be done", world, CLEAR_OWN, allowed);
            }
        }
    }
}

/// The plan's own keys, none where only settling is wanted.
fn present(moves: &Moves<'_>, worker: Worker) -> Set {
    if worker.settling { 0 } else { moves.scenario.present() }
}

fn clear(moves: &mut Moves<'_>, worker: Worker) {
    for answer in moves.answers() {
        let mut world = *moves.world;
        if *answer != Answer::Refused && *answer != Answer::Unclear(false) {
            world.clear_intents(worker.intents | one(moves.me as u8));
        }
        match answer {
            Answer::Done if worker.finding => moves.go("clear: a finding", world, END),
            Answer::Done => moves.go("clear: looks again", world, Worker::at(Place::Delivery(Delivery::LookKeys))),
            Answer::Unclear(_) | Answer::Refused | Answer::RefusedThoughDone => {
                moves.go("clear: not known to be done", world, END);
            }
        }
    }
}
