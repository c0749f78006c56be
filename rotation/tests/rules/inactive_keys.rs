//! Any inactive key, each for itself: adopted, warned about, deleted when its recovery grace is over. And keys that a
//! person re-enabled.

use jiff::SignedDuration;
use rotation::names::{EXEMPT_UNTIL_TAG, delete_tag};
use rotation::plan::{DeleteReason, NoticeKind};
use rotation::{Action, Announcement, KeyState, KeyStateKind, Period, Policy, UnusedKeys, Upcoming, User};
use uuid::Uuid;

use crate::given::{Described, adopts, day, id, key, notice, on, planned, tagged, user};

fn deleted(actions: &[Action]) -> Vec<(String, DeleteReason)> {
    let deleted = actions.iter().filter_map(|action| match action {
        Action::Delete(deletable) => Some((deletable.key().to_string(), deletable.reason())),
        _ => None,
    });
    deleted.collect()
}

#[test]
fn an_inactive_key_nobody_recorded_is_adopted_and_its_recovery_grace_starts_today() {
    let user = user([key("A", 0).inactive()]);
    assert_eq!(on(500, &user), [adopts("A", 510)]);
}

#[test]
fn a_noticed_key_that_a_person_disabled_is_adopted() {
    for suspended in [key("A", 0).notified(90), key("A", 0).forced(90), key("A", 0).restored(90)] {
        assert_eq!(on(99, &user([suspended.inactive()])), [adopts("A", 109)]);
    }
}

#[test]
fn a_disabled_key_is_deleted_when_its_recovery_grace_is_over_and_not_a_second_before() {
    let user = user([key("A", 0).inactive().disabled(100)]);
    let reason = DeleteReason::RecoveryGraceOver { disabled: day(100) };
    assert_eq!(deleted(&on(110, &user)), [(id("A").to_string(), reason)]);
    let before = planned(day(110) - SignedDuration::from_nanos(1), &Policy::default(), &user);
    assert_eq!(before, [Action::Warn { key: id("A"), upcoming: Upcoming::Delete { contained: false }, due: day(110) }]);
}

#[test]
fn the_owner_is_warned_before_a_disabled_key_is_deleted_and_not_earlier_than_the_warning_period() {
    let user = user([key("A", 0).inactive().disabled(100)]);
    assert_eq!(
        on(103, &user),
        [Action::Warn { key: id("A"), upcoming: Upcoming::Delete { contained: false }, due: day(110) }]
    );
    assert_eq!(on(102, &user), []);
}

#[test]
fn two_inactive_keys_go_each_by_its_own_date() {
    let user = user([key("A", 0).inactive().disabled(100), key("B", 20).inactive()]);
    let actions = on(110, &user);
    assert_eq!(deleted(&actions).len(), 1);
    assert_eq!(actions[1], adopts("B", 120));
}

#[test]
fn an_inactive_key_used_since_it_was_disabled_was_active_in_between_and_its_recovery_grace_starts_anew() {
    let user = user([key("A", 0).inactive().disabled(100).used(105)]);
    assert_eq!(on(110, &user), [adopts("A", 120)]);
}

#[test]
fn a_last_use_at_the_moment_of_the_disable_does_not_put_off_the_deletion() {
    let last = day(100) + SignedDuration::from_mins(2);
    assert_eq!(deleted(&on(110, &user([key("A", 0).inactive().disabled(100).used_at(last)]))).len(), 1);
}

#[test]
fn a_deletion_waits_while_the_last_use_is_unknown() {
    let user = user([key("A", 0).inactive().disabled(100).use_unknown()]);
    let verdict = crate::given::scheduled(day(500), &Policy::default(), &user);
    assert_eq!(verdict, rotation::Verdict::Undecided(rotation::MissingFact::LastUse(id("A"))));
}

