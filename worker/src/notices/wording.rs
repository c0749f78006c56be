//! What is said of each event: the sentences, the date, and what is asked of the owner. One match over all events, so that an
//! event without words does not compile; "would" in audit mode, where nothing has been changed.

use jiff::Timestamp;
use rotation::plan::NoticeKind;
use rotation::{AccessKeyId, Finding, LastUse, Policy, Upcoming};

use super::deadline::Deadline;
use super::item::{Event, Item};
use super::text::one_line;

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

/// Which commands help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Help {
    /// Fetch the new secret, check the old key's use; how to re-enable the old one once it is disabled.
    Install,
    /// The same, for a key that is disabled now.
    InstallOrReenable,
    /// Fetch the new secret; the old key must stay disabled.
    InstallOnly,
    /// Check the key's use; how to re-enable it once it is disabled.
    Usage,
    /// The same, for a key that is disabled now.
    UsageOrReenable,
    /// None.
    None,
}

/// What is said of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// A few words that follow "access key(s)": `will be disabled`. In subjects and lists.
    pub label: &'static str,
    /// What happened, or comes: a sentence or two.
    pub what: String,
    /// Why.
    pub why: String,
    /// What the owner is to do.
    pub todo: String,
    /// The date that counts, and what happens then.
    pub due: Option<(Timestamp, Deadline)>,
    /// What is asked of the owner.
    pub need: Need,
    /// Which commands help.
    pub help: Help,
    /// The key that takes over, if there is one.
    pub successor: Option<AccessKeyId>,
}

/// The context of an event: what its sentences depend on.
pub struct Setting<'a> {
    /// Nothing has been changed: everything is "would".
    pub dry_run: bool,
    /// The time of the decisions.
    pub now: Timestamp,
    /// The periods.
    pub policy: &'a Policy,
}

impl Setting<'_> {
    /// One of two wordings: what is (enforcement), or what would be (audit).
    fn say<'t>(&self, enforced: &'t str, audited: &'t str) -> &'t str {
        if self.dry_run { audited } else { enforced }
    }

    /// Days of 24 hours since the key was made.
    pub fn age_days(&self, item: &Item) -> Option<i64> {
        item.key.as_ref().map(|key| self.now.duration_since(key.created).as_hours().max(0) / 24)
    }

    fn why_due(&self, item: &Item) -> String {
        let period = self.policy.rotation_period();
        match self.age_days(item) {
            Some(age) if age >= i64::from(period) => {
                format!("The key is {age} days old; access keys are replaced after {period} days.")
            }
            Some(age) => format!(
                "The key is {age} days old: its replacement was asked for, or this user has a shorter period than the usual {period} days."
            ),
            None => format!("Access keys are replaced after {period} days."),
        }
    }
}

const INSTALL: &str = "Install the new key wherever this one is used, then check that this one is no longer used.";
const NO_CHANGE: &str = "Nothing for now: audit mode changes nothing. Find out where this key is used.";

