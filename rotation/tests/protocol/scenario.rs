//! What may happen in one search: how many workers, which faults, what a person does, and which defence is left out.

use crate::keys::{AGENTS, BY_HAND, OLD, Set, one, own_key};
use crate::violation::Violation;
use crate::world::{Memory, StateTag, World};

/// One search's bounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scenario {
    /// How many deliveries are worked on at the same time.
    pub(crate) workers: usize,
    /// The secret has no version yet.
    pub(crate) first_version: bool,
    /// The secret is in another account, where calls do not end with the member session.
    pub(crate) central: bool,
    /// How many reads of keys, tags and the secret may miss, or still show, what the tool wrote a moment ago.
    pub(crate) stale_reads: u8,
    /// IAM may grant a third key to calls that come at the same time.
    pub(crate) limit_races: bool,
    /// Calls may be refused, or their answers lost, with or without effect.
    pub(crate) faults: bool,
    /// Days may pass, so that the old key is disabled and deleted.
    pub(crate) days: bool,
    /// What a person may do, and how often in all.
    pub(crate) person: &'static [Act],
    /// How often a person acts.
    pub(crate) acts: u8,
    /// The old key was made by hand a moment ago and never used; an operator asks for its rotation.
    pub(crate) old_is_new: bool,
    /// The old key was replaced and disabled, and its time is over, when an operator asks for its restore: the last worker's
    /// message.
    pub(crate) restores: bool,
    /// The same, and nobody asks for it: the old key is to be deleted.
    pub(crate) deletes: bool,
    /// Mails are looked at: what cannot be recorded is not mailed, what was not accepted is told again, a deletion too. Elsewhere the
    /// record before a mail, and what is told of a deletion, are left out.
    pub(crate) mails: bool,
    /// Users cannot be tagged.
    pub(crate) untaggable: bool,
    /// The old key has leaked: a person has made another by hand a moment ago, and an operator's request has had the old one
    /// deleted. A successor is still to be made.
    pub(crate) leak: bool,
    /// Whose id is lower.
    pub(crate) ids: Ids,
    /// The defences that are left out.
    pub(crate) without: &'static [Defence],
    /// Known limits: what these break is not looked at.
    pub(crate) tolerated: &'static [Violation],
}

/// Whose id is lower where attempts meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ids {
    /// Not looked at: whoever meets another may keep its intent, give way, or give up. Every order is among that.
    Any,
    /// Drawn anew for every attempt. Nobody gives up, and no intent becomes old: what undisturbed attempts do.
    Ordered,
}

/// What a person does, past the tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Makes a key and uses it.
    MakesAndUsesKey,
    /// Makes a key and has not used it yet.
    MakesKey,
    /// Deletes a key of the tool's.
    DeletesSuccessor,
    /// Makes a key of the tool's inactive.
    DisablesSuccessor,
    /// Makes the old key active again.
    EnablesOld,
    /// Installs what is published, and uses it.
    InstallsPublished,
    /// Stores another value in the secret, by hand.
    StoresForeignVersion,
    /// Writes an intent, as whoever may tag the user can. (With no more than two workers.)
    ForgesIntent,
}

