//! The same request delivered again: what it did before is found done, and the rest is done.

use rotation::plan::DeleteReason;
use rotation::{Action, Announcement, KeyState, KeyStateKind, MissingFact, Published, Refusal, Verdict};
use uuid::Uuid;

use super::{
    again, all_told, announce_containment, announce_successor, announced, asked, asked_on, contain, contained, deletes,
    done, forced_notice, gone_but_for_its_tag, leaked, leaked_key, records_deletion, refused, request, rotate,
    successor,
};
use crate::given::{Described, day, id, key, user};

#[test]
fn delivered_again_after_its_successor_was_published_it_only_tells_the_owner() {
    let user = user([key("A", 0), successor()]);
    let notify = Action::Notify { key: id("A"), notice: forced_notice(Some("NEW")) };
    assert_eq!(done(&user, &again(request())), [notify]);
}

#[test]
fn delivered_again_after_everything_was_done_it_does_nothing() {
    let nothing: [Action; 0] = [];
    let forced = forced_notice(None).state(day(50));
    assert_eq!(done(&user([key("A", 0).in_state(forced.clone()), successor()]), &again(request())), nothing);
    assert_eq!(
        done(&user([key("A", 0).in_state(forced)]), &again(request())),
        nothing,
        "its successor was deleted since"
    );
    let told = key("A", 0).inactive().in_state(all_told());
    assert_eq!(done(&user([told.clone(), successor()]), &again(leaked())), nothing);
    assert_eq!(done(&user([told]), &again(leaked())), nothing, "its successor was deleted since");
    assert_eq!(done(&gone_but_for_its_tag([key("B", 10), successor()], &all_told()), &again(leaked_key("A"))), nothing);
}

#[test]
fn delivered_again_after_containment_it_makes_the_successor() {
    let user = user([key("A", 0).inactive().in_state(contained())]);
    for request in [leaked(), leaked_key("A")] {
        assert_eq!(done(&user, &again(request)), [rotate("A", &["A"])]);
    }
}

#[test]
fn delivered_again_after_a_containment_that_was_not_told_it_is_told_again() {
    let user = user([key("A", 0).inactive().in_state(contained().not_told()), successor()]);
    assert_eq!(done(&user, &again(leaked())), [announce_containment("A"), announce_successor("A")]);
}

#[test]
fn delivered_again_after_an_exemption_made_the_containment_void_it_is_told_again_with_its_date() {
    let user = user([key("A", 0).inactive().in_state(contained().made_void()), successor()]);
    assert_eq!(done(&user, &again(leaked())), [announce_containment("A"), announce_successor("A")]);
}

#[test]
fn delivered_again_after_a_successor_that_was_not_told_it_is_told_again() {
    for (request, user) in [
        (leaked(), user([key("A", 0).inactive().in_state(contained()), successor()])),
        (leaked_key("A"), gone_but_for_its_tag([key("B", 10), successor()], &contained())),
    ] {
        assert_eq!(done(&user, &again(request)), [announce_successor("A")]);
    }
}

#[test]
fn delivered_again_after_containment_that_was_not_recorded_it_is_recorded_and_the_successor_made() {
    for unrecorded in [key("A", 0).inactive(), key("A", 0).notified(49).inactive()] {
        for request in [leaked(), leaked_key("A")] {
            let expected = [contain("A"), rotate("A", &["A"])];
            assert_eq!(done(&user([unrecorded.clone()]), &again(request)), expected);
        }
    }
}

#[test]
fn delivered_again_after_containment_with_an_older_inactive_key_that_one_makes_room() {
    let user = user([key("A", 5).inactive().in_state(contained()), key("B", 0).inactive().disabled(45)]);
    let actions = done(&announced(user, "B"), &again(leaked()));
    assert!(deletes(&actions[0], "B", DeleteReason::MakesRoomForForced));
    assert_eq!(actions[1..], [rotate("A", &["A"])]);
}

#[test]
fn delivered_again_after_one_of_two_keys_was_contained_it_is_deleted_and_replaced() {
    let user = user([key("A", 0).inactive().in_state(contained()), key("B", 10)]);
    assert_eq!(done(&user, &again(leaked_key("A"))), [records_deletion("A")]);
    let actions = done(&announced(user, "A"), &again(leaked_key("A")));
    assert!(deletes(&actions[0], "A", DeleteReason::Contained));
    assert_eq!(actions[1..], [rotate("A", &["B"])]);
}

