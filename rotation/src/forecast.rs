//! What the rules would do in the days to come: [`decide`] is asked day by day about a user that is as its answers of the days
//! before have left it.
//!
//! Taken for granted: one run a day at the same hour, every call and every mail succeeding, and owners who do nothing: a key that
//! is in use stays in use, a new one is not installed. What cannot be foreseen ends a user's forecast and is said.

use jiff::{SignedDuration, Timestamp};

use crate::decide::decide;
use crate::finding::Finding;
use crate::ids::AccessKeyId;
use crate::key::{Key, KeyStatus, LastUse, Published};
use crate::plan::{Action, Announcement};
use crate::policy::{Policy, after};
use crate::request::Request;
use crate::state::{KeyState, KeyStateKind};
use crate::user::User;
use crate::verdict::{MissingFact, Verdict};

/// A key used within this time before the forecast is taken to stay in use.
const STAYS_IN_USE_IF_USED_WITHIN: SignedDuration = SignedDuration::from_hours(10 * 24);

/// How often one day's look is repeated. Once is enough, by the rules' own promise that asking again at the same instant changes
/// nothing more; the second time picks up what a tidied tag had hidden.
const LOOKS_A_DAY: usize = 2;

/// The days ahead of one user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forecast {
    /// In order.
    pub steps: Vec<ForecastStep>,
    /// Findings, each with the first day on which it would be reported.
    pub findings: Vec<(u32, Finding)>,
    /// From this day on nothing can be said, and why.
    pub unforeseeable: Option<(u32, Unforeseeable)>,
}

/// One thing that would be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForecastStep {
    /// Days from the beginning, which is day 0.
    pub day: u32,
    /// The key; for a key that does not exist yet, an id that is nobody's.
    pub key: AccessKeyId,
    pub kind: ForecastKind,
}

/// What would be done to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ForecastKind {
    /// A successor is created, and the owner told when this key will be disabled.
    Replace,
    /// No successor is created; the owner is told when this key will be disabled.
    Notify,
    /// It is made inactive.
    Disable,
    /// It was found inactive: the owner is told when it will be deleted.
    Adopt,
    /// It is deleted.
    Delete,
}

impl ForecastKind {
    pub const ALL: [ForecastKind; 5] =
        [ForecastKind::Replace, ForecastKind::Notify, ForecastKind::Disable, ForecastKind::Adopt, ForecastKind::Delete];

    /// As reports spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            ForecastKind::Replace => "replace",
            ForecastKind::Notify => "notify",
            ForecastKind::Disable => "disable",
            ForecastKind::Adopt => "adopt",
            ForecastKind::Delete => "delete",
        }
    }
}

/// Why the days from some day on cannot be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unforeseeable {
    /// An interrupted rotation is to be settled first, and how it ends is known only then.
    Unsettled,
    /// The rules must know this first.
    Missing(MissingFact),
}

/// What the rules would do about a user on `days` days, of which `from` is the first.
pub fn forecast(from: Timestamp, days: u32, policy: &Policy, user: &User) -> Forecast {
    let mut simulated = SimulatedUser::new(from, user.clone());
    for day in 0..days {
        simulated.begin_day(day);
        for _ in 0..LOOKS_A_DAY {
            match decide(simulated.now, policy, &simulated.user, &Request::Scheduled) {
                Verdict::Act(plan) => {
                    let changed = plan.actions.iter().filter(|action| simulated.carry_out(action)).count();
                    if changed == 0 {
                        break;
                    }
                }
                Verdict::Exempt(_) => break,
                Verdict::SettleFirst => return simulated.ends_with(Unforeseeable::Unsettled),
                Verdict::Undecided(fact) => return simulated.ends_with(Unforeseeable::Missing(fact)),
                Verdict::Refused(_) => unreachable!("only what an operator asks for is refused"),
            }
        }
    }
    simulated.forecast
}

/// One user in the days to come.
struct SimulatedUser {
    from: Timestamp,
    day: u32,
    now: Timestamp,
    user: User,
    /// Keys that stay in use while they are active.
    in_use: Vec<AccessKeyId>,
    created: u32,
    forecast: Forecast,
}

impl SimulatedUser {
    fn new(from: Timestamp, user: User) -> Self {
        let is_in_use = |key: &&Key| match key.last_use {
            LastUse::At { when, .. } => from.duration_since(when) <= STAYS_IN_USE_IF_USED_WITHIN,
            LastUse::Unknown | LastUse::Never => false,
        };
        let in_use = user.keys.iter().filter(is_in_use).map(|key| key.id.clone()).collect();
        Self { from, day: 0, now: from, user, in_use, created: 0, forecast: Forecast::default() }
    }

