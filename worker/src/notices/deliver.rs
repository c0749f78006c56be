//! Sending a digest's mails, and the verdict on each item: told, or not.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use key_rotation_aws::{AwsError, ErrorClass};

use super::item::Digest;
use super::recipients::{RecipientClass, Routing};
use super::render::RenderedMail;
use super::{Notices, log};
use crate::aws::mail::{Letter, Mailer};

/// What became of a digest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delivery {
    /// The items that count as told, by their place in the digest, and since when: where several mails tell an item, since
    /// the first of them was accepted.
    ///
    /// What is neither here nor behind a failure is a reminder whose day it is not.
    pub accepted: BTreeMap<usize, Timestamp>,
    /// Mails the mail service accepted.
    pub mails: usize,
    /// What went wrong.
    pub failures: Vec<MailFailure>,
}

/// A mail that could not be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the mail to the {recipient} was not sent: {error}")]
pub struct MailFailure {
    /// Who was not told. Never the address: this goes into logs and dead letters.
    pub recipient: RecipientClass,
    /// Why.
    pub error: MailError,
    /// Whether the message should be tried again for it: something was not told, and may be another time.
    pub retryable: bool,
}

/// Why a mail could not be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// Neither the account nor an owner tag has an address.
    #[error(
        "{items} of the account's notices have no recipient: the message gave no usable address for the account, and no owner tag has one"
    )]
    NoRecipient {
        /// How many items.
        items: usize,
    },
    /// The address is none, so SES was not asked.
    #[error("the address the message gave is no e-mail address")]
    Malformed,
    /// The mail could not be written.
    #[error("{0}")]
    Unwritten(String),
    /// SES did not take it. Without SES's own sentence, which names the address.
    #[error("{}", Refusal(*class, code.as_deref()))]
    Refused {
        /// What the error means.
        class: ErrorClass,
        /// SES's error code.
        code: Option<String>,
    },
}

struct Refusal<'a>(ErrorClass, Option<&'a str>);

impl fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let meaning = match self.0 {
            ErrorClass::Throttled => "mails are sent faster than SES allows, or the day's quota is used up",
            ErrorClass::Transient => "SES could not be reached, or failed",
            ErrorClass::SessionEnded => "the worker's credentials are no longer valid",
            ErrorClass::Denied => "the worker's role may not send mail from this sender",
            ErrorClass::NotFound => "SES does not know the configuration set",
            ErrorClass::Rejected => {
                "the sender's address or domain is not verified in SES in this region, or SES refuses the recipient"
            }
            ErrorClass::SendingOff => "sending is switched off for this AWS account or configuration set",
            ErrorClass::Invalid => "SES takes the recipient's address, or a setting of the sender, for malformed",
            ErrorClass::Conflict | ErrorClass::LimitExceeded => "SES refused",
        };
        match self.1 {
            Some(code) => write!(f, "{code}: {meaning}"),
            None => f.write_str(meaning),
        }
    }
}

/// One mail's fate.
#[derive(Debug, Clone)]
enum Outcome {
    Accepted { at: Timestamp },
    Refused { class: ErrorClass, code: Option<String> },
}

impl Notices {
    /// Tells it all: one mail per recipient and account.
    ///
    /// An item counts as told when every mail that tells it was accepted. A recipient that SES refuses for good does not stand in the way
    /// if another recipient's mail about the same item was accepted; then the sender is proven to be in order, and the refusal is about
    /// that recipient. SES's answer to an unverified sender is the same code as that to a refused recipient; so where nobody was told,
    /// it blocks and is tried again.
    pub async fn deliver(&self, digest: &Digest) -> Delivery {
        let routing = Routing::of(digest);
        for bad in &routing.bad_owner_tags {
            log::bad_owner_tag(digest, bad);
        }
        let Some(mailer) = &self.mailer else {
            log::items(digest, self.partition);
            return Delivery {
                accepted: (0..digest.items.len()).map(|index| (index, digest.now)).collect(),
                ..Delivery::default()
            };
        };
        let mut delivery = Delivery::default();
        match self.render_owners(digest, &routing) {
            Ok(mails) => send_all(mailer, digest, &mails, &mut delivery).await,
            Err(error) => delivery.failures.push(MailFailure {
                recipient: RecipientClass::Account,
                error: MailError::Unwritten(error.to_string()),
                retryable: false,
            }),
        }
        let is_anything_told = !routing.envelopes.is_empty() || !routing.unreachable.is_empty();
        if routing.bad_account_address && is_anything_told {
            delivery.failures.push(MailFailure {
                recipient: RecipientClass::Account,
                error: MailError::Malformed,
                retryable: false,
            });
        }
        if !routing.unreachable.is_empty() {
            delivery.failures.push(MailFailure {
                recipient: RecipientClass::Account,
                error: MailError::NoRecipient { items: routing.unreachable.len() },
                retryable: false,
            });
        }
        self.send_summary(mailer, digest, &routing, &mut delivery).await;
        for failure in &delivery.failures {
            log::not_sent(digest, failure);
        }
        delivery
    }

