//! What must never be.

use std::fmt;

/// A promise broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Violation {
    /// A key that was there first was taken for an orphan, or deleted while it was live.
    OldKeyDeleted,
    /// A key that a person made and uses, or that no attempt can have made, was deleted.
    HandMadeKeyDeleted,
    /// A key that a person made while an attempt lay dead, and has not used since, was taken for that attempt's.
    TakenForOrphan,
    /// A key that an attempt made, and whose secret nobody has, is left to a person.
    LeftToAPerson,
    /// A live key was deleted while its version was the published one.
    PublishedKeyDeleted,
    /// The owner is told of a successor that was not live when it was last looked at, was never published, or is told while what
    /// is published is no live key.
    ToldOfNothing,
    /// The old key was made inactive and no other live key is published, or used.
    DisabledWithoutSuccessor,
    /// The old key was made inactive without a mail accepted an install grace before, and after its successor was made.
    DisabledWithoutNotice,
    /// The old key was deleted, and no mail had said since it was inactive that it is.
    DeletedUntold,
    /// A mail went out of which it is known that it cannot be recorded.
    ToldOffTheRecord,
    /// After undisturbed deliveries: the old key was deleted, and no mail says so.
    DeletionNotTold,
    /// After undisturbed deliveries: an intent is left.
    IntentLeft,
    /// After undisturbed deliveries: there is no successor.
    NoSuccessor,
    /// After undisturbed deliveries: there is more than one.
    TwoSuccessors,
    /// After undisturbed deliveries: the successor is not the published key.
    NotPublished,
    /// After undisturbed deliveries: its owner was not told.
    NotTold,
    /// Undisturbed deliveries go on making keys.
    MakesKeysForEver,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Violation::OldKeyDeleted => "a key that was there first is deleted while it is live",
            Violation::HandMadeKeyDeleted => "a key that a person made is deleted",
            Violation::TakenForOrphan => "an unused key that a person made beside a dead attempt is deleted",
            Violation::LeftToAPerson => "a key that an attempt made and nobody has is left to a person",
            Violation::PublishedKeyDeleted => "the published key is deleted",
            Violation::ToldOfNothing => "the owner is told of a key that is not to be had",
            Violation::DisabledWithoutSuccessor => "the old key is disabled and nobody has another",
            Violation::DisabledWithoutNotice => "the old key is disabled without due notice",
            Violation::DeletedUntold => "the old key is deleted and its owner was never told that it is inactive",
            Violation::ToldOffTheRecord => "the owner is told what cannot be recorded",
            Violation::DeletionNotTold => "the owner is never told of the deletion",
            Violation::IntentLeft => "an intent is left for ever",
            Violation::NoSuccessor => "there is no successor for ever",
            Violation::TwoSuccessors => "there are two successors",
            Violation::NotPublished => "the successor is never published",
            Violation::NotTold => "the owner is never told",
            Violation::MakesKeysForEver => "keys are made for ever",
        })
    }
}
