//! Every name the tool gives to a thing in AWS, in one place: secrets, versions, tags, ARNs.

use std::fmt;

use uuid::{Uuid, uuid};

use crate::ids::{AccessKeyId, AccountId, UserName, shown};

/// The exemption group, where `IAM_EXEMPTION_GROUP` names no other.
pub const DEFAULT_EXEMPTION_GROUP: &str = "IAMKeyRotationExemptionGroup";

/// A user with this tag is never touched: exempt here, and denied by the member role's policy.
pub const PROTECTED_TAG: &str = "key-rotation:protected";
/// Exempt up to and including this day (`2027-01-31`, UTC).
pub const EXEMPT_UNTIL_TAG: &str = "key-rotation:exempt-until";
/// This user's own rotation period, in days.
pub const ROTATE_AFTER_DAYS_TAG: &str = "key-rotation:rotate-after-days";
/// When the user's owner was last reminded of what comes, or of what somebody has to mend.
pub const REMINDED_TAG: &str = "key-rotation:reminded";
/// Roles that may read this user's secret, from the list that the administrator allows: ARNs, separated by spaces.
pub const READERS_TAG: &str = "key-rotation:readers";
/// Regions in which the user sends mail by SES's SMTP interface, separated by spaces.
pub const SMTP_REGIONS_TAG: &str = "key-rotation:smtp-regions";
/// A state tag's key begins so, and ends with the access key id.
pub const STATE_TAG_PREFIX: &str = "key-rotation:state:";
/// A deletion tag's key begins so, and ends with the access key id.
pub const DELETE_TAG_PREFIX: &str = "key-rotation:delete:";
/// An intent tag's key begins so, and ends with the attempt's UUID.
pub const INTENT_TAG_PREFIX: &str = "key-rotation:intent:";

/// A secret's tags: whose key is in it. The user's id tells apart two users that had the same name one after the other.
pub const SECRET_ACCOUNT_TAG: &str = "key-rotation:account";
/// See [`SECRET_ACCOUNT_TAG`].
pub const SECRET_USER_TAG: &str = "key-rotation:user";
/// See [`SECRET_ACCOUNT_TAG`].
pub const SECRET_USER_ID_TAG: &str = "key-rotation:user-id";
/// A secret's tag: the fingerprint of its resource policy.
pub const SECRET_POLICY_TAG: &str = "key-rotation:policy";
/// The work queue's tag: the last run that `schedule` put on it.
pub const LAST_RUN_TAG: &str = "key-rotation:last-run";

/// The namespace of version ids; fixed for ever, or published secrets would no longer be recognised.
const VERSION_NAMESPACE: Uuid = uuid!("6f1a4c62-2c0f-5a39-9a58-5b8f3a0d7c11");

/// The tag that remembers a key's state.
pub fn state_tag(key: &AccessKeyId) -> String {
    format!("{STATE_TAG_PREFIX}{key}")
}

/// The tag that remembers that a key's deletion has begun.
pub fn delete_tag(key: &AccessKeyId) -> String {
    format!("{DELETE_TAG_PREFIX}{key}")
}

/// The tag that holds an attempt's intent.
pub fn intent_tag(attempt: Uuid) -> String {
    format!("{INTENT_TAG_PREFIX}{attempt}")
}

/// How the names of the secrets of an account's users begin.
pub fn secret_prefix(account: &AccountId) -> String {
    format!("Account_{account}_User_")
}

/// The secret a user's newest key is stored in.
pub fn secret_name(account: &AccountId, user: &UserName) -> String {
    format!("{}{}_AccessKey", secret_prefix(account), user_in_secret(user))
}

/// A user's name as a secret's name and tags have it: Secrets Manager allows no comma, IAM does; `/` never occurs in a user name,
/// so `,` -> `/` is injective.
pub fn user_in_secret(user: &UserName) -> String {
    user.as_str().replace(',', "/")
}

/// The role session's name, as an account's CloudTrail shows it. `what` is a run's id, or what else the session is for.
pub fn session_name(what: &impl fmt::Display) -> String {
    format!("key-rotation-{what}")
}

/// The version id (`ClientRequestToken`) under which a key's secret is stored: `DescribeSecret` alone tells whose it is.
pub fn version_id(key: &AccessKeyId) -> String {
    Uuid::new_v5(&VERSION_NAMESPACE, key.as_str().as_bytes()).to_string()
}

