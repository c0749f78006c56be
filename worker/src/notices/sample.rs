//! Made-up digests: templates are tried with them when the process starts, and `worker preview-mail` shows them.
//!
//! All names are AWS's documentation examples; no such key, account or address exists.

use jiff::{SignedDuration, Timestamp};
use rotation::plan::NoticeKind;
use rotation::{AccessKeyId, AccountId, Finding, LastUse, Policy, Reason, Upcoming, UserName, names};

use super::item::{Account, Digest, DigestItem, IncompleteUser, KeyFacts, News, SecretFacts, SecretLocation};

/// When the samples were made, unless a date is given.
const NOW: &str = "2026-12-07T02:00:00Z";

/// How many items are told in full in one mail.
pub const EVENTS_IN_A_MAIL: usize = 10;

/// An account where everything that can happen has happened.
pub fn every_event(dry_run: bool) -> Digest {
    every_event_at(now(), dry_run)
}

/// The same at another time.
pub fn every_event_at(now: Timestamp, dry_run: bool) -> Digest {
    let at = |days: i64| now.saturating_add(SignedDuration::from_hours(24 * days)).unwrap_or(now);
    let successor = (!dry_run).then(|| key_id(99));
    let other = key_id(98);
    let news = [
        News::Rotated { successor: successor.clone(), disable_due: Some(at(10)) },
        News::Rotated { successor: successor.clone(), disable_due: None },
        News::Noticed { kind: NoticeKind::Replaced { successor: successor.clone() }, disable_due: Some(at(10)) },
        News::Noticed { kind: NoticeKind::Forced { successor }, disable_due: Some(at(10)) },
        News::Noticed { kind: NoticeKind::MakeRoom { other: other.clone() }, disable_due: Some(at(10)) },
        News::Noticed { kind: NoticeKind::Retired, disable_due: Some(at(10)) },
        News::Noticed { kind: NoticeKind::Restored, disable_due: None },
        News::Disabled { delete_due: at(10) },
        News::Contained,
        News::Deleted,
        News::FoundInactive { delete_due: at(10) },
        News::Restored { disable_due: at(10) },
        News::Upcoming { what: Upcoming::Rotate, due: at(6) },
        News::Upcoming { what: Upcoming::RotateAfterDeletion { of: other.clone() }, due: at(3) },
        News::Upcoming { what: Upcoming::SuccessorCounts { successor: other.clone() }, due: at(1) },
        News::Upcoming { what: Upcoming::Disable, due: at(3) },
        News::Upcoming { what: Upcoming::Delete { contained: false }, due: at(1) },
        News::Postponed { until: at(4) },
        News::Finding(Finding::SuccessorNotInHand { old: key_id(18), new: other }),
        News::Finding(Finding::BadRotateAfterDays { value: "never".to_owned(), longest: 360, default: 90 }),
    ];
    let mut items: Vec<DigestItem> = news.into_iter().enumerate().map(|(n, news)| item(now, n, news)).collect();
    // Findings are about a user as a whole.
    for item in items.iter_mut().filter(|item| matches!(item.news, News::Finding(_))) {
        item.key = None;
    }
    if let Some(first) = items.first_mut() {
        first.owner_tag = Some("payments-team@example.com".to_owned());
    }
    if let Some(second) = items.get_mut(1) {
        second.owner_tag = Some("ask the platform team".to_owned());
    }
    Digest {
        incomplete: vec![IncompleteUser {
            user: user("ci-runner"),
            reason: Reason::Denied,
            error: "iam:GetAccessKeyLastUsed was denied".to_owned(),
        }],
        ..digest(now, dry_run, items)
    }
}

/// One key that was replaced.
pub fn one_key(now: Timestamp, dry_run: bool) -> Digest {
    let due = now.saturating_add(SignedDuration::from_hours(240)).unwrap_or(now);
    let news = News::Rotated { successor: (!dry_run).then(|| key_id(99)), disable_due: Some(due) };
    digest(now, dry_run, vec![item(now, 0, news)])
}

/// A digest in which everything that may be missing is.
pub fn bare(dry_run: bool) -> Digest {
    let item = DigestItem { key: None, ..item(now(), 0, News::Finding(Finding::TooManyKeys { count: 3 })) };
    let digest = digest(now(), dry_run, vec![item]);
    Digest { account: Account { name: None, email: None, ..digest.account }, ..digest }
}

/// An account with this many keys: some were replaced, some will be disabled, some were disabled.
pub fn many_keys_at(now: Timestamp, dry_run: bool, count: usize) -> Digest {
    let at = |days: i64| now.saturating_add(SignedDuration::from_hours(24 * days)).unwrap_or(now);
    let items = (0..count).map(|n| {
        let news = match n % 3 {
            0 => News::Rotated { successor: (!dry_run).then(|| key_id(n + 5_000)), disable_due: Some(at(10)) },
            1 => News::Upcoming { what: Upcoming::Disable, due: at(3) },
            _ => News::Disabled { delete_due: at(10) },
        };
        item(now, n, news)
    });
    let items = items.collect();
    digest(now, dry_run, items)
}

fn now() -> Timestamp {
    NOW.parse().expect("a date")
}

fn digest(now: Timestamp, dry_run: bool, items: Vec<DigestItem>) -> Digest {
    Digest {
        account: Account {
            id: account(),
            name: Some("payments-prod".to_owned()),
            email: Some("aws-payments-prod@example.com".to_owned()),
        },
        dry_run,
        run_id: None,
        is_operators_request: false,
        is_redelivered: false,
        now,
        logged_at: now,
        policy: Policy::default(),
        items,
        incomplete: Vec::new(),
    }
}

fn item(now: Timestamp, n: usize, news: News) -> DigestItem {
    const USERS: [&str; 5] = ["deploy", "billing-export", "s3-sync@legacy", "ci,runner", "reports.nightly"];
    let name = match n {
        0..5 => user(USERS[n]),
        _ => user(&format!("{}-{n}", USERS[n % 5])),
    };
    let age = SignedDuration::from_hours(24 * 90 + i64::try_from(n % 7).unwrap_or_default() * 24);
    let last_use = match n % 4 {
        0 | 1 => LastUse::At {
            when: now.saturating_sub(SignedDuration::from_hours(5 + 24 * (n as i64 % 9))).unwrap_or(now),
            service: "s3".to_owned(),
            region: "eu-west-1".to_owned(),
        },
        2 => LastUse::Never,
        _ => LastUse::Unknown,
    };
    DigestItem {
        secret: SecretFacts {
            location: SecretLocation {
                name: names::secret_name(&account(), &name),
                central_account: None,
                region: "eu-west-1".to_owned(),
            },
            readers: vec![format!("arn:aws:iam::{}:role/IAMKeyRotationBreakGlass", account())],
            user_has_other_key: false,
            smtp_regions: Vec::new(),
            publishes: Some(key_id(99)),
            published_use: LastUse::Never,
        },
        user: name,
        key: Some(KeyFacts { id: key_id(n), created: now.saturating_sub(age).ok(), last_use }),
        news,
        owner_tag: None,
        last_reminded: None,
        record: None,
    }
}

fn account() -> AccountId {
    AccountId::new("123456789012").expect("twelve digits")
}

fn user(name: &str) -> UserName {
    UserName::new(name).expect("a user name")
}

fn key_id(n: usize) -> AccessKeyId {
    AccessKeyId::new(format!("AKIAIOSF{n:04}EXAMPLE7")).expect("a key id")
}