/// The words for one item.
pub fn words(item: &Item, at: &Setting<'_>) -> Words {
    match &item.event {
        Event::Rotated { by, disable_due } => rotated(item, at, by.as_ref(), *disable_due),
        Event::Noticed { kind, disable_due } => noticed(item, at, kind, *disable_due),
        Event::Disabled { delete_due } => Words {
            label: at.say("disabled", "would be disabled"),
            what: at.say("The key was disabled. It no longer signs calls.", "The key would be disabled today.").to_owned(),
            why: format!(
                "Its owner was told at least {} days ago that it would be disabled.",
                at.policy.install_grace()
            ),
            todo: at
                .say(
                    "If something has stopped working, make the key active again with the command below, and move to the new key.",
                    NO_CHANGE,
                )
                .to_owned(),
            due: Some((*delete_due, Deadline::Deleted)),
            need: Need::Check,
            help: Help::InstallOrReenable,
            successor: None,
        },
        Event::Contained => Words {
            label: at.say("disabled at once", "would be disabled at once"),
            what: at
                .say(
                    "The key was disabled at once and no longer signs calls.",
                    "The key would be disabled at once, with no time to install another.",
                )
                .to_owned(),
            why: "An operator asked for it, as is done when a key may have leaked.".to_owned(),
            todo: at
                .say("Install the new key now. Do not make this one active again.", NO_CHANGE)
                .to_owned(),
            due: None,
            need: Need::Act,
            help: Help::InstallOnly,
            successor: None,
        },
        Event::Deleted => Words {
            label: at.say("deleted", "would be deleted"),
            what: at.say("The key was deleted. It cannot be brought back.", "The key would be deleted.").to_owned(),
            why: format!(
                "A disabled key is kept for at least {} days, unless an operator needs its place sooner.",
                at.policy.recovery_grace()
            ),
            todo: at.say("Nothing.", NO_CHANGE).to_owned(),
            due: None,
            need: Need::Nothing,
            help: Help::None,
            successor: None,
        },
        Event::FoundInactive { delete_due } => Words {
            label: at.say("found inactive", "found inactive"),
            what: at
                .say(
                    "The key is inactive: somebody disabled it. Its recovery period is counted from today.",
                    "The key is inactive: somebody disabled it. Its recovery period would be counted from today.",
                )
                .to_owned(),
            why: format!("An inactive key is kept for {} days, then deleted.", at.policy.recovery_grace()),
            todo: "If it is still needed, make it active again. If not, there is nothing to do.".to_owned(),
            due: Some((*delete_due, Deadline::Deleted)),
            need: Need::Check,
            help: Help::UsageOrReenable,
            successor: None,
        },
        Event::Restored { disable_due } => Words {
            label: at.say("active again", "would be made active again"),
            what: at
                .say("The key was made active again.", "The key would be made active again.")
                .to_owned()
                + " If it has a successor, it is disabled again.",
            why: "An operator asked for it.".to_owned(),
            todo: at.say(INSTALL, NO_CHANGE).to_owned(),
            due: Some((*disable_due, Deadline::Disabled)),
            need: Need::Act,
            help: Help::Install,
            successor: None,
        },
        Event::Upcoming { what, due } => upcoming(item, at, what, *due),
        Event::Postponed { until } => postponed(item, at, *until),
        Event::Finding(finding) => found(finding),
    }
}

fn rotated(item: &Item, at: &Setting<'_>, by: Option<&AccessKeyId>, due: Option<Timestamp>) -> Words {
    let what = match (at.dry_run, by) {
        (true, _) => "A new key would be made and stored in AWS Secrets Manager. None has been made.".to_owned(),
        (false, Some(by)) => format!("A new key, {by}, was made and stored in AWS Secrets Manager."),
        (false, None) => "A new key was made and stored in AWS Secrets Manager.".to_owned(),
    };
    let install = if due.is_some() { INSTALL } else { "Install the new key now: this one no longer works." };
    Words {
        label: at.say("replaced", "would be replaced"),
        what,
        why: at.why_due(item),
        todo: at.say(install, NO_CHANGE).to_owned(),
        due: due.map(|due| (due, Deadline::Disabled)),
        need: Need::Act,
        help: if due.is_some() { Help::Install } else { Help::InstallOnly },
        successor: by.cloned(),
    }
}

fn noticed(item: &Item, at: &Setting<'_>, kind: &NoticeKind, due: Option<Timestamp>) -> Words {
    let (what, why, todo, help, need, successor) = match kind {
        NoticeKind::Replaced { by } | NoticeKind::Forced { by } => {
            let named = by.as_ref().map_or_else(|| "a newer key".to_owned(), |by| format!("a newer key, {by}"));
            let what = format!("The user has {named}, which takes this key's place.");
            let why = match kind {
                NoticeKind::Forced { .. } => "An operator asked for the key to be replaced.".to_owned(),
                NoticeKind::Replaced { .. } | NoticeKind::MakeRoom { .. } | NoticeKind::Retired
                | NoticeKind::Restored => at.why_due(item),
            };
            (what, why, INSTALL.to_owned(), Help::Install, Need::Act, by.clone())
        }
        NoticeKind::MakeRoom { other } => (
            "Both keys of this user are due for replacement, and AWS allows no third. This one was used least recently and has to go."
                .to_owned(),
            at.why_due(item),
            format!("Use {other} wherever this key is used. {other} is replaced once this one is gone."),
            Help::Usage,
            Need::Act,
            Some(other.clone()),
        ),
        NoticeKind::Retired => (
            "The key has never been used. It gets no successor.".to_owned(),
            at.why_due(item),
            "Nothing, if nobody needs it. A key that is used before that date is not disabled.".to_owned(),
            Help::Usage,
            Need::Check,
            None,
        ),
        NoticeKind::Restored => (
            "Somebody made this key active again after it had been disabled.".to_owned(),
            "A key that has been replaced does not stay active.".to_owned(),
            INSTALL.to_owned(),
            Help::Install,
            Need::Act,
            None,
        ),
    };
    Words {
        label: at.say("will be disabled", "would be disabled"),
        what,
        why,
        todo: if at.dry_run { NO_CHANGE.to_owned() } else { todo },
        due: due.map(|due| (due, Deadline::Disabled)),
        need,
        help,
        successor,
    }
}

