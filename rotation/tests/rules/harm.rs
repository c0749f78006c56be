//! What other tools did to their users. Each story is impossible here, and its test says so.

use rotation::plan::NoticeKind;
use rotation::{Action, LastUse, Policy, Verdict};

use crate::given::{Described, day, disables, id, key, on, only_notice, planned, retiring, scheduled, tagged, user};

/// Every plan of half a year for a user that stays as it is.
fn half_a_year(user: &rotation::User) -> Vec<Action> {
    (0..180).flat_map(|now| on(now, user)).collect()
}

fn deletes(actions: &[Action], name: &str) -> bool {
    actions.iter().any(|action| matches!(action, Action::Delete(deletable) if *deletable.key() == id(name)))
}

#[test]
fn a_never_used_key_is_not_deleted_before_another_one_is_made() {
    for policy in [Policy::default(), retiring()] {
        for now in 0..400 {
            let actions = planned(day(now), &policy, &user([key("A", 0).never_used()]));
            assert!(!deletes(&actions, "A") && !disables(&actions, "A"), "day {now}: {actions:?}");
        }
    }
}

#[test]
fn a_throttled_last_used_call_is_not_never_used() {
    for policy in [Policy::default(), retiring()] {
        for now in 83..400 {
            for keys in
                [vec![key("A", 0)], vec![key("A", 0), key("B", 2)], vec![key("A", 0).notified(90), key("B", 90)]]
            {
                for unknown in 0..keys.len() {
                    let mut keys = keys.clone();
                    keys[unknown].last_use = LastUse::Unknown;
                    let verdict = scheduled(day(now), &policy, &user(keys));
                    let idle = matches!(&verdict, Verdict::Act(plan) if plan.actions.is_empty());
                    assert!(idle || matches!(verdict, Verdict::Undecided(_)), "day {now}: {verdict:?}");
                }
            }
        }
    }
}

#[test]
fn of_two_old_keys_used_minutes_ago_none_is_harmed_at_once() {
    let actions = on(200, &user([key("A", 0).used(200), key("B", 10).used(200)]));
    let (_, notice) = only_notice(&actions);
    assert!(matches!(notice.kind, NoticeKind::MakeRoom { .. }));
    assert_eq!(notice.disable_due, Some(day(210)));
}

#[test]
fn a_key_that_incident_response_disabled_keeps_its_recovery_grace() {
    for evidence in [key("A", 0).inactive(), key("A", 0).notified(90).inactive()] {
        for now in [0, 89, 90, 100, 110, 5_000] {
            let actions = on(now, &user([evidence.clone()]));
            assert!(matches!(actions.as_slice(), [Action::Adopt { .. }]), "day {now}: {actions:?}");
        }
    }
}

#[test]
fn an_orphan_whose_secret_nobody_has_does_not_get_the_working_key_disabled() {
    let orphan = key("ORPHAN", 90).never_used();
    let actions = half_a_year(&user([key("A", 0).notified(90), orphan]));
    assert!(!disables(&actions, "A"));
    assert!(actions.iter().any(|action| matches!(action, Action::ReportFinding(_))), "and somebody is told");
}

#[test]
fn one_old_key_does_not_take_the_users_other_keys_with_it() {
    let actions = half_a_year(&user([key("OLD", 0).notified(96), key("OTHER", 95)]));
    assert!(disables(&actions, "OLD") && !disables(&actions, "OTHER"));
    assert!(!deletes(&actions, "OLD") && !deletes(&actions, "OTHER"));
}

#[test]
fn of_two_keys_the_oldest_is_never_deleted_while_it_is_active() {
    let actions = half_a_year(&user([key("OLD", 0).disabled(10), key("NEW", 50).inactive().disabled(60)]));
    assert!(!deletes(&actions, "OLD") && deletes(&actions, "NEW"));
}

#[test]
fn a_key_does_not_live_twice_its_period_because_a_person_made_another() {
    let user = user([key("OLD", 0), key("NEW", 89)]);
    assert_eq!(only_notice(&on(90, &user)).1.disable_due, Some(day(100)));
}

#[test]
fn users_with_two_keys_are_not_skipped_for_ever() {
    for newer in [key("B", 10), key("B", 10).inactive(), key("B", 89), key("B", 89).published()] {
        assert!(!on(100, &user([key("A", 0), newer])).is_empty());
    }
}

#[test]
fn three_live_keys_of_which_one_is_known_are_left_as_they_are_and_reported() {
    let user = user([key("A", 0).notified(90), key("B", 90).published(), key("C", 90)]);
    assert!(half_a_year(&user).iter().all(|action| matches!(action, Action::ReportFinding(_))));
}

#[test]
fn a_key_that_belongs_to_another_system_is_not_deleted_as_an_orphan() {
    let user = tagged(user([key("A", 0), key("THEIRS", 90).never_used()]), "other-system:key", "THEIRS");
    assert!(!deletes(&half_a_year(&user), "THEIRS"));
}

#[test]
fn every_action_about_a_key_says_which_key() {
    for (now, user) in [
        (85, user([key("A", 0)])),
        (90, user([key("A", 0), key("B", 50)])),
        (105, user([key("A", 0).inactive().disabled(100)])),
        (200, user([key("A", 0), key("B", 50)])),
    ] {
        let actions = on(now, &user);
        assert!(!actions.is_empty());
        assert!(actions.iter().all(|action| format!("{action:?}").contains(id("A").as_str())), "{actions:?}");
    }
}

#[test]
fn nobody_is_mailed_while_nothing_comes_up() {
    assert!((0..83).all(|now| on(now, &user([key("A", 0)])).is_empty()));
}

#[test]
fn one_user_left_out_is_left_out_whatever_state_its_keys_are_in() {
    let keys = [key("A", 0).inactive().disabled(1), key("B", 0).notified(90)];
    let user = tagged(user(keys), "key-rotation:exempt-until", "2030-01-01");
    for now in 0..400 {
        let verdict = scheduled(day(now), &Policy::default(), &user);
        let left_alone = match &verdict {
            Verdict::Exempt(_) => true,
            // What its owner was told before is void; no key is touched.
            Verdict::Act(plan) => plan.actions.iter().all(|action| matches!(action, Action::Forget { .. })),
            Verdict::SettleFirst | Verdict::Undecided(_) | Verdict::Refused(_) => false,
        };
        assert!(left_alone, "day {now}: {verdict:?}");
    }
}
