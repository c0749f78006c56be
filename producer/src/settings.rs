//! The producer's settings: each a flag and an environment variable, the flag winning.
//!
//! They come in as text and are checked here, in one place, so that everything that is wrong is told at once, by the
//! variable's name. A variable that is set but empty counts as not set: deployment templates write those.

use std::fmt::Display;
use std::str::FromStr;

use clap::Args;
use key_rotation_aws::{MemberRole, QueueUrl};
use rotation::AccountId;

/// The settings as they are written.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Settings")]
pub struct RawSettings {
    /// URL of the work queue. It is FIFO if its name ends in .fifo; both kinds work
    #[arg(long, env = "QUEUE_URL", value_name = "URL", global = true)]
    pub queue_url: Option<String>,

    /// URL of the dead-letter queue [default: as the work queue's redrive policy says]
    #[arg(long, env = "DEAD_LETTER_QUEUE_URL", value_name = "URL", global = true)]
    pub dead_letter_queue_url: Option<String>,

    /// URL of the queue for operators' requests, which workers serve first [default: none, they go to the work queue]
    #[arg(long, env = "URGENT_QUEUE_URL", value_name = "URL", global = true)]
    pub urgent_queue_url: Option<String>,

    /// Account whose role may list the organization: the management account, or a delegated administrator's.
    /// Goes with ORG_LIST_ROLE [default: list with the own credentials]
    #[arg(long, env = "ORG_LIST_ACCOUNT", value_name = "ID", global = true)]
    pub org_list_account: Option<String>,

    /// Name of the role in ORG_LIST_ACCOUNT to assume for listing the organization
    #[arg(long, env = "ORG_LIST_ROLE", value_name = "NAME", global = true)]
    pub org_list_role: Option<String>,

    /// Name of the role to assume in each account, with its path if it has one
    /// [default: asa-iam-key-rotation-lambda-assumed-role]
    #[arg(long, env = "IAM_ASSUMED_ROLE_NAME", value_name = "NAME", global = true)]
    pub iam_assumed_role_name: Option<String>,

    /// External id to give when assuming a role
    #[arg(long, env = "EXTERNAL_ID", value_name = "ID", global = true, hide_env_values = true)]
    pub external_id: Option<String>,
}

/// The role's name where none is set: that of the tool this one takes over from.
pub const DEFAULT_MEMBER_ROLE: &str = "asa-iam-key-rotation-lambda-assumed-role";

/// The settings, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The work queue.
    pub queue: QueueUrl,
    /// The dead-letter queue, where it is named and not read off the work queue.
    pub dead_letter_queue: Option<QueueUrl>,
    /// The fast lane for operators' requests.
    pub urgent_queue: Option<QueueUrl>,
    /// The role to list the organization with.
    pub org_list: Option<OrgListRole>,
    /// The role in every account.
    pub member_role: MemberRole,
}

/// The role that may list the organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrgListRole {
    /// The account it is in.
    pub account: AccountId,
    /// The role.
    pub role: MemberRole,
}

/// Everything that is wrong with the settings, a sentence each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct InvalidSettings(pub Vec<String>);

impl Settings {
    /// Settings with nothing but a queue, everything else as it is by default.
    pub fn new(queue: QueueUrl) -> Self {
        Self {
            queue,
            dead_letter_queue: None,
            urgent_queue: None,
            org_list: None,
            member_role: MemberRole { name: DEFAULT_MEMBER_ROLE.to_owned(), external_id: None },
        }
    }

    /// The queue an operator's request goes to.
    pub fn operators_queue(&self) -> &QueueUrl {
        self.urgent_queue.as_ref().unwrap_or(&self.queue)
    }
}

