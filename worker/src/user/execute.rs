//! Carries out what was decided about one user, in its order.

mod items;

use std::collections::BTreeMap;

use items::announced;
use jiff::Timestamp;
use key_rotation_aws::MemberSession;
use rotation::{
    AccessKeyId, Action, Announcement, DisablePrecondition, Finding, Key, KeyState, KeyStateKind, KeyStatus, Notice,
    Plan, User,
};
use tracing::info;
use uuid::Uuid;

use super::decide::Decision;
use super::look::UserSnapshot;
use super::{Next, Round, UserError, UserProgress};
use crate::aws::iam::Iam;
use crate::context::UserContext;
use crate::error::StepError;
use crate::notices::News;
use crate::steps::destination::{Destination, SeenSecret};
use crate::steps::key_status::{self, DisableOutcome};
use crate::steps::rotate::{AttemptKind, AttemptOutcome, attempt};

/// Carries out one decision about one user. In audit mode it changes nothing, and tells what would be done.
pub(super) struct UserExecutor<'a> {
    context: UserContext<'a>,
    session: MemberSession,
    snapshot: &'a UserSnapshot,
    user: &'a User,
    collected: UserProgress,
}

impl<'a> UserExecutor<'a> {
    pub(super) fn new(
        context: UserContext<'a>,
        session: MemberSession,
        snapshot: &'a UserSnapshot,
        collected: UserProgress,
    ) -> Self {
        Self { context, session, snapshot, user: &snapshot.user, collected }
    }

    /// What is told counts also where a later action fails.
    pub(super) async fn execute(mut self, decision: &Decision) -> Round {
        let next = match decision {
            Decision::Settle => self.settle().await.map_err(Into::into),
            Decision::Act(plan) => self.carry_out(plan).await,
        };
        Round { collected: self.collected, next }
    }

    async fn carry_out(&mut self, plan: &Plan) -> Result<Next, UserError> {
        if let SeenSecret::Found(secret) = &self.snapshot.secret {
            self.report_failed_replicas(&secret.replicas);
        }
        let told_by_audit = if self.is_audit() { plan.rest.as_slice() } else { &[] };
        for action in plan.actions.iter().chain(told_by_audit) {
            if self.carry_out_one(action).await? == Next::LookAgain {
                return Ok(Next::LookAgain);
            }
        }
        if plan.decide_again && !self.is_audit() {
            return Ok(Next::LookAgain);
        }
        if let Some(not_before) = plan.rest_after.filter(|_| !self.is_audit()) {
            return Err(StepError::HasToWait { not_before }.into());
        }
        if let Some(refusal) = &plan.refusal {
            return Err(UserError::Refused(refusal.clone()));
        }
        Ok(Next::Done)
    }

    async fn carry_out_one(&mut self, action: &Action) -> Result<Next, StepError> {
        match action {
            Action::Rotate { old, present, notice, contained } => {
                return self.rotate(old, present, notice.as_ref(), contained.as_ref()).await;
            }
            Action::Disable { key, precondition, delete_due } => self.disable(key, precondition, *delete_due).await?,
            Action::Contain { key, state } => self.contain(key, state).await?,
            Action::Delete(deletable) => {
                if !self.is_audit() {
                    key_status::delete(&self.context, &self.session, &self.user.tags, deletable).await?;
                }
                self.collect_item(deletable.key(), News::Deleted, deletable.record_after().cloned());
            }
            Action::Restore { key, disable_due, request, requested_at } => {
                self.restore(key, *disable_due, *request, *requested_at).await?;
            }
            Action::Notify { key, notice } => {
                let news = News::Noticed { kind: notice.kind.clone(), disable_due: notice.disable_due };
                let state = notice.state(self.context.now());
                // Since when it is to be told stays on record: by that it is known which successor was made for it.
                let untold =
                    self.user.tags.state_of(key).filter(|known| !known.told && known.is_of_same_request(&state));
                match untold {
                    Some(untold) => self.record(key, &KeyState { until: state.until, ..untold }).await?,
                    None => self.record_not_told(key, &state).await?,
                }
                self.collect_item(key, news, Some(state));
            }
            Action::Adopt { key, state, delete_due } => {
                self.record_not_told(key, state).await?;
                self.collect_item(key, News::FoundInactive { delete_due: *delete_due }, Some(state.clone()));
            }
            Action::Announce { key, what, state } => {
                self.record_again(key, what).await?;
                self.collect_item(key, announced(what), state.clone());
            }
            Action::ReportFinding(finding) => self.report_finding(finding.clone()),
            Action::Warn { key, upcoming, due } => {
                self.collect_item(key, News::Upcoming { what: upcoming.clone(), due: *due }, None);
            }
            Action::Postpone { key, until, .. } => self.collect_item(key, News::Postponed { until: *until }, None),
            Action::Record { key, state } => {
                if let Some(requested_at) = state.requested_at.filter(|_| state.restoring.is_some() && !self.is_audit())
                {
                    key_status::refuse_if_leaked(&self.context, &self.session, key, requested_at).await?;
                }
                self.record(key, state).await?;
            }
            Action::RecordDeletion { key } => self.record_deletion(key).await?,
            Action::Forget { key } if !self.is_audit() => {
                Iam::new(&self.session).remove_state(self.context.user, key).await?;
            }
            Action::ForgetDeletion { key } if !self.is_audit() => {
                Iam::new(&self.session).remove_deletion(self.context.user, key).await?;
            }
            Action::Forget { .. } | Action::ForgetDeletion { .. } => {}
        }
        Ok(Next::Done)
    }

