//! Who can fetch the new key, in the case at hand: a user whose last key has stopped working is told of no command that it cannot run.

use rotation::readers::is_pattern;

use super::item::DigestItem;
use super::wording::HelpKind;

/// Who can fetch a user's new key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WhoFetches<'a> {
    /// The user itself, with the key that the item is about, or the readers.
    User {
        until_disabled: bool,
        readers: &'a [String],
    },
    /// The user itself, with another key, or the readers.
    UserWithOtherKey {
        readers: &'a [String],
    },
    /// Readers alone: the user has nothing but the new key.
    Readers(&'a [String]),
    Nobody,
}

impl<'a> WhoFetches<'a> {
    pub(super) fn new(item: &'a DigestItem, help: HelpKind, until_disabled: bool) -> Self {
        let readers = item.secret.readers.as_slice();
        let works = match help {
            HelpKind::Install | HelpKind::Usage => true,
            HelpKind::InstallOrReenable | HelpKind::InstallOnly | HelpKind::UsageOrReenable | HelpKind::None => false,
        };
        match (works, item.secret.user_has_other_key, readers) {
            (true, _, readers) => WhoFetches::User { until_disabled, readers },
            (false, true, readers) => WhoFetches::UserWithOtherKey { readers },
            (false, false, []) => WhoFetches::Nobody,
            (false, false, readers) => WhoFetches::Readers(readers),
        }
    }

    /// Whose credentials the command is run with; what to do instead, where there is nobody.
    pub(super) fn hint(self, user: &str) -> String {
        match self {
            WhoFetches::User { until_disabled, readers } => {
                let until = if until_disabled { "; this key works for that until it is disabled" } else { "" };
                match readers {
                    [] => format!("Run it as the user {user}, who alone may read this secret{until}."),
                    readers => {
                        format!("Run it as the user {user}{until}. {} may read this secret too.", role(readers, "The"))
                    }
                }
            }
            WhoFetches::UserWithOtherKey { readers } => {
                let run = format!("Run it as the user {user}, with its other key: this one no longer works.");
                match readers {
                    [] => run,
                    readers => format!("{run} {} may read this secret too.", role(readers, "The")),
                }
            }
            WhoFetches::Readers(readers) => format!(
                "This key no longer works, so the user {user} cannot fetch the new one with it. Run it with credentials of {}, which may read this secret.",
                role(readers, "the")
            ),
            WhoFetches::Nobody => format!(
                "This key no longer works, so the user {user} cannot fetch the new one with it, and nobody else may read its secret. If the new key is not installed yet, answer this mail: whoever runs the key rotation can name a role that may read it (SECRET_READERS), which counts from the next run on."
            ),
        }
    }

    /// The same for any of several keys.
    pub(super) fn hint_for_any(fetchers: &[Self], readers: &[String]) -> String {
        let works = |fetcher: &Self| match fetcher {
            WhoFetches::User { .. } | WhoFetches::UserWithOtherKey { .. } => true,
            WhoFetches::Readers(_) | WhoFetches::Nobody => false,
        };
        let any_works = fetchers.iter().any(works);
        let user = match (any_works, fetchers.iter().all(works)) {
            (_, true) => "Run it as the user",
            (true, false) => "Run it as the user, as long as one of its keys works",
            (false, false) => "These keys no longer work: run it",
        };
        let (any, all) = (fetchers.iter().any(|it| it.can_fetch()), fetchers.iter().all(|it| it.can_fetch()));
        match (readers, any, all) {
            ([], _, true) => format!("{user}, who alone may read its secret."),
            ([], true, false) => format!(
                "{user}: nobody else may read its secret. Where none works, answer this mail: whoever runs the key rotation can name a role that may (SECRET_READERS)."
            ),
            ([], false, _) => String::from(
                "These keys no longer work, and nobody else may read their users' secrets. Where the new key is not installed yet, answer this mail: whoever runs the key rotation can name a role that may (SECRET_READERS).",
            ),
            (readers, ..) => {
                format!(
                    "{user}{} with credentials of {}, which may read the secret.",
                    if any_works { ", or" } else { "" },
                    role(readers, "the")
                )
            }
        }
    }

    /// Whether anybody can run the command.
    pub(super) fn can_fetch(self) -> bool {
        match self {
            WhoFetches::User { .. } | WhoFetches::UserWithOtherKey { .. } | WhoFetches::Readers(_) => true,
            WhoFetches::Nobody => false,
        }
    }
}

/// `the role arn:...`; `a role of arn:...*, arn:...`.
fn role(readers: &[String], article: &str) -> String {
    match readers {
        [one] if !is_pattern(one) => format!("{article} role {one}"),
        several => {
            let article = if article == "The" { "A" } else { "a" };
            format!("{article} role of these ({})", several.join(", "))
        }
    }
}
