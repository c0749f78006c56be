//! Two active keys: the newer is the older's successor, whoever made it; or both are due and there is no room.

use jiff::SignedDuration;
use rotation::plan::NoticeKind;
use rotation::{
    Action, DisablePrecondition, Finding, Key, KeyState, KeyStateKind, MissingFact, Period, Policy, Published,
    UnusedKeys, Upcoming, Verdict,
};

use crate::given::{
    Described, day, disables, extending, id, key, notice, on, only_notice, planned, scheduled, tagged, user,
};

fn will_be_disabled(name: &str, due: i64) -> Action {
    Action::Warn { key: id(name), upcoming: Upcoming::Disable, due: day(due) }
}

#[test]
fn before_the_older_key_is_due_its_owner_is_warned_that_the_newer_one_will_count_as_its_successor() {
    let user = user([key("OLD", 0), key("NEW", 50)]);
    let upcoming = Upcoming::SuccessorCounts { successor: id("NEW") };
    assert_eq!(on(82, &user), []);
    assert_eq!(on(83, &user), [Action::Warn { key: id("OLD"), upcoming, due: day(90) }]);
}

#[test]
fn the_older_key_at_the_rotation_period_gets_its_notice_whoever_made_the_newer() {
    for newer in [key("NEW", 50), key("NEW", 50).published()] {
        let notice = notice(NoticeKind::Replaced { successor: Some(id("NEW")) }, 100);
        assert_eq!(on(90, &user([newer, key("OLD", 0)])), [Action::Notify { key: id("OLD"), notice }]);
    }
}

#[test]
fn a_noticed_key_is_disabled_at_the_inactive_period_and_not_a_second_before() {
    let user = user([key("OLD", 0).notified(90), key("NEW", 90).published()]);
    let precondition = DisablePrecondition::SuccessorInHand { successor: id("NEW") };
    assert_eq!(on(100, &user), [Action::Disable { key: id("OLD"), precondition, delete_due: day(110) }]);
    let before = planned(day(100) - SignedDuration::from_nanos(1), &Policy::default(), &user);
    assert_eq!(before, [will_be_disabled("OLD", 100)]);
}

#[test]
fn a_key_noticed_late_is_disabled_the_install_grace_after_its_notice() {
    let user = user([key("OLD", 0).notified(97), key("NEW", 90).published()]);
    assert_eq!(on(106, &user), [will_be_disabled("OLD", 107)]);
    assert!(disables(&on(107, &user), "OLD"));
}

#[test]
fn the_owner_is_warned_inside_the_warning_period_before_a_disable() {
    let user = user([key("OLD", 0).notified(90), key("NEW", 90).published()]);
    assert_eq!(on(92, &user), []);
    assert_eq!(on(93, &user), [will_be_disabled("OLD", 100)]);
}

#[test]
fn a_forced_notice_counts_the_install_grace_whatever_the_keys_age() {
    let user = user([key("OLD", 0).forced(20), key("NEW", 20).published()]);
    assert_eq!(on(29, &user), [will_be_disabled("OLD", 30)]);
    assert!(disables(&on(30, &user), "OLD"));
}

#[test]
fn a_forced_notice_beside_a_key_that_we_have_not_published_waits_for_the_keys_age_and_is_given_anew() {
    for other in [key("NEW", 15).used(16), key("NEW", 15).never_used()] {
        let user = user([key("OLD", 0).forced(20), other]);
        for now in 30..83 {
            assert_eq!(on(now, &user), [], "day {now}");
        }
        let upcoming = Upcoming::SuccessorCounts { successor: id("NEW") };
        assert_eq!(on(83, &user), [Action::Warn { key: id("OLD"), upcoming, due: day(90) }]);
        assert_eq!(only_notice(&on(90, &user)).1.disable_due, Some(day(100)));
    }
}

#[test]
fn a_forced_notice_on_the_newer_of_two_keys_disables_neither_before_its_age() {
    let user = user([key("OLD", 0).published(), key("NEW", 15).forced(20)]);
    for now in 30..83 {
        assert_eq!(on(now, &user), [], "day {now}");
    }
}

