//! The values a template may print. The names are held on to by templates outside this repository: those of the predecessor
//! first, see `templates/README.md`.

use minijinja::{Value, context};
use rotation::names::Partition;

use super::actions::Actions;
use super::group::{NewsGroup, summary};
use super::instructions::{Instructions, Step, StepKind};
use super::item::{Digest, IncompleteUser};
use super::recipients::{BadOwnerTag, RecipientClass};
use super::rendered_item::RenderedItem;
use super::subject::account_title;
use super::templates::Part;
use super::text::{ERROR_LENGTH, date, exact, one_line};
use super::wording::{Condition, Need};

/// Mails about more keys open with a table.
const WITHOUT_TABLE: usize = 10;

/// How many keys are told in full, and how many in a row of a table. Gmail clips an HTML mail at 102 kB; a text part may be longer,
/// and is what tools and mailing-list archives keep.
#[derive(Debug, Clone, Copy)]
pub(super) struct DetailLimits {
    in_full: usize,
    in_table: usize,
}

impl DetailLimits {
    /// So low that a few keys are enough to see every part of a template.
    pub(super) const LOWEST: Self = Self { in_full: 1, in_table: 1 };

    /// No limits.
    pub(super) const ALL: Self = Self { in_full: usize::MAX, in_table: usize::MAX };

    /// Those of mails about so many keys.
    pub(super) const fn new(part: Part, keys: usize) -> Self {
        match part {
            Part::Html | Part::Text if keys <= WITHOUT_TABLE => Self { in_full: WITHOUT_TABLE, in_table: 0 },
            Part::Html => Self { in_full: 0, in_table: 300 },
            Part::Text => Self { in_full: 50, in_table: 5_000 },
        }
    }
}

/// What one mail is made from.
pub(super) struct MailView<'a> {
    pub digest: &'a Digest,
    /// What this recipient is told, in order of urgency.
    pub items: &'a [RenderedItem],
    /// The subject without the account.
    pub headline: &'a str,
    pub recipient: RecipientClass,
    pub bad_owner_tags: &'a [BadOwnerTag],
    /// Mails that could not be sent, and records that could not be written; for the administrator.
    pub mail_failures: &'a [String],
    pub sender: &'a str,
    /// Where an answer to the mail goes.
    pub contact: &'a str,
    /// The name of the tag that says who owns a user.
    pub owner_tag: Option<&'a str>,
    pub partition: Partition,
}

impl MailView<'_> {
    /// The values for a template.
    pub(super) fn values(&self, limits: DetailLimits) -> Value {
        let (digest, policy, dry_run) = (self.digest, &self.digest.policy, self.digest.dry_run);
        let in_full = &self.items[..self.items.len().min(limits.in_full)];
        let rows = &self.items[..if limits.in_table == 0 { 0 } else { self.items.len().min(limits.in_table) }];
        let shown = rows.len().max(in_full.len());
        let omitted = self.items.len() - shown;
        let all: Vec<Value> = self.items[..shown].iter().map(|item| key(item, dry_run)).collect();
        let lines: Vec<String> = self.items[..shown].iter().map(|item| line(item, dry_run)).collect();
        let account_name =
            digest.account.name.as_deref().map(|name| one_line(name, 50)).filter(|name| !name.is_empty());
        let any = self.for_any(rows);
        context! {
            account_id => digest.account.id.as_str(),
            account_name => account_name.unwrap_or_else(|| "(no name)".to_owned()),
            account => account_title(&digest.account),
            partition_name => self.partition.as_str(),
            timestamp => exact(digest.now),
            actions => Value::from_object(Actions::new(&lines, all.clone(), omitted)),
            rotation_period => policy.rotation_period(),
            inactive_period => policy.inactive_period(),
            installation_grace_period => policy.install_grace(),
            recovery_grace_period => policy.recovery_grace(),
            sender_email => self.sender,
            contact => self.contact,
            dry_run,
            headline => self.headline,
            recipient => self.recipient.as_str(),
            run_id => digest.run_id.map(|id| id.to_string()),
            count => self.items.len(),
            entries => all[..in_full.len()].to_vec(),
            rows => all[..rows.len()].to_vec(),
            groups => NewsGroup::all(rows).iter().map(|rows| group(rows, dry_run)).collect::<Vec<_>>(),
            summary => summary(self.items, dry_run),
            steps_any => any.steps.iter().map(step).collect::<Vec<_>>(),
            emergency_any => any.emergency.as_ref().map(step),
            fetch_any => any.steps.iter().find(|one| one.kind == StepKind::Fetch).and_then(|one| one.line.as_deref()),
            folded => self.items.len() - in_full.len(),
            omitted,
            incomplete => self.of_account(digest.incomplete.iter().map(|one| context! {
                user_name => one.user.as_str(), reason => one_line(&one.error, ERROR_LENGTH),
            }).collect()),
            incomplete_groups => self.of_account(incomplete_groups(digest)),
            bad_owner_tags => self.of_account(self.bad_owner_tags.iter().map(|bad| context! {
                user_name => bad.user.as_str(), value => one_line(&bad.value, 256),
            }).collect()),
            owner_tag => self.owner_tag.map(|tag| one_line(tag, 128)),
            mail_failures => self.mail_failures.to_vec(),
        }
    }

    /// Only for the account and the administrator, not for single owners.
    fn of_account(&self, list: Vec<Value>) -> Vec<Value> {
        match self.recipient {
            RecipientClass::Account | RecipientClass::Administrator => list,
            RecipientClass::Owner => Vec::new(),
        }
    }

    /// What to do about the keys in the table.
    fn for_any(&self, rows: &[RenderedItem]) -> Instructions {
        let items = rows.iter().map(|row| (&self.digest.items[row.index], row.wording.help));
        Instructions::for_any(self.digest, items, self.partition)
    }
}

