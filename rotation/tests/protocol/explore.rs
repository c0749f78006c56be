//! The search: breadth first over every order of everybody's moves, each state once.
//!
//! A worker that crashes is one that never moves again. So every state is also the one after any of the workers in it has
//! crashed, and there need be no moves for that; but what undisturbed deliveries would make of it is looked at in every state,
//! not only where all have come to rest.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use crate::moves::{Move, Moves};
use crate::person;
use crate::recovery;
use crate::scenario::{Ids, Scenario};
use crate::violation::Violation;
use crate::worker::{Place, Worker};
use crate::world::{Memory, World};

/// The most workers at the same time.
pub(crate) const WORKERS: usize = 3;

/// Everything at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) world: World,
    pub(crate) workers: [Worker; WORKERS],
}

impl State {
    pub(crate) fn start(scenario: &Scenario) -> Self {
        Self { world: scenario.start(), workers: [Worker::at(Place::Idle); WORKERS] }
    }
}

/// What a search found.
#[derive(Debug)]
pub(crate) struct Report {
    /// How many states it saw.
    pub(crate) states: usize,
    /// The nearest promise broken, with the moves that lead there.
    pub(crate) broken: Option<(Violation, Vec<String>)>,
}

/// A move and who made it; `None`: not a worker.
pub(crate) type Step = (Option<usize>, Move);

struct Search<'a> {
    scenario: &'a Scenario,
    seen: HashMap<State, u32, BuildHasherDefault<Mixer>>,
    order: Vec<(State, u32)>,
    recovered: HashSet<World, BuildHasherDefault<Mixer>>,
}

/// Searches everything within the scenario's bounds, or up to the first promise broken.
pub(crate) fn explore(scenario: &Scenario) -> Report {
    let start = State::start(scenario);
    let mut search =
        Search { scenario, seen: HashMap::default(), order: vec![(start, 0)], recovered: HashSet::default() };
    search.seen.insert(start, 0);
    let broken = search.run();
    Report { states: search.order.len(), broken }
}

impl Search<'_> {
    fn run(&mut self) -> Option<(Violation, Vec<String>)> {
        let mut steps = Vec::new();
        let mut at = 0;
        while let Some(&(state, _)) = self.order.get(at) {
            if self.recovered.insert(state.world)
                && let Err((violation, deliveries)) = recovery::recover(self.scenario, state.world)
                && !self.scenario.tolerated.contains(&violation)
            {
                let mut trace = self.trace(at);
                trace.push("all others die here; undisturbed deliveries follow, once the intents are old:".to_owned());
                trace.extend(deliveries);
                return Some((violation, trace));
            }
            possible(self.scenario, &state, &mut steps);
            for (who, step) in &steps {
                if let Some(violation) = step.violation.filter(|it| !self.scenario.tolerated.contains(it)) {
                    let mut trace = self.trace(at);
                    trace.push(line(*who, step));
                    return Some((violation, trace));
                }
                let next = after(&state, *who, step);
                let place = u32::try_from(self.order.len()).expect("fewer than four thousand million states");
                if let std::collections::hash_map::Entry::Vacant(new) = self.seen.entry(next) {
                    new.insert(place);
                    self.order.push((next, u32::try_from(at).expect("the same")));
                }
            }
            at += 1;
        }
        None
    }

    /// The moves that lead to a state: found again, so that they need not be kept.
    fn trace(&self, mut at: usize) -> Vec<String> {
        let mut lines = Vec::new();
        let mut steps = Vec::new();
        while at != 0 {
            let (state, before) = self.order[at];
            let (from, _) = self.order[before as usize];
            possible(self.scenario, &from, &mut steps);
            let taken = steps.iter().find(|(who, step)| after(&from, *who, step) == state);
            lines.extend(taken.map(|(who, step)| line(*who, step)));
            at = before as usize;
        }
        lines.reverse();
        lines
    }
}

/// Everything that may happen next.
pub(crate) fn possible(scenario: &Scenario, state: &State, steps: &mut Vec<Step>) {
    steps.clear();
    let mut moves = Vec::new();
    for (me, worker) in state.workers.iter().take(scenario.workers).enumerate() {
        Moves::collect(scenario, &state.world, me, *worker, &mut moves);
        steps.extend(moves.drain(..).map(|step| (Some(me), step)));
        // Idle workers are all alike: let them wake in their order.
        if worker.place == Place::Idle {
            break;
        }
    }
    person::moves(scenario, &state.world, &mut moves);
    time(scenario, &state.world, &mut moves);
    steps.extend(moves.drain(..).map(|step| (None, step)));
}

pub(crate) fn after(state: &State, who: Option<usize>, step: &Move) -> State {
    let mut next = State { world: step.world, ..*state };
    if let Some(me) = who {
        next.workers[me] = step.worker;
    }
    next
}

pub(crate) fn line(who: Option<usize>, step: &Move) -> String {
    match who {
        Some(me) => format!("worker {}: {}", me + 1, step.label),
        None => step.label.to_owned(),
    }
}

/// Time goes on.
fn time(scenario: &Scenario, world: &World, moves: &mut Vec<Move>) {
    const OLD: [&str; WORKERS] = ["worker 1's intent is old", "worker 2's intent is old", "worker 3's intent is old"];
    let mut pass = |label, world| moves.push(Move { label, world, worker: Worker::at(Place::End), violation: None });
    let aging = if scenario.ids == Ids::Any { scenario.workers } else { 0 };
    for (intent, label) in OLD.iter().enumerate().take(aging) {
        if world.may_age(intent) {
            let mut world = *world;
            world.age(intent);
            pass(label, world);
        }
    }
    if scenario.restores && world.tag.memory != Memory::Nothing && !world.tag.is_old {
        let mut world = *world;
        world.tag_ages();
        pass("the state tag is old", world);
    }
    if scenario.days {
        let mut world = *world;
        world.days_pass();
        pass("days pass", world);
    }
}

/// A fast hash for small values; nobody chooses them to collide. (The multiplier is 2^64 divided by the golden ratio.)
#[derive(Default)]
pub(crate) struct Mixer(u64);

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(u64::from(value));
    }

    fn write_isize(&mut self, value: isize) {
        self.write_u64(value.unsigned_abs() as u64);
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(5) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }
}
