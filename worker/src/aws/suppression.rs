//! SES's suppression list of the worker's own account: SES accepts mail to an address on it, and does not deliver it (developer
//! guide, "Using the Amazon SES account-level suppression list").

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::config::retry::RetryConfig;
use key_rotation_aws::{AwsError, ErrorClass};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long an answer is taken to hold. A bounce that comes later is seen an hour later.
const KNOWN_FOR: Duration = Duration::from_secs(3600);

/// Beyond so many addresses, those whose answer is too old are forgotten.
const MAX_ADDRESSES: usize = 10_000;

/// Whether SES would deliver a mail that it accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deliverability {
    /// As far as SES knows beforehand.
    Expected,
    /// The address is on the suppression list.
    Suppressed,
    /// SES does not take it for an address.
    Malformed,
}

/// What has been asked, by address in lower case.
#[derive(Debug)]
pub struct SuppressionList {
    client: Client,
    /// Held during the call: SES allows about one such call a second (developer guide, "Service quotas in Amazon SES"), so one at a
    /// time, and the others wait for it.
    answers: Mutex<HashMap<String, (Instant, Deliverability)>>,
}

impl SuppressionList {
    pub fn new(client: Client) -> Self {
        Self { client, answers: Mutex::default() }
    }

    /// Whether SES would deliver a mail to the address.
    ///
    /// # Errors
    /// It could not be found out, for lack of the right or of an answer. Unknown is not "no".
    pub async fn deliverability(&self, address: &str, retries: RetryConfig) -> Result<Deliverability, AwsError> {
        let address = address.to_ascii_lowercase();
        let mut answers = self.answers.lock().await;
        let is_fresh = |(asked, _): &(Instant, Deliverability)| asked.elapsed() < KNOWN_FOR;
        if let Some(answer) = answers.get(&address).filter(|answer| is_fresh(answer)) {
            return Ok(answer.1);
        }
        let delivery = self.ask(&address, retries).await?;
        if answers.len() >= MAX_ADDRESSES {
            answers.retain(|_, answer| is_fresh(answer));
        }
        answers.insert(address, (Instant::now(), delivery));
        Ok(delivery)
    }

    async fn ask(&self, address: &str, retries: RetryConfig) -> Result<Deliverability, AwsError> {
        let answer = self
            .client
            .get_suppressed_destination()
            .email_address(address)
            .customize()
            .config_override(aws_sdk_sesv2::Config::builder().retry_config(retries))
            .send()
            .await
            .map_err(|error| AwsError::new("ses:GetSuppressedDestination", error));
        match answer {
            Ok(_) => Ok(Deliverability::Suppressed),
            Err(error) if error.class == ErrorClass::NotFound => Ok(Deliverability::Expected),
            // API reference, `GetSuppressedDestination`: "The input you provided is invalid", and the address is all the input.
            Err(error) if error.code.as_deref() == Some("BadRequestException") => Ok(Deliverability::Malformed),
            Err(error) => Err(error),
        }
    }
}
