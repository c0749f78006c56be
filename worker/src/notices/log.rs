//! Notices in the log: structured events with the target `notice`. With mail switched off they are the notice itself.

use key_rotation_aws::telemetry::NOTICE;
use rotation::names::Partition;

use super::failure::MailFailure;
use super::item::Digest;
use super::recipients::BadOwnerTag;
use super::render::RenderedMail;
use super::rendered_item::RenderedItem;
use super::text::exact;

/// Writes every item of a digest, as it would have been mailed.
pub(super) fn items(digest: &Digest, partition: Partition) {
    for index in 0..digest.items.len() {
        let item = RenderedItem::new(digest, index, partition);
        tracing::info!(
            target: NOTICE,
            account = digest.account.id.as_str(),
            run_id = digest.run_id.map(tracing::field::display),
            dry_run = digest.dry_run,
            user = item.user,
            access_key_id = item.key,
            label = item.wording.label,
            due = item.wording.due.map(|(due, _)| exact(due)),
            days_left = item.days_left,
            last_used = item.last_used,
            secret_name = item.secret_name,
            secret_region = item.region,
            "{} {}",
            item.wording.what,
            item.wording.todo,
        );
    }
}

/// Writes that a mail was accepted. Without the address.
pub(super) fn sent(digest: &Digest, mail: &RenderedMail, mail_id: Option<&str>) {
    tracing::info!(
        target: NOTICE,
        account = digest.account.id.as_str(),
        run_id = digest.run_id.map(tracing::field::display),
        dry_run = digest.dry_run,
        recipient = mail.recipient.as_str(),
        items = mail.items.len(),
        mail_id,
        "a mail was accepted by SES",
    );
}

/// Writes that a mail was not sent. Without the address, and without SES's own sentence, which holds it.
pub(super) fn not_sent(digest: &Digest, failure: &MailFailure) {
    tracing::warn!(
        target: NOTICE,
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
        target: NOTICE,
        account = digest.account.id.as_str(),
        run_id = digest.run_id.map(tracing::field::display),
        user = bad.user,
        "the owner tag holds something that is not an e-mail address: the account's address is told instead",
    );
}
