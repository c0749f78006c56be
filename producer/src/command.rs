//! What all commands have in common: a report at the end, or one reason why there is none, and the exit status of either.

use std::fmt;

use jiff::SignedDuration;
use key_rotation_aws::AwsError;
use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// 0: done.
    Done,
    /// 1: some or all of the work failed.
    Failed,
    /// 2: usage or settings wrong, nothing was done.
    Usage,
}

impl ExitStatus {
    pub fn code(self) -> u8 {
        match self {
            ExitStatus::Done => 0,
            ExitStatus::Failed => 1,
            ExitStatus::Usage => 2,
        }
    }
}

/// Why a command ended without a report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// What was asked for cannot be meant: nothing was done.
    #[error("{0}")]
    Usage(String),
    /// The work failed as a whole.
    #[error("{0}")]
    Failed(String),
}

impl CommandError {
    /// How the process ends because of it.
    pub fn exit_status(&self) -> ExitStatus {
        match self {
            CommandError::Usage(_) => ExitStatus::Usage,
            CommandError::Failed(_) => ExitStatus::Failed,
        }
    }

    /// A call without which the command cannot go on, and what it was for.
    pub(crate) fn failed(what: &str, error: &AwsError) -> Self {
        CommandError::Failed(format!("{what}: {error}"))
    }
}

/// What a command has done, or found. `Display` is for people, `Serialize` is `--json`.
pub trait Report: fmt::Display + Serialize {
    /// What went wrong, a sentence each, for stderr.
    fn problems(&self) -> Vec<String>;

    fn exit_status(&self) -> ExitStatus {
        if self.problems().is_empty() { ExitStatus::Done } else { ExitStatus::Failed }
    }
}

/// A count with its noun.
pub(crate) fn count(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// The widest line that people are shown, in characters.
pub(crate) const WIDTH: usize = 100;

/// Writes a text from a new line on, in lines of at most [`WIDTH`], the first with `first` before it and the others indented as far. A word
/// that is longer, as an ARN may be, has a line of its own and is not broken.
pub(crate) fn write_wrapped(f: &mut fmt::Formatter<'_>, first: &str, text: &str) -> fmt::Result {
    let indent = first.chars().count();
    write!(f, "\n{first}")?;
    let mut column = indent;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column == indent {
            column += length;
        } else if column + 1 + length <= WIDTH {
            f.write_str(" ")?;
            column += 1 + length;
        } else {
            write!(f, "\n{:indent$}", "")?;
            column = indent + length;
        }
        f.write_str(word)?;
    }
    Ok(())
}

/// An age in its largest unit; from two days on, in days.
pub(crate) fn age(age: SignedDuration) -> String {
    let seconds = age.as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        172_800.. => format!("{} d", seconds / 86_400),
        ..0 => unreachable!("an age below zero has been made zero"),
    }
}
