//! What an owner is to do, step by step, with the command lines.

use rotation::names::Partition;

use super::commands;
use super::item::{Digest, DigestItem};
use super::text::counted;
use super::wording::Help;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What it does, as a short heading.
    pub label: &'static str,
    /// What to know for it.
    pub hint: String,
    /// The line to copy, where there is one.
    pub line: Option<String>,
}

/// What to do, in this order; and what only where something has stopped working.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Instructions {
    pub steps: Vec<Step>,
    pub emergency: Option<Step>,
}

/// Which parts there are.
#[derive(Debug, Clone, Copy, Default)]
struct Parts {
    fetch: bool,
    usage: bool,
    emergency: Option<KeyIs>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyIs {
    Active,
    Disabled,
}

impl Parts {
    fn new(digest: &Digest, item: &DigestItem, help: Help) -> Self {
        let fetch = digest.replacement(item).is_some();
        let of = |fetch, usage, emergency| Self { fetch, usage, emergency };
        let parts = match help {
            Help::Install => of(fetch, true, Some(KeyIs::Active)),
            Help::InstallOrReenable => of(fetch, true, Some(KeyIs::Disabled)),
            Help::InstallOnly => of(fetch, false, None),
            Help::Usage => of(false, true, Some(KeyIs::Active)),
            Help::UsageOrReenable => of(false, true, Some(KeyIs::Disabled)),
            Help::None => Self::default(),
        };
        // In audit mode there is no disabled key to make active again.
        Self { emergency: parts.emergency.filter(|_| !digest.dry_run), ..parts }
    }
}

impl Instructions {
    pub fn new(digest: &Digest, item: &DigestItem, help: Help, partition: Partition) -> Self {
        let Some(key) = &item.key else { return Self::default() };
        let parts = Parts::new(digest, item, help);
        let user = item.user.as_str();
        let until_disabled =
            if parts.emergency == Some(KeyIs::Active) { "; this key works for that until it is disabled" } else { "" };
        let who = format!("Run it as the user {user}, who alone may read this secret{until_disabled}.");
        let fetch = commands::fetch_secret(&item.secret, &digest.account.id, partition);
        parts.write(digest, user, key.id.as_str(), &item.secret.region, (&who, fetch))
    }

    /// For any of several keys: `USER` and `ACCESS_KEY_ID` stand for the names in a table.
    pub fn for_any<'a>(
        digest: &Digest,
        items: impl Iterator<Item = (&'a DigestItem, Help)>,
        partition: Partition,
    ) -> Self {
        let mut all = Parts::default();
        let mut secret = None;
        for (item, help) in items {
            let parts = Parts::new(digest, item, help);
            all.fetch |= parts.fetch;
            all.usage |= parts.usage;
            all.emergency = all.emergency.or(parts.emergency);
            secret = secret.or(Some(&item.secret));
        }
        let Some(secret) = secret else { return Self::default() };
        let who = "Run it as the user, who alone may read its secret. The user's name goes in the place of USER, with a slash for each comma in it.";
        let fetch = commands::fetch_secret_of_any(secret, &digest.account.id, partition);
        all.write(digest, "USER", "ACCESS_KEY_ID", &secret.region, (who, fetch))
    }
}

impl Parts {
    fn write(self, digest: &Digest, user: &str, key: &str, region: &str, (who, fetch): (&str, String)) -> Instructions {
        let mut steps = Vec::new();
        if self.fetch {
            steps.push(Step {
                label: "Fetch the new key",
                hint: format!(
                    "{who} It prints JSON: AccessKeyId and SecretAccessKey are the new key; UserName, CreateDate and Status are for information."
                ),
                line: Some(fetch),
            });
            steps.push(Step {
                label: "Put the new key in the old one's place",
                hint: format!(
                    "Wherever {key} is configured: AccessKeyId as aws_access_key_id (in the environment AWS_ACCESS_KEY_ID), SecretAccessKey as aws_secret_access_key (AWS_SECRET_ACCESS_KEY). Restart what reads them only when it starts."
                ),
                line: None,
            });
        }
        if self.usage {
            steps.push(Step {
                label: if self.fetch {
                    "Check that the old key is no longer used"
                } else {
                    "See where this key is used"
                },
                hint: "Shows its last use: when, which service, which region.".to_owned(),
                line: Some(commands::last_used(key, region)),
            });
        }
        let emergency = self.emergency.map(|key_is| Step {
            label: match key_is {
                KeyIs::Disabled => "In an emergency: make this key active again",
                KeyIs::Active => "In an emergency, once it is disabled: make it active again",
            },
            hint: format!(
                "For whoever may call iam:UpdateAccessKey in the account {}, as its administrators may; others ask them. It works again at once. A replaced key is disabled again, not sooner than {} after its owner has been told.",
                digest.account.id,
                counted(digest.policy.install_grace() as usize, "day", "days"),
            ),
            line: Some(commands::reenable(user, key, region)),
        });
        Instructions { steps, emergency }
    }
}
