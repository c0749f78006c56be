//! The request as it is first received, line by line.

use jiff::SignedDuration;
use rotation::names::delete_tag;
use rotation::plan::DeleteReason;
use rotation::state::tag_time;
use rotation::{Action, ForceRotateRequest, Key, KeyState, KeyStateKind, MissingFact, Refusal, Verdict};
use uuid::Uuid;

use super::{
    INTENT, again, announced, asked, contain, contained, deletes, done, forced_notice, leaked, leaked_key, on_record,
    records_deletion, refused, request, rotate, successor,
};
use crate::given::{Described, day, id, key, tagged, user};

#[test]
fn one_active_key_is_rotated_now_and_its_notice_is_forced() {
    let rotate =
        Action::Rotate { old: id("A"), present: vec![id("A")], notice: Some(forced_notice(None)), contained: None };
    assert_eq!(done(&user([key("A", 0)]), &request()), [on_record("A"), rotate]);
}

#[test]
fn with_disable_old_now_the_old_key_is_inactive_before_anything_else() {
    assert_eq!(done(&user([key("A", 0)]), &leaked()), [contain("A"), rotate("A", &["A"])]);
}

#[test]
fn the_deletion_of_the_inactive_key_beside_an_active_one_is_announced_and_the_rest_waits() {
    let user = user([key("A", 0), key("B", 10).inactive().disabled(45)]);
    for (request, first) in [(request(), on_record("A")), (leaked(), contain("A"))] {
        let Verdict::Act(plan) = asked(&user, &request) else { panic!("a plan") };
        assert_eq!(plan.actions, [first, records_deletion("B")]);
        assert_eq!(plan.rest_after, Some(day(50) + SignedDuration::from_mins(1)));
    }
}

#[test]
fn a_deletion_waits_from_one_minute_after_its_announcement_to_five_or_is_announced_anew() {
    let at = |minutes_ago: i64| {
        let user = user([key("A", 0), key("B", 10).inactive().disabled(45)]);
        let announced = day(50) - SignedDuration::from_mins(minutes_ago);
        let Verdict::Act(plan) = asked(&tagged(user, &delete_tag(&id("B")), &tag_time(announced)), &request()) else {
            panic!("a plan")
        };
        let deleted = plan.actions.iter().any(|action| deletes(action, "B", DeleteReason::MakesRoomForForced));
        (deleted, plan.actions.contains(&records_deletion("B")), plan.rest_after.is_some())
    };
    assert_eq!(at(0), (false, false, true));
    assert_eq!(at(1), (true, false, false));
    assert_eq!(at(5), (true, false, false));
    // Whoever restores the key keeps away from it for twenty minutes only, and a session lasts for fifteen.
    assert_eq!(at(6), (false, true, true));
    assert_eq!(at(-1), (false, true, true), "a tag from the future");
}

#[test]
fn a_key_that_a_restore_is_bringing_back_is_not_deleted_for_room() {
    let restoring = KeyState { restoring: Some(Uuid::from_u128(9)), ..KeyState::new(KeyStateKind::Disabled, day(50)) };
    // Reads may show it inactive still.
    let just_restored = KeyState::new(KeyStateKind::Restored, day(50)).of_request(Uuid::from_u128(9));
    for state in [restoring, just_restored] {
        let user = user([key("A", 0), key("B", 10).inactive().in_state(state)]);
        for user in [user.clone(), announced(user, "B")] {
            let Verdict::Act(plan) = asked(&user, &request()) else { panic!("a plan") };
            assert_eq!(plan.actions, [on_record("A")]);
            assert_eq!(plan.rest_after, Some(day(50) + SignedDuration::from_mins(30)));
        }
    }
    let from_the_future =
        KeyState { restoring: Some(Uuid::from_u128(9)), ..KeyState::new(KeyStateKind::Disabled, day(300)) };
    let user = announced(crate::given::user([key("A", 0), key("B", 10).inactive().in_state(from_the_future)]), "B");
    assert!(done(&user, &request()).iter().any(|action| deletes(action, "B", DeleteReason::MakesRoomForForced)));
}

#[test]
fn the_inactive_key_beside_an_active_one_is_deleted_once_that_is_announced() {
    let user = announced(user([key("A", 0), key("B", 10).inactive().disabled(45)]), "B");
    let actions = done(&user, &request());
    assert!(deletes(&actions[1], "B", DeleteReason::MakesRoomForForced), "{actions:?}");
    assert!(matches!(&actions[2..], [Action::Rotate { old, .. }] if *old == id("A")), "{actions:?}");
    let actions = done(&user, &leaked());
    assert_eq!(actions[0], contain("A"), "containment comes first");
    assert!(deletes(&actions[1], "B", DeleteReason::MakesRoomForForced), "{actions:?}");
}

#[test]
fn two_active_keys_and_none_named_are_refused_with_both_ids_ages_and_last_uses() {
    let user = user([key("A", 0).used(49), key("B", 10).never_used()]);
    for request in [request(), leaked()] {
        let sentence = refused(&user, &request).to_string();
        for word in [id("A").as_str(), id("B").as_str(), "50 days old", "40 days old", "2026-02-19", "s3", "never used"]
        {
            assert!(sentence.contains(word), "{word}: {sentence}");
        }
    }
}

