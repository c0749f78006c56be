//! One dead letter: the message as it was, and what its worker wrote on it.

use std::fmt;

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use jiff::Timestamp;
use rotation::dead_letter::{Advice, RedriveAdvice, attribute};
use rotation::{AccountId, Job, Reason, UserName};
use serde::Serialize;
use uuid::Uuid;

/// Characters shown of a body that cannot be read.
const EXCERPT: usize = 80;

/// Why a letter is one. Workers may be newer or older than this program, and write reasons that it does not know.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
pub enum DeadLetterReason {
    /// A reason of this version.
    Known(Reason),
    /// Another version's.
    Unknown(String),
}

impl DeadLetterReason {
    /// Reads the attribute `ErrorKind`. A letter without it was moved by SQS itself, because it was received too often.
    fn new(kind: Option<String>) -> Self {
        let Some(text) = kind else { return Self::Known(Reason::ReceivedTooOften) };
        text.parse().map_or(Self::Unknown(text), Self::Known)
    }

    /// What to do about it, and whether redriving helps; the general advice for a reason that is not known here.
    pub fn advice(&self) -> Advice {
        match self {
            Self::Known(reason) => reason.advice(),
            Self::Unknown(_) => Advice {
                text: "A worker of another version wrote this reason. See the message, and the workers' log of the run.",
                redrive: RedriveAdvice::HelpsOnceCorrected,
            },
        }
    }
}

impl fmt::Display for DeadLetterReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(reason) => reason.fmt(f),
            Self::Unknown(text) => f.pad(text),
        }
    }
}

impl From<DeadLetterReason> for String {
    fn from(reason: DeadLetterReason) -> Self {
        reason.to_string()
    }
}

/// A dead letter, while it is held: nobody else receives it until it is released, or its visibility times out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadLetter {
    /// Its id in the dead-letter queue.
    pub message_id: String,
    pub reason: DeadLetterReason,
    /// The worker's sentence.
    pub message: Option<String>,
    /// The account it is about; `None` where the body cannot be read.
    pub account: Option<AccountId>,
    /// The user it is about, where it is about one.
    pub user: Option<UserName>,
    /// How often it was tried.
    pub attempts: Option<u32>,
    /// The run it belongs to.
    pub run_id: Option<Uuid>,
    /// When it came into the dead-letter queue; where SQS gave it up on a standard queue, when it was first sent.
    pub since: Option<Timestamp>,
    /// The original; without its mail addresses where nobody asked to see them.
    pub body: String,
    /// What it is taken away or released by.
    #[serde(skip)]
    pub receipt_handle: String,
    /// The id and the time of the message that was sent first: they go with it wherever it is sent again, so that an operator's
    /// request goes on being the one that it was.
    #[serde(skip)]
    pub first: FirstMessage,
}

/// The message that a letter was, or that it was a copy of already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstMessage {
    pub id: String,
    pub sent: Option<String>,
}

impl DeadLetter {
    /// Takes the mail addresses out of its body, for where what is printed becomes a log: a task's output does.
    pub(super) fn without_addresses(self) -> Self {
        Self { body: without_addresses(&self.body), ..self }
    }

    /// Reads what a receive from the dead-letter queue brought.
    pub fn read(message: Message) -> Self {
        let value = |name: &str| {
            let attributes = message.message_attributes()?;
            Some(attributes.get(name)?.string_value()?.to_owned())
        };
        let body = message.body().unwrap_or_default().to_owned();
        let job = Job::parse(&body).ok();
        let sent = message.attributes().and_then(|all| all.get(&MessageSystemAttributeName::SentTimestamp));
        let since = sent.and_then(|text| Timestamp::from_millisecond(text.parse().ok()?).ok());
        let run_id = value(attribute::RUN_ID).and_then(|text| text.parse().ok());
        let message_id = message.message_id().unwrap_or_default().to_owned();
        let first = FirstMessage {
            id: value(attribute::FIRST_MESSAGE_ID).unwrap_or_else(|| message_id.clone()),
            sent: value(attribute::FIRST_SENT).or_else(|| since.map(|time| time.to_string())),
        };
        Self {
            reason: DeadLetterReason::new(value(attribute::ERROR_KIND)),
            message: value(attribute::ERROR_MESSAGE),
            account: job.as_ref().map(|job| job.account.clone()),
            user: job.as_ref().and_then(|job| job.user().cloned()),
            attempts: value(attribute::ATTEMPTS).and_then(|text| text.parse().ok()),
            run_id: run_id.or_else(|| job.as_ref()?.run_id),
            since,
            body,
            message_id,
            receipt_handle: message.receipt_handle.unwrap_or_default(),
            first,
        }
    }

