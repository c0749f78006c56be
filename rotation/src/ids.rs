//! The three names everything hangs on: account, user, access key. Each is checked once, where it enters.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A malformed name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// Not an account id.
    #[error("\"{0}\" is not an AWS account id: it must be exactly 12 digits")]
    Account(String),
    /// Not an IAM user name.
    #[error("\"{0}\" is not an IAM user name: it must be 1 to 64 letters, digits or any of +=,.@_-")]
    User(String),
    /// Not an access key id.
    #[error(
        "\"{0}\" is not an access key id: it must be 16 to 128 letters, digits or underscores, as in AKIAIOSFODNN7EXAMPLE"
    )]
    AccessKey(String),
}

macro_rules! checked_name {
    ($(#[$doc:meta])* $name:ident, $error:ident, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Checks and takes the name.
            ///
            /// # Errors
            /// [`InvalidId`] with a sentence that says what such a name looks like.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidId> {
                let text = text.into();
                let valid: fn(&str) -> bool = $valid;
                if valid(&text) { Ok(Self(text)) } else { Err(InvalidId::$error(shown(&text, 64))) }
            }

            /// The name as AWS spells it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

checked_name!(
    /// A 12-digit AWS account id.
    AccountId,
    Account,
    |text| text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
);

checked_name!(
    /// An IAM user's name, without its path. (IAM API reference, `CreateUser`: `[\w+=,.@-]+`, 1 to 64.)
    UserName,
    User,
    |text| (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b))
);

checked_name!(
    /// An access key's id: not a secret, safe to log. (IAM API reference, `AccessKey`: `[\w]+`, 16 to 128.)
    AccessKeyId,
    AccessKey,
    |text| (16..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
);

impl AccessKeyId {
    /// Whether it is one of temporary credentials, which STS gives out. (IAM user guide, "IAM identifiers", the prefixes of unique
    /// ids: `ASIA`.)
    pub fn is_temporary(&self) -> bool {
        self.as_str().starts_with("ASIA")
    }
}

/// What an error repeats of bad input: at most so many characters, on one line.
pub(crate) fn shown(text: &str, at_most: usize) -> String {
    let mut chars = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c });
    let mut shown: String = chars.by_ref().take(at_most).collect();
    if chars.next().is_some() {
        shown.push('…');
    }
    shown
}
