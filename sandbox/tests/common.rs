//! A sandbox with the real SDK pointed at it.

#![allow(dead_code, reason = "each test binary uses its own part")]

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials as SdkCredentials;
use aws_sdk_iam::config::retry::RetryConfig;
use aws_sdk_iam::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::Builder;
use aws_types::app_name::AppName;
use jiff::Timestamp;
use sandbox::world::MEMBER_ROLE;
use sandbox::{Clock, Credentials, Sandbox, SandboxOptions, World};

/// The region tests call from.
pub(crate) const REGION: &str = "eu-west-1";

pub(crate) const MEMBER: &str = "200000000001";

/// Noon of the day every test happens on.
pub(crate) fn noon() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().expect("an instant")
}

/// A world with one member account, its clock standing still.
pub(crate) fn world() -> World {
    let mut world = World::new(1, Clock::frozen_at(noon()));
    world.add_account(MEMBER, "member", "member@example.com");
    world
}

pub(crate) async fn serve(world: World) -> Sandbox {
    Sandbox::start(SandboxOptions::new(world)).await.expect("a free port")
}

/// SDK settings with the operator's credentials and no retries.
pub(crate) async fn operator(sandbox: &Sandbox) -> SdkConfig {
    settings(sandbox, &sandbox.operator_credentials(), "test").await
}

/// SDK settings with the member role's credentials and no retries.
pub(crate) async fn member(sandbox: &Sandbox) -> SdkConfig {
    settings(sandbox, &assume(sandbox, None).await, "test").await
}

/// Credentials of the member role, narrowed by a session policy if one is given.
pub(crate) async fn assume(sandbox: &Sandbox, policy: Option<&str>) -> Credentials {
    let sts = aws_sdk_sts::Client::new(&operator(sandbox).await);
    let assumed = sts
        .assume_role()
        .role_arn(format!("arn:aws:iam::{MEMBER}:role/{MEMBER_ROLE}"))
        .role_session_name("test")
        .duration_seconds(900)
        .set_policy(policy.map(str::to_owned))
        .send()
        .await
        .expect("the role can be assumed");
    let credentials = assumed.credentials.expect("credentials");
    Credentials {
        access_key_id: credentials.access_key_id,
        secret_access_key: credentials.secret_access_key,
        session_token: Some(credentials.session_token),
    }
}

/// SDK settings with these credentials, application name and no retries.
pub(crate) async fn settings(sandbox: &Sandbox, credentials: &Credentials, app: &str) -> SdkConfig {
    let Credentials { access_key_id, secret_access_key, session_token } = credentials.clone();
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(Builder::new().build_http())
        .region(Region::new(REGION))
        .endpoint_url(sandbox.endpoint())
        .credentials_provider(SdkCredentials::new(access_key_id, secret_access_key, session_token, None, "sandbox"))
        .app_name(AppName::new(app.to_owned()).expect("a valid name"))
        .retry_config(RetryConfig::disabled())
        .load()
        .await
}

/// The error code of a failed call; none where there was no answer.
pub(crate) fn code<T, E: ProvideErrorMetadata, R>(result: Result<T, SdkError<E, R>>) -> Option<String> {
    result.err().and_then(|error| error.code().map(str::to_owned))
}
