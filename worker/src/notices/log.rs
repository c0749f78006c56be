//! Notices in the log: structured events with the target `notice`. With mail switched off they are the notice itself.

use rotation::names::Partition;

use super::deliver::MailFailure;
use super::entry::{Entry, exact};
use super::item::Digest;
use super::recipients::BadOwnerTag;
use super::render::RenderedMail;

/// Writes every item of a digest, as it would have been mailed.
pub(super) fn items(digest: &Digest, partition: Partition) {
    for (index, item) in digest.items.iter().enumerate() {
        let entry = Entry::of(digest, index, item, partition);
        tracing::info!(
            target: "notice",
            account = digest.account.id.as_str(),
            run_id = digest.run_id.map(tracing::field::display),
            dry_run = digest.dry_run,
            user = entry.user,
            access_key_id = entry.key,
            event = entry.words.label,
            due = entry.words.due.map(|(due, _)| exact(due)),
            days_left = entry.days_left,
            last_used = entry.last_used,
            secret_name = entry.secret_name,
            region = entry.region,
            "{} {}",
            entry.words.what,
            entry.words.todo,
        );
    }
}

/// Writes that a mail was accepted. Without the address.
pub(super) fn sent(digest: &Digest, mail: &RenderedMail, message_id: Option<&str>) {
    tracing::info!(
        target: "notice",
        account = digest.account.id.as_str(),
        run_id = digest.run_id.map(tracing::field::display),
        dry_run = digest.dry_run,
        recipient = mail.recipient.as_str(),
        items = mail.items.len(),
        message_id,
        "a mail was accepted by SES",
    );
}

/// Writes that a mail was not sent. Without the address, and without SES's own sentence, which holds it.
pub(super) fn not_sent(digest: &Digest, failure: &MailFailure) {
    tracing::warn!(
        target: "notice",
        account = digest.account.id.as_str(),
        run_id = digest.run_id.map(tracing::field::display),
        recipient = failure.recipient.as_str(),
        retryable = failure.retryable,
        "{failure}",
    );
}

/// Writes that an owner tag cannot be used. Without its value, which may be half an address.
pub(super) fn bad_owner_tag(digest: &Digest, bad: &BadOwnerTag) {
    tracing::warn!(
        target: "notice",
        account = digest.account.id.as_str(),
        run_id = digest.run_id.map(tracing::field::display),
        user = bad.user,
        "the owner tag holds something that is no e-mail address: the account's address is told instead",
    );
}
