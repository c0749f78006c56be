//! What a wording consists of, and what its sentences depend on.

use jiff::Timestamp;
use rotation::{AccessKeyId, Installed, Policy};

use super::super::deadline::Deadline;
use super::super::item::DigestItem;

/// What is asked of the owner. In order of urgency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// Something has to be done, or something stops working.
    Act,
    /// Something has to be looked at: if nobody misses the key, nothing is to be done.
    Check,
    /// For information.
    Nothing,
}

/// Whether the key works: what an owner has to see at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It has just been disabled.
    Stopped,
    /// It works until the date that counts.
    Stopping,
    /// It has been inactive for a while.
    Inactive,
    /// It works, and no date for its end is set.
    Working,
    Deleted,
    /// A person has to find out.
    Unclear,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HelpKind {
    /// Fetch the new key, check the old one's use; how to make the old one active again once it is disabled.
    Install,
    /// The same, for a key that is disabled now.
    InstallOrReenable,
    /// Fetch the new key; the old one must stay disabled.
    InstallOnly,
    /// Check the key's use; how to make it active again once it is disabled.
    Usage,
    /// The same, for a key that is disabled now.
    UsageOrReenable,
    None,
}

/// What is said of one piece of news.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wording {
    /// A few words that follow "access key(s)": `will be disabled`. In subjects and lists.
    pub label: &'static str,
    /// What happened, or comes: a sentence or two.
    pub what: String,
    pub why: String,
    /// What the owner is to do.
    pub todo: String,
    /// The date that counts, and what happens then.
    pub due: Option<(Timestamp, Deadline)>,
    pub need: Need,
    pub condition: Condition,
    pub help: HelpKind,
    /// The key that takes over, if there is one.
    pub successor: Option<AccessKeyId>,
}

/// What the sentences depend on, besides the news.
pub struct WordingContext<'a> {
    /// Nothing has been changed: everything is "would".
    pub dry_run: bool,
    /// The time of the decisions.
    pub now: Timestamp,
    pub policy: &'a Policy,
    /// The key that the owner can fetch from the user's secret in place of this one.
    pub replacement: Option<&'a AccessKeyId>,
    /// Whether that one has been installed, as far as IAM tells.
    pub replacement_installed: Option<Installed>,
}

const WHEREVER: &str = "wherever this one is used, then check that this one is no longer used.";

const NO_CHANGE: &str = "Nothing for now: audit mode changes nothing. Find out where this key is used.";

impl WordingContext<'_> {
    /// One of two wordings: what is (enforcement), or what would be (audit).
    pub(super) fn say<'t>(&self, enforced: &'t str, audited: &'t str) -> &'t str {
        if self.dry_run { audited } else { enforced }
    }

    /// What the owner is to do, which in audit mode is nothing.
    pub(super) fn todo(&self, enforced: impl Into<String>) -> String {
        if self.dry_run { NO_CHANGE.to_owned() } else { enforced.into() }
    }

    /// What to install in this key's place. A key that somebody made by hand is in nobody's secret.
    pub(super) fn install(&self, successor: Option<&AccessKeyId>) -> String {
        self.todo(match (self.replacement, successor) {
            (Some(new), _) => {
                format!("Install the new key, {new}, {WHEREVER}")
            }
            (None, Some(newer)) => format!(
                "Use {newer} wherever this key is used. It is not in AWS Secrets Manager: somebody created it by hand and has its secret. \
                 If nobody has it, delete {newer}: then a new key is created and stored."
            ),
            (None, None) => "Move whatever still uses this key to another one. No new key is stored for this user.".to_owned(),
        })
    }

    /// The same for an owner who was told before, with what is known of its having been done.
    pub(super) fn remind(&self) -> String {
        match (self.replacement, self.replacement_installed) {
            (Some(new), Some(Installed::NotYet)) => self.todo(format!(
                "The new key, {new}, has not been used yet: has it been installed? Install it {WHEREVER}"
            )),
            (Some(new), Some(Installed::Yes)) => {
                self.todo(format!("The new key, {new}, is in use already. Install it {WHEREVER}"))
            }
            (Some(_), Some(Installed::Unknown) | None) | (None, _) => self.install(None),
        }
    }

    /// Days of 24 hours since the key was made.
    pub fn age_days(&self, item: &DigestItem) -> Option<i64> {
        let created = item.key.as_ref()?.created?;
        Some(self.now.duration_since(created).as_hours().max(0) / 24)
    }

    pub(super) fn why_due(&self, item: &DigestItem) -> String {
        let period = self.policy.rotation_period();
        match self.age_days(item) {
            Some(age) if age < i64::from(period) => format!(
                "The key is {age} days old: its replacement was asked for, or this user has a shorter period than the usual {period} days."
            ),
            age => self.why_due_by_age(age),
        }
    }

    pub(super) fn why_due_later(&self, item: &DigestItem) -> String {
        self.why_due_by_age(self.age_days(item))
    }

    fn why_due_by_age(&self, age: Option<i64>) -> String {
        let period = self.policy.rotation_period();
        match age {
            Some(age) => format!("The key is {age} days old; access keys are replaced after {period} days."),
            None => format!("Access keys are replaced after {period} days."),
        }
    }
}
