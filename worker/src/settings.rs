//! The worker's settings: raw as people write them, then checked against each other, all problems told together.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, ValueEnum};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use key_rotation_aws::settings::{DEFAULT_MEMBER_ROLE, LogSettings, Problems, QueueSettings, Queues, RoleSettings};
use key_rotation_aws::{MemberRole, QueueUrl};
use rotation::{Period, Policy, UnusedKeys};

use crate::notices::{AuditMails, MailSettings};
use crate::queue::Limits;

/// The queue of a worker that has none; `invalid` is no host's name (RFC 2606).
const NO_QUEUE: &str = "https://sqs.invalid/000000000000/none";

/// An attempt takes a second or two, and some seconds where calls are throttled.
const ATTEMPT_WAIT: Duration = Duration::from_secs(4);

/// The worker's settings as they are written.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Settings")]
pub struct RawSettings {
    #[command(flatten)]
    queues: QueueSettings,
    #[command(flatten)]
    role: RoleSettings,
    /// Logging.
    #[command(flatten)]
    pub log: LogSettings,

    /// Audit mode: tell what would be done, change nothing. Set to false to enforce
    #[arg(
        long, env = "DRY_RUN", value_name = "BOOL", default_value = "true",
        num_args = 0..=1, require_equals = true, default_missing_value = "true", action = ArgAction::Set,
        value_parser = BoolishValueParser::new(), global = true
    )]
    dry_run: bool,

    /// Days after which an active key gets a successor
    #[arg(long, env = "ROTATION_PERIOD", value_name = "DAYS", default_value_t = 90, global = true)]
    rotation_period: u32,
    /// Days after which the replaced key is disabled. The difference to the rotation period is the owner's time to install
    /// the new key
    #[arg(long, env = "INACTIVE_PERIOD", value_name = "DAYS", default_value_t = 100, global = true)]
    inactive_period: u32,
    /// Least days between disabled and deleted
    #[arg(long, env = "RECOVERY_GRACE_PERIOD", value_name = "DAYS", default_value_t = 10, global = true)]
    recovery_grace_period: u32,
    /// Days ahead that owners are warned
    #[arg(long, env = "PENDING_ACTION_WARN_PERIOD", value_name = "DAYS", default_value_t = 7, global = true)]
    pending_action_warn_period: u32,
    /// Days at most that a disable is put off while the old key is in use and its successor is not
    #[arg(long, env = "IN_USE_EXTENSION", value_name = "DAYS", default_value_t = 0, global = true)]
    in_use_extension: u32,
    /// What becomes of keys that were never used
    #[arg(long, env = "UNUSED_KEYS", value_enum, value_name = "WHAT", default_value = "rotate", global = true)]
    unused_keys: RawUnusedKeys,

    /// IAM group whose members are left alone
    #[arg(
        long,
        env = "IAM_EXEMPTION_GROUP",
        value_name = "GROUP",
        default_value = "IAMKeyRotationExemptionGroup",
        global = true
    )]
    iam_exemption_group: String,
    /// Key of the user tag that holds the owner's mail address [default: none, only the account's address is told]
    #[arg(long, env = "RESOURCE_OWNER_TAG", value_name = "KEY", global = true)]
    resource_owner_tag: Option<String>,

    /// Store secrets in the worker's own account instead of each user's
    #[arg(
        long, env = "STORE_SECRETS_IN_CENTRAL_ACCOUNT", value_name = "BOOL", default_value = "false",
        num_args = 0..=1, require_equals = true, default_missing_value = "true", action = ArgAction::Set,
        value_parser = BoolishValueParser::new(), global = true
    )]
    store_secrets_in_central_account: bool,
    /// KMS key for secrets [default: AWS's own; required with the central store, whose readers are in other accounts]
    #[arg(long, env = "SECRET_KMS_KEY_ID", value_name = "KEY", global = true)]
    secret_kms_key_id: Option<String>,
    /// Customer-managed policy, by name, that is attached to users with a centrally stored secret so that they can read it
    #[arg(long, env = "CENTRAL_SECRET_READ_POLICY", value_name = "NAME", global = true)]
    central_secret_read_policy: Option<String>,
    /// Further regions to replicate secrets to, separated by commas
    #[arg(long, env = "CREDENTIAL_REPLICATION_REGIONS", value_name = "REGIONS", value_delimiter = ',', global = true)]
    credential_replication_regions: Vec<String>,

    /// Verified sender of mails [default: none, notices go to the log and count as given]
    #[arg(long, env = "SENDER_EMAIL", value_name = "ADDRESS", global = true)]
    sender_email: Option<String>,
    /// Where replies go [default: to the sender]
    #[arg(long, env = "REPLY_TO_EMAIL", value_name = "ADDRESSES", value_delimiter = ',', global = true)]
    reply_to_email: Vec<String>,
    /// Gets one summary per account that had failures or findings [default: nobody]
    #[arg(long, env = "ADMIN_SUMMARY_EMAIL", value_name = "ADDRESS", global = true)]
    admin_summary_email: Option<String>,
    /// Who is mailed in audit mode
    #[arg(long, env = "AUDIT_MAILS", value_enum, value_name = "WHO", default_value = "owners", global = true)]
    audit_mails: RawAuditMails,
    /// Days between two scheduled runs in audit mode, which leaves no record of its reminders: whatever would have fallen due
    /// in between is mailed
    #[arg(long, env = "AUDIT_RUN_INTERVAL", value_name = "DAYS", default_value_t = 1, global = true)]
    audit_run_interval: u32,
    /// SES configuration set
    #[arg(long, env = "SES_CONFIGURATION_SET", value_name = "NAME", global = true)]
    ses_configuration_set: Option<String>,
    /// Directory with mail templates [default: the built-in ones]
    #[arg(long, env = "EMAIL_TEMPLATE_DIR", value_name = "DIR", global = true)]
    email_template_dir: Option<PathBuf>,

    /// Messages worked on at once
    #[arg(long, env = "MAX_CONCURRENT_MESSAGES", value_name = "N", default_value_t = 16, global = true)]
    max_concurrent_messages: usize,
    /// Messages of the urgent queue worked on at once, besides those
    #[arg(long, env = "MAX_CONCURRENT_URGENT_MESSAGES", value_name = "N", default_value_t = 4, global = true)]
    max_concurrent_urgent_messages: usize,
    /// Users of one account worked on at once; IAM's rates are per account
    #[arg(long, env = "MAX_CONCURRENT_USERS", value_name = "N", default_value_t = 4, global = true)]
    max_concurrent_users: usize,
    /// Seconds a received message is invisible to others; renewed while it is worked on
    #[arg(long, env = "VISIBILITY_TIMEOUT", value_name = "SECONDS", default_value_t = 120, global = true)]
    visibility_timeout: u64,
    /// Seconds after which work on a message is given up, to be tried again
    #[arg(long, env = "MESSAGE_TIMEOUT", value_name = "SECONDS", default_value_t = 3600, global = true)]
    message_timeout: u64,
    /// Seconds before a failed message is tried again, at most; doubled each further time
    #[arg(long, env = "RETRY_DELAY", value_name = "SECONDS", default_value_t = 15, global = true)]
    retry_delay: u64,
    /// Longest such delay, in seconds
    #[arg(long, env = "MAX_RETRY_DELAY", value_name = "SECONDS", default_value_t = 900, global = true)]
    max_retry_delay: u64,
    /// Seconds that work in flight may take to end after a signal to stop
    #[arg(long, env = "STOP_GRACE", value_name = "SECONDS", default_value_t = 25, global = true)]
    stop_grace: u64,
    /// With --drain: seconds without a message to receive, while others wait for a retry, after which to give up
    #[arg(long, env = "DRAIN_PATIENCE", value_name = "SECONDS", default_value_t = 60, global = true)]
    drain_patience: u64,

    /// Exit once the queue has stayed empty
    #[arg(long)]
    drain: bool,
    /// Audit mode and previews only: evaluate as if it were this time (RFC 3339, or a date for its first moment in UTC)
    #[arg(long, value_name = "TIME", value_parser = time_or_date, global = true)]
    as_of: Option<Timestamp>,
}

