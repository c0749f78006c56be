//! An operator's request to rotate one user now: a plan, or a refusal that says why.
//!
//! A request is delivered at least once. What it has done already is recognised: a successor made after it was sent means
//! it is done; a key it contained (inactive, or gone but for its state tag) is not looked for among the active ones. That
//! tag stays until the recovery grace is over, so that the request is recognised as done however late it comes again.

mod refusal;

use jiff::{SignedDuration, Timestamp};

pub use self::refusal::Refusal;
use crate::evidence::{known_publication, known_use, notice_since};
use crate::finding::Finding;
use crate::ids::AccessKeyId;
use crate::key::{Key, KeyStatus, LastUse, Memory, Remembered};
use crate::lifecycle::{Standstill, standstill};
use crate::plan::{Action, Deletable, DeleteReason, Exemption, Missing, Notice, NoticeKind, Plan};
use crate::policy::{Policy, after};
use crate::user::User;

/// What the operator asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The key to replace, where one is named.
    pub access_key_id: Option<AccessKeyId>,
    /// Contain first: the old key is made inactive before anything else.
    pub disable_old_now: bool,
    /// Rotate although the user is exempt.
    pub override_exemption: bool,
    /// When the request was made, by AWS's clock: a successor made since then is this request's.
    pub requested_at: Timestamp,
    /// Whether an earlier delivery of the same message may have begun the work.
    pub redelivered: bool,
}

/// What the rules say about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// An attempt left its intent: settle it, then ask again.
    SettleFirst,
    /// Something must be known first.
    Undecided(Missing),
    /// What is to be done; nothing, where an earlier delivery has done it all.
    Act(Plan),
    /// It will not be done, and asking again will not help.
    Refused(Refusal),
}

/// Decides about a request.
pub fn plan(now: Timestamp, policy: &Policy, user: &User, request: &Request) -> Answer {
    if let Some(refusal) = exempt(now, user, request) {
        return Answer::Refused(refusal);
    }
    let (policy, _) = user.policy(policy);
    let rules = Rules { now, policy, user, request };
    match standstill(user) {
        // Containing a leaked key waits for nothing, not even for an interrupted attempt to be settled.
        Some(Standstill::SettleFirst) => {
            return match rules.contain_first() {
                Some(action) => Answer::Act(Plan { actions: vec![action] }),
                None => Answer::SettleFirst,
            };
        }
        Some(Standstill::Findings(findings)) => {
            let why: Vec<String> = findings.iter().map(Finding::to_string).collect();
            return Answer::Refused(Refusal::Standstill { user: user.name.clone(), why: why.join("; ") });
        }
        None => {}
    }
    match rules.decide() {
        Ok(actions) if actions.is_empty() => Answer::Act(Plan::default()),
        Ok(actions) => match rules.last_uses_known() {
            Ok(()) => Answer::Act(Plan { actions }),
            Err(missing) => rules.contain_or_wait(missing),
        },
        Err(Obstacle::Missing(missing)) => rules.contain_or_wait(missing),
        Err(Obstacle::Refused(refusal)) => Answer::Refused(refusal),
    }
}

fn exempt(now: Timestamp, user: &User, request: &Request) -> Option<Refusal> {
    let name = || user.name.clone();
    match user.exemption(now)? {
        Exemption::Protected => Some(Refusal::Protected { user: name() }),
        Exemption::Group | Exemption::Until { .. } if request.override_exemption => None,
        Exemption::Group => Some(Refusal::Exempt { user: name(), why: "it is in the exemption group".to_owned() }),
        Exemption::Until { until } => {
            Some(Refusal::Exempt { user: name(), why: format!("its tag key-rotation:exempt-until ends {until}") })
        }
    }
}

/// Why there is no plan.
enum Obstacle {
    Missing(Missing),
    Refused(Refusal),
}

impl From<Missing> for Obstacle {
    fn from(missing: Missing) -> Self {
        Obstacle::Missing(missing)
    }
}

struct Rules<'a> {
    now: Timestamp,
    policy: Policy,
    user: &'a User,
    request: &'a Request,
}

