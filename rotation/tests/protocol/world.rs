//! What AWS holds about one user: keys, the tool's tags, the secret's versions. Every call of the protocol is one method here.

use crate::keys::{AGENTS, BY_HAND, FOREIGN, NONE, NOTHING, OLD, Set, has, members, one, own_key};
use crate::violation::Violation;

/// The state tag of the old key. Times are kept as what they are compared with: which keys had been made by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Memory {
    /// No tag.
    Nothing,
    /// `notified`, `forced` or `restored`, when these keys had been made.
    Noticed(Set),
    /// `disabled`.
    Disabled,
    /// `disabled`, written for an operator's restore that is to follow.
    Renewed,
    /// `notified … told=no`.
    NoticeUntold,
    /// `disabled … told=no`.
    DisabledUntold,
}

/// The old key's state tag, as it is or was, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct StateTag {
    pub(crate) memory: Memory,
    /// Whether the period that it began is over: the install grace, or the recovery grace.
    pub(crate) grace_over: bool,
    /// Whether it was written so long ago that every session from before it, or that missed it, is over.
    pub(crate) is_old: bool,
    /// Whether the tag is there that says that its deletion has begun.
    pub(crate) deleting: bool,
}

impl StateTag {
    const NONE: Self = Self { memory: Memory::Nothing, grace_over: false, is_old: false, deleting: false };
}

/// AWS, as far as one user goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct World {
    /// The keys that were there first.
    pub(crate) first: Set,
    /// Live keys.
    pub(crate) active: Set,
    /// Keys that sign nothing.
    pub(crate) inactive: Set,
    /// Keys that have been used.
    pub(crate) used: Set,
    /// Keys that were ever made.
    pub(crate) created: Set,
    /// Keys made within minutes: an intent written now may have made them.
    pub(crate) fresh: Set,
    /// Keys the tool made seconds ago: a stale list misses them.
    pub(crate) new_keys: Set,
    /// Intents written seconds ago: a stale list misses them.
    pub(crate) new_intents: Set,
    /// Keys whose maker has not made another call since: a call at the same time does not count them.
    pub(crate) racing: Set,
    /// Keys deleted a moment ago: a stale list still shows them.
    pub(crate) ghosts: Set,
    /// Those of them that had been inactive for a while: it shows them so.
    pub(crate) inactive_ghosts: Set,
    /// Versions stored seconds ago: a stale look at the secret misses them.
    pub(crate) new_versions: Set,
    /// Versions that were the published one until seconds ago: a stale look still shows them so. [`NOTHING`] where none was.
    pub(crate) was_current: Set,
    /// Intents that are there, by worker.
    pub(crate) intents: Set,
    /// Those of them that are old.
    pub(crate) old: Set,
    /// Whose (last) intent is that of an attempt that only settles, and so names no key.
    pub(crate) settling: Set,
    /// By intent: the keys it may have made, going by their creation.
    pub(crate) window: [Set; AGENTS],
    /// By intent: the keys that were there when it was written.
    pub(crate) before: [Set; AGENTS],
    /// By intent: the intents that were young when it was written; they become old before it does.
    pub(crate) elder: [Set; AGENTS],
    /// By intent: those with lower ids, where ids are looked at ([`crate::scenario::Ids`]).
    pub(crate) lower: [Set; AGENTS],
    /// By intent: the workers that missed it in a stale list, seconds after it was written, and have had no other session since:
    /// theirs is over when this intent is old.
    pub(crate) missed_by: [Set; AGENTS],
    /// By the trace on the secret: the intents of the attempt that prepared it last, and of those that it can have met without seeing
    /// them.
    pub(crate) traced: Set,
    /// Intents that a person has written, there or not.
    pub(crate) forged: Set,
    /// Keys made within minutes of the attempt whose trace that is: an intent that a person has written can have its date. (Where
    /// persons write intents.)
    pub(crate) near_trace: Set,
    /// Whether that attempt was minutes ago at most, and whether it was just now: then no expired intent has its date.
    pub(crate) recent_trace: bool,
    pub(crate) new_trace: bool,
    /// Keys that an attempt has made, and that are left to a person.
    pub(crate) left: Set,
    /// Workers whose member session is over.
    pub(crate) expired: Set,
    /// Versions in the secret.
    pub(crate) versions: Set,
    pub(crate) current: u8,
    /// Versions that were ever published.
    pub(crate) published: Set,
    /// The old key's state tag.
    pub(crate) tag: StateTag,
    /// What it was until seconds ago: a stale read of the tags still shows that.
    pub(crate) tag_was: Option<StateTag>,
    /// Workers whose sessions are over when the state tag is old: they had one when it was written, or missed it seconds later.
    pub(crate) before_tag: Set,
    /// Keys that the tool has made active seconds ago: a stale list shows them inactive.
    pub(crate) just_enabled: Set,
    /// Keys that the tool has made inactive seconds ago: a stale list shows them active.
    pub(crate) just_disabled: Set,
    /// The keys that had been made when a mail about the old key was last accepted.
    pub(crate) told: Set,
    /// The same, of mails accepted an install grace ago.
    pub(crate) told_in_time: Set,
    /// Whether a mail has been accepted that says that the old key is inactive, since it has been.
    pub(crate) told_inactive: bool,
    /// Whether the tool has deleted the old key, and no mail that says so has been accepted.
    pub(crate) deletion_untold: bool,
    /// How many reads may still be stale.
    pub(crate) stale_reads: u8,
    /// How much a person may still do.
    pub(crate) person: u8,
    /// Keys a person has deleted or switched off, or on.
    pub(crate) meddled: Set,
}

