//! Every name the tool gives to a thing in AWS, in one place: secrets, versions, tags, ARNs.

use uuid::{Uuid, uuid};

use crate::ids::{AccessKeyId, AccountId, UserName};

/// All tags of this tool begin so; the member role may touch no others.
pub const TAG_PREFIX: &str = "key-rotation:";
/// A user with this tag is out of reach: exempt here, and denied by the member role's policy.
pub const PROTECTED_TAG: &str = "key-rotation:protected";
/// Exempt up to and including this day (`2027-01-31`, UTC).
pub const EXEMPT_UNTIL_TAG: &str = "key-rotation:exempt-until";
/// This user's own rotation period, in days.
pub const ROTATE_AFTER_DAYS_TAG: &str = "key-rotation:rotate-after-days";
/// When the user's owner was last reminded of what comes, or of what somebody has to mend.
pub const REMINDED_TAG: &str = "key-rotation:reminded";
/// A state tag's key begins so, and ends with the access key id.
pub const STATE_TAG_PREFIX: &str = "key-rotation:state:";
/// An intent tag's key begins so, and ends with the attempt's UUID.
pub const INTENT_TAG_PREFIX: &str = "key-rotation:intent:";

/// The namespace of version ids; fixed for ever, or published secrets would no longer be recognised.
const VERSION_NAMESPACE: Uuid = uuid!("6f1a4c62-2c0f-5a39-9a58-5b8f3a0d7c11");

/// The tag that remembers a key's state.
pub fn state_tag(key: &AccessKeyId) -> String {
    format!("{STATE_TAG_PREFIX}{key}")
}

/// The tag that holds an attempt's intent.
pub fn intent_tag(attempt: Uuid) -> String {
    format!("{INTENT_TAG_PREFIX}{attempt}")
}

/// The secret a user's newest key is stored in.
///
/// Secrets Manager allows no comma, IAM does; `/` never occurs in a user name, so `,` -> `/` is injective.
pub fn secret_name(account: &AccountId, user: &UserName) -> String {
    format!("Account_{account}_User_{}_AccessKey", user.as_str().replace(',', "/"))
}

/// The version id (`ClientRequestToken`) under which a key's secret is stored: `DescribeSecret` alone tells whose it is.
pub fn version_id(key: &AccessKeyId) -> String {
    Uuid::new_v5(&VERSION_NAMESPACE, key.as_str().as_bytes()).to_string()
}

/// AWS's partitions differ in ARNs; which one applies follows from the region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partition {
    /// Commercial regions.
    Aws,
    /// GovCloud (US).
    AwsUsGov,
    /// China.
    AwsCn,
}

impl Partition {
    /// The partition a region belongs to.
    pub fn of_region(region: &str) -> Self {
        if region.starts_with("us-gov-") {
            Partition::AwsUsGov
        } else if region.starts_with("cn-") {
            Partition::AwsCn
        } else {
            Partition::Aws
        }
    }

    /// As ARNs spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Partition::Aws => "aws",
            Partition::AwsUsGov => "aws-us-gov",
            Partition::AwsCn => "aws-cn",
        }
    }

    /// A role's ARN. `role` may carry a path (`path/name`).
    pub fn role_arn(self, account: &AccountId, role: &str) -> String {
        format!("arn:{}:iam::{account}:role/{}", self.as_str(), role.trim_start_matches('/'))
    }

    /// A user's ARN; `path` begins and ends with a slash.
    pub fn user_arn(self, account: &AccountId, path: &str, user: &UserName) -> String {
        format!("arn:{}:iam::{account}:user{path}{user}", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_in_a_user_name_becomes_a_slash_in_the_secrets_name() {
        let account = AccountId::new("123456789012").unwrap();
        let user = UserName::new("a,b@c").unwrap();
        assert_eq!(secret_name(&account, &user), "Account_123456789012_User_a/b@c_AccessKey");
    }

    #[test]
    fn a_keys_version_id_is_fixed_for_ever() {
        let key = AccessKeyId::new("AKIAIOSFODNN7EXAMPLE").unwrap();
        assert_eq!(version_id(&key), "390ec0dc-a655-5e6f-afa5-33408e8422ec");
    }
}
