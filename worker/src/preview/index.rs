//! The index of a preview, as text and as a page: which mail goes to whom, under which subject, in which files; and what would
//! not be mailed.

use std::fmt::Write;

use minijinja::{AutoEscape, Environment, Error, Value, context};
use rotation::names::Partition;

use crate::notices::item::Digest;
use crate::notices::recipients::Routing;
use crate::notices::rendered_item::RenderedItem;
use crate::notices::subject::account_title;
use crate::notices::text::{ERROR_LENGTH, counted, exact, one_line};
use crate::notices::{RecipientClass, RenderedMail};

/// What became of one digest: its mails, in files, and the rest.
pub(super) struct Section {
    title: String,
    account: String,
    as_of: String,
    mode: &'static str,
    mails: Vec<Entry>,
    lists: Vec<(&'static str, Vec<String>)>,
}

struct Entry {
    recipient: RecipientClass,
    address: String,
    subject: String,
    /// The files' name without `.html` and `.txt`.
    stem: String,
    count: String,
}

impl Section {
    pub(super) fn new(
        title: &str,
        digest: &Digest,
        routing: &Routing,
        mails: &[RenderedMail],
        stems: Vec<String>,
        partition: Partition,
    ) -> Self {
        let entries = mails.iter().zip(stems).map(|(mail, stem)| Entry {
            recipient: mail.recipient,
            address: mail.address.clone(),
            subject: mail.subject.clone(),
            stem,
            count: counted(mail.items.len(), "notice", "notices"),
        });
        let is_told = |index: &usize| {
            let mut to_owners = mails.iter().filter(|mail| mail.recipient != RecipientClass::Administrator);
            to_owners.any(|mail| mail.items.contains(index)) || routing.to_administrator.contains(index)
        };
        let is_waiting = |index: &usize| !is_told(index) && !routing.unreachable.contains(index);
        let line = |index| line(digest, index, partition);
        let mut lists = vec![
            (
                "Waiting for its day, or for another mail to the same address:",
                (0..digest.items.len()).filter(is_waiting).map(line).collect::<Vec<_>>(),
            ),
            (
                "With nobody to be told, for lack of an address:",
                routing.unreachable.iter().copied().map(line).collect(),
            ),
            (
                "Could not be looked at:",
                digest
                    .incomplete
                    .iter()
                    .map(|one| format!("{}: {}", one.user, one_line(&one.error, ERROR_LENGTH)))
                    .collect(),
            ),
        ];
        lists.retain(|(_, lines)| !lines.is_empty());
        Self {
            title: title.to_owned(),
            account: account_title(&digest.account),
            as_of: exact(digest.now),
            mode: if digest.dry_run { "audit" } else { "enforcement" },
            mails: entries.collect(),
            lists,
        }
    }
}

/// One item in a line.
fn line(digest: &Digest, index: usize, partition: Partition) -> String {
    let item = RenderedItem::new(digest, index, partition);
    let key = item.key.map(|key| format!(", {key}")).unwrap_or_default();
    let due = item.wording.due.map(|(due, what)| format!("; {}: {}", exact(due), what.of_one(digest.dry_run)));
    format!("{}{key}: {}{}", item.user, item.wording.label, due.unwrap_or_default())
}

/// `index.txt`.
pub(super) fn text(sections: &[Section]) -> String {
    let mut text = "Mails as they would be sent. Nothing was sent and nothing was changed.\n".to_owned();
    for section in sections {
        let _ = writeln!(text, "\n{}\n{}, as of {}, {}", section.title, section.account, section.as_of, section.mode);
        if section.mails.is_empty() {
            text.push_str("\n  No mail.\n");
        }
        for Entry { recipient, address, subject, stem, count } in &section.mails {
            let _ =
                writeln!(text, "\n  To the {recipient}: {address}\n  {subject}\n  {stem}.html, {stem}.txt; {count}");
        }
        for (heading, lines) in &section.lists {
            let _ = writeln!(text, "\n  {heading}");
            for line in lines {
                let _ = writeln!(text, "  - {line}");
            }
        }
    }
    text
}

/// `index.html`, with the mails in it.
pub(super) fn html(sections: &[Section]) -> Result<String, Error> {
    let mut env = Environment::new();
    env.set_auto_escape_callback(|_| AutoEscape::Html);
    let sections: Vec<Value> = sections
        .iter()
        .map(|section| {
            let mails = section.mails.iter().map(|mail| {
                context! {
                    recipient => mail.recipient.as_str(), address => &mail.address, subject => &mail.subject,
                    stem => &mail.stem, count => &mail.count,
                }
            });
            let lists =
                section.lists.iter().map(|(heading, lines)| context! { heading => *heading, lines => lines.clone() });
            context! {
                title => &section.title, account => &section.account, as_of => &section.as_of, mode => section.mode,
                mails => mails.collect::<Vec<_>>(), lists => lists.collect::<Vec<_>>(),
            }
        })
        .collect();
    env.render_str(include_str!("index.html"), context! { sections })
}
