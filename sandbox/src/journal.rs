//! What happened: every call with its outcome, every change it made, and exact counts. The proofs are checked against this
//! record and not against what the product says of itself.

mod effect;

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde::Serialize;

use crate::call::{Caller, Service};

pub use effect::{Effect, EffectRecord};

/// Calls kept in full unless set otherwise. Counts stay exact beyond it.
const CALLS_KEPT: usize = 2_000_000;

/// One call, as it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CallRecord {
    /// The call's place in the order of all calls, from 1.
    pub seq: u64,
    /// When, by the sandbox's clock.
    pub at: Timestamp,
    /// The account of the caller's credentials; empty when they are unknown.
    pub account: String,
    /// The access key id the call was signed with.
    pub access_key_id: String,
    /// The name of the role session the caller had; empty for users and the operator.
    pub session: String,
    /// The program that called: the SDK's application name, empty when it has none.
    pub app: String,
    /// The service's prefix: `iam`.
    pub service: &'static str,
    /// The operation: `CreateAccessKey`.
    pub operation: String,
    /// What it was about: a user, a secret, a queue; empty when it names none.
    pub subject: String,
    /// The access key it named, empty when it named none: a user can have two, and `subject` is the user.
    pub named_key_id: String,
    pub outcome: Outcome,
    /// Whether the operation is one that changes something.
    pub mutating: bool,
}

/// How a call ended, as the sandbox knows it (the caller may know less: its answer can have been lost).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Done,
    /// Refused, with this error code.
    Refused(String),
    /// The connection was closed before the call was carried out.
    Dropped,
    /// Carried out, or refused, and the answer withheld.
    Unanswered,
}

impl Outcome {
    /// The word the counts are kept under: `ok`, the error code, `dropped`, `unanswered`.
    pub fn word(&self) -> &str {
        match self {
            Outcome::Done => "ok",
            Outcome::Refused(code) => code,
            Outcome::Dropped => "dropped",
            Outcome::Unanswered => "unanswered",
        }
    }
}

/// What a count is kept by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct CountKey {
    /// The account of the caller's credentials.
    pub account: String,
    pub service: &'static str,
    pub operation: String,
    /// `ok`, the error code, `dropped` or `unanswered`.
    pub outcome: String,
}

/// The record of a sandbox's life.
#[derive(Debug, Clone)]
pub struct Journal {
    keep: usize,
    calls: VecDeque<CallRecord>,
    effects: Vec<EffectRecord>,
    counts: BTreeMap<CountKey, u64>,
    total: u64,
}

impl Default for Journal {
    fn default() -> Self {
        Self { keep: CALLS_KEPT, calls: VecDeque::new(), effects: Vec::new(), counts: BTreeMap::new(), total: 0 }
    }
}

impl Journal {
    /// Keeps at most `keep` calls in full, dropping the oldest; counts and effects are kept whole.
    pub fn keep_calls(&mut self, keep: usize) {
        self.keep = keep;
        while self.calls.len() > keep {
            self.calls.pop_front();
        }
    }

    pub fn effect(&mut self, at: Timestamp, caller: &Caller, account: &str, effect: Effect) {
        let seq = self.effects.len() as u64 + 1;
        let access_key_id = caller.access_key_id.clone();
        // The call being carried out is recorded once it is answered, so it will get the next number.
        self.effects.push(EffectRecord {
            seq,
            call: self.total + 1,
            at,
            account: account.to_owned(),
            access_key_id,
            effect,
        });
    }

    /// Notes a call that has ended; its `seq` is given here.
    pub(crate) fn call(&mut self, mut record: CallRecord) {
        self.total += 1;
        record.seq = self.total;
        let key = CountKey {
            account: record.account.clone(),
            service: record.service,
            operation: record.operation.clone(),
            outcome: record.outcome.word().to_owned(),
        };
        *self.counts.entry(key).or_default() += 1;
        if self.keep == 0 {
            return;
        }
        if self.calls.len() == self.keep {
            self.calls.pop_front();
        }
        self.calls.push_back(record);
    }

    /// The calls kept, in order.
    pub fn calls(&self) -> impl DoubleEndedIterator<Item = &CallRecord> {
        self.calls.iter()
    }

    /// The calls kept that change something in this service, whether they succeeded or not.
    pub fn mutating_calls(&self, service: Service) -> impl Iterator<Item = &CallRecord> {
        self.calls.iter().filter(move |call| call.mutating && call.service == service.prefix())
    }

    /// Every change, in order.
    pub fn effects(&self) -> &[EffectRecord] {
        &self.effects
    }

    /// How many calls there were, by account, service, operation and outcome.
    pub fn counts(&self) -> &BTreeMap<CountKey, u64> {
        &self.counts
    }

    /// How many calls of this operation there were, over all accounts and outcomes.
    pub fn count(&self, service: Service, operation: &str) -> u64 {
        self.counts
            .iter()
            .filter(|(key, _)| key.service == service.prefix() && key.operation == operation)
            .map(|(_, count)| count)
            .sum()
    }

    /// How many calls there were in all.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Forgets everything so far, so that a test can look at one part of a run alone.
    pub fn clear(&mut self) {
        self.calls.clear();
        self.effects.clear();
        self.counts.clear();
        self.total = 0;
    }
}

/// Whether an operation changes something, by its name: AWS names its reading operations `Get`, `List`, `Describe`. Asking for
/// a credential report and receiving messages count as reading, as they do in AWS's own access levels for the former.
pub fn is_mutating(operation: &str) -> bool {
    const READING: [&str; 7] = ["Get", "List", "Describe", "Generate", "Receive", "AssumeRole", "BatchGet"];
    !READING.iter().any(|prefix| operation.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(operation: &str, outcome: Outcome) -> CallRecord {
        CallRecord {
            seq: 0,
            at: Timestamp::UNIX_EPOCH,
            account: "111122223333".into(),
            access_key_id: "AKIA".into(),
            session: String::new(),
            app: String::new(),
            service: Service::Iam.prefix(),
            operation: operation.into(),
            subject: "ada".into(),
            named_key_id: String::new(),
            outcome,
            mutating: is_mutating(operation),
        }
    }

    #[test]
    fn counts_stay_exact_when_old_calls_are_dropped() {
        let mut journal = Journal::default();
        journal.keep_calls(2);
        for _ in 0..5 {
            journal.call(record("ListUsers", Outcome::Done));
        }
        journal.call(record("ListUsers", Outcome::Refused("Throttling".into())));
        assert_eq!(journal.calls().map(|call| call.seq).collect::<Vec<_>>(), [5, 6]);
        assert_eq!(journal.count(Service::Iam, "ListUsers"), 6);
        assert_eq!(journal.counts().values().copied().collect::<Vec<_>>(), [1, 5]);
    }

    #[test]
    fn mutating_calls_are_told_from_reading_ones() {
        let mut journal = Journal::default();
        for operation in ["ListAccessKeys", "GenerateCredentialReport", "GetGroup", "TagUser"] {
            journal.call(record(operation, Outcome::Done));
        }
        let mutating: Vec<_> = journal.mutating_calls(Service::Iam).map(|call| call.operation.as_str()).collect();
        assert_eq!(mutating, ["TagUser"]);
    }
}