    /// What has been done to a key is told also where it cannot be recorded.
    async fn disable(
        &mut self,
        key: &AccessKeyId,
        precondition: &DisablePrecondition,
        delete_due: Timestamp,
    ) -> Result<(), StepError> {
        let outcome = match self.key(key) {
            _ if self.is_audit() => DisableOutcome::Disabled,
            Some(key) => key_status::disable(&self.context, &self.session, &self.user.tags, key, precondition).await?,
            None => return Err(StepError::Changed(format!("the key {key} is not the user's any more"))),
        };
        match outcome {
            DisableOutcome::Disabled => {
                let state = KeyState::new(KeyStateKind::Disabled, self.context.now()).until(delete_due);
                self.collect_item(key, News::Disabled { delete_due }, Some(state.clone()));
                self.record_not_told(key, &state).await?;
            }
            DisableOutcome::Withheld(finding) => self.report_finding(finding),
        }
        Ok(())
    }

    async fn contain(&mut self, key: &AccessKeyId, state: &KeyState) -> Result<(), StepError> {
        let was_active = self.key(key).is_some_and(|key| key.status == KeyStatus::Active);
        if !self.is_audit() {
            key_status::contain(&self.context, &self.session, key).await?;
        }
        // What cannot be recorded is told once: by the delivery that found the key active.
        if !was_active {
            self.record_not_told(key, state).await?;
        }
        self.collect_item(key, News::Contained, Some(state.clone()));
        if was_active {
            self.record_not_told(key, state).await?;
        }
        Ok(())
    }

    async fn restore(
        &mut self,
        key: &AccessKeyId,
        disable_due: Timestamp,
        request: Uuid,
        requested_at: Timestamp,
    ) -> Result<(), StepError> {
        let is_active = self.key(key).is_some_and(|key| key.status == KeyStatus::Active);
        if !self.is_audit() && !is_active {
            key_status::enable(&self.context, &self.session, key, requested_at).await?;
        }
        let state = KeyState::new(KeyStateKind::Restored, self.context.now()).of_request(request).until(disable_due);
        let state = KeyState { requested_at: Some(requested_at), ..state };
        self.record_not_told(key, &state).await?;
        self.collect_item(key, News::Restored { disable_due }, Some(state));
        Ok(())
    }

    async fn rotate(
        &mut self,
        old: &AccessKeyId,
        present: &[AccessKeyId],
        notice: Option<&Notice>,
        contained: Option<&KeyState>,
    ) -> Result<Next, StepError> {
        let disable_due = notice.and_then(|notice| notice.disable_due);
        let record = |successor: Option<AccessKeyId>| match (notice, contained) {
            (Some(notice), _) => Some(notice.state(self.context.now())),
            (None, Some(contained)) => Some(KeyState { successor, ..contained.clone() }),
            (None, None) => None,
        };
        if self.is_audit() {
            let record = record(None);
            self.collect_item(old, News::Rotated { successor: None, disable_due }, record);
            return Ok(Next::Done);
        }
        let tags = self.snapshot.tags_as_listed.then_some(&self.user.tags);
        let kind = AttemptKind::Successor { old, present, tags, secret: &self.snapshot.secret };
        match self.attempt(kind).await? {
            AttemptOutcome::Created(new) => {
                let record = record(Some(new.clone()));
                self.collect_item(old, News::Rotated { successor: Some(new), disable_due }, record);
                for reader in self.context.readers().refused {
                    self.report_finding(Finding::ReaderNotAllowed { reader });
                }
                for value in self.context.smtp_regions().1 {
                    self.report_finding(Finding::BadSmtpRegion { value });
                }
                self.look_at_replicas().await?;
                Ok(Next::Done)
            }
            AttemptOutcome::LookAgain(findings) => Ok(self.look_again(findings)),
        }
    }

