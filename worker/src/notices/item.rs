//! What there is to tell: one [`DigestItem`] per key and piece of news, collected while an account is worked on, told in one digest per
//! recipient when it is done.

use jiff::Timestamp;
use rotation::plan::NoticeKind;
use rotation::{AccessKeyId, AccountId, Finding, Installed, KeyState, LastUse, Policy, Reason, Upcoming, UserName};
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub id: AccountId,
    /// As the message gave it.
    pub name: Option<String>,
    /// As the message gave it: an address, or anything.
    pub email: Option<String>,
}

/// One thing to tell about one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestItem {
    pub user: UserName,
    /// `None` for a finding.
    pub key: Option<KeyFacts>,
    pub news: News,
    /// The value of the user's owner tag, as it is: addresses, or anything.
    pub owner_tag: Option<String>,
    pub secret: SecretFacts,
    /// When this user's owner was last reminded of something, as the user's tag says.
    pub last_reminded: Option<Timestamp>,
    /// What is recorded of the key once this item is accepted, after [`KeyState::accepted`]. `None`: nothing is; of a deletion, nothing
    /// that was on record stays.
    pub record: Option<KeyState>,
}

impl DigestItem {
    /// Whether both say the same of the same key, whatever is known of it besides.
    pub fn tells_the_same(&self, other: &Self) -> bool {
        let key = |item: &Self| item.key.as_ref().map(|key| key.id.clone());
        (&self.user, &self.news, key(self)) == (&other.user, &other.news, key(other))
    }
}

/// What an owner needs to recognise a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFacts {
    pub id: AccessKeyId,
    /// Unknown of a key that is gone.
    pub created: Option<Timestamp>,
    pub last_use: LastUse,
}

/// Where the secret that publishes a user's key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretLocation {
    pub name: String,
    /// The account that holds it, where that is not the user's own.
    pub central_account: Option<AccountId>,
    pub region: String,
}

/// What is known of that secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFacts {
    pub location: SecretLocation,
    /// The roles that may read it besides the user: ARNs, or patterns of them.
    pub readers: Vec<String>,
    /// The regions that a new key's SMTP password is stored for.
    pub smtp_regions: Vec<String>,
    /// Whether the user has another active key to fetch it with, besides the item's and the published one.
    pub user_has_other_key: bool,
    /// The key it publishes, where it is there and publishes one of the user's keys.
    pub publishes: Option<AccessKeyId>,
    /// How that key has been used.
    pub published_use: LastUse,
}

/// What happened to a key, or comes. In audit mode: what would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A successor was made and stored; the key will be disabled.
    Rotated {
        /// The successor; `None` in audit mode, where there is none.
        successor: Option<AccessKeyId>,
        /// When this key will be disabled; `None` where it has been contained or deleted already.
        disable_due: Option<Timestamp>,
    },
    /// The key will be disabled, for this reason.
    Noticed {
        kind: NoticeKind,
        /// When, at the earliest.
        disable_due: Option<Timestamp>,
    },
    Disabled {
        /// When it will be deleted.
        delete_due: Timestamp,
    },
    /// It was disabled at once, on an operator's request.
    Contained,
    Deleted,
    /// It was found inactive.
    FoundInactive {
        /// When it will be deleted.
        delete_due: Timestamp,
    },
    /// It was made active again on an operator's request.
    Restored {
        /// When it is disabled again at the earliest, if it has a successor.
        disable_due: Timestamp,
    },
    Upcoming {
        what: Upcoming,
        due: Timestamp,
    },
    /// Its disable was put off, because it is in use and its successor is not.
    Postponed {
        /// Until then at the latest.
        until: Timestamp,
    },
    /// A person has to look at it.
    Finding(Finding),
}

impl News {
    /// Whether the next delivery or run makes this item again. Then it can wait until the account has been worked through: a
    /// retried message does not repeat its warnings.
    pub fn is_made_again(&self) -> bool {
        match self {
            News::Upcoming { .. } | News::Postponed { .. } => true,
            // Any other is found once: by the round, or the attempt, that came upon it.
            News::Finding(finding) => finding.lasts_until_mended(),
            News::Rotated { .. }
            | News::Noticed { .. }
            | News::Disabled { .. }
            | News::Contained
            | News::Deleted
            | News::FoundInactive { .. }
            | News::Restored { .. } => false,
        }
    }
}

/// All there is to tell about one account in one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    pub account: Account,
    /// Whether nothing was changed: everything is "would".
    pub dry_run: bool,
    pub run_id: Option<Uuid>,
    /// Whether an operator's request, or a report of AWS's, has brought it about: that is told at once, also what would be.
    pub is_operators_request: bool,
    /// Whether an earlier delivery of the message may have told some of it.
    pub is_redelivered: bool,
    /// The time the decisions were made for.
    pub now: Timestamp,
    /// The time by AWS, as far as its services agree: what goes to the log instead of a mail counts as told from then.
    pub logged_at: Timestamp,
    pub policy: Policy,
    pub items: Vec<DigestItem>,
    /// Users that could not be read or worked on: partial truth is told as such.
    pub incomplete: Vec<IncompleteUser>,
}

/// A user that could not be read or worked on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncompleteUser {
    pub user: UserName,
    pub reason: Reason,
    pub error: String,
}

impl Digest {
    /// The key that can be fetched in place of an item's key: published in the user's secret, by this run or before, and another
    /// one. `None` where there is nothing to fetch, as in audit mode or where the newer key was made by hand.
    pub fn replacement<'a>(&'a self, item: &'a DigestItem) -> Option<&'a AccessKeyId> {
        if self.dry_run {
            return None;
        }
        let of_user = self.items.iter().filter(|other| other.user == item.user);
        let mut just_made = of_user.filter_map(|other| match &other.news {
            News::Rotated { successor, .. } => successor.as_ref(),
            News::Noticed { .. }
            | News::Disabled { .. }
            | News::Contained
            | News::Deleted
            | News::FoundInactive { .. }
            | News::Restored { .. }
            | News::Upcoming { .. }
            | News::Postponed { .. }
            | News::Finding(_) => None,
        });
        let published = just_made.next_back().or(item.secret.publishes.as_ref())?;
        let is_itself = item.key.as_ref().is_some_and(|key| key.id == *published);
        (!is_itself).then_some(published)
    }

    /// Whether the replacement has been installed, unless it was made just now.
    pub fn replacement_installed(&self, item: &DigestItem) -> Option<Installed> {
        let replacement = self.replacement(item)?;
        (item.secret.publishes.as_ref() == Some(replacement)).then(|| Installed::from(&item.secret.published_use))
    }
}
