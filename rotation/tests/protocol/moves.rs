//! What one worker may do next, with everything that may happen to the call it makes.

use crate::attempt;
use crate::delivery;
use crate::keys::{NONE, NOTHING, Set, has, members, one};
use crate::restore;
use crate::scenario::{Defence, Ids, Scenario};
use crate::settle;
use crate::violation::Violation;
use crate::worker::{AttemptStep, DeliveryStep, Place, RestoreStep, Worker};
use crate::world::{StateTag, World};

/// One thing that may happen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Move {
    /// In words.
    pub(crate) label: &'static str,
    /// AWS afterwards.
    pub(crate) world: World,
    /// The worker afterwards.
    pub(crate) worker: Worker,
    /// The promise it breaks.
    pub(crate) violation: Option<Violation>,
}

/// How a call that changes something ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It took effect.
    Done,
    /// No clear answer; `true`: it took effect.
    Unclear(bool),
    /// Refused.
    Refused,
    /// Refused at its last try; an earlier one took effect and its answer was lost.
    RefusedThoughDone,
}

/// Collects one worker's next moves.
pub(crate) struct Moves<'a> {
    /// The bounds.
    pub(crate) scenario: &'a Scenario,
    /// Which worker.
    pub(crate) me: usize,
    /// AWS before.
    pub(crate) world: &'a World,
    out: &'a mut Vec<Move>,
}

impl<'a> Moves<'a> {
    /// Adds what this worker may do next.
    pub(crate) fn collect(scenario: &'a Scenario, world: &'a World, me: usize, worker: Worker, out: &'a mut Vec<Move>) {
        let fenced = worker.is_fenced(scenario.central) && has(world.expired, me as u8);
        if fenced && stops(scenario, worker.place) {
            return;
        }
        let mut moves = Self { scenario, me, world, out };
        match worker.place {
            Place::End if scenario.restores => moves.go("receives the next message", *world, Worker::at(Place::Idle)),
            Place::End => {}
            Place::Idle if scenario.restores && me + 1 == scenario.workers => {
                moves.go("receives a restore", *world, Worker::at(Place::Restore(RestoreStep::LookKeys)));
            }
            Place::Restore(step) => restore::moves(&mut moves, step, worker),
            Place::Idle => moves.go("receives a message", *world, Worker::at(Place::Delivery(DeliveryStep::LookKeys))),
            Place::Delivery(step) => delivery::moves(&mut moves, step, worker),
            Place::Attempt(step) => attempt::moves(&mut moves, step, worker),
            Place::Settle(step) => settle::moves(&mut moves, step, worker),
        }
    }

    /// The worker goes on.
    pub(crate) fn go(&mut self, label: &'static str, world: World, worker: Worker) {
        self.out.push(Move { label, world, worker, violation: None });
    }

    /// The worker goes on, and it may be that it should not have.
    pub(crate) fn go_if(&mut self, label: &'static str, world: World, worker: Worker, allowed: Result<(), Violation>) {
        self.out.push(Move { label, world, worker, violation: allowed.err() });
    }

