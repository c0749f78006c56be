//! With all defences nothing is ever broken, whatever happens within a scenario's bounds.

use crate::explore::explore;
use crate::scenario::{Act, Scenario};
use crate::violation::Violation;

/// Everything a person may do, but write an intent.
pub(crate) const ANYTHING: &[Act] = &[
    Act::MakesAndUsesKey,
    Act::MakesKey,
    Act::DeletesSuccessor,
    Act::DisablesSuccessor,
    Act::EnablesOld,
    Act::InstallsPublished,
    Act::StoresForeignVersion,
];

const TWO: Scenario = Scenario::plain();
const THREE: Scenario = Scenario { workers: 3, ..TWO };

/// A limit of a central store's: see `limits.rs`.
const FROZEN: &[Violation] = &[Violation::LeftToAPerson];

/// Searches the whole of each scenario; the number of states seen is printed.
fn hold(scenarios: &[(&str, Scenario)]) {
    for (name, scenario) in scenarios {
        let report = explore(scenario);
        println!("{name}: {} states", report.states);
        if let Some((violation, trace)) = report.broken {
            panic!("{name}: {violation}:\n{}", trace.join("\n"));
        }
        // A model in which nothing happens breaks nothing either.
        assert!(report.states > 1_000, "{name}: only {} states", report.states);
    }
}

#[test]
fn three_workers_that_crash_and_freeze_break_nothing() {
    hold(&[
        ("three workers", THREE),
        ("three workers, first version", Scenario { first_version: true, ..THREE }),
        ("three workers, central store", Scenario { central: true, tolerated: FROZEN, ..THREE }),
    ]);
}

#[test]
fn three_workers_whose_calls_fail_break_nothing() {
    hold(&[("three workers, faults", Scenario { faults: true, ..THREE })]);
}

#[test]
fn two_workers_whose_calls_fail_break_nothing_in_any_store() {
    let faults = Scenario { faults: true, ..TWO };
    hold(&[
        ("faults", faults),
        ("faults, first version", Scenario { first_version: true, ..faults }),
        ("faults, central store", Scenario { central: true, tolerated: FROZEN, ..faults }),
    ]);
}

#[test]
fn reads_that_lag_behind_break_nothing_where_the_limit_holds() {
    let stale = Scenario { stale_reads: 9, faults: true, ..TWO };
    hold(&[("stale", stale), ("stale, first version", Scenario { first_version: true, ..stale })]);
}

#[test]
fn three_stale_reads_and_a_racing_limit_at_once_break_nothing() {
    let stale = Scenario { stale_reads: 3, limit_races: true, faults: true, ..TWO };
    hold(&[
        ("stale, racing limit", stale),
        ("stale, racing limit, first version", Scenario { first_version: true, ..stale }),
    ]);
}

#[test]
fn a_key_made_by_hand_a_moment_before_its_forced_rotation_is_never_deleted() {
    let new = Scenario { old_is_new: true, ..TWO };
    hold(&[
        ("a new key, faults", Scenario { faults: true, ..new }),
        ("a new key, three workers", Scenario { workers: 3, ..new }),
    ]);
}

#[test]
fn a_key_made_by_hand_beside_a_leaked_one_is_never_deleted() {
    let leak = Scenario { leak: true, ..TWO };
    hold(&[
        ("a leak, faults", Scenario { faults: true, ..leak }),
        ("a leak, three workers", Scenario { workers: 3, ..leak }),
    ]);
}

#[test]
fn whatever_a_person_does_no_key_in_use_is_lost_and_none_disabled_without_notice() {
    let person = Scenario {
        days: true,
        person: ANYTHING,
        acts: 1,
        // A limit of its own: see `limits.rs`.
        tolerated: &[Violation::TakenForOrphan],
        ..TWO
    };
    hold(&[
        ("a person, days", person),
        ("a person, days, faults", Scenario { faults: true, ..person }),
        ("a person, days, first version", Scenario { first_version: true, ..person }),
        ("a person, days, a stale read", Scenario { stale_reads: 1, ..person }),
        ("a person acting twice, days", Scenario { acts: 2, ..person }),
    ]);
}

#[test]
fn an_intent_that_a_person_has_written_deletes_no_key_but_an_unused_one_that_was_made_beside_an_attempt() {
    let forged = Scenario {
        days: true,
        person: &[Act::MakesKey, Act::ForgesIntent],
        acts: 2,
        tolerated: &[Violation::TakenForOrphan],
        ..TWO
    };
    hold(&[
        ("a forged intent, days", forged),
        ("a forged intent, faults", Scenario { faults: true, days: false, ..forged }),
        ("a forged intent, a stale read", Scenario { stale_reads: 1, days: false, ..forged }),
    ]);
}

#[test]
fn the_old_key_is_disabled_and_deleted_only_when_its_successor_is_in_hand() {
    let days = Scenario { days: true, ..THREE };
    hold(&[("three workers, days", days)]);
}

#[test]
fn a_key_that_is_being_deleted_and_restored_at_once_is_never_deleted_while_it_is_live() {
    let restores = Scenario { restores: true, stale_reads: 4, ..TWO };
    hold(&[
        ("a restore and a deletion, stale reads", restores),
        ("a restore and a deletion, stale reads, faults", Scenario { faults: true, ..restores }),
        ("a restore and two deletions, stale reads", Scenario { workers: 3, ..restores }),
        ("a restore and a deletion, stale reads, days", Scenario { days: true, ..restores }),
    ]);
}

/// What a person may do about the old key.
const RE_ENABLED: &[Act] = &[Act::EnablesOld];

#[test]
fn what_happens_to_a_key_is_told_until_the_mail_is_accepted() {
    let mails = Scenario { mails: true, days: true, ..TWO };
    let deletes = Scenario { deletes: true, person: RE_ENABLED, acts: 1, ..mails };
    hold(&[
        ("mails, faults", Scenario { faults: true, ..mails }),
        ("mails, faults, a key re-enabled", Scenario { faults: true, person: RE_ENABLED, acts: 1, ..mails }),
        ("mails, a stale read, a key re-enabled", Scenario { stale_reads: 1, person: RE_ENABLED, acts: 1, ..mails }),
        ("mails, a deletion, faults", Scenario { faults: true, ..deletes }),
        ("mails, a deletion, stale reads", Scenario { stale_reads: 2, ..deletes }),
    ]);
}

#[test]
fn what_cannot_be_recorded_is_not_mailed() {
    let untaggable = Scenario {
        mails: true,
        untaggable: true,
        days: true,
        person: &[Act::MakesAndUsesKey, Act::InstallsPublished],
        acts: 1,
        tolerated: &[Violation::NotTold, Violation::NoSuccessor],
        ..THREE
    };
    let report = explore(&untaggable);
    assert_eq!(report.broken, None);
    assert!(report.states > 50, "only {} states", report.states);
}

/// `-- --ignored`.
#[test]
#[ignore = "takes minutes and gigabytes"]
fn three_workers_under_everything_break_nothing() {
    let faults = Scenario { faults: true, ..THREE };
    hold(&[
        ("three workers, faults, first version", Scenario { first_version: true, ..faults }),
        ("three workers, faults, central store", Scenario { central: true, tolerated: FROZEN, ..faults }),
        ("three workers, faults, a new key", Scenario { old_is_new: true, ..faults }),
        ("three workers, stale, racing limit", Scenario { stale_reads: 3, limit_races: true, ..THREE }),
    ]);
}