#[test]
fn two_active_keys_and_one_named_without_disable_old_now_are_refused_with_the_sentence_that_says_so() {
    let request = ForceRotateRequest { disable_old_now: false, ..leaked_key("A") };
    let refusal = refused(&user([key("A", 0), key("B", 10)]), &request);
    assert!(matches!(&refusal, Refusal::NamedKeyWouldHaveToGo { key, .. } if *key == id("A")));
    assert_eq!(refusal.options(), [rotation::RequestOption::DisableOldNow]);
}

#[test]
fn the_named_one_of_two_active_keys_is_disabled_deleted_and_replaced_and_the_other_not_touched() {
    for (named, other) in [("A", "B"), ("B", "A")] {
        let user = user([key("A", 0), key("B", 10)]);
        assert_eq!(done(&user, &leaked_key(named)), [contain(named), records_deletion(named)]);
        let actions = done(&announced(user, named), &leaked_key(named));
        assert_eq!(actions[0], contain(named));
        assert!(deletes(&actions[1], named, DeleteReason::Contained));
        assert_eq!(actions[2..], [rotate(named, &[other])]);
    }
}

#[test]
fn an_exempt_user_is_refused_unless_the_message_overrides_the_exemption() {
    let mut in_group = user([key("A", 0)]);
    in_group.in_exemption_group = true;
    let until = tagged(user([key("A", 0)]), "key-rotation:exempt-until", "2027-01-01");
    for user in [in_group, until] {
        assert!(matches!(refused(&user, &request()), Refusal::Exempt { .. }));
        assert_eq!(done(&user, &ForceRotateRequest { override_exemption: true, ..request() }).len(), 2);
    }
}

#[test]
fn a_protected_user_is_refused_whatever_the_message_says() {
    let user = tagged(user([key("A", 0)]), "key-rotation:protected", "");
    assert!(matches!(
        refused(&user, &ForceRotateRequest { override_exemption: true, ..leaked() }),
        Refusal::Protected { .. }
    ));
}

#[test]
fn a_user_without_an_active_key_is_refused() {
    for keys in [vec![], vec![key("A", 0).inactive()], vec![key("A", 0).inactive().disabled(40)]] {
        for request in [request(), leaked(), again(request())] {
            assert!(matches!(refused(&user(keys.clone()), &request), Refusal::NoActiveKey { .. }));
        }
    }
}

#[test]
fn a_named_key_that_is_not_the_users_is_refused() {
    for request in [leaked_key("X"), again(leaked_key("X"))] {
        assert!(matches!(refused(&user([key("A", 0)]), &request), Refusal::NotTheUsersKey { .. }));
    }
}

#[test]
fn a_named_key_that_was_inactive_before_the_request_is_refused() {
    let user = user([key("A", 0).inactive().disabled(40), key("B", 10)]);
    assert!(matches!(refused(&user, &leaked_key("A")), Refusal::AlreadyInactive { .. }));
}

#[test]
fn a_user_whose_tags_cannot_be_read_or_with_three_keys_is_refused_with_the_finding() {
    let unreadable = tagged(user([key("A", 0)]), &format!("key-rotation:state:{}", id("A")), "x");
    let three = user([key("A", 0), key("B", 1), key("C", 2)]);
    for (user, word) in [(unreadable, "cannot be read"), (three, "3 access keys")] {
        assert!(refused(&user, &request()).to_string().contains(word));
    }
}

#[test]
fn an_intent_is_settled_first_but_containment_does_not_wait_for_it() {
    let user = |keys: Vec<Key>| tagged(user(keys), INTENT, "2026-02-20T09:59:00Z");
    assert_eq!(asked(&user(vec![key("A", 0)]), &request()), Verdict::SettleFirst);
    assert_eq!(done(&user(vec![key("A", 0)]), &leaked()), [contain("A")]);
    assert_eq!(done(&user(vec![key("A", 0), key("B", 50)]), &leaked_key("A")), [contain("A")]);
    let contained = key("A", 0).inactive().in_state(contained());
    assert_eq!(asked(&user(vec![contained.clone()]), &leaked()), Verdict::SettleFirst);
    assert_eq!(asked(&user(vec![contained, successor()]), &leaked()), Verdict::SettleFirst);
}

#[test]
fn with_a_last_use_unknown_nothing_but_containment_goes_ahead() {
    let user = user([key("A", 0).use_unknown(), key("B", 10).inactive().disabled(45)]);
    assert_eq!(asked(&user, &request()), Verdict::Undecided(MissingFact::LastUse(id("A"))));
    assert_eq!(done(&user, &leaked()), [contain("A")]);
}

#[test]
fn a_forced_rotation_uses_the_users_own_install_grace_and_leaves_a_young_key_time() {
    let user = tagged(user([key("A", 49)]), "key-rotation:rotate-after-days", "1");
    let actions = done(&user, &request());
    assert!(
        matches!(&actions[1..], [Action::Rotate { notice: Some(notice), .. }] if notice.disable_due == Some(day(60)))
    );
}