    /// Where an earlier delivery of the message could not store a key for the user, none is made for nothing.
    async fn attempt(&self, kind: AttemptKind<'_>) -> Result<AttemptOutcome, StepError> {
        let account = self.context.account;
        let refused = &account.worker.storage_refusals;
        if let Some(error) = refused.get(account.message_id, self.context.user) {
            return Err(StepError::NotStored(error));
        }
        let ended = attempt(self.context, kind).await;
        if let Err(StepError::NotStored(error)) = &ended {
            refused.remember(account.message_id, self.context.user, error);
        }
        ended
    }

    /// The new key is published where it was stored; whether it has reached the other regions shows only there.
    async fn look_at_replicas(&mut self) -> Result<(), StepError> {
        if self.context.account.worker.settings.replication_regions.is_empty() {
            return Ok(());
        }
        let destination = Destination::new(&self.context, &self.session);
        if let Some(secret) = destination.look().await? {
            self.report_failed_replicas(&secret.replicas);
        }
        Ok(())
    }

    /// Secrets Manager replicates after it has answered, so that a failure may show only in a later run.
    fn report_failed_replicas(&mut self, replicas: &BTreeMap<String, Option<String>>) {
        for (region, failure) in replicas {
            if let Some(why) = failure {
                self.report_finding(Finding::NotReplicated { region: region.clone(), why: why.clone() });
            }
        }
    }

    async fn settle(&mut self) -> Result<Next, StepError> {
        if self.is_audit() {
            info!("an interrupted rotation would be settled first");
            return Ok(Next::Done);
        }
        match attempt(self.context, AttemptKind::Settle { seen: &self.user.tags.intents }).await? {
            AttemptOutcome::Created(_) => Ok(Next::LookAgain),
            AttemptOutcome::LookAgain(findings) => Ok(self.look_again(findings)),
        }
    }

    /// With a finding, a person has to look; asking again would only repeat it. But a request goes on until it is carried out or
    /// refused: with a finding alone it is neither.
    fn look_again(&mut self, findings: Vec<Finding>) -> Next {
        let is_done = !findings.is_empty() && !self.context.account.job.is_operators_request();
        let next = if is_done { Next::Done } else { Next::LookAgain };
        for finding in findings {
            self.report_finding(finding);
        }
        next
    }

    /// Before a mail is sent it is found out that it can be recorded; and should it not be accepted, the record says what is still
    /// to be told.
    async fn record_not_told(&mut self, key: &AccessKeyId, state: &KeyState) -> Result<(), StepError> {
        self.record(key, &state.clone().not_told()).await
    }

    /// The same where the record says already what is still to be told, perhaps since an earlier action of this plan.
    async fn record_again(&mut self, key: &AccessKeyId, what: &Announcement) -> Result<(), StepError> {
        if *what == Announcement::Deleted {
            return self.record_deletion(key).await;
        }
        match self.collected.recorded.get(key).cloned().or_else(|| self.user.tags.state_of(key)) {
            Some(state) => self.record(key, &state).await,
            None => Ok(()),
        }
    }

    async fn record(&mut self, key: &AccessKeyId, state: &KeyState) -> Result<(), StepError> {
        if self.is_audit() {
            return Ok(());
        }
        Iam::new(&self.session).record_state(self.context.user, key, state).await?;
        self.collected.recorded.insert(key.clone(), state.clone());
        Ok(())
    }

    async fn record_deletion(&self, key: &AccessKeyId) -> Result<(), StepError> {
        if self.is_audit() {
            return Ok(());
        }
        Ok(Iam::new(&self.session).record_deletion(self.context.user, key, self.context.now()).await?)
    }

    fn key(&self, id: &AccessKeyId) -> Option<&'a Key> {
        self.user.keys.iter().find(|key| key.id == *id)
    }

    fn is_audit(&self) -> bool {
        self.context.account.dry_run
    }
}
