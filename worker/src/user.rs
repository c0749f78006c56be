//! One user: looked at, planned for, worked on, until nothing more is to be done.
//!
//! Looking is cheap first: a user with nothing due costs one call. Only where the rules want to act or to speak is the rest
//! read (tags afresh, last uses, what is published), and the plan made again on that.

use std::time::Duration;

use futures::future::try_join_all;
use jiff::Timestamp;
use key_rotation_aws::MemberSession;
use rotation::forced::{self, Request};
use rotation::plan::{DeleteReason, NoticeKind};
use rotation::restore;
use rotation::user::UserTags;
use rotation::{
    AccessKeyId, Action, Finding, Key, LastUse, Memory, Notice, Plan, Published, Remembered, Task, User, Verdict,
    lifecycle,
};
use tracing::{debug, info, warn};

use crate::account::AccountWork;
use crate::aws::iam::{Iam, KeyRecord, UserRecord};
use crate::error::StepError;
use crate::notices::{DigestItem, Event, KeyFacts, Mark, SecretLocation};
use crate::sessions::TO_LOOK;
use crate::steps::destination::{Destination, location};
use crate::steps::rotate::{AttemptKind, AttemptOutcome, attempt};
use crate::steps::{UserWork, retire};
use crate::tally::Tally;

/// How often a user is looked at again within one delivery. Settling, containing and then rotating takes three; what keeps
/// changing beyond that is left to a later delivery.
const ROUNDS: usize = 5;

/// How often a user's keys and tags are read until they go together.
const LOOKS: usize = 3;

/// Between two looks: IAM's reads lag its writes by a moment.
const BETWEEN_ROUNDS: Duration = Duration::from_millis(50);

/// Why a user is not done.
#[derive(Debug)]
pub enum UserError {
    /// It may be done later.
    Step(StepError),
    /// What was asked for will not be done.
    Refused(String),
}

impl<E: Into<StepError>> From<E> for UserError {
    fn from(error: E) -> Self {
        UserError::Step(error.into())
    }
}

/// What the rules say, whichever were asked.
enum Decision {
    /// Nothing, or the plan.
    Act(Plan),
    /// Make this key active again and tell its owner; or only tell.
    Restore { key: AccessKeyId, disable_due: Timestamp, enable: bool },
    /// Settle first.
    Settle,
}

/// Works on one user. What is to be told is added to `items`, also where the work fails in the end.
///
/// # Errors
/// [`UserError`].
pub async fn work(
    account: &AccountWork<'_>,
    record: &UserRecord,
    exempt: bool,
    items: &mut Vec<DigestItem>,
) -> Result<(), UserError> {
    let result = rounds(account, record, exempt, items).await;
    if let Err(UserError::Step(error)) = &result
        && error.session_ended()
    {
        account.sessions.discard().await;
    }
    result
}

async fn rounds(
    account: &AccountWork<'_>,
    record: &UserRecord,
    exempt: bool,
    items: &mut Vec<DigestItem>,
) -> Result<(), UserError> {
    let work = UserWork { account, user: &record.name, arn: &record.arn };
    if nothing_due(&work, record, exempt).await? {
        return Ok(());
    }
    for round in 0..ROUNDS {
        if round > 0 {
            tokio::time::sleep(BETWEEN_ROUNDS).await;
        }
        let session = account.sessions.with(TO_LOOK).await?;
        let user = look_closely(&work, &session, record, exempt).await?;
        let mut hands = Hands { work, session, user: &user, record, items: &mut *items };
        let again = match decide(account, &user)? {
            Decision::Settle => hands.settle().await?,
            Decision::Restore { key, disable_due, enable } => {
                hands.restore(&key, disable_due, enable).await?;
                false
            }
            Decision::Act(plan) => hands.carry_out(&plan).await?,
        };
        if !again {
            return Ok(());
        }
    }
    Err(StepError::Changed("it kept changing".into()).into())
}

