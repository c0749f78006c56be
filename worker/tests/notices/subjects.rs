//! Subjects: the most urgent first, whether action is needed, the nearest date, the account.

use rotation::{Finding, Upcoming};
use worker::notices::item::{Digest, News};

use crate::support::{digest, in_days, key, monday, only_mail, replaced, upcoming};

fn subject(events: &[News]) -> String {
    only_mail(&digest(events)).subject
}

#[test]
fn one_key_is_named_by_its_user() {
    assert_eq!(
        subject(&[replaced()]),
        "Action needed by 2026-12-15: access key of deploy replaced - payments-prod (123456789012)"
    );
}

#[test]
fn the_nearest_date_on_which_something_stops_working_comes_first() {
    let events = [replaced(), News::Deleted, upcoming(Upcoming::Disable, 3), upcoming(Upcoming::Rotate, 1)];
    assert_eq!(
        subject(&events),
        "Action needed by 2026-12-08: access key of deploy will be disabled, 3 more - payments-prod (123456789012)"
    );
}

#[test]
fn a_contained_key_is_more_urgent_than_any_date() {
    assert_eq!(
        subject(&[upcoming(Upcoming::Disable, 1), News::Contained]),
        "Action needed now: access key of deploy disabled at once, 1 more - payments-prod (123456789012)"
    );
}

#[test]
fn keys_with_the_same_news_are_counted() {
    assert_eq!(
        subject(&[replaced(), replaced(), replaced()]),
        "Action needed by 2026-12-15: 3 access keys replaced - payments-prod (123456789012)"
    );
}

#[test]
fn what_needs_nothing_says_so() {
    assert_eq!(
        subject(&[News::Deleted]),
        "No action needed: access key of deploy deleted - payments-prod (123456789012)"
    );
    assert_eq!(
        subject(&[upcoming(Upcoming::Rotate, 6)]),
        "No action needed yet: access key of deploy will be replaced on 2026-12-11 - payments-prod (123456789012)"
    );
    assert_eq!(
        subject(&[News::Disabled { delete_due: in_days(10) }]),
        "Stopped working, check by 2026-12-15: access key of deploy disabled - payments-prod (123456789012)"
    );
}

#[test]
fn a_finding_without_a_date_needs_action_now() {
    let finding = News::Finding(Finding::UsedButNotStored { key: key(1) });
    assert_eq!(
        subject(&[finding.clone(), finding]),
        "Action needed now: 2 access keys need attention - payments-prod (123456789012)"
    );
}

#[test]
fn an_audit_says_that_nothing_was_changed_and_names_the_nearest_date() {
    let digest = Digest {
        dry_run: true,
        now: monday(),
        ..digest(&[replaced(), upcoming(Upcoming::Delete { contained: false }, 3)])
    };
    assert_eq!(
        only_mail(&digest).subject,
        "Audit only, nothing changed: access key of deploy would be replaced, 1 more, first date 2026-12-08 - payments-prod (123456789012)"
    );
}

#[test]
fn an_account_without_a_name_is_named_by_its_id() {
    let mut digest = digest(&[replaced()]);
    digest.account.name = None;
    assert!(only_mail(&digest).subject.ends_with("replaced - 123456789012"));
}