    /// The administrator's summary is a courtesy: what it says is in the log, and a failure does not bring the message back.
    async fn send_summary(&self, mailer: &Mailer, digest: &Digest, routing: &Routing, delivery: &mut Delivery) {
        let failures: Vec<String> = delivery.failures.iter().map(ToString::to_string).collect();
        let failed = |error| MailFailure { recipient: RecipientClass::Administrator, error, retryable: false };
        match self.render_summary(digest, routing, &failures) {
            Ok(None) => {}
            Ok(Some(mail)) => match send(mailer, digest, &mail).await {
                Outcome::Accepted { .. } => delivery.mails += 1,
                Outcome::Refused { class, code } => delivery.failures.push(failed(MailError::Refused { class, code })),
            },
            Err(error) => delivery.failures.push(failed(MailError::Unwritten(error.to_string()))),
        }
    }
}

async fn send_all(mailer: &Mailer, digest: &Digest, mails: &[RenderedMail], delivery: &mut Delivery) {
    let mut outcomes: Vec<Outcome> = Vec::with_capacity(mails.len());
    for mail in mails {
        // Where SES takes nothing from anybody just now, the rest is not tried: it would only make it worse.
        let refused_to_all = outcomes.iter().find(|outcome| match outcome {
            Outcome::Refused { class, .. } => concerns_everybody(*class),
            Outcome::Accepted { .. } => false,
        });
        outcomes.push(match refused_to_all {
            Some(refusal) => refusal.clone(),
            None => send(mailer, digest, mail).await,
        });
    }
    judge(digest.items.len(), mails, &outcomes, delivery);
}

async fn send(mailer: &Mailer, digest: &Digest, mail: &RenderedMail) -> Outcome {
    let letter = Letter { to: &mail.address, subject: &mail.subject, html: &mail.html, text: &mail.text };
    match mailer.send(letter).await {
        Ok(accepted) => {
            log::sent(digest, mail, accepted.message_id.as_deref());
            Outcome::Accepted { at: accepted.at }
        }
        Err(AwsError { class, code, .. }) => Outcome::Refused { class, code },
    }
}

/// Decides which items were told, and which failures stand in somebody's way.
fn judge(items: usize, mails: &[RenderedMail], outcomes: &[Outcome], delivery: &mut Delivery) {
    let mut accepted: Vec<Option<Timestamp>> = vec![None; items];
    let mut blocked = vec![false; items];
    for (mail, outcome) in mails.iter().zip(outcomes) {
        for &index in &mail.items {
            match outcome {
                Outcome::Accepted { at } => accepted[index] = Some(accepted[index].map_or(*at, |first| first.min(*at))),
                Outcome::Refused { class, .. } => blocked[index] |= !may_be_the_recipients_fault(*class),
            }
        }
    }
    let told = |index: usize| accepted[index].filter(|_| !blocked[index]);
    delivery.accepted.extend((0..items).filter_map(|index| Some((index, told(index)?))));
    for (mail, outcome) in mails.iter().zip(outcomes) {
        match outcome {
            Outcome::Accepted { .. } => delivery.mails += 1,
            Outcome::Refused { class, code } => delivery.failures.push(MailFailure {
                recipient: mail.recipient,
                error: MailError::Refused { class: *class, code: code.clone() },
                retryable: may_pass(*class) && !mail.items.iter().all(|&index| told(index).is_some()),
            }),
        }
    }
}

/// Whether the next mail would fail in the same way, whoever it is for.
fn concerns_everybody(class: ErrorClass) -> bool {
    match class {
        ErrorClass::Throttled | ErrorClass::SendingOff | ErrorClass::Denied | ErrorClass::SessionEnded => true,
        ErrorClass::Transient
        | ErrorClass::NotFound
        | ErrorClass::Conflict
        | ErrorClass::LimitExceeded
        | ErrorClass::Rejected
        | ErrorClass::Invalid => false,
    }
}

