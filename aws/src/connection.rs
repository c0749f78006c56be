//! The way to AWS with the process's own credentials: one configuration, one HTTP client, one clock for all clients.

use std::ffi::OsString;
use std::time::Duration;

use aws_config::profile::Profile;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::ProvideCredentials;
use aws_sdk_sts::config::retry::RetryConfig;
use aws_sdk_sts::error::SdkError;
use aws_sdk_sts::operation::get_caller_identity::{GetCallerIdentityError, GetCallerIdentityOutput};
use aws_types::app_name::AppName;
use aws_types::os_shim_internal::{Env, Fs};
use rotation::names::{Partition, is_region};
use rotation::{AccessKeyId, AccountId};

use crate::calls::CallCounter;
use crate::clock::AwsClock;
use crate::environment::{self, EndpointSettings, InvalidVariable};
use crate::error::{AwsError, ErrorClass};
use crate::https::{self, CaBundleError};

/// How long one try of a call may take. The SDK sets no bound but to connecting: an answer that is lost with its connection, as when a
/// firewall forgets it, would be waited for for ever. Well above the longest wait that is asked for, a receive's 20 seconds.
pub const LONGEST_TRY: Duration = Duration::from_secs(60);

/// The process's own connection to AWS. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Connection {
    config: SdkConfig,
    region: String,
    partition: Partition,
    clock: AwsClock,
    calls: CallCounter,
}

/// Who a process is to AWS, by its credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub account: AccountId,
    pub arn: String,
}

impl Identity {
    fn read(answer: Result<GetCallerIdentityOutput, SdkError<GetCallerIdentityError>>) -> Result<Self, AwsError> {
        const OPERATION: &str = "sts:GetCallerIdentity";
        let answer = answer.map_err(|error| AwsError::new(OPERATION, error))?;
        let account = answer.account.and_then(|id| AccountId::new(id).ok());
        let lacking = |what| AwsError::incomplete(OPERATION, what);
        Ok(Self {
            account: account.ok_or_else(|| lacking("no account id came"))?,
            arn: answer.arn.ok_or_else(|| lacking("no ARN came"))?,
        })
    }
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionError {
    /// No region anywhere.
    #[error("no AWS region is set: set AWS_REGION, or a region in the profile that AWS_PROFILE names")]
    NoRegion,
    /// A region that cannot be one, and what sets it.
    #[error("{setting} is wrong: \"{region}\" is not a region, as eu-west-1 is")]
    InvalidRegion { setting: String, region: String },
    #[error(transparent)]
    InvalidVariable(#[from] InvalidVariable),
    /// A profile that does not exist.
    #[error(
        "AWS_PROFILE is wrong: there is no profile \"{0}\" in AWS's configuration files (~/.aws/config and ~/.aws/credentials, or those that AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE name)"
    )]
    UnknownProfile(String),
    /// AWS's configuration files.
    #[error("AWS's configuration files cannot be read: {0}")]
    ConfigurationFiles(String),
    /// A profile that a person has to sign in to.
    #[error(
        "the login of the profile \"{profile}\" is over or was never made ({why}): aws sso login --profile {profile}"
    )]
    NoLogin { profile: String, why: String },
    /// The credentials are wrong, or over.
    #[error("AWS does not accept the credentials: {0}")]
    CredentialsRefused(AwsError),
    /// No answer, for whatever reason.
    #[error("AWS cannot be called: {0}")]
    NoAnswer(AwsError),
    /// Something answered that is not AWS.
    #[error("AWS cannot be called: {error}: check {to_check}")]
    NotAws { error: AwsError, to_check: String },
    /// The certificate authorities that were asked for cannot be loaded.
    #[error(transparent)]
    CaBundle(#[from] CaBundleError),
}

impl ConnectionError {
    /// Whether something that is set is wrong, so that another attempt is of no use; otherwise it is the network's fault, or a
    /// person's who has not signed in.
    pub fn is_of_settings(&self) -> bool {
        match self {
            ConnectionError::NoRegion
            | ConnectionError::InvalidRegion { .. }
            | ConnectionError::InvalidVariable(_)
            | ConnectionError::UnknownProfile(_)
            | ConnectionError::ConfigurationFiles(_)
            | ConnectionError::CredentialsRefused(_)
            | ConnectionError::CaBundle(_) => true,
            ConnectionError::NoLogin { .. } | ConnectionError::NoAnswer(_) | ConnectionError::NotAws { .. } => false,
        }
    }
}

