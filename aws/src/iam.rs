//! What both programs read of IAM in a member account. Every list is read to its last page, and what an answer does not say
//! is an error and no guess.

use aws_sdk_iam::Client;
use aws_sdk_iam::types::StatusType;
use jiff::Timestamp;
use rotation::{AccessKeyId, KeyStatus, UserName};

use crate::error::{AwsError, ErrorClass};

/// A key as `ListAccessKeys` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    pub id: AccessKeyId,
    pub status: KeyStatus,
    /// Whole seconds.
    pub created: Timestamp,
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
    while let Some(page) = pages.next().await {
        for key in page.map_err(|error| AwsError::new(OPERATION, error))?.access_key_metadata {
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
    Ok(keys)
}

/// A user's tags.
///
/// # Errors
/// [`AwsError`].
pub async fn user_tags(iam: &Client, user: &UserName) -> Result<Vec<(String, String)>, AwsError> {
    let mut tags = Vec::new();
    let mut pages = iam.list_user_tags().user_name(user.as_str()).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| AwsError::new("iam:ListUserTags", error))?;
        tags.extend(page.tags.into_iter().map(|tag| (tag.key, tag.value)));
    }
    Ok(tags)
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
