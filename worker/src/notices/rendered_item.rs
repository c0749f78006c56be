//! One item, ready to be shown: everything a template may print about a key, as text and dates.

use jiff::Timestamp;
use rotation::LastUse;
use rotation::names::Partition;
use rotation::policy::SECONDS_PER_DAY;

use super::cadence::days_left;
use super::instructions::Instructions;
use super::item::{Digest, DigestItem};
use super::text::{PLACE_LENGTH, date, exact, one_line};
use super::wording::{Condition, HelpKind, Need, Wording, WordingContext, wording};

/// One item, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedItem {
    /// Its place in the digest.
    pub index: usize,
    pub user: String,
    /// `None` for a finding.
    pub key: Option<String>,
    /// When the key was made, and its age in days.
    pub age: Option<(Timestamp, i64)>,
    /// When and where it was last used, in words.
    pub last_used: String,
    /// The same in a word, for a table.
    pub last_used_day: String,
    pub wording: Wording,
    /// Whether the key works, at a glance.
    pub condition: String,
    /// Days until the date that counts.
    pub days_left: Option<i64>,
    pub secret_name: String,
    pub region: String,
    pub instructions: Instructions,
}

impl RenderedItem {
    /// Puts an item of a digest into words.
    pub fn new(digest: &Digest, index: usize, partition: Partition) -> Self {
        let item = &digest.items[index];
        let context = WordingContext {
            dry_run: digest.dry_run,
            now: digest.now,
            policy: &digest.policy,
            replacement: digest.replacement(item),
            replacement_installed: digest.replacement_installed(item),
        };
        let wording = wording(item, &context);
        let days_left = wording.due.map(|(due, _)| days_left(digest.now, due));
        Self {
            index,
            user: item.user.to_string(),
            key: item.key.as_ref().map(|key| key.id.to_string()),
            age: item.key.as_ref().and_then(|key| key.created).zip(context.age_days(item)),
            last_used: last_used(item, digest.now),
            last_used_day: last_used_day(item),
            condition: condition(wording.condition, days_left, digest.dry_run),
            days_left,
            secret_name: item.secret.location.name.clone(),
            region: item.secret.location.region.clone(),
            instructions: Instructions::new(digest, item, wording.help, partition),
            wording,
        }
    }

    /// The most urgent first: what needs something done, by date; what has no date and cannot wait before the rest.
    pub fn urgency(&self) -> impl Ord + use<> {
        let cannot_wait = self.wording.need == Need::Act && self.wording.help == HelpKind::InstallOnly;
        let undated = if cannot_wait { i64::MIN } else { i64::MAX };
        // To the day, as tables show it: users are looked at one after the other, and no two at the same moment.
        let due = self.wording.due.map_or(undated, |(due, _)| due.as_second().div_euclid(SECONDS_PER_DAY));
        (self.wording.need, due, self.user.clone(), self.key.clone())
    }
}

/// `Stops working in 10 days`. In audit mode no key has stopped or will.
fn condition(condition: Condition, days_left: Option<i64>, dry_run: bool) -> String {
    let text = match (condition, days_left) {
        (Condition::Unclear, _) => "Needs attention",
        (Condition::Inactive, _) => "Inactive",
        (_, _) if dry_run => "Not changed",
        (Condition::Stopped, _) => "Stopped working",
        (Condition::Deleted, _) => "Deleted",
        (Condition::Working, _) => "Works",
        (Condition::Stopping, Some(days @ 2..)) => return format!("Stops working in {days} days"),
        (Condition::Stopping, Some(1)) => "Stops working tomorrow",
        (Condition::Stopping, Some(0)) => "Stops working today",
        (Condition::Stopping, Some(_) | None) => "Stops working soon",
    };
    text.to_owned()
}

fn last_used(item: &DigestItem, now: Timestamp) -> String {
    match item.key.as_ref().map(|key| &key.last_use) {
        None | Some(LastUse::Unknown) => "unknown".to_owned(),
        Some(LastUse::Never) => "never".to_owned(),
        Some(LastUse::At { when, service, region }) => {
            let days = usize::try_from(-days_left(now, *when)).unwrap_or(0);
            let ago = match days {
                0 => "today".to_owned(),
                1 => "yesterday".to_owned(),
                days => format!("{days} days ago"),
            };
            format!(
                "{} ({ago}), {} in {}",
                exact(*when),
                one_line(service, PLACE_LENGTH),
                one_line(region, PLACE_LENGTH)
            )
        }
    }
}

fn last_used_day(item: &DigestItem) -> String {
    match item.key.as_ref().map(|key| &key.last_use) {
        None | Some(LastUse::Unknown) => "unknown".to_owned(),
        Some(LastUse::Never) => "never".to_owned(),
        Some(LastUse::At { when, .. }) => date(*when),
    }
}
