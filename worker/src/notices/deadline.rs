//! What happens on the date that counts: said of one key, and of several at once.

/// What happens on a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// The key is disabled.
    Disabled,
    /// The key is disabled, if not before.
    DisabledAtTheLatest,
    /// The key is deleted.
    Deleted,
    /// The key gets a successor.
    Replaced,
    /// A newer key counts as its successor.
    Superseded,
}

impl Deadline {
    /// Of one key, after the date: `this key will be disabled`.
    pub fn of_one(self, dry_run: bool) -> &'static str {
        let (enforced, audited) = match self {
            Deadline::Disabled => ("this key will be disabled", "this key would be disabled"),
            Deadline::DisabledAtTheLatest => {
                ("this key will be disabled at the latest", "this key would be disabled at the latest")
            }
            Deadline::Deleted => ("this key will be deleted", "this key would be deleted"),
            Deadline::Replaced => ("a new key will be created", "a new key would be created"),
            Deadline::Superseded => ("the newer key takes this one's place", "the newer key takes this one's place"),
        };
        if dry_run { audited } else { enforced }
    }

    /// Of any number, before the date: `will be disabled`. The labels of what comes are the same words.
    pub fn of_any(self, dry_run: bool) -> &'static str {
        let (enforced, audited) = match self {
            Deadline::Disabled | Deadline::DisabledAtTheLatest => ("will be disabled", "would be disabled"),
            Deadline::Deleted => ("will be deleted", "would be deleted"),
            Deadline::Replaced => ("will be replaced", "would be replaced"),
            Deadline::Superseded => ("will be superseded", "would be superseded"),
        };
        if dry_run { audited } else { enforced }
    }
}
