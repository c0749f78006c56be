//! What is to be done about one user.
//!
//! There is no step from active to deleted: [`Action::Delete`] takes a [`Deletable`], and the only ways to one are a key
//! that has been inactive for the recovery grace, an inactive key whose place an operator's request needs, and a key that
//! such a request has just contained.

use jiff::Timestamp;
use uuid::Uuid;

use crate::finding::Finding;
use crate::ids::AccessKeyId;
use crate::key::LastUse;
use crate::refusal::Refusal;
use crate::state::{KeyState, KeyStateKind};

/// What is to be done about one user, in this order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    pub actions: Vec<Action>,
    /// Whether this is only what cannot wait: once it is done, the user is looked at and decided about again.
    pub decide_again: bool,
    /// Whether the request, with what is left of it, has to wait: it is decided about again after this time.
    pub rest_after: Option<Timestamp>,
    /// What that rest is, as far as it is known by now: an audit tells of it.
    pub rest: Vec<Action>,
    /// Why the request is refused all the same, once this has been carried out, unless it is decided about again.
    pub refusal: Option<Refusal>,
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
        /// The record of the old key's containment, where a request has contained it: the successor is added to it once its
        /// owner has been told of that.
        contained: Option<KeyState>,
    },
    /// Record that the owner is to be told, tell it, and record that once the mail service has accepted it; only that starts the
    /// key's clock.
    Notify { key: AccessKeyId, notice: Notice },
    /// Make the key inactive, after one more look, and record when.
    Disable {
        key: AccessKeyId,
        precondition: DisablePrecondition,
        /// When it will be deleted.
        delete_due: Timestamp,
    },
    /// An operator's request: make the key inactive now, before anything else, and record when and by which request.
    Contain { key: AccessKeyId, state: KeyState },
    /// Delete an inactive key.
    Delete(Deletable),
    /// An operator's request: put on record that the key will be deleted; that comes in a later delivery, when nobody can have
    /// missed it who is making the key active.
    RecordDeletion { key: AccessKeyId },
    /// An inactive key this tool did not disable: tell the owner, and record `disabled` once that is accepted, so that its
    /// recovery grace starts.
    Adopt { key: AccessKeyId, state: KeyState, delete_due: Timestamp },
    /// Tell the owner what was done in an earlier run, whose mail was not accepted; then record that it has been told. `state` is
    /// what stays on record then, if anything does.
    Announce { key: AccessKeyId, what: Announcement, state: Option<KeyState> },
    /// Record this at once, before what comes next: by it a later delivery knows which key an operator's request is about.
    Record { key: AccessKeyId, state: KeyState },
    /// An operator's request: make the key active unless it is so already, tell the owner, and record it once accepted.
    Restore {
        key: AccessKeyId,
        /// The earliest it is disabled again, where it has a successor.
        disable_due: Timestamp,
        request: Uuid,
        /// When it was made.
        requested_at: Timestamp,
    },
    /// Remove a state tag: of a key that no longer exists, or of one whose notice an exemption has made void.
    Forget { key: AccessKeyId },
    /// Remove the record of the key's deletion: it is active.
    ForgetDeletion { key: AccessKeyId },
    /// Tell the owner what comes; nothing is recorded.
    Warn { key: AccessKeyId, upcoming: Upcoming, due: Timestamp },
    /// The disable is due but put off: the old key is in use and its successor is not.
    Postpone {
        key: AccessKeyId,
        /// It is disabled at this time at the latest.
        until: Timestamp,
        /// Where it is still used.
        last_use: LastUse,
    },
    /// Something a person has to look at.
    ReportFinding(Finding),
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
            | Action::RecordDeletion { .. }
            | Action::Adopt { .. }
            | Action::Announce { .. }
            | Action::Record { .. }
            | Action::Restore { .. }
            | Action::Forget { .. }
            | Action::ForgetDeletion { .. } => true,
            Action::Warn { .. } | Action::Postpone { .. } | Action::ReportFinding(_) => false,
        }
    }
}

/// A notice whose acceptance is recorded on the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub kind: NoticeKind,
    /// When the key will be disabled if the notice is accepted now; `None` if that is not known yet.
    pub disable_due: Option<Timestamp>,
    /// The operator's request it is about, if it is about one.
    pub request: Option<Uuid>,
    /// When that was made, of a request that has restored the key.
    pub requested_at: Option<Timestamp>,
}