/// Whether it may be about this one recipient: then another recipient's acceptance counts.
fn may_be_the_recipients_fault(class: ErrorClass) -> bool {
    match class {
        ErrorClass::Rejected | ErrorClass::Invalid => true,
        ErrorClass::Throttled
        | ErrorClass::Transient
        | ErrorClass::SessionEnded
        | ErrorClass::Denied
        | ErrorClass::NotFound
        | ErrorClass::Conflict
        | ErrorClass::LimitExceeded
        | ErrorClass::SendingOff => false,
    }
}

/// Whether the same mail may be accepted another time: a rate passes, an operator verifies the sender.
fn may_pass(class: ErrorClass) -> bool {
    match class {
        ErrorClass::Invalid => false,
        ErrorClass::Throttled
        | ErrorClass::Transient
        | ErrorClass::SessionEnded
        | ErrorClass::Denied
        | ErrorClass::NotFound
        | ErrorClass::Conflict
        | ErrorClass::LimitExceeded
        | ErrorClass::Rejected
        | ErrorClass::SendingOff => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(recipient: RecipientClass, items: &[usize]) -> RenderedMail {
        let (address, subject, html, text) = Default::default();
        RenderedMail { recipient, address, subject, html, text, items: items.to_vec() }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn accepted(second: i64) -> Outcome {
        Outcome::Accepted { at: at(second) }
    }

    fn told(delivery: &Delivery) -> Vec<usize> {
        delivery.accepted.keys().copied().collect()
    }

    fn refused(class: ErrorClass) -> Outcome {
        Outcome::Refused { class, code: None }
    }

    /// Account: items 0 and 1; owner: item 1.
    fn judged(account: Outcome, owner: Outcome) -> Delivery {
        let mails = [mail(RecipientClass::Account, &[0, 1]), mail(RecipientClass::Owner, &[1])];
        let mut delivery = Delivery::default();
        judge(2, &mails, &[account, owner], &mut delivery);
        delivery
    }

    #[test]
    fn an_item_is_told_once_every_recipient_has_accepted_it() {
        let delivery = judged(accepted(1), accepted(1));
        assert_eq!((told(&delivery), delivery.mails, delivery.failures.len()), (vec![0, 1], 2, 0));
    }

    #[test]
    fn an_item_is_told_since_the_first_mail_about_it_was_accepted() {
        let delivery = judged(accepted(20), accepted(10));
        assert_eq!(delivery.accepted, [(0, at(20)), (1, at(10))].into());
    }

    #[test]
    fn a_recipient_refused_for_good_does_not_stand_in_the_way_of_another_that_accepted() {
        for class in [ErrorClass::Rejected, ErrorClass::Invalid] {
            let delivery = judged(accepted(1), refused(class));
            assert_eq!(told(&delivery), [0, 1]);
            assert_eq!(delivery.failures.len(), 1);
            assert!(!delivery.failures[0].retryable, "{class:?}");
            // The other way round, item 0 has been told to nobody.
            let delivery = judged(refused(class), accepted(1));
            assert_eq!(told(&delivery), [1]);
            assert_eq!(delivery.failures[0].retryable, class == ErrorClass::Rejected);
        }
    }

    #[test]
    fn throttling_or_an_outage_blocks_the_items_concerned_and_is_tried_again() {
        for class in [ErrorClass::Throttled, ErrorClass::Transient, ErrorClass::SendingOff, ErrorClass::Denied] {
            let delivery = judged(accepted(1), refused(class));
            assert_eq!(told(&delivery), [0], "{class:?}");
            assert!(delivery.failures[0].retryable, "{class:?}");
        }
    }

    #[test]
    fn an_unverified_sender_starts_no_clock() {
        let delivery = judged(refused(ErrorClass::Rejected), refused(ErrorClass::Rejected));
        assert_eq!(told(&delivery), [0_usize; 0]);
        assert!(delivery.failures.iter().all(|failure| failure.retryable));
    }

    #[test]
    fn a_failure_names_the_recipients_class_and_the_meaning_and_no_address() {
        let error =
            MailError::Refused { class: ErrorClass::Throttled, code: Some("TooManyRequestsException".to_owned()) };
        let failure = MailFailure { recipient: RecipientClass::Owner, error, retryable: true };
        assert_eq!(
            failure.to_string(),
            "the mail to the owner was not sent: TooManyRequestsException: mails are sent faster than SES allows, or the day's quota is used up"
        );
    }
}