    /// What it is about, for people.
    pub fn subject(&self) -> String {
        match (&self.account, &self.user) {
            (Some(account), Some(user)) => format!("account {account} user {user}"),
            (Some(account), None) => format!("account {account}"),
            (None, _) => {
                let mut chars = self.body.chars().map(|c| if c.is_control() { ' ' } else { c });
                let excerpt: String = chars.by_ref().take(EXCERPT).collect();
                let more = if chars.next().is_some() { "…" } else { "" };
                format!("unreadable message: {excerpt}{more}")
            }
        }
    }
}

/// A text with `[address]` in the place of whatever may be a mail address. It need not be JSON: such a letter has an address, too.
fn without_addresses(text: &str) -> String {
    let ends_address = |c: char| c.is_whitespace() || c.is_control() || "\"'<>()[]{},:;\\".contains(c);
    let parts = text.split_inclusive(ends_address).map(|part| {
        let (word, end) = match part.char_indices().next_back() {
            Some((at, last)) if ends_address(last) => part.split_at(at),
            Some(_) | None => (part, ""),
        };
        if word.contains('@') { format!("[address]{end}") } else { part.to_owned() }
    });
    parts.collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use aws_sdk_sqs::types::MessageAttributeValue;

    use super::*;

    pub(crate) fn message(body: &str, attributes: &[(&str, &str)]) -> Message {
        let mut message = Message::builder().message_id("m-1").receipt_handle("r-1").body(body);
        for (name, value) in attributes {
            let value = MessageAttributeValue::builder().data_type("String").string_value(*value).build().unwrap();
            message = message.message_attributes(*name, value);
        }
        message.attributes(MessageSystemAttributeName::SentTimestamp, "1795341600000").build()
    }

    #[test]
    fn a_letter_tells_what_its_worker_wrote_on_it() {
        let run = "7d444840-9dc0-11d1-b245-5ffdce74fad2";
        let letter = DeadLetter::read(message(
            r#"{"account":"123456789012","user":"alice"}"#,
            &[("ErrorKind", "RoleRefused"), ("ErrorMessage", "no such role"), ("Attempts", "3"), ("RunId", run)],
        ));
        assert_eq!(letter.reason, DeadLetterReason::Known(Reason::RoleRefused));
        assert_eq!(letter.message.as_deref(), Some("no such role"));
        assert_eq!(letter.attempts, Some(3));
        assert_eq!(letter.run_id, Some(run.parse().unwrap()));
        assert_eq!(letter.subject(), "account 123456789012 user alice");
        assert_eq!(letter.since, Some("2026-11-22T10:00:00Z".parse().unwrap()));
    }

    #[test]
    fn a_letter_that_sqs_gave_up_has_that_as_its_reason_and_its_run_from_the_body() {
        let run = "7d444840-9dc0-11d1-b245-5ffdce74fad2";
        let letter = DeadLetter::read(message(&format!(r#"{{"account":"123456789012","run_id":"{run}"}}"#), &[]));
        assert_eq!(letter.reason, DeadLetterReason::Known(Reason::ReceivedTooOften));
        assert_eq!(letter.attempts, None);
        assert_eq!(letter.run_id, Some(run.parse().unwrap()));
    }

    #[test]
    fn a_reason_of_another_version_is_kept_as_it_is() {
        let letter = DeadLetter::read(message(r#"{"account":"123456789012"}"#, &[("ErrorKind", "NewReason")]));
        assert_eq!(letter.reason, DeadLetterReason::Unknown("NewReason".to_owned()));
        assert_eq!(serde_json::to_value(&letter).unwrap()["reason"], "NewReason");
    }

    #[test]
    fn a_malformed_body_is_shown_and_not_understood() {
        let letter = DeadLetter::read(message("{\"ForceRotat\":\n\"alice\"}", &[("ErrorKind", "MalformedMessage")]));
        assert_eq!(letter.account, None);
        assert!(letter.subject().starts_with("unreadable message"));
        assert!(!letter.subject().contains('\n'));
    }

    #[test]
    fn no_address_is_left_in_a_body_whether_it_is_json_or_not() {
        for (body, shown) in [
            (
                r#"{"account":"123456789012","email":"owner+iam@example.com","user":"alice"}"#,
                r#"{"account":"123456789012","email":"[address]","user":"alice"}"#,
            ),
            ("mailto:a@b.example, Bob <bob@é.example>\nnext", "mailto:[address], Bob <[address]>\nnext"),
            ("no address at all", "no address at all"),
            ("a@b.example", "[address]"),
            ("", ""),
        ] {
            assert_eq!(without_addresses(body), shown);
        }
    }
}
