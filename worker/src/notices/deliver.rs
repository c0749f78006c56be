//! Sending a digest's mails one by one, and the verdict on each item: told, or not.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use jiff::Timestamp;
use key_rotation_aws::{AwsError, Connection, ErrorClass};
use rotation::names::Partition;

use super::failure::{MailError, MailFailure};
use super::item::{Digest, DigestItem};
use super::log;
use super::recipients::{RecipientClass, Routing};
use super::render::{MailRenderer, RenderedMail};
use super::settings::MailSettings;
use super::templates::TemplateError;
use crate::aws::mail::{Mailer, OutgoingMail};
use crate::aws::suppression::Deliverability;

/// Records what an owner has been told as soon as it has been: a delivery that is cut short goes on where it stopped.
pub trait Recorder: Send {
    /// Records these items, told since then.
    fn record(&mut self, told: &[(&DigestItem, Timestamp)]) -> impl Future<Output = Vec<String>> + Send;
}

/// What became of a digest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DigestReport {
    /// The items that count as told, by their place in the digest, and since when: where several mails tell an item, since
    /// the first of them was accepted.
    ///
    /// What is neither here nor behind a failure is a reminder whose day it is not.
    pub accepted: BTreeMap<usize, Timestamp>,
    /// Mails that SES accepted.
    pub mails: usize,
    pub failures: Vec<MailFailure>,
}

/// One mail's fate.
#[derive(Debug, Clone)]
enum MailOutcome {
    Accepted {
        at: Timestamp,
    },
    Refused {
        error: MailError,
        /// What the error means, where a call failed.
        class: Option<ErrorClass>,
    },
}

/// Tells owners. Made once, when the process starts.
#[derive(Debug)]
pub struct Notices {
    renderer: MailRenderer,
    mailer: Option<Mailer>,
}

impl Notices {
    /// Compiles the templates, and renders those of others with every kind of news.
    ///
    /// Without a sender, or without a way to SES, notices go to the log and count as given.
    ///
    /// # Errors
    /// A template that cannot be used, by file, line and value.
    pub fn new(settings: MailSettings, ses: Option<&Connection>, partition: Partition) -> Result<Self, TemplateError> {
        let mailer = settings.sender.clone().zip(ses).map(|(sender, connection)| {
            let MailSettings { reply_to, configuration_set, .. } = settings.clone();
            Mailer::new(connection, sender, reply_to, configuration_set)
        });
        Ok(Self { renderer: MailRenderer::new(settings, partition)?, mailer })
    }

    /// Asks SES what it allows, so that a worker says at its start what stands in the way of its mails.
    pub async fn ask_for_limits(&self) {
        if let Some(mailer) = &self.mailer {
            mailer.is_in_ses_sandbox().await;
        }
    }

    /// Who is told what of a digest.
    pub fn routing(&self, digest: &Digest) -> Routing {
        Routing::new(digest, &self.renderer.settings)
    }

    /// Writes all mails of a digest, the administrator's summary included, without sending them.
    ///
    /// # Errors
    /// A template that asks for a value this digest does not have.
    pub fn render_all(&self, digest: &Digest) -> Result<Vec<RenderedMail>, TemplateError> {
        let routing = self.routing(digest);
        let mut mails = self.renderer.owner_mails(digest, &routing)?;
        mails.extend(self.renderer.summary(digest, &routing, &[])?);
        Ok(mails)
    }

    /// Tells it all: one mail per recipient and account.
    ///
    /// An item counts as told when every mail that tells it was accepted. A recipient that SES refuses for good does not stand in the way
    /// if another recipient's mail about the same item was accepted; then the sender is proven to be in order, and the refusal is about
    /// that recipient. SES's answer to an unverified sender is the same code as that to a refused recipient; so where nobody was told,
    /// it blocks and is tried again.
    pub async fn deliver(&self, digest: &Digest, recorder: &mut impl Recorder) -> DigestReport {
        let routing = self.routing(digest);
        for bad in &routing.bad_owner_tags {
            log::bad_owner_tag(digest, bad);
        }
        let mut report = DigestReport::default();
        let Some(mailer) = &self.mailer else {
            log::items(digest, self.renderer.partition);
            let all: Vec<_> = digest.items.iter().map(|item| (item, digest.logged_at)).collect();
            report.accepted = (0..all.len()).map(|index| (index, digest.logged_at)).collect();
            recorder.record(&all).await;
            return report;
        };
        let mut not_recorded = Vec::new();
        match self.renderer.owner_mails(digest, &routing) {
            Ok(mails) => not_recorded = self.send_all(mailer, digest, &routing, mails, recorder, &mut report).await,
            Err(error) => report.failures.push(unwritten(&error)),
        }
        report.failures.extend(without_address(&routing));
        self.send_summary(mailer, digest, &routing, not_recorded, &mut report).await;
        for failure in &report.failures {
            log::not_sent(digest, failure);
        }
        report
    }