#[test]
fn the_tag_of_a_key_that_is_gone_is_forgotten_after_the_recovery_grace() {
    let state = format!("key-rotation:state:{}", id("GONE"));
    let user = tagged(user([key("A", 50)]), &state, "disabled=2026-04-11T10:00:00Z");
    assert_eq!(on(109, &user), []);
    assert_eq!(on(110, &user), [Action::Forget { key: id("GONE") }]);
}

// ---- what was told, and what was not ------------------------------------------------------------------------------------

const REQUEST: uuid::Uuid = uuid::Uuid::from_u128(1);

fn disabled(on: i64) -> KeyState {
    KeyState::new(KeyStateKind::Disabled, day(on)).until(day(on + 10))
}

#[test]
fn a_shorter_recovery_grace_does_not_bring_forward_a_deletion_that_was_told() {
    let one_day = Policy::new(Period { recovery_grace: 1, ..Period::default() }, UnusedKeys::Rotate).expect("valid");
    let user = user([key("A", 0).inactive().in_state(disabled(100))]);
    assert_eq!(deleted(&planned(day(109), &one_day, &user)), []);
    assert_eq!(deleted(&planned(day(110), &one_day, &user)).len(), 1);
}

#[test]
fn a_disable_that_was_not_told_is_told_again_and_its_recovery_grace_starts_then() {
    let user = user([key("A", 0).inactive().in_state(disabled(100).not_told()), key("B", 100).published()]);
    let what = Announcement::Disabled { delete_due: day(160) };
    let state = KeyState::new(KeyStateKind::Disabled, day(100)).until(day(160));
    assert_eq!(on(150, &user), [Action::Announce { key: id("A"), what, state: Some(state) }]);
}

#[test]
fn a_containment_and_its_successor_that_were_not_told_are_told_by_the_next_scheduled_run() {
    let contained = disabled(100).of_request(REQUEST).not_told();
    let keys = [key("A", 0).inactive().in_state(contained), key("B", 100).published()];
    let told = KeyState { told: true, ..disabled(100).until(day(111)).of_request(REQUEST) };
    let successor = KeyState { successor: Some(id("B")), ..told };
    let expected = [
        Action::Announce { key: id("A"), what: Announcement::Contained, state: Some(told) },
        Action::Announce {
            key: id("A"),
            what: Announcement::Successor { successor: id("B") },
            state: Some(successor.clone()),
        },
    ];
    assert_eq!(on(101, &user(keys)), expected);
    assert_eq!(on(101, &user([key("A", 0).inactive().in_state(successor), key("B", 100).published()])), []);
}

#[test]
fn a_contained_key_stays_until_the_date_that_is_told_with_its_successor() {
    let contained = disabled(100).of_request(REQUEST);
    let successor = key("B", 100).published();
    let untold = user([key("A", 0).inactive().in_state(contained.clone()), successor.clone()]);
    let told = KeyState { successor: Some(id("B")), ..contained.until(day(121)) };
    let what = Announcement::Successor { successor: id("B") };
    assert_eq!(
        on(111, &untold),
        [Action::Announce { key: id("A"), what, state: Some(told.clone()) }],
        "deleted on day 110"
    );
    let told = user([key("A", 0).inactive().in_state(told), successor]);
    assert_eq!(deleted(&on(120, &told)), []);
    assert_eq!(deleted(&on(121, &told)).len(), 1);
}

#[test]
fn what_was_done_to_a_key_and_not_told_is_told_also_while_a_person_has_to_mend_a_tag_or_a_third_key_is_there() {
    let contained = || key("A", 0).inactive().in_state(disabled(100).of_request(REQUEST).not_told());
    let told = KeyState { told: true, ..disabled(100).until(day(111)).of_request(REQUEST) };
    let announcement = Action::Announce { key: id("A"), what: Announcement::Contained, state: Some(told.clone()) };
    let unreadable = |key| tagged(user([key]), "key-rotation:intent:x", "y");
    let crowded = |key| user([key, crate::given::key("B", 1), crate::given::key("C", 2)]);
    for (untold, all_told) in [
        (unreadable(contained()), unreadable(key("A", 0).inactive().in_state(told.clone()))),
        (crowded(contained()), crowded(key("A", 0).inactive().in_state(told))),
    ] {
        assert!(matches!(&on(101, &untold)[..], [first, Action::ReportFinding(_)] if *first == announcement));
        assert!(matches!(&on(101, &all_told)[..], [Action::ReportFinding(_)]));
    }
}

