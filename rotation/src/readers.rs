//! Who besides the user may read its secret: roles, as an administrator names them, and as the user's tag does from a list that the
//! administrator allows.
//!
//! A reader is matched by `ArnLike` with `aws:PrincipalArn`: the wildcards are IAM's, and stay within the part of the ARN that they
//! stand in. (IAM User Guide, "Condition operators".)

use crate::ids::{AccountId, UserName};

/// What stands for the account of the secret's user.
const ACCOUNT: &str = "{account}";
/// What stands for the user's name.
const USER: &str = "{user}";
/// A role's ARN is no longer. (IAM and AWS STS quotas: path 512, name 64.)
const LONGEST: usize = 640;

/// A role, or all that fit a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderPattern(String);

/// Why a text is no reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReader {
    #[error("it is not the ARN of a role, as in arn:aws:iam::{{account}}:role/key-readers")]
    NotARole,
    #[error(
        "its account must be {{account}}, which stands for the user's, or twelve digits: a wildcard would let in other accounts"
    )]
    Account,
    #[error("after role/ it must begin with a fixed text: a wildcard there would let in roles that anybody makes")]
    NoFixedStart,
    #[error("a wildcard cannot stand beside {{user}}: the name of one user may begin with another's")]
    WildcardBesideUser,
    #[error(
        "a role's path and name have letters, digits and +=,.@_-/ only, with * and ? as wildcards and {{account}} and {{user}} as placeholders"
    )]
    Characters,
}

impl ReaderPattern {
    /// Reads one.
    ///
    /// # Errors
    /// [`InvalidReader`] where the text is not a role's ARN, or a pattern that would let in more than it seems to.
    pub fn new(text: &str) -> Result<Self, InvalidReader> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let &["arn", partition, "iam", "", account, resource] = parts.as_slice() else {
            return Err(InvalidReader::NotARole);
        };
        let role = resource.strip_prefix("role/").filter(|role| !role.is_empty() && text.len() <= LONGEST);
        let role = role.ok_or(InvalidReader::NotARole)?;
        if partition.is_empty() || partition.contains(['*', '?', '{']) {
            return Err(InvalidReader::NotARole);
        }
        if account != ACCOUNT && AccountId::new(account).is_err() {
            return Err(InvalidReader::Account);
        }
        if role.starts_with(['*', '?']) {
            return Err(InvalidReader::NoFixedStart);
        }
        if role.contains(USER) && is_pattern(role) {
            return Err(InvalidReader::WildcardBesideUser);
        }
        let fixed = role.replace(ACCOUNT, "").replace(USER, "");
        if !fixed.chars().all(|c| c.is_ascii_alphanumeric() || "+=,.@_-/*?".contains(c)) {
            return Err(InvalidReader::Characters);
        }
        Ok(Self(text.to_owned()))
    }

    /// The partition, as ARNs spell it.
    pub fn partition(&self) -> &str {
        self.0.split(':').nth(1).unwrap_or_default()
    }

    /// Whether the role is always in the account of the secret's user.
    pub fn is_in_users_account(&self) -> bool {
        self.0.split(':').nth(4) == Some(ACCOUNT)
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// For one user, as IAM takes it.
    pub fn of_user(&self, account: &AccountId, user: &UserName) -> String {
        self.0.replace(ACCOUNT, account.as_str()).replace(USER, user.as_str())
    }
}

/// Who may read secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readers {
    /// Every user's.
    pub always: Vec<ReaderPattern>,
    /// Those of users whose tag names them.
    pub allowed: Vec<ReaderPattern>,
}

/// Who may read the secret of one user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserReaders {
    /// ARNs and patterns, as IAM takes them.
    pub patterns: Vec<String>,
    /// What the user's tag names and nobody allows.
    pub refused: Vec<String>,
}

impl Readers {
    /// Of one user. `asked`: the value of its tag, ARNs of roles separated by spaces.
    pub fn of_user(&self, account: &AccountId, user: &UserName, asked: Option<&str>) -> UserReaders {
        let patterns = self.always.iter().map(|reader| reader.of_user(account, user)).collect();
        let mut readers = UserReaders { patterns, refused: Vec::new() };
        for arn in asked.unwrap_or_default().split_whitespace() {
            // Whoever may tag the user can name roles of the list, and no patterns.
            let is_role = ReaderPattern::new(arn).is_ok() && !is_pattern(arn) && !arn.contains('{');
            let allows = |pattern: &ReaderPattern| is_like(&pattern.of_user(account, user), arn);
            let is_allowed = is_role && self.allowed.iter().any(allows);
            let list = if is_allowed { &mut readers.patterns } else { &mut readers.refused };
            if !list.iter().any(|known| known == arn) {
                list.push(arn.to_owned());
            }
        }
        readers
    }
}

/// Whether a text holds wildcards.
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// `ArnLike`: "Each of the six colon-delimited components of the ARN is checked separately".
fn is_like(pattern: &str, arn: &str) -> bool {
    let (patterns, parts): (Vec<&str>, Vec<&str>) = (pattern.splitn(6, ':').collect(), arn.splitn(6, ':').collect());
    patterns.len() == parts.len()
        && patterns.iter().zip(parts).all(|(pattern, part)| matches(pattern.as_bytes(), part.as_bytes()))
}

