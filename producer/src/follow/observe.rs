//! What a member account shows of one user, read with a session that can do nothing but read this.

use key_rotation_aws::{AwsError, Connection, MemberRole, MemberSession, SessionPolicy, iam};
use rotation::progress::{KeySnapshot, UserSnapshot};
use rotation::user::UserTags;
use rotation::{AccessKeyId, AccountId, UserName};

use crate::publication;

/// A session shorter than this is replaced before it is used.
const SHORTEST_SESSION_SECONDS: i64 = 60;

/// Reads one user, again and again.
pub(super) struct Observer<'a> {
    connection: &'a Connection,
    role: &'a MemberRole,
    session_name: String,
    session: MemberSession,
    user: UserName,
}

impl<'a> Observer<'a> {
    /// Assumes the role; finds the user out by its key, where no user is named.
    pub(super) async fn open(
        connection: &'a Connection,
        role: &'a MemberRole,
        session_name: &str,
        account: &AccountId,
        user: Option<&UserName>,
        key: Option<&AccessKeyId>,
    ) -> Result<Self, AwsError> {
        let session = assume(connection, role, session_name, account).await?;
        let user = match (user, key) {
            (Some(user), _) => user.clone(),
            (None, Some(key)) => iam::owner_of(session.iam(), key)
                .await?
                .ok_or_else(|| AwsError::incomplete("iam:GetAccessKeyLastUsed", "IAM does not say whose key it is"))?,
            (None, None) => return Err(AwsError::incomplete("iam:GetUser", "neither user nor key is named")),
        };
        Ok(Self { connection, role, session_name: session_name.to_owned(), session, user })
    }

    /// The user as it shows now.
    pub(super) async fn snapshot(&mut self) -> Result<UserSnapshot, AwsError> {
        if self.session.time_left().as_secs() < SHORTEST_SESSION_SECONDS {
            let account = self.session.account().clone();
            self.session = assume(self.connection, self.role, &self.session_name, &account).await?;
        }
        let keys = iam::access_keys(self.session.iam(), &self.user).await?.into_iter();
        let tags = iam::user_tags(self.session.iam(), &self.user).await?;
        Ok(UserSnapshot {
            keys: keys.map(|key| KeySnapshot { id: key.id, status: key.status, created: key.created }).collect(),
            tags: UserTags::read(tags.iter().map(|(key, value)| (key.as_str(), value.as_str()))),
            publication: publication::of(self.session.secrets_manager(), self.session.account(), &self.user).await?,
        })
    }
}

async fn assume(
    connection: &Connection,
    role: &MemberRole,
    session_name: &str,
    account: &AccountId,
) -> Result<MemberSession, AwsError> {
    role.assume(connection, account, session_name, Some(SessionPolicy::FollowRequest)).await
}
