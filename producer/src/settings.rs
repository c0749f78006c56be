//! The producer's settings: what it shares with the worker, and how to list the organization.

use clap::Args;
use key_rotation_aws::settings::{DEFAULT_MEMBER_ROLE, Problems, QueueSettings, RoleSettings, given};
use key_rotation_aws::{MemberRole, QueueUrl, queue};
use rotation::AccountId;

/// The settings as they are written.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Settings")]
pub struct RawSettings {
    /// The queues.
    #[command(flatten)]
    pub queues: QueueSettings,

    /// Account whose role may list the organization: the management account, or a delegated administrator's.
    /// Goes with ORG_LIST_ROLE [default: list with the producer's own credentials]
    #[arg(long, env = "ORG_LIST_ACCOUNT", value_name = "ID", global = true)]
    pub org_list_account: Option<String>,

    /// Name of the role in ORG_LIST_ACCOUNT to assume for listing the organization
    #[arg(long, env = "ORG_LIST_ROLE", value_name = "NAME", global = true)]
    pub org_list_role: Option<String>,

    /// The role in every account.
    #[command(flatten)]
    pub role: RoleSettings,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub queue: QueueUrl,
    /// The dead-letter queue, where it is named and not read off the work queue.
    pub dead_letter_queue: Option<QueueUrl>,
    /// The queue for operators' requests, where there is one.
    pub urgent_queue: Option<QueueUrl>,
    /// The role to list the organization with.
    pub org_list: Option<OrgListRole>,
    pub member_role: MemberRole,
}

/// How to get into accounts: all that a command without a queue needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountAccess {
    /// The role to list the organization with.
    pub org_list: Option<OrgListRole>,
    /// The role in every account.
    pub member_role: MemberRole,
}

/// The role that may list the organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrgListRole {
    pub account: AccountId,
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

    /// A sentence for each queue whose URL names another region than this.
    pub fn queues_in_other_region(&self, region: &str) -> Vec<String> {
        queue::in_other_region(&self.queue, self.dead_letter_queue.as_ref(), self.urgent_queue.as_ref(), region)
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
        let queues = self.queues.check(&mut problems);
        let member_role = self.role.check(&mut problems);
        let org_list = self.org_list(&member_role, &mut problems);
        match queues.work {
            Some(queue) if problems.is_empty() => Ok(Settings {
                queue,
                dead_letter_queue: queues.dead_letters,
                urgent_queue: queues.urgent,
                org_list,
                member_role,
            }),
            Some(_) | None => Err(InvalidSettings(problems.into_sentences())),
        }
    }

    /// Checks those that a command without a queue needs; what is set of queues does not matter to it.
    ///
    /// # Errors
    /// [`InvalidSettings`] with every problem there is.
    pub fn check_access(&self) -> Result<AccountAccess, InvalidSettings> {
        let mut problems = Problems::default();
        let member_role = self.role.check(&mut problems);
        let org_list = self.org_list(&member_role, &mut problems);
        match problems.is_empty() {
            true => Ok(AccountAccess { org_list, member_role }),
            false => Err(InvalidSettings(problems.into_sentences())),
        }
    }

    fn org_list(&self, member_role: &MemberRole, problems: &mut Problems) -> Option<OrgListRole> {
        let account: Option<AccountId> = problems.parse("ORG_LIST_ACCOUNT", &self.org_list_account);
        match (given(&self.org_list_account), given(&self.org_list_role)) {
            (None, None) => None,
            (Some(_), None) => {
                problems.add("ORG_LIST_ROLE is not set, but ORG_LIST_ACCOUNT is: they go together");
                None
            }
            (None, Some(_)) => {
                problems.add("ORG_LIST_ACCOUNT is not set, but ORG_LIST_ROLE is: they go together");
                None
            }
            (Some(_), Some(name)) => {
                let role = problems.role("ORG_LIST_ROLE", name, member_role.external_id.clone());
                account.map(|account| OrgListRole { account, role })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(url: &str) -> QueueSettings {
        QueueSettings { queue_url: Some(url.to_owned()), ..QueueSettings::default() }
    }

    fn raw(url: &str) -> RawSettings {
        RawSettings { queues: queue(url), ..RawSettings::default() }
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
        let work = queue("https://sqs.eu-west-1.amazonaws.com/123456789012/work");
        let raw = RawSettings {
            queues: QueueSettings { urgent_queue_url: Some(String::new()), ..work },
            org_list_account: Some(" ".to_owned()),
            org_list_role: None,
            role: RoleSettings { iam_assumed_role_name: Some(String::new()), external_id: Some(String::new()) },
        };
        let settings = raw.check().unwrap();
        assert_eq!(settings, Settings::new(settings.queue.clone()));
    }

    #[test]
    fn all_problems_are_told_together_each_by_its_variable() {
        let raw = RawSettings {
            queues: QueueSettings {
                queue_url: None,
                dead_letter_queue_url: Some("ftp://x".to_owned()),
                urgent_queue_url: Some("nowhere".to_owned()),
            },
            org_list_account: Some("12345".to_owned()),
            org_list_role: Some("a b".to_owned()),
            role: RoleSettings { iam_assumed_role_name: Some("x".repeat(65)), external_id: Some("?".to_owned()) },
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
    fn a_command_without_a_queue_needs_none_and_minds_no_wrong_one() {
        let mut raw = raw("nowhere");
        assert_eq!(raw.check_access().unwrap().member_role.name, DEFAULT_MEMBER_ROLE);
        raw.role.iam_assumed_role_name = Some("a b".to_owned());
        assert_eq!(raw.check_access().unwrap_err().0.len(), 1);
    }

    #[test]
    fn a_fifo_queue_needs_a_fifo_dead_letter_queue() {
        let work = queue("https://sqs.eu-west-1.amazonaws.com/123456789012/work.fifo");
        let dead = "https://sqs.eu-west-1.amazonaws.com/123456789012/dead";
        let queues = QueueSettings { dead_letter_queue_url: Some(dead.to_owned()), ..work };
        let mixed = RawSettings { queues, ..RawSettings::default() };
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