#[test]
fn a_contained_key_is_on_record_before_it_is_deleted_or_a_later_delivery_would_not_know_it() {
    let user = user([key("A", 0).inactive(), key("B", 10)]);
    let actions = done(&announced(user, "A"), &again(leaked_key("A")));
    assert_eq!(actions[0], contain("A"));
    assert!(deletes(&actions[1], "A", DeleteReason::Contained));
    let Action::Delete(deletable) = &actions[1] else { panic!("{actions:?}") };
    let kept = deletable.record_after().expect("its tag outlives it").clone().accepted(day(51));
    assert_eq!(kept, contained());
}

#[test]
fn delivered_again_after_the_named_key_was_deleted_it_makes_the_successor() {
    let actions = done(&gone_but_for_its_tag([key("B", 10)], &contained()), &again(leaked_key("A")));
    assert_eq!(actions, [rotate("A", &["B"])]);
}

#[test]
fn delivered_again_what_an_earlier_delivery_deleted_and_did_not_tell_is_told() {
    let untold = contained().not_told();
    let user = announced(gone_but_for_its_tag([key("B", 10)], &untold), "A");
    let actions = done(&user, &again(leaked_key("A")));
    let told = |what, state| Action::Announce { key: id("A"), what, state: Some(state) };
    assert_eq!(actions[0], told(Announcement::Contained, contained()));
    assert_eq!(actions[1], told(Announcement::Deleted, untold));
    assert_eq!(actions[2..], [rotate("A", &["B"])]);

    let made_room = announced(self::user([key("A", 0)]), "B");
    let actions = done(&made_room, &again(request()));
    assert_eq!(actions[0], Action::Announce { key: id("B"), what: Announcement::Deleted, state: None });
}

#[test]
fn a_named_key_that_another_request_contained_is_not_taken_for_one_that_this_did() {
    let by_another = KeyState::new(KeyStateKind::Disabled, day(50)).of_request(Uuid::from_u128(2));
    let gone = gone_but_for_its_tag([key("B", 10)], &by_another);
    assert!(matches!(refused(&gone, &again(leaked_key("A"))), Refusal::NotTheUsersKey { .. }));
    let inactive = user([key("A", 0).inactive().in_state(by_another), key("B", 10)]);
    assert!(matches!(refused(&inactive, &again(leaked_key("A"))), Refusal::AlreadyInactive { .. }));
}

#[test]
fn delivered_again_after_a_person_made_the_contained_key_active_again_it_is_contained_again() {
    let user = user([key("A", 0).in_state(all_told()), successor()]);
    let state = all_told().not_told();
    assert_eq!(done(&user, &again(leaked())), [Action::Contain { key: id("A"), state }]);
}

#[test]
fn a_key_that_a_person_made_while_the_asked_one_lies_contained_is_not_contained_as_well() {
    let user = user([key("A", 0).inactive().in_state(contained()), key("P", 51)]);
    let actions = done(&announced(user, "A"), &again(leaked()));
    assert!(deletes(&actions[0], "A", DeleteReason::Contained), "{actions:?}");
    assert_eq!(actions[1..], [rotate("A", &["P"])]);
}

#[test]
fn an_old_inactive_key_is_not_taken_for_one_that_the_request_contained_where_a_person_has_made_a_newer_one() {
    let user = user([key("A", 0).inactive(), key("P", 51)]);
    assert!(matches!(refused(&user, &again(leaked())), Refusal::CreatedSince { .. }));
}

#[test]
fn a_leak_that_was_refused_as_the_key_was_inactive_already_is_refused_again_however_often_it_comes() {
    let by_lifecycle = key("A", 0).inactive().disabled(45);
    let keys = [
        vec![by_lifecycle.clone()],
        vec![by_lifecycle.clone(), key("B", 10).published()],
        vec![by_lifecycle, key("B", 10).inactive().disabled(46)],
        vec![key("A", 0).inactive()],
    ];
    for keys in keys {
        for request in [leaked(), leaked_key("A")] {
            let mut held = user(keys.clone());
            let Verdict::Act(plan) = asked(&held, &request) else { continue };
            let Some(refusal) = plan.refusal else { continue };
            for action in plan.actions {
                let Action::Record { key, state } = action else { panic!("{action:?}") };
                held.keys.iter_mut().find(|held| held.id == key).expect("one of its keys").state = Some(state);
            }
            let of_leak = held.keys.iter().filter_map(|key| key.state.as_ref()).filter_map(KeyState::leak_reported);
            assert!(of_leak.count() > 0);
            assert_eq!(asked(&held, &request), Verdict::Refused(refusal.clone()), "and no record is written anew");
            assert_eq!(asked(&held, &again(request)), Verdict::Refused(refusal));
        }
    }
}