impl World {
    /// A user with one key, which is due; a secret with a version of somebody else's in it, or with none.
    pub(crate) fn new(first_version: bool) -> Self {
        Self {
            first: one(OLD),
            active: one(OLD),
            inactive: 0,
            used: one(OLD),
            created: one(OLD),
            fresh: 0,
            new_keys: 0,
            new_intents: 0,
            racing: 0,
            ghosts: 0,
            inactive_ghosts: 0,
            new_versions: 0,
            was_current: 0,
            intents: 0,
            old: 0,
            settling: 0,
            window: [0; AGENTS],
            before: [0; AGENTS],
            elder: [0; AGENTS],
            lower: [0; AGENTS],
            missed_by: [0; AGENTS],
            traced: 0,
            forged: 0,
            near_trace: 0,
            recent_trace: false,
            new_trace: false,
            left: 0,
            expired: 0,
            versions: if first_version { 0 } else { one(FOREIGN) },
            current: if first_version { NONE } else { FOREIGN },
            published: 0,
            tag: StateTag::NONE,
            tag_was: None,
            before_tag: 0,
            just_enabled: 0,
            just_disabled: 0,
            told: 0,
            told_in_time: 0,
            told_inactive: false,
            deletion_untold: false,
            stale_reads: 0,
            person: 0,
            meddled: 0,
        }
    }

    /// Keys that exist.
    pub(crate) fn keys(&self) -> Set {
        self.active | self.inactive
    }

    /// Intents that are not old.
    pub(crate) fn young(&self) -> Set {
        self.intents & !self.old
    }

    /// Whether somebody has this key for certain: it is published, or has been used.
    pub(crate) fn in_hand(&self, key: u8) -> bool {
        has(self.active, key) && (self.current == key || has(self.used, key))
    }

    // ---- the member account ----------------------------------------------------------------------------------------

    /// `iam:TagUser`: an intent.
    pub(crate) fn leave_intent(&mut self, worker: usize, settling: bool, lower: Option<Set>) {
        let own = one(worker as u8);
        let young = self.young() & !own;
        self.order(worker, lower);
        self.intents |= own;
        self.new_intents |= own;
        self.old &= !own;
        self.traced &= !own;
        self.settling = if settling { self.settling | own } else { self.settling & !own };
        self.window[worker] = self.fresh;
        self.before[worker] = self.keys();
        for elder in &mut self.elder {
            *elder &= !own;
        }
        self.elder[worker] = young;
        self.missed_by[worker] = 0;
    }

    /// Gives an intent its place among those that are there: after these, before the others. `None`: no ids are looked at.
    fn order(&mut self, worker: usize, lower: Option<Set>) {
        let Some(lower) = lower else { return };
        let own = one(worker as u8);
        for other in members(self.intents & !own).map(usize::from) {
            self.lower[other] &= !own;
            if !has(lower, other as u8) {
                self.lower[other] |= own;
            }
        }
        self.lower[worker] = lower;
    }

