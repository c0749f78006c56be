//! A model of one user in IAM: keys, tags and a secret, to which plans are applied as a worker would, and which checks at
//! every step what has been promised to the key's owner (`promises`). It remembers what really happened, which the rules cannot.

mod promises;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use rotation::names::{STATE_TAG_PREFIX, delete_tag, state_tag};
use rotation::plan::Announcement;
use rotation::state::tag_time;
use rotation::user::UserTags;
use rotation::{
    AccessKeyId, Action, Key, KeyState, KeyStateKind, KeyStatus, LastUse, Notice, Policy, Published, Request,
    UnusedKeys, User, UserName, Verdict, decide,
};

use self::promises::assert_settled;
use super::requests::Requests;
use crate::given::{id, scheduled};

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

/// A mail about one key, and what is recorded once the mail service accepts it.
#[derive(Debug)]
struct Mail {
    key: AccessKeyId,
    /// What stays on record once it is accepted.
    state: Option<KeyState>,
    says: Says,
}

/// What its owner reads of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    /// It will be disabled on this date.
    WillBeDisabled(Timestamp),
    /// It is inactive; perhaps, when it will be deleted.
    IsInactive(Option<Timestamp>),
    /// A request has made its successor.
    HasSuccessor,
    IsDeleted,
}

/// A mail that was accepted.
#[derive(Debug)]
struct Accepted {
    key: AccessKeyId,
    at: Timestamp,
    says: Says,
    /// Of the policy at that time.
    install_grace: SignedDuration,
}

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
    /// When the tool last made a key inactive.
    disabled_by_tool: BTreeMap<AccessKeyId, Timestamp>,
    /// When the tool last saw the user exempt.
    exempt_at: Option<Timestamp>,
    /// Keys that the tool has deleted, and no mail that says so has been accepted.
    pub(crate) untold_deletions: BTreeSet<AccessKeyId>,
    requests: Requests,
}

