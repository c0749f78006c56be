//! One attempt, as in `worker/src/steps/rotate.rs`: the same steps, the same names, the same ways out.

use crate::keys::{FOREIGN, NONE, OLD, Set, has, members, one, own_key};
use crate::moves::{Answer, Moves};
use crate::scenario::{Act, Defence, Ids};
use crate::settle;
use crate::violation::Violation;
use crate::worker::{AttemptStep, DeliveryStep, Place, Worker};
use crate::world::World;

/// IAM's limit on a user's keys.
const KEYS: u32 = 2;
/// As in the code.
const MAX_CAS_ATTEMPTS: u8 = 3;

const END: Worker = Worker::at(Place::End);
const CLEAR_AFTER_FAILURE: Worker = Worker::at(Place::Attempt(AttemptStep::ClearAfterFailure));
const DELETE_NEW_KEY: Worker = Worker::at(Place::Attempt(AttemptStep::DeleteNewKey));
const GIVE_WAY: Worker = Worker::at(Place::Attempt(AttemptStep::GiveWay));
const VERIFY: Worker = Worker::at(Place::Attempt(AttemptStep::Verify));
const LOOK_AGAIN: Worker = Worker::at(Place::Attempt(AttemptStep::LookAgain));

/// What an attempt may do next.
pub(crate) fn moves(moves: &mut Moves<'_>, step: AttemptStep, worker: Worker) {
    match step {
        AttemptStep::LeaveIntent => leave_intent(moves, worker),
        AttemptStep::WaitForTurn => wait_for_turn(moves, worker),
        AttemptStep::Prepare => prepare(moves, worker),
        AttemptStep::ListKeys => list_keys(moves, worker),
        AttemptStep::CreateKey => create_key(moves, worker),
        AttemptStep::ListAfterCreate => list_after_create(moves, worker),
        AttemptStep::CheckSessionToStore => {
            moves.go(
                "store_pending: its session is not over",
                *moves.world,
                worker.to(Place::Attempt(AttemptStep::StorePending)),
            );
        }
        AttemptStep::StorePending => store_pending(moves, worker),
        AttemptStep::CheckSessionToPublish => {
            moves.go("publish: its session is not over", *moves.world, worker.to(Place::Attempt(AttemptStep::Publish)));
        }
        AttemptStep::Publish => publish(moves, worker),
        AttemptStep::ReadPublished => read_published(moves, worker),
        AttemptStep::ReadPublishedInDoubt => read_published_in_doubt(moves),
        AttemptStep::FindWinner => find_winner(moves, worker),
        AttemptStep::DeleteNewKey => delete_new_key(moves),
        AttemptStep::Verify => verify(moves, worker),
        AttemptStep::ClearIntent => clear_intent(moves),
        AttemptStep::ClearAfterFailure => clear_own_intent(moves, "clears its own intent, to try again later", END),
        AttemptStep::GiveWay => {
            clear_own_intent(
                moves,
                "clears its own intent, and waits",
                Worker::at(Place::Attempt(AttemptStep::WaitWithoutIntent)),
            );
        }
        AttemptStep::LookAgain => {
            clear_own_intent(
                moves,
                "clears its own intent, and looks again",
                Worker::at(Place::Delivery(DeliveryStep::LookKeys)),
            );
        }
        AttemptStep::WaitWithoutIntent => wait_without_intent(moves, worker),
    }
}

fn leave_intent(moves: &mut Moves<'_>, worker: Worker) {
    for answer in moves.tag_answers() {
        for lower in moves.lower_ids() {
            let mut world = *moves.world;
            if *answer != Answer::Refused && *answer != Answer::Unclear(false) {
                // `sessions.with(MIN_SESSION_FOR_ATTEMPT)`: a new one where the present one is too short.
                world.new_session(moves.me);
                if moves.scenario.with(Defence::Intent) {
                    world.leave_intent(moves.me, worker.settling, lower);
                }
            }
            match answer {
                Answer::Done => moves.go("leave_intent", world, worker.to(Place::Attempt(AttemptStep::WaitForTurn))),
                Answer::Unclear(_) | Answer::RefusedThoughDone => moves.go("leave_intent: no clear answer", world, END),
                Answer::Refused => moves.go("leave_intent: refused", world, END),
            }
        }
    }
}