#[test]
fn reports_of_a_disabled_key_that_come_again_and_again_do_not_put_off_its_deletion() {
    let state = KeyState::new(KeyStateKind::Disabled, day(45)).until(day(55));
    let [Action::Record { state: recorded, .. }] =
        &done(&user([key("A", 0).inactive().in_state(state.clone())]), &leaked_key("A"))[..]
    else {
        panic!("on record")
    };
    assert_eq!(*recorded, KeyState { requested_at: Some(day(50)), ..state });
}

#[test]
fn an_older_report_of_a_leak_takes_the_place_of_no_newer_one_on_record() {
    let state = KeyState { requested_at: Some(day(52)), ..KeyState::new(KeyStateKind::Disabled, day(45)) };
    let held = user([key("A", 0).inactive().in_state(state)]);
    for request in [leaked(), leaked_key("A")] {
        refused(&held, &request);
    }
}

#[test]
fn a_leak_that_was_reported_before_a_restore_was_asked_for_does_not_void_that_restore_while_it_waits() {
    let restoring = KeyState { restoring: Some(Uuid::from_u128(9)), requested_at: Some(day(51)), ..contained() };
    for begun in [day(52), day(51)] {
        let state = KeyState { request: None, at: begun, ..restoring.clone() };
        let held = user([key("A", 0).inactive().in_state(state), key("B", 10).published()]);
        for request in [leaked_key("A"), again(leaked_key("A"))] {
            let verdict = asked_on(52, &held, &request);
            assert!(
                matches!(verdict, Verdict::Refused(Refusal::RestoredSince { .. } | Refusal::AlreadyInactive { .. })),
                "{verdict:?}"
            );
        }
    }
}

#[test]
fn a_key_that_was_restored_long_ago_and_switched_off_since_is_inactive() {
    let restored = KeyState::new(KeyStateKind::Restored, day(40));
    let user = user([key("A", 0).inactive().in_state(restored), key("B", 10).published()]);
    assert!(matches!(refused(&user, &leaked_key("A")), Refusal::AlreadyInactive { .. }));
}

#[test]
fn a_key_that_the_lifecycle_disables_before_a_leak_is_worked_on_is_not_taken_for_one_that_was_contained() {
    let user = user([key("A", 0).inactive().disabled(51), key("B", 10).published()]);
    assert!(matches!(refused(&user, &again(leaked_key("A"))), Refusal::AlreadyInactive { .. }));
}

#[test]
fn a_contained_key_that_a_person_made_active_again_is_on_record_as_inactive_since_it_was_contained_anew() {
    let user = user([key("A", 0).in_state(contained().not_told())]);
    let Verdict::Act(plan) = asked_on(51, &user, &again(leaked())) else { panic!("a plan") };
    let [Action::Contain { state, .. }, Action::Rotate { contained: Some(recorded), .. }] = &plan.actions[..] else {
        panic!("{plan:?}")
    };
    assert_eq!((state.at, recorded.at), (day(51), day(51)));
}

#[test]
fn a_key_that_was_restored_since_is_not_contained_again_although_its_owner_has_not_been_told_of_that() {
    let restoring = |at| KeyState { restoring: Some(Uuid::from_u128(9)), at, ..contained() };
    let minute = jiff::SignedDuration::from_mins(1);
    let after = user([key("A", 0).in_state(restoring(day(50) + minute)), successor()]);
    assert!(matches!(refused(&after, &again(leaked())), Refusal::RestoredSince { .. }));
    let before = user([key("A", 0).in_state(KeyState { request: None, ..restoring(day(50) - minute) })]);
    assert_eq!(done(&before, &leaked())[0], contain("A"), "restored before that was asked for");
}

#[test]
fn a_successor_made_by_a_scheduled_run_before_the_request_is_not_taken_for_its_own() {
    let user = user([key("A", 0).notified(49), key("NEW", 49).published()]);
    assert!(matches!(refused(&user, &request()), Refusal::TwoActiveKeys { .. }));
}

#[test]
fn a_request_waits_while_it_is_unknown_whether_a_key_made_since_is_its_successor() {
    let mut newer = successor();
    newer.published = Published::Unknown;
    let user = user([key("A", 0), newer]);
    assert_eq!(asked(&user, &again(request())), Verdict::Undecided(MissingFact::Published(id("NEW"))));
    assert_eq!(done(&user, &again(leaked_key("A"))), [contain("A")]);
}
