//! The words a plan is made of.
//!
//! There is no step from active to deleted: [`Action::Delete`] takes a [`Deletable`], and the only ways to one are a key
//! that has been inactive for the recovery grace, and an operator's request that has just contained the key.

use jiff::Timestamp;

use crate::finding::Finding;
use crate::ids::AccessKeyId;
use crate::key::{LastUse, Remembered};

/// What the rules say about one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The user is left alone.
    Exempt(Exemption),
    /// An attempt left its intent: it is settled first, then a plan is made.
    SettleFirst,
    /// Something must be known first. With what could not be found out, nothing is changed.
    Undecided(Missing),
    /// What is to be done; possibly nothing.
    Act(Plan),
}

/// Why a user is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exemption {
    /// It is in the exemption group.
    Group,
    /// Its tag says so until then.
    Until {
        /// The moment rotation resumes.
        until: Timestamp,
    },
    /// It carries `key-rotation:protected`; no request overrides that.
    Protected,
}

/// What must be known before anything is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// A key's last use.
    LastUse(AccessKeyId),
    /// Whether a key is the one published in the user's secret.
    Published(AccessKeyId),
}

/// What is to be done about one user, in this order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The actions.
    pub actions: Vec<Action>,
}

/// One thing to be done, or to be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Make a successor by the rotation protocol, then tell the owner.
    Rotate {
        /// The key that is replaced.
        old: AccessKeyId,
        /// The keys the user has at that moment; any other is unexplained.
        present: Vec<AccessKeyId>,
        /// The notice to give about the old key once its successor is safe, if its clock is to start.
        notice: Option<Notice>,
    },
    /// Tell the owner, and record it once the mail service has accepted it; only that starts the key's clock.
    Notify {
        /// The key.
        key: AccessKeyId,
        /// What is told and recorded.
        notice: Notice,
    },
    /// Make the key inactive, after one more look, and record when.
    Disable {
        /// The key.
        key: AccessKeyId,
        /// What the last look must show.
        safeguard: Safeguard,
        /// When it will be deleted.
        delete_due: Timestamp,
    },
    /// An operator's request: make the key inactive now, before anything else, and record when.
    Contain {
        /// The key.
        key: AccessKeyId,
    },
    /// Delete an inactive key.
    Delete(Deletable),
    /// An inactive key this tool did not disable: record `disabled` as of now, so that its recovery grace starts.
    Adopt {
        /// The key.
        key: AccessKeyId,
        /// When it will be deleted.
        delete_due: Timestamp,
    },
    /// Remove the state tag of a key that no longer exists.
    Forget {
        /// The key.
        key: AccessKeyId,
    },
    /// Tell the owner what comes; nothing is recorded.
    Warn {
        /// The key.
        key: AccessKeyId,
        /// What comes.
        upcoming: Upcoming,
        /// When.
        due: Timestamp,
    },
    /// The disable is due but put off: the old key is in use and its successor is not.
    Postpone {
        /// The key.
        key: AccessKeyId,
        /// It is disabled at this time at the latest.
        until: Timestamp,
        /// Where it is still used.
        last_use: LastUse,
    },
    /// Something a person has to look at.
    Report(Finding),
}

/// A notice whose acceptance is recorded on the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What is recorded.
    pub kind: NoticeKind,
    /// When the key will be disabled if the notice is accepted now; `None` if that is not known yet.
    pub disable_due: Option<Timestamp>,
}

/// The kinds of notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoticeKind {
    /// The key has a successor and will be disabled.
    Replaced {
        /// The successor, where it exists already.
        by: Option<AccessKeyId>,
    },
    /// The same, by an operator's request.
    Forced {
        /// The successor, where it exists already.
        by: Option<AccessKeyId>,
    },
    /// Two keys are due and there is no room for a successor: this one, the least recently used, has to go.
    MakeRoom {
        /// The key that stays and will then be rotated.
        other: AccessKeyId,
    },
    /// Never used by the time it was due: it gets no successor.
    Retired,
    /// A person re-enabled a key that had been disabled.
    Restored,
}

impl NoticeKind {
    /// What the state tag will say.
    pub fn record(&self, accepted: Timestamp) -> Remembered {
        match self {
            NoticeKind::Replaced { .. } | NoticeKind::MakeRoom { .. } | NoticeKind::Retired => {
                Remembered::Notified(accepted)
            }
            NoticeKind::Forced { .. } => Remembered::Forced(accepted),
            NoticeKind::Restored => Remembered::Restored(accepted),
        }
    }
}

/// What the look right before a disable must show, or the key stays active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Safeguard {
    /// This key is live, and is published in the user's secret or has been used: somebody has a working key.
    SuccessorInHand {
        /// The key that remains.
        successor: AccessKeyId,
    },
    /// The key itself has still never been used.
    StillUnused,
}

/// What an owner is warned of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upcoming {
    /// The key will get a successor.
    Rotate,
    /// The key is due for a successor, but an inactive key must be deleted first.
    RotateAfterDeletion {
        /// The inactive key.
        of: AccessKeyId,
    },
    /// From then on the newer key counts as this one's successor.
    SuccessorCounts {
        /// The newer key.
        successor: AccessKeyId,
    },
    /// The key will be disabled.
    Disable,
    /// The key will be deleted.
    Delete,
}

/// A key that may be deleted. Made only by the rules, out of a key that is inactive.
///
/// Nobody else can make one, so that no step can delete a live key:
/// ```compile_fail,E0624
/// use rotation::plan::{Deletable, DeleteReason};
/// let key = rotation::AccessKeyId::new("AKIAIOSFODNN7EXAMPLE").unwrap();
/// let live = Deletable::new(key, DeleteReason::Contained);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletable {
    key: AccessKeyId,
    reason: DeleteReason,
}

/// Why a key may be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteReason {
    /// It has been inactive since then, for the recovery grace at least.
    RecoveryGraceOver {
        /// Since when.
        disabled: Timestamp,
    },
    /// It was inactive, and an operator's request needs its place.
    MakesRoomForForced,
    /// An operator's request named it, and it has just been contained.
    Contained,
}

impl Deletable {
    pub(crate) fn new(key: AccessKeyId, reason: DeleteReason) -> Self {
        Self { key, reason }
    }

    /// The key.
    pub fn key(&self) -> &AccessKeyId {
        &self.key
    }

    /// Why.
    pub fn reason(&self) -> DeleteReason {
        self.reason
    }

    /// Whether the state tag has to outlive the key: it is what lets a second delivery of the same request know that the
    /// first one contained and deleted the key, and only the successor is missing.
    pub fn keeps_memory(&self) -> bool {
        match self.reason {
            DeleteReason::Contained => true,
            DeleteReason::RecoveryGraceOver { .. } | DeleteReason::MakesRoomForForced => false,
        }
    }
}

impl Action {
    /// Whether it changes anything in AWS by itself (a notice that is accepted is recorded, which is a change as well).
    pub fn changes(&self) -> bool {
        match self {
            Action::Rotate { .. }
            | Action::Notify { .. }
            | Action::Disable { .. }
            | Action::Contain { .. }
            | Action::Delete(_)
            | Action::Adopt { .. }
            | Action::Forget { .. } => true,
            Action::Warn { .. } | Action::Postpone { .. } | Action::Report(_) => false,
        }
    }
}