impl<'a> Rules<'a> {
    fn decide(&self) -> Result<Vec<Action>, Obstacle> {
        if let Some(successor) = self.successor_made_since()? {
            return self.finish(successor);
        }
        let active = self.keys(KeyStatus::Active);
        let inactive = self.keys(KeyStatus::Inactive);
        if let Some(named) = &self.request.access_key_id {
            if !self.user.keys.iter().any(|key| key.id == *named) {
                return self.named_key_is_gone(named, &active, &inactive);
            }
            if let Some(key) = inactive.iter().find(|key| key.id == *named) {
                if !self.contained_by_this_request(key) {
                    return Err(self.refuse_inactive(named));
                }
                return self.contained(key, &active, &inactive);
            }
        }
        match (active.as_slice(), inactive.as_slice()) {
            ([], inactive) => match self.contained_key(inactive) {
                Some(key) => self.contained(key, &[], inactive),
                None => Err(Obstacle::Refused(Refusal::NoActiveKey { user: self.user.name.clone() })),
            },
            // The active key was made since, by somebody else, while the one that was asked for lies contained.
            ([only], inactive) if !self.older_than_request(only) => match self.contained_key(inactive) {
                Some(key) if self.request.access_key_id.is_none() => self.contained(key, &[only], inactive),
                Some(_) | None => Ok(self.one_active(only, inactive)),
            },
            ([only], inactive) => Ok(self.one_active(only, inactive)),
            ([a, b, ..], _) => self.two_active(a, b),
        }
    }

    /// The key to be made inactive before anything else is found out or settled, where that is asked for and clear.
    fn contain_first(&self) -> Option<Action> {
        if !self.request.disable_old_now {
            return None;
        }
        let active = self.keys(KeyStatus::Active);
        let key = match (&self.request.access_key_id, active.as_slice()) {
            (Some(named), active) => active.iter().find(|key| key.id == *named).copied(),
            // With an intent about, the only active key might be a successor that nobody has been told of; then the old
            // one is not active any more, and there is nothing to contain.
            (None, [only]) if self.older_than_request(only) => Some(*only),
            (None, _) => None,
        }?;
        Some(Action::Contain { key: key.id.clone() })
    }

    /// With something unknown only containment goes ahead; the request is then asked about again.
    fn contain_or_wait(&self, missing: Missing) -> Answer {
        match self.contain_first() {
            Some(action) => Answer::Act(Plan { actions: vec![action] }),
            None => Answer::Undecided(missing),
        }
    }

    fn last_uses_known(&self) -> Result<(), Missing> {
        self.user.keys.iter().try_for_each(|key| known_use(key).map(|_| ()))
    }

    // ---- what an earlier delivery has done -----------------------------------------------------------------------