    /// `iam:UntagUser`: intents cleared.
    pub(crate) fn clear_intents(&mut self, which: Set) {
        self.intents &= !which;
        self.new_intents &= !which;
        self.old &= !which;
        for worker in members(which).map(usize::from).filter(|worker| *worker < AGENTS) {
            self.missed_by[worker] = 0;
            self.lower[worker] = 0;
        }
        for lower in &mut self.lower {
            *lower &= !which;
        }
    }

    /// A person who may tag the user writes an intent: whatever date it has, and so about any key.
    pub(crate) fn forge_intent(&mut self, agent: u8) {
        self.intents |= one(agent);
        self.old |= one(agent);
        self.forged |= one(agent);
        self.settling &= !one(agent);
        self.window[usize::from(agent)] = self.created;
    }

    /// `sts:AssumeRole`.
    pub(crate) fn new_session(&mut self, worker: usize) {
        let own = one(worker as u8);
        self.expired &= !own;
        self.before_tag &= !own;
        for missed in &mut self.missed_by {
            *missed &= !own;
        }
    }

    /// `iam:CreateAccessKey` by the tool.
    pub(crate) fn make_successor(&mut self, key: u8) {
        self.create(key);
        self.new_keys |= one(key);
        self.racing |= one(key);
    }

    /// `iam:CreateAccessKey`, whoever calls.
    pub(crate) fn create(&mut self, key: u8) {
        self.active |= one(key);
        self.created |= one(key);
        self.fresh |= one(key);
        if self.recent_trace {
            self.near_trace |= one(key);
        }
        for worker in members(self.young()) {
            self.window[usize::from(worker)] |= one(key);
        }
    }

    /// `iam:DeleteAccessKey` by the tool, of a key that its rules take for one that nobody has.
    pub(crate) fn delete(&mut self, key: u8) -> Result<(), Violation> {
        let claims = |agent: u8| !has(self.settling, agent) && has(self.window[usize::from(agent)], key);
        let is_forged = |agent: u8| has(self.forged, agent) && !has(self.near_trace, key);
        let made_by_attempt = (0..AGENTS as u8).any(|agent| claims(agent) && !is_forged(agent));
        let violation = if has(self.first, key) {
            Some(Violation::OldKeyDeleted)
        } else if key == BY_HAND && (has(self.used, key) || !made_by_attempt) {
            Some(Violation::HandMadeKeyDeleted)
        } else if key == BY_HAND {
            Some(Violation::TakenForOrphan)
        } else if has(self.active, key) && self.current == key {
            Some(Violation::PublishedKeyDeleted)
        } else {
            None
        };
        self.remove(key);
        violation.map_or(Ok(()), Err)
    }

    /// `iam:DeleteAccessKey`, whoever calls.
    pub(crate) fn remove(&mut self, key: u8) {
        if has(self.keys(), key) {
            self.ghosts |= one(key);
        }
        self.inactive_ghosts |= self.inactive & one(key) & !self.just_disabled;
        self.active &= !one(key);
        self.inactive &= !one(key);
        self.fresh &= !one(key);
        self.new_keys &= !one(key);
        self.racing &= !one(key);
        self.just_enabled &= !one(key);
        self.just_disabled &= !one(key);
    }

    /// `iam:UpdateAccessKey`.
    pub(crate) fn set_status(&mut self, key: u8, active: bool) {
        let (from, to) =
            if active { (&mut self.inactive, &mut self.active) } else { (&mut self.active, &mut self.inactive) };
        if has(*from, key) {
            *from &= !one(key);
            *to |= one(key);
            let (just, not) = if active {
                (&mut self.just_enabled, &mut self.just_disabled)
            } else {
                (&mut self.just_disabled, &mut self.just_enabled)
            };
            *just |= one(key);
            *not &= !one(key);
            if key == OLD {
                self.told_inactive = false;
            }
        }
    }

    /// The tag of the old key's deletion is written, or removed.
    pub(crate) fn mark_deletion(&mut self, deleting: bool) {
        self.tag_was = Some(self.tag);
        self.tag.deleting = deleting;
    }

    /// The old key's state tag, as of now, about what was told when these keys had been made.
    pub(crate) fn remember(&mut self, what: Memory) {
        self.tag_was = Some(self.tag);
        self.tag = StateTag { memory: what, deleting: self.tag.deleting, ..StateTag::NONE };
        self.before_tag = !self.expired;
    }

    // ---- the secret ------------------------------------------------------------------------------------------------

