//! `producer dead-letters delete`: takes away letters that nobody will ever work on again, so that the alarm on their number tells
//! of something.
//!
//! What is taken away is printed, body and all: a letter deleted by mistake can be sent again. It is in the log before it is deleted, in
//! case nothing can be printed afterwards. Addresses are left out unless they are
//! asked for: where this runs as a task, what it prints is a log, and logs hold none.

use std::fmt;

use clap::Args;
use key_rotation_aws::Connection;
use rotation::{AccountId, UserName};
use serde::Serialize;

use super::letter::DeadLetter;
use super::list::Filter;
use super::walk::{LetterOutcome, walk};
use crate::command::{CommandError, Report};
use crate::queue;
use crate::settings::Settings;

/// Delete dead letters for good, by reason or account: those that sending back would not help.
///
/// Look at them first: `dead-letters list` with the same --reason and --account. Each is printed with its body, so that it can
/// be sent again (with --show-addresses byte for byte). What a dead letter loses is a request, never a key.
#[derive(Debug, Clone, Default, Args)]
#[group(skip)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true).args(["reasons", "accounts"]))]
pub struct DeleteOptions {
    #[command(flatten)]
    /// Which letters. Deleting without a filter is refused.
    pub filter: Filter,

    /// Print mail addresses in bodies, too: in a task they would be in the log
    #[arg(long)]
    pub show_addresses: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeleteReport {
    pub queue: String,
    pub deleted: Vec<DeadLetter>,
    /// Letters left where they are because they are not meant, or could not be deleted.
    pub left: u64,
    /// Letters on the queue that could not be looked at; see `list`.
    pub not_seen: u64,
    /// What failed, a sentence each. Such a letter is still a dead letter.
    pub problems: Vec<String>,
}

/// Deletes the letters that the filter matches.
///
/// # Errors
/// [`CommandError::Usage`] where no letters are named; otherwise [`CommandError`] where there is no dead-letter queue, or it
/// cannot be read.
pub async fn run(
    connection: &Connection,
    settings: &Settings,
    options: &DeleteOptions,
) -> Result<DeleteReport, CommandError> {
    if options.filter.is_everything() {
        let why =
            "name the letters to delete, with --reason or --account or both (`producer dead-letters list` shows them)";
        return Err(CommandError::Usage(why.to_owned()));
    }
    let queue = queue::dead_letter_queue(connection, settings).await?;
    let mut deleted = Vec::new();
    let summary = walk(connection, &queue, &options.filter, async |scanner, letter| {
        let letter = if options.show_addresses { letter } else { letter.without_addresses() };
        tracing::info!(
            message_id = letter.message_id,
            account = letter.account.as_ref().map(AccountId::as_str),
            user = letter.user.as_ref().map(UserName::as_str),
            reason = %letter.reason,
            body = letter.body,
            "a dead letter is to be deleted"
        );
        if let Err(error) = scanner.delete(&letter).await {
            return LetterOutcome::Kept(format!("{} is still a dead letter: {error}", letter.subject()));
        }
        deleted.push(letter);
        LetterOutcome::Done
    })
    .await?;
    Ok(DeleteReport {
        queue: queue.name().to_owned(),
        deleted,
        left: summary.left,
        not_seen: summary.not_seen,
        problems: summary.problems,
    })
}

impl Report for DeleteReport {
    fn problems(&self) -> Vec<String> {
        self.problems.clone()
    }
}

impl fmt::Display for DeleteReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} deleted from {}, {} left there", self.deleted.len(), self.queue, self.left)?;
        if self.not_seen > 0 {
            write!(f, ", about {} not looked at: run it again", self.not_seen)?;
        }
        self.deleted.iter().try_for_each(|letter| write!(f, "\n{}: {}", letter.reason, one_line(&letter.body)))
    }
}

/// A body as one line that a terminal can be shown: control characters are escaped. `--json` has them as they are.
fn one_line(body: &str) -> String {
    body.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::letter::tests::message;
    use super::*;

    #[test]
    fn what_was_deleted_is_told_with_its_body_and_no_body_reaches_the_terminal_as_a_command() {
        let report = DeleteReport {
            queue: "dead".to_owned(),
            deleted: vec![DeadLetter::read(message("no\u{1b}[2J JSON\nat all", &[("ErrorKind", "MalformedMessage")]))],
            left: 30,
            not_seen: 2,
            problems: Vec::new(),
        };
        assert_eq!(
            report.to_string(),
            "1 deleted from dead, 30 left there, about 2 not looked at: run it again\n\
             MalformedMessage: no\\u{1b}[2J JSON\\nat all"
        );
    }
}
