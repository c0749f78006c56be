//! One attempt, as in `worker/src/steps/rotate.rs`: the same steps, the same names, the same ways out.

use crate::moves::{Answer, Moves};
use crate::scenario::Defence;
use crate::settle;
use crate::violation::Violation;
use crate::worker::{Attempt, Delivery, Place, Worker};
use crate::world::{FOREIGN, NONE, OLD, Set, has, members, one, own_key};

/// IAM's limit on a user's keys.
const KEYS: u32 = 2;
/// `SWAPS` of the code.
const SWAPS: u8 = 3;

const END: Worker = Worker::at(Place::End);
const CLEAR_OWN: Worker = Worker::at(Place::Attempt(Attempt::ClearOwn));
const UNDO: Worker = Worker::at(Place::Attempt(Attempt::Undo));

/// What an attempt may do next.
pub(crate) fn moves(moves: &mut Moves<'_>, step: Attempt, worker: Worker) {
    match step {
        Attempt::LeaveIntent => leave_intent(moves, worker),
        Attempt::Others => others(moves, worker),
        Attempt::Prepare => prepare(moves, worker),
        Attempt::Keys => keys(moves, worker),
        Attempt::Create => create(moves, worker),
        Attempt::Alone => alone(moves, worker),
        Attempt::Store => {
            moves.go("store: its session is not over", *moves.world, worker.to(Place::Attempt(Attempt::StoreCall)));
        }
        Attempt::StoreCall => store(moves, worker),
        Attempt::Publish => {
            moves.go("publish: its session is not over", *moves.world, worker.to(Place::Attempt(Attempt::PublishCall)));
        }
        Attempt::PublishCall => publish(moves, worker),
        Attempt::PublishedNow => published_now(moves, worker),
        Attempt::InDoubt => in_doubt(moves, worker),
        Attempt::Winner => winner(moves, worker),
        Attempt::Undo => undo(moves),
        Attempt::Verify => verify(moves, worker),
        Attempt::Clear => clear(moves, worker),
        Attempt::ClearOwn => clear_own(moves),
    }
}

fn leave_intent(moves: &mut Moves<'_>, worker: Worker) {
    for answer in moves.answers() {
        let mut world = *moves.world;
        if *answer != Answer::Refused && *answer != Answer::Unclear(false) {
            // `sessions.with(TO_ATTEMPT)`: a new one where the present one is too short.
            world.new_session(moves.me);
            if moves.scenario.with(Defence::Intent) {
                world.leave_intent(moves.me, worker.settling);
            }
        }
        match answer {
            Answer::Done => moves.go("leave_intent", world, worker.to(Place::Attempt(Attempt::Others))),
            Answer::Unclear(_) | Answer::RefusedThoughDone => moves.go("leave_intent: no clear answer", world, END),
            Answer::Refused => moves.go("leave_intent: refused", world, END),
        }
    }
}

fn others(moves: &mut Moves<'_>, worker: Worker) {
    for (seen, world) in moves.intents() {
        let young = seen & !world.old;
        if young != 0 && moves.scenario.with(Defence::Backoff) {
            moves.go("others: one is young", world, CLEAR_OWN);
        } else {
            moves.go("others", world, Worker { intents: seen, ..worker.to(Place::Attempt(Attempt::Prepare)) });
        }
    }
}

fn prepare(moves: &mut Moves<'_>, worker: Worker) {
    for ((current, versions), world) in moves.looks() {
        let read = Worker { current, versions, ..worker.to(Place::Attempt(Attempt::Keys)) };
        moves.go("prepare", world, read);
    }
    if moves.scenario.faults {
        moves.go("prepare: refused", *moves.world, CLEAR_OWN);
    }
}

fn keys(moves: &mut Moves<'_>, worker: Worker) {
    for ((active, inactive), world) in moves.lists() {
        let listed = active | inactive;
        let present = if worker.settling { 0 } else { moves.scenario.present() };
        if listed & present != present {
            moves.go("keys: one of the plan is gone", world, CLEAR_OWN);
        } else if worker.settling || listed & !present != 0 {
            let worker = Worker { active, todo: listed & !present, ..worker };
            moves.go("keys: to be settled", world, settle::next(moves, worker, present));
        } else {
            let worker = Worker { versions: 0, ..worker.to(Place::Attempt(Attempt::Create)) };
            moves.go("keys", world, worker);
        }
    }
}

