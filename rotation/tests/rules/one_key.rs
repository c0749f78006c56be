//! One key, active: warned of, then rotated. And who is left alone altogether.

use jiff::SignedDuration;
use rotation::plan::NoticeKind;
use rotation::{
    Action, Announcement, Exemption, Finding, KeyState, KeyStateKind, Notice, Policy, Upcoming, User, Verdict,
};

use crate::given::{Described, at, day, id, key, notice, on, planned, scheduled, tagged, user};

fn rotation(name: &str, disable_due: i64) -> Action {
    Action::Rotate {
        old: id(name),
        present: vec![id(name)],
        notice: Some(notice(NoticeKind::Replaced { successor: None }, disable_due)),
        contained: None,
    }
}

#[test]
fn a_key_at_the_rotation_period_is_rotated_and_not_a_second_before() {
    let user = user([key("A", 0)]);
    assert_eq!(on(90, &user), [rotation("A", 100)]);
    let before = planned(day(90) - SignedDuration::from_nanos(1), &Policy::default(), &user);
    assert_eq!(before, [Action::Warn { key: id("A"), upcoming: Upcoming::Rotate, due: day(90) }]);
}

#[test]
fn a_key_found_long_overdue_is_rotated_and_its_owner_has_the_whole_install_grace() {
    assert_eq!(on(400, &user([key("A", 0)])), [rotation("A", 410)]);
}

#[test]
fn a_key_within_the_warning_period_is_warned_about_and_not_before() {
    let user = user([key("A", 0)]);
    assert_eq!(on(83, &user), [Action::Warn { key: id("A"), upcoming: Upcoming::Rotate, due: day(90) }]);
    assert_eq!(planned(day(83) - SignedDuration::from_nanos(1), &Policy::default(), &user), []);
}

#[test]
fn an_idle_user_is_decided_about_without_knowing_any_last_use() {
    assert_eq!(on(50, &user([key("A", 0).use_unknown()])), []);
}

#[test]
fn a_never_used_key_is_rotated_like_any_other_by_default() {
    assert_eq!(on(90, &user([key("A", 0).never_used()])), [rotation("A", 100)]);
}

#[test]
fn a_user_without_keys_is_left_alone() {
    assert_eq!(on(90, &user([])), []);
}

#[test]
fn a_re_enabled_key_without_a_successor_is_rotated_not_disabled() {
    let user = user([key("A", 0).restored(95)]);
    for now in [95, 105, 200] {
        let mut expected = rotation("A", now + 10);
        let Action::Rotate { notice: Some(notice), .. } = &mut expected else { panic!("{expected:?}") };
        // That it was restored stays known as long as a request of before that may come.
        notice.requested_at = (now <= 109).then(|| day(95));
        assert_eq!(on(now, &user), [expected]);
    }
}

// ---- who is left alone ---------------------------------------------------------------------------------------------

#[test]
fn a_member_of_the_exemption_group_is_left_alone_and_reported_as_exempt() {
    let mut user = user([key("A", 0), key("B", 1), key("C", 2)]);
    user.in_exemption_group = true;
    assert_eq!(scheduled(day(500), &Policy::default(), &user), Verdict::Exempt(Exemption::Group));
}

#[test]
fn exempt_until_a_date_includes_that_whole_day_in_utc() {
    let user = tagged(user([key("A", 0)]), "key-rotation:exempt-until", "2026-12-31");
    let until = at("2027-01-01T00:00:00Z");
    let policy = Policy::default();
    let last_moment = until - SignedDuration::from_nanos(1);
    assert_eq!(scheduled(last_moment, &policy, &user), Verdict::Exempt(Exemption::Until { until }));
    assert!(matches!(scheduled(until, &policy, &user), Verdict::Act(plan) if plan.actions.len() == 1));
}

#[test]
fn exempt_until_a_moment_ends_at_that_moment() {
    let user = tagged(user([key("A", 0)]), "key-rotation:exempt-until", "2026-12-31T12:00:00+02:00");
    let until = at("2026-12-31T10:00:00Z");
    assert_eq!(user.exemption(until - SignedDuration::from_nanos(1)), Some(Exemption::Until { until }));
    assert_eq!(user.exemption(until), None);
}

#[test]
fn exempt_until_the_end_of_the_calendar_means_for_ever() {
    let user = tagged(user([key("A", 0)]), "key-rotation:exempt-until", "9999-12-31");
    assert!(matches!(user.exemption(at("9998-01-01T00:00:00Z")), Some(Exemption::Until { .. })));
}

#[test]
fn a_protected_user_is_left_alone_whatever_the_tags_value_and_case() {
    for tag in ["key-rotation:protected", "Key-Rotation:Protected"] {
        for value in ["", "true", "false"] {
            let user = tagged(user([key("A", 0)]), tag, value);
            assert_eq!(scheduled(day(90), &Policy::default(), &user), Verdict::Exempt(Exemption::Protected));
        }
    }
}

#[test]
fn an_exemption_makes_void_what_owners_were_told_before_it() {
    let keys = || [key("OLD", 0).notified(90), key("NEW", 90).published()];
    let mut in_group = user(keys());
    in_group.in_exemption_group = true;
    let until = tagged(user(keys()), "key-rotation:exempt-until", "2026-12-31");
    for exempt in [in_group, until] {
        assert_eq!(on(95, &exempt), [Action::Forget { key: id("OLD") }]);
    }
    let protected = tagged(user(keys()), "key-rotation:protected", "");
    assert_eq!(scheduled(day(95), &Policy::default(), &protected), Verdict::Exempt(Exemption::Protected));
}

