//! What a member account shows of one user, read with a session that can do nothing but read this.

use key_rotation_aws::{AwsError, MIN_SESSION_FOR_ONE_USER, Sessions, iam};
use rotation::progress::{ObservedKey, ObservedUser};
use rotation::user::UserTags;
use rotation::{AccessKeyId, UserName};

use crate::publication;

/// Reads one user, again and again.
pub(super) struct Observer {
    sessions: Sessions,
    user: UserName,
}

impl Observer {
    /// Assumes the role; finds the user out by its key, where no user is named.
    pub(super) async fn open(
        sessions: Sessions,
        user: Option<&UserName>,
        key: Option<&AccessKeyId>,
    ) -> Result<Self, AwsError> {
        let session = sessions.with_at_least(MIN_SESSION_FOR_ONE_USER).await?;
        let user = match (user, key) {
            (Some(user), _) => user.clone(),
            (None, Some(key)) => iam::owner_of(session.iam(), key)
                .await?
                .ok_or_else(|| AwsError::incomplete("iam:GetAccessKeyLastUsed", "IAM does not say whose key it is"))?,
            (None, None) => return Err(AwsError::incomplete("iam:GetUser", "neither user nor key is named")),
        };
        Ok(Self { sessions, user })
    }

    /// Who is read.
    pub(super) fn user(&self) -> &UserName {
        &self.user
    }

    /// The user as it shows now.
    pub(super) async fn snapshot(&self) -> Result<ObservedUser, AwsError> {
        let session = self.sessions.with_at_least(MIN_SESSION_FOR_ONE_USER).await?;
        let keys = iam::access_keys(session.iam(), &self.user).await?.into_iter();
        let tags = iam::user_tags(session.iam(), &self.user).await?;
        Ok(ObservedUser {
            keys: keys.map(|key| ObservedKey { id: key.id, status: key.status, created: key.created }).collect(),
            tags: UserTags::from_pairs(&tags),
            publication: publication::read(session.secrets_manager(), session.account(), &self.user).await?,
        })
    }
}