/// `2027-03-01T02:00:00Z`, or `2027-03-01` for its first moment.
fn time_or_date(text: &str) -> Result<Timestamp, jiff::Error> {
    match text.parse::<jiff::civil::Date>() {
        // This parser takes a date out of a time without a zone as well: that is no answer to when.
        Ok(date) if !text.contains(['T', 't', ' ']) => date.to_zoned(TimeZone::UTC).map(|day| day.timestamp()),
        Ok(_) | Err(_) => text.parse(),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RawUnusedKeys {
    /// They are rotated like any other
    Rotate,
    /// They get no successor: notice, then disabled, then deleted
    Retire,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RawAuditMails {
    /// Each account's address and the owners, as when enforcing
    Owners,
    /// ADMIN_SUMMARY_EMAIL alone
    Administrator,
}

impl From<RawAuditMails> for AuditMails {
    fn from(raw: RawAuditMails) -> Self {
        match raw {
            RawAuditMails::Owners => AuditMails::Owners,
            RawAuditMails::Administrator => AuditMails::Administrator,
        }
    }
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
        let raw = self.clone().without_blanks();
        MailSettings {
            sender: raw.sender_email,
            template_dir: raw.email_template_dir,
            admin: Some(raw.admin_summary_email.unwrap_or_else(|| ADMINISTRATOR_NOT_GIVEN.to_owned())),
            configuration_set: raw.ses_configuration_set,
            reply_to: raw.reply_to_email,
            resource_owner_tag: raw.resource_owner_tag,
            audit_mails: raw.audit_mails.into(),
            audit_run_interval: raw.audit_run_interval,
        }
    }

    /// A variable that is set but empty counts as not set: deployment templates write those.
    fn without_blanks(self) -> Self {
        let unset = |value: Option<String>| value.filter(|text| !text.trim().is_empty());
        Self {
            resource_owner_tag: unset(self.resource_owner_tag),
            secret_kms_key_id: unset(self.secret_kms_key_id),
            central_secret_read_policy: unset(self.central_secret_read_policy),
            sender_email: unset(self.sender_email),
            admin_summary_email: unset(self.admin_summary_email),
            ses_configuration_set: unset(self.ses_configuration_set),
            email_template_dir: self.email_template_dir.filter(|dir| !dir.as_os_str().is_empty()),
            ..self
        }
    }
}

/// The worker's settings, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The work queue.
    pub queue: QueueUrl,
    /// Its dead-letter queue, where not as its redrive policy says.
    pub dead_letter_queue: Option<QueueUrl>,
    /// The queue for operators' requests.
    pub urgent_queue: Option<QueueUrl>,
    /// The role in member accounts.
    pub role: MemberRole,
    /// Audit mode.
    pub dry_run: bool,
    /// The periods.
    pub policy: Policy,
    /// The exemption group.
    pub exemption_group: String,
    /// The owner tag.
    pub owner_tag: Option<String>,
    /// Secrets in the worker's own account.
    pub central_store: bool,
    /// The policy attached to users with a central secret.
    pub central_read_policy: Option<String>,
    /// The KMS key for secrets.
    pub kms_key_id: Option<String>,
    /// Replication regions.
    pub replication_regions: Vec<String>,
    /// Mail.
    pub mail: MailOptions,
    /// The queue worker's numbers.
    pub limits: Limits,
    /// Messages of the urgent queue worked on at once.
    pub urgent_concurrency: usize,
    /// Users of one account worked on at once.
    pub users_at_once: usize,
    /// How long an attempt waits for another one of the same user to end.
    pub attempt_wait: Duration,
    /// Exit once the queue has stayed empty.
    pub drain: bool,
    /// Evaluate as of then.
    pub as_of: Option<Timestamp>,
}

/// Mail, as it is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailOptions {
    /// The sender.
    pub sender: Option<String>,
    /// Where replies go.
    pub reply_to: Vec<String>,
    /// Who gets summaries.
    pub admin: Option<String>,
    /// SES configuration set.
    pub configuration_set: Option<String>,
    /// Templates.
    pub template_dir: Option<PathBuf>,
    /// Who is mailed in audit mode.
    pub audit_mails: AuditMails,
    /// Days between two scheduled runs in audit mode.
    pub audit_run_interval: u32,
}