#[test]
fn an_exemption_keeps_what_a_request_recorded_as_long_as_the_request_may_come_again_but_as_void() {
    let exempt = |state| User { in_exemption_group: true, ..user([key("OLD", 0).inactive().in_state(state)]) };
    let contained = KeyState::new(KeyStateKind::Disabled, day(90)).of_request(uuid::Uuid::from_u128(1));
    let void = contained.clone().made_void();
    assert_eq!(on(104, &exempt(contained.clone())), [Action::Record { key: id("OLD"), state: void.clone() }]);
    assert_eq!(scheduled(day(104), &Policy::default(), &exempt(void.clone())), Verdict::Exempt(Exemption::Group));
    for state in [contained, void] {
        assert_eq!(on(105, &exempt(state)), [Action::Forget { key: id("OLD") }]);
    }
    // Disabled long ago, and reported as leaked since: a restore that was asked for before that may still come.
    let leaked = KeyState { requested_at: Some(day(100)), ..KeyState::new(KeyStateKind::Disabled, day(80)) };
    let void = leaked.clone().made_void();
    assert_eq!(on(114, &exempt(leaked)), [Action::Record { key: id("OLD"), state: void.clone() }]);
    assert_eq!(on(115, &exempt(void)), [Action::Forget { key: id("OLD") }]);
}

#[test]
fn what_a_request_did_before_an_exemption_is_told_anew_after_it_and_every_date_with_it() {
    let request = uuid::Uuid::from_u128(1);
    let of_request = |kind, until| KeyState::new(kind, day(50)).of_request(request).until(day(until)).made_void();
    let notice = |kind| Notice { request: Some(request), ..notice(kind, 82) };

    let forced = key("OLD", 0).in_state(of_request(KeyStateKind::Forced, 60));
    let kind = NoticeKind::Forced { successor: Some(id("NEW")) };
    // Its successor was made before its owner was told of it.
    let both = [forced, key("NEW", 49).published()];
    assert_eq!(on(72, &user(both)), [Action::Notify { key: id("OLD"), notice: notice(kind) }]);

    let restored = key("OLD", 0).in_state(of_request(KeyStateKind::Restored, 60));
    let both = [restored, key("NEW", 50).published()];
    assert_eq!(on(72, &user(both)), [Action::Notify { key: id("OLD"), notice: notice(NoticeKind::Restored) }]);

    let contained = of_request(KeyStateKind::Disabled, 60);
    let alone = user([key("OLD", 0).inactive().in_state(contained.clone())]);
    let state = Some(KeyState { told: true, void: false, ..contained.until(day(82)) });
    assert_eq!(on(72, &alone), [Action::Announce { key: id("OLD"), what: Announcement::Contained, state }]);
}

// ---- what stops everything -----------------------------------------------------------------------------------------

#[test]
fn more_than_two_keys_are_a_finding_and_nothing_is_changed() {
    let user = user([key("A", 0), key("B", 0).inactive().disabled(1), key("C", 80)]);
    assert_eq!(on(500, &user), [Action::ReportFinding(Finding::TooManyKeys { count: 3 })]);
}

#[test]
fn an_intent_is_settled_before_anything_is_planned() {
    let intent = "key-rotation:intent:6f1a4c62-2c0f-5a39-9a58-5b8f3a0d7c11";
    for value in ["2026-04-01T10:00:00Z".to_owned(), format!("2026-04-01T10:00:00Z for={}", id("A"))] {
        let user = tagged(user([key("A", 0)]), intent, &value);
        assert_eq!(scheduled(day(90), &Policy::default(), &user), Verdict::SettleFirst);
    }
}

#[test]
fn a_third_key_that_an_intent_may_explain_is_settled_first() {
    let intent = "key-rotation:intent:6f1a4c62-2c0f-5a39-9a58-5b8f3a0d7c11";
    let user = tagged(user([key("A", 0), key("B", 90), key("C", 90)]), intent, "2026-04-01T10:00:00Z");
    assert_eq!(scheduled(day(90), &Policy::default(), &user), Verdict::SettleFirst);
}

#[test]
fn a_state_tag_that_cannot_be_read_is_a_finding_and_stops_everything_even_an_intent() {
    let state = format!("key-rotation:state:{}", id("A"));
    let user = tagged(user([key("A", 0)]), &state, "yesterday");
    let user = tagged(user, "key-rotation:intent:6f1a4c62-2c0f-5a39-9a58-5b8f3a0d7c11", "2026-04-01T10:00:00Z");
    let finding = Finding::UnreadableTag { tag: state, value: "yesterday".to_owned() };
    assert_eq!(on(500, &user), [Action::ReportFinding(finding)]);
}

// ---- per-user periods ----------------------------------------------------------------------------------------------

#[test]
fn a_users_own_rotation_period_may_be_1_to_4_times_the_rotation_period() {
    for (days, due) in [("1", 1), ("30", 30), ("360", 360)] {
        let user = tagged(user([key("A", 0)]), "key-rotation:rotate-after-days", days);
        assert_eq!(on(due, &user), [rotation("A", due + 10)], "{days}: rotated, with the same install grace");
        let before = planned(day(due) - SignedDuration::from_nanos(1), &Policy::default(), &user);
        assert!(before.iter().all(|action| !action.changes()), "{days}: not before");
    }
}

#[test]
fn a_users_own_rotation_period_out_of_bounds_is_a_finding_and_the_default_applies() {
    for value in ["0", "361", "-1", "never", "", "90.5", "99999999999999999999"] {
        let user = tagged(user([key("A", 0)]), "key-rotation:rotate-after-days", value);
        let finding = Finding::BadRotateAfterDays { value: value.to_owned(), longest: 360, default: 90 };
        assert_eq!(on(10, &user), [Action::ReportFinding(finding.clone())]);
        assert_eq!(on(90, &user), [rotation("A", 100), Action::ReportFinding(finding)]);
    }
}
