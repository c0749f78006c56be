//! Digests, short to write.

use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp};
use rotation::names::Partition;
use rotation::{AccessKeyId, Reason, Upcoming};
use worker::notices::item::{Digest, DigestItem, IncompleteUser, News};
use worker::notices::{MailSettings, Notices, RenderedMail, sample};

/// A Saturday.
pub(crate) fn now() -> Timestamp {
    "2026-12-05T02:00:00Z".parse().expect("a time")
}

/// The Monday after: in audit mode, the day for what would be done.
pub(crate) fn monday() -> Timestamp {
    in_days(2)
}

pub(crate) fn in_days(days: i64) -> Timestamp {
    now() + SignedDuration::from_hours(24 * days)
}

pub(crate) fn settings() -> MailSettings {
    MailSettings { sender: Some("key-rotation@example.com".to_owned()), ..MailSettings::default() }
}

pub(crate) fn notices() -> &'static Notices {
    static NOTICES: LazyLock<Notices> =
        LazyLock::new(|| Notices::new(settings(), None, Partition::AWS).expect("the built-in templates"));
    &NOTICES
}

/// One replaced key; the other events are put in its place.
pub(crate) fn digest(news: &[News]) -> Digest {
    let digest = sample::one_key(now(), false);
    let first = digest.items[0].clone();
    let items = news.iter().enumerate().map(|(n, news)| {
        let mut item = DigestItem { news: news.clone(), ..first.clone() };
        item.key.as_mut().expect("it has a key").id = key(n);
        item
    });
    let items = items.collect();
    Digest { items, ..digest }
}

pub(crate) fn key(n: usize) -> AccessKeyId {
    AccessKeyId::new(format!("AKIAIOSF{n:04}EXAMPLE7")).expect("a key id")
}

pub(crate) fn incomplete(user: &str, error: &str) -> IncompleteUser {
    IncompleteUser { user: user.parse().expect("a user name"), reason: Reason::Denied, error: error.to_owned() }
}

pub(crate) fn replaced() -> News {
    News::Rotated { successor: Some(key(99)), disable_due: Some(in_days(10)) }
}

pub(crate) fn upcoming(what: Upcoming, days: i64) -> News {
    News::Upcoming { what, due: in_days(days) }
}

pub(crate) fn mails(digest: &Digest) -> Vec<RenderedMail> {
    notices().render_all(digest).expect("it renders")
}

pub(crate) fn only_mail(digest: &Digest) -> RenderedMail {
    let mut mails = mails(digest);
    assert_eq!(mails.len(), 1);
    mails.remove(0)
}
