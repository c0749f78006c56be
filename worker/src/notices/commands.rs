//! The command lines an owner can copy: exact, and quoted for a shell.

use rotation::names::{self, Partition};
use rotation::{AccountId, UserName};

use super::item::SecretLocation;

/// Prints the secret's value, the JSON of the user's newest key.
pub fn fetch_secret(secret: &SecretLocation, own_account: &AccountId, partition: Partition) -> String {
    let id = match &secret.central_account {
        Some(central) if central != own_account => partition.secret_arn(&secret.region, central, &secret.name),
        Some(_) | None => secret.name.clone(),
    };
    Line::new("aws secretsmanager get-secret-value")
        .option("--secret-id", &id)
        .option("--region", &secret.region)
        .end("--query SecretString --output text")
}

/// The same for whichever user, whose name goes in the place of `USER` (a comma in it as a slash).
pub fn fetch_secret_of_any(secret: &SecretLocation, own_account: &AccountId, partition: Partition) -> String {
    let user = UserName::new("USER").expect("a user name");
    let of_any = SecretLocation { name: names::secret_name(own_account, &user), ..secret.clone() };
    fetch_secret(&of_any, own_account, partition)
}

/// Puts the new key into the credentials file of the AWS CLI, in the profile named after the user, and shows it to nobody: not to the
/// shell's history either. The CLI splits at commas, and knows no quotes. (AWS CLI version 2, `aws configure import`.)
pub fn install(fetch: &str) -> String {
    const TO_CSV: &str = r#"jq -r '"User name,Access key ID,Secret access key", "\(.UserName | gsub(","; "/")),\(.AccessKeyId),\(.SecretAccessKey)"'"#;
    format!("{fetch} | {TO_CSV} | aws configure import --csv file:///dev/stdin")
}

/// Says when, with which service and where a key was used last.
pub fn last_used(key: &str, region: &str) -> String {
    Line::new("aws iam get-access-key-last-used").option("--access-key-id", key).option("--region", region).end("")
}

/// Makes a disabled key work again.
pub fn reenable(user: &str, key: &str, region: &str) -> String {
    Line::new("aws iam update-access-key")
        .option("--user-name", user)
        .option("--access-key-id", key)
        .option("--region", region)
        .end("--status Active")
}

struct Line(String);

impl Line {
    fn new(start: &str) -> Self {
        Self(start.to_owned())
    }

    /// A value that begins with a hyphen is tied to its option by `=`, or it would be taken for an option itself.
    fn option(mut self, name: &str, value: &str) -> Self {
        let between = if value.starts_with('-') { '=' } else { ' ' };
        self.0.push_str(&format!(" {name}{between}{}", quoted(value)));
        self
    }

    fn end(mut self, rest: &str) -> String {
        if !rest.is_empty() {
            self.0.push(' ');
            self.0.push_str(rest);
        }
        self.0
    }
}

/// Quoted for a POSIX shell, where it needs to be.
fn quoted(value: &str) -> String {
    // `=` is left out: a word that begins with it is a path look-up in zsh.
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.:/@,+-".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        value.to_owned()
    } else {
        format!("'{}'", value.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> AccountId {
        AccountId::new("123456789012").unwrap()
    }

    fn secret(user: &str, central: Option<&str>) -> SecretLocation {
        SecretLocation {
            name: names::secret_name(&account(), &UserName::new(user).unwrap()),
            central_account: central.map(|id| AccountId::new(id).unwrap()),
            region: "eu-west-1".to_owned(),
        }
    }

    #[test]
    fn the_secret_of_the_users_own_account_is_asked_for_by_name() {
        assert_eq!(
            fetch_secret(&secret("deploy", None), &account(), Partition::AWS),
            "aws secretsmanager get-secret-value --secret-id Account_123456789012_User_deploy_AccessKey \
             --region eu-west-1 --query SecretString --output text"
        );
    }

    #[test]
    fn a_central_secret_is_asked_for_by_arn_in_the_regions_partition() {
        let line = fetch_secret(
            &secret("a,b", Some("210987654321")),
            &account(),
            Partition::from_arn("arn:aws-cn:iam::123456789012:root").unwrap(),
        );
        assert!(
            line.contains(
                "arn:aws-cn:secretsmanager:eu-west-1:210987654321:secret:Account_123456789012_User_a/b_AccessKey"
            ),
            "{line}"
        );
    }

    #[test]
    fn a_key_is_installed_without_being_shown() {
        let line = install(&fetch_secret(&secret("deploy", None), &account(), Partition::AWS));
        assert!(line.starts_with(
            "aws secretsmanager get-secret-value --secret-id Account_123456789012_User_deploy_AccessKey "
        ));
        assert!(line.ends_with(r#" | aws configure import --csv file:///dev/stdin"#), "{line}");
        assert!(line.contains(r#""\(.UserName | gsub(","; "/")),\(.AccessKeyId),\(.SecretAccessKey)"'"#), "{line}");
    }

    #[test]
    fn names_are_quoted_so_that_a_shell_sees_one_word() {
        assert_eq!(quoted("deploy@example.com"), "deploy@example.com");
        assert_eq!(quoted("=ls"), "'=ls'");
        assert_eq!(quoted("a'; rm -rf ~ #"), r"'a'\''; rm -rf ~ #'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn a_user_whose_name_begins_with_a_hyphen_is_not_taken_for_an_option() {
        let line = reenable("-x", "AKIAIOSFODNN7EXAMPLE", "eu-west-1");
        assert!(line.contains("--user-name=-x "), "{line}");
    }
}
