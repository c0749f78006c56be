//! What has happened since the request was made.

use rotation::{Action, KeyState, KeyStateKind, Refusal, Verdict};
use uuid::Uuid;

use super::{
    again, all_told, announce_successor, asked_on, contain, contained, done, gone_but_for_its_tag, leaked, leaked_key,
    request, rotate, successor,
};
use crate::given::{Described, day, key, on, user};

#[test]
fn with_no_key_named_a_key_newer_than_the_request_is_neither_contained_nor_replaced() {
    let user = user([key("P", 51)]);
    for request in [request(), leaked(), again(leaked())] {
        let verdict = asked_on(52, &user, &request);
        assert!(matches!(verdict, Verdict::Refused(Refusal::CreatedSince { .. })), "{verdict:?}");
    }
    assert!(matches!(asked_on(52, &user, &leaked_key("P")), Verdict::Act(_)), "named, it is");
}

#[test]
fn after_a_person_deleted_the_contained_key_and_made_another_that_one_is_left_as_it_is() {
    let user = gone_but_for_its_tag([key("P", 51)], &contained());
    assert_eq!(done(&user, &again(leaked())), [rotate("A", &["P"])]);
}

#[test]
fn a_request_never_takes_its_own_successor_for_the_key_it_is_about_however_wrong_its_clock() {
    let mut ahead = again(leaked());
    ahead.origin.requested_at = day(50) + jiff::SignedDuration::from_mins(4);
    let user = user([key("A", 0).inactive().in_state(all_told()), successor()]);
    assert_eq!(done(&user, &ahead), [] as [Action; 0]);
    let untold = gone_but_for_its_tag([successor()], &contained());
    assert_eq!(done(&untold, &ahead), [announce_successor("A")]);
}

#[test]
fn a_copied_body_under_another_id_does_not_count_what_the_first_did_as_its_own() {
    let mut copy = leaked();
    copy.origin.id = Uuid::from_u128(2);
    let user = user([key("A", 0).inactive().in_state(all_told()), key("NEW", 51).published()]);
    assert!(matches!(asked_on(53, &user, &copy), Verdict::Refused(Refusal::CreatedSince { .. })));
}

#[test]
fn a_key_that_was_restored_since_is_not_contained_by_an_older_request() {
    let restored = KeyState::new(KeyStateKind::Restored, day(51)).of_request(Uuid::from_u128(2));
    let user = user([key("A", 0).in_state(restored)]);
    for request in [leaked(), leaked_key("A")] {
        assert!(matches!(asked_on(52, &user, &again(request)), Verdict::Refused(Refusal::RestoredSince { .. })));
    }
}

#[test]
fn a_forced_rotation_that_writes_over_the_record_of_a_restore_that_has_begun_does_not_hide_that_from_an_older_request()
{
    let begun = KeyState::new(KeyStateKind::Disabled, day(51));
    let begun = KeyState { restoring: Some(Uuid::from_u128(9)), requested_at: Some(day(51)), ..begun };
    let mut force = request();
    (force.origin.id, force.origin.requested_at) = (Uuid::from_u128(2), day(52));
    let Verdict::Act(plan) = asked_on(52, &user([key("A", 0).in_state(begun)]), &force) else { panic!("a plan") };
    let [Action::Record { state, .. }, ..] = &plan.actions[..] else { panic!("on record first: {plan:?}") };
    let user = user([key("A", 0).in_state(state.clone())]);
    assert!(matches!(asked_on(52, &user, &again(leaked_key("A"))), Verdict::Refused(Refusal::RestoredSince { .. })));
}

#[test]
fn a_request_of_more_than_14_days_ago_is_refused() {
    let user = user([key("A", 0)]);
    assert!(matches!(asked_on(64, &user, &leaked()), Verdict::Act(_)));
    assert!(matches!(asked_on(65, &user, &leaked()), Verdict::Refused(Refusal::TooOld { .. })));
}

#[test]
fn a_date_that_cannot_be_shields_no_leaked_key() {
    let restored = KeyState::new(KeyStateKind::Restored, day(400));
    let user = user([key("A", -45).in_state(restored)]);
    assert_eq!(done(&user, &leaked())[0], contain("A"));
    // Nor does a notice carry it on.
    let [Action::Rotate { notice: Some(notice), .. }] = &on(50, &user)[..] else { panic!("replaced") };
    assert_eq!(notice.requested_at, None);
}

#[test]
fn a_notice_that_was_told_since_does_not_hide_that_a_key_was_restored() {
    let restored = KeyState { requested_at: Some(day(51)), ..KeyState::new(KeyStateKind::Restored, day(51)) };
    let by_hand = KeyState::new(KeyStateKind::Restored, day(51));
    for state in [restored, by_hand] {
        // Due, so that it is replaced: what it is told of that is its record from then on.
        let user = user([key("A", -45).in_state(state)]);
        let [Action::Rotate { notice: Some(notice), .. }] = &on(52, &user)[..] else { panic!("replaced") };
        let told = crate::given::user([key("A", -45).in_state(notice.state(day(52))), key("NEW", 52).published()]);
        for request in [leaked(), leaked_key("A")] {
            assert!(matches!(asked_on(53, &told, &request), Verdict::Refused(Refusal::RestoredSince { .. })));
        }
    }
}

/// A person may have disabled the key that was meant, and made this one active in its place.
#[test]
fn with_no_key_named_one_that_is_active_again_after_it_was_disabled_is_neither_contained_nor_replaced() {
    let user = user([key("P", 0).disabled(40), key("A", 20).inactive()]);
    for request in [request(), leaked()] {
        let verdict = asked_on(52, &user, &request);
        assert!(matches!(verdict, Verdict::Refused(Refusal::PerhapsReEnabledSince { .. })), "{verdict:?}");
    }
    assert!(matches!(asked_on(52, &user, &leaked_key("P")), Verdict::Act(_)), "named, it is");
}