    /// `secretsmanager:PutResourcePolicy`, with the time of this worker's intent as its trace: in place of the one before. It confirms
    /// as well what was written at that time: an intent that was young when this one was written, or the other way round, was written
    /// within seconds of it, or seen.
    pub(crate) fn leave_trace(&mut self, worker: usize, may_be_forged: bool) {
        let own = one(worker as u8);
        let later = (0..AGENTS).filter(|other| self.elder[*other] & own != 0).map(|other| one(other as u8));
        self.traced = own | self.elder[worker] | later.fold(0, |all, other| all | other);
        if may_be_forged {
            self.near_trace = self.fresh;
            (self.recent_trace, self.new_trace) = (true, true);
        }
    }

    /// Whether an expired intent's attempt has left its trace, as far as this key goes.
    pub(crate) fn is_confirmed(&self, intent: u8, key: u8) -> bool {
        match has(self.forged, intent) {
            true => has(self.near_trace, key) && !self.new_trace,
            false => has(self.traced, intent),
        }
    }

    /// `secretsmanager:PutSecretValue`: stored as pending; a secret's first version is published at once.
    pub(crate) fn put_pending(&mut self, key: u8) {
        self.versions |= one(key);
        self.new_versions |= one(key);
        if self.current == NONE {
            self.publish(key);
        }
    }

    /// `secretsmanager:UpdateSecretVersionStage`: whether the published version was the expected one.
    pub(crate) fn swap(&mut self, key: u8, expected: u8, compares: bool) -> bool {
        // What is published already may be published again where nothing is expected, and nothing changes.
        let again = expected == NONE && self.current == key;
        let swaps = self.current == expected || again || !compares;
        if swaps {
            self.publish(key);
        }
        swaps
    }

    fn publish(&mut self, key: u8) {
        if self.current != key {
            self.was_current |= one(if self.current == NONE { NOTHING } else { self.current });
        }
        self.current = key;
        self.published |= one(key);
    }

    // ---- the mails -------------------------------------------------------------------------------------------------

    /// A mail about the old key is accepted.
    pub(crate) fn tell(&mut self) {
        self.told = self.created;
    }

    // ---- time ------------------------------------------------------------------------------------------------------

    /// Whether this intent may be the next to become old.
    pub(crate) fn may_age(&self, worker: usize) -> bool {
        has(self.young(), worker as u8) && self.elder[worker] & self.young() == 0
    }

    /// Fifteen minutes of session and five for clocks since this intent was written: its worker's session is over.
    ///
    /// What was made before it, or on that session, is minutes old. And no read misses any intent, key or version that is there: whoever
    /// wrote its intent within seconds of this one did so twenty minutes ago, and whoever wrote it later has seen this one, and made
    /// no key.
    pub(crate) fn age(&mut self, worker: usize) {
        self.old |= one(worker as u8);
        self.expired |= one(worker as u8) | self.missed_by[worker];
        self.missed_by[worker] = 0;
        self.fresh &= !(self.before[worker] | one(own_key(worker)));
        self.ghosts &= !(self.before[worker] | one(own_key(worker)));
        self.inactive_ghosts &= self.ghosts;
        self.up_to_date();
    }

    fn up_to_date(&mut self) {
        self.new_keys = 0;
        self.new_intents = 0;
        self.racing = 0;
        self.new_versions = 0;
        self.was_current = 0;
        self.new_trace = false;
        self.tag_was = None;
        self.just_enabled = 0;
        self.just_disabled = 0;
    }

    /// Fifteen minutes of session and five for clocks since the state tag was written.
    pub(crate) fn tag_ages(&mut self) {
        self.tag.is_old = true;
        self.expired |= self.before_tag;
        self.before_tag = 0;
        self.up_to_date();
    }

    /// Minutes pass in which nobody does anything: all intents are old, all reads up to date.
    pub(crate) fn rest(&mut self) {
        self.old = self.intents;
        self.fresh = 0;
        self.ghosts = 0;
        self.inactive_ghosts = 0;
        self.before_tag = 0;
        self.tag.is_old = self.tag.memory != Memory::Nothing;
        self.recent_trace = false;
        self.up_to_date();
    }

    /// Days pass, as many as the longest grace has: all intents are old, all sessions over, all reads up to date.
    pub(crate) fn days_pass(&mut self) {
        self.rest();
        self.expired = Set::MAX;
        self.tag.grace_over = self.tag.memory != Memory::Nothing;
        self.told_in_time = self.told;
    }
}