/// The cheap look: one call. Only for ordinary work; what an operator asks for is always looked at closely.
async fn nothing_due(work: &UserWork<'_>, record: &UserRecord, exempt: bool) -> Result<bool, StepError> {
    match work.account.job.task {
        Task::Account | Task::User(_) => {}
        Task::ForceRotate(_) | Task::Restore { .. } => return Ok(false),
    }
    let tags = read_tags(&record.tags);
    let mut user = User { name: record.name.clone(), keys: Vec::new(), in_exemption_group: exempt, tags };
    let now = work.account.decision_time();
    if let Some(exemption) = user.exemption(now) {
        debug!(?exemption, "exempt: left alone");
        Tally::count(&work.account.rotator.tally.exempt);
        return Ok(true);
    }
    let session = work.account.sessions.with(TO_LOOK).await?;
    let keys = work.keys(&session).await?;
    user.keys = keys.into_iter().map(|key| known_key(key, &user.tags, LastUse::Unknown, Published::Unknown)).collect();
    Ok(match lifecycle::plan(now, &work.account.rotator.policy, &user) {
        Verdict::Exempt(_) => true,
        Verdict::Act(plan) => plan.actions.is_empty(),
        Verdict::SettleFirst | Verdict::Undecided(_) => false,
    })
}

/// Everything the rules may want to know, read afresh.
///
/// Keys are read before the tags and after them, until both lists agree. A key that an attempt under way has just made is then
/// seen together with its intent, or with its published version, and not taken for a person's; and one that another worker
/// has just disabled not for one that a person re-enabled.
async fn look_closely(
    work: &UserWork<'_>,
    session: &MemberSession,
    record: &UserRecord,
    exempt: bool,
) -> Result<User, StepError> {
    let iam = Iam::of(session);
    let mut keys = work.keys(session).await?;
    let mut looks = 0;
    let tags = loop {
        let tags = iam.user_tags(work.user).await?;
        let again = work.keys(session).await?;
        if again == keys {
            break read_tags(&tags);
        }
        keys = again;
        looks += 1;
        if looks == LOOKS {
            return Err(StepError::Changed("its keys change while they are being looked at".into()));
        }
    };
    let uses = try_join_all(keys.iter().map(|key| iam.last_use(&key.id))).await?;
    let secret = Destination::of(work, session).look().await?;
    let keys = keys
        .into_iter()
        .zip(uses)
        .map(|(key, last_use)| {
            let published = match &secret {
                Some(secret) if secret.publishes(&key.id) => Published::Yes,
                Some(_) | None => Published::No,
            };
            known_key(key, &tags, last_use, published)
        })
        .collect();
    Ok(User { name: record.name.clone(), keys, in_exemption_group: exempt, tags })
}

fn read_tags(tags: &[(String, String)]) -> UserTags {
    UserTags::read(tags.iter().map(|(key, value)| (key.as_str(), value.as_str())))
}

fn known_key(key: KeyRecord, tags: &UserTags, last_use: LastUse, published: Published) -> Key {
    let memory = tags.memory(&key.id);
    Key { id: key.id, status: key.status, created: key.created, last_use, published, memory }
}

/// Asks the rules the job is about.
fn decide(account: &AccountWork<'_>, user: &User) -> Result<Decision, UserError> {
    let now = account.decision_time();
    let policy = &account.rotator.policy;
    match &account.job.task {
        Task::Account | Task::User(_) => match lifecycle::plan(now, policy, user) {
            Verdict::Exempt(_) => {
                Tally::count(&account.rotator.tally.exempt);
                Ok(Decision::Act(Plan::default()))
            }
            Verdict::SettleFirst => Ok(Decision::Settle),
            Verdict::Undecided(missing) => Err(StepError::Undecided(missing).into()),
            Verdict::Act(plan) => Ok(Decision::Act(plan)),
        },
        Task::ForceRotate(asked) => {
            let request = Request {
                access_key_id: asked.whom.access_key_id().cloned(),
                disable_old_now: asked.disable_old_now,
                override_exemption: asked.override_exemption,
                requested_at: account.requested_at,
                redelivered: account.redelivered,
            };
            match forced::plan(now, policy, user, &request) {
                forced::Answer::SettleFirst => Ok(Decision::Settle),
                forced::Answer::Undecided(missing) => Err(StepError::Undecided(missing).into()),
                forced::Answer::Act(plan) => Ok(Decision::Act(plan)),
                forced::Answer::Refused(refusal) => Err(UserError::Refused(refusal.to_string())),
            }
        }
        Task::Restore { access_key_id, .. } => {
            match restore::plan(now, policy, user, access_key_id.as_ref(), account.requested_at) {
                restore::Answer::Enable { key, disable_due } => {
                    Ok(Decision::Restore { key, disable_due, enable: true })
                }
                restore::Answer::Tell { key, disable_due } => Ok(Decision::Restore { key, disable_due, enable: false }),
                restore::Answer::Done { key } => {
                    info!(%key, "the key is active already, and that is on record");
                    Ok(Decision::Act(Plan::default()))
                }
                restore::Answer::Refused(refusal) => Err(UserError::Refused(refusal.to_string())),
            }
        }
    }
}

