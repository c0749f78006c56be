//! How an account is read: with the process's own credentials where they are the account's, else with a role assumed for reading alone.

use aws_sdk_iam::Client as IamClient;
use aws_sdk_secretsmanager::Client as SecretsClient;
use key_rotation_aws::{
    AwsError, Connection, MIN_SESSION_FOR_ONE_USER, MemberRole, RetryPolicy, SessionPolicy, Sessions,
};
use rotation::AccountId;

/// How accounts are read.
#[derive(Debug, Clone, Copy)]
pub(super) enum AccessMethod<'a> {
    /// With the process's own credentials: the account they are of.
    Own(&'a Connection),
    /// With the role in each account but the one that the process's own credentials are of, where that is known.
    Role { connection: &'a Connection, role: &'a MemberRole, session_name: &'a str, own: Option<&'a AccountId> },
}

/// One account, entered.
pub(super) enum Access {
    Own(Clients),
    Role(Box<Sessions>),
}

/// The services that are read.
#[derive(Debug, Clone)]
pub(super) struct Clients {
    pub(super) iam: IamClient,
    pub(super) secrets: SecretsClient,
}

impl AccessMethod<'_> {
    /// The ways into an account, the first to be tried first.
    pub(super) fn ways(self, account: &AccountId) -> Vec<Self> {
        match self {
            // Where that account has the role: a fleet's own credentials may assume it, and do little else.
            AccessMethod::Role { connection, own: Some(own), .. } if own == account => {
                vec![AccessMethod::Own(connection), self]
            }
            AccessMethod::Own(_) | AccessMethod::Role { .. } => vec![self],
        }
    }

    pub(super) async fn open(self, account: &AccountId) -> Result<Access, AwsError> {
        let access = match self {
            AccessMethod::Own(connection) => {
                Access::Own(Clients { iam: connection.iam(), secrets: connection.secrets_manager() })
            }
            AccessMethod::Role { connection, role, session_name, own: _ } => Access::Role(Box::new(Sessions::new(
                connection.clone(),
                role.clone(),
                account.clone(),
                session_name.to_owned(),
                Some(SessionPolicy::Report),
            ))),
        };
        access.clients().await.map(|_| access)
    }
}

impl Access {
    /// Clients whose session lasts for another call; a large account may take longer than one session.
    pub(super) async fn clients(&self) -> Result<Clients, AwsError> {
        match self {
            Access::Own(clients) => Ok(clients.clone()),
            Access::Role(sessions) => {
                let session =
                    RetryPolicy::MESSAGE.retry(async || sessions.with_at_least(MIN_SESSION_FOR_ONE_USER).await).await?;
                Ok(Clients { iam: session.iam().clone(), secrets: session.secrets_manager().clone() })
            }
        }
    }
}
