//! One account's users and keys, by reading alone.
//!
//! A handful of calls for an account: the credential report for keys, and one listing for tags and groups. The report has no
//! key ids and is up to four hours old; a user is looked at live where that is not good enough: where a rotation is under way,
//! where it has two active keys of which one may be published, and where the report says nothing that can be used.

use std::collections::HashMap;
use std::time::Duration;

use futures::{StreamExt, stream};
use jiff::Timestamp;
use key_rotation_aws::credential_report::{self, CredentialReport, CredentialReportError, ReportedKey, ReportedUser};
use key_rotation_aws::iam::{self, UserRecord};
use key_rotation_aws::{AwsError, ErrorClass, RetryPolicy};
use rotation::progress::Publication;
use rotation::user::UserTags;
use rotation::{AccessKeyId, AccountId, Key, KeyStatus, LastUse, Published, User};

use super::access::{Access, AccessMethod};
use crate::publication;

/// Users of one account looked at live at once; IAM's rates are per account.
const USERS_AT_ONCE: usize = 4;

/// The first look at a credential report that is being generated, which takes seconds and rarely a minute; each look after it
/// waits twice as long, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// What was read of one account.
#[derive(Debug)]
pub(super) struct AccountKeys {
    /// As of when the credential report is, where one was used.
    pub(super) reported: Option<Timestamp>,
    pub(super) users: Vec<UserKeys>,
    pub(super) unread: Vec<UnreadUser>,
}

/// One user as the rules take it.
#[derive(Debug)]
pub(super) struct UserKeys {
    pub(super) user: User,
    /// Whether ids and dates are the keys' own: the credential report has no ids, and dates of "created or last changed".
    pub(super) live: bool,
}

/// A user of whom something is not known that the report needs.
#[derive(Debug)]
pub(super) struct UnreadUser {
    pub(super) user: String,
    pub(super) why: String,
}

/// Why an account could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum AccountError {
    #[error(transparent)]
    Aws(#[from] AwsError),
    #[error("{0}")]
    CredentialReport(#[from] CredentialReportError),
    #[error("{0}; or give --live, which needs no credential report")]
    CredentialReportOnly(CredentialReportError),
    #[error("{own}; and with the role instead: {role}")]
    BothWays { own: Box<AccountError>, role: Box<AccountError> },
}

impl AccountError {
    /// Whether it is a right that is missing.
    fn is_denied(&self) -> bool {
        match self {
            AccountError::Aws(error) => error.class == ErrorClass::Denied,
            AccountError::CredentialReport(error) | AccountError::CredentialReportOnly(error) => {
                matches!(error, CredentialReportError::Denied(_))
            }
            AccountError::BothWays { own, .. } => own.is_denied(),
        }
    }
}

/// How accounts are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct AccountReader<'a> {
    pub(super) method: AccessMethod<'a>,
    pub(super) exemption_group: &'a str,
    /// Every user is looked at live, and no credential report used.
    pub(super) live: bool,
    /// For how long a credential report that is being generated is waited for.
    pub(super) report_timeout: Duration,
}

impl AccountReader<'_> {
    /// Reads an account; a second way into it is tried where the first one's rights do not do.
    pub(super) async fn read(&self, account: &AccountId) -> Result<AccountKeys, AccountError> {
        let mut refused: Option<AccountError> = None;
        for method in self.method.ways(account) {
            let error = match (self.read_by(method, account).await, refused.take()) {
                (Ok(keys), _) => return Ok(keys),
                (Err(error), None) if error.is_denied() => error,
                (Err(error), None) => return Err(error),
                (Err(role), Some(own)) => AccountError::BothWays { own: Box::new(own), role: Box::new(role) },
            };
            refused = Some(error);
        }
        Err(refused.expect("there is a way into every account"))
    }

    async fn read_by(&self, method: AccessMethod<'_>, account: &AccountId) -> Result<AccountKeys, AccountError> {
        let access = method.open(account).await?;
        let clients = access.clients().await?;
        let users = async || RetryPolicy::MESSAGE.retry(async || iam::all_users(&clients.iam).await).await;
        let report = match self.live {
            true => None,
            false => match self.credential_report(&clients.iam).await {
                Ok(report) => Some(report),
                Err(error @ CredentialReportError::Denied(_)) if users().await.is_ok() => {
                    return Err(AccountError::CredentialReportOnly(error));
                }
                Err(error) => return Err(error.into()),
            },
        };
        let listed = users().await?.users;
        let reported = report.as_ref().map(|report| report.generated);
        let mut rows: HashMap<String, ReportedUser> = HashMap::new();
        for row in report.map(|report| report.users).unwrap_or_default() {
            rows.insert(row.name.to_string(), row);
        }
        let looks = listed.into_iter().map(|user| (rows.remove(user.name.as_str()), user));
        let looks = looks.map(|(row, user)| self.look(&access, account, user, row));
        let mut keys = AccountKeys { reported, users: Vec::new(), unread: Vec::new() };
        let mut looks = stream::iter(looks.collect::<Vec<_>>()).buffered(USERS_AT_ONCE);
        while let Some((user, unread)) = looks.next().await {
            keys.users.extend(user);
            keys.unread.extend(unread);
        }
        Ok(keys)
    }

    async fn credential_report(&self, iam: &aws_sdk_iam::Client) -> Result<CredentialReport, CredentialReportError> {
        let mut waits = RetryPolicy::MESSAGE.waits();
        loop {
            match credential_report::fetch(iam, &pauses(self.report_timeout)).await {
                Err(CredentialReportError::Aws(error)) if error.class.may_pass() => match waits.next() {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => return Err(CredentialReportError::Aws(error)),
                },
                answer => return answer,
            }
        }
    }

    /// The user as its row shows it, or live where that is not good enough; and what of it could not be read.
    async fn look(
        &self,
        access: &Access,
        account: &AccountId,
        listed: UserRecord,
        row: Option<ReportedUser>,
    ) -> (Option<UserKeys>, Option<UnreadUser>) {
        let tags = UserTags::from_pairs(&listed.tags);
        let unread = |why: String| Some(UnreadUser { user: listed.name.to_string(), why });
        let Some(in_exemption_group) = listed.is_in_group(self.exemption_group) else {
            return (None, unread("IAM does not tell its groups, so whether it is exempt is not known".to_owned()));
        };
        let user = User { name: listed.name.clone(), keys: Vec::new(), in_exemption_group, tags };
        let looked_at = match row.and_then(|row| shown(&user, row)) {
            None => live(access, account, &user).await,
            Some(keys) if keys.iter().filter(|key| key.status == KeyStatus::Active).count() < 2 => {
                return (Some(UserKeys { user: User { keys, ..user }, live: false }), None);
            }
            // Two active keys: only where the user has a secret does it matter which is which.
            Some(keys) => match publication(access, account, &user).await {
                Ok(Publication::Unreadable) => {
                    return (Some(UserKeys { user: User { keys, ..user }, live: false }), None);
                }
                Ok(Publication::Versions(_)) => live(access, account, &user).await,
                Err(error) => Err(error),
            },
        };
        match looked_at {
            Ok(LiveKeys { keys, unknown_use: None }) => {
                (Some(UserKeys { user: User { keys, ..user }, live: true }), None)
            }
            Ok(LiveKeys { keys, unknown_use: Some(error) }) => {
                let unread = unread(format!("a key's last use is not known: {error}"));
                (Some(UserKeys { user: User { keys, ..user }, live: true }), unread)
            }
            Err(error) => (None, unread(error.to_string())),
        }
    }
}