    /// The successor this request has made, if an earlier delivery got that far.
    fn successor_made_since(&self) -> Result<Option<&'a Key>, Missing> {
        for key in &self.user.keys {
            let candidate = key.status == KeyStatus::Active
                && !self.older_than_request(key)
                && self.request.access_key_id.as_ref() != Some(&key.id);
            if candidate && known_publication(key)? {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    /// IAM's creation times are whole seconds, so the request's second counts as after the request.
    fn older_than_request(&self, key: &Key) -> bool {
        key.created.as_second() < self.request.requested_at.as_second()
    }

    /// The successor is safe; what is left is the old key: contained, or noticed.
    fn finish(&self, successor: &Key) -> Result<Vec<Action>, Obstacle> {
        let mut actions = Vec::new();
        for old in self.keys(KeyStatus::Active) {
            let named_another = self.request.access_key_id.as_ref().is_some_and(|named| *named != old.id);
            // A key made since the request is not what the operator saw: a request delivered once more, long after its
            // own successor has got one, must not harm that one.
            let unseen = self.request.access_key_id.is_none() && !self.older_than_request(old);
            if old.id == successor.id || named_another || unseen {
                continue;
            }
            if self.request.disable_old_now {
                actions.push(Action::Contain { key: old.id.clone() });
            } else if !matches!(notice_since(old, successor.created), Some(Remembered::Forced(_))) {
                let notice = self.notice(Some(successor.id.clone()));
                actions.push(Action::Notify { key: old.id.clone(), notice });
            }
        }
        Ok(actions)
    }

    /// Whether this very request made the key inactive: its tag says so, or (interrupted before the tag was written) an
    /// earlier delivery may have, and nobody else is on record for it.
    fn contained_by_this_request(&self, key: &Key) -> bool {
        if !self.request.disable_old_now {
            return false;
        }
        match key.memory {
            Memory::Known(Remembered::Disabled(at)) => at.as_second() >= self.request.requested_at.as_second(),
            Memory::Known(Remembered::Notified(_) | Remembered::Forced(_) | Remembered::Restored(_))
            | Memory::Nothing => self.request.redelivered,
            Memory::Unreadable(_) => false,
        }
    }

    /// Among inactive keys the one this request contained: the newest that may be it.
    fn contained_key(&self, inactive: &[&'a Key]) -> Option<&'a Key> {
        inactive.iter().rev().find(|key| self.contained_by_this_request(key)).copied()
    }

    /// Contained before, successor still missing.
    fn contained(&self, old: &Key, active: &[&Key], inactive: &[&Key]) -> Result<Vec<Action>, Obstacle> {
        let mut actions = Vec::new();
        // On record before anything else: by the record a later delivery recognises the key, even one that is gone.
        if !matches!(old.memory, Memory::Known(Remembered::Disabled(_))) {
            actions.push(Action::Adopt { key: old.id.clone(), delete_due: self.delete_due() });
        }
        if let [other] = active {
            // Another key is active beside it: the contained one is deleted, then there is room.
            actions.push(Action::Delete(Deletable::new(old.id.clone(), DeleteReason::Contained)));
            actions.push(self.rotate(old, vec![other.id.clone()], None));
            return Ok(actions);
        }
        actions.extend(self.make_room(inactive.iter().filter(|key| key.id != old.id)));
        actions.push(self.rotate(old, vec![old.id.clone()], None));
        Ok(actions)
    }

    /// The named key does not exist: contained and deleted by an earlier delivery, or never this user's.
    fn named_key_is_gone(
        &self,
        named: &AccessKeyId,
        active: &[&Key],
        inactive: &[&Key],
    ) -> Result<Vec<Action>, Obstacle> {
        let deleted_by_us = self.request.disable_old_now
            && self.user.orphaned_states().any(|(id, remembered)| match remembered {
                Remembered::Disabled(at) => id == named && at.as_second() >= self.request.requested_at.as_second(),
                Remembered::Notified(_) | Remembered::Forced(_) | Remembered::Restored(_) => false,
            });
        let refused = Refusal::NotTheUsersKey { user: self.user.name.clone(), key: named.clone() };
        match (deleted_by_us, active, inactive) {
            (true, [other], []) => {
                let actions =
                    vec![Action::Rotate { old: named.clone(), present: vec![other.id.clone()], notice: None }];
                Ok(actions)
            }
            (true | false, _, _) => Err(Obstacle::Refused(refused)),
        }
    }

    // ---- a first delivery -----------------------------------------------------------------------------------------

    fn one_active(&self, old: &Key, inactive: &[&Key]) -> Vec<Action> {
        let mut actions = Vec::new();
        let notice = if self.request.disable_old_now {
            actions.push(Action::Contain { key: old.id.clone() });
            None
        } else {
            Some(self.notice(None))
        };
        actions.extend(self.make_room(inactive.iter()));
        actions.push(self.rotate(old, vec![old.id.clone()], notice));
        actions
    }

    fn two_active(&self, a: &Key, b: &Key) -> Result<Vec<Action>, Obstacle> {
        let user = self.user.name.clone();
        let Some(named) = &self.request.access_key_id else {
            let keys = vec![self.describe(a)?, self.describe(b)?];
            return Err(Obstacle::Refused(Refusal::TwoActiveKeys { user, keys }));
        };
        if !self.request.disable_old_now {
            return Err(Obstacle::Refused(Refusal::NamedKeyWouldHaveToGo { user, key: named.clone() }));
        }
        let (old, other) = if a.id == *named { (a, b) } else { (b, a) };
        Ok(vec![
            Action::Contain { key: old.id.clone() },
            Action::Delete(Deletable::new(old.id.clone(), DeleteReason::Contained)),
            self.rotate(old, vec![other.id.clone()], None),
        ])
    }

    /// The operator asked for the inactive key's place.
    fn make_room<'k>(&self, inactive: impl Iterator<Item = &'k &'k Key>) -> Vec<Action> {
        inactive.map(|key| Action::Delete(Deletable::new(key.id.clone(), DeleteReason::MakesRoomForForced))).collect()
    }

    fn rotate(&self, old: &Key, present: Vec<AccessKeyId>, notice: Option<Notice>) -> Action {
        Action::Rotate { old: old.id.clone(), present, notice }
    }

    fn notice(&self, by: Option<AccessKeyId>) -> Notice {
        Notice { kind: NoticeKind::Forced { by }, disable_due: Some(after(self.now, self.policy.install_grace())) }
    }

    // ---- words ----------------------------------------------------------------------------------------------------

    fn keys(&self, status: KeyStatus) -> Vec<&'a Key> {
        let mut keys: Vec<&Key> = self.user.keys.iter().filter(|key| key.status == status).collect();
        keys.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        keys
    }

    fn delete_due(&self) -> Timestamp {
        after(self.now, self.policy.recovery_grace())
    }

    fn refuse_inactive(&self, key: &AccessKeyId) -> Obstacle {
        Obstacle::Refused(Refusal::AlreadyInactive { user: self.user.name.clone(), key: key.clone() })
    }

    fn describe(&self, key: &Key) -> Result<String, Missing> {
        known_use(key)?;
        let age = SignedDuration::from_secs(self.now.as_second() - key.created.as_second()).as_hours() / 24;
        let last_use = match &key.last_use {
            LastUse::Unknown | LastUse::Never => "never used".to_owned(),
            LastUse::At { when, service, region } => format!("last used {when} ({service}, {region})"),
        };
        Ok(format!("{}, {age} days old, {last_use}", key.id))
    }
}
