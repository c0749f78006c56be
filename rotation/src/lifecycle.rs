//! What happens to a key, and when: *(now, policy, what is known of one user) -> a verdict*.
//!
//! Three promises hold here, and are tested over whole simulated years:
//! 1. **Notice before harm.** A key is disabled no sooner than the install grace after a notice about *that key* was
//!    accepted, and the notice counts only if it was given after its present successor was made.
//! 2. **No live key is ever deleted.** Only an inactive key is, after the recovery grace.
//! 3. **Unknown is not "no".** Where a last use or a publication is unknown, the verdict is [`Verdict::Undecided`].

mod inactive;

pub(crate) use inactive::untold_of_gone;

use jiff::{SignedDuration, Timestamp};

use crate::evidence::{
    Known, is_untold_re_enabled, known_publication, known_use, later, may_be_contained_still, may_come_again,
    no_earlier, notice_since, restored,
};
use crate::finding::Finding;
use crate::ids::AccessKeyId;
use crate::key::{Key, KeyStatus, LastUse};
use crate::plan::{Action, DisablePrecondition, Notice, NoticeKind, Plan, Upcoming};
use crate::policy::{Policy, UnusedKeys, after, before};
use crate::state::{KeyState, KeyStateKind};
use crate::user::User;
use crate::verdict::{Exemption, MissingFact, Verdict};

/// A key used within this time counts as in use.
const IN_USE_WITHIN: SignedDuration = SignedDuration::from_hours(24);

pub(crate) fn decide(now: Timestamp, policy: &Policy, user: &User) -> Verdict {
    let (user_policy, bad_override) = user.policy(policy);
    let exempt_until = user.tags.exempt_until.filter(|until| *until <= now);
    let rules = LifecycleRules { now, policy: user_policy, exempt_until };
    let blocker = blocker(user);
    if let Some(exemption) = user.exemption(now) {
        return match rules.during_exemption(user, exemption, blocker.is_none()) {
            Ok(actions) if actions.is_empty() => Verdict::Exempt(exemption),
            Ok(actions) => act(actions),
            Err(missing) => Verdict::Undecided(missing),
        };
    }
    if let Some(blocker) = blocker {
        return match blocker {
            Blocker::SettleFirst => Verdict::SettleFirst,
            Blocker::Findings(findings) => {
                let untold = user.keys_by_age().into_iter().filter_map(|key| rules.untold_disable(key));
                act(untold.chain(findings.into_iter().map(Action::ReportFinding)).collect())
            }
        };
    }
    if user.keys.iter().any(|key| may_be_contained_still(key, now)) {
        return act(Vec::new());
    }
    match rules.decide(user) {
        Ok(mut actions) => {
            actions.extend(bad_override.map(Action::ReportFinding));
            act(actions)
        }
        Err(missing) => Verdict::Undecided(missing),
    }
}

/// Until then nothing is to be done or said about an active key that nothing is recorded of, nor about another such key beside it.
pub(crate) fn quiet_until(policy: &Policy, created: Timestamp) -> Timestamp {
    before(after(created, policy.rotation_period()), policy.warn_period())
}

fn act(actions: Vec<Action>) -> Verdict {
    Verdict::Act(Plan { actions, ..Plan::default() })
}

/// What stops every plan about a user.
pub(crate) enum Blocker {
    /// An attempt left its intent.
    SettleFirst,
    /// A person has to look first: reported, nothing changed. What was done before, as a leaked key may be contained all the same, is
    /// told.
    Findings(Vec<Finding>),
}

/// Whether anything stops every plan about a user. What cannot be read comes first: it may be an intent. Then intents:
/// they may explain a third key, which is then settled away; only a third key that nothing explains is a finding.
pub(crate) fn blocker(user: &User) -> Option<Blocker> {
    if !user.tags.unreadable.is_empty() {
        Some(Blocker::Findings(user.tags.unreadable.clone()))
    } else if !user.tags.intents.is_empty() {
        Some(Blocker::SettleFirst)
    } else if user.keys.len() > 2 {
        Some(Blocker::Findings(vec![Finding::TooManyKeys { count: user.keys.len() }]))
    } else {
        None
    }
}

/// Whether the owner is told something of this key that is on record as untold.
fn is_announced(actions: &[Action], key: &AccessKeyId) -> bool {
    actions.iter().any(|action| matches!(action, Action::Announce { key: of, .. } if of == key))
}