#[test]
fn a_deletion_that_was_not_told_is_told_until_it_is() {
    let user = user([key("A", 0).inactive().disabled(100), key("B", 100).published()]);
    let [Action::Delete(deletable)] = &on(110, &user)[..] else { panic!("its recovery grace is over") };
    assert_eq!(deletable.record_after(), None, "nothing is left to be remembered");
    let gone = tagged(self::user([key("B", 100).published()]), &delete_tag(&id("A")), "2026-04-21T10:00:00Z");
    let disabled = "disabled=2026-04-11T10:00:00Z";
    for gone in [gone.clone(), tagged(gone, &format!("key-rotation:state:{}", id("A")), disabled)] {
        for n in [110, 111, 180] {
            let announce = Action::Announce { key: id("A"), what: Announcement::Deleted, state: None };
            assert_eq!(on(n, &gone), [announce], "day {n}");
        }
    }
}

#[test]
fn that_a_deletion_has_begun_deletes_nothing() {
    let begun = |user: User| tagged(user, &delete_tag(&id("A")), "2026-04-11T10:00:00Z");
    // Its recovery grace is not over.
    let inactive = user([key("A", 0).inactive().in_state(disabled(100)), key("B", 100).published()]);
    assert_eq!(deleted(&on(105, &begun(inactive))), []);
    // It is on no other record: a person's, for which a forced rotation had no place.
    let [Action::Adopt { state, .. }] = &on(150, &begun(user([key("A", 0).inactive()])))[..] else { panic!("adopted") };
    assert_eq!(state, &disabled(150).until(day(160)));
    // It has been made active again.
    let active = user([key("A", 150), key("B", 140).published()]);
    assert_eq!(on(155, &begun(active)), [Action::ForgetDeletion { key: id("A") }]);
}

#[test]
fn what_was_done_before_an_exemption_and_not_told_is_told_and_no_more() {
    let exempt = |user: User| tagged(user, "key-rotation:exempt-until", "2027-01-01");
    let gone = exempt(tagged(user([key("B", 100)]), &delete_tag(&id("A")), "2026-04-21T10:00:00Z"));
    let gone = tagged(gone, &format!("key-rotation:state:{}", id("B")), "notified=2026-04-20T10:00:00Z");
    let announce = Action::Announce { key: id("A"), what: Announcement::Deleted, state: None };
    assert_eq!(on(111, &gone), [announce, Action::Forget { key: id("B") }]);

    for (untold, what) in [
        (disabled(100), Announcement::Disabled { delete_due: day(121) }),
        (disabled(100).of_request(REQUEST), Announcement::Contained),
    ] {
        let user = exempt(user([key("A", 0).inactive().in_state(untold.clone().not_told())]));
        let state = Some(untold.until(day(121)));
        assert_eq!(on(111, &user), [Action::Announce { key: id("A"), what, state }]);
    }
    let restored = KeyState::new(KeyStateKind::Restored, day(100)).of_request(REQUEST);
    let untold = exempt(user([key("A", 0).in_state(restored.not_told())]));
    assert!(matches!(on(111, &untold)[..], [Action::Notify { .. }]));
    let told = exempt(user([key("A", 0).inactive().in_state(disabled(100))]));
    assert_eq!(on(111, &told), [Action::Forget { key: id("A") }]);
}

#[test]
fn a_reminder_of_a_deletion_says_whether_a_request_disabled_the_key() {
    for (state, contained) in [(disabled(100), false), (disabled(100).of_request(REQUEST), true)] {
        let user = user([key("A", 0).inactive().in_state(state)]);
        let upcoming = Upcoming::Delete { contained };
        assert_eq!(on(109, &user), [Action::Warn { key: id("A"), upcoming, due: day(110) }]);
    }
}

