//! What there is to tell: one [`Item`] per key and event, collected while an account is worked on, told in one digest per
//! recipient when it is done.

use jiff::Timestamp;
use rotation::plan::NoticeKind;
use rotation::{AccessKeyId, AccountId, Finding, LastUse, Policy, Remembered, Upcoming, UserName};
use uuid::Uuid;

/// The account a digest is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its name, if the message gave one.
    pub name: Option<String>,
    /// Its address, if the message gave one.
    pub email: Option<String>,
}

/// One thing to tell about one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Whose key.
    pub user: UserName,
    /// The key; `None` for a finding about the user as a whole.
    pub key: Option<KeyFacts>,
    /// What happened, or comes.
    pub event: Event,
    /// The value of the user's owner tag, as it is: addresses, or anything.
    pub owner_tag: Option<String>,
    /// Where the user's newest key is stored.
    pub secret: SecretLocation,
    /// What is recorded on the key once this item is accepted.
    pub mark: Option<Mark>,
}

/// What an owner needs to recognise a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFacts {
    /// Its id.
    pub id: AccessKeyId,
    /// When it was made.
    pub created: Timestamp,
    /// When, where it was last used.
    pub last_use: LastUse,
}

/// Where a user's secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretLocation {
    /// Its name.
    pub name: String,
    /// The account that holds it: the user's own, or the central one (`None`: the user's own).
    pub central_account: Option<AccountId>,
    /// Its region.
    pub region: String,
}

/// What happened to a key, or comes. In audit mode: what would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A successor was made and stored; the key will be disabled.
    Rotated {
        /// The successor; `None` in audit mode, where there is none.
        by: Option<AccessKeyId>,
        /// When this key will be disabled; `None` where it has been contained or deleted already.
        disable_due: Option<Timestamp>,
    },
    /// The key will be disabled, for this reason.
    Noticed {
        /// The reason.
        kind: NoticeKind,
        /// When, at the earliest.
        disable_due: Option<Timestamp>,
    },
    /// It was disabled.
    Disabled {
        /// When it will be deleted.
        delete_due: Timestamp,
    },
    /// It was disabled at once, on an operator's request.
    Contained,
    /// It was deleted.
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
    /// Something comes.
    Upcoming {
        /// What.
        what: Upcoming,
        /// When.
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

impl Event {
    /// Whether the same item is made again each time the message is worked on, so that it can wait until the account has
    /// been worked through: a retried message does not repeat its warnings.
    pub fn can_wait(&self) -> bool {
        match self {
            Event::Upcoming { .. } | Event::Postponed { .. } | Event::Finding(_) => true,
            Event::Rotated { .. }
            | Event::Noticed { .. }
            | Event::Disabled { .. }
            | Event::Contained
            | Event::Deleted
            | Event::FoundInactive { .. }
            | Event::Restored { .. } => false,
        }
    }
}

/// What is recorded on a key once the mail service has accepted what was to be told about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// The clock of an ordinary notice.
    Notified,
    /// The clock of a forced rotation's notice.
    Forced,
    /// The clock of a re-enabled key.
    Restored,
    /// The recovery grace.
    Disabled,
}

impl Mark {
    /// The mark for a notice.
    pub fn of(kind: &NoticeKind) -> Self {
        match kind.record(Timestamp::UNIX_EPOCH) {
            Remembered::Notified(_) => Mark::Notified,
            Remembered::Forced(_) => Mark::Forced,
            Remembered::Restored(_) => Mark::Restored,
            Remembered::Disabled(_) => Mark::Disabled,
        }
    }

    /// What the tag will say.
    pub fn at(self, accepted: Timestamp) -> Remembered {
        match self {
            Mark::Notified => Remembered::Notified(accepted),
            Mark::Forced => Remembered::Forced(accepted),
            Mark::Restored => Remembered::Restored(accepted),
            Mark::Disabled => Remembered::Disabled(accepted),
        }
    }
}

/// All there is to tell about one account in one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// The account.
    pub account: Account,
    /// Whether nothing was changed: everything is "would".
    pub dry_run: bool,
    /// The run it belongs to.
    pub run_id: Option<Uuid>,
    /// The time the decisions were made for.
    pub now: Timestamp,
    /// The policy they were made under.
    pub policy: Policy,
    /// What to tell.
    pub items: Vec<Item>,
    /// Users that could not be read or worked on, with the reason: partial truth is told as such.
    pub incomplete: Vec<(UserName, String)>,
}
