//! What both programs read of IAM in a member account. Every list is read to its last page, and what an answer does not say
//! is an error and no guess.

use aws_sdk_iam::Client;
use aws_sdk_iam::types::{EntityType, StatusType, Tag};
use jiff::Timestamp;
use rotation::{AccessKeyId, KeyStatus, LastUse, UserName};

use crate::error::{AwsError, ErrorClass};

/// IAM API reference, `MaxItems`: at most 1,000. IAM may still answer with fewer, and a marker.
pub const MAX_ITEMS: i32 = 1000;

/// A user as the account's listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRecord {
    pub name: UserName,
    /// Its unique id (`AIDA...`), which no other user ever has, whatever users are renamed to.
    pub id: String,
    /// Its ARN, path included.
    pub arn: String,
    /// When it was made. Two users of the same name, one after the other, differ in it.
    pub created: Timestamp,
    /// Its groups, where the answer tells them.
    pub groups: Option<Vec<String>>,
    pub tags: Vec<(String, String)>,
}

impl UserRecord {
    /// Whether it is a member of this group, if the answer tells its groups. IAM does not distinguish the case of their names.
    pub fn is_in_group(&self, group: &str) -> Option<bool> {
        Some(self.groups.as_ref()?.iter().any(|name| name.eq_ignore_ascii_case(group)))
    }
}

/// An account's users and the names of its groups.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    pub users: Vec<UserRecord>,
    pub groups: Vec<String>,
}

impl Listing {
    /// Whether the account has this group. IAM does not distinguish the case of their names.
    pub fn has_group(&self, group: &str) -> bool {
        self.groups.iter().any(|name| name.eq_ignore_ascii_case(group))
    }
}

/// A key as `ListAccessKeys` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    pub id: AccessKeyId,
    pub status: KeyStatus,
    /// Whole seconds.
    pub created: Timestamp,
}

/// Every user of the account with tags and groups: one call per thousand users.
///
/// # Errors
/// [`AwsError`].
pub async fn all_users(iam: &Client) -> Result<Listing, AwsError> {
    const OPERATION: &str = "iam:GetAccountAuthorizationDetails";
    let lacking = |what| AwsError::incomplete(OPERATION, what);
    let mut listing = Listing::default();
    let kinds = Some(vec![EntityType::User, EntityType::Group]);
    let call = iam.get_account_authorization_details().set_filter(kinds);
    let mut pages = call.into_paginator().page_size(MAX_ITEMS).send();
    let mut more = false;
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| AwsError::new(OPERATION, error))?;
        more = page.is_truncated;
        for user in page.user_detail_list.unwrap_or_default() {
            let name = user.user_name.ok_or_else(|| lacking("a user without a name"))?;
            let created = user.create_date.and_then(|date| Timestamp::from_second(date.secs()).ok());
            listing.users.push(UserRecord {
                name: UserName::new(name).map_err(|_| lacking("not a user name"))?,
                id: user.user_id.ok_or_else(|| lacking("a user without an id"))?,
                arn: user.arn.ok_or_else(|| lacking("a user without an ARN"))?,
                created: created.ok_or_else(|| lacking("a user without a creation date"))?,
                groups: user.group_list,
                tags: pairs(user.tags.unwrap_or_default()),
            });
        }
        let groups = page.group_detail_list.unwrap_or_default();
        listing.groups.extend(groups.into_iter().filter_map(|group| group.group_name));
    }
    to_its_end(OPERATION, more)?;
    Ok(listing)
}

