//! What no order of these steps can prevent: shown, so that nobody has to guess. Everything else holds in the same scenarios.

use crate::explore::explore;
use crate::scenario::{Act, Scenario};
use crate::violation::Violation;

/// The limit is there, and it is the only thing that breaks.
fn limit(scenario: Scenario, expected: Violation, only: &'static [Violation]) {
    let report = explore(&scenario);
    let (violation, trace) = report.broken.expect("the limit can be shown");
    println!("{expected}:\n  {}\n", trace.join("\n  "));
    assert_eq!(violation, expected);
    let rest = explore(&Scenario { tolerated: only, ..scenario });
    assert!(rest.broken.is_none(), "and more than that: {:?}", rest.broken);
}

/// IAM's keys carry no mark, so an unused one made while an attempt lies dead cannot be told from the attempt's own.
#[test]
fn an_unused_key_made_by_hand_while_an_attempt_lies_dead_is_taken_for_its_orphan() {
    let scenario = Scenario { person: &[Act::MakesKey], acts: 1, ..Scenario::plain() };
    limit(scenario, Violation::TakenForOrphan, &[Violation::TakenForOrphan]);
}

/// Four stale reads together with a limit that races: both keys stay live, the old one too, and a person is told.
#[test]
fn enough_stale_reads_and_a_racing_limit_leave_two_successors_to_a_person() {
    let scenario = Scenario { stale_reads: 4, limit_races: true, ..Scenario::plain() };
    limit(scenario, Violation::TwoSuccessors, &[Violation::TwoSuccessors]);
}

/// A worker frozen between its own look at its session and its call: a central store takes it after the key was settled
/// away. The next rotation takes over from that version; nobody was told of it.
#[test]
fn a_frozen_worker_can_put_a_dead_first_version_into_a_central_store() {
    let tolerated = &[Violation::LeftToAPerson];
    let scenario = Scenario { central: true, first_version: true, tolerated, ..Scenario::plain() };
    limit(scenario, Violation::PublishedKeyDeleted, &[Violation::PublishedKeyDeleted, Violation::LeftToAPerson]);
}

/// A worker that wakes before it prepares the secret, when its session is over: a central store takes its trace, in place of that of an
/// attempt that came after it and died. Nobody confirms that one's intent any more.
#[test]
fn a_frozen_worker_can_put_its_trace_over_a_later_ones_in_a_central_store() {
    let scenario = Scenario { central: true, ..Scenario::plain() };
    limit(scenario, Violation::LeftToAPerson, &[Violation::LeftToAPerson]);
}