fn wait_for_turn(moves: &mut Moves<'_>, worker: Worker) {
    for (seen, world) in moves.intents() {
        let young = seen & !world.old;
        if young != 0 && moves.scenario.with(Defence::WaitForTurn) {
            meet(moves, worker, young, world);
        } else if seen != 0 && !worker.settling {
            moves.go("wait_for_turn: an old one is to be settled first", world, LOOK_AGAIN);
        } else {
            moves.go(
                "wait_for_turn",
                world,
                Worker { intents: seen, ..worker.to(Place::Attempt(AttemptStep::Prepare)) },
            );
        }
    }
}

/// Another's young intent is seen. Nothing that must never be depends on who gives way, so without ids both are tried.
fn meet(moves: &mut Moves<'_>, worker: Worker, young: Set, world: World) {
    let (keeps, yields) = match moves.scenario.ids {
        Ids::Any => (true, true),
        Ids::Ordered => {
            let is_lowest = moves.world.lower[moves.me] & young == 0;
            let with = |defence| moves.scenario.with(defence);
            let keeps = if is_lowest { with(Defence::LowerStays) } else { !with(Defence::HigherYields) };
            (keeps, !keeps)
        }
    };
    if keeps {
        moves.go("wait_for_turn: one is young; it keeps its intent and looks again", world, worker);
    }
    if yields {
        moves.go("wait_for_turn: one is young, and has the lower id", world, GIVE_WAY);
    }
    if moves.scenario.gives_up() {
        moves.go("wait_for_turn: one stays young", world, CLEAR_AFTER_FAILURE);
    }
}

/// Without an intent of its own, until no young one of others is to be seen.
fn wait_without_intent(moves: &mut Moves<'_>, worker: Worker) {
    for (seen, world) in moves.intents() {
        if seen & !world.old == 0 {
            moves.go(
                "wait_without_intent: nobody is at work any more",
                world,
                Worker::at(Place::Delivery(DeliveryStep::LookKeys)),
            );
        } else {
            moves.go("wait_without_intent: one is young", world, worker);
            if moves.scenario.gives_up() {
                moves.go("wait_without_intent: one stays young", world, END);
            }
        }
    }
}

/// What is published was remembered when the user was looked at. A secret that was not there then may be there by now: it is looked
/// at anew. Its policy is written, with the trace of the attempt; an attempt that only settles writes none.
fn prepare(moves: &mut Moves<'_>, worker: Worker) {
    let me = moves.me;
    let may_be_forged = moves.scenario.person.contains(&Act::ForgesIntent);
    let written = |mut world: World| {
        if !worker.settling {
            world.leave_trace(me, may_be_forged);
        }
        world
    };
    if !worker.settling {
        moves.go("prepare", written(*moves.world), worker.to(Place::Attempt(AttemptStep::ListKeys)));
    }
    if worker.settling || worker.current == NONE {
        for ((current, versions), world) in moves.looks() {
            let read = Worker { current, versions, ..worker.to(Place::Attempt(AttemptStep::ListKeys)) };
            moves.go("prepare: looks", written(world), read);
        }
    }
    if moves.scenario.faults {
        moves.go("prepare: refused", *moves.world, CLEAR_AFTER_FAILURE);
        moves.go("prepare: not known to be done", written(*moves.world), CLEAR_AFTER_FAILURE);
    }
}

