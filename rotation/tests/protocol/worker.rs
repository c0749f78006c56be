//! A worker: where in the code it is, and what it has read. The places have the names of the code.

use crate::keys::{NONE, Set};

/// What comes next. Each is one call (or one moment at which a worker can be frozen).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// The message is not received yet.
    Idle,
    /// Around attempts: look, decide, tell, retire.
    Delivery(DeliveryStep),
    /// In an attempt to make a successor, or only to settle.
    Attempt(AttemptStep),
    /// In that attempt's settling.
    Settle(SettleStep),
    /// An operator's request to make the old key active again.
    Restore(RestoreStep),
    /// Done, or given up: the message is deleted, or comes again.
    End,
}

/// `user.rs`, `account.rs`, `steps/key_status.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum DeliveryStep {
    /// `look::read`: the keys.
    LookKeys,
    /// `look::read`: the user's tags, uses, the secret; then the rules.
    LookTags,
    /// The state tag, before the mail: that the owner has not been told.
    RecordUntold,
    /// The mail.
    Tell,
    /// The state tag, once the mail is accepted.
    Record,
    /// The look and the disable.
    Disable,
    /// The state tag, before the delete.
    MarkDeletion,
    /// The look and the delete.
    Delete,
}

/// `steps/rotate.rs`, with the numbers of `docs/rotation-protocol.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum AttemptStep {
    /// 1.
    LeaveIntent,
    /// 2: the intents of others, until none is young.
    WaitForTurn,
    /// 2, where another attempt goes first: the own intent is cleared.
    GiveWay,
    /// 2, without an own intent: the intents of others, until none is young.
    WaitWithoutIntent,
    /// 3; where only settling is wanted, a look.
    Prepare,
    /// 4.
    ListKeys,
    /// 2, 4: the plan is not true any more: the own intent is cleared, and the user looked at again.
    LookAgain,
    /// 5.
    CreateKey,
    /// 5, the list after it.
    ListAfterCreate,
    /// 6: the own session is looked at.
    CheckSessionToStore,
    /// 6, the call.
    StorePending,
    /// 7: the own session is looked at.
    CheckSessionToPublish,
    /// 7, the call.
    Publish,
    /// 7, refused, or where nothing was to be seen before: what is published now.
    ReadPublished,
    /// 7, refused at the last try, after one without an answer: whether it is published now.
    ReadPublishedInDoubt,
    /// 7, something else is published: whose it is.
    FindWinner,
    /// The new key is deleted again.
    DeleteNewKey,
    /// 8.
    Verify,
    /// 9.
    ClearIntent,
    /// The own intent is cleared after a failure.
    ClearAfterFailure,
}

/// `rotation/src/restore.rs`, `steps/key_status.rs`: a restore of a key that may be about to be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum RestoreStep {
    LookKeys,
    /// The tags; then the rules.
    LookTags,
    /// The record is renewed.
    Renew,
    /// The message comes again.
    Again,
    /// The key is made active.
    Enable,
}

/// `steps/settle.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum SettleStep {
    /// A pending version is published.
    Publish,
    /// That was refused: what is published now.
    Published,
    /// A published key is listed.
    Verify,
    /// The secret is looked at again.
    Look,
    /// A key that nobody has is deleted.
    Remove,
    /// All is settled: the intents are cleared.
    Clear,
}

/// What is recorded when the mail is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Mark {
    /// That the old key will be disabled.
    Noticed,
    /// That it was.
    Disabled,
    /// That it is gone: nothing.
    Deleted,
}

/// One worker and what it remembers. What a place does not need is at rest, so that equal situations are one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Worker {
    pub(crate) place: Place,
    /// Whether the attempt only settles.
    pub(crate) settling: bool,
    /// The expired intents that were read in step 2.
    pub(crate) intents: Set,
    /// The published version, as read.
    pub(crate) current: u8,
    /// The versions, as read.
    pub(crate) versions: Set,
    /// The live keys, as listed.
    pub(crate) active: Set,
    /// The inactive ones.
    pub(crate) inactive: Set,
    /// Keys still to be settled, the first of them just now.
    pub(crate) todo: Set,
    /// Swaps that were refused.
    pub(crate) swaps: u8,
    /// Whether there is a finding: then a person is to look, and this delivery does not look again.
    pub(crate) finding: bool,
    /// What is to be recorded.
    pub(crate) mark: Mark,
    /// Whether the mail tells of the own new key.
    pub(crate) rotated: bool,
    /// The keys that had been made when the mail was accepted.
    pub(crate) told: Set,
}

impl Worker {
    /// At this place, with nothing in mind.
    pub(crate) const fn at(place: Place) -> Self {
        Self {
            place,
            settling: false,
            intents: 0,
            current: NONE,
            versions: 0,
            active: 0,
            inactive: 0,
            todo: 0,
            swaps: 0,
            finding: false,
            mark: Mark::Noticed,
            rotated: false,
            told: 0,
        }
    }

    /// The same, further on.
    pub(crate) fn to(self, place: Place) -> Self {
        Self { place, ..self }
    }

    /// Whether its next call is stopped by the end of the member session.
    pub(crate) fn is_fenced(&self, central: bool) -> bool {
        match self.place {
            Place::Attempt(
                AttemptStep::Prepare
                | AttemptStep::StorePending
                | AttemptStep::Publish
                | AttemptStep::ReadPublished
                | AttemptStep::ReadPublishedInDoubt,
            )
            | Place::Settle(SettleStep::Publish | SettleStep::Published | SettleStep::Look) => !central,
            Place::Delivery(
                DeliveryStep::LookTags
                | DeliveryStep::RecordUntold
                | DeliveryStep::Disable
                | DeliveryStep::MarkDeletion
                | DeliveryStep::Delete,
            )
            | Place::Restore(RestoreStep::LookTags | RestoreStep::Renew | RestoreStep::Enable)
            | Place::Attempt(
                AttemptStep::WaitForTurn
                | AttemptStep::ListKeys
                | AttemptStep::CreateKey
                | AttemptStep::ListAfterCreate
                | AttemptStep::CheckSessionToStore
                | AttemptStep::CheckSessionToPublish
                | AttemptStep::FindWinner
                | AttemptStep::DeleteNewKey
                | AttemptStep::Verify
                | AttemptStep::ClearIntent
                | AttemptStep::ClearAfterFailure
                | AttemptStep::GiveWay
                | AttemptStep::LookAgain
                | AttemptStep::WaitWithoutIntent,
            )
            | Place::Settle(SettleStep::Verify | SettleStep::Remove | SettleStep::Clear) => true,
            // These take a new session where the present one is too short, or are not calls in the account.
            Place::Delivery(DeliveryStep::LookKeys | DeliveryStep::Tell | DeliveryStep::Record)
            | Place::Attempt(AttemptStep::LeaveIntent)
            | Place::Restore(RestoreStep::LookKeys | RestoreStep::Again)
            | Place::Idle
            | Place::End => false,
        }
    }
}
