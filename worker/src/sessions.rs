//! The sessions in the account a message is about: one at a time, replaced before it gets too short, never renewed.

use jiff::SignedDuration;
use key_rotation_aws::{AwsError, Connection, MemberRole, MemberSession};
use rotation::AccountId;
use tokio::sync::Mutex;

/// What must be left of a session to begin reading a user.
pub const MIN_SESSION_FOR_READS: SignedDuration = SignedDuration::from_mins(2);
/// What must be left of a session to begin an attempt to make a successor. An attempt is some fifteen calls.
pub const MIN_SESSION_FOR_ATTEMPT: SignedDuration = SignedDuration::from_mins(6);

/// The calls of audit mode: the session in the member account is limited to these, so that nothing can be changed there
/// even if this program were wrong. (STS, `AssumeRole`, `Policy`: "you cannot use session policies to grant more
/// permissions than those allowed by the … role".)
pub const READ_ONLY_ACTIONS: &[&str] = &[
    "iam:GetAccessKeyLastUsed",
    "iam:GetAccountAuthorizationDetails",
    "iam:GetGroup",
    "iam:GetUser",
    "iam:ListAccessKeys",
    "iam:ListUserTags",
    "secretsmanager:DescribeSecret",
];

/// The session policy of audit mode.
pub fn read_only_policy() -> String {
    serde_json::json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": READ_ONLY_ACTIONS, "Resource": "*"}],
    })
    .to_string()
}

/// The sessions of one message in one account.
#[derive(Debug)]
pub struct Sessions {
    connection: Connection,
    role: MemberRole,
    account: AccountId,
    name: String,
    policy: Option<String>,
    current: Mutex<Option<MemberSession>>,
}

impl Sessions {
    /// Sessions of this role in this account, under this name; read-only in audit mode.
    pub fn new(connection: Connection, role: MemberRole, account: AccountId, name: String, read_only: bool) -> Self {
        let policy = read_only.then(read_only_policy);
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
        let session = self.role.assume(&self.connection, &self.account, &self.name, self.policy.clone()).await?;
        *current = Some(session.clone());
        Ok(session)
    }

    /// Forgets the current session: AWS does not take it any more.
    pub async fn discard(&self) {
        *self.current.lock().await = None;
    }
}
