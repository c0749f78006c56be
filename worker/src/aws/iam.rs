//! IAM in one member account.

use aws_sdk_iam::Client;
use aws_sdk_iam::config::retry::RetryConfig;
use aws_sdk_iam::types::{StatusType, Tag};
use jiff::Timestamp;
use key_rotation_aws::iam::{self, MAX_ITEMS};
pub use key_rotation_aws::iam::{KeyRecord, Listing, UserRecord};
use key_rotation_aws::{AwsError, ErrorClass, MemberSession, RetryPolicy};
use rotation::names;
use rotation::state::tag_time;
use rotation::{AccessKeyId, Deletable, Intent, KeyState, KeyStatus, LastUse, UserName};
use secrecy::SecretString;
use uuid::Uuid;

/// A key just made. The one value in this program that holds a secret; it cannot be printed.
#[derive(Debug)]
pub struct NewKey {
    pub id: AccessKeyId,
    /// When it was made.
    pub created: Timestamp,
    pub secret: SecretString,
}

/// IAM through one session.
#[derive(Debug, Clone, Copy)]
pub struct Iam<'a>(&'a Client);

impl<'a> Iam<'a> {
    pub fn new(session: &'a MemberSession) -> Self {
        Self(session.iam())
    }

    // ---- reads ------------------------------------------------------------------------------------------------------

    /// Every user of the account with tags and groups: one call per thousand users.
    pub async fn all_users(self) -> Result<Listing, AwsError> {
        iam::all_users(self.0).await
    }

