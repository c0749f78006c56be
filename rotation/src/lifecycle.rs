//! What happens to a key, and when: *(now, policy, what is known of one user) -> a verdict*.
//!
//! Three promises hold here, and are tested over whole simulated years:
//! 1. **Notice before harm.** A key is disabled no sooner than the install grace after a notice about *that key* was
//!    accepted, and the notice counts only if it was given after its present successor was made.
//! 2. **No live key is ever deleted.** Only an inactive key is, after the recovery grace.
//! 3. **Unknown is not "no".** Where a last use or a publication is unknown, the verdict is [`Verdict::Undecided`].

use jiff::{SignedDuration, Timestamp};

use crate::evidence::{Decided, known_publication, known_use, no_earlier, notice_since, used_after_disable};
use crate::finding::Finding;
use crate::key::{Key, KeyStatus, LastUse, Memory, Remembered};
use crate::plan::{Action, Deletable, DeleteReason, Missing, Notice, NoticeKind, Plan, Safeguard, Upcoming, Verdict};
use crate::policy::{Policy, UnusedKeys, after, before};
use crate::user::User;

/// A key used within this time counts as in use.
const IN_USE_WITHIN: SignedDuration = SignedDuration::from_hours(24);

/// Decides about one user.
///
/// A verdict may be asked for with every last use and publication still unknown: only if something is to be done or said
/// does it matter, and then the answer is [`Verdict::Undecided`]. That is how idle users cost no further calls.
pub fn plan(now: Timestamp, policy: &Policy, user: &User) -> Verdict {
    if let Some(exemption) = user.exemption(now) {
        return Verdict::Exempt(exemption);
    }
    if let Some(standstill) = standstill(user) {
        return match standstill {
            Standstill::SettleFirst => Verdict::SettleFirst,
            Standstill::Findings(findings) => {
                Verdict::Act(Plan { actions: findings.into_iter().map(Action::Report).collect() })
            }
        };
    }
    let (policy, bad_override) = user.policy(policy);
    let rules = Rules { now, policy };
    let decided = rules.forget_orphans(user).and_then(|mut actions| {
        actions.extend(rules.keys(user)?);
        everything_known(user, &actions)?;
        Ok(actions)
    });
    match decided {
        Ok(mut actions) => {
            actions.extend(bad_override.map(Action::Report));
            Verdict::Act(Plan { actions })
        }
        Err(missing) => Verdict::Undecided(missing),
    }
}

/// What stops every plan about a user.
pub(crate) enum Standstill {
    /// An attempt left its intent.
    SettleFirst,
    /// A person has to look first: reported, nothing changed.
    Findings(Vec<Finding>),
}

/// Whether anything stops every plan about a user. What cannot be read comes first: it may be an intent. Then intents:
/// they may explain a third key, which is then settled away; only a third key that nothing explains is a finding.
pub(crate) fn standstill(user: &User) -> Option<Standstill> {
    if !user.tags.unreadable.is_empty() {
        Some(Standstill::Findings(user.tags.unreadable.clone()))
    } else if !user.tags.intents.is_empty() {
        Some(Standstill::SettleFirst)
    } else if user.keys.len() > 2 {
        Some(Standstill::Findings(vec![Finding::TooManyKeys { count: user.keys.len() }]))
    } else {
        None
    }
}

/// Where anything is to be done or told, every key's last use must be known, and with two active keys which of them is
/// published.
fn everything_known(user: &User, actions: &[Action]) -> Result<(), Missing> {
    if actions.is_empty() {
        return Ok(());
    }
    for key in &user.keys {
        if key.last_use == LastUse::Unknown {
            return Err(Missing::LastUse(key.id.clone()));
        }
    }
    if user.keys.iter().filter(|key| key.status == KeyStatus::Active).count() > 1 {
        for key in &user.keys {
            known_publication(key)?;
        }
    }
    Ok(())
}

/// The rules at one moment under one policy.
struct Rules {
    now: Timestamp,
    policy: Policy,
}

