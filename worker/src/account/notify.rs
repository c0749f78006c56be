//! What owners are told of an account, once its users have been worked on, and what that means for the message.

use std::time::Duration;

use jiff::Timestamp;
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
    pub(super) async fn notify_owners(&self, mut report: AccountReport, last_delivery: bool) -> Result<(), JobError> {
        let complete = report.not_begun == 0 && report.is_given_up(last_delivery);
        let items = std::mem::take(&mut report.items).into_iter();
        let items: Vec<DigestItem> =
            items.filter(|item| complete || !(self.dry_run || item.news.is_made_again())).collect();
        let standing = items.iter().filter(|item| item.news.is_made_again());
        standing.filter_map(|item| from_item(item, |kind| self.event(kind))).for_each(|event| self.emit(event));
        let incomplete = if complete { &report.failed[..] } else { &[] };
        let mut told = Ok(());
        if !items.is_empty() || !incomplete.is_empty() {
            let digest = self.digest(items, incomplete);
            let mut recorder = TagRecorder::new(self);
            let sent = self.worker.notices.deliver(&digest, &mut recorder).await;
            self.counter.count_mails(sent.mails, sent.failures.len());
            // Before all else, as for whatever else the message came again, they would not be found again. An operator's request goes on all
            // the same: it may have to make the successor of a key that it has disabled. (A finding is in the log and an event, too.)
            let findings = self.tell_findings(&digest, &sent, &mut recorder).await;
            if !self.job.is_operators_request() || report.is_given_up(last_delivery) {
                findings?;
            }
            told = recorder.finish().and_then(|()| mail_outcome(&digest, &sent));
        }
        report.result(told, last_delivery, self.now())
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

impl AccountReport {
    /// Whether no user that failed can get on by itself, so that the message is not tried again for one of them.
    fn is_given_up(&self, last_delivery: bool) -> bool {
        last_delivery || self.failed.iter().all(|(_, error)| error.needs_a_person())
    }

    /// What the message comes to. A mail that may be tried again counts first where nothing else is: what was done is told before the
    /// message ends. Then a refused request, users that were not begun, users that failed, and any other trouble with the mail.
    fn result(self, told: Result<(), JobError>, last_delivery: bool, now: Timestamp) -> Result<(), JobError> {
        let may_be_told = told.as_ref().is_err_and(|error| matches!(error.outcome(), Outcome::Retry { .. }));
        // Where a new key could not be stored another worker would make one more: then the next run tells it.
        let makes_no_key = !self.failed.iter().any(|(_, error)| matches!(error, StepError::NotStored(_)));
        if self.not_begun == 0 && self.is_given_up(last_delivery) && may_be_told && makes_no_key && !last_delivery {
            return told;
        }
        if let Some(why) = self.refused {
            return Err(JobError::Refused(why));
        }
        if self.not_begun > 0 {
            return Err(JobError::Stopped { not_begun: self.not_begun });
        }
        if !self.failed.is_empty() {
            return Err(JobError::Users { failed: self.failed, now });
        }
        told
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
    all.filter(|(i, item)| !item.news.is_made_again() && !report.accepted.contains_key(i)).map(|(_, item)| item)
}