/// A defence of the protocol, for leaving it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defence {
    /// 0: one session per attempt, never renewed.
    Fence,
    /// 1: the intent.
    Intent,
    /// 1: the intent names the key that is replaced (`for=`).
    ForOldKey,
    /// 1: it names the other key as well that was there.
    ForPresent,
    /// 1: an intent that names no key is that of an attempt that makes none.
    SettlingMakesNone,
    /// 2: nothing is done while another's intent is young.
    WaitForTurn,
    /// 2: of attempts that meet, the one with the lowest id keeps its intent.
    LowerStays,
    /// 2: of attempts that meet, the ones with higher ids clear theirs.
    HigherYields,
    /// 3: the trace that the attempt leaves on the secret, and by which its intent is believed.
    Trace,
    /// 5: no retries of the call that makes a key.
    CreateOnce,
    /// 5: another list after the key was made.
    ListAfterCreate,
    /// 6, 7: the worker itself stops calling a central store when its session is over.
    OwnFence,
    /// 6, 7: a call without a clear answer is left to be settled.
    AmbiguityKept,
    /// 6, 7: so is a call whose last try was refused and an earlier one had no clear answer.
    EveryTryCounts,
    /// 7: what was refused after a try without a clear answer is never undone, as looks lag.
    DoubtKept,
    /// 7: nothing is undone while no published version is to be seen.
    NoneIsNotNone,
    /// 7: compare-and-swap.
    Expectation,
    /// 7: where another's first version is published, its key is looked at before it is taken over from.
    FirstVersionHasWinner,
    /// 8: a fresh look at the new key.
    Verify,
    /// Settling: a published key that a person has made inactive is settled.
    InactiveIsSettled,
    /// Settling: a pending key does not replace another's live, published one.
    SettlingHasWinner,
    /// A notice counts only if it is not older than the successor.
    NoticeNotOlder,
    /// A notice is dated when it was accepted, not when it was recorded.
    DatedWhenTold,
    /// That the owner is to be told is on record before the mail.
    RecordBeforeMail,
    /// What the owner has not been told of starts no clock.
    UntoldStartsNothing,
    /// That a key's deletion begins is on record before it.
    MarkBeforeDelete,
    LookBeforeDisable,
    LookBeforeDelete,
    /// A restore renews the record before it makes a key active.
    RestoreRenews,
    /// It makes it active when that record is old.
    RestoreWaits,
}

impl Scenario {
    /// Two workers on a secret with a version in it, nothing going wrong but crashes and pauses.
    pub(crate) const fn plain() -> Self {
        Self {
            workers: 2,
            first_version: false,
            central: false,
            stale_reads: 0,
            limit_races: false,
            faults: false,
            days: false,
            person: &[],
            acts: 0,
            old_is_new: false,
            restores: false,
            leak: false,
            deletes: false,
            mails: false,
            untaggable: false,
            ids: Ids::Any,
            without: &[],
            tolerated: &[],
        }
    }

    /// Where it begins.
    pub(crate) fn start(&self) -> World {
        let mut world = World::new(self.first_version);
        world.person = self.acts;
        world.stale_reads = self.stale_reads;
        if self.old_is_new {
            world.fresh = one(OLD);
            world.used = 0;
        }
        if self.restores || self.deletes {
            let successor = own_key(AGENTS - 3);
            world.inactive = one(OLD);
            world.active = one(successor);
            world.created |= one(successor);
            world.versions |= one(successor);
            world.current = successor;
            world.published = one(successor);
            world.tag = StateTag { memory: Memory::Disabled, grace_over: true, is_old: true, deleting: false };
            world.told = one(OLD) | one(successor);
            world.told_in_time = world.told;
            world.told_inactive = true;
        }
        if self.leak {
            world.first = one(BY_HAND);
            world.active = one(BY_HAND);
            world.created |= one(BY_HAND);
            world.fresh = one(BY_HAND);
        }
        world
    }

    /// The keys that the plan is made on.
    pub(crate) fn present(&self) -> Set {
        if self.leak { one(BY_HAND) } else { one(OLD) }
    }

    /// Whether a worker that waits for another's intent may cease to.
    pub(crate) fn gives_up(&self) -> bool {
        self.ids == Ids::Any
    }

    /// Whether this defence is in place.
    pub(crate) fn with(&self, defence: Defence) -> bool {
        !self.without.contains(&defence)
    }

    /// The same, undisturbed.
    pub(crate) fn undisturbed(&self) -> Self {
        Self {
            workers: 0,
            stale_reads: 0,
            ids: Ids::Any,
            limit_races: false,
            faults: false,
            days: false,
            person: &[],
            ..*self
        }
    }
}