/// Growing pauses that take so long together.
fn pauses(report_timeout: Duration) -> Vec<Duration> {
    let (mut next, mut left) = (FIRST_PAUSE, report_timeout);
    let mut pauses = Vec::new();
    while !left.is_zero() {
        let pause = next.min(left);
        pauses.push(pause);
        left -= pause;
        next = (next * 2).min(LONGEST_PAUSE);
    }
    pauses
}

/// The keys as the credential report's row shows them. `None`: it does not show enough.
fn shown(user: &User, row: ReportedUser) -> Option<Vec<Key>> {
    let tags = &user.tags;
    if !(tags.states.is_empty() && tags.intents.is_empty() && tags.unreadable.is_empty()) {
        return None;
    }
    row.keys.into_iter().map(key_of_row).collect()
}

fn key_of_row(key: ReportedKey) -> Option<Key> {
    Some(Key {
        // The report has no ids. Where a sentence names the key, it names it by its columns there.
        id: AccessKeyId::new(format!("access_key_{}_of_credential_report", key.slot)).ok()?,
        status: if key.active { KeyStatus::Active } else { KeyStatus::Inactive },
        created: key.last_rotated?,
        last_use: key.last_use,
        published: Published::No,
        state: None,
    })
}

/// A user's keys as they are at this moment.
struct LiveKeys {
    keys: Vec<Key>,
    /// Why the last use of one is not known, where it is not.
    unknown_use: Option<AwsError>,
}

async fn live(access: &Access, account: &AccountId, user: &User) -> Result<LiveKeys, AwsError> {
    let clients = access.clients().await?;
    let held = RetryPolicy::MESSAGE.retry(async || iam::access_keys(&clients.iam, &user.name).await).await?;
    let is_ours = !user.tags.states.is_empty();
    let publication = match held.is_empty() {
        true => Publication::Unreadable,
        false => publication(access, account, user).await?,
    };
    let mut looked = LiveKeys { keys: Vec::new(), unknown_use: None };
    for key in held {
        let last_use = RetryPolicy::MESSAGE.retry(async || iam::last_use(&clients.iam, &key.id).await).await;
        let last_use = last_use.unwrap_or_else(|error| {
            looked.unknown_use = Some(error);
            LastUse::Unknown
        });
        let published = match publication.published(&key.id) {
            // With a rotation under way there is a secret somewhere; without one there is none of this tool's making.
            Published::Unknown if !is_ours => Published::No,
            published @ (Published::Yes | Published::No | Published::Unknown) => published,
        };
        let state = user.tags.state_of(&key.id);
        looked.keys.push(Key { id: key.id, status: key.status, created: key.created, last_use, published, state });
    }
    Ok(looked)
}

async fn publication(access: &Access, account: &AccountId, user: &User) -> Result<Publication, AwsError> {
    let clients = access.clients().await?;
    RetryPolicy::MESSAGE.retry(async || publication::read(&clients.secrets, account, &user.name).await).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_waited_for_as_long_as_asked_and_no_longer() {
        assert_eq!(pauses(Duration::from_secs(60)).iter().sum::<Duration>(), Duration::from_secs(60));
        assert_eq!(pauses(Duration::from_millis(600)), [250, 350].map(Duration::from_millis));
        assert!(pauses(Duration::ZERO).is_empty());
    }
}
