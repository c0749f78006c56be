//! What SES allows the worker's own account in this region: how many mails a second, and to whom.

use std::time::Duration;

use aws_sdk_sesv2::Client;
use key_rotation_aws::AwsError;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};
use tracing::warn;

/// How long an answer is taken to hold: AWS raises the limits of accounts in good standing over time.
const KNOWN_FOR: Duration = Duration::from_secs(3600);

/// The worker stays so much below the rate: SES counts by its own seconds.
const MARGIN: f64 = 1.1;

/// Limits, asked for when they are needed and again after an hour; and the turns that mails take.
#[derive(Debug)]
pub struct SesAccount {
    client: Client,
    limits: Mutex<Option<(Instant, SesLimits)>>,
    next_turn: Mutex<Instant>,
}

#[derive(Debug, Clone, Copy, Default)]
struct SesLimits {
    /// Mails a second; `None`: not known.
    rate: Option<f64>,
    /// SES's own sandbox: mail goes to verified addresses alone.
    is_sandbox: bool,
}

impl SesAccount {
    pub fn new(client: Client) -> Self {
        Self { client, limits: Mutex::default(), next_turn: Mutex::new(Instant::now()) }
    }

    /// Waits until the next mail may be sent. Where the rate is not known, a mail that SES takes for too early is only tried again.
    ///
    /// Several workers share the account's rate and do not know of each other: what is too early then is tried again as well.
    pub async fn wait_for_rate(&self) {
        let Some(rate) = self.limits().await.rate else { return };
        let mut next = self.next_turn.lock().await;
        sleep_until(*next).await;
        *next = Instant::now() + Duration::from_secs_f64(MARGIN / rate);
    }

    /// Whether SES's own sandbox is known to be on.
    pub async fn is_sandbox(&self) -> bool {
        self.limits().await.is_sandbox
    }

    async fn limits(&self) -> SesLimits {
        let mut known = self.limits.lock().await;
        if let Some((asked, limits)) = *known
            && asked.elapsed() < KNOWN_FOR
        {
            return limits;
        }
        let limits = match self.ask().await {
            Ok(limits) => limits,
            Err(error) => {
                warn!(%error, "SES's sending rate could not be read: mails are sent without waiting, and those that SES throttles are tried again");
                SesLimits::default()
            }
        };
        if limits.is_sandbox {
            warn!(
                "SES is in its sandbox for this account and region: it sends to verified addresses alone, so most owners cannot be told, and no key is disabled whose owner cannot; request production access"
            );
        }
        *known = Some((Instant::now(), limits));
        limits
    }

    async fn ask(&self) -> Result<SesLimits, AwsError> {
        let answer = self.client.get_account().send().await;
        let account = answer.map_err(|error| AwsError::new("ses:GetAccount", error))?;
        let rate = account.send_quota.map(|quota| quota.max_send_rate).filter(|rate| *rate > 0.0);
        Ok(SesLimits { rate, is_sandbox: !account.production_access_enabled })
    }
}
