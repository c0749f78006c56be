//! `producer dead-letters list`: what failed, grouped by reason.

use std::collections::BTreeMap;
use std::fmt;

use clap::Args;
use jiff::Timestamp;
use key_rotation_aws::Connection;
use key_rotation_aws::settings::whole;
use rotation::{AccountId, Reason};
use serde::Serialize;

use super::letter::{DeadLetter, DeadLetterReason};
use super::scan;
use crate::command::{CommandError, Report, age, count, write_wrapped};
use crate::queue;
use crate::settings::Settings;

/// Letters of one reason that are shown to people; programs get them all.
const SHOWN: usize = 50;

/// Which letters.
#[derive(Debug, Clone, Default, Args)]
pub struct Filter {
    /// Only dead letters of this reason, as `list` shows it (such as RoleRefused); may be repeated
    #[arg(long = "reason", value_name = "REASON", value_delimiter = ',')]
    pub reasons: Vec<Reason>,

    /// Only letters about this account; may be repeated
    #[arg(long = "account", value_name = "ID", value_delimiter = ',')]
    pub accounts: Vec<AccountId>,
}

impl Filter {
    /// Whether every letter is meant.
    pub fn is_everything(&self) -> bool {
        self.reasons.is_empty() && self.accounts.is_empty()
    }

    /// Whether this letter is meant.
    pub fn admits(&self, letter: &DeadLetter) -> bool {
        let wanted =
            |reason: &DeadLetterReason| self.reasons.iter().any(|wanted| DeadLetterReason::Known(*wanted) == *reason);
        let reason = self.reasons.is_empty() || wanted(&letter.reason);
        let account = self.accounts.is_empty() || letter.account.as_ref().is_some_and(|id| self.accounts.contains(id));
        reason && account
    }
}

/// Show what failed, grouped by reason, with what can be done about it.
///
/// Each letter is received and released again, so while the list is made (and for a minute, should it be interrupted)
/// nobody else sees them. Nothing is changed or lost.
#[derive(Debug, Clone, Args)]
pub struct ListOptions {
    #[command(flatten)]
    /// Which letters.
    pub filter: Filter,

    /// Read no more letters than this
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = whole::<usize>("letters", 1..=1_000_000))]
    pub limit: usize,

    /// Leave mail addresses in bodies, which --json prints: in a task they would be in the log
    #[arg(long)]
    pub show_addresses: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadLettersReport {
    pub queue: String,
    /// When, by AWS's clock.
    pub now: Timestamp,
    /// By reason, most letters first.
    pub groups: Vec<ReasonGroup>,
    /// Letters on the queue that could not be looked at, by SQS's approximate count: those beyond the limit, and on a FIFO
    /// queue those that stand behind ten others of their group.
    pub not_seen: u64,
}

/// Letters of one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReasonGroup {
    pub reason: DeadLetterReason,
    /// What a person can do about it.
    pub advice: &'static str,
    /// Whether redriving helps: `yes`, `once corrected` or `no`.
    pub redriving_helps: &'static str,
    /// The letters, oldest first.
    pub letters: Vec<DeadLetter>,
}

/// Lists the letters that the filter matches, by reason.
///
/// # Errors
/// [`CommandError`] where there is no dead-letter queue, or it cannot be read.
pub async fn run(
    connection: &Connection,
    settings: &Settings,
    options: &ListOptions,
) -> Result<DeadLettersReport, CommandError> {
    let queue = queue::dead_letter_queue(connection, settings).await?;
    let unreadable = |error| queue::dead_letters_unreadable(&queue, &error);
    let on_queue = queue::depth(connection, &queue).await.map_err(unreadable)?.total();
    let letters = scan::read(connection, &queue, options.limit).await.map_err(unreadable)?;
    let not_seen = on_queue.saturating_sub(letters.len() as u64);
    let letters = letters.into_iter().filter(|letter| options.filter.admits(letter));
    let shown = |letter: DeadLetter| if options.show_addresses { letter } else { letter.without_addresses() };
    let letters = letters.map(shown).collect();
    Ok(DeadLettersReport {
        queue: queue.name().to_owned(),
        now: connection.clock().now(),
        groups: group(letters),
        not_seen,
    })
}

