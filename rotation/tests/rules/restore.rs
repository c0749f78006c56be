//! The undo: a disabled key made active again.

use jiff::SignedDuration;
use rotation::names::{delete_tag, state_tag};
use rotation::state::tag_time;
use rotation::{
    Action, KeyState, KeyStateKind, Policy, Refusal, Request, RequestOrigin, RestoreRequest, User, Verdict, decide,
};
use uuid::Uuid;

use crate::given::{Described, day, id, key, tagged, user};

const REQUEST: Uuid = Uuid::from_u128(1);

/// A request made on day 105, delivered on this day.
fn asked_on(now: i64, user: &User, named: Option<&str>) -> Verdict {
    let origin = RequestOrigin { id: REQUEST, requested_at: day(105), redelivered: false };
    let request = RestoreRequest { access_key_id: named.map(id), origin };
    decide(day(now), &Policy::default(), user, &Request::Restore(request))
}

fn asked(user: &User, named: Option<&str>) -> Verdict {
    asked_on(105, user, named)
}

fn done(user: &User, named: Option<&str>) -> Vec<Action> {
    match asked(user, named) {
        Verdict::Act(plan) => plan.actions,
        other => panic!("{other:?}"),
    }
}

fn refused(user: &User, named: Option<&str>) -> Refusal {
    match asked(user, named) {
        Verdict::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

fn restores(name: &str) -> Action {
    Action::Restore { key: id(name), disable_due: day(115), request: REQUEST, requested_at: day(105) }
}

/// As its record is renewed before the key is active.
fn restoring(state: KeyState) -> KeyState {
    KeyState { restoring: Some(REQUEST), requested_at: Some(day(105)), ..state }
}

fn records(name: &str) -> Action {
    let disabled = KeyState::new(KeyStateKind::Disabled, day(105)).not_told();
    Action::Record { key: id(name), state: restoring(disabled) }
}

#[test]
fn the_only_inactive_key_is_made_active_and_not_disabled_again_before_the_install_grace() {
    let user = user([key("A", 0).inactive().disabled(100), key("B", 90).published()]);
    for named in [None, Some("A")] {
        let told = restoring(KeyState::new(KeyStateKind::Disabled, day(105)));
        assert_eq!(done(&user, named), [Action::Record { key: id("A"), state: told }, restores("A")]);
    }
}

#[test]
fn a_key_that_is_on_no_record_is_recorded_as_disabled_before_it_is_made_active() {
    let user = user([key("A", 0).inactive()]);
    assert_eq!(done(&user, None), [records("A"), restores("A")]);
}

#[test]
fn of_two_inactive_keys_one_has_to_be_named() {
    let user = user([key("A", 0).inactive().disabled(100), key("B", 90).inactive()]);
    assert!(matches!(refused(&user, None), Refusal::SeveralInactive { keys, .. } if keys.len() == 2));
    assert_eq!(done(&user, Some("B")), [records("B"), restores("B")]);
}

#[test]
fn a_key_that_has_been_deleted_cannot_be_brought_back_and_the_refusal_says_so() {
    let user = user([key("B", 90)]);
    for named in [None, Some("A")] {
        let refusal = refused(&user, named);
        assert!(refusal.to_string().contains("cannot be brought back"), "{refusal}");
    }
}

#[test]
fn a_protected_user_is_refused() {
    let user = tagged(user([key("A", 0).inactive()]), "key-rotation:protected", "");
    assert!(matches!(refused(&user, None), Refusal::Protected { .. }));
}

#[test]
fn delivered_again_before_the_owner_was_told_it_tells_the_owner() {
    let untold = KeyState::new(KeyStateKind::Restored, day(105)).of_request(REQUEST).not_told();
    let user = user([key("A", 0).in_state(untold), key("B", 90).published()]);
    for named in [None, Some("A")] {
        assert_eq!(done(&user, named), [restores("A")]);
    }
}

#[test]
fn a_key_that_was_made_active_and_disabled_again_before_the_owner_was_told_stays_disabled() {
    for by in [REQUEST, Uuid::from_u128(2)] {
        let untold =
            KeyState::new(KeyStateKind::Restored, day(105) + SignedDuration::from_mins(1)).of_request(by).not_told();
        let user = user([key("A", 0).inactive().in_state(untold)]);
        assert!(matches!(refused(&user, None), Refusal::DisabledSince { .. }));
    }
}

#[test]
fn a_key_whose_deletion_may_be_under_way_is_made_active_when_that_is_over() {
    let fence = SignedDuration::from_mins(20);
    let user = |announced: jiff::Timestamp| {
        let key = key("A", 0).inactive().disabled(103);
        tagged(user([key, self::key("B", 90).published()]), &delete_tag(&id("A")), &tag_time(announced))
    };
    let (actions, rest_after) = plan(105, &user(day(105) - fence));
    assert!(matches!(&actions[..], [Action::Record { .. }]), "on record, so that it is not deleted: {actions:?}");
    assert_eq!(rest_after, Some(day(105)));
    let (actions, rest_after) = plan(105, &user(day(105) - fence - SignedDuration::from_secs(1)));
    assert!(matches!(&actions[..], [Action::Record { .. }, Action::Restore { .. }]), "{actions:?}");
    assert_eq!(rest_after, None);
    let (_, rest_after) = plan(105, &user(day(300)));
    assert_eq!(rest_after, None, "nobody waits for a date that no worker can have written");
}

#[test]
fn delivered_again_after_everything_was_done_it_does_nothing() {
    let restored = KeyState::new(KeyStateKind::Restored, day(105)).of_request(REQUEST);
    let user = user([key("A", 0).in_state(restored), key("B", 90).published()]);
    for named in [None, Some("A")] {
        assert_eq!(done(&user, named), []);
    }
}

#[test]
fn an_earlier_restore_is_not_taken_for_this_one() {
    let user = user([key("A", 0).restored(80), key("B", 90)]);
    assert!(matches!(refused(&user, None), Refusal::NothingInactive { .. }));
}

// ---- what has happened since it was asked for -------------------------------------------------------------------------

#[test]
fn a_key_disabled_after_the_request_was_made_stays_disabled() {
    let contained = KeyState::new(KeyStateKind::Disabled, day(106)).of_request(Uuid::from_u128(2));
    let by_the_lifecycle = KeyState::new(KeyStateKind::Disabled, day(106));
    // By somebody: its owner was told in between that it will be disabled, so that it was active then.
    let noticed = [KeyStateKind::Notified, KeyStateKind::Forced].map(|kind| KeyState::new(kind, day(106)));
    for since in [contained, by_the_lifecycle].into_iter().chain(noticed) {
        let user = user([key("A", 0).inactive().in_state(since), key("B", 90).published()]);
        for named in [None, Some("A")] {
            let Verdict::Refused(refusal) = asked_on(107, &user, named) else { panic!("to be refused") };
            assert!(matches!(refusal, Refusal::DisabledSince { at, .. } if at == day(106)), "{refusal}");
        }
    }
}

#[test]
fn a_key_that_this_request_put_on_record_is_restored_however_late_it_comes_again() {
    let on_record = restoring(KeyState::new(KeyStateKind::Disabled, day(106)));
    let user = user([key("A", 0).inactive().in_state(on_record), key("B", 90).inactive()]);
    let Verdict::Act(plan) = asked_on(107, &user, None) else { panic!("to be restored") };
    let record = Action::Record { key: id("A"), state: restoring(KeyState::new(KeyStateKind::Disabled, day(107))) };
    let restore = Action::Restore { key: id("A"), disable_due: day(117), request: REQUEST, requested_at: day(105) };
    assert_eq!(plan.actions, [record, restore], "on record anew, so that a deletion keeps away");
}

#[test]
fn a_key_whose_leak_was_reported_after_the_request_was_made_is_left_as_it_is_though_a_person_has_made_it_active() {
    let reported = KeyState { requested_at: Some(day(106)), ..KeyState::new(KeyStateKind::Disabled, day(100)) };
    for leaked in [key("A", 0).inactive(), key("A", 0)] {
        let user = user([leaked.in_state(reported.clone()), key("B", 90).published()]);
        let Verdict::Refused(refusal) = asked_on(107, &user, Some("A")) else { panic!("to be refused") };
        assert!(matches!(refusal, Refusal::LeakedSince { at, .. } if at == day(106)), "{refusal}");
    }
}

#[test]
fn a_key_that_this_request_restored_and_that_was_disabled_again_stays_disabled() {
    let restored = KeyState::new(KeyStateKind::Restored, day(105)).of_request(REQUEST);
    let user = user([key("A", 0).inactive().in_state(restored)]);
    assert!(matches!(refused(&user, None), Refusal::DisabledSince { .. }));
}

#[test]
fn a_request_of_more_than_14_days_ago_is_refused() {
    let user = user([key("A", 0).inactive().disabled(100)]);
    assert!(matches!(asked_on(119, &user, None), Verdict::Act(_)));
    assert!(matches!(asked_on(120, &user, None), Verdict::Refused(Refusal::TooOld { .. })));
}

#[test]
fn a_request_is_no_later_than_its_message_was_sent_and_refused_where_it_claims_to_be_by_far() {
    let sent = day(105);
    let made = |minutes| RequestOrigin::new(REQUEST, Some(sent + SignedDuration::from_mins(minutes)), sent, false);
    let at = |minutes| made(minutes).map(|origin| origin.requested_at);
    assert_eq!(at(-60), Ok(sent - SignedDuration::from_hours(1)));
    assert_eq!(at(5), Ok(sent), "clocks may be that far apart");
    assert!(matches!(at(6), Err(Refusal::FromTheFuture { .. })));
    assert_eq!(RequestOrigin::new(REQUEST, None, sent, false).map(|origin| origin.requested_at), Ok(sent));
}

// ---- a key whose deletion is due --------------------------------------------------------------------------------------

/// What is done now, and after when the rest.
fn plan(now: i64, user: &User) -> (Vec<Action>, Option<jiff::Timestamp>) {
    match asked_on(now, user, None) {
        Verdict::Act(plan) => (plan.actions, plan.rest_after),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_record_of_a_key_whose_deletion_is_due_is_renewed_and_the_key_made_active_when_no_deleter_can_have_missed_that() {
    let due = user([key("A", 0).inactive().disabled(95), key("B", 90).published()]);
    let fence = SignedDuration::from_mins(20);
    let told = restoring(KeyState::new(KeyStateKind::Disabled, day(105)));
    let record = |state| vec![Action::Record { key: id("A"), state }];
    assert_eq!(plan(105, &due), (record(told.clone()), Some(day(105) + fence)));
    // What its owner has not been told, or has been promised, stays on record: the request may die before the key is active.
    let untold = KeyState::new(KeyStateKind::Disabled, day(95)).until(day(105)).not_told();
    let due = user([key("A", 0).inactive().in_state(untold), key("B", 90).published()]);
    assert_eq!(plan(105, &due), (record(told.until(day(105)).not_told()), Some(day(105) + fence)));
    let renewed = |at| restoring(KeyState::new(KeyStateKind::Disabled, at));
    let delivered = |made: jiff::Timestamp| {
        let user = user([key("A", 0).inactive().in_state(renewed(made)), key("B", 90).published()]);
        plan(106, &user)
    };
    assert_eq!(delivered(day(106) - fence), (Vec::new(), Some(day(106))), "a deletion may still be under way");
    let restore = Action::Restore { key: id("A"), disable_due: day(116), request: REQUEST, requested_at: day(105) };
    let anew = Action::Record { key: id("A"), state: renewed(day(106)) };
    assert_eq!(delivered(day(106) - fence - SignedDuration::from_secs(1)), (vec![anew, restore], None));
}

#[test]
fn a_key_that_is_not_deleted_within_the_hour_is_made_active_at_once() {
    let disabled = |hours| KeyState::new(KeyStateKind::Disabled, day(95) + SignedDuration::from_hours(hours));
    let with = |hours| user([key("A", 0).inactive().in_state(disabled(hours)), key("B", 90).published()]);
    let state = restoring(KeyState::new(KeyStateKind::Disabled, day(105)));
    assert_eq!(plan(105, &with(1)), (vec![Action::Record { key: id("A"), state }, restores("A")], None));
    assert!(matches!(plan(105, &with(0)), (_, Some(_))));
}

#[test]
fn where_the_key_that_a_restore_had_begun_with_is_gone_no_other_is_taken_for_it() {
    let begun = restoring(KeyState::new(KeyStateKind::Disabled, day(105)));
    let user = tagged(user([key("B", 90).inactive()]), &state_tag(&id("A")), &begun.to_string());
    assert_eq!(refused(&user, None), Refusal::Gone { user: user.name.clone(), key: id("A") });
    let other = KeyState { restoring: Some(Uuid::from_u128(2)), ..begun };
    let user = tagged(self::user([key("B", 90).inactive()]), &state_tag(&id("A")), &other.to_string());
    assert_eq!(done(&user, None).last(), Some(&restores("B")), "begun by another request");
}

/// Else a leak that was reported between the two would count, once the record of the later one is written over.
#[test]
fn of_two_restores_of_a_key_the_one_that_was_asked_for_later_stays_on_record() {
    let asked = |on: i64| Some(day(on));
    for at in [106, 104] {
        let begun = KeyState { restoring: Some(Uuid::from_u128(2)), ..KeyState::new(KeyStateKind::Disabled, day(100)) };
        let done = KeyState::new(KeyStateKind::Restored, day(106)).of_request(Uuid::from_u128(2));
        for key in [
            key("A", 0).inactive().in_state(KeyState { requested_at: asked(at), ..begun }),
            key("A", 0).in_state(KeyState { requested_at: asked(at), ..done.not_told() }),
        ] {
            let verdict = asked_on(107, &user([key, self::key("B", 90).published()]), Some("A"));
            let refused = matches!(verdict, Verdict::Refused(Refusal::RestoreSince { at, .. }) if at == day(106));
            assert_eq!(refused, at == 106, "{verdict:?}");
        }
    }
}

/// Its first delivery may have begun with another key, whose record has been written over since.
#[test]
fn delivered_again_without_a_name_it_takes_only_a_key_that_is_on_record_as_inactive_when_it_was_made() {
    let again = |user: &User, named: Option<&str>| {
        let origin = RequestOrigin { id: REQUEST, requested_at: day(105), redelivered: true };
        decide(
            day(106),
            &Policy::default(),
            user,
            &Request::Restore(RestoreRequest { access_key_id: named.map(id), origin }),
        )
    };
    let by_a_person = user([key("A", 0).published().notified(100), key("B", 90).inactive()]);
    let refused = Verdict::Refused(Refusal::PerhapsNotMeant { user: by_a_person.name.clone(), key: id("B") });
    assert_eq!(again(&by_a_person, None), refused);
    assert!(matches!(again(&by_a_person, Some("B")), Verdict::Act(_)), "the one that is named is meant");
    let before = user([key("A", 0).published().notified(100), key("B", 90).inactive().disabled(104)]);
    assert!(matches!(again(&before, None), Verdict::Act(_)));
    let no_other = user([key("A", 0).published(), key("B", 90).inactive()]);
    assert!(matches!(again(&no_other, None), Verdict::Act(_)), "nothing is on record that it can have begun with");
}

#[test]
fn a_key_whose_own_record_cannot_be_read_stays_disabled() {
    for tag in [state_tag(&id("A")), delete_tag(&id("A")), state_tag(&id("A")).to_uppercase()] {
        let held = tagged(user([key("A", 0).inactive(), key("B", 90).published()]), &tag, "contained=2031-01-01");
        assert!(matches!(refused(&held, None), Refusal::Blocked { .. }), "{tag}");
    }
    let other = tagged(user([key("A", 0).inactive()]), &state_tag(&id("B")), "contained=2031-01-01");
    assert_eq!(done(&other, None).last(), Some(&restores("A")), "another key's");
}

/// A person may have made the key active that was meant, or have deleted it.
#[test]
fn without_a_name_it_takes_no_key_off_the_record_beside_one_that_is_on_record_as_disabled() {
    let active_again = user([key("A", 0).disabled(100), key("B", 90).inactive()]);
    let disabled = KeyState::new(KeyStateKind::Disabled, day(100)).to_string();
    let gone = tagged(user([key("B", 90).inactive()]), &state_tag(&id("A")), &disabled);
    for user in [active_again, gone] {
        assert_eq!(refused(&user, None), Refusal::PerhapsNotMeant { user: user.name.clone(), key: id("B") });
        assert_eq!(done(&user, Some("B")).last(), Some(&restores("B")));
    }
    let on_record = user([key("A", 0).disabled(100), key("B", 90).inactive().disabled(104)]);
    assert_eq!(done(&on_record, None).last(), Some(&restores("B")));
}