impl Rules {
    fn keys(&self, user: &User) -> Decided<Vec<Action>> {
        let mut keys: Vec<&Key> = user.keys.iter().collect();
        keys.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        let (active, inactive): (Vec<&Key>, Vec<&Key>) =
            keys.into_iter().partition(|key| key.status == KeyStatus::Active);

        let mut actions: Vec<Action> = inactive.iter().filter_map(|key| self.inactive(key)).collect();

        // Re-enabled by a person: say what follows. The rest of the plan takes it as said, so that asking again at the
        // same instant changes nothing more.
        actions.extend(active.iter().filter(|key| self.was_re_enabled(key)).map(|key| self.restored(key)));
        let active: Vec<Key> = active.into_iter().map(|key| self.as_told(key)).collect();
        let active: Vec<&Key> = active.iter().collect();

        let retiring = self.retiring(&active)?;
        actions.extend(match (active.as_slice(), retiring.as_slice()) {
            ([], _) => Vec::new(),
            (_, [_, ..]) => retiring.into_iter().filter_map(|key| self.retire(key)).collect(),
            ([only], []) => match inactive.first() {
                Some(other) => self.one_active_one_inactive(only, other).into_iter().collect(),
                None => self.one_active(only).into_iter().collect(),
            },
            ([older, newer, ..], []) => self.two_active_and_one_left(older, newer)?,
        });
        Ok(actions)
    }

    // ---- inactive keys -------------------------------------------------------------------------------------------

    /// An inactive key: adopted if this tool did not disable it; deleted when its recovery grace is over.
    fn inactive(&self, key: &Key) -> Option<Action> {
        match self.deletion_of(key) {
            None => Some(Action::Adopt { key: key.id.clone(), delete_due: self.delete_due(self.now) }),
            Some((disabled, due)) if self.now >= due => {
                Some(Action::Delete(Deletable::new(key.id.clone(), DeleteReason::RecoveryGraceOver { disabled })))
            }
            Some((_, due)) => self.warn(key, Upcoming::Delete, due),
        }
    }

    /// Since when an inactive key is known to be disabled, and when it may be deleted. A key that was used since was
    /// active in between, unseen: its record is void, and its recovery grace starts anew.
    fn deletion_of(&self, key: &Key) -> Option<(Timestamp, Timestamp)> {
        match key.memory {
            Memory::Known(Remembered::Disabled(at)) if used_after_disable(key, at) => None,
            Memory::Known(Remembered::Disabled(at)) => Some((at, self.delete_due(at))),
            Memory::Known(Remembered::Notified(_) | Remembered::Forced(_) | Remembered::Restored(_))
            | Memory::Nothing
            | Memory::Unreadable(_) => None,
        }
    }

    fn delete_due(&self, disabled: Timestamp) -> Timestamp {
        after(disabled, self.policy.recovery_grace())
    }

    // ---- re-enabled keys -----------------------------------------------------------------------------------------

    fn was_re_enabled(&self, key: &Key) -> bool {
        matches!(key.memory, Memory::Known(Remembered::Disabled(_)))
    }

    /// The key as it is once its owner has been told that it was seen re-enabled.
    fn as_told(&self, key: &Key) -> Key {
        let mut told = key.clone();
        if self.was_re_enabled(key) {
            told.memory = Memory::Known(Remembered::Restored(self.now));
        }
        told
    }

    fn restored(&self, key: &Key) -> Action {
        let notice = Notice { kind: NoticeKind::Restored, disable_due: Some(self.grace_from(self.now)) };
        Action::Notify { key: key.id.clone(), notice }
    }

    // ---- keys never used, where policy retires them ---------------------------------------------------------------