/// How a delivery of a request has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivered {
    /// The request is carried out, or refused.
    Ended,
    /// It died on the way, or something is not known: it comes again.
    Died,
    /// The rest has to wait until then.
    Waits(Timestamp),
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
            disabled_by_tool: BTreeMap::new(),
            exempt_at: None,
            untold_deletions: BTreeSet::new(),
            requests: Requests::default(),
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
            state: tags.state_of(&key.id),
        });
        User { name: UserName::new("alice").expect("a name"), keys: keys.collect(), in_exemption_group: false, tags }
    }

    /// One scheduled run: planned, applied, and asked again at the same instant. Answers what was done.
    pub(crate) fn run(&mut self, conditions: Conditions) -> Vec<Action> {
        let user = self.seen(conditions);
        if user.exemption(self.now).is_some() {
            self.exempt_at = Some(self.now);
        }
        let Verdict::Act(plan) = scheduled(self.now, &self.policy, &user) else {
            return Vec::new();
        };
        let is_void = |action: &Action| match action {
            Action::Forget { .. } => true,
            Action::Record { state, .. } => state.void,
            _ => false,
        };
        let harmless = |action: &Action| !action.changes() || is_void(action);
        let changes = !plan.actions.iter().all(harmless);
        assert!(conditions.last_uses || self.keys.is_empty() || !changes, "unknown is not no: {plan:?}");
        self.note_what_is_seen(conditions);
        let working = self.has_working_key();
        let active = self.active();
        self.apply(&plan.actions, plan.actions.len(), conditions);
        if self.policy.unused_keys() == UnusedKeys::Rotate {
            assert!(!working || self.has_working_key(), "locked out: {plan:?}");
            assert!(active == 0 || self.active() > 0, "no key left: {plan:?}");
        }
        if let Verdict::Act(again) = scheduled(self.now, &self.policy, &self.seen(conditions)) {
            assert_settled(&again.actions, conditions, &plan.actions);
        }
        plan.actions
    }

    /// One delivery of an operator's request, dying after so many steps.
    pub(crate) fn deliver(&mut self, request: &Request, steps: usize, conditions: Conditions) -> Delivered {
        // The longest way is: contain while something is unknown, then plan anew.
        for _ in 0..3 {
            let user = self.seen(conditions);
            let plan = match decide(self.now, &self.policy, &user, request) {
                Verdict::Act(plan) => plan,
                Verdict::Refused(_) => return Delivered::Ended,
                Verdict::Exempt(_) | Verdict::SettleFirst | Verdict::Undecided(_) => return Delivered::Died,
            };
            let waits = plan.rest_after.map(Delivered::Waits);
            if plan.actions.is_empty() {
                return waits.unwrap_or(Delivered::Ended);
            }
            for action in plan.actions.iter().take(steps) {
                self.requests.take(request, action, &self.keys, &user);
                if let Action::Restore { key, .. } = action {
                    self.assert_not_disabled_since_its_restore(key);
                }
            }
            self.apply(&plan.actions, steps, conditions);
            if steps < plan.actions.len() || !conditions.mail {
                return Delivered::Died;
            }
            if let Some(waits) = waits {
                return waits;
            }
            if plan.refusal.is_some() {
                return Delivered::Ended;
            }
        }
        panic!("a request that never comes to its end: {request:?}");
    }

    /// Applies a plan's first steps; if it does not die on the way, the mails are sent.
    fn apply(&mut self, actions: &[Action], steps: usize, conditions: Conditions) {
        let mails: Vec<Mail> = actions.iter().take(steps).flat_map(|action| self.apply_one(action)).collect();
        if conditions.mail && steps >= actions.len() {
            for mail in mails {
                self.accept(mail);
            }
        }
    }

    /// What is told of it.
    fn apply_one(&mut self, action: &Action) -> Vec<Mail> {
        let now = self.now;
        let mail = |key: &AccessKeyId, state: KeyState, says| vec![Mail { key: key.clone(), state: Some(state), says }];
        match action {
            Action::Rotate { old, present, notice, contained } => {
                let held: BTreeSet<_> = self.keys.iter().map(|key| &key.id).collect();
                assert_eq!(held, present.iter().collect(), "the plan must hold");
                assert!(held.len() < 2, "IAM allows no third key");
                let successor = self.create();
                self.published = Some(successor.clone());
                let noticed = notice.iter().flat_map(|notice| mail(old, notice.state(now), disabled_on(notice)));
                let contained = contained.iter().flat_map(|state| {
                    mail(old, KeyState { successor: Some(successor.clone()), ..state.clone() }, Says::HasSuccessor)
                });
                noticed.chain(contained).collect()
            }
            Action::Notify { key, notice } => {
                self.record(key, &notice.state(now).not_told());
                mail(key, notice.state(now), disabled_on(notice))
            }
            Action::Disable { key, precondition, delete_due } => {
                self.disable(key, precondition);
                self.requests.forget(key);
                let state = KeyState::new(KeyStateKind::Disabled, now).until(*delete_due);
                self.record(key, &state.clone().not_told());
                mail(key, state, Says::IsInactive(Some(*delete_due)))
            }
            Action::Contain { key, state } => {
                self.make_inactive(key);
                self.record(key, state);
                mail(key, state.clone(), Says::IsInactive(None))
            }
            Action::Delete(deletable) => {
                self.tags.insert(delete_tag(deletable.key()), tag_time(now));
                self.delete(deletable.key(), deletable.reason());
                self.untold_deletions.insert(deletable.key().clone());
                vec![Mail {
                    key: deletable.key().clone(),
                    state: deletable.record_after().cloned(),
                    says: Says::IsDeleted,
                }]
            }
            Action::RecordDeletion { key } => {
                self.tags.insert(delete_tag(key), tag_time(now));
                Vec::new()
            }
            Action::ForgetDeletion { key } => {
                assert_eq!(self.key(key).status, KeyStatus::Active, "only where it came to nothing");
                self.tags.remove(&delete_tag(key));
                Vec::new()
            }
            Action::Adopt { key, state, delete_due } => {
                assert_eq!(self.key(key).status, KeyStatus::Inactive, "only an inactive key is adopted");
                self.inactive_since.insert(key.clone(), now);
                self.requests.forget(key);
                self.record(key, &state.clone().not_told());
                mail(key, state.clone(), Says::IsInactive(Some(*delete_due)))
            }
            Action::Announce { key, what, state } => {
                if matches!(what, Announcement::Disabled { .. } | Announcement::Contained) {
                    self.inactive_since.entry(key.clone()).or_insert(now);
                }
                let says = match what {
                    Announcement::Disabled { delete_due } => Says::IsInactive(Some(*delete_due)),
                    Announcement::Contained => Says::IsInactive(None),
                    Announcement::Successor { .. } => Says::HasSuccessor,
                    Announcement::Deleted => Says::IsDeleted,
                };
                vec![Mail { key: key.clone(), state: state.clone(), says }]
            }
            Action::Record { key, state } => {
                let is_inactive = self.keys.iter().any(|held| held.id == *key && held.status == KeyStatus::Inactive);
                if state.kind == KeyStateKind::Disabled && is_inactive {
                    self.inactive_since.entry(key.clone()).or_insert(now);
                }
                self.record(key, state);
                Vec::new()
            }
            Action::Restore { key, disable_due, request, requested_at } => {
                self.inactive_since.remove(key);
                let held = self.keys.iter_mut().find(|held| held.id == *key).expect("a key of the user");
                held.status = KeyStatus::Active;
                let state = KeyState::new(KeyStateKind::Restored, now).of_request(*request).until(*disable_due);
                let state = KeyState { requested_at: Some(*requested_at), ..state };
                self.record(key, &state.clone().not_told());
                mail(key, state, Says::WillBeDisabled(*disable_due))
            }
            Action::Forget { key } => {
                let gone = self.keys.iter().all(|held| held.id != *key);
                assert!(gone || self.exempt_at == Some(now), "forgotten though it is there and its user not exempt");
                // With it goes when the key was disabled: a restore that was asked for before and comes after it brings the key back.
                self.disabled_by_tool.remove(key);
                self.tags.remove(&state_tag(key));
                self.requests.forget(key);
                Vec::new()
            }
            Action::Warn { .. } | Action::Postpone { .. } | Action::ReportFinding(_) => Vec::new(),
        }
    }

    fn accept(&mut self, mail: Mail) {
        let Mail { key, state, says } = mail;
        let install_grace = SignedDuration::from_hours(24 * i64::from(self.policy.install_grace()));
        let left = match says {
            Says::IsDeleted => {
                self.untold_deletions.remove(&key);
                self.tags.remove(&delete_tag(&key));
                state.map(|state| state.accepted(self.now))
            }
            Says::WillBeDisabled(_) | Says::IsInactive(_) | Says::HasSuccessor => {
                Some(state.expect("it is recorded").accepted(self.now))
            }
        };
        match left {
            Some(state) => self.record(&key, &state),
            None => drop(self.tags.remove(&state_tag(&key))),
        }
        self.accepted.push(Accepted { key, at: self.now, says, install_grace });
    }

    fn make_inactive(&mut self, key: &AccessKeyId) {
        let now = self.now;
        let held = self.keys.iter_mut().find(|held| held.id == *key).expect("a key of the user");
        held.status = KeyStatus::Inactive;
        self.inactive_since.insert(key.clone(), now);
        self.disabled_by_tool.insert(key.clone(), now);
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

    fn record(&mut self, key: &AccessKeyId, state: &KeyState) {
        self.tags.insert(state_tag(key), state.to_string());
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
    pub(crate) fn lose_state_tags(&mut self) {
        self.tags.retain(|key, _| !key.starts_with(STATE_TAG_PREFIX));
        self.untold_deletions.clear();
        self.disabled_by_tool.clear();
        self.requests.forget_all();
    }
}

fn disabled_on(notice: &Notice) -> Says {
    Says::WillBeDisabled(notice.disable_due.expect("every notice has its date"))
}