impl Connection {
    /// Reads AWS's own settings (environment, profile, container or instance role) as every AWS tool does, and asks AWS who this
    /// process is: so whatever is wrong with credentials, endpoint or network is told at once.
    ///
    /// # Errors
    /// [`ConnectionError`], also where `AWS_CA_BUNDLE` names a file without certificates.
    pub async fn load(application: &'static str) -> Result<Self, ConnectionError> {
        // How often what is tried is this product's (docs/retries-and-limits.md), and not AWS_MAX_ATTEMPTS's or AWS_RETRY_MODE's, whose values
        // the SDK panics on where it does not know them (`legacy`, as the AWS CLI has it).
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(RetryConfig::standard())
            .http_client(https::client(std::env::var_os(https::CA_BUNDLE))?);
        if let Ok(name) = AppName::new(application) {
            loader = loader.app_name(name);
        }
        let text = |name: OsString| name.into_string().ok();
        environment::check(std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?))))?;
        let profile_to_sign_in_to = profile_to_sign_in_to().await?;
        let mut connection = Self::from_sdk_config(loader.load().await)?;
        check_region(&connection.region)?;
        connection.partition = own_partition(&connection, profile_to_sign_in_to).await?;
        Ok(connection)
    }

    /// Takes a configuration as it is, in the partition `aws`; but that no try takes longer than [`LONGEST_TRY`], where it does not
    /// say another time.
    ///
    /// # Errors
    /// [`ConnectionError::NoRegion`] where it has no region.
    pub fn from_sdk_config(config: SdkConfig) -> Result<Self, ConnectionError> {
        let region = config.region().ok_or(ConnectionError::NoRegion)?.to_string();
        let bounds = TimeoutConfig::builder().operation_attempt_timeout(LONGEST_TRY).build();
        let asked = config.timeout_config().cloned().unwrap_or_else(|| TimeoutConfig::builder().build());
        let timeouts = asked.to_builder().take_unset_from(bounds.to_builder()).build();
        Ok(Self {
            config: config.into_builder().timeout_config(timeouts).build(),
            region,
            partition: Partition::AWS,
            clock: AwsClock::default(),
            calls: CallCounter::default(),
        })
    }

    /// The region worked in: secrets, mail, queues and STS are this region's.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Who this process is. `GetCallerIdentity` needs no permission.
    ///
    /// # Errors
    /// [`AwsError`].
    pub async fn identity(&self) -> Result<Identity, AwsError> {
        Identity::read(self.sts().get_caller_identity().send().await)
    }

    /// The partition that this process's own identity is in.
    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// AWS's clock, as its answers set it.
    pub fn clock(&self) -> &AwsClock {
        &self.clock
    }

    /// The calls of this connection and of all that were made out of it.
    pub fn calls(&self) -> &CallCounter {
        &self.calls
    }

    /// The same connection with a call counter of its own, which starts at zero.
    pub fn with_own_counter(&self) -> Self {
        Self { calls: CallCounter::default(), ..self.clone() }
    }

    pub fn sdk_config(&self) -> &SdkConfig {
        &self.config
    }

    /// The key that calls are signed with, as far as it is known.
    pub async fn access_key_id(&self) -> Option<AccessKeyId> {
        let credentials = self.config.credentials_provider()?.provide_credentials().await.ok()?;
        AccessKeyId::new(credentials.access_key_id()).ok()
    }

    /// The same with other credentials: nothing else differs.
    pub(crate) fn with_config(&self, config: SdkConfig) -> Self {
        Self { config, ..self.clone() }
    }

    pub fn sts(&self) -> aws_sdk_sts::Client {
        let config = aws_sdk_sts::config::Builder::from(&self.config)
            .interceptor(self.clock.clone())
            .interceptor(self.calls.clone());
        aws_sdk_sts::Client::from_conf(config.build())
    }

    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        let config = aws_sdk_sqs::config::Builder::from(&self.config)
            .interceptor(self.clock.clone())
            .interceptor(self.calls.clone());
        aws_sdk_sqs::Client::from_conf(config.build())
    }

    pub fn organizations(&self) -> aws_sdk_organizations::Client {
        let config = aws_sdk_organizations::config::Builder::from(&self.config)
            .interceptor(self.clock.clone())
            .interceptor(self.calls.clone());
        aws_sdk_organizations::Client::from_conf(config.build())
    }

    pub fn iam(&self) -> aws_sdk_iam::Client {
        let config = aws_sdk_iam::config::Builder::from(&self.config)
            .interceptor(self.clock.clone())
            .interceptor(self.calls.clone());
        aws_sdk_iam::Client::from_conf(config.build())
    }

    pub fn secrets_manager(&self) -> aws_sdk_secretsmanager::Client {
        let config = aws_sdk_secretsmanager::config::Builder::from(&self.config)
            .interceptor(self.clock.clone())
            .interceptor(self.calls.clone());
        aws_sdk_secretsmanager::Client::from_conf(config.build())
    }

    pub fn event_bridge(&self) -> aws_sdk_eventbridge::Client {
        let config = aws_sdk_eventbridge::config::Builder::from(&self.config)
            .interceptor(self.clock.clone())
            .interceptor(self.calls.clone());
        aws_sdk_eventbridge::Client::from_conf(config.build())
    }

    pub fn ses(&self) -> aws_sdk_sesv2::Client {
        let config = aws_sdk_sesv2::config::Builder::from(&self.config)
            .interceptor(self.clock.clone())
            .interceptor(self.calls.clone());
        aws_sdk_sesv2::Client::from_conf(config.build())
    }
}