    /// One user with its tags, without its groups, its name as IAM spells it: IAM finds a user by any spelling in upper and lower
    /// case, while its secret's name and its membership in a group go by the one it was made with. `None`: there is no such user.
    pub async fn user(self, name: &UserName) -> Result<Option<UserRecord>, AwsError> {
        const OPERATION: &str = "iam:GetUser";
        let answer = self.0.get_user().user_name(name.as_str()).send().await;
        let answer = match answer.map_err(|error| AwsError::new(OPERATION, error)) {
            Ok(answer) => answer,
            Err(error) if error.class == ErrorClass::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let user = answer.user.ok_or_else(|| AwsError::incomplete(OPERATION, "no user"))?;
        let name = UserName::new(user.user_name).map_err(|_| AwsError::incomplete(OPERATION, "not a user name"))?;
        let created = Timestamp::from_second(user.create_date.secs());
        let created = created.map_err(|_| AwsError::incomplete(OPERATION, "a date out of range"))?;
        let tags = self.user_tags(&name).await?;
        Ok(Some(UserRecord { name, id: user.user_id, arn: user.arn, created, groups: None, tags }))
    }

    /// A user's tags, read afresh.
    pub async fn user_tags(self, name: &UserName) -> Result<Vec<(String, String)>, AwsError> {
        iam::user_tags(self.0, name).await
    }

    /// The members of a group, to the last page. `None`: there is no such group.
    pub async fn group_members(self, group: &str) -> Result<Option<Vec<String>>, AwsError> {
        const OPERATION: &str = "iam:GetGroup";
        let (mut members, mut more) = (Vec::new(), false);
        let mut pages = self.0.get_group().group_name(group).into_paginator().page_size(MAX_ITEMS).send();
        while let Some(page) = pages.next().await {
            match page.map_err(|error| AwsError::new(OPERATION, error)) {
                Ok(page) => {
                    more = page.is_truncated;
                    members.extend(page.users.into_iter().map(|user| user.user_name));
                }
                Err(error) if error.class == ErrorClass::NotFound && members.is_empty() => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        iam::to_its_end(OPERATION, more)?;
        Ok(Some(members))
    }

    pub async fn access_keys(self, user: &UserName) -> Result<Vec<KeyRecord>, AwsError> {
        iam::access_keys(self.0, user).await
    }

    /// When and where a key was last used.
    pub async fn last_use(self, key: &AccessKeyId) -> Result<LastUse, AwsError> {
        iam::last_use(self.0, key).await
    }

    /// Whose key it is. `None`: IAM does not say.
    pub async fn owner_of(self, key: &AccessKeyId) -> Result<Option<UserName>, AwsError> {
        iam::owner_of(self.0, key).await
    }

    /// Whether a managed policy is attached to the user itself, looked for to the last page. IAM does not distinguish the case of
    /// a policy's name.
    pub async fn has_policy(self, user: &UserName, policy_arn: &str) -> Result<bool, AwsError> {
        const OPERATION: &str = "iam:ListAttachedUserPolicies";
        let call = self.0.list_attached_user_policies().user_name(user.as_str());
        let mut more = false;
        let mut pages = call.into_paginator().page_size(MAX_ITEMS).send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| AwsError::new(OPERATION, error))?;
            more = page.is_truncated;
            let mut attached = page.attached_policies.unwrap_or_default().into_iter();
            if attached.any(|policy| policy.policy_arn.is_some_and(|arn| arn.eq_ignore_ascii_case(policy_arn))) {
                return Ok(true);
            }
        }
        iam::to_its_end(OPERATION, more)?;
        Ok(false)
    }

    // ---- writes -----------------------------------------------------------------------------------------------------

    /// Makes a key. The SDK's own retries are off for this one call: a retried create makes keys nobody knows.
    pub async fn create_access_key(self, user: &UserName) -> Result<NewKey, AwsError> {
        const OPERATION: &str = "iam:CreateAccessKey";
        let once = aws_sdk_iam::config::Builder::new().retry_config(RetryConfig::disabled());
        let answer = self.0.create_access_key().user_name(user.as_str()).customize().config_override(once).send().await;
        let key = answer
            .map_err(|error| AwsError::new(OPERATION, error))?
            .access_key
            .ok_or_else(|| AwsError::incomplete(OPERATION, "no key came"))?;
        let created = key.create_date.and_then(|date| Timestamp::from_second(date.secs()).ok());
        Ok(NewKey {
            id: key_id(OPERATION, Some(key.access_key_id))?,
            created: created.ok_or_else(|| AwsError::incomplete(OPERATION, "a key without a creation date"))?,
            secret: SecretString::from(key.secret_access_key),
        })
    }

    /// Makes a key active or inactive. Run twice, it changes nothing more.
    pub async fn set_status(self, user: &UserName, key: &AccessKeyId, status: KeyStatus) -> Result<(), AwsError> {
        let status = match status {
            KeyStatus::Active => StatusType::Active,
            KeyStatus::Inactive => StatusType::Inactive,
        };
        let call = self.0.update_access_key().user_name(user.as_str()).access_key_id(key.as_str()).status(status);
        call.send().await.map(|_| ()).map_err(|error| AwsError::new("iam:UpdateAccessKey", error))
    }

    /// Deletes a key that the rules let go. Run twice, it changes nothing more.
    pub async fn delete_access_key(self, user: &UserName, key: &Deletable) -> Result<(), AwsError> {
        self.delete(user, key.key()).await
    }

    /// Deletes a key that this tool has just made, or that an interrupted rotation left: one whose secret nobody has, which the
    /// caller has made sure of. Run twice, it changes nothing more.
    pub async fn delete_unpublished_key(self, user: &UserName, key: &AccessKeyId) -> Result<(), AwsError> {
        self.delete(user, key).await
    }

    async fn delete(self, user: &UserName, key: &AccessKeyId) -> Result<(), AwsError> {
        let call = self.0.delete_access_key().user_name(user.as_str()).access_key_id(key.as_str());
        done_if_not_found(call.send().await.map(|_| ()).map_err(|error| AwsError::new("iam:DeleteAccessKey", error)))
    }

    /// Writes a key's state tag.
    pub async fn record_state(self, user: &UserName, key: &AccessKeyId, state: &KeyState) -> Result<(), AwsError> {
        self.tag(user, names::state_tag(key), state.to_string()).await
    }

    /// Records that the user's owner was reminded.
    pub async fn record_reminder(self, user: &UserName, at: Timestamp) -> Result<(), AwsError> {
        self.tag(user, names::REMINDED_TAG.to_owned(), tag_time(at)).await
    }

    /// Removes a key's state tag.
    pub async fn remove_state(self, user: &UserName, key: &AccessKeyId) -> Result<(), AwsError> {
        self.untag(user, vec![names::state_tag(key)]).await
    }

    /// Records that the key's deletion has begun. This has a tag of its own: whoever else writes the key's state at the same
    /// moment does not write over it.
    pub async fn record_deletion(self, user: &UserName, key: &AccessKeyId, at: Timestamp) -> Result<(), AwsError> {
        self.tag(user, names::delete_tag(key), tag_time(at)).await
    }

    /// Removes the tag that says so.
    pub async fn remove_deletion(self, user: &UserName, key: &AccessKeyId) -> Result<(), AwsError> {
        self.untag(user, vec![names::delete_tag(key)]).await
    }

    /// Removes all that is remembered of a key.
    pub async fn forget_key(self, user: &UserName, key: &AccessKeyId) -> Result<(), AwsError> {
        self.untag(user, vec![names::delete_tag(key), names::state_tag(key)]).await
    }

    pub async fn leave_intent(self, user: &UserName, intent: &Intent) -> Result<(), AwsError> {
        self.tag(user, names::intent_tag(intent.attempt), intent.to_string()).await
    }

    pub async fn clear_intents(self, user: &UserName, attempts: &[Uuid]) -> Result<(), AwsError> {
        self.untag(user, attempts.iter().map(|attempt| names::intent_tag(*attempt)).collect()).await
    }

    async fn tag(self, user: &UserName, key: String, value: String) -> Result<(), AwsError> {
        let tag = Tag::builder().key(key).value(value).build().expect("key and value are set");
        let call = self.0.tag_user().user_name(user.as_str()).tags(tag);
        unless_concurrent(|| {
            let sent = call.clone().send();
            async { sent.await.map(|_| ()).map_err(|error| AwsError::new("iam:TagUser", error)) }
        })
        .await
    }

    async fn untag(self, user: &UserName, keys: Vec<String>) -> Result<(), AwsError> {
        let call = self.0.untag_user().user_name(user.as_str()).set_tag_keys(Some(keys));
        let untag = || {
            let sent = call.clone().send();
            async { sent.await.map(|_| ()).map_err(|error| AwsError::new("iam:UntagUser", error)) }
        };
        done_if_not_found(unless_concurrent(untag).await)
    }

    /// Attaches a customer-managed policy to a user. Run twice, it changes nothing more.
    pub async fn attach_policy(self, user: &UserName, policy_arn: &str) -> Result<(), AwsError> {
        let call = self.0.attach_user_policy().user_name(user.as_str()).policy_arn(policy_arn);
        call.send().await.map(|_| ()).map_err(|error| AwsError::new("iam:AttachUserPolicy", error))
    }
}

/// Tries again for some seconds where another request was changing the same user: "multiple requests to change this object were
/// submitted simultaneously" (IAM API reference, `TagUser`, `ConcurrentModification`). The SDK does not.
async fn unless_concurrent<F>(call: impl Fn() -> F) -> Result<(), AwsError>
where
    F: Future<Output = Result<(), AwsError>>,
{
    for wait in RetryPolicy::MESSAGE.waits() {
        match call().await {
            Err(error) if error.is_concurrent_modification() => tokio::time::sleep(wait).await,
            other => return other,
        }
    }
    call().await
}

/// For calls that remove, or write about, what is not there any more: nothing is left to be done.
pub fn done_if_not_found(result: Result<(), AwsError>) -> Result<(), AwsError> {
    match result {
        Err(error) if error.class == ErrorClass::NotFound => Ok(()),
        other => other,
    }
}

fn key_id(operation: &'static str, id: Option<String>) -> Result<AccessKeyId, AwsError> {
    let id = id.ok_or_else(|| AwsError::incomplete(operation, "a key without an id"))?;
    AccessKeyId::new(id).map_err(|_| AwsError::incomplete(operation, "a key with a malformed id"))
}