impl RawSettings {
    /// Checks them all.
    ///
    /// # Errors
    /// [`InvalidSettings`] with every problem there is.
    pub fn check(&self) -> Result<Settings, InvalidSettings> {
        let mut problems = Problems::default();
        let queue: Option<QueueUrl> = problems.parse("QUEUE_URL", &self.queue_url);
        if given(&self.queue_url).is_none() {
            problems.add("QUEUE_URL (--queue-url) is not set: it must be the URL of the work queue");
        }
        let dead_letter_queue: Option<QueueUrl> = problems.parse("DEAD_LETTER_QUEUE_URL", &self.dead_letter_queue_url);
        let urgent_queue: Option<QueueUrl> = problems.parse("URGENT_QUEUE_URL", &self.urgent_queue_url);
        problems.queues_fit(queue.as_ref(), dead_letter_queue.as_ref(), urgent_queue.as_ref());
        let external_id = given(&self.external_id).map(str::to_owned);
        if external_id.as_deref().is_some_and(|id| !is_external_id(id)) {
            // Not repeated: some treat it as a secret, although AWS does not.
            problems.add("EXTERNAL_ID is wrong: it must be 2 to 1224 letters, digits or any of +=,.@:/_-");
        }
        let member = given(&self.iam_assumed_role_name).unwrap_or(DEFAULT_MEMBER_ROLE);
        let member_role = problems.role("IAM_ASSUMED_ROLE_NAME", member, external_id.clone());
        let org_list = problems.org_list(self, external_id);
        match queue {
            Some(queue) if problems.0.is_empty() => {
                Ok(Settings { queue, dead_letter_queue, urgent_queue, org_list, member_role })
            }
            Some(_) | None => Err(InvalidSettings(problems.0)),
        }
    }
}

#[derive(Default)]
struct Problems(Vec<String>);

impl Problems {
    fn add(&mut self, problem: impl Into<String>) {
        self.0.push(problem.into());
    }

    fn parse<T>(&mut self, variable: &str, text: &Option<String>) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        match given(text)?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.add(format!("{variable} is wrong: {error}"));
                None
            }
        }
    }

    /// SQS developer guide: "The dead-letter queue of a FIFO queue must also be a FIFO queue", and so for standard ones.
    fn queues_fit(&mut self, queue: Option<&QueueUrl>, dead_letters: Option<&QueueUrl>, urgent: Option<&QueueUrl>) {
        let Some(queue) = queue else { return };
        if dead_letters.is_some_and(|dead_letters| dead_letters.is_fifo() != queue.is_fifo()) {
            self.add(
                "DEAD_LETTER_QUEUE_URL is wrong: the dead-letter queue must be FIFO (.fifo) where QUEUE_URL is, and standard where it is not",
            );
        }
        if dead_letters == Some(queue) {
            self.add("DEAD_LETTER_QUEUE_URL is wrong: it is the work queue's own URL");
        }
        if urgent == Some(queue) {
            self.add("URGENT_QUEUE_URL is wrong: it is the work queue's own URL; leave it out to have one queue");
        }
    }

    fn role(&mut self, variable: &str, name: &str, external_id: Option<String>) -> MemberRole {
        if !is_role_name(name) {
            self.add(format!(
                "{variable} is wrong: \"{name}\" is not the name of an IAM role: it must be letters, digits or any of +=,.@_-, at most 64, after a path or none"
            ));
        }
        MemberRole { name: name.to_owned(), external_id }
    }

    fn org_list(&mut self, raw: &RawSettings, external_id: Option<String>) -> Option<OrgListRole> {
        let account: Option<AccountId> = self.parse("ORG_LIST_ACCOUNT", &raw.org_list_account);
        match (given(&raw.org_list_account), given(&raw.org_list_role)) {
            (None, None) => None,
            (Some(_), None) => {
                self.add("ORG_LIST_ROLE is not set, but ORG_LIST_ACCOUNT is: they go together");
                None
            }
            (None, Some(_)) => {
                self.add("ORG_LIST_ACCOUNT is not set, but ORG_LIST_ROLE is: they go together");
                None
            }
            (Some(_), Some(name)) => {
                let role = self.role("ORG_LIST_ROLE", name, external_id);
                account.map(|account| OrgListRole { account, role })
            }
        }
    }
}

fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref().map(str::trim).filter(|text| !text.is_empty())
}

/// IAM API reference, `CreateRole`: `RoleName` `[\w+=,.@-]+` up to 64; a path before it ends in a slash.
fn is_role_name(text: &str) -> bool {
    let (path, name) = text.rsplit_once('/').unwrap_or(("", text));
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b);
    (1..=64).contains(&name.len()) && name.bytes().all(allowed) && path.bytes().all(|b| b.is_ascii_graphic())
}

/// STS API reference, `AssumeRole`: `ExternalId` `[\w+=,.@:\/-]*`, 2 to 1224.
fn is_external_id(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@:/_-".contains(&b);
    (2..=1224).contains(&text.len()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(queue: &str) -> RawSettings {
        RawSettings { queue_url: Some(queue.to_owned()), ..RawSettings::default() }
    }

    fn problems(raw: &RawSettings) -> Vec<String> {
        raw.check().unwrap_err().0
    }

    #[test]
    fn a_queue_is_all_that_has_to_be_set() {
        let settings = raw("https://sqs.eu-west-1.amazonaws.com/123456789012/work.fifo").check().unwrap();
        assert_eq!(settings.member_role.name, DEFAULT_MEMBER_ROLE);
        assert_eq!(settings.operators_queue(), &settings.queue);
    }

    #[test]
    fn a_variable_that_is_set_but_empty_counts_as_not_set() {
        let raw = RawSettings {
            urgent_queue_url: Some(String::new()),
            org_list_account: Some(" ".to_owned()),
            iam_assumed_role_name: Some(String::new()),
            external_id: Some(String::new()),
            ..raw("https://sqs.eu-west-1.amazonaws.com/123456789012/work")
        };
        let settings = raw.check().unwrap();
        assert_eq!(settings, Settings::new(settings.queue.clone()));
    }

    #[test]
    fn all_problems_are_told_together_each_by_its_variable() {
        let raw = RawSettings {
            queue_url: None,
            dead_letter_queue_url: Some("ftp://x".to_owned()),
            urgent_queue_url: Some("nowhere".to_owned()),
            org_list_account: Some("12345".to_owned()),
            org_list_role: Some("a b".to_owned()),
            iam_assumed_role_name: Some("x".repeat(65)),
            external_id: Some("?".to_owned()),
        };
        let problems = problems(&raw);
        for variable in [
            "QUEUE_URL (",
            "DEAD_LETTER_QUEUE_URL",
            "URGENT_QUEUE_URL",
            "ORG_LIST_ACCOUNT",
            "ORG_LIST_ROLE",
            "IAM_ASSUMED_ROLE_NAME",
            "EXTERNAL_ID",
        ] {
            assert_eq!(problems.iter().filter(|p| p.starts_with(variable)).count(), 1, "{variable}: {problems:#?}");
        }
    }

    #[test]
    fn a_fifo_queue_needs_a_fifo_dead_letter_queue() {
        let queue = "https://sqs.eu-west-1.amazonaws.com/123456789012/work.fifo";
        let dead = "https://sqs.eu-west-1.amazonaws.com/123456789012/dead";
        let mixed = RawSettings { dead_letter_queue_url: Some(dead.to_owned()), ..raw(queue) };
        assert!(problems(&mixed)[0].starts_with("DEAD_LETTER_QUEUE_URL"));
    }

    #[test]
    fn the_account_and_the_role_to_list_with_go_together() {
        let mut raw = raw("https://sqs.eu-west-1.amazonaws.com/123456789012/work");
        raw.org_list_role = Some("lister".to_owned());
        assert!(problems(&raw)[0].starts_with("ORG_LIST_ACCOUNT"));
        raw.org_list_account = Some("123456789012".to_owned());
        assert_eq!(raw.check().unwrap().org_list.unwrap().account.as_str(), "123456789012");
        raw.org_list_role = None;
        assert!(problems(&raw)[0].starts_with("ORG_LIST_ROLE"));
    }
}
