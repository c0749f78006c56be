//! What has been done to a key, or found out about it.

use jiff::Timestamp;
use rotation::{AccessKeyId, Finding, KeyState};

use super::super::deadline::Deadline;
use super::super::item::DigestItem;
use super::super::text::{FINDING_LENGTH, one_line};
use super::context::{Condition, HelpKind, Need, Wording, WordingContext};

pub(super) fn rotated(
    item: &DigestItem,
    context: &WordingContext<'_>,
    successor: Option<&AccessKeyId>,
    due: Option<Timestamp>,
) -> Wording {
    let what = match (context.dry_run, successor) {
        (true, _) => "A new key would be created and stored in AWS Secrets Manager. None has been created.".to_owned(),
        (false, Some(key)) => format!("A new key, {key}, was created and stored in AWS Secrets Manager."),
        (false, None) => "A new key was created and stored in AWS Secrets Manager.".to_owned(),
    };
    let todo = match due {
        Some(_) => context.install(successor),
        None => context.todo("Install the new key now: this one no longer works."),
    };
    Wording {
        label: context.say("replaced", "would be replaced"),
        what,
        why: context.why_due(item),
        todo,
        due: due.map(|due| (due, Deadline::Disabled)),
        need: Need::Act,
        condition: if due.is_some() { Condition::Stopping } else { Condition::Stopped },
        help: if due.is_some() { HelpKind::Install } else { HelpKind::InstallOnly },
        successor: successor.cloned(),
    }
}

pub(super) fn disabled(context: &WordingContext<'_>, delete_due: Timestamp) -> Wording {
    let then = if context.replacement.is_some() { "install the new key" } else { "move to another key" };
    Wording {
        label: context.say("disabled", "would be disabled"),
        what: context
            .say("The key was disabled and no longer works.", "The key would be disabled today.")
            .to_owned(),
        why: format!("Its owner was told at least {} days ago that it would be disabled.", context.policy.install_grace()),
        todo: context.todo(format!(
            "If something has stopped working, have the key made active again as described below, and {then}. If not, there is nothing to do."
        )),
        due: Some((delete_due, Deadline::Deleted)),
        need: Need::Check,
        condition: Condition::Stopped,
        help: HelpKind::InstallOrReenable,
        successor: None,
    }
}

pub(super) fn contained(context: &WordingContext<'_>) -> Wording {
    let todo = match context.replacement {
        Some(new) => format!("Install the new key, {new}, now. Do not make this one active again."),
        None => {
            "Do not make this key active again. A new key is stored for this user as soon as possible; its owner is told then."
                .to_owned()
        }
    };
    Wording {
        label: context.say("disabled at once", "would be disabled at once"),
        what: context
            .say(
                "The key was disabled at once and no longer works.",
                "The key would be disabled at once, with no time to install another.",
            )
            .to_owned(),
        why: "The key may have leaked: an operator asked for it, or AWS reported the key as exposed.".to_owned(),
        todo: context.todo(todo),
        due: None,
        need: Need::Act,
        condition: Condition::Stopped,
        help: HelpKind::InstallOnly,
        successor: None,
    }
}

pub(super) fn deleted(context: &WordingContext<'_>) -> Wording {
    Wording {
        label: context.say("deleted", "would be deleted"),
        what: context.say("The key was deleted. It cannot be brought back.", "The key would be deleted.").to_owned(),
        why: format!(
            "A disabled key is kept for at least {} days, unless an operator needs its place sooner.",
            context.policy.recovery_grace()
        ),
        todo: context.todo(match context.replacement {
            Some(new) => {
                format!("Nothing, if {new} has taken its place. If not, {new} can still be fetched as described below.")
            }
            None => "Nothing.".to_owned(),
        }),
        due: None,
        need: Need::Nothing,
        condition: Condition::Deleted,
        help: if context.replacement.is_some() { HelpKind::InstallOnly } else { HelpKind::None },
        successor: None,
    }
}

pub(super) fn found_inactive(item: &DigestItem, context: &WordingContext<'_>, delete_due: Timestamp) -> Wording {
    let was_contained = item.record.as_ref().is_some_and(KeyState::is_containment);
    Wording {
        label: "found inactive",
        what: context
            .say(
                "The key is inactive: somebody disabled it. Its recovery period is counted from today.",
                "The key is inactive: somebody disabled it. Its recovery period would be counted from today.",
            )
            .to_owned(),
        why: format!("An inactive key is kept for {} days, then deleted.", context.policy.recovery_grace()),
        todo: match was_contained {
            true => "It may have leaked: do not make it active again.".to_owned(),
            false => "If it is still needed, have it made active again. If not, there is nothing to do.".to_owned(),
        },
        due: Some((delete_due, Deadline::Deleted)),
        need: Need::Check,
        condition: Condition::Inactive,
        help: if was_contained { HelpKind::Usage } else { HelpKind::UsageOrReenable },
        successor: None,
    }
}

pub(super) fn restored(context: &WordingContext<'_>, disable_due: Timestamp) -> Wording {
    Wording {
        label: context.say("active again", "would be made active again"),
        what: context.say("The key was made active again.", "The key would be made active again.").to_owned()
            + " If another key replaces it, it is disabled again.",
        why: "An operator asked for it.".to_owned(),
        todo: context.remind(),
        due: Some((disable_due, Deadline::Disabled)),
        need: Need::Act,
        condition: Condition::Stopping,
        help: HelpKind::Install,
        successor: None,
    }
}

pub(super) fn found(finding: &Finding) -> Wording {
    Wording {
        label: "needs attention",
        what: sentence(&one_line(&finding.to_string(), FINDING_LENGTH)),
        why: "This cannot be decided without a person.".to_owned(),
        todo: match finding {
            Finding::ReaderNotAllowed { .. } => {
                "Correct the tag, or ask whoever runs the key rotation to allow the role (SECRET_READERS_ALLOWED)."
                    .to_owned()
            }
            Finding::TooManyKeys { .. }
            | Finding::UnreadableTag { .. }
            | Finding::BadRotateAfterDays { .. }
            | Finding::SuccessorNotInHand { .. }
            | Finding::NotReplicated { .. }
            | Finding::BadSmtpRegion { .. }
            | Finding::PublishedKeyInUse { .. }
            | Finding::UsedButNotStored { .. }
            | Finding::UnconfirmedIntent { .. }
            | Finding::LookBeforeHarm { .. } => {
                "Correct what is described, or ask the administrators of this account to.".to_owned()
            }
        },
        due: None,
        need: Need::Act,
        condition: Condition::Unclear,
        help: HelpKind::None,
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
