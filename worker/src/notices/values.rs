//! The values a template may print. The names are held on to by templates outside this repository: those of the predecessor
//! first, see `templates/README.md`.

use std::fmt;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr};
use minijinja::{HtmlEscape, Value, context};
use rotation::names::Partition;

use super::commands;
use super::entry::{Entry, date, exact};
use super::group::{Group, summary};
use super::item::Digest;
use super::recipients::BadOwnerTag;
use super::subject::account_title;
use super::templates::Part;
use super::text::one_line;
use super::wording::Need;

/// How many keys are told at length, and how many more with a line each. Gmail cuts an HTML mail at 102 KB; a text part may
/// be longer, and is what tools and mailing-list archives keep.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fold {
    at_length: usize,
    in_a_line: usize,
}

impl Fold {
    /// So early that a few keys are enough to see every part of a template.
    pub(super) const EARLY: Self = Self { at_length: 1, in_a_line: 1 };

    /// As mails are folded.
    pub(super) const fn of(part: Part) -> Self {
        match part {
            Part::Html => Self { at_length: 15, in_a_line: 285 },
            Part::Text => Self { at_length: 50, in_a_line: 5_000 },
        }
    }
}

/// What one mail is made from.
pub(super) struct MailView<'a> {
    /// The account's news.
    pub digest: &'a Digest,
    /// What this recipient is told, in order of urgency.
    pub entries: &'a [Entry],
    /// The subject without the account.
    pub headline: &'a str,
    /// Whether this recipient answers for the account as a whole.
    pub is_for_account: bool,
    /// Owner tags to be mended.
    pub bad_owner_tags: &'a [BadOwnerTag],
    /// Mails that could not be sent; for the administrator.
    pub mail_failures: &'a [String],
    /// The sender's address.
    pub sender: &'a str,
    /// The name of the tag that says who owns a user.
    pub owner_tag: Option<&'a str>,
    /// The partition.
    pub partition: Partition,
}

impl MailView<'_> {
    /// The values for a template.
    pub(super) fn values(&self, fold: Fold) -> Value {
        let Fold { at_length, in_a_line } = fold;
        let digest = self.digest;
        let policy = &digest.policy;
        let (full, rest) = self.entries.split_at(self.entries.len().min(at_length));
        let rows = &rest[..rest.len().min(in_a_line)];
        let account_name =
            digest.account.name.as_deref().map(|name| one_line(name, 50)).filter(|name| !name.is_empty());
        let of_account =
            |list: Vec<Value>| if self.is_for_account { Value::from(list) } else { Value::from(Vec::<Value>::new()) };
        context! {
            account_id => digest.account.id.as_str(),
            account_name => account_name.unwrap_or_else(|| "(no name)".to_owned()),
            account => account_title(&digest.account),
            partition_name => self.partition.as_str(),
            timestamp => exact(digest.now),
            actions => Value::from_object(Actions::of(self.entries, fold, digest.dry_run)),
            rotation_period => policy.rotation_period(),
            inactive_period => policy.inactive_period(),
            installation_grace_period => policy.install_grace(),
            recovery_grace_period => policy.recovery_grace(),
            sender_email => self.sender,
            dry_run => digest.dry_run,
            headline => self.headline,
            run_id => digest.run_id.map(|id| id.to_string()),
            count => self.entries.len(),
            entries => full.iter().map(|key| entry(key, digest.dry_run)).collect::<Vec<_>>(),
            rows => rows.iter().map(|key| entry(key, digest.dry_run)).collect::<Vec<_>>(),
            groups => Group::of(rows).iter().map(|rows| group(rows, digest.dry_run)).collect::<Vec<_>>(),
            summary => summary(self.entries, digest.dry_run),
            fetch_any => self.fetch_any(rows),
            folded => rest.len(),
            omitted => rest.len() - rows.len(),
            incomplete => of_account(digest.incomplete.iter().map(|(user, reason)| context! {
                user_name => user.as_str(), reason => one_line(reason, 300),
            }).collect()),
            bad_owner_tags => of_account(self.bad_owner_tags.iter().map(|bad| context! {
                user_name => bad.user.as_str(), value => one_line(&bad.value, 256),
            }).collect()),
            owner_tag => self.owner_tag.map(|tag| one_line(tag, 128)),
            mail_failures => self.mail_failures.iter().map(Value::from).collect::<Vec<_>>(),
        }
    }

    /// The command that fetches the new key of a user told in a line, with `USER` for the user's name. In audit mode there is
    /// nothing to fetch.
    fn fetch_any(&self, rows: &[Entry]) -> Option<String> {
        let item = rows.first().and_then(|entry| self.digest.items.get(entry.index))?;
        let account = &self.digest.account.id;
        (!self.digest.dry_run).then(|| commands::fetch_secret_of_any(&item.secret, account, self.partition))
    }
}