/// Users that could not be worked on, by cause, with what to do about it: one cause with many users is one thing to correct.
fn incomplete_groups(digest: &Digest) -> Vec<Value> {
    const NAMED: usize = 20;
    let mut groups: Vec<(String, Vec<&IncompleteUser>)> = Vec::new();
    for one in &digest.incomplete {
        // The same error names each user.
        let cause = one.error.replace(one.user.as_str(), "USER");
        match groups.iter_mut().find(|(known, users)| *known == cause && users[0].reason == one.reason) {
            Some((_, users)) => users.push(one),
            None => groups.push((cause, vec![one])),
        }
    }
    groups.sort_by_key(|(_, users)| std::cmp::Reverse(users.len()));
    let values = groups.iter().map(|(_, users)| {
        context! {
            reason => one_line(&users[0].error, ERROR_LENGTH),
            advice => users[0].reason.advice().text,
            count => users.len(),
            users => users.iter().take(NAMED).map(|one| Value::from(one.user.as_str())).collect::<Vec<_>>(),
            more => users.len().saturating_sub(NAMED),
        }
    });
    values.collect()
}

/// The values of keys with the same news.
fn group(group: &NewsGroup<'_>, dry_run: bool) -> Value {
    context! {
        sentence => group.sentence(dry_run),
        due_any => group.deadline.map(|deadline| deadline.of_any(dry_run)),
        condition => group.entries.first().map(|item| class(item.wording.condition)),
        rows => group.entries.iter().map(|item| key(item, dry_run)).collect::<Vec<_>>(),
    }
}

/// One key's values.
fn key(item: &RenderedItem, dry_run: bool) -> Value {
    let wording = &item.wording;
    let Instructions { steps, emergency } = &item.instructions;
    context! {
        user_name => item.user.as_str(),
        access_key_id => item.key.as_deref(),
        action => wording.label,
        condition => item.condition.as_str(),
        condition_class => if dry_run { "audit" } else { class(wording.condition) },
        what => wording.what.as_str(),
        reason => wording.why.as_str(),
        todo => wording.todo.as_str(),
        action_needed => wording.need == Need::Act && !dry_run,
        due_date => wording.due.map(|(due, _)| exact(due)),
        due_day => wording.due.map(|(due, _)| date(due)),
        due_what => wording.due.map(|(_, deadline)| deadline.of_one(dry_run)),
        days_left => item.days_left,
        last_used => item.last_used.as_str(),
        last_used_day => item.last_used_day.as_str(),
        created => item.age.map(|(created, _)| exact(created)),
        age_days => item.age.map(|(_, days)| days),
        successor => wording.successor.as_ref().map(|key| key.as_str()),
        secret_name => item.secret_name.as_str(),
        region => item.region.as_str(),
        steps => steps.iter().map(step).collect::<Vec<_>>(),
        emergency => emergency.as_ref().map(step),
        commands => steps.iter().chain(emergency).filter(|one| one.line.is_some()).map(step).collect::<Vec<_>>(),
    }
}

fn step(step: &Step) -> Value {
    context! { label => step.kind.label(), hint => step.hint.as_str(), line => step.line.as_deref() }
}

/// As templates spell a condition, to colour by.
fn class(condition: Condition) -> &'static str {
    match condition {
        Condition::Stopped => "stopped",
        Condition::Stopping => "stopping",
        Condition::Inactive => "inactive",
        Condition::Working => "working",
        Condition::Deleted => "deleted",
        Condition::Unclear => "unclear",
    }
}

/// `deploy, AKIA...: replaced. A new key ... On 2026-12-07 02:00 UTC: this key will be disabled.`
fn line(item: &RenderedItem, dry_run: bool) -> String {
    let key = item.key.as_ref().map(|key| format!(", {key}")).unwrap_or_default();
    let wording = &item.wording;
    let due =
        wording.due.map(|(due, what)| format!(" On {}: {}.", exact(due), what.of_one(dry_run))).unwrap_or_default();
    format!("{}{key}: {}. {}{due}", item.user, wording.label, wording.what)
}
