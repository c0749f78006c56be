//! Settling, as in `worker/src/steps/settle.rs`.

use crate::attempt::predecessors;
use crate::keys::{BY_HAND, FOREIGN, OLD, has, members, one};
use crate::moves::{Answer, Moves};
use crate::scenario::Defence;
use crate::violation::Violation;
use crate::worker::{AttemptStep, DeliveryStep, Place, SettleStep, Worker};

const END: Worker = Worker::at(Place::End);
const CLEAR_AFTER_FAILURE: Worker = Worker::at(Place::Attempt(AttemptStep::ClearAfterFailure));

/// The worker at the next key that has to be settled, or at the end of them. No call is made.
pub(crate) fn next(moves: &Moves<'_>, mut worker: Worker) -> Worker {
    let predecessors = predecessors(moves, worker.intents);
    for key in members(worker.todo) {
        if has(predecessors, key) || !members(worker.intents).any(|intent| claims(moves, intent, key)) {
            worker.todo &= !one(key);
            continue;
        }
        let live = has(worker.active, key);
        let place = if worker.current == key {
            if !live && moves.scenario.with(Defence::InactiveIsSettled) {
                worker.todo &= !one(key);
                continue;
            }
            Place::Settle(SettleStep::Verify)
        } else if has(worker.versions, key) && live && !loses(moves, worker, key) {
            Place::Settle(SettleStep::Publish)
        } else {
            Place::Settle(SettleStep::Remove)
        };
        return worker.to(place);
    }
    Worker { intents: worker.intents, finding: worker.finding, ..Worker::at(Place::Settle(SettleStep::Clear)) }
}

/// Whether the attempt of this intent may have made the key, going by its creation.
fn claims(moves: &Moves<'_>, intent: u8, key: u8) -> bool {
    let makes_none = has(moves.world.settling, intent) && moves.scenario.with(Defence::SettlingMakesNone);
    !makes_none && has(moves.world.window[usize::from(intent)], key)
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
pub(crate) fn moves(moves: &mut Moves<'_>, step: SettleStep, worker: Worker) {
    let key = members(worker.todo).next().unwrap_or(OLD);
    match step {
        SettleStep::Publish => publish(moves, worker, key),
        SettleStep::Published => published(moves, worker, key),
        SettleStep::Verify => verify(moves, worker, key),
        SettleStep::Look => look(moves, worker, key),
        SettleStep::Remove => remove(moves, worker, key),
        SettleStep::Clear => clear(moves, worker),
    }
}

fn publish(moves: &mut Moves<'_>, worker: Worker, key: u8) {
    for answer in moves.answers() {
        let mut world = *moves.world;
        let effect = *answer != Answer::Refused && *answer != Answer::Unclear(false);
        let swapped = effect && world.swap(key, worker.current, moves.scenario.with(Defence::Expectation));
        match answer {
            Answer::Done if swapped => moves.go("settle: publish", world, worker.to(Place::Settle(SettleStep::Verify))),
            Answer::Done => {
                moves.go("settle: something else is published", world, worker.to(Place::Settle(SettleStep::Published)));
            }
            Answer::Unclear(_) | Answer::Refused | Answer::RefusedThoughDone => {
                moves.go("settle: publish failed", world, CLEAR_AFTER_FAILURE);
            }
        }
    }
}

fn published(moves: &mut Moves<'_>, worker: Worker, key: u8) {
    for ((current, _), world) in moves.looks() {
        if current == key {
            moves.go("settle: it is published already", world, worker.to(Place::Settle(SettleStep::Verify)));
        } else {
            moves.go("settle: the published version has moved", world, CLEAR_AFTER_FAILURE);
        }
    }
}

fn verify(moves: &mut Moves<'_>, worker: Worker, key: u8) {
    for ((active, _), world) in moves.lists() {
        if has(active, key) || !moves.scenario.with(Defence::Verify) {
            moves.go("settle: verify", world, worker.to(Place::Settle(SettleStep::Look)));
        } else {
            moves.go("settle: the published key is not live", world, CLEAR_AFTER_FAILURE);
        }
    }
}

fn look(moves: &mut Moves<'_>, worker: Worker, key: u8) {
    for ((current, versions), world) in moves.looks() {
        let read = Worker { current, versions, todo: worker.todo & !one(key), ..worker };
        moves.go("settle: look", world, next(moves, read));
    }
}

fn remove(moves: &mut Moves<'_>, worker: Worker, key: u8) {
    let rest = Worker { todo: worker.todo & !one(key), ..worker };
    if has(moves.world.used, key) {
        let rest = Worker { finding: true, ..rest };
        moves.go("remove: it was used, so it is a person's", *moves.world, next(moves, rest));
        return;
    }
    let is_theirs = |intent: u8| claims(moves, intent, key) && moves.world.is_confirmed(intent, key);
    if !members(worker.intents).any(is_theirs) && moves.scenario.with(Defence::Trace) {
        let mut world = *moves.world;
        // An attempt's, and really there without its secret: a look that lags may hide a version, as may one before a frozen worker
        // stores it, and then the key is only left alone.
        let is_attempts = key != BY_HAND && has(world.keys() & !world.first, key);
        let is_orphan = is_attempts && !has(world.versions, key);
        let allowed = if is_orphan { Err(Violation::LeftToAPerson) } else { Ok(()) };
        world.left |= if is_attempts { one(key) } else { 0 };
        let rest = Worker { finding: true, ..rest };
        moves.go_if("remove: no attempt was at work", world, next(moves, rest), allowed);
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
                moves.go_if(label, world, next(moves, rest), allowed);
            }
            Answer::Unclear(_) | Answer::Refused | Answer::RefusedThoughDone => {
                moves.go_if("remove: not known to be done", world, CLEAR_AFTER_FAILURE, allowed);
            }
        }
    }
}

fn clear(moves: &mut Moves<'_>, worker: Worker) {
    for answer in moves.answers() {
        let mut world = *moves.world;
        if *answer != Answer::Refused && *answer != Answer::Unclear(false) {
            world.clear_intents(worker.intents | one(moves.me as u8));
        }
        match answer {
            Answer::Done if worker.finding => moves.go("clear: a finding", world, END),
            Answer::Done => moves.go("clear: looks again", world, Worker::at(Place::Delivery(DeliveryStep::LookKeys))),
            Answer::Unclear(_) | Answer::Refused | Answer::RefusedThoughDone => {
                moves.go("clear: not known to be done", world, END);
            }
        }
    }
}