/// The values of keys with the same news.
fn group(group: &Group<'_>, dry_run: bool) -> Value {
    context! {
        sentence => group.sentence(dry_run),
        due_any => group.deadline.map(|deadline| deadline.of_any(dry_run)),
        rows => group.entries.iter().map(|key| entry(key, dry_run)).collect::<Vec<_>>(),
    }
}

/// One key's values.
fn entry(entry: &Entry, dry_run: bool) -> Value {
    let words = &entry.words;
    context! {
        user_name => entry.user.as_str(),
        access_key_id => entry.key.as_deref(),
        action => words.label,
        what => words.what.as_str(),
        reason => words.why.as_str(),
        todo => words.todo.as_str(),
        action_needed => words.need == Need::Act && !dry_run,
        due_date => words.due.map(|(due, _)| exact(due)),
        due_day => words.due.map(|(due, _)| date(due)),
        due_what => words.due.map(|(_, deadline)| deadline.of_one(dry_run)),
        days_left => entry.days_left,
        last_used => entry.last_used.as_str(),
        created => entry.age.map(|(created, _)| exact(created)),
        age_days => entry.age.map(|(_, days)| days),
        successor => words.successor.as_ref().map(|key| key.as_str()),
        secret_name => entry.secret_name.as_str(),
        region => entry.region.as_str(),
        commands => entry.commands.iter().map(|command| context! {
            label => command.label, hint => command.hint.as_str(), line => command.line.as_str(),
        }).collect::<Vec<_>>(),
    }
}

/// `{{ actions }}` prints a ready-made list, as the predecessor's templates expect; `{% for action in actions %}` goes through
/// the same keys one by one.
pub(super) struct Actions {
    /// The list for HTML; everything in it is escaped.
    pub html: String,
    /// The list for plain text.
    pub text: String,
    list: Vec<Value>,
}

impl Actions {
    fn of(entries: &[Entry], fold: Fold, dry_run: bool) -> Self {
        let shown = entries.len().min(fold.at_length + fold.in_a_line);
        let lines: Vec<String> = entries[..shown].iter().map(|entry| line(entry, dry_run)).collect();
        let more = match entries.len() - shown {
            0 => None,
            more => Some(format!("and {more} more")),
        };
        let html: String = lines.iter().chain(&more).map(|line| format!("<li>{}</li>\n", HtmlEscape(line))).collect();
        let text: String = lines.iter().chain(&more).map(|line| format!("- {line}\n")).collect();
        Self {
            html: format!("<ul>\n{html}</ul>"),
            text,
            list: entries[..shown].iter().map(|key| entry(key, dry_run)).collect(),
        }
    }
}

/// `deploy, AKIA...: replaced. A new key ... This key will be disabled on 2026-12-07 02:00 UTC.`
fn line(entry: &Entry, dry_run: bool) -> String {
    let key = entry.key.as_ref().map(|key| format!(", {key}")).unwrap_or_default();
    let words = &entry.words;
    let due = words.due.map(|(due, what)| format!(" On {}: {}.", exact(due), what.of_one(dry_run))).unwrap_or_default();
    format!("{}{key}: {}. {}{due}", entry.user, words.label, words.what)
}

impl fmt::Debug for Actions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Object for Actions {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.list.get(key.as_usize()?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.list.len())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
