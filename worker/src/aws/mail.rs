//! Sending one mail by SES (API v2).
//!
//! SES has no idempotency token, and the SDK tries again what may have been sent: a mail goes out at least once. SES's
//! sending rate is as low as one mail a second: a mail that comes too early is held back and tried again, for longer than
//! other calls are.

use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::config::retry::RetryConfig;
use aws_sdk_sesv2::error::BuildError;
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message};
use jiff::Timestamp;
use key_rotation_aws::{AnswerTime, AwsClock, AwsError};

/// With exponential backoff from one second: half a minute on average, in which a rate of one mail a second lets a worker's
/// usual 16 messages through.
const ATTEMPTS: u32 = 7;

/// What is the same for all mails.
#[derive(Debug, Clone)]
pub struct Mailer {
    client: Client,
    sender: String,
    reply_to: Vec<String>,
    configuration_set: Option<String>,
    clock: AwsClock,
}

/// What SES said when it accepted a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// SES's id of the mail.
    pub message_id: Option<String>,
    /// When, by AWS's clock; not when this process got round to looking at the answer.
    pub at: Timestamp,
}

/// One mail, written.
#[derive(Clone, Copy)]
pub struct Letter<'a> {
    /// The one address it goes to.
    pub to: &'a str,
    /// The subject: one line of Unicode. SES encodes it for the header (RFC 2047).
    pub subject: &'a str,
    /// The HTML part.
    pub html: &'a str,
    /// The plain text part.
    pub text: &'a str,
}

impl Mailer {
    /// A mailer for this sender.
    pub fn new(
        client: Client,
        sender: String,
        reply_to: Vec<String>,
        configuration_set: Option<String>,
        clock: AwsClock,
    ) -> Self {
        Self { client, sender, reply_to, configuration_set, clock }
    }

    /// Sends a mail.
    ///
    /// # Errors
    /// What SES or the way to it said.
    pub async fn send(&self, letter: Letter<'_>) -> Result<Accepted, AwsError> {
        const OPERATION: &str = "ses:SendEmail";
        let content =
            content(letter).map_err(|_| AwsError::incomplete(OPERATION, "the mail could not be put together"))?;
        let (asked, answered) = (self.clock.now(), AnswerTime::by(self.clock.clone()));
        let sent = self
            .client
            .send_email()
            .from_email_address(&self.sender)
            .set_reply_to_addresses((!self.reply_to.is_empty()).then(|| self.reply_to.clone()))
            .set_configuration_set_name(self.configuration_set.clone())
            .destination(Destination::builder().to_addresses(letter.to).build())
            .content(content)
            .customize()
            .interceptor(answered.clone())
            .config_override(aws_sdk_sesv2::Config::builder().retry_config(self.patient()))
            .send()
            .await
            .map_err(|error| AwsError::of(OPERATION, error))?;
        Ok(Accepted { message_id: sent.message_id, at: answered.get().unwrap_or(asked) })
    }

    /// The client's own retry settings with more attempts; where it is set to make but one, so it stays.
    fn patient(&self) -> RetryConfig {
        let set = self.client.config().retry_config().cloned().unwrap_or_else(RetryConfig::standard);
        let attempts = set.max_attempts();
        if attempts > 1 { set.with_max_attempts(attempts.max(ATTEMPTS)) } else { set }
    }
}

fn content(letter: Letter<'_>) -> Result<EmailContent, BuildError> {
    let utf8 = |text: &str| Content::builder().data(text).charset("UTF-8").build();
    let body = Body::builder().html(utf8(letter.html)?).text(utf8(letter.text)?).build();
    let message = Message::builder().subject(utf8(letter.subject)?).body(body).build();
    Ok(EmailContent::builder().simple(message).build())
}
