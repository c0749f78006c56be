//! The sessions in one account, for whoever works there longer than one lasts: one at a time, replaced before it gets too short,
//! never renewed.

use jiff::SignedDuration;
use rotation::AccountId;
use tokio::sync::Mutex;

use crate::calls::CallCounter;
use crate::connection::Connection;
use crate::error::AwsError;
use crate::session::{MemberRole, MemberSession};
use crate::session_policy::SessionPolicy;

/// What must be left of a session to begin reading a user.
pub const MIN_SESSION_FOR_ONE_USER: SignedDuration = SignedDuration::from_mins(2);

/// The sessions in one account, under one name, with one policy.
#[derive(Debug)]
pub struct Sessions {
    connection: Connection,
    role: MemberRole,
    account: AccountId,
    name: String,
    policy: Option<SessionPolicy>,
    current: Mutex<Option<MemberSession>>,
}

impl Sessions {
    /// Sessions of this role in this account; none is there yet. `name` shows in the account's CloudTrail.
    pub fn new(
        connection: Connection,
        role: MemberRole,
        account: AccountId,
        name: String,
        policy: Option<SessionPolicy>,
    ) -> Self {
        Self { connection, role, account, name, policy, current: Mutex::new(None) }
    }

    /// The account they are in.
    pub fn account(&self) -> &AccountId {
        &self.account
    }

    /// A session with at least this much of it left.
    ///
    /// # Errors
    /// [`AwsError`] of `sts:AssumeRole`.
    pub async fn with_at_least(&self, left: SignedDuration) -> Result<MemberSession, AwsError> {
        let mut current = self.current.lock().await;
        if let Some(session) = current.as_ref()
            && session.time_left() >= left
        {
            return Ok(session.clone());
        }
        let session = self.role.assume(&self.connection, &self.account, &self.name, self.policy).await?;
        *current = Some(session.clone());
        Ok(session)
    }

    /// The calls that the connection has made so far: in the account, and those that assumed the role.
    pub fn calls(&self) -> &CallCounter {
        self.connection.calls()
    }

    /// Forgets the current session: AWS does not take it any more.
    pub async fn discard(&self) {
        *self.current.lock().await = None;
    }
}
