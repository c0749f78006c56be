//! The three promises, checked against what the sandbox itself has recorded. Nothing the product says of itself counts.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use rotation::Policy;

use crate::journal::{Effect, Outcome};
use crate::world::World;

/// What the check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Keys made inactive, each checked for its notice.
    pub disables: usize,
    /// Keys deleted, each checked for its recovery grace.
    pub deletions: usize,
    /// Questions that were refused; after each, what followed was checked.
    pub unknowns: usize,
    /// What was broken, a sentence each.
    pub broken: Vec<String>,
}

/// Mail times are the mail service's, tags' and keys' are whole seconds.
const SECOND: SignedDuration = SignedDuration::from_secs(2);

/// Checks the whole journal.
pub fn check(world: &World, policy: &Policy) -> Verdict {
    let mut verdict = Verdict::default();
    notice_before_harm_and_no_live_key_deleted(world, policy, &mut verdict);
    unknown_is_not_no(world, &mut verdict);
    verdict
}

fn days(n: u32) -> SignedDuration {
    SignedDuration::from_hours(24 * i64::from(n))
}

/// When a mail naming each key was accepted for the first time.
fn told(world: &World) -> HashMap<&str, Vec<Timestamp>> {
    let mut told: HashMap<&str, Vec<Timestamp>> = HashMap::new();
    for mail in world.mail.outbox() {
        for text in mail.text.iter().chain(&mail.html) {
            for word in text.split(|c: char| !c.is_ascii_alphanumeric()) {
                if word.len() == 20 && word.starts_with("AKIA") {
                    told.entry(word).or_default().push(mail.at);
                }
            }
        }
    }
    told
}

fn notice_before_harm_and_no_live_key_deleted(world: &World, policy: &Policy, verdict: &mut Verdict) {
    let told = told(world);
    let grace = days(policy.install_grace());
    let recovery = days(policy.recovery_grace());
    let mut disabled: HashMap<&str, Timestamp> = HashMap::new();
    for record in world.journal.effects() {
        match &record.effect {
            Effect::KeyStatusChanged { user, key, active: false } => {
                verdict.disables += 1;
                disabled.insert(key, record.at);
                let noticed = told
                    .get(key.as_str())
                    .is_some_and(|times| times.iter().any(|at| at.duration_until(record.at) + SECOND >= grace));
                if !noticed {
                    verdict.broken.push(format!(
                        "{key} of {user} in {} was disabled at {} without a mail naming it {} days before",
                        record.account,
                        record.at,
                        policy.install_grace()
                    ));
                }
            }
            Effect::KeyStatusChanged { key, active: true, .. } => {
                disabled.remove(key.as_str());
            }
            // Found inactive: the grace counts from its record.
            Effect::UserTagged { key: tag, value, .. } => {
                let key = tag.strip_prefix("key-rotation:state:");
                if let (Some(key), true) = (key, value.starts_with("disabled=")) {
                    disabled.entry(key).or_insert(record.at);
                }
            }
            Effect::KeyDeleted { user, key, was_active } => {
                verdict.deletions += 1;
                if *was_active {
                    verdict.broken.push(format!("{key} of {user} in {} was deleted while active", record.account));
                }
                let waited =
                    disabled.get(key.as_str()).is_some_and(|at| at.duration_until(record.at) + SECOND >= recovery);
                if !waited {
                    verdict.broken.push(format!(
                        "{key} of {user} in {} was deleted at {} sooner than {} days after it was disabled",
                        record.account,
                        record.at,
                        policy.recovery_grace()
                    ));
                }
            }
            _ => {}
        }
    }
}

/// After a failed question nothing of whom it was about may change before the question is answered.
fn unknown_is_not_no(world: &World, verdict: &mut Verdict) {
    // What is unknown: whole accounts (who is exempt), and users (when a key was last used).
    let mut accounts: HashSet<String> = HashSet::new();
    let mut users: HashSet<(String, String)> = HashSet::new();
    for call in world.journal.calls() {
        let answered = call.outcome == Outcome::Done;
        match call.operation.as_str() {
            "GetGroup" | "GetAccountAuthorizationDetails" | "ListAccessKeys"
                if !answered && call.subject.is_empty() =>
            {
                accounts.insert(call.account.clone());
            }
            "GetGroup" if answered => {
                accounts.remove(&call.account);
            }
            "GetGroup" => {
                accounts.insert(call.account.clone());
            }
            // A failed one makes the user unknown until it is looked at anew, which begins with its tags.
            "GetAccessKeyLastUsed" if !answered => {
                users.insert((call.account.clone(), call.subject.clone()));
            }
            "ListUserTags" if answered => {
                users.remove(&(call.account.clone(), call.subject.clone()));
            }
            _ if call.mutating && call.service == "iam" => {
                let user_unknown = users.contains(&(call.account.clone(), call.subject.clone()));
                if accounts.contains(&call.account) || user_unknown {
                    verdict.broken.push(format!(
                        "{} on {} in {} at {} though not all questions about it had been answered",
                        call.operation, call.subject, call.account, call.at
                    ));
                }
            }
            _ => {}
        }
        if matches!(&call.outcome, Outcome::Refused(code) if code.starts_with("AccessDenied")) {
            verdict.unknowns += 1;
        }
    }
}