fn list_keys(moves: &mut Moves<'_>, worker: Worker) {
    for ((active, inactive), world) in moves.lists() {
        let listed = active | inactive;
        if worker.settling {
            let worker = Worker { active, todo: listed, ..worker };
            moves.go("list_keys: to be settled", world, settle::next(moves, worker));
        } else if listed != moves.scenario.present() {
            moves.go("list_keys: not those of the plan", world, LOOK_AGAIN);
        } else {
            let worker = Worker { versions: 0, ..worker.to(Place::Attempt(AttemptStep::CreateKey)) };
            moves.go("list_keys", world, worker);
        }
    }
}

fn create_key(moves: &mut Moves<'_>, worker: Worker) {
    let new = own_key(moves.me);
    let there = moves.world.keys();
    // The limit is racy between calls that come at the same time.
    let counted = if moves.scenario.limit_races { there & !moves.world.racing } else { there };
    if counted.count_ones() >= KEYS {
        moves.go("create_key: the limit is reached", *moves.world, CLEAR_AFTER_FAILURE);
        return;
    }
    for answer in moves.answers() {
        let mut world = *moves.world;
        match answer {
            Answer::Done => {
                world.make_successor(new);
                moves.go("create_key", world, worker.to(Place::Attempt(AttemptStep::ListAfterCreate)));
            }
            Answer::Unclear(done) => {
                if *done {
                    world.make_successor(new);
                }
                moves.go("create_key: no clear answer", world, END);
            }
            // One try only: refused is refused.
            Answer::Refused | Answer::RefusedThoughDone => moves.go("create_key: refused", world, CLEAR_AFTER_FAILURE),
        }
    }
    if moves.scenario.faults && !moves.scenario.with(Defence::CreateOnce) {
        let mut world = *moves.world;
        world.make_successor(new);
        moves.go("create_key: its answer is lost, and the next try hits the limit", world, CLEAR_AFTER_FAILURE);
    }
}

fn list_after_create(moves: &mut Moves<'_>, worker: Worker) {
    for ((active, inactive), mut world) in moves.lists() {
        world.racing &= !one(own_key(moves.me));
        let raced = (active | inactive) & !moves.scenario.present() & !one(own_key(moves.me)) != 0;
        if raced && moves.scenario.with(Defence::ListAfterCreate) {
            moves.go("list_after_create: another key was made", world, DELETE_NEW_KEY);
        } else {
            moves.go(
                "list_after_create",
                world,
                worker.to(Place::Attempt(before_call(
                    moves,
                    AttemptStep::CheckSessionToStore,
                    AttemptStep::StorePending,
                ))),
            );
        }
    }
    if moves.scenario.faults {
        moves.go("list_after_create: refused", *moves.world, DELETE_NEW_KEY);
    }
}

fn store_pending(moves: &mut Moves<'_>, worker: Worker) {
    let new = own_key(moves.me);
    let next = if worker.current == NONE {
        AttemptStep::ReadPublished
    } else {
        before_call(moves, AttemptStep::CheckSessionToPublish, AttemptStep::Publish)
    };
    for answer in moves.answers() {
        let mut world = *moves.world;
        if *answer != Answer::Refused && *answer != Answer::Unclear(false) {
            world.put_pending(new);
        }
        match answer {
            Answer::Done if world.current == new => {
                moves.go("store_pending: the first version", world, VERIFY);
                // The SDK tries again after a lost answer, and that one need not say what became of the first.
                if moves.scenario.faults {
                    moves.go(
                        "store_pending: an earlier try was the first version",
                        world,
                        worker.to(Place::Attempt(next)),
                    );
                }
            }
            Answer::Done => moves.go("store_pending", world, worker.to(Place::Attempt(next))),
            Answer::Unclear(_) => moves.go("store_pending: no clear answer", world, after_unclear(moves)),
            Answer::Refused | Answer::RefusedThoughDone => moves.go("store_pending: refused", world, DELETE_NEW_KEY),
        }
    }
}