fn create(moves: &mut Moves<'_>, worker: Worker) {
    let new = own_key(moves.me);
    let there = moves.world.keys();
    // The limit is racy between calls that come at the same time.
    let counted = if moves.scenario.limit_races { there & !moves.world.racing } else { there };
    if counted.count_ones() >= KEYS {
        moves.go("create: the limit is reached", *moves.world, CLEAR_OWN);
        return;
    }
    for answer in moves.answers() {
        let mut world = *moves.world;
        match answer {
            Answer::Done => {
                world.make_successor(new);
                moves.go("create", world, worker.to(Place::Attempt(Attempt::Alone)));
            }
            Answer::Unclear(done) => {
                if *done {
                    world.make_successor(new);
                }
                moves.go("create: no clear answer", world, END);
            }
            // One try only: refused is refused.
            Answer::Refused | Answer::RefusedThoughDone => moves.go("create: refused", world, CLEAR_OWN),
        }
    }
    if moves.scenario.faults && !moves.scenario.with(Defence::CreateOnce) {
        let mut world = *moves.world;
        world.make_successor(new);
        moves.go("create: its answer is lost, and the next try hits the limit", world, CLEAR_OWN);
    }
}

fn alone(moves: &mut Moves<'_>, worker: Worker) {
    for ((active, inactive), mut world) in moves.lists() {
        world.racing &= !one(own_key(moves.me));
        let raced = (active | inactive) & !moves.scenario.present() & !one(own_key(moves.me)) != 0;
        if raced && moves.scenario.with(Defence::Alone) {
            moves.go("alone: another key was made", world, UNDO);
        } else {
            moves.go("alone", world, worker.to(Place::Attempt(before_call(moves, Attempt::Store, Attempt::StoreCall))));
        }
    }
    if moves.scenario.faults {
        moves.go("alone: refused", *moves.world, UNDO);
    }
}

fn store(moves: &mut Moves<'_>, worker: Worker) {
    let new = own_key(moves.me);
    let next = if worker.current == NONE {
        Attempt::PublishedNow
    } else {
        before_call(moves, Attempt::Publish, Attempt::PublishCall)
    };
    for answer in moves.answers() {
        let mut world = *moves.world;
        if *answer != Answer::Refused && *answer != Answer::Unclear(false) {
            world.put_pending(new);
        }
        match answer {
            Answer::Done => moves.go("store", world, worker.to(Place::Attempt(next))),
            Answer::Unclear(_) => moves.go("store: no clear answer", world, after_unclear(moves)),
            Answer::Refused | Answer::RefusedThoughDone => moves.go("store: refused", world, UNDO),
        }
    }
}

/// A call to the store and the worker's own check before it. Where the store is in the account, AWS checks: one moment.
fn before_call(moves: &Moves<'_>, check: Attempt, call: Attempt) -> Attempt {
    if moves.scenario.central { check } else { call }
}

/// `left_to_settle`, or without that defence as after a refusal.
fn after_unclear(moves: &Moves<'_>) -> Worker {
    if moves.scenario.with(Defence::AmbiguityKept) { END } else { UNDO }
}

fn publish(moves: &mut Moves<'_>, worker: Worker) {
    let new = own_key(moves.me);
    for answer in moves.answers() {
        let mut world = *moves.world;
        let effect = *answer != Answer::Refused && *answer != Answer::Unclear(false);
        let swapped = effect && world.swap(new, worker.current, moves.scenario.with(Defence::Expectation));
        match answer {
            Answer::Done if swapped => moves.go("publish", world, verified_next(worker)),
            Answer::Done => moves.go(
                "publish: something else is published",
                world,
                worker.to(Place::Attempt(Attempt::PublishedNow)),
            ),
            Answer::Unclear(_) => moves.go("publish: no clear answer", world, after_unclear(moves)),
            Answer::Refused | Answer::RefusedThoughDone => {
                moves.go("publish: refused", world, give_up(moves, worker.current));
            }
        }
        if *answer == Answer::Done && moves.scenario.faults {
            // The SDK tries again after a lost answer, and may find what it has done itself.
            let keeps_doubt = moves.scenario.with(Defence::DoubtKept);
            let next = if keeps_doubt { Attempt::InDoubt } else { Attempt::PublishedNow };
            let label = if swapped {
                "publish: an earlier try has done it, and the last one is refused"
            } else {
                "publish: an earlier try has no answer, and something else is published"
            };
            moves.go(label, world, worker.to(Place::Attempt(next)));
        }
    }
}

fn published_now(moves: &mut Moves<'_>, worker: Worker) {
    let first = worker.current == NONE && worker.swaps == 0;
    for ((current, _), world) in moves.looks() {
        let read = Worker { current, ..worker };
        if current == own_key(moves.me) {
            moves.go("published_now: the own key", world, verified_next(worker));
        } else if first && !moves.scenario.with(Defence::FirstVersionHasWinner) {
            let next = before_call(moves, Attempt::Publish, Attempt::PublishCall);
            moves.go("published_now: another was the first version", world, read.to(Place::Attempt(next)));
        } else {
            moves.go("published_now: another", world, read.to(Place::Attempt(Attempt::Winner)));
        }
    }
    unread(moves);
}