#[test]
fn nothing_follows_from_a_forced_notice_while_it_is_unknown_whether_the_successor_is_published() {
    let mut newer = key("NEW", 20);
    newer.published = Published::Unknown;
    let verdict = scheduled(day(30), &Policy::default(), &user([key("OLD", 0).forced(20), newer]));
    assert_eq!(verdict, Verdict::Undecided(MissingFact::Published(id("NEW"))));
}

#[test]
fn a_forced_notice_on_a_key_that_is_due_counts_the_install_grace_from_the_notice() {
    let user = user([key("OLD", 0).forced(85), key("NEW", 85).published()]);
    assert!(disables(&on(95, &user), "OLD"));
}

#[test]
fn a_notice_older_than_the_successor_was_about_another_one_and_is_given_anew() {
    for told in [key("OLD", 0).notified(91), key("OLD", 0).forced(91), key("OLD", 0).restored(91)] {
        let actions = on(101, &user([told, key("NEW", 95).published()]));
        assert_eq!(only_notice(&actions).1.disable_due, Some(day(111)));
    }
}

#[test]
fn a_notice_given_in_the_second_the_successor_was_made_counts() {
    let noticed_at = day(90) + SignedDuration::from_millis(200);
    let made_at = day(90) + SignedDuration::from_millis(900);
    let mut newer = key("NEW", 90).published();
    newer.created = made_at;
    let user = user([key("OLD", 0).in_state(KeyState::new(KeyStateKind::Notified, noticed_at)), newer]);
    assert!(disables(&on(101, &user), "OLD"));
}

#[test]
fn a_notice_from_a_shorter_period_that_no_longer_applies_is_given_anew() {
    let user = user([key("OLD", 0).notified(90), key("NEW", 90).published()]);
    let user = tagged(user, "key-rotation:rotate-after-days", "200");
    for now in 90..193 {
        assert_eq!(on(now, &user), [], "day {now}");
    }
    assert_eq!(only_notice(&on(200, &user)).1.disable_due, Some(day(210)));
}

#[test]
fn a_period_shortened_by_tag_leaves_the_owner_the_whole_install_grace() {
    let user = tagged(user([key("OLD", 0), key("NEW", 40)]), "key-rotation:rotate-after-days", "50");
    assert_eq!(only_notice(&on(80, &user)).1.disable_due, Some(day(90)));
}

#[test]
fn a_successor_that_nobody_may_have_is_a_finding_and_the_old_key_stays_active() {
    let user = user([key("OLD", 0).notified(90), key("NEW", 50).never_used()]);
    for now in [100, 101, 139] {
        let finding = Finding::SuccessorNotInHand { old: id("OLD"), new: id("NEW") };
        assert_eq!(on(now, &user), [Action::ReportFinding(finding)]);
    }
}

#[test]
fn a_persons_successor_that_has_been_used_stands_in_for_the_old_key() {
    assert!(disables(&on(100, &user([key("OLD", 0).notified(90), key("NEW", 50).used(51)])), "OLD"));
}

#[test]
fn nothing_is_disabled_while_it_is_unknown_whether_the_successor_is_published() {
    let mut newer = key("NEW", 90);
    newer.published = Published::Unknown;
    let user = user([key("OLD", 0).notified(90), newer]);
    let verdict = scheduled(day(100), &Policy::default(), &user);
    assert_eq!(verdict, Verdict::Undecided(MissingFact::Published(id("NEW"))));
}

#[test]
fn nothing_is_done_while_a_last_use_is_unknown() {
    for unknown in ["OLD", "NEW"] {
        let mut user = user([key("OLD", 0).notified(90), key("NEW", 90).published()]);
        for key in &mut user.keys {
            if key.id == id(unknown) {
                key.last_use = rotation::LastUse::Unknown;
            }
        }
        let verdict = scheduled(day(100), &Policy::default(), &user);
        assert_eq!(verdict, Verdict::Undecided(MissingFact::LastUse(id(unknown))));
    }
}

// ---- a date that was told is kept ------------------------------------------------------------------------------------

/// The old key's owner was told on day 90 that it will be disabled on day 100.
fn told_of_day_100() -> rotation::User {
    let notified = KeyState::new(KeyStateKind::Notified, day(90)).until(day(100));
    user([key("OLD", 0).in_state(notified), key("NEW", 90).published()])
}

