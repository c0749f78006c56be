//! The SDK pointed at a sandbox in the same process.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};
use aws_smithy_http_client::Builder;

use crate::serve::REGION;
use crate::server::Sandbox;

/// The SDK's configuration for the sandbox's operator, under this SDK application name: by it the sandbox tells programs apart.
/// Retries are quick: nobody is spared by waiting here.
pub fn sdk_config(sandbox: &Sandbox, application: &str) -> SdkConfig {
    let operator = sandbox.operator_credentials();
    let credentials =
        Credentials::new(operator.access_key_id, operator.secret_access_key, None, None, "SandboxOperator");
    let retries = RetryConfig::standard()
        .with_initial_backoff(Duration::from_millis(1))
        .with_max_backoff(Duration::from_millis(5));
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(sandbox.endpoint())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(Builder::new().build_http())
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .time_source(SharedTimeSource::new(SystemTimeSource::new()))
        .retry_config(retries)
        .app_name(AppName::new(application.to_owned()).expect("an application name of letters, digits and hyphens"))
        .build()
}
