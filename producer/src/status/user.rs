//! `producer status --account ID --user NAME`: a user's keys as they are now, and whether the key that is to be installed has been.
//!
//! It reads and sends nothing: no queue is needed for it.

use std::fmt;

use jiff::Timestamp;
use key_rotation_aws::{AwsError, Connection, ErrorClass, MemberRole, MemberSession, RetryPolicy, SessionPolicy, iam};
use rotation::progress::Publication;
use rotation::user::UserTags;
use rotation::{
    AccessKeyId, AccountId, Installed, Key, KeyState, KeyStateKind, KeyStatus, LastUse, Published, User, UserName,
    names,
};
use serde::Serialize;
use tracing::Instrument;
use uuid::Uuid;

use crate::command::{CommandError, Report};
use crate::publication;
use crate::report::document::Usage;

/// A user as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserStatus {
    pub account: AccountId,
    pub user: UserName,
    /// The oldest first.
    pub keys: Vec<UserKey>,
    /// Whether it could be read which key is published: a central store is not read from here.
    pub publication_read: bool,
    /// What could not be read.
    pub problems: Vec<String>,
}

/// One key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserKey {
    pub access_key_id: AccessKeyId,
    pub status: KeyStatus,
    pub created: Timestamp,
    pub usage: Usage,
    pub last_used: Option<LastUsed>,
    /// Whether it is published in the user's secret; `null`: not known.
    pub published: Option<bool>,
    /// Whether a key that is to be installed has been; `null` for any other key.
    pub installed: Option<InstalledCell>,
    /// What this tool has recorded of it.
    pub recorded: Option<Recorded>,
}

/// Whether a key has been used since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InstalledCell {
    Yes,
    NotYet,
    Unknown,
}

/// A key's last use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastUsed {
    pub when: Timestamp,
    pub service: String,
    pub region: String,
}

/// What the state tag of a key says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recorded {
    pub what: RecordedAs,
    pub since: Timestamp,
    /// When the next step comes, at the earliest.
    pub until: Option<Timestamp>,
}

/// What has been done about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordedAs {
    /// Its owner was told that it will be disabled.
    ToBeDisabled,
    Disabled,
}

/// Reads the keys of one user.
///
/// # Errors
/// [`CommandError`] where the account cannot be read, or has no such user.
pub async fn run(
    connection: &Connection,
    role: &MemberRole,
    account: &AccountId,
    user: &UserName,
) -> Result<UserStatus, CommandError> {
    let run_id = Uuid::new_v4();
    let session_name = names::session_name(&run_id);
    let read = async {
        let policy = Some(SessionPolicy::ReadOneUser);
        let session = RetryPolicy::MESSAGE
            .retry(async || role.assume(connection, account, &session_name, policy).await)
            .await
            .map_err(|error| CommandError::failed(&format!("the account {account} cannot be read"), &error))?;
        look(&session, user).await.map_err(|error| {
            if error.class == ErrorClass::NotFound {
                CommandError::Usage(format!("the account {account} has no user {user}"))
            } else {
                CommandError::failed(&format!("the user {user} cannot be read"), &error)
            }
        })
    };
    read.instrument(tracing::info_span!("status", %run_id)).await
}