/// A user's keys.
///
/// # Errors
/// [`AwsError`]; also for a key of another status than `Active` and `Inactive` (the SDK knows `Expired`): of such a key it is
/// not known what may be done to it.
pub async fn access_keys(iam: &Client, user: &UserName) -> Result<Vec<KeyRecord>, AwsError> {
    const OPERATION: &str = "iam:ListAccessKeys";
    let lacking = |what| AwsError::incomplete(OPERATION, what);
    let mut keys = Vec::new();
    let mut pages = iam.list_access_keys().user_name(user.as_str()).into_paginator().send();
    let mut more = false;
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| AwsError::new(OPERATION, error))?;
        more = page.is_truncated;
        for key in page.access_key_metadata {
            let id = key.access_key_id.ok_or_else(|| lacking("a key without an id"))?;
            let created = key.create_date.and_then(|date| Timestamp::from_second(date.secs()).ok());
            keys.push(KeyRecord {
                id: AccessKeyId::new(id).map_err(|_| lacking("a key with a malformed id"))?,
                status: match key.status {
                    Some(StatusType::Active) => KeyStatus::Active,
                    Some(StatusType::Inactive) => KeyStatus::Inactive,
                    Some(_) | None => return Err(lacking("a key with an unknown status")),
                },
                created: created.ok_or_else(|| lacking("a key without a creation date"))?,
            });
        }
    }
    to_its_end(OPERATION, more)?;
    Ok(keys)
}

/// A user's tags.
///
/// # Errors
/// [`AwsError`].
pub async fn user_tags(iam: &Client, user: &UserName) -> Result<Vec<(String, String)>, AwsError> {
    const OPERATION: &str = "iam:ListUserTags";
    let mut tags = Vec::new();
    let mut pages = iam.list_user_tags().user_name(user.as_str()).into_paginator().send();
    let mut more = false;
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| AwsError::new(OPERATION, error))?;
        more = page.is_truncated;
        tags.extend(pairs(page.tags));
    }
    to_its_end(OPERATION, more)?;
    Ok(tags)
}

/// When and where a key was last used.
///
/// # Errors
/// [`AwsError`].
pub async fn last_use(iam: &Client, key: &AccessKeyId) -> Result<LastUse, AwsError> {
    const OPERATION: &str = "iam:GetAccessKeyLastUsed";
    let answer = iam.get_access_key_last_used().access_key_id(key.as_str()).send().await;
    let used = answer
        .map_err(|error| AwsError::new(OPERATION, error))?
        .access_key_last_used
        .ok_or_else(|| AwsError::incomplete(OPERATION, "nothing about the key's last use"))?;
    match used.last_used_date {
        None => Ok(LastUse::Never),
        Some(date) => Ok(LastUse::At {
            when: Timestamp::from_second(date.secs())
                .map_err(|_| AwsError::incomplete(OPERATION, "a date out of range"))?,
            service: used.service_name,
            region: used.region,
        }),
    }
}

/// Whose key it is. `None`: IAM does not say; for a key that does not exist it answers `AccessDenied`, as for one it may not
/// tell about.
///
/// # Errors
/// [`AwsError`].
pub async fn owner_of(iam: &Client, key: &AccessKeyId) -> Result<Option<UserName>, AwsError> {
    const OPERATION: &str = "iam:GetAccessKeyLastUsed";
    let answer = iam.get_access_key_last_used().access_key_id(key.as_str()).send().await;
    match answer.map_err(|error| AwsError::new(OPERATION, error)) {
        Ok(answer) => Ok(answer.user_name.and_then(|name| UserName::new(name).ok())),
        Err(error) if matches!(error.class, ErrorClass::NotFound | ErrorClass::Denied) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a list was read to its end. The SDK goes by the marker alone: where a page says that more follows, and has no marker or the one
/// before again, it ends as if that were all.
///
/// # Errors
/// [`AwsError::incomplete`]: the last page said that more follows.
pub fn to_its_end(operation: &'static str, more: bool) -> Result<(), AwsError> {
    if more {
        Err(AwsError::incomplete(operation, "a list that ends although it says that more follows"))
    } else {
        Ok(())
    }
}

fn pairs(tags: Vec<Tag>) -> Vec<(String, String)> {
    tags.into_iter().map(|tag| (tag.key, tag.value)).collect()
}