fn inactive_at(inactive: u32) -> Policy {
    Policy::new(Period { inactive, ..Period::default() }, UnusedKeys::Rotate).expect("valid")
}

#[test]
fn a_shorter_inactive_period_does_not_bring_forward_a_date_that_was_told() {
    let before = planned(day(99), &inactive_at(91), &told_of_day_100());
    assert_eq!(before, [will_be_disabled("OLD", 100)]);
    assert!(disables(&planned(day(100), &inactive_at(91), &told_of_day_100()), "OLD"));
}

#[test]
fn a_longer_inactive_period_puts_off_what_was_told_and_warns_of_the_later_date() {
    assert_eq!(planned(day(100), &inactive_at(120), &told_of_day_100()), []);
    assert_eq!(planned(day(113), &inactive_at(120), &told_of_day_100()), [will_be_disabled("OLD", 120)]);
    assert!(disables(&planned(day(120), &inactive_at(120), &told_of_day_100()), "OLD"));
}

#[test]
fn a_notice_whose_mail_was_not_accepted_is_none() {
    let not_told = KeyState::new(KeyStateKind::Notified, day(90)).until(day(100)).not_told();
    let user = user([key("OLD", 0).in_state(not_told), key("NEW", 90).published()]);
    assert_eq!(only_notice(&on(150, &user)).1.disable_due, Some(day(160)));
}

// ---- still in use --------------------------------------------------------------------------------------------------

#[test]
fn a_disable_is_put_off_while_the_old_key_is_in_use_and_its_successor_never_was() {
    let user = user([key("OLD", 0).notified(90).used(99), key("NEW", 90).published().never_used()]);
    let actions = planned(day(100), &extending(5), &user);
    let [Action::Postpone { key, until, last_use }] = actions.as_slice() else { panic!("{actions:?}") };
    assert_eq!((key, *until), (&id("OLD"), day(105)));
    assert_eq!(*last_use, user.keys[0].last_use, "the notice can say which service and region still use it");
}

#[test]
fn a_disable_is_put_off_for_at_most_the_extension() {
    let in_use = |now: i64| user([key("OLD", 0).notified(90).used(now), key("NEW", 90).published().never_used()]);
    for now in 100..105 {
        assert!(!disables(&planned(day(now), &extending(5), &in_use(now)), "OLD"), "day {now}");
    }
    assert!(disables(&planned(day(105), &extending(5), &in_use(105)), "OLD"));
    assert!(disables(&on(100, &in_use(100)), "OLD"), "and not at all by default");
}

#[test]
fn a_disable_is_not_put_off_for_a_key_not_used_in_the_last_24_hours() {
    let unused_for_a_day = day(99) - SignedDuration::from_secs(1);
    let old = key("OLD", 0).notified(90).used_at(unused_for_a_day);
    let user = user([old, key("NEW", 90).published().never_used()]);
    assert!(disables(&planned(day(100), &extending(5), &user), "OLD"));
}

#[test]
fn a_disable_is_not_put_off_once_the_successor_has_been_used() {
    let user = user([key("OLD", 0).notified(90).used(100), key("NEW", 90).published().used(91)]);
    assert!(disables(&planned(day(100), &extending(5), &user), "OLD"));
}

// ---- both due ------------------------------------------------------------------------------------------------------

#[test]
fn of_two_due_keys_the_least_recently_used_one_gets_the_notice() {
    let cases = [
        (key("A", 0).used(100), key("B", 5).used(99), "B"),
        (key("A", 0).used(98), key("B", 5).used(99), "A"),
        (key("A", 0).used(10), key("B", 5).never_used(), "B"),
        (key("A", 0).never_used(), key("B", 5).used(6), "A"),
        (key("A", 0).never_used(), key("B", 5).never_used(), "A"),
        (key("A", 0).used(50), key("B", 5).used(50), "A"),
    ];
    for (a, b, goes) in cases {
        let actions = on(100, &user([b, a]));
        let stays = if goes == "A" { "B" } else { "A" };
        let notice = notice(NoticeKind::MakeRoom { other: id(stays) }, 110);
        assert_eq!(actions, [Action::Notify { key: id(goes), notice }]);
    }
}