/// A call to the store and the worker's own check before it. Where the store is in the account, AWS checks: one moment.
fn before_call(moves: &Moves<'_>, check: AttemptStep, call: AttemptStep) -> AttemptStep {
    if moves.scenario.central { check } else { call }
}

/// `leave_for_settling`, or without that defence as after a refusal.
fn after_unclear(moves: &Moves<'_>) -> Worker {
    if moves.scenario.with(Defence::AmbiguityKept) { END } else { DELETE_NEW_KEY }
}

fn publish(moves: &mut Moves<'_>, worker: Worker) {
    let new = own_key(moves.me);
    for answer in moves.answers() {
        let mut world = *moves.world;
        let effect = *answer != Answer::Refused && *answer != Answer::Unclear(false);
        let swapped = effect && world.swap(new, worker.current, moves.scenario.with(Defence::Expectation));
        match answer {
            Answer::Done if swapped => moves.go("publish", world, VERIFY),
            Answer::Done => moves.go(
                "publish: something else is published",
                world,
                worker.to(Place::Attempt(AttemptStep::ReadPublished)),
            ),
            Answer::Unclear(_) => moves.go("publish: no clear answer", world, after_unclear(moves)),
            Answer::Refused | Answer::RefusedThoughDone => {
                moves.go("publish: refused", world, delete_unless_maybe_published(moves, worker.current));
            }
        }
        if *answer == Answer::Done && moves.scenario.faults {
            // The SDK tries again after a lost answer, and may find what it has done itself.
            let keeps_doubt = moves.scenario.with(Defence::DoubtKept);
            let next = if keeps_doubt { AttemptStep::ReadPublishedInDoubt } else { AttemptStep::ReadPublished };
            let label = if swapped {
                "publish: an earlier try has done it, and the last one is refused"
            } else {
                "publish: an earlier try has no answer, and something else is published"
            };
            moves.go(label, world, worker.to(Place::Attempt(next)));
        }
    }
}

fn read_published(moves: &mut Moves<'_>, worker: Worker) {
    let first = worker.current == NONE && worker.swaps == 0;
    for ((current, _), world) in moves.looks() {
        let read = Worker { current, ..worker };
        if current == own_key(moves.me) {
            moves.go("read_published: the own key", world, VERIFY);
        } else if first && !moves.scenario.with(Defence::FirstVersionHasWinner) {
            let next = before_call(moves, AttemptStep::CheckSessionToPublish, AttemptStep::Publish);
            moves.go("read_published: another was the first version", world, read.to(Place::Attempt(next)));
        } else {
            moves.go("read_published: another", world, read.to(Place::Attempt(AttemptStep::FindWinner)));
        }
    }
    read_failed(moves);
}

/// Refused, but an earlier try of the same call may have published it.
fn read_published_in_doubt(moves: &mut Moves<'_>) {
    for ((current, _), world) in moves.looks() {
        if current == own_key(moves.me) {
            moves.go("read_published: the own key", world, VERIFY);
        } else {
            moves.go("read_published: not the own key, but looks lag", world, after_unclear(moves));
        }
    }
    read_failed(moves);
}

/// What is published could not be read.
fn read_failed(moves: &mut Moves<'_>) {
    if moves.scenario.faults {
        moves.go("read_published: no answer", *moves.world, END);
    }
}

fn find_winner(moves: &mut Moves<'_>, worker: Worker) {
    let new = own_key(moves.me);
    for ((active, _), world) in moves.lists() {
        let ours = worker.current != FOREIGN && worker.current != new && !has(moves.scenario.present(), worker.current);
        let won = ours && has(active, worker.current);
        let swaps = worker.swaps + 1;
        if won {
            moves.go("publish: another live key was first", world, DELETE_NEW_KEY);
        } else if swaps >= MAX_CAS_ATTEMPTS {
            moves.go("publish: it keeps changing", world, delete_unless_maybe_published(moves, worker.current));
        } else {
            let again =
                worker.to(Place::Attempt(before_call(moves, AttemptStep::CheckSessionToPublish, AttemptStep::Publish)));
            moves.go("publish: takes over from a dead key", world, Worker { swaps, ..again });
        }
    }
    if moves.scenario.faults {
        moves.go(
            "publish: the keys could not be listed",
            *moves.world,
            delete_unless_maybe_published(moves, worker.current),
        );
    }
}