    /// Sends mails one after the other; what has been told by then is recorded before the next. Returns what could not be recorded.
    async fn send_all(
        &self,
        mailer: &Mailer,
        digest: &Digest,
        routing: &Routing,
        mut mails: Vec<RenderedMail>,
        recorder: &mut impl Recorder,
        report: &mut DigestReport,
    ) -> Vec<String> {
        let mut outcomes: Vec<MailOutcome> = Vec::with_capacity(mails.len());
        let mut not_recorded = Vec::new();
        for index in 0..mails.len() {
            let is_account_after_owners = index > 0 && mails[index].recipient == RecipientClass::Account;
            if is_account_after_owners {
                let left =
                    routing.envelopes[index].without(&blocked(&mails, &outcomes), digest, &self.renderer.settings);
                match left.map(|envelope| self.renderer.owner_mail(digest, routing, &envelope)).transpose() {
                    Ok(Some(mail)) => mails[index] = mail,
                    Ok(None) => break,
                    Err(error) => {
                        report.failures.push(unwritten(&error));
                        break;
                    }
                }
            }
            // Where SES takes nothing from anybody just now, the rest is not tried: it would only make it worse. But for the account's
            // mail, if it comes last, as it completes what owners have accepted.
            let outcome = match refusal_of_everybody(&outcomes) {
                Some(refusal) if !is_account_after_owners => refusal.clone(),
                Some(_) | None => send(mailer, digest, &mails[index]).await,
            };
            outcomes.push(outcome);
            let told = newly_told(&mails, &outcomes);
            let items: Vec<_> = told.iter().map(|(index, at)| (&digest.items[*index], *at)).collect();
            if !items.is_empty() {
                not_recorded.extend(recorder.record(&items).await);
            }
            report.accepted.extend(told);
        }
        report.mails = outcomes.iter().filter(|outcome| matches!(outcome, MailOutcome::Accepted { .. })).count();
        report.failures.extend(failures(&mails, &outcomes, &report.accepted));
        not_recorded
    }

    /// A failed administrator's summary fails no message: the log has the same.
    async fn send_summary(
        &self,
        mailer: &Mailer,
        digest: &Digest,
        routing: &Routing,
        not_recorded: Vec<String>,
        report: &mut DigestReport,
    ) {
        let failures: Vec<String> = report.failures.iter().map(ToString::to_string).chain(not_recorded).collect();
        let failed = |error| MailFailure { recipient: RecipientClass::Administrator, error, retryable: false };
        match self.renderer.summary(digest, routing, &failures) {
            Ok(None) => {}
            Ok(Some(mail)) => match send(mailer, digest, &mail).await {
                MailOutcome::Accepted { .. } => report.mails += 1,
                MailOutcome::Refused { error, .. } => report.failures.push(failed(error)),
            },
            Err(error) => report.failures.push(failed(MailError::Unwritten(error.to_string()))),
        }
    }
}

fn unwritten(error: &TemplateError) -> MailFailure {
    let error = MailError::Unwritten(error.to_string());
    MailFailure { recipient: RecipientClass::Account, error, retryable: false }
}

/// What cannot be told for lack of an address.
fn without_address(routing: &Routing) -> Vec<MailFailure> {
    let failed = |error| MailFailure { recipient: RecipientClass::Account, error, retryable: false };
    let is_anything_told = !routing.envelopes.is_empty() || !routing.unreachable.is_empty();
    let malformed = (routing.bad_account_address && is_anything_told).then(|| failed(MailError::Malformed));
    let nobody = match routing.unreachable.len() {
        0 => None,
        items => Some(failed(MailError::NoRecipient { items })),
    };
    malformed.into_iter().chain(nobody).collect()
}

fn refused(error: MailError, class: Option<ErrorClass>) -> MailOutcome {
    MailOutcome::Refused { error, class }
}

async fn send(mailer: &Mailer, digest: &Digest, mail: &RenderedMail) -> MailOutcome {
    if needs_delivery(digest, mail) {
        match mailer.deliverability(&mail.address).await {
            Ok(Deliverability::Expected) => {}
            Ok(Deliverability::Suppressed) => return refused(MailError::Suppressed, None),
            Ok(Deliverability::Malformed) => return refused(MailError::NotAnAddress, None),
            Err(AwsError { class, code, .. }) => {
                return refused(MailError::SuppressionNotKnown { class, code }, Some(class));
            }
        }
    }
    let outgoing = OutgoingMail { to: &mail.address, subject: &mail.subject, html: &mail.html, text: &mail.text };
    match mailer.send(outgoing).await {
        Ok(accepted) => {
            log::sent(digest, mail, accepted.message_id.as_deref());
            MailOutcome::Accepted { at: accepted.at }
        }
        Err(AwsError { class: ErrorClass::Rejected, .. }) if mailer.is_in_ses_sandbox().await => {
            MailOutcome::Refused { error: MailError::SesSandbox, class: None }
        }
        Err(AwsError { class, code, .. }) => {
            MailOutcome::Refused { error: MailError::Refused { class, code }, class: Some(class) }
        }
    }
}

