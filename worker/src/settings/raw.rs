//! The worker's settings as people write them: flags, or variables of the environment.

use std::path::PathBuf;

use clap::{ArgAction, Args};
use jiff::Timestamp;
use key_rotation_aws::settings::{
    LogSettings, QueueSettings, RoleSettings, UnusedKeysOption, boolean, days, exemption_group, given, time_or_date,
    whole,
};
use rotation::names::DEFAULT_EXEMPTION_GROUP;

use crate::notices::{AuditMails, MailSettings};
use crate::queue::limits::{AT_ONCE, MESSAGE_TIMEOUT_SECONDS, RETRY_DELAY_SECONDS, VISIBILITY_SECONDS, WAIT_SECONDS};

/// A year.
const LONGEST_FULL_SCAN_DAYS: u64 = 365;

/// The worker's settings as they are written.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Settings")]
pub struct RawSettings {
    #[command(flatten)]
    pub(super) queues: QueueSettings,
    #[command(flatten)]
    pub(super) role: RoleSettings,
    #[command(flatten)]
    pub log: LogSettings,
    /// Audit mode: tell what would be done, change nothing. Set to false to enforce
    #[arg(
        long, env = "DRY_RUN", value_name = "BOOL", default_value = "true",
        num_args = 0..=1, require_equals = true, default_missing_value = "true", action = ArgAction::Set,
        value_parser = boolean, global = true
    )]
    pub(super) dry_run: bool,
    /// IAM group whose members are left alone
    #[arg(
        long,
        env = "IAM_EXEMPTION_GROUP",
        value_name = "GROUP",
        default_value = DEFAULT_EXEMPTION_GROUP,
        value_parser = exemption_group,
        global = true
    )]
    pub(super) iam_exemption_group: String,
    /// EventBridge bus, by name or ARN, that gets every event [default: none, events go to the log only]
    #[arg(long, env = "EVENT_BUS_NAME", value_name = "BUS", global = true)]
    pub(super) event_bus_name: Option<String>,
    /// Exit once the queue has stayed empty
    #[arg(long)]
    pub(super) drain: bool,
    /// Audit mode and previews only: evaluate as if it were this time (RFC 3339, or a date for its first moment in UTC)
    #[arg(long, value_name = "TIME", value_parser = time_or_date, global = true)]
    pub(super) as_of: Option<Timestamp>,
    #[command(flatten)]
    pub(super) periods: PeriodSettings,
    #[command(flatten)]
    pub(super) secrets: SecretSettings,
    #[command(flatten)]
    pub(super) mail: RawMailSettings,
    #[command(flatten)]
    pub(super) limits: LimitSettings,
}

/// When what happens to a key.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Periods")]
pub(super) struct PeriodSettings {
    /// Days after which an active key gets a successor
    #[arg(long, env = "ROTATION_PERIOD", value_name = "DAYS", default_value_t = 90, value_parser = days, global = true)]
    pub(super) rotation_period: u32,
    /// Days after which the replaced key is disabled. The difference to the rotation period is the owner's time to install
    /// the new key
    #[arg(long, env = "INACTIVE_PERIOD", value_name = "DAYS", default_value_t = 100, value_parser = days, global = true)]
    pub(super) inactive_period: u32,
    /// Least days between disabled and deleted
    #[arg(long, env = "RECOVERY_GRACE_PERIOD", value_name = "DAYS", default_value_t = 10, value_parser = days, global = true)]
    pub(super) recovery_grace_period: u32,
    /// Days ahead that owners are warned
    #[arg(long, env = "PENDING_ACTION_WARN_PERIOD", value_name = "DAYS", default_value_t = 7, value_parser = days, global = true)]
    pub(super) pending_action_warn_period: u32,
    /// Days at most that a disable is put off while the old key is in use and its successor is not
    #[arg(long, env = "IN_USE_EXTENSION", value_name = "DAYS", default_value_t = 0, value_parser = days, global = true)]
    pub(super) in_use_extension: u32,
    /// What becomes of keys that were never used
    #[arg(long, env = "UNUSED_KEYS", value_enum, value_name = "WHAT", default_value = "rotate", global = true)]
    pub(super) unused_keys: UnusedKeysOption,
}

