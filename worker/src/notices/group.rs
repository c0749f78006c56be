//! Keys with the same news, told together: the summary at the head of a long mail, and the tables at its foot.

use super::deadline::Deadline;
use super::rendered_item::RenderedItem;
use super::text::{counted, date};

/// Mails about fewer keys are their own summary.
const WORTH_A_SUMMARY: usize = 4;

/// Entries with the same label, and the same thing to come.
#[derive(Debug)]
pub struct NewsGroup<'a> {
    /// In a few words what happened, or comes.
    pub label: &'static str,
    /// What happens on each one's date.
    pub deadline: Option<Deadline>,
    /// The entries, in their order.
    pub entries: Vec<&'a RenderedItem>,
}

impl<'a> NewsGroup<'a> {
    /// Groups entries; the groups come in the order of their first entries.
    pub fn all(entries: &'a [RenderedItem]) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        for entry in entries {
            let label = entry.wording.label;
            let deadline = entry.wording.due.map(|(_, deadline)| deadline);
            match groups.iter_mut().find(|group| (group.label, group.deadline) == (label, deadline)) {
                Some(group) => group.entries.push(entry),
                None => groups.push(Self { label, deadline, entries: vec![entry] }),
            }
        }
        groups
    }

    /// `12 access keys replaced; they will be disabled from 2026-12-07`.
    pub fn sentence(&self, dry_run: bool) -> String {
        let count = self.entries.len();
        let about_keys = self.entries.iter().any(|entry| entry.key.is_some());
        let subject = if about_keys {
            counted(count, "access key", "access keys")
        } else {
            counted(count, "finding", "findings")
        };
        let label = if count == 1 { self.label } else { plural(self.label) };
        let mut dates: Vec<String> =
            self.entries.iter().filter_map(|entry| entry.wording.due).map(|(due, _)| date(due)).collect();
        dates.sort_unstable();
        dates.dedup();
        let (Some(deadline), Some(first)) = (self.deadline, dates.first()) else {
            return format!("{subject} {label}");
        };
        let on_that_day = match deadline {
            Deadline::DisabledAtTheLatest => "by",
            Deadline::Disabled | Deadline::Deleted | Deadline::Replaced | Deadline::Superseded => "on",
        };
        let preposition = if dates.len() == 1 { on_that_day } else { "from" };
        let verb = deadline.of_any(dry_run);
        if verb == label {
            return format!("{subject} {label} {preposition} {first}");
        }
        let pronoun = if count == 1 { "it" } else { "they" };
        format!("{subject} {label}; {pronoun} {verb} {preposition} {first}")
    }
}

/// A long mail in a few sentences; none where the headline and the keys themselves say as much.
pub fn summary(entries: &[RenderedItem], dry_run: bool) -> Vec<String> {
    let groups = NewsGroup::all(entries);
    if entries.len() < WORTH_A_SUMMARY || groups.len() < 2 {
        return Vec::new();
    }
    groups.iter().map(|group| group.sentence(dry_run)).collect()
}

/// A label after several keys. Only one has a verb that changes with the number.
pub fn plural(label: &'static str) -> &'static str {
    if label == "needs attention" { "need attention" } else { label }
}
