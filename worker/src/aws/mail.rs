//! Sending one mail by SES (API v2).
//!
//! SES has no idempotency token, and the SDK tries again what may have been sent: a mail goes out at least once. SES's
//! sending rate is as low as one mail a second: mails take turns below it. Where it is not known, or other senders share it, a mail
//! that comes too early is tried again, for longer than other calls are.

use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::config::retry::RetryConfig;
use aws_sdk_sesv2::error::BuildError;
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message};
use jiff::Timestamp;
use key_rotation_aws::{AnswerTime, AwsClock, AwsError, Connection};

use super::ses_account::SesAccount;
use super::suppression::{Deliverability, SuppressionList};

/// With exponential backoff from one second: half a minute on average, in which a rate of one mail a second lets a worker's
/// usual 16 messages through.
const MAX_TRIES: u32 = 7;

/// What is the same for all mails.
#[derive(Debug)]
pub struct Mailer {
    client: Client,
    sender: String,
    reply_to: Vec<String>,
    configuration_set: Option<String>,
    clock: AwsClock,
    account: SesAccount,
    suppressed: SuppressionList,
}

/// What SES said when it accepted a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// SES's id of the mail.
    pub message_id: Option<String>,
    /// When, by AWS's clock; not when this process got round to looking at the answer.
    pub at: Timestamp,
}

#[derive(Clone, Copy)]
pub struct OutgoingMail<'a> {
    /// The one address it goes to.
    pub to: &'a str,
    /// One line of Unicode. SES encodes it for the header (RFC 2047).
    pub subject: &'a str,
    pub html: &'a str,
    pub text: &'a str,
}

impl Mailer {
    pub fn new(
        connection: &Connection,
        sender: String,
        reply_to: Vec<String>,
        configuration_set: Option<String>,
    ) -> Self {
        let client = connection.ses();
        Self {
            account: SesAccount::new(client.clone()),
            suppressed: SuppressionList::new(client.clone()),
            client,
            sender,
            reply_to,
            configuration_set,
            clock: connection.clock().clone(),
        }
    }

    /// Whether SES would deliver a mail to this address.
    ///
    /// # Errors
    /// It could not be found out.
    pub async fn deliverability(&self, address: &str) -> Result<Deliverability, AwsError> {
        self.suppressed.deliverability(address, self.patient()).await
    }

    /// Whether SES is known to send to verified addresses alone, for this account and region.
    pub async fn is_in_ses_sandbox(&self) -> bool {
        self.account.is_sandbox().await
    }

    /// Sends a mail.
    ///
    /// # Errors
    /// What SES or the way to it said.
    pub async fn send(&self, mail: OutgoingMail<'_>) -> Result<Accepted, AwsError> {
        const OPERATION: &str = "ses:SendEmail";
        let content =
            content(mail).map_err(|_| AwsError::incomplete(OPERATION, "the mail could not be put together"))?;
        self.account.wait_for_rate().await;
        let (asked, answered) = (self.clock.now(), AnswerTime::new(self.clock.clone()));
        let sent = self
            .client
            .send_email()
            .from_email_address(&self.sender)
            .set_reply_to_addresses((!self.reply_to.is_empty()).then(|| self.reply_to.clone()))
            .set_configuration_set_name(self.configuration_set.clone())
            .destination(Destination::builder().to_addresses(mail.to).build())
            .content(content)
            .customize()
            .interceptor(answered.clone())
            .config_override(aws_sdk_sesv2::Config::builder().retry_config(self.patient()))
            .send()
            .await
            .map_err(|error| AwsError::new(OPERATION, error))?;
        Ok(Accepted { message_id: sent.message_id, at: answered.get().unwrap_or(asked) })
    }

    /// The client's own retry settings with more attempts; where it is set to make but one, so it stays.
    fn patient(&self) -> RetryConfig {
        let set = self.client.config().retry_config().cloned().unwrap_or_else(RetryConfig::standard);
        let attempts = set.max_attempts();
        if attempts > 1 { set.with_max_attempts(attempts.max(MAX_TRIES)) } else { set }
    }
}

fn content(mail: OutgoingMail<'_>) -> Result<EmailContent, BuildError> {
    let utf8 = |text: &str| Content::builder().data(text).charset("UTF-8").build();
    let body = Body::builder().html(utf8(mail.html)?).text(utf8(mail.text)?).build();
    let message = Message::builder().subject(utf8(mail.subject)?).body(body).build();
    Ok(EmailContent::builder().simple(message).build())
}
