//! The promises, checked against what the sandbox itself has recorded. Nothing the product says of itself counts.
//!
//! Every check holds under any interleaving: several messages about one account may be worked on side by side, so what happened
//! to a key is read off the changes in their order, and what a message may do off that message's own calls.

mod announcement;
mod keys;
pub mod record;
mod unknown;

use std::fmt;

use jiff::Timestamp;
use rotation::Policy;

use self::record::Record;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Promise {
    /// No active key is disabled until the install grace has passed since a notice about that key was accepted.
    NoticeBeforeHarm,
    /// No live key is deleted, and no disabled one before the recovery grace is over.
    NoLiveKeyDeleted,
    /// After a question that was not answered, whoever asked it changes nothing of whom it was about.
    UnknownIsNotNo,
    /// Nobody is left without an active key that somebody can have.
    NobodyLockedOut,
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Promise::NoticeBeforeHarm => "notice before harm",
            Promise::NoLiveKeyDeleted => "no live key is ever deleted",
            Promise::UnknownIsNotNo => "unknown is not \"no\"",
            Promise::NobodyLockedOut => "nobody is locked out",
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    pub promise: Promise,
    /// The account of the user it was broken to.
    pub account: String,
    pub user: String,
    /// The number of the call that broke it.
    pub call: u64,
    pub at: Timestamp,
    /// How.
    pub sentence: String,
}

/// What the check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckResult {
    /// Keys disabled, each checked for its notice and for what is left to its user.
    pub disables: usize,
    /// Keys deleted, each checked for its recovery grace.
    pub deletions: usize,
    /// Questions that were not answered; after each, what followed was checked.
    pub unanswered: usize,
    /// Promises that were broken, in the order in which it happened.
    pub broken: Vec<Broken>,
}

impl fmt::Display for CheckResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let locked_out = self.broken.iter().filter(|broken| broken.promise == Promise::NobodyLockedOut).count();
        write!(
            f,
            "Checked against the journal: {} disables, {} deletions, what followed {} unanswered questions: \
             {locked_out} owners locked out, {} promises broken",
            self.disables,
            self.deletions,
            self.unanswered,
            self.broken.len()
        )
    }
}

/// Checks a whole record. `policy` is what was promised; unused keys are taken to be replaced, not retired.
pub fn check(record: &Record, policy: &Policy) -> CheckResult {
    let mut result = CheckResult::default();
    keys::check(record, policy, &mut result);
    unknown::check(record, &mut result);
    result.broken.sort_by_key(|broken| broken.call);
    result
}
