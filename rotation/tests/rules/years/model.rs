//! A model of one user in IAM: keys, tags and a secret, to which plans are applied as a worker would, and which checks at
//! every step what has been promised to the key's owner. It remembers what really happened, which the rules cannot.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use rotation::forced::{self, Request};
use rotation::names::{STATE_TAG_PREFIX, state_tag};
use rotation::plan::DeleteReason;
use rotation::user::UserTags;
use rotation::{
    AccessKeyId, Action, Key, KeyStatus, LastUse, Notice, Policy, Published, Remembered, Safeguard, UnusedKeys, User,
    UserName, Verdict, lifecycle,
};

use crate::given::id;

/// Tags hold whole seconds, as IAM's own times do.
const WHOLE_SECOND: SignedDuration = SignedDuration::from_secs(1);
/// How long after a disable a use is still taken for one from before it.
const LAG: SignedDuration = SignedDuration::from_hours(1);

/// What the world lets the tool do on a day.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conditions {
    /// The mail service accepts mail.
    pub(crate) mail: bool,
    /// Last uses can be looked up.
    pub(crate) last_uses: bool,
    /// It can be found out which key is published.
    pub(crate) publications: bool,
}

impl Conditions {
    /// A day on which everything works.
    pub(crate) const FINE: Self = Self { mail: true, last_uses: true, publications: true };
}

/// One key as it really is.
#[derive(Debug, Clone)]
pub(crate) struct ModelKey {
    pub(crate) id: AccessKeyId,
    pub(crate) status: KeyStatus,
    pub(crate) created: Timestamp,
    pub(crate) last_use: Option<Timestamp>,
}

/// A notice that the mail service accepted.
#[derive(Debug)]
struct Accepted {
    key: AccessKeyId,
    at: Timestamp,
    disable_due: Option<Timestamp>,
}

/// One user.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) policy: Policy,
    pub(crate) now: Timestamp,
    pub(crate) keys: Vec<ModelKey>,
    pub(crate) tags: BTreeMap<String, String>,
    published: Option<AccessKeyId>,
    made: u32,
    accepted: Vec<Accepted>,
    /// Since when a key was known to the tool as inactive, without a break.
    inactive_since: BTreeMap<AccessKeyId, Timestamp>,
}

impl Model {
    /// A user without keys.
    pub(crate) fn new(policy: Policy, now: Timestamp) -> Self {
        Self {
            policy,
            now,
            keys: Vec::new(),
            tags: BTreeMap::new(),
            published: None,
            made: 0,
            accepted: Vec::new(),
            inactive_since: BTreeMap::new(),
        }
    }

    /// Makes a key, as IAM does.
    pub(crate) fn create(&mut self) -> AccessKeyId {
        self.made += 1;
        let key = ModelKey {
            id: id(&format!("K{}", self.made)),
            status: KeyStatus::Active,
            created: Timestamp::from_second(self.now.as_second()).expect("in range"),
            last_use: None,
        };
        self.keys.push(key);
        self.keys[self.keys.len() - 1].id.clone()
    }

    /// The key signs a call, if it can.
    pub(crate) fn sign(&mut self, which: usize) {
        let now = self.now;
        if let Some(key) = self.keys.get_mut(which).filter(|key| key.status == KeyStatus::Active) {
            key.last_use = Some(now);
        }
    }