impl Default for MailOptions {
    fn default() -> Self {
        Self {
            sender: None,
            reply_to: Vec::new(),
            admin: None,
            configuration_set: None,
            template_dir: None,
            audit_mails: AuditMails::Owners,
            audit_run_interval: 1,
        }
    }
}

impl Settings {
    /// The least a worker needs; everything else as documented.
    pub fn new(queue: QueueUrl) -> Self {
        Self {
            queue,
            dead_letter_queue: None,
            urgent_queue: None,
            role: MemberRole { name: DEFAULT_MEMBER_ROLE.to_owned(), external_id: None },
            dry_run: true,
            policy: Policy::default(),
            exemption_group: "IAMKeyRotationExemptionGroup".to_owned(),
            owner_tag: None,
            central_store: false,
            central_read_policy: None,
            kms_key_id: None,
            replication_regions: Vec::new(),
            mail: MailOptions::default(),
            limits: Limits::default(),
            urgent_concurrency: 4,
            users_at_once: 4,
            attempt_wait: ATTEMPT_WAIT,
            drain: false,
            as_of: None,
        }
    }

    /// Checks what was written.
    ///
    /// # Errors
    /// One sentence per problem, each naming the variable; all of them.
    pub fn check(raw: RawSettings) -> Result<Self, Vec<String>> {
        let mut problems = Problems::default();
        let queues = raw.queues.check(&mut problems);
        Self::check_rest(raw, queues, problems)
    }

    /// Checks what was written for a preview, which takes no message off any queue and changes nothing, whatever the
    /// environment of the workers says.
    ///
    /// # Errors
    /// As [`Settings::check`].
    pub fn check_for_preview(raw: RawSettings) -> Result<Self, Vec<String>> {
        let queues = Queues { work: NO_QUEUE.parse().ok(), ..Queues::default() };
        Self::check_rest(RawSettings { dry_run: true, ..raw }, queues, Problems::default())
    }