/// `eu-west-1`, `us-gov-east-1`, `eusc-de-east-1`: letters, words, a number.
pub fn is_region(text: &str) -> bool {
    let words: Vec<&str> = text.split('-').collect();
    let Some((number, names)) = words.split_last() else { return false };
    names.len() >= 2
        && names.iter().all(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase()))
        && !number.is_empty()
        && number.bytes().all(|b| b.is_ascii_digit())
}

/// A partition of AWS, as ARNs spell it: `aws`, `aws-us-gov`, `aws-cn`, `aws-eusc`, and those for which there is no list. It is
/// read off an ARN that AWS gave, and never guessed from a region's name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// The name, and zeros. Inline, so that it is `Copy`.
    bytes: [u8; Self::LONGEST],
    length: usize,
}

/// A text that is not an ARN of AWS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not the ARN of anything in AWS")]
pub struct InvalidArn(String);

impl Partition {
    /// The commercial regions' partition.
    pub const AWS: Partition = Partition::from_name("aws");
    /// Longer than any known, `aws-us-gov`.
    const LONGEST: usize = 24;

    const fn from_name(name: &str) -> Self {
        let (name, mut bytes, mut length) = (name.as_bytes(), [0; Self::LONGEST], 0);
        while length < name.len() {
            bytes[length] = name[length];
            length += 1;
        }
        Self { bytes, length }
    }

    /// The partition of an ARN.
    ///
    /// # Errors
    /// [`InvalidArn`] where the text is not an ARN of `aws` or of `aws-` and something.
    pub fn from_arn(arn: &str) -> Result<Self, InvalidArn> {
        let name = arn.strip_prefix("arn:").and_then(|rest| rest.split(':').next());
        let is_partition = |name: &&str| {
            let further = name.strip_prefix("aws").unwrap_or("?");
            let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            name.len() <= Self::LONGEST
                && (further.is_empty() || further.starts_with('-'))
                && further.bytes().all(allowed)
        };
        let name = name.filter(is_partition).ok_or_else(|| InvalidArn(shown(arn, 100)))?;
        Ok(Self::from_name(name))
    }

    /// As ARNs spell it.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).expect("it was made from letters")
    }

    /// A role's ARN. `role` may carry a path (`path/name`).
    pub fn role_arn(self, account: &AccountId, role: &str) -> String {
        format!("arn:{self}:iam::{account}:role/{}", role.trim_start_matches('/'))
    }

    /// A managed policy's ARN. `policy` may carry a path (`path/name`).
    pub fn policy_arn(self, account: &AccountId, policy: &str) -> String {
        format!("arn:{self}:iam::{account}:policy/{policy}")
    }

    /// A secret's ARN without the six characters that Secrets Manager adds to it, which it takes in place of a secret's name
    /// (Secrets Manager API reference, `GetSecretValue`, `SecretId`).
    pub fn secret_arn(self, region: &str, account: &AccountId, secret: &str) -> String {
        format!("arn:{self}:secretsmanager:{region}:{account}:secret:{secret}")
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Partition({self})")
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

    #[test]
    fn a_partition_is_read_off_an_arn_whatever_partitions_there_are() {
        for name in ["aws", "aws-us-gov", "aws-cn", "aws-eusc", "aws-iso", "aws-iso-b", "aws-iso-e"] {
            let partition = Partition::from_arn(&format!("arn:{name}:sts::123456789012:assumed-role/a/b")).unwrap();
            assert_eq!(partition.as_str(), name);
            let account = AccountId::new("123456789012").unwrap();
            assert_eq!(
                partition.role_arn(&account, "/path/role"),
                format!("arn:{name}:iam::123456789012:role/path/role")
            );
        }
        assert_eq!(Partition::from_arn("arn:aws:iam::1:root"), Ok(Partition::AWS));
    }

    #[test]
    fn what_is_no_arn_of_aws_has_no_partition() {
        for wrong in [
            "",
            "aws",
            "arn:",
            "arn::iam",
            "arn:azure:iam",
            "arn:awsome:iam",
            "arn:aws-A:iam",
            &format!("arn:aws-{}:iam", "x".repeat(30)),
        ] {
            assert!(Partition::from_arn(wrong).is_err(), "{wrong}");
        }
    }
}