/// Whether a text fits a pattern with wildcards. Back to the last `*` only, so that no pattern takes long.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut next, mut retry) = (0, 0, None);
    while next < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                retry = Some((at, next));
                at += 1;
            }
            Some(wanted) if *wanted == b'?' || *wanted == text[next] => (at, next) = (at + 1, next + 1),
            Some(_) | None => {
                let Some((star, from)) = retry else { return false };
                retry = Some((star, from + 1));
                (at, next) = (star + 1, from + 1);
            }
        }
    }
    pattern[at..].iter().all(|rest| *rest == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> AccountId {
        AccountId::new("111122223333").expect("an account id")
    }

    fn user(name: &str) -> UserName {
        UserName::new(name).expect("a user name")
    }

    fn patterns(texts: &[&str]) -> Vec<ReaderPattern> {
        texts.iter().map(|text| ReaderPattern::new(text).unwrap_or_else(|error| panic!("{text}: {error}"))).collect()
    }

    #[test]
    fn a_text_fits_a_pattern_as_in_iam() {
        for (pattern, text, fits) in [
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*c*", "abcbcd", true),
            ("a*c", "abcd", false),
            ("a?c", "ac", false),
            ("a?c", "abc", true),
            ("", "", true),
            ("*", "", true),
            ("a", "", false),
            ("", "a", false),
            ("A", "a", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), fits, "{pattern} {text}");
        }
        assert!(!is_like("arn:aws:iam::1*:role/a", "arn:aws:iam::1:role/x:role/a"), "a wildcard stays in its part");
    }

    #[test]
    fn roles_are_named_with_the_users_account_and_name_and_with_wildcards_where_they_stay_in_their_place() {
        const SSO: &str = "role/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_KeyOps_????????????????";
        let (sso, of_user) = (format!("arn:aws:iam::{{account}}:{SSO}"), format!("arn:aws:iam::111122223333:{SSO}"));
        for (written, of_user) in [
            ("arn:aws:iam::{account}:role/key-readers", "arn:aws:iam::111122223333:role/key-readers"),
            ("arn:aws:iam::{account}:role/ci/reader-{user}", "arn:aws:iam::111122223333:role/ci/reader-a,b+c"),
            ("arn:aws-cn:iam::444455556666:role/vault-*", "arn:aws-cn:iam::444455556666:role/vault-*"),
            (sso.as_str(), of_user.as_str()),
        ] {
            assert_eq!(patterns(&[written])[0].of_user(&account(), &user("a,b+c")), of_user);
        }
    }

    #[test]
    fn what_would_let_in_more_than_it_seems_to_is_refused() {
        for (text, why) in [
            ("", InvalidReader::NotARole),
            ("key-readers", InvalidReader::NotARole),
            ("*", InvalidReader::NotARole),
            ("arn:aws:iam::{account}:user/ada", InvalidReader::NotARole),
            ("arn:aws:iam::{account}:root", InvalidReader::NotARole),
            ("arn:aws:iam::{account}:role/", InvalidReader::NotARole),
            ("arn:aws:sts::{account}:assumed-role/a/b", InvalidReader::NotARole),
            ("arn:*:iam::{account}:role/a", InvalidReader::NotARole),
            ("arn:aws:iam::*:role/key-readers", InvalidReader::Account),
            ("arn:aws:iam::11112222333?:role/key-readers", InvalidReader::Account),
            ("arn:aws:iam::{user}:role/key-readers", InvalidReader::Account),
            ("arn:aws:iam::{account}:role/*", InvalidReader::NoFixedStart),
            ("arn:aws:iam::{account}:role/*-readers", InvalidReader::NoFixedStart),
            ("arn:aws:iam::{account}:role/reader-{user}*", InvalidReader::WildcardBesideUser),
            ("arn:aws:iam::{account}:role/a-?-{user}", InvalidReader::WildcardBesideUser),
            ("arn:aws:iam::{account}:role/${aws:username}", InvalidReader::Characters),
            ("arn:aws:iam::{account}:role/a b", InvalidReader::Characters),
        ] {
            assert_eq!(ReaderPattern::new(text), Err(why), "{text}");
        }
        assert!(ReaderPattern::new("arn:aws:iam::{account}:role/é").is_err());
    }

    #[test]
    fn a_tag_names_roles_of_the_allowed_list_and_nobody_else() {
        let readers = Readers {
            always: patterns(&["arn:aws:iam::{account}:role/break-glass"]),
            allowed: patterns(&["arn:aws:iam::{account}:role/ci/*", "arn:aws:iam::444455556666:role/deploy-{user}"]),
        };
        let of = |asked: Option<&str>| readers.of_user(&account(), &user("ada"), asked);
        assert_eq!(of(None).patterns, ["arn:aws:iam::111122223333:role/break-glass"]);
        let allowed = ["arn:aws:iam::111122223333:role/ci/build", "arn:aws:iam::444455556666:role/deploy-ada"];
        assert_eq!(of(Some(&allowed.join(" "))).patterns[1..], allowed);
        for other in [
            "arn:aws:iam::111122223333:role/mine",
            "arn:aws:iam::999999999999:role/ci/build",
            "arn:aws:iam::111122223333:role/ci/*",
            "arn:aws:iam::{account}:role/ci/build",
            "arn:aws:iam::444455556666:role/deploy-eve",
            "arn:aws:iam::111122223333:user/ci/build",
            "*",
        ] {
            let asked = format!("{other}  {other}");
            assert_eq!(of(Some(&asked)), UserReaders { refused: vec![other.to_owned()], ..of(None) }, "{other}");
        }
    }
}
