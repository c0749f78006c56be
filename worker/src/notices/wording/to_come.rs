//! What will be done to a key, and from when.

use jiff::Timestamp;
use rotation::plan::NoticeKind;
use rotation::{AccessKeyId, LastUse, Upcoming};

use super::super::deadline::Deadline;
use super::super::item::DigestItem;
use super::super::text::{PLACE_LENGTH, one_line};
use super::context::{Condition, HelpKind, Need, Wording, WordingContext};

pub(super) fn noticed(
    item: &DigestItem,
    context: &WordingContext<'_>,
    kind: &NoticeKind,
    due: Option<Timestamp>,
) -> Wording {
    let will_be_disabled = |what: String, todo: String| Wording {
        label: context.say("will be disabled", "would be disabled"),
        what,
        why: context.why_due(item),
        todo,
        due: due.map(|due| (due, Deadline::Disabled)),
        need: Need::Act,
        condition: Condition::Stopping,
        help: HelpKind::Install,
        successor: None,
    };
    match kind {
        NoticeKind::Replaced { successor } => replaced(&will_be_disabled, context, successor.as_ref()),
        NoticeKind::Forced { successor } => Wording {
            why: "An operator asked for the key to be replaced.".to_owned(),
            ..replaced(&will_be_disabled, context, successor.as_ref())
        },
        NoticeKind::MakeRoom { other } => Wording {
            help: HelpKind::Usage,
            successor: Some(other.clone()),
            ..will_be_disabled(
                "Both keys of this user are due for replacement, and AWS allows no third. This one was used least recently and has to go."
                    .to_owned(),
                context.todo(format!(
                    "Use {other} wherever this key is used. {other} is replaced once this one is gone."
                )),
            )
        },
        NoticeKind::Retired => Wording {
            need: Need::Check,
            help: HelpKind::Usage,
            ..will_be_disabled(
                "The key has never been used. It is not replaced.".to_owned(),
                context.todo("Nothing, if nobody needs it. A key that is used before that date is not disabled."),
            )
        },
        NoticeKind::Restored => Wording {
            why: "A key that has been replaced does not stay active.".to_owned(),
            ..will_be_disabled(
                "Somebody made this key active again after it had been disabled.".to_owned(),
                context.remind(),
            )
        },
    }
}

fn replaced(
    will_be_disabled: &impl Fn(String, String) -> Wording,
    context: &WordingContext<'_>,
    successor: Option<&AccessKeyId>,
) -> Wording {
    let newer = successor.map_or_else(|| "a newer key".to_owned(), |key| format!("a newer key, {key}"));
    Wording {
        successor: successor.cloned(),
        ..will_be_disabled(format!("The user has {newer}, which takes this key's place."), context.install(successor))
    }
}

pub(super) fn upcoming(item: &DigestItem, context: &WordingContext<'_>, what: &Upcoming, due: Timestamp) -> Wording {
    let base = |label: &'static str, what: String, todo: String, deadline| Wording {
        label,
        what,
        why: context.why_due_later(item),
        todo,
        due: Some((due, deadline)),
        need: Need::Nothing,
        condition: Condition::Working,
        help: HelpKind::None,
        successor: None,
    };
    match what {
        Upcoming::Rotate => {
            let (grace, is_audit) = (context.policy.install_grace(), context.dry_run);
            let (will, works) = if is_audit { ("would", "would then work") } else { ("will", "then works") };
            to_be_replaced(
                &base,
                context,
                format!(
                    "A new key {will} be created, and its owner told. This one {works} for at least {grace} days more."
                ),
            )
        }
        Upcoming::RotateAfterDeletion { of } => to_be_replaced(
            &base,
            context,
            format!("The key is due for replacement, which waits until the user's inactive key {of} is deleted."),
        ),
        Upcoming::SuccessorCounts { successor } => to_be_superseded(&base, context, successor),
        Upcoming::Disable => to_be_disabled(&base, context),
        Upcoming::Delete { contained } => to_be_deleted(&base, context, *contained),
    }
}

type Base<'a> = dyn Fn(&'static str, String, String, Deadline) -> Wording + 'a;

fn to_be_replaced(base: &Base<'_>, context: &WordingContext<'_>, what: String) -> Wording {
    let prepare = context.todo("Nothing yet. Find out where this key is used, so that you can replace it there.");
    base(context.say("will be replaced", "would be replaced"), what, prepare, Deadline::Replaced)
}

fn to_be_superseded(base: &Base<'_>, context: &WordingContext<'_>, successor: &AccessKeyId) -> Wording {
    Wording {
        need: Need::Check,
        help: HelpKind::Usage,
        successor: Some(successor.clone()),
        ..base(
            context.say("will be superseded", "would be superseded"),
            format!(
                "The user has a newer key, {successor}. From the date below it counts as this key's replacement, and no third key is created."
            ),
            context.todo(format!("Move whatever still uses this key to {successor}.")),
            Deadline::Superseded,
        )
    }
}

fn to_be_disabled(base: &Base<'_>, context: &WordingContext<'_>) -> Wording {
    Wording {
        why: "Its owner has been told that it has to go.".to_owned(),
        need: Need::Act,
        condition: Condition::Stopping,
        help: HelpKind::Install,
        ..base(
            context.say("will be disabled", "would be disabled"),
            context
                .say("The key stops working on the date below.", "The key would stop working on the date below.")
                .to_owned(),
            context.remind(),
            Deadline::Disabled,
        )
    }
}

fn to_be_deleted(base: &Base<'_>, context: &WordingContext<'_>, contained: bool) -> Wording {
    Wording {
        why: format!("A disabled key is kept for {} days.", context.policy.recovery_grace()),
        need: Need::Check,
        condition: Condition::Inactive,
        help: if contained { HelpKind::Usage } else { HelpKind::UsageOrReenable },
        ..base(
            context.say("will be deleted", "would be deleted"),
            context
                .say(
                    "The key is inactive and will be deleted. After that it cannot be brought back.",
                    "The key is inactive and would be deleted.",
                )
                .to_owned(),
            context.todo(match contained {
                true => {
                    "It may have leaked: do not make it active again. Whatever still uses it needs the user's new key."
                }
                false => "Nothing, if nothing has stopped working. Until then the key can be made active again.",
            }),
            Deadline::Deleted,
        )
    }
}

pub(super) fn postponed(item: &DigestItem, context: &WordingContext<'_>, until: Timestamp) -> Wording {
    let still = match item.key.as_ref().map(|key| &key.last_use) {
        Some(LastUse::At { service, region, .. }) => {
            format!("It was last used with {} in {}", one_line(service, PLACE_LENGTH), one_line(region, PLACE_LENGTH))
        }
        Some(LastUse::Never | LastUse::Unknown) | None => "It is still in use".to_owned(),
    };
    Wording {
        label: "still in use",
        what: format!(
            "The key was due to be disabled, but is still in use: this is put off from day to day. {still}; the newer key has never been used."
        ),
        why: context.why_due(item),
        todo: context.remind(),
        due: Some((until, Deadline::DisabledAtTheLatest)),
        need: Need::Act,
        condition: Condition::Stopping,
        help: HelpKind::Install,
        successor: None,
    }
}