    fn begin_day(&mut self, day: u32) {
        self.day = day;
        self.now = after(self.from, day);
        for key in self.user.keys.iter_mut().filter(|key| key.status == KeyStatus::Active) {
            if let LastUse::At { when, .. } = &mut key.last_use
                && self.in_use.contains(&key.id)
            {
                *when = self.now.max(*when);
            }
        }
    }

    fn ends_with(mut self, why: Unforeseeable) -> Forecast {
        self.forecast.unforeseeable = Some((self.day, why));
        self.forecast
    }

    /// Does to the user what the action does; whether that changes it.
    fn carry_out(&mut self, action: &Action) -> bool {
        match action {
            Action::Rotate { old, notice, .. } => {
                self.add_step(old, ForecastKind::Replace);
                if let Some(notice) = notice {
                    self.record(old, notice.state(self.now));
                }
                self.create();
            }
            Action::Notify { key, notice } => {
                self.add_step(key, ForecastKind::Notify);
                self.record(key, notice.state(self.now));
            }
            Action::Disable { key, delete_due, .. } => {
                self.add_step(key, ForecastKind::Disable);
                self.set_status(key, KeyStatus::Inactive);
                self.record(key, KeyState::new(KeyStateKind::Disabled, self.now).until(*delete_due));
            }
            Action::Adopt { key, state, .. } => {
                self.add_step(key, ForecastKind::Adopt);
                self.record(key, state.clone());
            }
            Action::Delete(deletable) => {
                self.add_step(deletable.key(), ForecastKind::Delete);
                self.user.keys.retain(|key| key.id != *deletable.key());
                self.accept_deletion(deletable.key(), deletable.record_after());
            }
            Action::Contain { key, state } => {
                self.set_status(key, KeyStatus::Inactive);
                self.record(key, state.clone());
            }
            Action::Restore { key, disable_due, request, .. } => {
                self.set_status(key, KeyStatus::Active);
                self.record(
                    key,
                    KeyState::new(KeyStateKind::Restored, self.now).of_request(*request).until(*disable_due),
                );
            }
            Action::Announce { key, what: Announcement::Deleted, state } => self.accept_deletion(key, state.as_ref()),
            Action::Announce { key, state, .. } => {
                if let Some(state) = state {
                    self.record(key, state.clone().accepted(self.now));
                }
            }
            Action::Record { key, state } => self.record(key, state.clone()),
            Action::Forget { key } => self.forget(key),
            Action::ForgetDeletion { key } => self.user.tags.deletions.retain(|(of, _)| of != key),
            Action::ReportFinding(finding) => {
                if self.forecast.findings.iter().all(|(_, told)| told != finding) {
                    self.forecast.findings.push((self.day, finding.clone()));
                }
            }
            Action::Warn { .. } | Action::Postpone { .. } | Action::RecordDeletion { .. } => {}
        }
        action.changes()
    }

    fn add_step(&mut self, key: &AccessKeyId, kind: ForecastKind) {
        self.forecast.steps.push(ForecastStep { day: self.day, key: key.clone(), kind });
    }

    /// A successor, published in place of whichever key was.
    fn create(&mut self) {
        self.created += 1;
        for key in &mut self.user.keys {
            key.published = Published::No;
        }
        self.user.keys.push(Key {
            id: AccessKeyId::new(format!("successor_to_come_{:02}", self.created))
                .expect("letters, digits and underscores"),
            status: KeyStatus::Active,
            created: self.now,
            last_use: LastUse::Never,
            published: Published::Yes,
            state: None,
        });
    }

    fn set_status(&mut self, id: &AccessKeyId, status: KeyStatus) {
        for key in self.user.keys.iter_mut().filter(|key| key.id == *id) {
            key.status = status;
        }
    }

    fn record(&mut self, id: &AccessKeyId, state: KeyState) {
        self.forget(id);
        for key in self.user.keys.iter_mut().filter(|key| key.id == *id) {
            key.state = Some(state.clone());
        }
        self.user.tags.states.push((id.clone(), state));
    }

    fn accept_deletion(&mut self, id: &AccessKeyId, kept: Option<&KeyState>) {
        self.user.tags.deletions.retain(|(of, _)| of != id);
        match kept {
            Some(state) => self.record(id, state.clone().accepted(self.now)),
            None => self.forget(id),
        }
    }

    fn forget(&mut self, id: &AccessKeyId) {
        self.user.tags.states.retain(|(of, _)| of != id);
        for key in self.user.keys.iter_mut().filter(|key| key.id == *id) {
            key.state = None;
        }
    }
}
