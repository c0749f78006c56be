//! What a demo leaves behind: a report on every key from before and after, as `producer report` writes it, and some of the mails.

use std::fs;
use std::path::Path;

use producer::report::document::Summary;
use sandbox::Cloud;
use sandbox::services::ses::Mail;
use sandbox::world::KeyStatus;

use crate::DemoError;

/// One mail of each kind: how its subject begins, and its file.
const MAILS: [(&str, &str); 3] = [
    ("Action needed by", "mail-action-needed.html"),
    ("Stopped working", "mail-stopped-working.html"),
    ("No action needed", "mail-no-action-needed.html"),
];

/// How the keys stood.
#[derive(Debug, Clone)]
pub(super) struct Before {
    pub(super) summary: Summary,
    /// Users with an active key, by account and name.
    pub(super) with_an_active_key: Vec<(String, String)>,
}

/// Users that have an active key.
pub(super) fn with_an_active_key(cloud: &Cloud) -> Vec<(String, String)> {
    let users = cloud.accounts.values().flat_map(|account| account.users.values().map(move |user| (account, user)));
    let working = users.filter(|(_, user)| user.holds.keys.iter().any(|key| key.status == KeyStatus::Active));
    working.map(|(account, user)| (account.id.clone(), user.name.clone())).collect()
}

/// Before and after, in words.
pub(super) fn comparison(before: &Before, after: &Summary, cloud: &Cloud) -> String {
    let now = with_an_active_key(cloud);
    let locked_out: Vec<String> = before
        .with_an_active_key
        .iter()
        .filter(|user| !now.contains(user))
        .map(|(account, user)| format!("{user} in {account}"))
        .collect();
    let locked_out = if locked_out.is_empty() { "nobody".to_owned() } else { locked_out.join(", ") };
    let line = |what: &str, summary: &Summary| {
        format!(
            "{what:<7} {:>4} of {} active keys overdue, the oldest {} days old",
            summary.overdue,
            summary.active,
            summary.oldest_active_days.unwrap_or(0)
        )
    };
    format!(
        "{}\n{}, {} of them exempt\nLeft without an active key: {locked_out}",
        line("Before:", &before.summary),
        line("After:", after),
        after.exempt
    )
}

/// Writes one mail of each kind, the last of its kind; gives their names.
pub(super) fn write_mails(outbox: &[Mail], out: &Path) -> Result<Vec<&'static str>, DemoError> {
    let mut written = Vec::new();
    for (subject, file) in MAILS {
        let mail = outbox.iter().rev().find(|mail| mail.subject.starts_with(subject));
        if let Some(html) = mail.and_then(|mail| mail.html.as_ref()) {
            fs::write(out.join(file), html)?;
            written.push(file);
        }
    }
    Ok(written)
}