fn group(letters: Vec<DeadLetter>) -> Vec<ReasonGroup> {
    let mut by_reason: BTreeMap<DeadLetterReason, Vec<DeadLetter>> = BTreeMap::new();
    for letter in letters {
        by_reason.entry(letter.reason.clone()).or_default().push(letter);
    }
    let group = |(reason, mut letters): (DeadLetterReason, Vec<DeadLetter>)| {
        letters.sort_by_key(|letter| letter.since);
        let advice = reason.advice();
        ReasonGroup { advice: advice.text, redriving_helps: advice.redrive.as_str(), reason, letters }
    };
    let mut groups: Vec<ReasonGroup> = by_reason.into_iter().map(group).collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.letters.len()));
    groups
}

impl Report for DeadLettersReport {
    /// That there are dead letters is what was asked, and no failure of this command.
    fn problems(&self) -> Vec<String> {
        Vec::new()
    }
}

impl fmt::Display for DeadLettersReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters: usize = self.groups.iter().map(|group| group.letters.len()).sum();
        write!(f, "{} in {}", count(letters as u64, "dead letter"), self.queue)?;
        if self.groups.len() > 1 {
            let counts: Vec<String> =
                self.groups.iter().map(|group| format!("{} {}", group.letters.len(), group.reason)).collect();
            write!(f, ":")?;
            write_wrapped(f, "  ", &counts.join(", "))?;
        }
        self.groups.iter().try_for_each(|group| self.show(f, group))?;
        if self.not_seen > 0 {
            let more = format!(
                "about {} more could not be looked at: SQS shows them once those before them are gone, or a minute after another look",
                self.not_seen
            );
            writeln!(f)?;
            write_wrapped(f, "", &more)?;
        }
        Ok(())
    }
}

impl DeadLettersReport {
    /// One reason: what to do about it, then its letters, with a sentence that several share under the last of them.
    fn show(&self, f: &mut fmt::Formatter<'_>, group: &ReasonGroup) -> fmt::Result {
        write!(f, "\n\n{} ({})", group.reason, group.letters.len())?;
        write_wrapped(f, "  ", group.advice)?;
        write!(f, "\n  Redriving helps: {}", group.redriving_helps)?;
        let shown = by_sentence(&group.letters[..group.letters.len().min(SHOWN)]);
        for (n, letter) in shown.iter().enumerate() {
            let attempts = letter.attempts.map(|attempts| count(attempts.into(), "attempt"));
            let attempts = attempts.unwrap_or("unknown attempts".to_owned());
            let age = letter.since.map_or("?".to_owned(), |since| age(self.now.duration_since(since)));
            let run = letter.run_id.map(|run_id| format!(", run {run_id}")).unwrap_or_default();
            write_wrapped(f, "  - ", &format!("{}, {attempts}, {age} ago{run}", letter.subject()))?;
            let is_last_with_it = shown.get(n + 1).is_none_or(|next| next.message != letter.message);
            if let (Some(sentence), true) = (&letter.message, is_last_with_it) {
                write_wrapped(f, "    ", sentence)?;
            }
        }
        match group.letters.len() - shown.len() {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more: --json has them all"),
        }
    }
}

/// The letters, those with the same sentence together, in the order of the oldest of each.
fn by_sentence(letters: &[DeadLetter]) -> Vec<&DeadLetter> {
    let first_with = |wanted: &DeadLetter| letters.iter().position(|letter| letter.message == wanted.message);
    let mut sorted: Vec<&DeadLetter> = letters.iter().collect();
    sorted.sort_by_key(|letter| first_with(letter));
    sorted
}

#[cfg(test)]
mod tests {
    use super::super::letter::tests::message;
    use super::*;

