//! Unknown is not "no": after a question that was not answered, nothing is changed by the message that asked it.
//!
//! A message is known by the session it works under: its name holds the run's id, one run has one message per account, and a
//! worker gives each delivery a session of its own. Another message that got its answers may act at the same time.

use std::collections::{HashMap, HashSet};

use rotation::names::secret_name;
use rotation::{AccountId, UserName};
use sandbox::journal::{CallRecord, Outcome};

use super::record::Record;
use super::{Broken, CheckResult, Promise};

/// What is asked: an operation, about a user or group, and a key where the question is about one.
type Question<'a> = (&'a str, &'a str, &'a str);

/// Who asks: one worker, at work on one message in one account.
type Message<'a> = (&'a str, &'a str, &'a str);

/// Checks what was done after questions that were not answered.
pub(super) fn check(record: &Record, result: &mut CheckResult) {
    let mut open: HashMap<Message<'_>, HashSet<Question<'_>>> = HashMap::new();
    for call in record.calls.iter().filter(|call| !call.session.is_empty()) {
        let message = (call.app.as_str(), call.account.as_str(), call.session.as_str());
        let questions = open.entry(message).or_default();
        if call.mutating {
            for question in questions.iter().filter(|question| concerns(question, call)) {
                result.broken.push(broken(call, question));
            }
        } else if call.service == "iam" && !is_about_the_report(call) {
            let question = (call.operation.as_str(), call.subject.as_str(), call.named_key_id.as_str());
            if answered(&call.outcome) {
                questions.remove(&question);
            } else {
                result.unanswered += 1;
                questions.insert(question);
            }
        }
    }
}

/// The credential report says whom to look at, and nothing else: without it everybody is looked at.
fn is_about_the_report(call: &CallRecord) -> bool {
    ["GenerateCredentialReport", "GetCredentialReport"].contains(&call.operation.as_str())
}

/// "There is no such user" and the like are answers.
fn answered(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Done => true,
        Outcome::Refused(code) => code == "NoSuchEntity",
        Outcome::Dropped | Outcome::Unanswered => false,
    }
}

/// Whether a call changes something that depends on the answer: everything in the account where the question was who its users
/// are or who of them is exempt, otherwise the user itself and its secret.
fn concerns(&(operation, asked_about, _): &Question<'_>, call: &CallRecord) -> bool {
    let of_account = asked_about.is_empty() || operation == "GetGroup";
    of_account || call.subject == asked_about || secret_of(&call.account, asked_about) == Some(call.subject.clone())
}

fn secret_of(account: &str, user: &str) -> Option<String> {
    let account = AccountId::new(account).ok()?;
    let user: UserName = user.parse().ok()?;
    Some(secret_name(&account, &user))
}

fn broken(call: &CallRecord, (operation, asked_about, key): &Question<'_>) -> Broken {
    let about = [*asked_about, *key].join(" ");
    Broken {
        promise: Promise::UnknownIsNotNo,
        account: call.account.clone(),
        user: call.subject.clone(),
        call: call.seq,
        at: call.at,
        sentence: format!(
            "{} on {} by {}, although its {operation} {} had not been answered",
            call.operation,
            call.subject,
            call.session,
            about.trim()
        ),
    }
}
