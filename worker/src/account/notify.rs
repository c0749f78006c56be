//! What owners are told of an account, once its users have been worked on, and what that means for the message.

use std::time::Duration;

use rotation::UserName;

use super::AccountReport;
use crate::context::AccountContext;
use crate::error::{JobError, StepError};
use crate::events::from_item;
use crate::notices::{self, Digest, DigestItem, DigestReport, IncompleteUser, News};
use crate::queue::Outcome;
use crate::recorder::TagRecorder;

/// After a mail service has refused a mail with the SDK's tries.
const BEFORE_TOLD_AGAIN: Duration = Duration::from_secs(2);

impl AccountContext<'_> {
    /// Tells the owners, and records what was told once it is accepted.
    ///
    /// What will be told again anyway waits until the account has been worked through (or has been given up on), so that a
    /// message that is tried five times does not warn five times.
    pub(super) async fn notify_owners(&self, report: AccountReport, last_delivery: bool) -> Result<(), JobError> {
        let AccountReport { items, failed, not_begun, refused } = report;
        // While one of them may get on by itself the message is tried again.
        let given_up = last_delivery || failed.iter().all(|(_, error)| error.needs_a_person());
        let complete = not_begun == 0 && given_up;
        let items: Vec<DigestItem> =
            items.into_iter().filter(|item| complete || !(self.dry_run || item.news.can_wait())).collect();
        let standing = items.iter().filter(|item| item.news.can_wait());
        standing.filter_map(|item| from_item(item, |kind| self.event(kind))).for_each(|event| self.emit(event));
        let incomplete = if complete { &failed[..] } else { &[] };
        let mut outcome = Ok(());
        if !items.is_empty() || !incomplete.is_empty() {
            let digest = self.digest(items, incomplete);
            let mut recorder = TagRecorder::new(self);
            let sent = self.worker.notices.deliver(&digest, &mut recorder).await;
            self.counter.count_mails(sent.mails, sent.failures.len());
            // Before all else, as for whatever else the message came again, they would not be found again.
            self.tell_findings(&digest, &sent, &mut recorder).await?;
            outcome = recorder.finish().and_then(|()| mail_outcome(&digest, &sent));
        }
        // Where nothing more is to be tried but a mail, that is: what was done is told before the message ends. (Where a new key could not be
        // stored another worker would make one more: then the next run tells it.)
        let may_be_told = outcome.as_ref().is_err_and(|error| matches!(error.outcome(), Outcome::Retry { .. }));
        let makes_no_key = !failed.iter().any(|(_, error)| matches!(error, StepError::NotStored(_)));
        if given_up && not_begun == 0 && may_be_told && makes_no_key && !last_delivery {
            return outcome;
        }
        if let Some(why) = refused {
            return Err(JobError::Refused(why));
        }
        if not_begun > 0 {
            return Err(JobError::Stopped { not_begun });
        }
        if !failed.is_empty() {
            let now = self.now();
            return Err(JobError::Users { failed, now });
        }
        outcome
    }

    /// Sees to it that what no later try of the message would find again does not go untold: told once more, where that may help, and else
    /// in a dead letter.
    async fn tell_findings(
        &self,
        digest: &Digest,
        sent: &DigestReport,
        recorder: &mut TagRecorder<'_>,
    ) -> Result<(), JobError> {
        let (mut untold, mut failure) = (untold_findings(digest, sent), sent.failures.first().cloned());
        if !untold.is_empty() && sent.failures.iter().any(|failure| failure.retryable) {
            tokio::time::sleep(BEFORE_TOLD_AGAIN).await;
            let digest = self.digest(untold, &[]);
            let again = self.worker.notices.deliver(&digest, recorder).await;
            self.counter.count_mails(again.mails, again.failures.len());
            (untold, failure) = (untold_findings(&digest, &again), again.failures.first().cloned());
        }
        let findings: Vec<String> = untold.iter().filter_map(by_user).collect();
        match failure {
            Some(failure) if !findings.is_empty() => {
                let findings = findings.join("; ");
                Err(JobError::Undeliverable(format!("{failure}. Nobody was told this, by user: {findings}")))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// All there is to tell.
    pub(super) fn digest(&self, items: Vec<DigestItem>, incomplete: &[(UserName, StepError)]) -> Digest {
        Digest {
            account: notices::Account {
                id: self.job.account.clone(),
                name: self.job.name.clone(),
                email: self.job.email.clone(),
            },
            dry_run: self.dry_run,
            run_id: self.job.run_id,
            is_operators_request: self.job.is_operators_request(),
            is_redelivered: self.origin.redelivered,
            now: self.decision_time(),
            logged_at: self.worker.settings.as_of.unwrap_or_else(|| self.worker.connection.clock().now()),
            policy: self.worker.settings.policy,
            items,
            incomplete: incomplete.iter().map(|(user, error)| incomplete_user(user, error)).collect(),
        }
    }
}

fn incomplete_user(user: &UserName, error: &StepError) -> IncompleteUser {
    IncompleteUser { user: user.clone(), reason: error.reason(), error: error.to_string() }
}

/// Whether what had to be told was told: what can be tried again is, and what cannot is for a person.
fn mail_outcome(digest: &Digest, report: &DigestReport) -> Result<(), JobError> {
    if let Some(failure) = report.failures.iter().find(|failure| failure.retryable) {
        return Err(JobError::Mail(failure.to_string()));
    }
    match report.failures.first() {
        Some(failure) if untold(digest, report).next().is_some() && !digest.dry_run => {
            Err(JobError::Undeliverable(failure.to_string()))
        }
        Some(_) | None => Ok(()),
    }
}

/// What the next try of the message would not find again. (An audit does.)
fn untold_findings(digest: &Digest, report: &DigestReport) -> Vec<DigestItem> {
    let is_finding = |item: &&DigestItem| matches!(item.news, News::Finding(_)) && !digest.dry_run;
    untold(digest, report).filter(is_finding).cloned().collect()
}

fn by_user(item: &DigestItem) -> Option<String> {
    let News::Finding(finding) = &item.news else { return None };
    Some(format!("{}: {finding}", item.user))
}

/// What nobody has been told and the next run would not tell by itself.
fn untold<'d>(digest: &'d Digest, report: &'d DigestReport) -> impl Iterator<Item = &'d DigestItem> {
    let all = digest.items.iter().enumerate();
    all.filter(|(i, item)| !item.news.can_wait() && !report.accepted.contains_key(i)).map(|(_, item)| item)
}