/// Where secrets are stored, and who may read them.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Secrets")]
pub(super) struct SecretSettings {
    /// Store secrets in the worker's own account instead of each user's
    #[arg(
        long, env = "STORE_SECRETS_IN_CENTRAL_ACCOUNT", value_name = "BOOL", default_value = "false",
        num_args = 0..=1, require_equals = true, default_missing_value = "true", action = ArgAction::Set,
        value_parser = boolean, global = true
    )]
    pub(super) store_secrets_in_central_account: bool,
    /// KMS key for secrets [default: AWS's own; required with the central store, whose readers are in other accounts]
    #[arg(long, env = "SECRET_KMS_KEY_ID", value_name = "KEY", global = true)]
    pub(super) secret_kms_key_id: Option<String>,
    /// Customer-managed policy, by name, that is attached to users with a centrally stored secret so that they can read it
    /// [default: none, and each user needs an identity policy of yours]
    #[arg(long, env = "CENTRAL_SECRET_READ_POLICY", value_name = "NAME", global = true)]
    pub(super) central_secret_read_policy: Option<String>,
    /// Further regions to replicate secrets to, separated by commas
    #[arg(long, env = "CREDENTIAL_REPLICATION_REGIONS", value_name = "REGIONS", value_delimiter = ',', global = true)]
    pub(super) credential_replication_regions: Vec<String>,
    /// Roles that may read the secrets besides their users: ARNs, with {account} and {user} for the user's and * where a part
    /// varies, separated by commas
    #[arg(long, env = "SECRET_READERS", value_name = "ARNS", value_delimiter = ',', global = true)]
    pub(super) secret_readers: Vec<String>,
    /// Roles that a user's tag key-rotation:readers may name as readers of its secret; written like SECRET_READERS
    #[arg(long, env = "SECRET_READERS_ALLOWED", value_name = "ARNS", value_delimiter = ',', global = true)]
    pub(super) secret_readers_allowed: Vec<String>,
}

/// Who is mailed, and how.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Mail")]
pub(super) struct RawMailSettings {
    /// Key of the user tag that holds the owner's mail address [default: none, only the account's address is told]
    #[arg(long, env = "RESOURCE_OWNER_TAG", value_name = "KEY", global = true)]
    pub(super) resource_owner_tag: Option<String>,
    /// Verified sender of mails [default: none, notices go to the log and count as given]
    #[arg(long, env = "SENDER_EMAIL", value_name = "ADDRESS", global = true)]
    pub(super) sender_email: Option<String>,
    /// Where replies go [default: to the sender]
    #[arg(long, env = "REPLY_TO_EMAIL", value_name = "ADDRESSES", value_delimiter = ',', global = true)]
    pub(super) reply_to_email: Vec<String>,
    /// Gets one summary per account that had failures or findings [default: nobody]
    #[arg(long, env = "ADMIN_SUMMARY_EMAIL", value_name = "ADDRESS", global = true)]
    pub(super) admin_summary_email: Option<String>,
    /// Who is mailed in audit mode
    #[arg(long, env = "AUDIT_MAILS", value_enum, value_name = "WHO", default_value = "owners", global = true)]
    pub(super) audit_mails: AuditMails,
    /// Days between two scheduled runs. Audit mode leaves no record of its reminders: whatever would have fallen due in between
    /// is mailed
    #[arg(long, env = "AUDIT_RUN_INTERVAL", value_name = "DAYS", default_value_t = 1, value_parser = whole::<u32>("days", 1..=LONGEST_FULL_SCAN_DAYS), global = true)]
    pub(super) audit_run_interval: u32,
    /// SES configuration set
    #[arg(long, env = "SES_CONFIGURATION_SET", value_name = "NAME", global = true)]
    pub(super) ses_configuration_set: Option<String>,
    /// Directory with mail templates [default: the built-in ones]
    #[arg(long, env = "EMAIL_TEMPLATE_DIR", value_name = "DIR", global = true)]
    pub(super) email_template_dir: Option<String>,
}

