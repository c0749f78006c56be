//! What a person has to look at: the tool found it, changed nothing because of it, and says so.

use crate::ids::AccessKeyId;

/// Something that is not as it should be, and that the tool will not decide alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// IAM's limit of two keys has been broken (its check is known to race).
    #[error(
        "the user has {count} access keys, more than IAM's limit of two: nothing is changed until at most two are left"
    )]
    TooManyKeys { count: usize },
    /// A state tag this tool did not write.
    #[error(
        "the tag {tag} has a value that cannot be read (\"{value}\"): nothing is changed until it is mended or removed"
    )]
    UnreadableTag { tag: String, value: String },
    /// A per-user rotation period out of bounds; the policy's own applies.
    #[error(
        "the tag key-rotation:rotate-after-days must be a whole number from 1 to {longest}, not \"{value}\": the default of {default} days applies"
    )]
    BadRotateAfterDays {
        value: String,
        /// The greatest value allowed.
        longest: u32,
        /// What applies instead.
        default: u32,
    },
    /// The newer key may be in nobody's hands: disabling the older could lock the owner out.
    #[error(
        "the key {old} is due to be disabled, but its successor {new} was neither published in Secrets Manager by this tool nor ever used, so nobody may have it: {old} stays active. Use {new}, or delete it so that a new one is made"
    )]
    SuccessorNotInHand {
        /// The key that stays active.
        old: AccessKeyId,
        new: AccessKeyId,
    },
    /// Secrets Manager could not replicate the secret.
    #[error("the secret is not replicated to {region}: {why}. Whoever reads it there does not get the newest key")]
    NotReplicated {
        region: String,
        /// What Secrets Manager says.
        why: String,
    },
    /// The user's tag names a reader of its secret that the administrator does not allow.
    #[error(
        "the tag key-rotation:readers names \"{reader}\", which is no role that the administrator allows: it cannot read the secret"
    )]
    ReaderNotAllowed {
        /// As the tag has it.
        reader: String,
    },
    /// The user's tag names no regions.
    #[error(
        "the tag key-rotation:smtp-regions must name regions, separated by spaces, as in \"eu-west-1\", not \"{value}\": no SMTP password is stored for it"
    )]
    BadSmtpRegion {
        /// What is no region.
        value: String,
    },
    /// The key that is to go is the one that is published, and is in use; the newer one was made by hand.
    #[error(
        "the key {old} is due to be disabled, but it is the one that is published in Secrets Manager and it is in use, while {new} was made by hand and nobody else can fetch it: {old} stays active. Delete {new}, so that a new key is made and published; or replace {old} by {new} wherever it is used"
    )]
    PublishedKeyInUse {
        /// The key that stays active.
        old: AccessKeyId,
        new: AccessKeyId,
    },
    /// A key appeared while a rotation was under way, and it has been used: a person's.
    #[error(
        "the key {key} appeared while a rotation was under way and has been used, but its secret was not stored by this tool: it is left alone"
    )]
    UsedButNotStored { key: AccessKeyId },
    /// An intent may have made it, and no attempt has left its trace on the secret.
    #[error(
        "the key {key} has never been used, and a tag key-rotation:intent: on the user says that an interrupted rotation may have made it; but no rotation has prepared the user's secret at that time, so the tag was probably written by somebody else: the tag is removed and the key is left alone. If nobody has its secret, delete it"
    )]
    UnconfirmedIntent { key: AccessKeyId },
    /// The look right before a disable did not show what the plan was made on.
    #[error("the key {key} was about to be disabled, but {why}: it stays active")]
    LookBeforeHarm {
        key: AccessKeyId,
        /// What was seen instead.
        why: String,
    },
}

impl Finding {
    /// As events spell it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Finding::TooManyKeys { .. } => "too_many_keys",
            Finding::UnreadableTag { .. } => "unreadable_tag",
            Finding::BadRotateAfterDays { .. } => "bad_rotate_after_days",
            Finding::SuccessorNotInHand { .. } => "successor_not_in_hand",
            Finding::NotReplicated { .. } => "not_replicated",
            Finding::PublishedKeyInUse { .. } => "published_key_in_use",
            Finding::UsedButNotStored { .. } => "used_but_not_stored",
            Finding::UnconfirmedIntent { .. } => "unconfirmed_intent",
            Finding::LookBeforeHarm { .. } => "look_before_harm",
            Finding::ReaderNotAllowed { .. } => "reader_not_allowed",
            Finding::BadSmtpRegion { .. } => "bad_smtp_region",
        }
    }

    /// Whether every run finds it again until somebody mends it.
    pub fn lasts_until_mended(&self) -> bool {
        match self {
            Finding::TooManyKeys { .. }
            | Finding::UnreadableTag { .. }
            | Finding::BadRotateAfterDays { .. }
            | Finding::SuccessorNotInHand { .. }
            | Finding::PublishedKeyInUse { .. }
            | Finding::NotReplicated { .. } => true,
            Finding::UsedButNotStored { .. }
            | Finding::UnconfirmedIntent { .. }
            | Finding::LookBeforeHarm { .. }
            | Finding::ReaderNotAllowed { .. }
            | Finding::BadSmtpRegion { .. } => false,
        }
    }

    /// The key it is about, if it is about one.
    pub fn access_key_id(&self) -> Option<&AccessKeyId> {
        match self {
            Finding::SuccessorNotInHand { old: key, .. }
            | Finding::PublishedKeyInUse { old: key, .. }
            | Finding::UsedButNotStored { key }
            | Finding::UnconfirmedIntent { key }
            | Finding::LookBeforeHarm { key, .. } => Some(key),
            Finding::TooManyKeys { .. }
            | Finding::UnreadableTag { .. }
            | Finding::BadRotateAfterDays { .. }
            | Finding::NotReplicated { .. }
            | Finding::ReaderNotAllowed { .. }
            | Finding::BadSmtpRegion { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn the_operations_page_says_of_every_finding_what_to_do() {
        let here = include_str!("finding.rs").lines().filter_map(|line| line.trim().strip_prefix("Finding::"));
        let names: BTreeSet<_> = here.filter_map(|line| line.split("=> \"").nth(1)?.strip_suffix("\",")).collect();
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations.md")).unwrap();
        let table = page.split("| `reason` in the log | finding |").nth(1).expect("the page has the table");
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
        let documented: BTreeSet<_> = rows.map(|row| row.split('`').nth(1).expect("a name")).collect();
        assert_eq!(documented, names);
        assert!(names.contains("look_before_harm"));
    }
}
