//! A session in a member account: the role assumed, for 15 minutes, never renewed.
//!
//! That it is never renewed is the fence of the rotation protocol: once an intent is older than a session can live,
//! whoever wrote it can do nothing more in that account.

use std::fmt;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_iam::config::IdentityCache;
use aws_sdk_iam::config::retry::{RetryPartition, TokenBucket};
use jiff::{SignedDuration, Timestamp};
use rotation::AccountId;
use rotation::intent::SESSION_SECONDS;

use crate::clock::AwsClock;
use crate::connection::Connection;
use crate::error::AwsError;
use crate::session_policy::SessionPolicy;

/// The retries one client may have outstanding: the SDK's own default (500, at 5 a retry), but per session. The SDK shares
/// one bucket per service across a whole process, so one throttled account would use up every other account's retries.
const RETRY_QUOTA: usize = 500;

/// The role to assume in each member account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRole {
    /// Its name, with its path if it has one.
    pub name: String,
    /// The external id its trust policy asks for.
    pub external_id: Option<String>,
}

impl MemberRole {
    /// Assumes the role in an account.
    ///
    /// `session_name` shows in the account's CloudTrail; what STS does not allow in one is replaced. `policy`, where
    /// given, limits the session to what it allows, whatever the role may do.
    ///
    /// # Errors
    /// [`AwsError`]; `Denied` where the role does not exist or does not trust this process.
    pub async fn assume(
        &self,
        connection: &Connection,
        account: &AccountId,
        session_name: &str,
        policy: Option<SessionPolicy>,
    ) -> Result<MemberSession, AwsError> {
        let (assumed, ends) = self.credentials(connection, account, session_name, policy).await?;
        Ok(MemberSession::new(account.clone(), ends, &assumed))
    }

    /// Assumes the role in an account that is no member to be worked on but a way to something, as the one that may read
    /// the organization. It ends after 15 minutes like any other session.
    ///
    /// # Errors
    /// As [`MemberRole::assume`].
    pub async fn connect(
        &self,
        connection: &Connection,
        account: &AccountId,
        session_name: &str,
    ) -> Result<Connection, AwsError> {
        self.credentials(connection, account, session_name, None).await.map(|(assumed, _)| assumed)
    }

    async fn credentials(
        &self,
        connection: &Connection,
        account: &AccountId,
        session_name: &str,
        policy: Option<SessionPolicy>,
    ) -> Result<(Connection, Timestamp), AwsError> {
        const OPERATION: &str = "sts:AssumeRole";
        let answer = connection
            .sts()
            .assume_role()
            .role_arn(connection.partition().role_arn(account, &self.name))
            .role_session_name(allowed_session_name(session_name))
            .duration_seconds(SESSION_SECONDS)
            .set_external_id(self.external_id.clone())
            .set_policy(policy.map(SessionPolicy::document))
            .send()
            .await
            .map_err(|error| AwsError::new(OPERATION, error))?;
        let given = answer.credentials().ok_or_else(|| AwsError::incomplete(OPERATION, "no credentials came"))?;
        let credentials = Credentials::new(
            given.access_key_id(),
            given.secret_access_key(),
            Some(given.session_token().to_owned()),
            None,
            "AssumeRole",
        );
        let ends = Timestamp::from_second(given.expiration().secs())
            .map_err(|_| AwsError::incomplete(OPERATION, "the session's end is no date"))?;
        let config = connection
            .sdk_config()
            .to_builder()
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            // These never change, and a shared cache would keep an entry for every session there ever was.
            .identity_cache(IdentityCache::no_cache())
            .build();
        Ok((connection.with_config(config), ends))
    }
}

/// A session in one account. Its clients share nothing with those of other accounts.
#[derive(Clone)]
pub struct MemberSession {
    account: AccountId,
    ends: Timestamp,
    clock: AwsClock,
    iam: aws_sdk_iam::Client,
    secrets_manager: aws_sdk_secretsmanager::Client,
}

impl MemberSession {
    fn new(account: AccountId, ends: Timestamp, connection: &Connection) -> Self {
        let own_retries =
            |service: &'static str| RetryPartition::custom(service).token_bucket(TokenBucket::new(RETRY_QUOTA)).build();
        let iam = aws_sdk_iam::config::Builder::from(connection.sdk_config())
            .interceptor(connection.clock().clone())
            .interceptor(connection.calls().clone())
            .retry_partition(own_retries("iam"))
            .build();
        let secrets_manager = aws_sdk_secretsmanager::config::Builder::from(connection.sdk_config())
            .interceptor(connection.clock().clone())
            .interceptor(connection.calls().clone())
            .retry_partition(own_retries("secretsmanager"))
            .build();
        Self {
            account,
            ends,
            clock: connection.clock().clone(),
            iam: aws_sdk_iam::Client::from_conf(iam),
            secrets_manager: aws_sdk_secretsmanager::Client::from_conf(secrets_manager),
        }
    }

    pub fn account(&self) -> &AccountId {
        &self.account
    }

    /// How much of it is left.
    pub fn time_left(&self) -> SignedDuration {
        self.ends.duration_since(self.clock.latest())
    }

    pub fn iam(&self) -> &aws_sdk_iam::Client {
        &self.iam
    }

    pub fn secrets_manager(&self) -> &aws_sdk_secretsmanager::Client {
        &self.secrets_manager
    }
}

impl fmt::Debug for MemberSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemberSession")
            .field("account", &self.account)
            .field("ends", &self.ends)
            .finish_non_exhaustive()
    }
}

/// STS API reference, `RoleSessionName`: `[\w+=,.@-]*`, 2 to 64 characters.
fn allowed_session_name(name: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "_+=,.@-".contains(c) { c } else { '-' };
    let mut name: String = name.chars().map(allowed).take(64).collect();
    while name.len() < 2 {
        name.push('-');
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_name_is_made_one_that_sts_accepts() {
        assert_eq!(allowed_session_name("run 1/é"), "run-1--");
        assert_eq!(allowed_session_name(""), "--");
        assert_eq!(allowed_session_name(&"x".repeat(100)).len(), 64);
    }
}