    fn retiring<'a>(&self, active: &[&'a Key]) -> Decided<Vec<&'a Key>> {
        let mut retiring = Vec::new();
        if self.policy.unused_keys() == UnusedKeys::Retire && !self.is_being_replaced(active)? {
            for key in active.iter().filter(|key| self.is_due(key)) {
                match key.last_use {
                    LastUse::Unknown => return Err(Missing::LastUse(key.id.clone())),
                    LastUse::Never => retiring.push(*key),
                    LastUse::At { .. } => {}
                }
            }
        }
        Ok(retiring)
    }

    /// Whether the older key has been told that it goes in favour of a newer one which we have made. Then that comes first:
    /// were the newer one retired meanwhile, the older would get one successor after another and never go.
    fn is_being_replaced(&self, active: &[&Key]) -> Decided<bool> {
        match active {
            [older, newer] => Ok(self.notice_for(older, newer)?.is_some() && known_publication(newer)?),
            [] | [_] | [_, _, _, ..] => Ok(false),
        }
    }

    fn retire(&self, key: &Key) -> Option<Action> {
        // A notice from before the key was due told of something else.
        let Some(noticed) = notice_since(key, self.due(key)) else {
            let notice = Notice { kind: NoticeKind::Retired, disable_due: Some(self.grace_from(self.now)) };
            return Some(Action::Notify { key: key.id.clone(), notice });
        };
        let due = self.grace_from(noticed.time());
        if self.now < due {
            return self.warn(key, Upcoming::Disable, due);
        }
        Some(self.disable(key, Safeguard::StillUnused))
    }

    // ---- one active key -----------------------------------------------------------------------------------------

    fn one_active(&self, key: &Key) -> Option<Action> {
        if self.is_due(key) { Some(self.rotate(key)) } else { self.warn(key, Upcoming::Rotate, self.due(key)) }
    }

    /// The inactive key has been decided about already; the active one needs its place.
    fn one_active_one_inactive(&self, active: &Key, inactive: &Key) -> Option<Action> {
        if !self.is_due(active) {
            return self.one_active(active);
        }
        match self.deletion_of(inactive) {
            Some((_, due)) if self.now >= due => Some(self.rotate(active)),
            waiting => {
                let due = waiting.map_or_else(|| self.delete_due(self.now), |(_, due)| due);
                let upcoming = Upcoming::RotateAfterDeletion { of: inactive.id.clone() };
                Some(Action::Warn { key: active.id.clone(), upcoming, due })
            }
        }
    }

    fn rotate(&self, key: &Key) -> Action {
        let due = self.disable_due(key, self.now);
        Action::Rotate {
            old: key.id.clone(),
            present: vec![key.id.clone()],
            notice: Some(Notice { kind: NoticeKind::Replaced { by: None }, disable_due: Some(due) }),
        }
    }

    // ---- two active keys ----------------------------------------------------------------------------------------

    /// If one of them goes now, the other is left, and may be one to retire.
    fn two_active_and_one_left(&self, older: &Key, newer: &Key) -> Decided<Vec<Action>> {
        let mut actions: Vec<Action> = self.two_active(older, newer)?.into_iter().collect();
        if let [Action::Disable { key, .. }] = actions.as_slice() {
            let left = if *key == older.id { newer } else { older };
            actions.extend(self.retiring(&[left])?.into_iter().filter_map(|key| self.retire(key)));
        }
        Ok(actions)
    }

    fn two_active(&self, older: &Key, newer: &Key) -> Decided<Option<Action>> {
        if self.is_due(newer) {
            return self.both_due(older, newer);
        }
        if self.is_due(older) || self.replaced_before_due(older, newer)? {
            let kind = NoticeKind::Replaced { by: Some(newer.id.clone()) };
            return self.replaced(older, newer, kind, |noticed| match noticed {
                Remembered::Notified(t) => self.disable_due(older, t),
                Remembered::Forced(t) | Remembered::Restored(t) | Remembered::Disabled(t) => self.grace_from(t),
            });
        }
        let upcoming = Upcoming::SuccessorCounts { successor: newer.id.clone() };
        Ok(self.warn(older, upcoming, self.due(older)))
    }

    /// A key that is not due by age but replaced all the same: by force, or re-enabled after such a replacement.
    fn replaced_before_due(&self, older: &Key, newer: &Key) -> Decided<bool> {
        Ok(match self.notice_for(older, newer)? {
            Some(Remembered::Forced(_) | Remembered::Restored(_)) => true,
            Some(Remembered::Notified(_) | Remembered::Disabled(_)) | None => false,
        })
    }

    /// The notice on a key that counts towards disabling it while `other` stands in for it: given since `other` was made,
    /// and since the key was due, because an earlier one told of something else (a shorter period that no longer applies, or
    /// a young key switched off and on again). A forced notice waits for no age; nor does one about the re-enabling of a
    /// key whose successor we have made.
    fn notice_for(&self, key: &Key, other: &Key) -> Decided<Option<Remembered>> {
        let Some(noticed) = notice_since(key, other.created) else { return Ok(None) };
        let counts = match noticed {
            Remembered::Forced(_) => true,
            Remembered::Notified(at) | Remembered::Disabled(at) => no_earlier(at, self.due(key)),
            Remembered::Restored(at) => {
                no_earlier(at, self.due(key)) || (key.created <= other.created && known_publication(other)?)
            }
        };
        Ok(counts.then_some(noticed))
    }

    /// No third key is possible: the less recently used one goes, then the other has room.
    fn both_due(&self, older: &Key, newer: &Key) -> Decided<Option<Action>> {
        let older_noticed = self.notice_for(older, newer)?.is_some();
        let newer_noticed = self.notice_for(newer, older)?.is_some();
        let (leaves, stays) = match (older_noticed, newer_noticed) {
            (true, false) => (older, newer),
            (false, true) => (newer, older),
            (true, true) | (false, false) => {
                if known_use(older)? <= known_use(newer)? {
                    (older, newer)
                } else {
                    (newer, older)
                }
            }
        };
        let kind = NoticeKind::MakeRoom { other: stays.id.clone() };
        self.replaced(leaves, stays, kind, |noticed| self.grace_from(noticed.time()))
    }

    /// A key that another one stands in for: notice, warning, and in the end the disable.
    fn replaced(
        &self,
        key: &Key,
        successor: &Key,
        kind: NoticeKind,
        due: impl Fn(Remembered) -> Timestamp,
    ) -> Decided<Option<Action>> {
        let Some(noticed) = self.notice_for(key, successor)? else {
            let disable_due = Some(due(kind.record(self.now)));
            return Ok(Some(Action::Notify { key: key.id.clone(), notice: Notice { kind, disable_due } }));
        };
        let due = due(noticed);
        if self.now < due {
            return Ok(self.warn(key, Upcoming::Disable, due));
        }
        if !known_publication(successor)? && known_use(successor)?.is_none() {
            let finding = Finding::SuccessorNotInHand { old: key.id.clone(), new: successor.id.clone() };
            return Ok(Some(Action::Report(finding)));
        }
        let until = after(due, self.policy.in_use_extension());
        if self.now < until && self.is_in_use(key)? && known_use(successor)?.is_none() {
            return Ok(Some(Action::Postpone { key: key.id.clone(), until, last_use: key.last_use.clone() }));
        }
        Ok(Some(self.disable(key, Safeguard::SuccessorInHand { successor: successor.id.clone() })))
    }

    fn disable(&self, key: &Key, safeguard: Safeguard) -> Action {
        Action::Disable { key: key.id.clone(), safeguard, delete_due: self.delete_due(self.now) }
    }

    // ---- dates --------------------------------------------------------------------------------------------------

    /// When the key reaches the rotation period.
    fn due(&self, key: &Key) -> Timestamp {
        after(key.created, self.policy.rotation_period())
    }

    fn is_due(&self, key: &Key) -> bool {
        self.now >= self.due(key)
    }

    /// The install grace, counted from a notice.
    fn grace_from(&self, noticed: Timestamp) -> Timestamp {
        after(noticed, self.policy.install_grace())
    }

    /// When a replaced key is disabled: at the inactive period, and never sooner than the install grace after the notice.
    fn disable_due(&self, key: &Key, noticed: Timestamp) -> Timestamp {
        after(key.created, self.policy.inactive_period()).max(self.grace_from(noticed))
    }

    fn is_in_use(&self, key: &Key) -> Decided<bool> {
        let recently = self.now.checked_sub(IN_USE_WITHIN).unwrap_or(Timestamp::MIN);
        Ok(known_use(key)?.is_some_and(|when| when >= recently))
    }

    /// A warning, once what comes is within the warning period.
    fn warn(&self, key: &Key, upcoming: Upcoming, due: Timestamp) -> Option<Action> {
        (self.now >= before(due, self.policy.warn_period())).then(|| Action::Warn {
            key: key.id.clone(),
            upcoming,
            due,
        })
    }

    // ---- what is left behind -------------------------------------------------------------------------------------

    /// State tags of keys that are gone. They stay for the recovery grace: a forced rotation that was interrupted after
    /// it deleted the key it contained is recognised by them.
    fn forget_orphans(&self, user: &User) -> Decided<Vec<Action>> {
        Ok(user
            .orphaned_states()
            .filter(|(_, remembered)| self.now >= self.delete_due(remembered.time()))
            .map(|(key, _)| Action::Forget { key: key.clone() })
            .collect())
    }
}
