//! What breaks when one defence is left out: for each, the shortest way there.

use crate::explore::explore;
use crate::holds::ANYTHING;
use crate::scenario::{Act, Defence, Scenario};
use crate::violation::Violation;

const PLAIN: Scenario = Scenario::plain();
const FAULTS: Scenario = Scenario { faults: true, ..PLAIN };
const RACES: Scenario = Scenario { stale_reads: 3, limit_races: true, ..PLAIN };
const PERSON: Scenario =
    Scenario { days: true, person: ANYTHING, acts: 1, tolerated: &[Violation::TakenForOrphan], ..PLAIN };

/// The defence breaks this, and nothing is broken with it.
fn breaks(defence: &'static [Defence], scenario: Scenario, expected: Violation) {
    let report = explore(&Scenario { without: defence, ..scenario });
    let Some((violation, trace)) = report.broken else {
        panic!("nothing breaks without {defence:?}: {} states", report.states);
    };
    println!("without {defence:?}: {violation}:\n  {}\n", trace.join("\n  "));
    assert_eq!(violation, expected, "without {defence:?}");
    assert_eq!(explore(&scenario).broken, None, "with {defence:?}");
}

#[test]
fn without_the_fence_a_worker_that_slept_goes_on_with_a_key_that_nobody_explains() {
    breaks(&[Defence::Fence], PLAIN, Violation::NotPublished);
}

#[test]
fn without_the_intent_a_key_whose_secret_is_lost_counts_as_the_successor() {
    breaks(&[Defence::Intent], PLAIN, Violation::NotPublished);
}

#[test]
fn without_backing_off_a_worker_settles_under_anothers_hands() {
    breaks(&[Defence::WaitForTurn], PLAIN, Violation::NotPublished);
}

#[test]
fn without_for_a_new_key_is_taken_for_the_orphan_of_its_own_rotation() {
    breaks(&[Defence::ForOldKey], Scenario { old_is_new: true, ..PLAIN }, Violation::OldKeyDeleted);
}

#[test]
fn where_an_intent_does_not_name_the_key_that_stays_it_is_taken_for_the_orphan() {
    breaks(&[Defence::ForPresent], Scenario { leak: true, ..PLAIN }, Violation::OldKeyDeleted);
}

#[test]
fn where_an_attempt_that_only_settles_can_claim_keys_one_made_by_hand_is_deleted() {
    let by_hand = Scenario { person: &[Act::MakesKey], acts: 1, tolerated: &[Violation::TakenForOrphan], ..PLAIN };
    // Two defences: an attempt that only settles leaves no trace either.
    breaks(&[Defence::SettlingMakesNone, Defence::Trace], by_hand, Violation::HandMadeKeyDeleted);
}

#[test]
fn where_an_intent_is_believed_without_the_trace_of_an_attempt_a_key_made_by_hand_is_deleted() {
    let forged = Scenario {
        person: &[Act::MakesKey, Act::ForgesIntent],
        acts: 2,
        tolerated: &[Violation::TakenForOrphan],
        ..PLAIN
    };
    breaks(&[Defence::Trace], forged, Violation::HandMadeKeyDeleted);
}

#[test]
fn with_retries_of_create_a_key_is_made_that_nobody_knows() {
    breaks(&[Defence::CreateOnce], FAULTS, Violation::NotPublished);
}

#[test]
fn without_the_second_list_a_racing_limit_leaves_two_keys() {
    breaks(&[Defence::ListAfterCreate], RACES, Violation::TwoSuccessors);
}

#[test]
fn without_its_own_fence_a_worker_that_slept_publishes_in_a_central_store() {
    let central = Scenario { central: true, tolerated: &[Violation::LeftToAPerson], ..PLAIN };
    breaks(&[Defence::OwnFence], central, Violation::PublishedKeyDeleted);
}

#[test]
fn where_a_call_without_a_clear_answer_is_undone_the_published_key_is_deleted() {
    breaks(&[Defence::AmbiguityKept], FAULTS, Violation::PublishedKeyDeleted);
}

#[test]
fn where_only_the_last_try_of_a_call_counts_the_published_key_is_deleted() {
    breaks(&[Defence::EveryTryCounts], FAULTS, Violation::PublishedKeyDeleted);
}

