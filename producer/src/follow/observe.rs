//! What a member account shows of one user, read with a session that can do nothing but read this.

use jiff::Timestamp;
use key_rotation_aws::{AwsError, Connection, ErrorClass, MemberRole, MemberSession};
use rotation::user::UserTags;
use rotation::{AccessKeyId, AccountId, KeyStatus, UserName, names};

/// All that a session for following may do.
const SESSION_POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Resource":"*","Action":["iam:GetAccessKeyLastUsed","iam:ListAccessKeys","iam:ListUserTags","secretsmanager:DescribeSecret"]}]}"#;

/// A session shorter than this is replaced before it is used.
const SHORTEST_SESSION_SECONDS: i64 = 60;

/// A user as it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its keys.
    pub keys: Vec<SeenKey>,
    /// Its tags of this tool.
    pub tags: UserTags,
    /// What its secret publishes.
    pub published: Published,
}

/// A key as it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenKey {
    /// Its id.
    pub id: AccessKeyId,
    /// Whether it works.
    pub status: KeyStatus,
    /// When it was made.
    pub created: Timestamp,
}

/// The version ids staged `AWSCURRENT` in the user's secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    /// These; none where there is no secret in the account.
    Versions(Vec<String>),
    /// They cannot be read: the store may be another account's.
    Unreadable,
}

impl Seen {
    /// A key by its id.
    pub fn key(&self, id: &AccessKeyId) -> Option<&SeenKey> {
        self.keys.iter().find(|key| key.id == *id)
    }
}

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
        const OPERATION: &str = "iam:GetAccessKeyLastUsed";
        let session = assume(connection, role, session_name, account).await?;
        let user = match (user, key) {
            (Some(user), _) => user.clone(),
            (None, Some(key)) => {
                let call = session.iam().get_access_key_last_used().access_key_id(key.as_str());
                let answer = call.send().await.map_err(|error| AwsError::of(OPERATION, error))?;
                UserName::new(answer.user_name().unwrap_or_default())
                    .map_err(|error| AwsError::incomplete(OPERATION, &error.to_string()))?
            }
            (None, None) => return Err(AwsError::incomplete(OPERATION, "neither user nor key is named")),
        };
        Ok(Self { connection, role, session_name: session_name.to_owned(), session, user })
    }

    /// The user as it shows now.
    pub(super) async fn look(&mut self) -> Result<Seen, AwsError> {
        if self.session.time_left().as_secs() < SHORTEST_SESSION_SECONDS {
            let account = self.session.account().clone();
            self.session = assume(self.connection, self.role, &self.session_name, &account).await?;
        }
        let (keys, tags, published) = (self.keys().await?, self.tags().await?, self.published().await?);
        Ok(Seen { keys, tags, published })
    }

    async fn keys(&self) -> Result<Vec<SeenKey>, AwsError> {
        const OPERATION: &str = "iam:ListAccessKeys";
        let call = self.session.iam().list_access_keys().user_name(self.user.as_str());
        let answer = call.send().await.map_err(|error| AwsError::of(OPERATION, error))?;
        let incomplete = |what: &str| AwsError::incomplete(OPERATION, what);
        let key = |listed: &aws_sdk_iam::types::AccessKeyMetadata| {
            let id = AccessKeyId::new(listed.access_key_id().unwrap_or_default());
            let created = listed.create_date().and_then(|date| Timestamp::from_second(date.secs()).ok());
            let active = listed.status() == Some(&aws_sdk_iam::types::StatusType::Active);
            Ok(SeenKey {
                id: id.map_err(|error| incomplete(&error.to_string()))?,
                status: if active { KeyStatus::Active } else { KeyStatus::Inactive },
                created: created.ok_or_else(|| incomplete("a key has no creation date"))?,
            })
        };
        answer.access_key_metadata().iter().map(key).collect()
    }

    async fn tags(&self) -> Result<UserTags, AwsError> {
        const OPERATION: &str = "iam:ListUserTags";
        let mut tags: Vec<(String, String)> = Vec::new();
        let mut marker: Option<String> = None;
        loop {
            let call = self.session.iam().list_user_tags().user_name(self.user.as_str()).set_marker(marker.take());
            let page = call.send().await.map_err(|error| AwsError::of(OPERATION, error))?;
            tags.extend(page.tags().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())));
            match (page.is_truncated(), page.marker) {
                (true, Some(next)) => marker = Some(next),
                (true, None) => {
                    return Err(AwsError::incomplete(OPERATION, "the page is truncated, but tells no marker"));
                }
                (false, _) => {
                    return Ok(UserTags::read(tags.iter().map(|(key, value)| (key.as_str(), value.as_str()))));
                }
            }
        }
    }

    async fn published(&self) -> Result<Published, AwsError> {
        let name = names::secret_name(self.session.account(), &self.user);
        let answer = self.session.secrets_manager().describe_secret().secret_id(name).send().await;
        match answer.map_err(|error| AwsError::of("secretsmanager:DescribeSecret", error)) {
            Ok(secret) => {
                let versions = secret.version_ids_to_stages().into_iter().flatten();
                let current = versions.filter(|(_, stages)| stages.iter().any(|stage| stage == "AWSCURRENT"));
                Ok(Published::Versions(current.map(|(id, _)| id.clone()).collect()))
            }
            // Not here: either not yet anywhere, or in the central account.
            Err(error) if matches!(error.class, ErrorClass::NotFound | ErrorClass::Denied) => Ok(Published::Unreadable),
            Err(error) => Err(error),
        }
    }
}

async fn assume(
    connection: &Connection,
    role: &MemberRole,
    session_name: &str,
    account: &AccountId,
) -> Result<MemberSession, AwsError> {
    role.assume(connection, account, session_name, Some(SESSION_POLICY.to_owned())).await
}