    /// The ways in which a call that changes something may end.
    pub(crate) fn answers(&self) -> &'static [Answer] {
        if !self.scenario.faults {
            &[Answer::Done]
        } else if self.scenario.with(Defence::EveryTryCounts) {
            // An earlier try without a clear answer makes the whole call one without.
            &[Answer::Done, Answer::Unclear(true), Answer::Unclear(false), Answer::Refused]
        } else {
            &[Answer::Done, Answer::Unclear(true), Answer::Unclear(false), Answer::Refused, Answer::RefusedThoughDone]
        }
    }

    /// The same for the user's tags.
    pub(crate) fn tag_answers(&self) -> &'static [Answer] {
        if self.scenario.untaggable { &[Answer::Refused] } else { self.answers() }
    }

    /// The places that a new attempt's id may have among the present ones: each time, those with lower ids.
    pub(crate) fn lower_ids(&self) -> Vec<Option<Set>> {
        match self.scenario.ids {
            Ids::Any => vec![None],
            Ids::Ordered => {
                let others = self.world.intents & !one(self.me as u8);
                let mut sorted: Vec<u8> = members(others).collect();
                sorted.sort_by_key(|other| self.world.lower[usize::from(*other)].count_ones());
                (0..=sorted.len()).map(|n| Some(sorted[..n].iter().map(|other| one(*other)).sum())).collect()
            }
        }
    }

    /// The intents of others that a read of the tags may show.
    pub(crate) fn intents(&self) -> Vec<(Set, World)> {
        let me = one(self.me as u8);
        let others = self.world.intents & !me;
        let mut answers = reads(self.world, subsets(others & self.world.new_intents).map(|missed| others & !missed));
        for (seen, world) in &mut answers {
            for missed in members(others & !*seen) {
                world.missed_by[usize::from(missed)] |= me;
            }
        }
        answers
    }

    /// What a read of the tags may show: the intents of others, and the old key's state.
    pub(crate) fn tags(&self) -> Vec<((Set, StateTag), World)> {
        let me = one(self.me as u8);
        let World { tag, tag_was, .. } = *self.world;
        let mut answers = Vec::new();
        for shown in std::iter::once(tag).chain(tag_was) {
            for (seen, mut world) in self.intents() {
                if shown != tag {
                    if self.world.stale_reads == 0 {
                        continue;
                    }
                    world.stale_reads = self.world.stale_reads - 1;
                    world.before_tag |= me;
                }
                answers.push(((seen, shown), world));
            }
        }
        answers
    }

    /// The lists of keys that a read may show: live ones, and those that are not.
    pub(crate) fn lists(&self) -> Vec<((Set, Set), World)> {
        let World { active, inactive, new_keys, ghosts, inactive_ghosts, just_enabled, just_disabled, .. } =
            *self.world;
        let shown = subsets(new_keys).flat_map(|missed| {
            subsets(ghosts).flat_map(move |ghosts| {
                subsets(just_enabled | just_disabled).map(move |was| {
                    let (enabled, disabled) = (was & just_enabled, was & just_disabled);
                    let active = (active | ghosts & !inactive_ghosts | disabled) & !enabled & !missed;
                    (active, (inactive | ghosts & inactive_ghosts | enabled) & !disabled & !missed)
                })
            })
        });
        reads(self.world, shown)
    }

    /// What a look at the secret may show: the published version, and all of them.
    pub(crate) fn looks(&self) -> Vec<((u8, Set), World)> {
        Self::looks_at(self.world)
    }

    /// The same, where something else was read before.
    pub(crate) fn looks_at(world: &World) -> Vec<((u8, Set), World)> {
        let World { current, versions, new_versions, was_current, .. } = *world;
        let shown_current = |was: u8| if was == NOTHING { NONE } else { was };
        let currents = std::iter::once(current).chain(members(was_current).map(shown_current));
        let shown = currents.flat_map(|current| {
            let missed = subsets(new_versions).filter(move |missed| !has(*missed, current));
            missed.map(move |missed| (current, versions & !missed))
        });
        reads(world, shown)
    }
}

/// The true answer, which comes first, and as long as reads may be stale the others.
fn reads<T>(world: &World, answers: impl Iterator<Item = T>) -> Vec<(T, World)> {
    let stale_reads = world.stale_reads;
    let answers = answers.enumerate().take_while(|(n, _)| *n == 0 || stale_reads > 0);
    answers.map(|(n, answer)| (answer, World { stale_reads: stale_reads - u8::from(n > 0), ..*world })).collect()
}

/// Whether the end of the member session stops a worker here, with the defences that are in place.
fn stops(scenario: &Scenario, place: Place) -> bool {
    let own_check = matches!(
        place,
        Place::Attempt(AttemptStep::CheckSessionToStore) | Place::Attempt(AttemptStep::CheckSessionToPublish)
    ) && scenario.central;
    scenario.with(Defence::Fence) && (!own_check || scenario.with(Defence::OwnFence))
}

/// All subsets, the empty one first.
fn subsets(set: Set) -> impl Iterator<Item = Set> {
    let size = members(set).count();
    (0..1_u16 << size).map(move |chosen| {
        members(set).enumerate().filter(|(n, _)| chosen & (1 << n) != 0).fold(0, |all, (_, member)| all | one(member))
    })
}
