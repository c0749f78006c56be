//! Subjects: what is asked, by when, about which key, in which account; the most urgent first.

use super::group::plural;
use super::item::Account;
use super::rendered_item::RenderedItem;
use super::text::{SUBJECT_LENGTH, counted, date, one_line};
use super::wording::{Condition, Need};

/// AWS allows 50 characters in an account's name.
const NAME_LENGTH: usize = 50;

/// `prod (123456789012)`, or the id alone.
pub fn account_title(account: &Account) -> String {
    match account.name.as_deref().map(|name| one_line(name, NAME_LENGTH)).filter(|name| !name.is_empty()) {
        Some(name) => format!("{name} ({})", account.id),
        None => account.id.to_string(),
    }
}

/// What the mail is about, without the account: `Action needed by 2026-12-07: access key of deploy replaced`.
///
/// The entries are in order of urgency.
pub fn headline(entries: &[RenderedItem], dry_run: bool) -> String {
    let Some(first) = entries.first() else { return "No access key needs anything".to_owned() };
    let due = first.wording.due.map(|(due, _)| date(due));
    let alike =
        |entry: &&RenderedItem| entry.wording.label == first.wording.label && entry.wording.need == first.wording.need;
    let count = entries.iter().filter(alike).count();
    let what = match (&first.key, count) {
        (Some(_), 1) => format!("access key of {} {}", first.user, first.wording.label),
        (None, 1) => format!("user {} {}", first.user, first.wording.label),
        (Some(_) | None, _) => {
            format!("{} {}", counted(count, "access key", "access keys"), plural(first.wording.label))
        }
    };
    let more = match entries.len() - count {
        0 => String::new(),
        more => format!(", {more} more"),
    };
    if dry_run {
        let nearest = entries.iter().filter_map(|entry| entry.wording.due).map(|(due, _)| due).min();
        let from = nearest.map(date).map(|due| format!(", first date {due}")).unwrap_or_default();
        return format!("Audit only, nothing changed: {what}{more}{from}");
    }
    match (first.wording.need, due) {
        (Need::Act, Some(due)) => format!("Action needed by {due}: {what}{more}"),
        (Need::Act, None) => format!("Action needed now: {what}{more}"),
        (Need::Check, Some(due)) if first.wording.condition == Condition::Stopped => {
            format!("Stopped working, check by {due}: {what}{more}")
        }
        (Need::Check, Some(due)) => format!("Please check by {due}: {what}{more}"),
        (Need::Check, None) => format!("Please check: {what}{more}"),
        (Need::Nothing, Some(due)) => format!("No action needed yet: {what} on {due}{more}"),
        (Need::Nothing, None) => format!("No action needed: {what}{more}"),
    }
}

/// The whole subject: one line, whatever the names hold.
pub fn subject(entries: &[RenderedItem], account: &Account, dry_run: bool) -> String {
    one_line(&format!("{} - {}", headline(entries, dry_run), account_title(account)), SUBJECT_LENGTH)
}