#[test]
fn where_a_look_is_believed_after_a_try_without_an_answer_the_published_key_is_deleted() {
    let stale = Scenario { stale_reads: 3, ..FAULTS };
    breaks(&[Defence::DoubtKept], stale, Violation::PublishedKeyDeleted);
}

#[test]
fn where_none_to_be_seen_is_taken_for_none_the_published_first_version_is_deleted() {
    let stale = Scenario { first_version: true, stale_reads: 3, ..FAULTS };
    breaks(&[Defence::NoneIsNotNone], stale, Violation::PublishedKeyDeleted);
}

#[test]
fn without_compare_and_swap_the_slower_worker_publishes_over_the_faster_ones_key() {
    breaks(&[Defence::Expectation], RACES, Violation::TwoSuccessors);
}

#[test]
fn where_the_first_versions_key_is_not_looked_at_it_is_published_over() {
    let first = Scenario { first_version: true, ..RACES };
    breaks(&[Defence::FirstVersionHasWinner], first, Violation::TwoSuccessors);
}

#[test]
fn where_settling_publishes_a_pending_key_over_anothers_there_are_two() {
    breaks(&[Defence::SettlingHasWinner], RACES, Violation::TwoSuccessors);
}

#[test]
fn without_verifying_the_owner_is_told_of_a_key_that_is_gone() {
    breaks(&[Defence::Verify], PERSON, Violation::ToldOfNothing);
}

#[test]
fn where_a_published_key_must_be_active_to_be_settled_a_person_stops_the_user_for_ever() {
    breaks(&[Defence::InactiveIsSettled], PERSON, Violation::IntentLeft);
}

#[test]
fn where_any_notice_counts_the_old_key_is_disabled_for_a_successor_nobody_was_told_of() {
    const NOT_LOOKED_AT: &[Violation] = &[Violation::TakenForOrphan, Violation::NotTold];
    let harm = Scenario { tolerated: NOT_LOOKED_AT, ..PERSON };
    breaks(&[Defence::NoticeNotOlder], harm, Violation::DisabledWithoutNotice);
}

#[test]
fn where_a_notice_is_dated_when_it_is_recorded_it_counts_for_a_later_successor() {
    breaks(&[Defence::DatedWhenTold], PERSON, Violation::DisabledWithoutNotice);
}

#[test]
fn without_the_look_before_a_disable_the_last_key_in_hand_is_disabled() {
    breaks(&[Defence::LookBeforeDisable], PERSON, Violation::DisabledWithoutSuccessor);
}

#[test]
fn without_the_look_before_a_delete_a_key_is_deleted_that_a_person_has_just_re_enabled() {
    let three = Scenario { workers: 3, days: true, person: &[Act::EnablesOld], acts: 1, ..PLAIN };
    breaks(&[Defence::LookBeforeDelete], three, Violation::OldKeyDeleted);
}

const MAILS: Scenario = Scenario { mails: true, days: true, faults: true, ..PLAIN };

#[test]
fn where_a_deletion_is_not_on_record_before_it_its_owner_may_never_hear_of_it() {
    breaks(&[Defence::MarkBeforeDelete], Scenario { deletes: true, ..MAILS }, Violation::DeletionNotTold);
}

#[test]
fn where_what_was_not_told_starts_a_clock_a_key_is_deleted_whose_owner_was_never_told() {
    breaks(&[Defence::UntoldStartsNothing], MAILS, Violation::DeletedUntold);
}

#[test]
fn where_a_mail_goes_out_before_its_record_it_is_told_what_cannot_be_kept() {
    const NOT_LOOKED_AT: &[Violation] = &[Violation::NotTold, Violation::NoSuccessor];
    let untaggable = Scenario {
        mails: true,
        untaggable: true,
        person: &[Act::MakesAndUsesKey],
        acts: 1,
        tolerated: NOT_LOOKED_AT,
        ..PLAIN
    };
    breaks(&[Defence::RecordBeforeMail], untaggable, Violation::ToldOffTheRecord);
}

const RESTORE: Scenario = Scenario { restores: true, stale_reads: 2, ..PLAIN };

#[test]
fn where_a_restore_does_not_renew_the_record_its_key_is_deleted() {
    breaks(&[Defence::RestoreRenews], RESTORE, Violation::OldKeyDeleted);
}

#[test]
fn where_a_restore_does_not_wait_its_key_is_deleted() {
    breaks(&[Defence::RestoreWaits], RESTORE, Violation::OldKeyDeleted);
}
