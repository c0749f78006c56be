//! Visits each dead letter that the filter matches, once.

use jiff::SignedDuration;
use key_rotation_aws::{Connection, QueueUrl};

use super::letter::DeadLetter;
use super::list::Filter;
use super::scan::Scanner;
use crate::command::CommandError;
use crate::queue;

/// How far AWS's clock, as read off its answers' whole seconds, may lag behind the queue's.
const CLOCK_LAG: SignedDuration = SignedDuration::from_secs(2);

/// What was done with a letter.
pub(super) enum LetterOutcome {
    /// What was to be done.
    Done,
    /// That, and something went wrong afterwards.
    DoneWithProblem(String),
    /// Nothing, and why: it is still a dead letter.
    Kept(String),
}

#[derive(Debug, Default)]
pub(super) struct WalkSummary {
    /// Letters that were acted on.
    pub(super) done: u64,
    /// Letters left where they are: not meant, or something went wrong.
    pub(super) left: u64,
    /// Letters on the queue that could not be looked at.
    pub(super) not_seen: u64,
    /// What went wrong, a sentence each.
    pub(super) problems: Vec<String>,
}

/// Acts on every letter that the filter admits and that was there when this began.
///
/// # Errors
/// [`CommandError`] where the queue cannot be read and nothing was acted on yet.
pub(super) async fn walk(
    connection: &Connection,
    dead_letters: &QueueUrl,
    filter: &Filter,
    mut act: impl AsyncFnMut(&Scanner, DeadLetter) -> LetterOutcome,
) -> Result<WalkSummary, CommandError> {
    let unreadable = |error| queue::dead_letters_unreadable(dead_letters, &error);
    let before = queue::depth(connection, dead_letters).await.map_err(unreadable)?.total();
    let started = connection.clock().now();
    let mut scanner = Scanner::new(connection, dead_letters);
    let mut summary = WalkSummary::default();
    // Letters that fail again come back while this goes on. Each is acted on once, or this would never end.
    let read = loop {
        // SQS's count may lag: that there is nothing shows when nothing is received.
        if before > 0 && summary.done >= before {
            break Ok(());
        }
        let letters = match scanner.next().await {
            Ok(letters) if letters.is_empty() => break Ok(()),
            Ok(letters) => letters,
            Err(error) => break Err(error),
        };
        for letter in letters {
            let came_back = letter.since.is_some_and(|since| since.duration_since(started) > CLOCK_LAG);
            let all_done = before > 0 && summary.done >= before;
            if all_done || came_back || !filter.admits(&letter) {
                summary.left += 1;
                continue;
            }
            match act(&scanner, letter).await {
                LetterOutcome::Done => summary.done += 1,
                LetterOutcome::DoneWithProblem(problem) => {
                    summary.done += 1;
                    summary.problems.push(problem);
                }
                LetterOutcome::Kept(problem) => {
                    summary.left += 1;
                    summary.problems.push(problem);
                }
            }
        }
    };
    scanner.release().await;
    match read {
        Ok(()) => {}
        Err(error) if summary.done == 0 => return Err(unreadable(error)),
        Err(error) => {
            summary.problems.push(format!("there may be more, but the queue could no longer be read: {error}"));
        }
    }
    summary.not_seen = before.saturating_sub(summary.done + summary.left);
    Ok(summary)
}
