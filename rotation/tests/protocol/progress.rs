//! Attempts that meet and are not disturbed: one of them makes its key at once, without waiting for an intent to become old.
//!
//! Undisturbed: nobody crashes, no call fails, and whoever waits does so until the other one is done. Then an undisturbed run
//! goes through the states here in some order in which every worker that can move does so at last. So it is enough that there
//! is no state in which nobody gets any further without a successor, and no circle.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use crate::explore::{Mixer, State, after, line, possible};
use crate::keys::{OLD, has};
use crate::scenario::{Defence, Ids, Scenario};
use crate::world::World;

const TWO: Scenario = Scenario { ids: Ids::Ordered, ..Scenario::plain() };
const THREE: Scenario = Scenario { workers: 3, ..TWO };

/// A way on from a state, by the place of the state that it leads to.
struct Way {
    to: usize,
    line: String,
}

/// All states, and all ways from each one that change something.
struct Graph {
    states: Vec<State>,
    ways: Vec<Vec<Way>>,
}

impl Graph {
    fn new(scenario: &Scenario) -> Self {
        let start = State::start(scenario);
        let mut places: HashMap<State, usize, BuildHasherDefault<Mixer>> = HashMap::default();
        places.insert(start, 0);
        let mut graph = Self { states: vec![start], ways: Vec::new() };
        let mut steps = Vec::new();
        while let Some(&state) = graph.states.get(graph.ways.len()) {
            possible(scenario, &state, &mut steps);
            let mut ways = Vec::new();
            for (who, step) in &steps {
                let next = after(&state, *who, step);
                if next == state {
                    continue;
                }
                let to = *places.entry(next).or_insert_with(|| {
                    graph.states.push(next);
                    graph.states.len() - 1
                });
                ways.push(Way { to, line: line(*who, step) });
            }
            graph.ways.push(ways);
        }
        graph
    }

    /// The states from which one of these can be reached.
    fn leading_to(&self, wanted: impl Fn(usize) -> bool) -> Vec<bool> {
        let mut from = vec![Vec::new(); self.states.len()];
        for (at, ways) in self.ways.iter().enumerate() {
            ways.iter().for_each(|way| from[way.to].push(at));
        }
        let mut open: Vec<usize> = (0..self.states.len()).filter(|at| wanted(*at)).collect();
        let mut leading = vec![false; self.states.len()];
        while let Some(at) = open.pop() {
            if !std::mem::replace(&mut leading[at], true) {
                open.extend(&from[at]);
            }
        }
        leading
    }

    /// The states that are on a circle, or between two.
    fn circles(&self) -> Vec<usize> {
        let mut ways_here = vec![0_usize; self.states.len()];
        self.ways.iter().flatten().for_each(|way| ways_here[way.to] += 1);
        let mut open: Vec<usize> = (0..self.states.len()).filter(|at| ways_here[*at] == 0).collect();
        while let Some(at) = open.pop() {
            for way in &self.ways[at] {
                ways_here[way.to] -= 1;
                if ways_here[way.to] == 0 {
                    open.push(way.to);
                }
            }
        }
        (0..self.states.len()).filter(|at| ways_here[*at] > 0).collect()
    }

    /// The shortest way to a state, in words.
    fn trace(&self, wanted: usize) -> String {
        let mut before: Vec<Option<(usize, &str)>> = vec![None; self.states.len()];
        let mut order = std::collections::VecDeque::from([0]);
        while let Some(at) = order.pop_front() {
            for way in &self.ways[at] {
                if way.to != 0 && before[way.to].is_none() {
                    before[way.to] = Some((at, &way.line));
                    order.push_back(way.to);
                }
            }
        }
        let mut lines = Vec::new();
        let mut at = wanted;
        while let Some((from, line)) = before[at] {
            lines.push(line);
            at = from;
        }
        lines.reverse();
        lines.join("\n  ")
    }

    /// A state at which everybody has come to rest without a successor.
    fn stuck(&self) -> Option<usize> {
        (0..self.states.len()).find(|at| self.ways[*at].is_empty() && !has_successor(&self.states[*at].world))
    }
}

/// A key that was made is live, and is published.
fn has_successor(world: &World) -> bool {
    world.current != OLD && has(world.active, world.current)
}

#[test]
fn of_two_attempts_that_meet_one_makes_its_key_at_once() {
    for (name, scenario) in [
        ("two that meet", TWO),
        ("two that meet, first version", Scenario { first_version: true, ..TWO }),
        ("two that meet, central store", Scenario { central: true, ..TWO }),
        ("two that meet, stale reads", Scenario { stale_reads: 3, ..TWO }),
        ("two that meet, a leak", Scenario { leak: true, ..TWO }),
    ] {
        let graph = Graph::new(&scenario);
        println!("{name}: {} states", graph.states.len());
        assert!(graph.states.len() > 300, "{name}: only {} states", graph.states.len());
        if let Some(stuck) = graph.stuck() {
            panic!("{name}: nobody makes a key:\n  {}", graph.trace(stuck));
        }
        let circles = graph.circles();
        assert!(circles.is_empty(), "{name}: it may go on for ever:\n  {}", graph.trace(circles[0]));
    }
}

/// Three may go round in a circle, if each that comes anew draws a lower id than the one that waits; but whatever happened, one of
/// them can still make its key.
#[test]
fn of_three_attempts_that_meet_one_can_always_make_its_key() {
    let graph = Graph::new(&THREE);
    println!("three that meet: {} states", graph.states.len());
    assert_eq!(graph.stuck().map(|stuck| graph.trace(stuck)), None);
    let leading = graph.leading_to(|at| has_successor(&graph.states[at].world));
    assert!(leading.iter().all(|leads| *leads));
}

#[test]
fn where_none_keeps_its_intent_two_give_way_to_each_other_for_ever() {
    let graph = Graph::new(&Scenario { without: &[Defence::LowerStays], ..TWO });
    let circles = graph.circles();
    assert!(!circles.is_empty());
    println!("without {:?}, for ever:\n  {}\n", Defence::LowerStays, graph.trace(circles[0]));
}

#[test]
fn where_none_gives_way_two_wait_for_each_other_until_their_intents_are_old() {
    let graph = Graph::new(&Scenario { without: &[Defence::HigherYields], ..TWO });
    let stuck = graph.stuck().expect("they wait for each other");
    println!("without {:?}:\n  {}\n", Defence::HigherYields, graph.trace(stuck));
}