async fn look(session: &MemberSession, user: &UserName) -> Result<UserStatus, AwsError> {
    let (iam, account) = (session.iam(), session.account());
    let held = RetryPolicy::MESSAGE.retry(async || iam::access_keys(iam, user).await).await?;
    let tags = RetryPolicy::MESSAGE.retry(async || iam::user_tags(iam, user).await).await?;
    let tags = UserTags::from_pairs(&tags);
    let secrets = session.secrets_manager();
    let publication = RetryPolicy::MESSAGE.retry(async || publication::read(secrets, account, user).await).await?;
    let mut problems = Vec::new();
    let mut keys = Vec::new();
    for key in held {
        let last_use = RetryPolicy::MESSAGE.retry(async || iam::last_use(iam, &key.id).await).await;
        let last_use = last_use.unwrap_or_else(|error| {
            problems.push(format!("the last use of {} is not known: {error}", key.id));
            LastUse::Unknown
        });
        let published = publication.published(&key.id);
        let state = tags.state_of(&key.id);
        keys.push(Key { id: key.id, status: key.status, created: key.created, last_use, published, state });
    }
    keys.sort_by_key(|key| key.created);
    // Whether the user is exempt makes no difference to what is asked here.
    let user = User { name: user.clone(), keys, in_exemption_group: false, tags };
    Ok(UserStatus {
        account: account.clone(),
        keys: user.keys.iter().map(|key| UserKey::new(&user, key)).collect(),
        user: user.name,
        publication_read: match publication {
            Publication::Versions(_) => true,
            Publication::Unreadable => false,
        },
        problems,
    })
}

impl UserKey {
    fn new(user: &User, key: &Key) -> Self {
        Self {
            access_key_id: key.id.clone(),
            status: key.status,
            created: key.created,
            usage: Usage::from(&key.last_use),
            last_used: match &key.last_use {
                LastUse::At { when, service, region } => {
                    Some(LastUsed { when: *when, service: service.clone(), region: region.clone() })
                }
                LastUse::Never | LastUse::Unknown => None,
            },
            published: match key.published {
                Published::Yes => Some(true),
                Published::No => Some(false),
                Published::Unknown => None,
            },
            installed: user.installed(key).map(|installed| match installed {
                Installed::Yes => InstalledCell::Yes,
                Installed::NotYet => InstalledCell::NotYet,
                Installed::Unknown => InstalledCell::Unknown,
            }),
            recorded: key.state.as_ref().map(Recorded::new),
        }
    }
}

impl Recorded {
    fn new(state: &KeyState) -> Self {
        let what = match state.kind {
            KeyStateKind::Notified | KeyStateKind::Forced | KeyStateKind::Restored => RecordedAs::ToBeDisabled,
            KeyStateKind::Disabled => RecordedAs::Disabled,
        };
        Self { what, since: state.at, until: state.until }
    }
}

impl Report for UserStatus {
    fn problems(&self) -> Vec<String> {
        self.problems.clone()
    }
}

impl fmt::Display for UserStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user {} in account {}", self.user, self.account)?;
        if self.keys.is_empty() {
            write!(f, ": no access keys")?;
        }
        for key in &self.keys {
            write!(f, "\n{key}")?;
        }
        if !self.publication_read && !self.keys.is_empty() {
            write!(
                f,
                "\nWhich key is published is not known: the user has no secret in its own account, and a central store is not read from here."
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { access_key_id, status, created, .. } = self;
        write!(f, "{access_key_id}  {:8}  created {}, ", status.as_str(), day(*created))?;
        match (&self.last_used, self.usage) {
            (Some(LastUsed { when, service, region }), _) => {
                write!(f, "last used {} ({service} in {region})", day(*when))?;
            }
            (None, Usage::Unknown) => write!(f, "last use not known")?,
            (None, Usage::Never | Usage::Used) if self.installed.is_some() => {
                write!(f, "not used yet: has it been installed?")?;
            }
            (None, Usage::Never | Usage::Used) => write!(f, "never used")?,
        }
        if self.published == Some(true) {
            write!(f, "; published")?;
        }
        if let Some(Recorded { what, since, until }) = &self.recorded {
            let until = until.map(|until| format!(" on {} at the earliest", day(until))).unwrap_or_default();
            let since = day(*since);
            match what {
                RecordedAs::Disabled => write!(f, "; disabled on {since}, to be deleted{until}")?,
                RecordedAs::ToBeDisabled => write!(f, "; its owner was told on {since}: to be disabled{until}")?,
            }
        }
        Ok(())
    }
}

fn day(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d").to_string()
}