#[test]
fn an_adopted_key_is_still_known_to_the_request_that_contained_it_and_not_to_a_restore() {
    let restoring = Some(uuid::Uuid::from_u128(2));
    let contained = KeyState { successor: Some(id("B")), restoring, ..disabled(100).of_request(REQUEST) };
    let user = user([key("A", 0).inactive().in_state(contained).used(105), key("B", 100).published()]);
    let [Action::Adopt { state, .. }] = &on(106, &user)[..] else { panic!("it was active in between") };
    assert_eq!((state.request, &state.successor, state.restoring), (Some(REQUEST), &Some(id("B")), None));
}

// ---- one active, one inactive --------------------------------------------------------------------------------------

#[test]
fn an_active_key_that_is_due_is_rotated_in_the_same_run_as_the_inactive_one_is_deleted() {
    let user = user([key("A", 0).inactive().disabled(100), key("B", 20)]);
    let actions = on(110, &user);
    assert_eq!(deleted(&actions).len(), 1);
    let Action::Rotate { old, present, .. } = &actions[1] else { panic!("{actions:?}") };
    assert_eq!(
        (old, present.as_slice()),
        (&id("B"), [id("B")].as_slice()),
        "and the deleted key is not expected any more"
    );
}

#[test]
fn an_active_key_that_is_due_waits_for_the_inactive_one_and_its_owner_is_told_the_date() {
    let waits =
        |due| Action::Warn { key: id("B"), upcoming: Upcoming::RotateAfterDeletion { of: id("A") }, due: day(due) };
    assert_eq!(on(101, &user([key("A", 0).inactive().disabled(100), key("B", 0)])), [waits(110)]);
    let adopted = on(101, &user([key("A", 0).inactive(), key("B", 0)]));
    assert_eq!(adopted, [adopts("A", 111), waits(111)]);
}

#[test]
fn an_active_key_not_due_is_warned_about_as_if_it_were_alone() {
    let user = user([key("A", 0).inactive().disabled(84), key("B", 0)]);
    assert_eq!(on(85, &user), [Action::Warn { key: id("B"), upcoming: Upcoming::Rotate, due: day(90) }]);
}

#[test]
fn an_inactive_key_is_never_taken_for_a_successor() {
    let user = user([key("A", 0).notified(90), key("B", 90).published().inactive().disabled(91)]);
    for now in 91..200 {
        assert!(on(now, &user).iter().all(|action| !matches!(action, Action::Disable { .. })));
    }
}

// ---- re-enabled by a person ----------------------------------------------------------------------------------------

#[test]
fn a_key_found_active_again_is_recorded_as_restored_and_its_owner_told() {
    let user = user([key("A", 0).disabled(100), key("B", 90).published()]);
    let notice = notice(NoticeKind::Restored, 115);
    assert_eq!(on(105, &user), [Action::Notify { key: id("A"), notice }]);
}

#[test]
fn a_key_found_active_again_whose_owner_could_not_be_told_is_told_again() {
    let not_told = KeyState::new(KeyStateKind::Restored, day(105)).not_told();
    let user = user([key("A", 50).in_state(not_told)]);
    let notice = notice(NoticeKind::Restored, 116);
    assert_eq!(on(106, &user), [Action::Notify { key: id("A"), notice }]);
}

#[test]
fn a_restored_key_is_disabled_again_after_the_install_grace_and_not_tomorrow() {
    let user = user([key("A", 0).restored(105), key("B", 90).published()]);
    for now in 105..115 {
        assert!(on(now, &user).iter().all(|action| !action.changes()), "day {now}");
    }
    assert!(crate::given::disables(&on(115, &user), "A"));
}

#[test]
fn a_restored_key_that_was_replaced_by_force_is_disabled_again_although_it_is_young() {
    let user = user([key("A", 0).restored(25), key("B", 10).published()]);
    assert!(crate::given::disables(&on(35, &user), "A"));
    assert!(!crate::given::disables(&on(34, &user), "A"));
}