/// Where anything is to be done or told, every key's last use must be known, and with two active keys which of them is
/// published.
fn everything_known(user: &User, actions: &[Action]) -> Known<()> {
    if actions.is_empty() {
        return Ok(());
    }
    for key in &user.keys {
        if key.last_use == LastUse::Unknown {
            return Err(MissingFact::LastUse(key.id.clone()));
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
struct LifecycleRules {
    now: Timestamp,
    policy: Policy,
    /// When the user's last exemption by a date ended.
    exempt_until: Option<Timestamp>,
}

impl LifecycleRules {
    fn decide(&self, user: &User) -> Known<Vec<Action>> {
        let mut actions = self.keys_that_are_gone(user);
        actions.extend(Self::not_deleted(user));
        actions.extend(self.for_keys(user)?);
        everything_known(user, &actions)?;
        Ok(actions)
    }

    /// What was disabled, deleted or restored before the exemption, and not told, is told. What owners were told is void: once it has
    /// ended they are told anew. What an operator's request has recorded stays, as void, as long as that request may come again. A
    /// protected user is out of reach, tags included; and where a person has to look first, or an attempt has to be settled, nothing is
    /// void.
    fn during_exemption(&self, user: &User, exemption: Exemption, may_void: bool) -> Known<Vec<Action>> {
        if exemption == Exemption::Protected {
            return Ok(Vec::new());
        }
        let mut actions = untold_of_gone(user);
        let untold = user.keys_by_age().into_iter().filter(|key| key.state.as_ref().is_some_and(KeyState::is_untold));
        actions.extend(untold.filter_map(|key| match (key.status, &key.state) {
            (KeyStatus::Inactive, _) => self.untold_disable(key),
            (KeyStatus::Active, Some(state)) if state.kind == KeyStateKind::Restored => Some(self.notify_restored(key)),
            (KeyStatus::Active, _) => None,
        }));
        let states = user.tags.states.iter().filter(|(key, _)| may_void && !is_announced(&actions, key));
        let void: Vec<Action> = states.filter_map(|(key, state)| self.made_void(key, state)).collect();
        match everything_known(user, &actions) {
            Ok(()) => actions.extend(void),
            Err(missing) if void.is_empty() => return Err(missing),
            // What is void must be so whatever is not known: the exemption may be over before the next run, which tells the rest.
            Err(_) => actions = void,
        }
        Ok(actions)
    }

    /// What an exemption makes of a record that was there before it.
    fn made_void(&self, key: &AccessKeyId, state: &KeyState) -> Option<Action> {
        let has_happened = matches!(state.kind, KeyStateKind::Disabled | KeyStateKind::Restored);
        let is_from_before = later(self.now, state.at);
        match (may_come_again(state, self.now), state.told) {
            _ if !is_from_before => None,
            (true, true) => Some(Action::Record { key: key.clone(), state: state.clone().made_void() }),
            (true, false) => None,
            (false, _) => (!has_happened || !state.is_untold()).then(|| Action::Forget { key: key.clone() }),
        }
    }

    fn for_keys(&self, user: &User) -> Known<Vec<Action>> {
        let (active, inactive): (Vec<&Key>, Vec<&Key>) =
            user.keys_by_age().into_iter().partition(|key| key.status == KeyStatus::Active);

        let (inactive, mut actions) = self.all_inactive(&active, &inactive)?;

        // Re-enabled by a person: say what follows. The rest of the plan takes it as said, so that asking again at the
        // same instant changes nothing more.
        actions.extend(active.iter().filter(|key| is_untold_re_enabled(key)).map(|key| self.notify_restored(key)));
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
            ([older, newer, ..], []) => self.two_active_and_the_remaining_one(older, newer)?,
        });
        Ok(actions)
    }

    // ---- re-enabled keys -----------------------------------------------------------------------------------------

    /// The key as it is once its owner has been told that it was seen re-enabled.
    fn as_told(&self, key: &Key) -> Key {
        let mut told = key.clone();
        if is_untold_re_enabled(key) {
            told.state = Some(self.restored_notice(key).state(self.now));
        }
        told
    }

    fn notify_restored(&self, key: &Key) -> Action {
        Action::Notify { key: key.id.clone(), notice: self.restored_notice(key) }
    }

    /// A request that has made it active goes on being known by that.
    fn restored_notice(&self, key: &Key) -> Notice {
        let (request, requested_at) = match &key.state {
            Some(state) if state.kind == KeyStateKind::Restored => (state.request, state.requested_at),
            // A request has made it active, and died before it could record that.
            Some(state) if state.restoring.is_some() => (state.restoring, state.requested_at),
            Some(_) | None => (None, None),
        };
        Notice { request, requested_at, ..self.notice(key, NoticeKind::Restored, self.grace_from(self.now)) }
    }

    // ---- keys never used, where policy retires them ---------------------------------------------------------------

    fn retiring<'a>(&self, active: &[&'a Key]) -> Known<Vec<&'a Key>> {
        let mut retiring = Vec::new();
        if self.policy.unused_keys() == UnusedKeys::Retire && !self.is_being_replaced(active)? {
            for key in active.iter().filter(|key| self.is_due(key)) {
                match key.last_use {
                    LastUse::Unknown => return Err(MissingFact::LastUse(key.id.clone())),
                    LastUse::Never => retiring.push(*key),
                    LastUse::At { .. } => {}
                }
            }
        }
        Ok(retiring)
    }

    /// Whether the older key has been told that it goes in favour of a newer one which we have made. Then that comes first:
    /// were the newer one retired meanwhile, the older would get one successor after another and never go.
    fn is_being_replaced(&self, active: &[&Key]) -> Known<bool> {
        match active {
            [older, newer] => Ok(self.notice_for(older, newer)?.is_some() && known_publication(newer)?),
            [] | [_] | [_, _, _, ..] => Ok(false),
        }
    }

    fn retire(&self, key: &Key) -> Option<Action> {
        // A notice from before the key was due told of something else; so did one that named a successor, and one that the key is active again.
        let told = self.notice_since(key, self.due(key)).filter(|noticed| noticed.kind == KeyStateKind::Notified);
        let Some(noticed) = told else {
            let notice = self.notice(key, NoticeKind::Retired, self.grace_from(self.now));
            return Some(Action::Notify { key: key.id.clone(), notice });
        };
        let due = no_sooner_than_told(self.grace_from(noticed.at), noticed);
        if self.now < due {
            return self.warn(key, Upcoming::Disable, due);
        }
        Some(self.disable(key, DisablePrecondition::StillUnused))
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
            notice: Some(self.notice(key, NoticeKind::Replaced { successor: None }, due)),
            contained: None,
        }
    }

    // ---- two active keys ----------------------------------------------------------------------------------------

    /// If one of them goes now, the other is left, and may be one to retire.
    fn two_active_and_the_remaining_one(&self, older: &Key, newer: &Key) -> Known<Vec<Action>> {
        let mut actions: Vec<Action> = self.two_active(older, newer)?.into_iter().collect();
        if let [Action::Disable { key, .. }] = actions.as_slice() {
            let left = if *key == older.id { newer } else { older };
            actions.extend(self.retiring(&[left])?.into_iter().filter_map(|key| self.retire(key)));
        }
        Ok(actions)
    }

    fn two_active(&self, older: &Key, newer: &Key) -> Known<Option<Action>> {
        if let Some(untold) = self.untold_forced(older, newer)? {
            return Ok(Some(untold));
        }
        if self.is_due(newer) {
            return self.both_due(older, newer);
        }
        if self.is_due(older) || self.replaced_before_due(older, newer)? {
            let kind = NoticeKind::Replaced { successor: Some(newer.id.clone()) };
            return self.replaced(older, newer, kind, |noticed, at| match noticed {
                KeyStateKind::Notified => self.disable_due(older, at),
                KeyStateKind::Forced | KeyStateKind::Restored | KeyStateKind::Disabled => self.grace_from(at),
            });
        }
        let upcoming = Upcoming::SuccessorCounts { successor: newer.id.clone() };
        Ok(self.warn(older, upcoming, self.due(older)))
    }

    /// The notice that a request has put on record and not told of, where its successor has been made.
    fn untold_forced(&self, older: &Key, newer: &Key) -> Known<Option<Action>> {
        let is_untold = |state: &&KeyState| state.kind == KeyStateKind::Forced && !state.told;
        let Some(state) = older.state.as_ref().filter(is_untold) else {
            return Ok(None);
        };
        let is_made_since = state.void || no_earlier(newer.created, state.at);
        if !is_made_since || !known_publication(newer)? {
            return Ok(None);
        }
        let notice =
            self.notice(older, NoticeKind::Forced { successor: Some(newer.id.clone()) }, self.grace_from(self.now));
        Ok(Some(Action::Notify { key: older.id.clone(), notice: Notice { request: state.request, ..notice } }))
    }

    /// A key that is not due by age but replaced all the same: by force, or re-enabled after such a replacement.
    fn replaced_before_due(&self, older: &Key, newer: &Key) -> Known<bool> {
        Ok(self.notice_for(older, newer)?.is_some_and(|noticed| match noticed.kind {
            KeyStateKind::Forced | KeyStateKind::Restored => true,
            KeyStateKind::Notified | KeyStateKind::Disabled => false,
        }))
    }

    /// The notice on a key that counts towards disabling it while `other` stands in for it: given since `other` was made,
    /// and since the key was due, because an earlier one told of something else (a shorter period that no longer applies, or
    /// a young key switched off and on again). The notice of a forced rotation waits for no age, nor does one about the
    /// re-enabling of a key, where the other key is a successor that we have made: newer, and published. A forced rotation
    /// always makes one; a record of it without one was written by somebody else, or is about a successor that is gone.
    fn notice_for<'k>(&self, key: &'k Key, other: &Key) -> Known<Option<&'k KeyState>> {
        let Some(noticed) = self.notice_since(key, other.created) else {
            return Ok(None);
        };
        let since_due = no_earlier(noticed.at, self.due(key));
        let counts = match noticed.kind {
            KeyStateKind::Notified | KeyStateKind::Disabled => since_due,
            KeyStateKind::Forced | KeyStateKind::Restored => {
                since_due || (key.created <= other.created && known_publication(other)?)
            }
        };
        Ok(counts.then_some(noticed))
    }

    /// The notice on a key that its owner has been given no earlier than `since`, nor before its last exemption ended.
    fn notice_since<'k>(&self, key: &'k Key, since: Timestamp) -> Option<&'k KeyState> {
        notice_since(key, self.exempt_until.map_or(since, |until| until.max(since)))
    }

    /// No third key is possible: the less recently used one goes, then the other has room.
    fn both_due(&self, older: &Key, newer: &Key) -> Known<Option<Action>> {
        let (leaves, stays) = match (self.notice_for(older, newer)?, self.notice_for(newer, older)?) {
            (Some(_), None) => (older, newer),
            (None, Some(_)) => (newer, older),
            // Its owner was told to install the successor that an operator's request has made.
            (Some(told), Some(_)) if told.kind == KeyStateKind::Forced && known_publication(newer)? => (older, newer),
            (Some(_), Some(_)) | (None, None) => {
                if known_use(older)? <= known_use(newer)? {
                    (older, newer)
                } else {
                    (newer, older)
                }
            }
        };
        let kind = NoticeKind::MakeRoom { other: stays.id.clone() };
        self.replaced(leaves, stays, kind, |_, at| self.grace_from(at))
    }

    /// A key that another one stands in for: notice, warning, and in the end the disable.
    fn replaced(
        &self,
        key: &Key,
        successor: &Key,
        kind: NoticeKind,
        due: impl Fn(KeyStateKind, Timestamp) -> Timestamp,
    ) -> Known<Option<Action>> {
        let Some(noticed) = self.notice_for(key, successor)? else {
            let due = due(kind.state_kind(), self.now);
            return Ok(Some(Action::Notify { key: key.id.clone(), notice: self.notice(key, kind, due) }));
        };
        let due = no_sooner_than_told(due(noticed.kind, noticed.at), noticed);
        if self.now < due {
            return Ok(self.warn(key, Upcoming::Disable, due));
        }
        if !known_publication(successor)? && known_use(successor)?.is_none() {
            let finding = Finding::SuccessorNotInHand { old: key.id.clone(), new: successor.id.clone() };
            return Ok(Some(Action::ReportFinding(finding)));
        }
        if known_publication(key)? && !known_publication(successor)? && self.was_used_within_install_grace(key)? {
            let finding = Finding::PublishedKeyInUse { old: key.id.clone(), new: successor.id.clone() };
            return Ok(Some(Action::ReportFinding(finding)));
        }
        let until = after(due, self.policy.in_use_extension());
        if self.now < until && self.is_in_use(key)? && known_use(successor)?.is_none() {
            return Ok(Some(Action::Postpone { key: key.id.clone(), until, last_use: key.last_use.clone() }));
        }
        Ok(Some(self.disable(key, DisablePrecondition::SuccessorInHand { successor: successor.id.clone() })))
    }

    /// The install grace is its owner's time to change to another key.
    fn was_used_within_install_grace(&self, key: &Key) -> Known<bool> {
        let from = before(self.now, self.policy.install_grace());
        Ok(known_use(key)?.is_some_and(|when| when >= from))
    }

    /// That the key was restored stays known beside what its owner is told.
    fn notice(&self, key: &Key, kind: NoticeKind, disable_due: Timestamp) -> Notice {
        Notice { kind, disable_due: Some(disable_due), request: None, requested_at: restored(key, self.now) }
    }

    fn disable(&self, key: &Key, precondition: DisablePrecondition) -> Action {
        Action::Disable { key: key.id.clone(), precondition, delete_due: self.delete_due(self.now) }
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

    fn is_in_use(&self, key: &Key) -> Known<bool> {
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
}

/// A date that an owner was told is kept: the later of it and what the settings of today say counts.
pub(crate) fn no_sooner_than_told(due: Timestamp, told: &KeyState) -> Timestamp {
    told.until.map_or(due, |until| until.max(due))
}
