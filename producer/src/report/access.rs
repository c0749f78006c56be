//! The way into one account: this process's own credentials, or the role in it, assumed for reading alone.

use aws_sdk_iam::Client as IamClient;
use aws_sdk_secretsmanager::Client as SecretsClient;
use key_rotation_aws::{AwsError, Connection, MemberRole, MemberSession, RetryPolicy, SessionPolicy};
use rotation::AccountId;
use tokio::sync::Mutex;

/// A session shorter than this is replaced before it is used.
const SHORTEST_SESSION_SECONDS: i64 = 60;

/// How accounts are read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Entry<'a> {
    /// With the own credentials: the account they are of.
    Own(&'a Connection),
    /// With the role in each account.
    Role { connection: &'a Connection, role: &'a MemberRole, session_name: &'a str },
}

/// One account, entered.
pub(super) enum Access<'a> {
    Own(Clients),
    Role {
        connection: &'a Connection,
        role: &'a MemberRole,
        session_name: &'a str,
        account: AccountId,
        session: Mutex<MemberSession>,
    },
}

/// The services that are read.
#[derive(Debug, Clone)]
pub(super) struct Clients {
    pub(super) iam: IamClient,
    pub(super) secrets: SecretsClient,
}

impl<'a> Entry<'a> {
    pub(super) async fn open(self, account: &AccountId) -> Result<Access<'a>, AwsError> {
        match self {
            Entry::Own(connection) => {
                Ok(Access::Own(Clients { iam: connection.iam(), secrets: connection.secrets_manager() }))
            }
            Entry::Role { connection, role, session_name } => {
                let session = Mutex::new(assume(connection, role, session_name, account).await?);
                Ok(Access::Role { connection, role, session_name, account: account.clone(), session })
            }
        }
    }
}

impl Access<'_> {
    /// Clients whose session lasts for another call; a large account may take longer than one session.
    pub(super) async fn clients(&self) -> Result<Clients, AwsError> {
        match self {
            Access::Own(clients) => Ok(clients.clone()),
            Access::Role { connection, role, session_name, account, session } => {
                let mut session = session.lock().await;
                if session.time_left().as_secs() < SHORTEST_SESSION_SECONDS {
                    *session = assume(connection, role, session_name, account).await?;
                }
                Ok(Clients { iam: session.iam().clone(), secrets: session.secrets_manager().clone() })
            }
        }
    }
}

async fn assume(
    connection: &Connection,
    role: &MemberRole,
    session_name: &str,
    account: &AccountId,
) -> Result<MemberSession, AwsError> {
    let policy = Some(SessionPolicy::Report);
    RetryPolicy::MESSAGE.retry(async || role.assume(connection, account, session_name, policy).await).await
}