    fn letter(account: &str, reason: &str) -> DeadLetter {
        DeadLetter::read(message(&format!(r#"{{"account":"{account}"}}"#), &[("ErrorKind", reason), ("Attempts", "2")]))
    }

    #[test]
    fn letters_are_grouped_by_reason_the_most_first() {
        let letters =
            vec![letter("000000000001", "Refused"), letter("000000000002", "Denied"), letter("000000000003", "Denied")];
        let groups = group(letters);
        let shown: Vec<(String, usize)> = groups.iter().map(|g| (g.reason.to_string(), g.letters.len())).collect();
        assert_eq!(shown, [("Denied".to_owned(), 2), ("Refused".to_owned(), 1)]);
    }

    #[test]
    fn a_filter_admits_by_reason_and_by_account_and_by_both_together() {
        let account = AccountId::new("000000000001").unwrap();
        let denied = Filter { reasons: vec![Reason::Denied], accounts: vec![] };
        let both = Filter { accounts: vec![account.clone()], ..denied.clone() };
        let first = Filter { reasons: vec![], accounts: vec![account] };
        let letters =
            [letter("000000000001", "Denied"), letter("000000000002", "Denied"), letter("000000000001", "Mail")];
        let admitted = |filter: &Filter| letters.iter().map(|letter| filter.admits(letter)).collect::<Vec<_>>();
        assert_eq!(admitted(&denied), [true, true, false]);
        assert_eq!(admitted(&first), [true, false, true]);
        assert_eq!(admitted(&both), [true, false, false]);
        assert_eq!(admitted(&Filter::default()), [true, true, true]);
    }

    #[test]
    fn the_list_says_who_why_how_often_how_long_and_what_to_do() {
        let report = DeadLettersReport {
            queue: "dead.fifo".to_owned(),
            now: "2026-11-24T10:00:00Z".parse().unwrap(),
            groups: group(vec![letter("000000000001", "RoleRefused")]),
            not_seen: 0,
        };
        let text = report.to_string();
        assert!(
            text.starts_with("1 dead letter in dead.fifo\n\nRoleRefused (1)\n  The member role is missing"),
            "{text}"
        );
        assert!(text.ends_with("  - account 000000000001, 2 attempts, 2 d ago"), "{text}");
    }

    #[test]
    fn the_list_fits_into_100_columns_and_breaks_no_word() {
        let refused = "the role arn:aws:iam::200000000001:role/asa-iam-key-rotation-lambda-assumed-role could not be assumed (sts:AssumeRole failed: AccessDenied)";
        let long = |reason: &str| {
            let letter = letter("200000000001", reason);
            DeadLetter {
                user: rotation::UserName::new("u".repeat(64)).ok(),
                run_id: Some(uuid::Uuid::nil()),
                message: Some(refused.to_owned()),
                ..letter
            }
        };
        let groups = group(Reason::ALL.iter().map(|reason| long(reason.as_str())).collect());
        let now = "2026-11-24T10:00:00Z".parse().unwrap();
        let report = DeadLettersReport { queue: "q".repeat(80), now, groups, not_seen: 7 };
        let text = report.to_string();
        let widest = text.lines().max_by_key(|line| line.chars().count()).unwrap();
        assert!(widest.chars().count() <= 100, "{widest}");
        assert!(text.contains("arn:aws:iam::200000000001:role/asa-iam-key-rotation-lambda-assumed-role"), "{text}");
        assert!(text.lines().all(|line| line == line.trim_end()), "{text}");
    }

    #[test]
    fn what_is_the_same_of_many_letters_is_told_once_and_more_than_50_are_counted() {
        let with = |n: usize, message: &str| DeadLetter {
            message: Some(message.to_owned()),
            ..letter(&format!("{n:012}"), "RoleRefused")
        };
        let letters: Vec<DeadLetter> =
            (0..60).map(|n| with(n, if n % 2 == 0 { "one sentence" } else { "another one" })).collect();
        let now = "2026-11-24T10:00:00Z".parse().unwrap();
        let report = DeadLettersReport { queue: "dead".to_owned(), now, groups: group(letters), not_seen: 0 };
        let text = report.to_string();
        assert_eq!((text.matches("one sentence").count(), text.matches("another one").count()), (1, 1));
        assert_eq!(text.matches("\n  - account").count(), SHOWN);
        assert!(text.ends_with("and 10 more: --json has them all"), "{text}");
    }
}
