//! Where keys stand, as reports count them.

use rotation::{Policy, PolicyStatus};

use crate::given::{Described, day, key, tagged, user};

#[test]
fn a_key_is_due_at_the_rotation_period_and_overdue_at_the_inactive_period() {
    let policy = Policy::default();
    for (age, status) in [
        (0, PolicyStatus::WithinPolicy),
        (89, PolicyStatus::WithinPolicy),
        (90, PolicyStatus::Due),
        (99, PolicyStatus::Due),
        (100, PolicyStatus::Overdue),
        (1000, PolicyStatus::Overdue),
    ] {
        let user = user([key("OLD", -age)]);
        assert_eq!(user.policy_status(day(0), &policy, &user.keys[0]), status, "{age} days");
        let inactive = key("OLD", -age).inactive();
        assert_eq!(user.policy_status(day(0), &policy, &inactive), PolicyStatus::Inactive);
    }
}

#[test]
fn a_notice_makes_no_overdue_key_less_so_and_an_exemption_counts_only_while_it_lasts() {
    let policy = Policy::default();
    let told = user([key("OLD", -200).notified(0)]);
    assert_eq!(told.policy_status(day(1), &policy, &told.keys[0]), PolicyStatus::Overdue);
    let exempt = tagged(user([key("OLD", -200)]), "key-rotation:exempt-until", "2026-01-10");
    assert_eq!(exempt.policy_status(day(0), &policy, &exempt.keys[0]), PolicyStatus::Exempt);
    assert_eq!(exempt.policy_status(day(10), &policy, &exempt.keys[0]), PolicyStatus::Overdue);
}

#[test]
fn a_users_own_period_counts() {
    let own = tagged(user([key("OLD", -40)]), "key-rotation:rotate-after-days", "30");
    assert_eq!(own.policy_status(day(0), &Policy::default(), &own.keys[0]), PolicyStatus::Overdue);
}