/// An endpoint's host is made of the region: what cannot be one is told before a host is looked for that nobody has.
fn check_region(region: &str) -> Result<(), ConnectionError> {
    if is_region(region) {
        return Ok(());
    }
    let variable = ["AWS_REGION", "AWS_DEFAULT_REGION"]
        .into_iter()
        .find(|name| std::env::var(name).is_ok_and(|value| value == region));
    let setting = variable.unwrap_or("the region of the profile in AWS's configuration files").to_owned();
    Err(ConnectionError::InvalidRegion { setting, region: region.to_owned() })
}

/// Makes sure that the profile of `AWS_PROFILE` is there: the SDK only says that it finds no region or no credentials. Gives the one
/// that a person signs in to with IAM Identity Center, where the credentials come from such a login.
async fn profile_to_sign_in_to() -> Result<Option<String>, ConnectionError> {
    let asked = std::env::var("AWS_PROFILE").ok().filter(|profile| !profile.is_empty());
    let files = match aws_config::profile::load(&Fs::real(), &Env::real(), &Default::default(), None).await {
        Ok(files) => files,
        Err(error) if asked.is_some() => return Err(ConnectionError::ConfigurationFiles(error.to_string())),
        // Nobody has asked for the files: the environment may have all that is needed.
        Err(_) => return Ok(None),
    };
    let profile = files.get_profile(asked.as_deref().unwrap_or(files.selected_profile()));
    if let (Some(name), None) = (asked, profile) {
        return Err(ConnectionError::UnknownProfile(name));
    }
    // A role's profile is entered from another one.
    let source = profile.and_then(|profile| profile.get("source_profile")).and_then(|name| files.get_profile(name));
    let has_login = |profile: &&Profile| profile.get("sso_session").is_some() || profile.get("sso_start_url").is_some();
    Ok([profile, source].into_iter().flatten().find(has_login).map(|profile| profile.name().to_owned()))
}

/// The partition of the ARN that AWS gives this process. `GetCallerIdentity` needs no permission, so a refusal is about the
/// credentials. It is asked once, without the SDK's retries: somebody may be waiting for the answer.
async fn own_partition(
    connection: &Connection,
    profile_to_sign_in_to: Option<String>,
) -> Result<Partition, ConnectionError> {
    let once = aws_sdk_sts::config::Builder::new().retry_config(RetryConfig::disabled());
    let answer = connection.sts().get_caller_identity().customize().config_override(once).send().await;
    // The SDK's errors about a login have no types that can be told apart, only texts. What the profile says has to do.
    if let Some(why) = answer.as_ref().err().and_then(AwsError::credentials_failure)
        && let Some(profile) = profile_to_sign_in_to
    {
        return Err(ConnectionError::NoLogin { profile, why });
    }
    let identity = Identity::read(answer).map_err(|error| {
        if error.foreign {
            let to_check = EndpointSettings::of_process(error.operation).what_to_check();
            return ConnectionError::NotAws { error, to_check };
        }
        match error.class {
            ErrorClass::SessionEnded | ErrorClass::Denied | ErrorClass::Invalid => {
                ConnectionError::CredentialsRefused(error)
            }
            ErrorClass::Throttled
            | ErrorClass::Transient
            | ErrorClass::NotFound
            | ErrorClass::Conflict
            | ErrorClass::LimitExceeded
            | ErrorClass::Rejected
            | ErrorClass::SendingPaused
            | ErrorClass::NotEnabled => ConnectionError::NoAnswer(error),
        }
    })?;
    Partition::from_arn(&identity.arn)
        .map_err(|error| ConnectionError::NoAnswer(AwsError::incomplete("sts:GetCallerIdentity", &error.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_try_of_a_call_takes_for_ever() {
        let config = || SdkConfig::builder().region(aws_config::Region::new("eu-west-1"));
        let bound = |config| {
            let connection = Connection::from_sdk_config(config).expect("the region is set");
            connection.sdk_config().timeout_config().and_then(TimeoutConfig::operation_attempt_timeout)
        };
        assert_eq!(bound(config().build()), Some(LONGEST_TRY));
        let own = TimeoutConfig::builder().operation_attempt_timeout(Duration::from_secs(5)).build();
        assert_eq!(bound(config().timeout_config(own).build()), Some(Duration::from_secs(5)));
    }
}
