//! The sessions in the account a message is about: one at a time, replaced before it gets too short, never renewed.

use jiff::SignedDuration;
use key_rotation_aws::{AwsError, CallCounter, Connection, MemberRole, MemberSession, SessionPolicy};
use rotation::AccountId;
use tokio::sync::Mutex;

/// What must be left of a session to begin reading a user.
pub const MIN_SESSION_FOR_READS: SignedDuration = SignedDuration::from_mins(2);
/// What must be left of a session to begin an attempt to make a successor. An attempt is some fifteen calls.
pub const MIN_SESSION_FOR_ATTEMPT: SignedDuration = SignedDuration::from_mins(6);

/// The sessions of one message in one account.
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
    /// Sessions of this role in this account, under this name; read-only in audit mode.
    pub fn new(connection: &Connection, role: MemberRole, account: AccountId, name: String, read_only: bool) -> Self {
        let policy = read_only.then_some(SessionPolicy::Audit);
        // Each message's calls are counted for themselves.
        let connection = connection.counting_anew();
        Self { connection, role, account, name, policy, current: Mutex::new(None) }
    }

    /// A session with at least this much of it left.
    ///
    /// # Errors
    /// [`AwsError`] of `sts:AssumeRole`.
    pub async fn with(&self, left: SignedDuration) -> Result<MemberSession, AwsError> {
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

    /// The calls made in the account so far, and those that assumed the role.
    pub fn calls(&self) -> &CallCounter {
        self.connection.calls()
    }

    /// Forgets the current session: AWS does not take it any more.
    pub async fn discard(&self) {
        *self.current.lock().await = None;
    }
}