fn upcoming(item: &Item, at: &Setting<'_>, what: &Upcoming, due: Timestamp) -> Words {
    let grace = at.policy.install_grace();
    let base = |label, what: &str, todo: &str, due, need, help| Words {
        label,
        what: what.to_owned(),
        why: at.why_due_later(item),
        todo: at.say(todo, NO_CHANGE).to_owned(),
        due: Some(due),
        need,
        help,
        successor: None,
    };
    match what {
        Upcoming::Rotate => base(
            at.say("will be replaced", "would be replaced"),
            &if at.dry_run {
                format!(
                    "A new key would be made, and its owner told. This one would then work for at least {grace} days more."
                )
            } else {
                format!(
                    "A new key will be made, and its owner told. This one then works for at least {grace} days more."
                )
            },
            "Nothing yet. Have at hand where this key is used.",
            (due, Deadline::Replaced),
            Need::Nothing,
            Help::None,
        ),
        Upcoming::RotateAfterDeletion { of } => base(
            at.say("will be replaced", "would be replaced"),
            &format!("The key is due for replacement, which waits until the user's inactive key {of} is deleted."),
            "Nothing yet. Have at hand where this key is used.",
            (due, Deadline::Replaced),
            Need::Nothing,
            Help::None,
        ),
        Upcoming::SuccessorCounts { successor } => Words {
            successor: Some(successor.clone()),
            ..base(
                at.say("will be superseded", "would be superseded"),
                &format!(
                    "The user has a newer key, {successor}. From the date below it counts as this key's successor, and no third key is made."
                ),
                &format!("Move whatever still uses this key to {successor}."),
                (due, Deadline::Superseded),
                Need::Check,
                Help::Usage,
            )
        },
        Upcoming::Disable => Words {
            why: "Its owner has been told that it has to go.".to_owned(),
            ..base(
                at.say("will be disabled", "would be disabled"),
                at.say("The key stops working on the date below.", "The key would stop working on the date below."),
                INSTALL,
                (due, Deadline::Disabled),
                Need::Act,
                Help::Install,
            )
        },
        Upcoming::Delete => Words {
            why: format!("A disabled key is kept for {} days.", at.policy.recovery_grace()),
            ..base(
                at.say("will be deleted", "would be deleted"),
                at.say(
                    "The key is inactive and will be deleted. After that it cannot be brought back.",
                    "The key is inactive and would be deleted.",
                ),
                "Nothing, if nothing has stopped working. Until then the key can be made active again.",
                (due, Deadline::Deleted),
                Need::Check,
                Help::UsageOrReenable,
            )
        },
    }
}

impl Setting<'_> {
    fn why_due_later(&self, item: &Item) -> String {
        let period = self.policy.rotation_period();
        match self.age_days(item) {
            Some(age) => format!("The key is {age} days old; access keys are replaced after {period} days."),
            None => format!("Access keys are replaced after {period} days."),
        }
    }
}

fn postponed(item: &Item, at: &Setting<'_>, until: Timestamp) -> Words {
    let still = match item.key.as_ref().map(|key| &key.last_use) {
        Some(LastUse::At { service, region, .. }) => {
            format!("It was last used with {} in {}", one_line(service, 64), one_line(region, 64))
        }
        Some(LastUse::Never | LastUse::Unknown) | None => "It is still in use".to_owned(),
    };
    Words {
        label: at.say("still in use", "still in use"),
        what: format!(
            "The key was due to be disabled, but is still in use: this is put off from day to day. {still}; its successor has never been used."
        ),
        why: at.why_due(item),
        todo: at.say(INSTALL, NO_CHANGE).to_owned(),
        due: Some((until, Deadline::DisabledAtTheLatest)),
        need: Need::Act,
        help: Help::Install,
        successor: None,
    }
}

fn found(finding: &Finding) -> Words {
    Words {
        label: "needs attention",
        what: sentence(&one_line(&finding.to_string(), 600)),
        why: "This cannot be decided without a person.".to_owned(),
        todo: "Put right what is described, or ask the administrators of this account to.".to_owned(),
        due: None,
        need: Need::Act,
        help: Help::None,
        successor: None,
    }
}

/// With a capital letter and a full stop.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(char::to_uppercase);
    let end = if text.ends_with(['.', '…']) { "" } else { "." };
    first.into_iter().flatten().chain(chars).chain(end.chars()).collect()
}