/// Whether a mail starts a clock or tells of harm: then acceptance is not enough, SES has to mean to deliver it.
fn needs_delivery(digest: &Digest, mail: &RenderedMail) -> bool {
    let is_owner = match mail.recipient {
        RecipientClass::Account | RecipientClass::Owner => true,
        RecipientClass::Administrator => false,
    };
    is_owner && !digest.dry_run && mail.items.iter().any(|&index| !digest.items[index].news.is_made_again())
}

/// The items that have become told with the last outcome: all mails about them have been tried, nothing blocks, and one was
/// accepted.
fn newly_told(mails: &[RenderedMail], outcomes: &[MailOutcome]) -> Vec<(usize, Timestamp)> {
    let Some(last) = outcomes.len().checked_sub(1) else { return Vec::new() };
    let is_open = |index: &usize| mails[outcomes.len()..].iter().any(|mail| mail.items.contains(index));
    let closed = mails[last].items.iter().copied().filter(|index| !is_open(index));
    closed.filter_map(|index| Some((index, told_at(index, mails, outcomes)?))).collect()
}

/// The items that a mail tried so far has not told, so that they are told again.
fn blocked(mails: &[RenderedMail], outcomes: &[MailOutcome]) -> BTreeSet<usize> {
    let is_blocking = |outcome: &MailOutcome| match outcome {
        MailOutcome::Accepted { .. } => false,
        MailOutcome::Refused { error, .. } => !may_be_the_recipients_fault(error),
    };
    let tried = mails.iter().zip(outcomes);
    tried.filter(|(_, outcome)| is_blocking(outcome)).flat_map(|(mail, _)| mail.items.iter().copied()).collect()
}

/// Why SES takes nothing from anybody just now, if that has shown.
fn refusal_of_everybody(outcomes: &[MailOutcome]) -> Option<&MailOutcome> {
    outcomes.iter().find(|outcome| match outcome {
        MailOutcome::Refused { class, .. } => class.is_some_and(concerns_everybody),
        MailOutcome::Accepted { .. } => false,
    })
}

/// Since when an item counts as told.
fn told_at(index: usize, mails: &[RenderedMail], outcomes: &[MailOutcome]) -> Option<Timestamp> {
    let mut first: Option<Timestamp> = None;
    for (_, outcome) in mails.iter().zip(outcomes).filter(|(mail, _)| mail.items.contains(&index)) {
        match outcome {
            MailOutcome::Accepted { at } => first = Some(first.map_or(*at, |first| first.min(*at))),
            MailOutcome::Refused { error, .. } if may_be_the_recipients_fault(error) => {}
            MailOutcome::Refused { .. } => return None,
        }
    }
    first
}

/// What was not sent, and whether that stands in somebody's way.
fn failures(mails: &[RenderedMail], outcomes: &[MailOutcome], told: &BTreeMap<usize, Timestamp>) -> Vec<MailFailure> {
    let failed = |(mail, outcome): (&RenderedMail, &MailOutcome)| match outcome {
        MailOutcome::Accepted { .. } => None,
        MailOutcome::Refused { error, .. } => Some(MailFailure {
            recipient: mail.recipient,
            error: error.clone(),
            retryable: may_pass(error) && !mail.items.iter().all(|index| told.contains_key(index)),
        }),
    };
    mails.iter().zip(outcomes).filter_map(failed).collect()
}

/// Whether the next mail would fail in the same way, whoever it is for.
fn concerns_everybody(class: ErrorClass) -> bool {
    match class {
        ErrorClass::Throttled
        | ErrorClass::SendingPaused
        | ErrorClass::Denied
        | ErrorClass::NotEnabled
        | ErrorClass::SessionEnded => true,
        ErrorClass::Transient
        | ErrorClass::NotFound
        | ErrorClass::Conflict
        | ErrorClass::LimitExceeded
        | ErrorClass::Rejected
        | ErrorClass::Invalid => false,
    }
}

/// Whether it may be about this one recipient: then another recipient's acceptance counts.
fn may_be_the_recipients_fault(error: &MailError) -> bool {
    match error {
        MailError::Suppressed | MailError::NotAnAddress => true,
        MailError::Refused { class, .. } => matches!(class, ErrorClass::Rejected | ErrorClass::Invalid),
        MailError::SuppressionNotKnown { .. }
        | MailError::SesSandbox
        | MailError::NoRecipient { .. }
        | MailError::Malformed
        | MailError::Unwritten(_) => false,
    }
}

/// Whether the same mail may be accepted another time: a rate passes, an operator verifies the sender.
fn may_pass(error: &MailError) -> bool {
    match error {
        MailError::Refused { class, .. } | MailError::SuppressionNotKnown { class, .. } => {
            *class != ErrorClass::Invalid
        }
        MailError::SesSandbox => true,
        MailError::Suppressed
        | MailError::NotAnAddress
        | MailError::NoRecipient { .. }
        | MailError::Malformed
        | MailError::Unwritten(_) => false,
    }
}

#[cfg(test)]
mod tests;