#[test]
fn once_a_due_key_carries_a_notice_it_stays_the_chosen_one() {
    let user = user([key("A", 0).used(10), key("B", 5).used(109).notified(100)]);
    assert!(disables(&on(110, &user), "B"));
    assert!(!disables(&on(109, &user), "B"));
}

#[test]
fn the_chosen_one_of_two_due_keys_is_disabled_the_install_grace_after_its_notice() {
    let user = user([key("A", 0).used(10).notified(300), key("B", 5).used(309)]);
    assert_eq!(on(309, &user), [will_be_disabled("A", 310)]);
    assert!(disables(&on(310, &user), "A"));
}

#[test]
fn of_two_due_keys_that_nobody_may_have_none_is_disabled_and_it_is_a_finding() {
    let user = user([key("A", 0).never_used().notified(100), key("B", 5).never_used()]);
    let finding = Finding::SuccessorNotInHand { old: id("A"), new: id("B") };
    assert_eq!(on(110, &user), [Action::ReportFinding(finding)]);
}

#[test]
fn keys_made_in_the_same_second_are_told_apart_by_their_ids() {
    let user = user([key("B", 0).used(10), key("A", 0).used(10)]);
    assert_eq!(only_notice(&on(90, &user)).0, &id("A"));
}

/// Others fetch the published key from the secret; the one made by hand is in one person's hands only.
#[test]
fn a_published_key_in_use_does_not_go_in_favour_of_one_made_by_hand() {
    let old = |last_used| key("OLD", 0).notified(90).published().used(last_used);
    let by_hand = || key("NEW", 75).used(100);
    let finding = Finding::PublishedKeyInUse { old: id("OLD"), new: id("NEW") };
    assert_eq!(on(101, &user([old(95), by_hand()])), [Action::ReportFinding(finding)]);
    assert!(disables(&on(101, &user([old(85), by_hand()])), "OLD"), "it has not been used for longer than the grace");
    assert!(
        disables(&on(101, &user([old(95), by_hand().published()])), "OLD"),
        "whoever fetches the key gets the newer one"
    );
}

// ---- what a request has left, and exemptions ------------------------------------------------------------------------------

#[test]
fn of_two_keys_that_are_due_and_were_both_told_the_one_whose_replacement_was_asked_for_goes() {
    let user = user([key("OLD", 0).forced(200).used(200), key("NEW", 100).published().notified(191).used(190)]);
    assert_eq!(on(201, &user), [], "its owner was told to install the newer one");
    assert!(disables(&on(210, &user), "OLD"));
}

#[test]
fn a_forced_rotation_that_was_not_told_is_told_by_the_next_scheduled_run() {
    let request = uuid::Uuid::from_u128(1);
    let untold = |made| KeyState::new(KeyStateKind::Forced, day(made)).of_request(request).not_told();
    let with = |made, newer: Key| user([key("A", 0).in_state(untold(made)), newer]);
    let [Action::Notify { key: told, notice }] = &on(51, &with(50, key("B", 50).published()))[..] else {
        panic!("to be told")
    };
    assert_eq!((told, notice.request, notice.disable_due), (&id("A"), Some(request), Some(day(61))));
    assert_eq!(notice.kind, NoticeKind::Forced { successor: Some(id("B")) });
    assert_eq!(on(51, &with(50, key("B", 50))), [], "a person's, of which the request knows nothing");
    assert_eq!(on(51, &with(51, key("B", 50).published())), [], "it has made none");
}

#[test]
fn a_notice_from_before_an_exemption_does_not_count_after_it_although_no_run_has_seen_the_exemption() {
    let noticed = user([key("A", 0).notified(91), key("B", 91).published()]);
    assert!(matches!(on(102, &noticed)[..], [Action::Disable { .. }]));
    let exempt = |day: &str| tagged(noticed.clone(), "key-rotation:exempt-until", day);
    assert!(matches!(on(102, &exempt("2026-04-12"))[..], [Action::Notify { .. }]));
    assert!(matches!(on(102, &exempt("2026-04-01"))[..], [Action::Disable { .. }]), "it was given after that one");
}
