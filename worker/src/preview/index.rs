//! The index of a preview: which mail goes to whom, under which subject, in which files; and what would not be mailed.

use std::fmt::Write;

use rotation::names::Partition;

use crate::notices::entry::{Entry, exact};
use crate::notices::item::Digest;
use crate::notices::recipients::Routing;
use crate::notices::subject::account_title;
use crate::notices::text::{counted, one_line};
use crate::notices::{RecipientClass, RenderedMail};

/// What became of one digest: its mails, written to the files of these names, and the rest.
pub(super) fn section(digest: &Digest, mails: &[RenderedMail], stems: &[String], partition: Partition) -> String {
    let mode = if digest.dry_run { "audit" } else { "enforcement" };
    let mut text = format!("\n{}\nas of {}, {mode}\n", account_title(&digest.account), exact(digest.now));
    if mails.is_empty() {
        text.push_str("\n  No mail.\n");
    }
    for (mail, stem) in mails.iter().zip(stems) {
        let items = counted(mail.items.len(), "notice", "notices");
        let entry = format!(
            "\n  To the {}: {}\n  {}\n  {stem}.html, {stem}.txt; {items}\n",
            mail.recipient, mail.address, mail.subject
        );
        text.push_str(&entry);
    }
    let unreachable = Routing::of(digest).unreachable;
    let is_told = |index: &usize| {
        let mut to_owners = mails.iter().filter(|mail| mail.recipient != RecipientClass::Administrator);
        to_owners.any(|mail| mail.items.contains(index))
    };
    let waiting: Vec<usize> =
        (0..digest.items.len()).filter(|index| !is_told(index) && !unreachable.contains(index)).collect();
    list(&mut text, "Waiting for its day, or for another mail to the same address:", digest, &waiting, partition);
    list(&mut text, "With nobody to be told, for lack of an address:", digest, &unreachable, partition);
    if !digest.incomplete.is_empty() {
        text.push_str("\n  Could not be looked at:\n");
        for (user, reason) in &digest.incomplete {
            let _ = writeln!(text, "  - {user}: {}", one_line(reason, 300));
        }
    }
    text
}

/// Lists items, one to a line, under a heading; nothing if there are none.
fn list(text: &mut String, heading: &str, digest: &Digest, items: &[usize], partition: Partition) {
    if items.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n  {heading}");
    for &index in items {
        let entry = Entry::of(digest, index, &digest.items[index], partition);
        let key = entry.key.map(|key| format!(", {key}")).unwrap_or_default();
        let due = entry.words.due.map(|(due, what)| format!("; {}: {}", exact(due), what.of_one(digest.dry_run)));
        let _ = writeln!(text, "  - {}{key}: {}{}", entry.user, entry.words.label, due.unwrap_or_default());
    }
}
