//! `UnusedKeys=retire`: a key never used by the time it is due gets no successor.

use rotation::plan::NoticeKind;
use rotation::{Action, DisablePrecondition, Notice, Upcoming};

use crate::given::{Described, day, id, key, notice, only_notice, planned, retiring, user};

#[test]
fn a_never_used_key_is_told_before_it_is_retired() {
    let notice = notice(NoticeKind::Retired, 105);
    let actions = planned(day(95), &retiring(), &user([key("A", 0).never_used()]));
    assert_eq!(actions, [Action::Notify { key: id("A"), notice }]);
}

#[test]
fn a_never_used_key_is_disabled_the_install_grace_after_its_notice_if_it_is_still_unused() {
    let user = user([key("A", 0).never_used().notified(95)]);
    let warning = Action::Warn { key: id("A"), upcoming: Upcoming::Disable, due: day(105) };
    assert_eq!(planned(day(104), &retiring(), &user), [warning]);
    let disable =
        Action::Disable { key: id("A"), precondition: DisablePrecondition::StillUnused, delete_due: day(115) };
    assert_eq!(planned(day(105), &retiring(), &user), [disable]);
}

#[test]
fn a_key_used_after_the_notice_of_its_retirement_is_rotated_like_any_other() {
    let actions = planned(day(105), &retiring(), &user([key("A", 0).notified(95).used(100)]));
    assert!(matches!(actions.as_slice(), [Action::Rotate { .. }]), "{actions:?}");
}

#[test]
fn a_used_key_is_not_retired_and_an_unused_one_not_before_it_is_due() {
    let actions = planned(day(90), &retiring(), &user([key("A", 0)]));
    assert!(matches!(actions.as_slice(), [Action::Rotate { .. }]), "{actions:?}");
    assert_eq!(planned(day(80), &retiring(), &user([key("A", 0).never_used()])), []);
}

#[test]
fn a_notice_from_before_the_key_was_due_does_not_retire_it() {
    for young in [key("A", 0).restored(20), key("A", 0).forced(20), key("A", 0).notified(20)] {
        let actions = planned(day(95), &retiring(), &user([young.never_used()]));
        let [Action::Notify { notice, .. }] = actions.as_slice() else { panic!("{actions:?}") };
        assert_eq!(*notice, crate::given::notice(NoticeKind::Retired, 105));
    }
}

#[test]
fn an_unknown_last_use_is_not_never_used() {
    let verdict = crate::given::scheduled(day(95), &retiring(), &user([key("A", 0).use_unknown()]));
    assert_eq!(verdict, rotation::Verdict::Undecided(rotation::MissingFact::LastUse(id("A"))));
}

/// Its mail says that it is disabled again if another key replaces it. That none will is told first.
#[test]
fn what_the_owner_of_a_restored_key_was_told_does_not_retire_it() {
    let user = user([key("A", 0).never_used().restored(100)]);
    let notice = Notice { requested_at: Some(day(100)), ..notice(NoticeKind::Retired, 121) };
    assert_eq!(planned(day(111), &retiring(), &user), [Action::Notify { key: id("A"), notice }]);
}

#[test]
fn of_two_due_keys_only_the_never_used_one_is_retired() {
    let user = user([key("A", 0).never_used().notified(95), key("B", 1)]);
    let disable =
        Action::Disable { key: id("A"), precondition: DisablePrecondition::StillUnused, delete_due: day(115) };
    assert_eq!(planned(day(105), &retiring(), &user), [disable]);
}

#[test]
fn a_notice_that_named_a_successor_which_is_gone_is_none_that_the_key_is_retired() {
    let user = user([key("A", 0).never_used().forced(91)]);
    let actions = planned(day(101), &retiring(), &user);
    assert_eq!(*only_notice(&actions).1, notice(NoticeKind::Retired, 111));
}