    fn check_rest(raw: RawSettings, queues: Queues, mut problems: Problems) -> Result<Self, Vec<String>> {
        let raw = raw.without_blanks();
        let period = Period {
            rotation: raw.rotation_period,
            inactive: raw.inactive_period,
            recovery_grace: raw.recovery_grace_period,
            pending_action_warn: raw.pending_action_warn_period,
            in_use_extension: raw.in_use_extension,
        };
        let unused = match raw.unused_keys {
            RawUnusedKeys::Rotate => UnusedKeys::Rotate,
            RawUnusedKeys::Retire => UnusedKeys::Retire,
        };
        let policy = Policy::new(period, unused).unwrap_or_else(|errors| {
            errors.iter().for_each(|error| problems.add(error.to_string()));
            Policy::default()
        });
        let limits = Limits {
            max_concurrent: raw.max_concurrent_messages,
            visibility: Duration::from_secs(raw.visibility_timeout),
            handler_timeout: Duration::from_secs(raw.message_timeout),
            stop_grace: Duration::from_secs(raw.stop_grace),
            first_retry: Duration::from_secs(raw.retry_delay),
            longest_retry: Duration::from_secs(raw.max_retry_delay),
            drain_patience: Duration::from_secs(raw.drain_patience),
            ..Limits::default()
        };
        if let Err(errors) = limits.check() {
            errors.iter().for_each(|error| problems.add(error.to_string()));
        }
        for (name, value) in [
            ("MAX_CONCURRENT_URGENT_MESSAGES", raw.max_concurrent_urgent_messages),
            ("MAX_CONCURRENT_USERS", raw.max_concurrent_users),
        ] {
            if value == 0 {
                problems.add(format!("{name} must be at least 1"));
            }
        }
        let replication_regions = store::check(&raw, &mut problems);
        if raw.as_of.is_some() && !raw.dry_run {
            problems.add("--as-of is for audit mode only: it cannot stand beside DRY_RUN=false");
        }
        for (name, address) in [("SENDER_EMAIL", &raw.sender_email), ("ADMIN_SUMMARY_EMAIL", &raw.admin_summary_email)]
        {
            if address.as_ref().is_some_and(|address| !address.contains('@')) {
                problems.add(format!("{name} must be a mail address"));
            }
        }
        if raw.audit_run_interval == 0 {
            problems.add("AUDIT_RUN_INTERVAL must be at least 1 day");
        }
        let is_mailing = raw.sender_email.is_some();
        if is_mailing && raw.audit_mails == RawAuditMails::Administrator && raw.admin_summary_email.is_none() {
            problems.add("AUDIT_MAILS=administrator needs ADMIN_SUMMARY_EMAIL: otherwise nobody would be mailed");
        }
        if raw.iam_exemption_group.trim().is_empty() {
            problems.add("IAM_EXEMPTION_GROUP must name a group");
        }
        let role = raw.role.check(&mut problems);
        let queue = match queues.work {
            Some(queue) if problems.is_empty() => queue,
            Some(_) | None => return Err(problems.into_sentences()),
        };
        Ok(Self {
            queue,
            dead_letter_queue: queues.dead_letters,
            urgent_queue: queues.urgent,
            role,
            dry_run: raw.dry_run,
            policy,
            exemption_group: raw.iam_exemption_group,
            owner_tag: raw.resource_owner_tag,
            central_store: raw.store_secrets_in_central_account,
            central_read_policy: raw.central_secret_read_policy,
            kms_key_id: raw.secret_kms_key_id,
            replication_regions,
            mail: MailOptions {
                sender: raw.sender_email,
                reply_to: raw.reply_to_email.into_iter().filter(|address| !address.is_empty()).collect(),
                admin: raw.admin_summary_email,
                configuration_set: raw.ses_configuration_set,
                template_dir: raw.email_template_dir,
                audit_mails: raw.audit_mails.into(),
                audit_run_interval: raw.audit_run_interval,
            },
            limits,
            urgent_concurrency: raw.max_concurrent_urgent_messages,
            users_at_once: raw.max_concurrent_users,
            attempt_wait: ATTEMPT_WAIT,
            drain: raw.drain,
            as_of: raw.as_of,
        })
    }
}

impl Settings {
    /// Checks what depends on the region that AWS's own settings name.
    ///
    /// # Errors
    /// What is wrong, in one sentence.
    pub fn check_region(&self, region: &str) -> Result<(), String> {
        store::check_region(&self.replication_regions, region)
    }
}

mod store;
#[cfg(test)]
mod tests;