/// Refused, but an earlier try of the same call may have published it.
fn in_doubt(moves: &mut Moves<'_>, worker: Worker) {
    for ((current, _), world) in moves.looks() {
        if current == own_key(moves.me) {
            moves.go("published_now: the own key", world, verified_next(worker));
        } else {
            moves.go("published_now: not the own key, but looks lag", world, after_unclear(moves));
        }
    }
    unread(moves);
}

/// `published_now` failed.
fn unread(moves: &mut Moves<'_>) {
    if moves.scenario.faults {
        moves.go("published_now: no answer", *moves.world, END);
    }
}

fn winner(moves: &mut Moves<'_>, worker: Worker) {
    let new = own_key(moves.me);
    for ((active, _), world) in moves.lists() {
        let ours = worker.current != FOREIGN && worker.current != new && !has(moves.scenario.present(), worker.current);
        let won = ours && has(active, worker.current);
        let swaps = worker.swaps + 1;
        if won {
            moves.go("publish: another live key was first", world, UNDO);
        } else if swaps >= SWAPS {
            moves.go("publish: it keeps changing", world, give_up(moves, worker.current));
        } else {
            let again = worker.to(Place::Attempt(before_call(moves, Attempt::Publish, Attempt::PublishCall)));
            moves.go("publish: takes over from a dead key", world, Worker { swaps, ..again });
        }
    }
    if moves.scenario.faults {
        moves.go("publish: the keys could not be listed", *moves.world, give_up(moves, worker.current));
    }
}

/// Undone only if something is seen to be published: where nothing is, it may be the own key.
fn give_up(moves: &Moves<'_>, seen: u8) -> Worker {
    if seen == NONE && moves.scenario.with(Defence::NoneIsNotNone) { END } else { UNDO }
}

fn undo(moves: &mut Moves<'_>) {
    let new = own_key(moves.me);
    for answer in moves.answers() {
        let mut world = *moves.world;
        let allowed = match answer {
            Answer::Done | Answer::Unclear(true) | Answer::RefusedThoughDone => world.delete(new),
            Answer::Refused | Answer::Unclear(false) => Ok(()),
        };
        match answer {
            Answer::Done => moves.go_if("undo", world, CLEAR_OWN, allowed),
            Answer::Unclear(_) => moves.go_if("undo: no clear answer", world, END, allowed),
            Answer::Refused | Answer::RefusedThoughDone => moves.go_if("undo: refused", world, END, allowed),
        }
    }
}

/// After the new key is published.
fn verified_next(worker: Worker) -> Worker {
    Worker { intents: worker.intents, ..Worker::at(Place::Attempt(Attempt::Verify)) }
}

fn verify(moves: &mut Moves<'_>, worker: Worker) {
    for ((active, _), world) in moves.lists() {
        if has(active, own_key(moves.me)) || !moves.scenario.with(Defence::Verify) {
            // The owner will be told, whatever happens to the key from here on.
            let live = has(world.active, own_key(moves.me));
            let allowed = if live { Ok(()) } else { Err(Violation::ToldOfNothing) };
            moves.go_if("verify", world, worker.to(Place::Attempt(Attempt::Clear)), allowed);
        } else {
            moves.go("verify: the new key is not to be seen", world, CLEAR_OWN);
        }
    }
    if moves.scenario.faults {
        moves.go("verify: refused", *moves.world, CLEAR_OWN);
    }
}

fn clear(moves: &mut Moves<'_>, worker: Worker) {
    for answer in moves.answers() {
        let mut world = *moves.world;
        if *answer != Answer::Refused && *answer != Answer::Unclear(false) {
            world.clear_intents(worker.intents | one(moves.me as u8));
        }
        match answer {
            Answer::Done => {
                moves.go("clear", world, Worker { rotated: true, ..Worker::at(Place::Delivery(Delivery::Tell)) });
            }
            Answer::Unclear(_) | Answer::Refused | Answer::RefusedThoughDone => {
                moves.go("clear: not known to be done", world, END);
            }
        }
    }
}

fn clear_own(moves: &mut Moves<'_>) {
    for answer in moves.answers() {
        let mut world = *moves.world;
        if *answer != Answer::Refused && *answer != Answer::Unclear(false) {
            world.clear_intents(one(moves.me as u8));
        }
        moves.go("clears its own intent, to try again later", world, END);
    }
}

/// The keys that these intents name: what they replace, and what else was there.
pub(crate) fn predecessors(moves: &Moves<'_>, intents: Set) -> Set {
    if !members(intents).any(|intent| !has(moves.world.settling, intent)) {
        return 0;
    }
    let old = if moves.scenario.with(Defence::ForOldKey) { one(OLD) } else { 0 };
    let others = if moves.scenario.with(Defence::ForPresent) { moves.scenario.present() & !one(OLD) } else { 0 };
    old | others
}
