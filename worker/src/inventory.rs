//! Whom to look at. The one place that knows how users are found.

use std::collections::HashSet;

use key_rotation_aws::{AwsError, MemberSession};
use rotation::names::state_tag;
use rotation::{AccessKeyId, UserName};
use tracing::warn;

use crate::aws::iam::{Iam, UserRecord};

/// The users of one account to be looked at.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// The users, with the tags they had when they were listed.
    pub users: Vec<UserRecord>,
    /// The members of the exemption group, read to its last page.
    pub exempt: HashSet<String>,
}

impl Inventory {
    /// Every user of the account.
    ///
    /// # Errors
    /// [`AwsError`]: if the exemption group cannot be read it is not known who is exempt, and nobody is looked at.
    pub async fn of_account(session: &MemberSession, exemption_group: &str) -> Result<Self, AwsError> {
        let iam = Iam::new(session);
        let exempt = exempt(iam, exemption_group).await?;
        let users = iam.all_users().await?;
        Ok(Self { users, exempt })
    }

    /// One user; empty if there is no such user. Without a group nobody is exempt by one.
    ///
    /// # Errors
    /// As [`Inventory::of_account`].
    pub async fn of_user(
        session: &MemberSession,
        exemption_group: Option<&str>,
        user: &UserName,
    ) -> Result<Self, AwsError> {
        let iam = Iam::new(session);
        let exempt = match exemption_group {
            Some(group) => exempt(iam, group).await?,
            None => HashSet::new(),
        };
        Ok(Self { users: iam.user(user).await?.into_iter().collect(), exempt })
    }

    /// Whether the user is exempt by group: by the group's own list, or by the user's.
    pub fn is_exempt(&self, user: &UserRecord, exemption_group: &str) -> bool {
        self.exempt.contains(user.name.as_str()) || user.groups.iter().any(|group| group == exemption_group)
    }
}

/// Finds the user a key belongs to, or (after an interrupted leak response has deleted the key) the one that still carries
/// the key's state tag. Where IAM does not say whose key it is, every user's keys are looked through: only then "nobody's" is
/// an answer and not a guess.
///
/// # Errors
/// [`AwsError`].
pub async fn owner_of(session: &MemberSession, key: &AccessKeyId) -> Result<Option<UserName>, AwsError> {
    let iam = Iam::new(session);
    if let Some(user) = iam.owner_of(key).await? {
        return Ok(Some(user));
    }
    let tag = state_tag(key);
    let users = iam.all_users().await?;
    if let Some(user) = users.iter().find(|user| user.tags.iter().any(|(key, _)| *key == tag)) {
        return Ok(Some(user.name.clone()));
    }
    for user in users {
        if iam.access_keys(&user.name).await?.iter().any(|held| held.id == *key) {
            return Ok(Some(user.name));
        }
    }
    Ok(None)
}

async fn exempt(iam: Iam<'_>, group: &str) -> Result<HashSet<String>, AwsError> {
    match iam.group_members(group).await? {
        Some(members) => Ok(members.into_iter().collect()),
        None => {
            // A definite answer: a group that does not exist has no members.
            warn!(group, "the exemption group does not exist in this account: nobody is exempt by group");
            Ok(HashSet::new())
        }
    }
}