#[test]
fn a_young_key_that_a_person_switched_off_and_on_again_is_not_harmed() {
    let user = user([key("A", 0).restored(25), key("B", 10)]);
    for now in 25..83 {
        assert_eq!(on(now, &user), [], "day {now}");
    }
}

#[test]
fn a_young_key_switched_off_and_on_again_gets_a_notice_of_its_own_when_it_is_due() {
    let user = user([key("A", 0).restored(25), key("B", 10)]);
    let actions = on(90, &user);
    let (key, notice) = crate::given::only_notice(&actions);
    assert_eq!((key, notice.disable_due), (&id("A"), Some(day(100))));
}

#[test]
fn a_newer_key_once_switched_off_and_on_again_is_not_chosen_to_go_for_it_when_both_are_due() {
    let user = user([key("A", 0).used(15), key("B", 10).restored(25).used(119)]);
    let actions = on(120, &user);
    assert_eq!(crate::given::only_notice(&actions).0, &id("A"), "the least recently used one goes, and is told first");
}

#[test]
fn a_re_enabled_key_that_is_due_and_alone_is_rotated_in_the_same_run() {
    let actions = on(105, &user([key("A", 0).disabled(100)]));
    assert!(matches!(actions.as_slice(), [Action::Notify { .. }, Action::Rotate { .. }]), "{actions:?}");
}

#[test]
fn a_deletion_that_was_told_before_an_exemption_is_told_anew_though_no_run_has_seen_the_exemption() {
    let exempt = |until: &str| tagged(user([key("A", 0).inactive().disabled(100)]), EXEMPT_UNTIL_TAG, until);
    let (before, after) = (day(99).to_string(), day(105).to_string());
    assert_eq!(on(110, &exempt(&after)), [adopts("A", 120)]);
    // A restore that has begun, and waits, is not undone by that.
    let waits = KeyState {
        restoring: Some(uuid::Uuid::from_u128(1)),
        requested_at: Some(day(104)),
        ..KeyState::new(KeyStateKind::Disabled, day(104))
    };
    let restoring = tagged(user([key("A", 0).inactive().in_state(waits.clone())]), EXEMPT_UNTIL_TAG, &after);
    let [Action::Adopt { state, .. }] = &on(110, &restoring)[..] else { panic!("adopted") };
    assert_eq!((state.restoring, state.requested_at), (waits.restoring, waits.requested_at));
    let mut used = restoring;
    used.keys[0] = used.keys[0].clone().used(108);
    let [Action::Adopt { state, .. }] = &on(110, &used)[..] else { panic!("adopted") };
    assert_eq!((state.restoring, state.requested_at), (None, None), "it was active in between");
    assert!(matches!(on(110, &exempt(&before))[..], [Action::Delete(_)]), "told after it");
    // Told before it, and dated anew since by a restore that came to nothing.
    let dated_anew = KeyState { at: day(107), ..waits.until(day(110)) };
    let restoring = tagged(user([key("A", 0).inactive().in_state(dated_anew)]), EXEMPT_UNTIL_TAG, &after);
    assert!(matches!(on(120, &restoring)[..], [Action::Adopt { .. }]));
}

/// Reads of keys lag behind those of tags: taken for re-enabled, it would be on record as restored, and the leak response be refused.
#[test]
fn a_key_that_was_contained_less_than_a_minute_ago_and_reads_as_active_is_left_for_another_run() {
    let contained = KeyState::new(KeyStateKind::Disabled, day(50)).of_request(Uuid::from_u128(1)).until(day(60));
    let user = user([key("A", 0).in_state(contained), key("B", 20)]);
    let seen_after = |seconds| {
        let now = day(50) + SignedDuration::from_secs(seconds);
        planned(now, &Policy::default(), &user)
    };
    assert_eq!(seen_after(2), []);
    assert!(
        matches!(seen_after(60).as_slice(), [Action::Notify { notice, .. }] if notice.kind == NoticeKind::Restored)
    );
}