/// Carries out what was decided about one user.
struct Hands<'a> {
    work: UserWork<'a>,
    session: MemberSession,
    user: &'a User,
    record: &'a UserRecord,
    items: &'a mut Vec<DigestItem>,
}

impl Hands<'_> {
    /// Carries out a plan, in its order. Whether the user has to be looked at again.
    async fn carry_out(&mut self, plan: &Plan) -> Result<bool, StepError> {
        for action in &plan.actions {
            if self.carry_out_one(action).await? {
                return Ok(true);
            }
        }
        // Containing goes ahead alone where the rest of a request has to wait for something to be found out or settled.
        let only_contained = matches!(plan.actions.as_slice(), [Action::Contain { .. }]);
        Ok(only_contained && !self.work.account.dry_run)
    }

    async fn carry_out_one(&mut self, action: &Action) -> Result<bool, StepError> {
        let tally = &self.work.account.rotator.tally;
        let dry_run = self.work.account.dry_run;
        match action {
            Action::Rotate { old, present, notice } => return self.rotate(old, present, notice.as_ref()).await,
            Action::Notify { key, notice } => {
                let event = Event::Noticed { kind: notice.kind.clone(), disable_due: notice.disable_due };
                self.tell(key, event, Some(Mark::of(&notice.kind)));
            }
            Action::Disable { key, safeguard, delete_due } => {
                if !dry_run {
                    match retire::disable(&self.work, &self.session, key, safeguard).await? {
                        Ok(()) => Tally::count(&tally.disabled),
                        Err(finding) => {
                            self.find(finding);
                            return Ok(false);
                        }
                    }
                }
                self.tell(key, Event::Disabled { delete_due: *delete_due }, Some(Mark::Disabled));
            }
            Action::Contain { key } => {
                if !dry_run {
                    retire::contain(&self.work, &self.session, key).await?;
                    Tally::count(&tally.disabled);
                }
                self.tell(key, Event::Contained, None);
            }
            Action::Delete(deletable) => {
                if !dry_run {
                    retire::delete(&self.work, &self.session, deletable).await?;
                    Tally::count(&tally.deleted);
                }
                match deletable.reason() {
                    DeleteReason::RecoveryGraceOver { .. }
                    | DeleteReason::MakesRoomForForced
                    | DeleteReason::Contained => {
                        self.tell(deletable.key(), Event::Deleted, None);
                    }
                }
            }
            Action::Adopt { key, delete_due } => {
                // In a forced rotation the record comes before what follows: by it a later delivery recognises the key.
                let at_once = matches!(self.work.account.job.task, Task::ForceRotate(_));
                if at_once && !dry_run {
                    let now = self.work.now();
                    Iam::of(&self.session).remember(self.work.user, key, Remembered::Disabled(now)).await?;
                }
                let mark = (!at_once).then_some(Mark::Disabled);
                self.tell(key, Event::FoundInactive { delete_due: *delete_due }, mark);
            }
            Action::Forget { key } => {
                if !dry_run {
                    Iam::of(&self.session).forget(self.work.user, key).await?;
                }
            }
            Action::Warn { key, upcoming, due } => {
                Tally::count(&tally.warned);
                self.tell(key, Event::Upcoming { what: upcoming.clone(), due: *due }, None);
            }
            Action::Postpone { key, until, last_use } => {
                info!(%key, %until, ?last_use, "the disable is put off: the key is in use and its successor is not");
                self.tell(key, Event::Postponed { until: *until }, None);
            }
            Action::Report(finding) => self.find(finding.clone()),
        }
        Ok(false)
    }

    async fn rotate(
        &mut self,
        old: &AccessKeyId,
        present: &[AccessKeyId],
        notice: Option<&Notice>,
    ) -> Result<bool, StepError> {
        let disable_due = notice.and_then(|notice| notice.disable_due);
        let mark = notice.map(|notice| Mark::of(&notice.kind));
        if self.work.account.dry_run {
            self.tell(old, Event::Rotated { by: None, disable_due }, mark);
            return Ok(false);
        }
        match attempt(self.work, AttemptKind::Successor { old, present }).await? {
            AttemptOutcome::Created(new) => {
                Tally::count(&self.work.account.rotator.tally.rotated);
                self.tell(old, Event::Rotated { by: Some(new), disable_due }, mark);
                Ok(false)
            }
            AttemptOutcome::LookAgain(findings) => Ok(self.look_again(findings)),
        }
    }

    async fn settle(&mut self) -> Result<bool, StepError> {
        if self.work.account.dry_run {
            info!("an interrupted rotation would be settled first");
            return Ok(false);
        }
        match attempt(self.work, AttemptKind::Settle { seen: &self.user.tags.intents }).await? {
            AttemptOutcome::Created(_) => Ok(true),
            AttemptOutcome::LookAgain(findings) => Ok(self.look_again(findings)),
        }
    }

    fn look_again(&mut self, findings: Vec<Finding>) -> bool {
        let clear = findings.is_empty();
        for finding in findings {
            self.find(finding);
        }
        // With a finding, a person has to look; asking again would only repeat it.
        clear
    }

    async fn restore(&mut self, key: &AccessKeyId, disable_due: Timestamp, enable: bool) -> Result<(), StepError> {
        if enable && !self.work.account.dry_run {
            // On record before it is active: by that a later delivery knows a key that is restored and not yet told of.
            let disabled = |key: &Key| matches!(key.memory, Memory::Known(Remembered::Disabled(_)));
            if !self.user.keys.iter().any(|known| known.id == *key && disabled(known)) {
                let now = self.work.now();
                Iam::of(&self.session).remember(self.work.user, key, Remembered::Disabled(now)).await?;
            }
            retire::enable(&self.work, &self.session, key).await?;
        }
        self.tell(key, Event::Restored { disable_due }, Some(Mark::of(&NoticeKind::Restored)));
        Ok(())
    }

    fn find(&mut self, finding: Finding) {
        Tally::count(&self.work.account.rotator.tally.findings);
        warn!(%finding, "a finding");
        let item = self.item(None, Event::Finding(finding), None);
        self.items.push(item);
    }

    fn tell(&mut self, key: &AccessKeyId, event: Event, mark: Option<Mark>) {
        let item = self.item(Some(key), event, mark);
        info!(key = %key, event = ?item.event, dry_run = self.work.account.dry_run, "to be told");
        self.items.push(item);
    }

    fn item(&self, key: Option<&AccessKeyId>, event: Event, mark: Option<Mark>) -> DigestItem {
        let account = self.work.account;
        let facts = |key: &Key| KeyFacts { id: key.id.clone(), created: key.created, last_use: key.last_use.clone() };
        let central = account.rotator.central.as_ref().map(|central| &central.account);
        let published = self.user.keys.iter().find(|key| key.published == Published::Yes);
        let secret = location(central, account.rotator.connection.region(), &account.job.account, self.work.user);
        DigestItem {
            user: self.work.user.clone(),
            key: key.and_then(|id| self.user.keys.iter().find(|key| key.id == *id)).map(facts),
            event,
            owner_tag: account.owner_tag(self.record),
            secret: SecretLocation { publishes: published.map(|key| key.id.clone()), ..secret },
            last_reminded: self.user.tags.reminded,
            mark,
        }
    }
}