/// How much at once, how long, how often.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits")]
pub(super) struct LimitSettings {
    /// Messages worked on at once
    #[arg(long, env = "MAX_CONCURRENT_MESSAGES", value_name = "N", default_value_t = 16, value_parser = whole::<usize>("messages", AT_ONCE), global = true)]
    pub(super) max_concurrent_messages: usize,
    /// Messages of the urgent queue worked on at once, besides those
    #[arg(long, env = "MAX_CONCURRENT_URGENT_MESSAGES", value_name = "N", default_value_t = 4, value_parser = whole::<usize>("messages", AT_ONCE), global = true)]
    pub(super) max_concurrent_urgent_messages: usize,
    /// Users of one account worked on at once at most: four to begin with, more while AWS does not throttle the account
    #[arg(long, env = "MAX_CONCURRENT_USERS", value_name = "N", default_value_t = 16, value_parser = whole::<usize>("users", AT_ONCE), global = true)]
    pub(super) max_concurrent_users: usize,
    /// Days within which every user is looked at, whatever its account's credential report says; 1: on every run, without the
    /// report
    #[arg(long, env = "FULL_SCAN_DAYS", value_name = "DAYS", default_value_t = 14, value_parser = whole::<u32>("days", 1..=LONGEST_FULL_SCAN_DAYS), global = true)]
    pub(super) full_scan_days: u32,
    /// Seconds a received message is invisible to others; renewed while it is worked on
    #[arg(long, env = "VISIBILITY_TIMEOUT", value_name = "SECONDS", default_value_t = 120, value_parser = whole::<u64>("seconds", VISIBILITY_SECONDS), global = true)]
    pub(super) visibility_timeout: u64,
    /// Seconds after which work on a message is given up, to be tried again
    #[arg(long, env = "MESSAGE_TIMEOUT", value_name = "SECONDS", default_value_t = 3600, value_parser = whole::<u64>("seconds", MESSAGE_TIMEOUT_SECONDS), global = true)]
    pub(super) message_timeout: u64,
    /// Seconds before a failed message is tried again, at most; doubled each further time
    #[arg(long, env = "RETRY_DELAY", value_name = "SECONDS", default_value_t = 15, value_parser = whole::<u64>("seconds", RETRY_DELAY_SECONDS), global = true)]
    pub(super) retry_delay: u64,
    /// Longest such delay, in seconds
    #[arg(long, env = "MAX_RETRY_DELAY", value_name = "SECONDS", default_value_t = 900, value_parser = whole::<u64>("seconds", RETRY_DELAY_SECONDS), global = true)]
    pub(super) max_retry_delay: u64,
    /// Seconds that work in flight may take to end after a signal to stop
    #[arg(long, env = "STOP_GRACE", value_name = "SECONDS", default_value_t = 25, value_parser = whole::<u64>("seconds", WAIT_SECONDS), global = true)]
    pub(super) stop_grace: u64,
    /// With --drain: seconds without a message to receive, while others wait for a retry, after which to give up
    #[arg(long, env = "DRAIN_PATIENCE", value_name = "SECONDS", default_value_t = 90, value_parser = whole::<u64>("seconds", WAIT_SECONDS), global = true)]
    pub(super) drain_patience: u64,
}

/// Stands in for the administrator's address in a preview that was given none; `invalid` is nobody's (RFC 2606).
const ADMINISTRATOR_NOT_GIVEN: &str = "administrator-not-given@organization.invalid";

impl RawSettings {
    /// The time of a forecast, or of a preview.
    pub fn as_of(&self) -> Option<Timestamp> {
        self.as_of
    }

    /// What a preview of mails needs; mail itself stays off.
    pub fn mail_for_preview(&self) -> MailSettings {
        let mail = self.mail.clone().into_mail();
        MailSettings { admin: mail.admin.or_else(|| Some(ADMINISTRATOR_NOT_GIVEN.to_owned())), ..mail }
    }
}

impl RawMailSettings {
    /// Mail, as it is set.
    pub(super) fn into_mail(self) -> MailSettings {
        MailSettings {
            sender: text(&self.sender_email),
            reply_to: self.reply_to_email.into_iter().filter_map(|address| text(&Some(address))).collect(),
            admin: text(&self.admin_summary_email),
            owner_tag: text(&self.resource_owner_tag),
            configuration_set: text(&self.ses_configuration_set),
            template_dir: text(&self.email_template_dir).map(PathBuf::from),
            audit_mails: self.audit_mails,
            audit_run_interval: self.audit_run_interval,
        }
    }
}

/// A text, where it is set and not blank.
pub(super) fn text(value: &Option<String>) -> Option<String> {
    given(value).map(str::to_owned)
}