    /// What the tool sees.
    pub(crate) fn seen(&self, conditions: Conditions) -> User {
        let tags = UserTags::read(self.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        let keys = self.keys.iter().map(|key| Key {
            id: key.id.clone(),
            status: key.status,
            created: key.created,
            last_use: match (conditions.last_uses, key.last_use) {
                (false, _) => LastUse::Unknown,
                (true, None) => LastUse::Never,
                (true, Some(when)) => LastUse::At { when, service: "s3".to_owned(), region: "eu-west-1".to_owned() },
            },
            published: match (conditions.publications, self.published.as_ref() == Some(&key.id)) {
                (false, _) => Published::Unknown,
                (true, true) => Published::Yes,
                (true, false) => Published::No,
            },
            memory: tags.memory(&key.id),
        });
        User { name: UserName::new("alice").expect("a name"), keys: keys.collect(), in_exemption_group: false, tags }
    }

    /// One scheduled run: planned, applied, and asked again at the same instant. Answers what was done.
    pub(crate) fn run(&mut self, conditions: Conditions) -> Vec<Action> {
        let user = self.seen(conditions);
        let Verdict::Act(plan) = lifecycle::plan(self.now, &self.policy, &user) else { return Vec::new() };
        let changes = plan.actions.iter().any(Action::changes);
        assert!(conditions.last_uses || self.keys.is_empty() || !changes, "unknown is not no: {plan:?}");
        self.note_what_is_seen(conditions);
        let working = self.has_working_key();
        let active = self.active();
        self.apply(&plan.actions, plan.actions.len(), conditions);
        if self.policy.unused_keys() == UnusedKeys::Rotate {
            assert!(!working || self.has_working_key(), "locked out: {plan:?}");
            assert!(active == 0 || self.active() > 0, "no key left: {plan:?}");
        }
        if let Verdict::Act(again) = lifecycle::plan(self.now, &self.policy, &self.seen(conditions)) {
            assert_settled(&again.actions, conditions, &plan.actions);
        }
        plan.actions
    }

    /// One delivery of an operator's request, dying after so many steps. Answers whether the request has come to its end.
    pub(crate) fn deliver(&mut self, request: &Request, steps: usize, conditions: Conditions) -> bool {
        // The longest way is: contain while something is unknown, then plan anew.
        for _ in 0..3 {
            let user = self.seen(conditions);
            let plan = match forced::plan(self.now, &self.policy, &user, request) {
                forced::Answer::Act(plan) => plan,
                forced::Answer::Refused(_) => return true,
                forced::Answer::SettleFirst | forced::Answer::Undecided(_) => return false,
            };
            if plan.actions.is_empty() {
                return true;
            }
            self.apply(&plan.actions, steps, conditions);
            if steps < plan.actions.len() || !conditions.mail {
                return false;
            }
        }
        panic!("a request that never comes to its end: {request:?}");
    }

    /// Applies a plan's first steps.
    fn apply(&mut self, actions: &[Action], steps: usize, conditions: Conditions) {
        for action in actions.iter().take(steps) {
            match action {
                Action::Rotate { old, present, notice } => {
                    let held: BTreeSet<_> = self.keys.iter().map(|key| &key.id).collect();
                    assert_eq!(held, present.iter().collect(), "the plan must hold");
                    assert!(held.len() < 2, "IAM allows no third key");
                    let successor = self.create();
                    self.published = Some(successor);
                    if let Some(notice) = notice {
                        self.tell(old, notice, conditions);
                    }
                }
                Action::Notify { key, notice } => self.tell(key, notice, conditions),
                Action::Disable { key, safeguard, .. } => self.disable(key, safeguard),
                Action::Contain { key } => self.deactivate(key),
                Action::Delete(deletable) => {
                    self.delete(deletable.key(), deletable.reason());
                    if !deletable.keeps_memory() {
                        self.tags.remove(&state_tag(deletable.key()));
                    }
                }
                Action::Adopt { key, .. } => {
                    assert_eq!(self.key(key).status, KeyStatus::Inactive, "only an inactive key is adopted");
                    self.inactive_since.insert(key.clone(), self.now);
                    self.remember(key, Remembered::Disabled(self.now));
                }
                Action::Forget { key } => {
                    assert!(self.keys.iter().all(|held| held.id != *key), "only a key that is gone is forgotten");
                    self.tags.remove(&state_tag(key));
                }
                Action::Warn { .. } | Action::Postpone { .. } | Action::Report(_) => {}
            }
        }
    }

    fn tell(&mut self, key: &AccessKeyId, notice: &Notice, conditions: Conditions) {
        if conditions.mail {
            self.accepted.push(Accepted { key: key.clone(), at: self.now, disable_due: notice.disable_due });
            self.remember(key, notice.kind.record(self.now));
        }
    }

    /// The first promise: notice before harm. And the last look before it.
    fn disable(&mut self, key: &AccessKeyId, safeguard: &Safeguard) {
        let grace = SignedDuration::from_hours(24 * i64::from(self.policy.install_grace()));
        let since = match safeguard {
            Safeguard::SuccessorInHand { successor } => {
                assert_ne!(successor, key);
                let successor = self.key(successor);
                assert_eq!(successor.status, KeyStatus::Active, "the successor is live");
                assert!(self.in_hand(successor), "somebody has the successor");
                successor.created
            }
            Safeguard::StillUnused => {
                assert!(self.key(key).last_use.is_none());
                Timestamp::MIN
            }
        };
        let told = self.accepted.iter().any(|notice| {
            let given = notice.key == *key && notice.at >= since;
            let in_time = notice
                .at
                .saturating_add(grace)
                .is_ok_and(|due| due <= self.now.saturating_add(WHOLE_SECOND).expect("a duration"));
            given && in_time && notice.disable_due.is_some_and(|due| due <= self.now)
        });
        assert!(told, "{key} was disabled without a notice of {} days: {self:?}", self.policy.install_grace());
        self.deactivate(key);
    }

    fn deactivate(&mut self, key: &AccessKeyId) {
        let now = self.now;
        let held = self.keys.iter_mut().find(|held| held.id == *key).expect("a key of the user");
        assert_eq!(held.status, KeyStatus::Active, "only an active key is disabled");
        held.status = KeyStatus::Inactive;
        self.inactive_since.insert(key.clone(), now);
        self.remember(key, Remembered::Disabled(now));
    }

    /// The second promise: no live key is ever deleted.
    fn delete(&mut self, key: &AccessKeyId, reason: DeleteReason) {
        let held = self.key(key);
        assert_eq!(held.status, KeyStatus::Inactive, "only an inactive key is deleted");
        match reason {
            DeleteReason::RecoveryGraceOver { .. } => {
                let grace = SignedDuration::from_hours(24 * i64::from(self.policy.recovery_grace()));
                let since = self.inactive_since[key];
                assert!(self.now.duration_since(since) + WHOLE_SECOND >= grace, "deleted too early: {self:?}");
                let idle = held.last_use.is_none_or(|when| self.now.duration_since(when) + LAG + WHOLE_SECOND >= grace);
                assert!(idle, "deleted although it was used within the recovery grace: {self:?}");
            }
            DeleteReason::MakesRoomForForced | DeleteReason::Contained => {}
        }
        self.remove(key);
    }

    /// The key is gone from IAM.
    pub(crate) fn remove(&mut self, key: &AccessKeyId) {
        self.keys.retain(|held| held.id != *key);
        self.inactive_since.remove(key);
    }

    /// Keys that the tool sees active, and can put on record as such, are not inactive "without a break".
    fn note_what_is_seen(&mut self, conditions: Conditions) {
        for key in &self.keys {
            if key.status == KeyStatus::Active && conditions.mail {
                self.inactive_since.remove(&key.id);
            }
        }
    }

    fn remember(&mut self, key: &AccessKeyId, remembered: Remembered) {
        self.tags.insert(state_tag(key), remembered.to_string());
    }

    fn key(&self, key: &AccessKeyId) -> &ModelKey {
        self.keys.iter().find(|held| held.id == *key).expect("a key of the user")
    }

    /// Somebody can have the key's secret: it has been used, or it is the published one.
    fn in_hand(&self, key: &ModelKey) -> bool {
        key.last_use.is_some() || self.published.as_ref() == Some(&key.id)
    }

    fn has_working_key(&self) -> bool {
        self.keys.iter().any(|key| key.status == KeyStatus::Active && self.in_hand(key))
    }

    fn active(&self) -> usize {
        self.keys.iter().filter(|key| key.status == KeyStatus::Active).count()
    }

    /// Takes every state tag away, as a person tidying up might.
    pub(crate) fn lose_memory(&mut self) {
        self.tags.retain(|key, _| !key.starts_with(STATE_TAG_PREFIX));
    }
}

/// Asked again at the same instant, nothing more is changed; a notice that was refused is all there is to try again.
fn assert_settled(again: &[Action], conditions: Conditions, first: &[Action]) {
    for action in again.iter().filter(|action| action.changes()) {
        let tried_again = matches!(action, Action::Notify { .. }) && !conditions.mail;
        assert!(tried_again, "asked again, there is more to do: {action:?} after {first:?}");
    }
}
