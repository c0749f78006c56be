//! The way to AWS with the process's own credentials: one configuration, one HTTP client, one clock for all clients.

use aws_config::{BehaviorVersion, SdkConfig};
use aws_types::app_name::AppName;
use rotation::names::Partition;

use crate::clock::AwsClock;

/// The process's own connection to AWS. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Connection {
    config: SdkConfig,
    region: String,
    clock: AwsClock,
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionError {
    /// No region anywhere.
    #[error("no AWS region is set: set AWS_REGION, or a region in the profile that AWS_PROFILE names")]
    NoRegion,
}

impl Connection {
    /// Reads AWS's own settings (environment, profile, container or instance role) as every AWS tool does.
    ///
    /// # Errors
    /// [`ConnectionError::NoRegion`] where no region is configured.
    pub async fn load(application: &'static str) -> Result<Self, ConnectionError> {
        let mut loader = aws_config::defaults(BehaviorVersion::latest());
        if let Ok(name) = AppName::new(application) {
            loader = loader.app_name(name);
        }
        Self::from_sdk_config(loader.load().await)
    }

    /// Takes a configuration as it is.
    ///
    /// # Errors
    /// [`ConnectionError::NoRegion`] where it has no region.
    pub fn from_sdk_config(config: SdkConfig) -> Result<Self, ConnectionError> {
        let region = config.region().ok_or(ConnectionError::NoRegion)?.to_string();
        Ok(Self { config, region, clock: AwsClock::default() })
    }

    /// The region worked in: secrets, mail, queues and STS are this region's.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The partition of that region.
    pub fn partition(&self) -> Partition {
        Partition::of_region(&self.region)
    }

    /// AWS's clock, as its answers set it.
    pub fn clock(&self) -> &AwsClock {
        &self.clock
    }

    /// The SDK's configuration.
    pub fn sdk_config(&self) -> &SdkConfig {
        &self.config
    }

    /// The same with other credentials: nothing else differs.
    pub(crate) fn with_config(&self, config: SdkConfig) -> Self {
        Self { config, region: self.region.clone(), clock: self.clock.clone() }
    }

    /// Security Token Service.
    pub fn sts(&self) -> aws_sdk_sts::Client {
        let config = aws_sdk_sts::config::Builder::from(&self.config).interceptor(self.clock.clone());
        aws_sdk_sts::Client::from_conf(config.build())
    }

    /// Simple Queue Service.
    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        let config = aws_sdk_sqs::config::Builder::from(&self.config).interceptor(self.clock.clone());
        aws_sdk_sqs::Client::from_conf(config.build())
    }

    /// Organizations.
    pub fn organizations(&self) -> aws_sdk_organizations::Client {
        let config = aws_sdk_organizations::config::Builder::from(&self.config).interceptor(self.clock.clone());
        aws_sdk_organizations::Client::from_conf(config.build())
    }

    /// Identity and Access Management.
    pub fn iam(&self) -> aws_sdk_iam::Client {
        let config = aws_sdk_iam::config::Builder::from(&self.config).interceptor(self.clock.clone());
        aws_sdk_iam::Client::from_conf(config.build())
    }

    /// Secrets Manager.
    pub fn secrets_manager(&self) -> aws_sdk_secretsmanager::Client {
        let config = aws_sdk_secretsmanager::config::Builder::from(&self.config).interceptor(self.clock.clone());
        aws_sdk_secretsmanager::Client::from_conf(config.build())
    }

    /// Simple Email Service.
    pub fn ses(&self) -> aws_sdk_sesv2::Client {
        let config = aws_sdk_sesv2::config::Builder::from(&self.config).interceptor(self.clock.clone());
        aws_sdk_sesv2::Client::from_conf(config.build())
    }
}