/// Undone only if something is seen to be published: where nothing is, it may be the own key.
fn delete_unless_maybe_published(moves: &Moves<'_>, seen: u8) -> Worker {
    if seen == NONE && moves.scenario.with(Defence::NoneIsNotNone) { END } else { DELETE_NEW_KEY }
}

fn delete_new_key(moves: &mut Moves<'_>) {
    let new = own_key(moves.me);
    for answer in moves.answers() {
        let mut world = *moves.world;
        let allowed = match answer {
            Answer::Done | Answer::Unclear(true) | Answer::RefusedThoughDone => world.delete(new),
            Answer::Refused | Answer::Unclear(false) => Ok(()),
        };
        match answer {
            Answer::Done => moves.go_if("delete_new_key", world, CLEAR_AFTER_FAILURE, allowed),
            Answer::Unclear(_) => moves.go_if("delete_new_key: no clear answer", world, END, allowed),
            Answer::Refused | Answer::RefusedThoughDone => moves.go_if("delete_new_key: refused", world, END, allowed),
        }
    }
}

fn verify(moves: &mut Moves<'_>, worker: Worker) {
    for ((active, _), world) in moves.lists() {
        if has(active, own_key(moves.me)) || !moves.scenario.with(Defence::Verify) {
            // The owner will be told, whatever happens to the key from here on.
            let live = has(world.active, own_key(moves.me));
            let allowed = if live { Ok(()) } else { Err(Violation::ToldOfNothing) };
            moves.go_if("verify", world, worker.to(Place::Attempt(AttemptStep::ClearIntent)), allowed);
        } else {
            moves.go("verify: the new key does not show as active", world, CLEAR_AFTER_FAILURE);
        }
    }
    if moves.scenario.faults {
        moves.go("verify: refused", *moves.world, CLEAR_AFTER_FAILURE);
    }
}

fn clear_intent(moves: &mut Moves<'_>) {
    for answer in moves.answers() {
        let mut world = *moves.world;
        if *answer != Answer::Refused && *answer != Answer::Unclear(false) {
            world.clear_intents(one(moves.me as u8));
        }
        match answer {
            Answer::Done => {
                moves.go(
                    "clear_intent",
                    world,
                    Worker { rotated: true, ..Worker::at(Place::Delivery(DeliveryStep::Tell)) },
                );
            }
            Answer::Unclear(_) | Answer::Refused | Answer::RefusedThoughDone => {
                moves.go("clear_intent: not known to be done", world, END);
            }
        }
    }
}

fn clear_own_intent(moves: &mut Moves<'_>, label: &'static str, next: Worker) {
    for answer in moves.answers() {
        let mut world = *moves.world;
        if *answer != Answer::Refused && *answer != Answer::Unclear(false) {
            world.clear_intents(one(moves.me as u8));
        }
        moves.go(label, world, if *answer == Answer::Done { next } else { END });
    }
}

/// The keys that these intents name: what they replace, and what else was there.
pub(crate) fn predecessors(moves: &Moves<'_>, intents: Set) -> Set {
    // What a person has written names whichever keys the person likes.
    if !members(intents & !moves.world.forged).any(|intent| !has(moves.world.settling, intent)) {
        return 0;
    }
    let old = if moves.scenario.with(Defence::ForOldKey) { one(OLD) } else { 0 };
    let others = if moves.scenario.with(Defence::ForPresent) { moves.scenario.present() & !one(OLD) } else { 0 };
    old | others
}