impl Notice {
    /// The state of the key once its notice has been accepted.
    pub fn state(&self, accepted: Timestamp) -> KeyState {
        let state = KeyState::new(self.kind.state_kind(), accepted);
        KeyState { until: self.disable_due, request: self.request, requested_at: self.requested_at, ..state }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoticeKind {
    /// The key has a successor and will be disabled.
    Replaced {
        /// The successor, where it exists already.
        successor: Option<AccessKeyId>,
    },
    /// The same, by an operator's request.
    Forced {
        /// The successor, where it exists already.
        successor: Option<AccessKeyId>,
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
    /// As events spell it.
    pub fn as_str(&self) -> &'static str {
        match self {
            NoticeKind::Replaced { .. } => "replaced",
            NoticeKind::Forced { .. } => "forced",
            NoticeKind::MakeRoom { .. } => "make_room",
            NoticeKind::Retired => "retired",
            NoticeKind::Restored => "restored",
        }
    }

    /// The key that replaces this one, where there is one.
    pub fn successor(&self) -> Option<&AccessKeyId> {
        match self {
            NoticeKind::Replaced { successor } | NoticeKind::Forced { successor } => successor.as_ref(),
            NoticeKind::MakeRoom { .. } | NoticeKind::Retired | NoticeKind::Restored => None,
        }
    }

    /// What the state tag will say.
    pub fn state_kind(&self) -> KeyStateKind {
        match self {
            NoticeKind::Replaced { .. } | NoticeKind::MakeRoom { .. } | NoticeKind::Retired => KeyStateKind::Notified,
            NoticeKind::Forced { .. } => KeyStateKind::Forced,
            NoticeKind::Restored => KeyStateKind::Restored,
        }
    }
}

/// What was done to a key in an earlier run, and its owner not told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Announcement {
    Disabled {
        delete_due: Timestamp,
    },
    /// It was disabled at once, on an operator's request.
    Contained,
    /// That request has made its successor.
    Successor {
        successor: AccessKeyId,
    },
    /// It was deleted.
    Deleted,
}

impl Announcement {
    /// Tells it of a key; `before` is what is on record of it.
    pub(crate) fn into_action(self, key: &AccessKeyId, before: Option<KeyState>) -> Action {
        let state = match &self {
            Announcement::Disabled { .. } | Announcement::Contained => before.map(KeyState::marked_told),
            Announcement::Successor { successor } => {
                before.map(|state| KeyState { successor: Some(successor.clone()), ..state.marked_told() })
            }
            Announcement::Deleted => kept_after_deletion(before),
        };
        Action::Announce { key: key.clone(), what: self, state }
    }
}

/// What stays on record of a key once its owner has been told that it was deleted: that by which an operator's request knows it.
fn kept_after_deletion(before: Option<KeyState>) -> Option<KeyState> {
    before.filter(|state| state.request.is_some())
}

/// What the look right before a disable must show, or the key stays active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DisablePrecondition {
    /// This key is live, and is published in the user's secret or has been used: somebody has a working key.
    SuccessorInHand { successor: AccessKeyId },
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
        of: AccessKeyId,
    },
    /// From then on the newer key counts as this one's successor.
    SuccessorCounts {
        successor: AccessKeyId,
    },
    Disable,
    Delete {
        /// Whether an operator's request disabled it: it may have been leaked.
        contained: bool,
    },
}

impl Upcoming {
    /// As events spell it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Upcoming::Rotate => "rotation",
            Upcoming::RotateAfterDeletion { .. } => "rotation_after_deletion",
            Upcoming::SuccessorCounts { .. } => "successor_counts",
            Upcoming::Disable => "disable",
            Upcoming::Delete { .. } => "deletion",
        }
    }
}

/// A key that may be deleted. Made only by the rules, out of a key that is inactive, and nobody else can make one. (A successor that
/// could not be published is no concern of the rules: the rotation protocol deletes it.)
/// ```compile_fail,E0624
/// use rotation::plan::{Deletable, DeleteReason};
/// let key = rotation::AccessKeyId::new("AKIAIOSFODNN7EXAMPLE").unwrap();
/// let live = Deletable::new(key, DeleteReason::Contained, None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletable {
    key: AccessKeyId,
    reason: DeleteReason,
    record_after: Option<KeyState>,
}

/// Why a key may be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteReason {
    /// It has been inactive since then, for the recovery grace at least.
    RecoveryGraceOver { disabled: Timestamp },
    /// It was inactive, and an operator's request needs its place.
    MakesRoomForForced,
    /// An operator's request named it, and it has just been contained.
    Contained,
}

impl DeleteReason {
    /// As events spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            DeleteReason::RecoveryGraceOver { .. } => "recovery_grace_over",
            DeleteReason::MakesRoomForForced => "makes_room_for_forced",
            DeleteReason::Contained => "contained",
        }
    }
}

impl Deletable {
    /// `before`: what is on record of the key.
    pub(crate) fn new(key: AccessKeyId, reason: DeleteReason, before: Option<&KeyState>) -> Self {
        Self { key, reason, record_after: kept_after_deletion(before.cloned()) }
    }

    pub fn key(&self) -> &AccessKeyId {
        &self.key
    }

    pub fn reason(&self) -> DeleteReason {
        self.reason
    }

    /// What stays on record of the key once its owner has been told.
    pub fn record_after(&self) -> Option<&KeyState> {
        self.record_after.as_ref()
    }
}
