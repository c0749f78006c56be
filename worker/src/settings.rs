//! The worker's settings: raw as people write them, then checked against each other, all problems told together.

mod raw;
mod store;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;
use key_rotation_aws::settings::{DEFAULT_MEMBER_ROLE, Problems, Queues, period_variable};
use key_rotation_aws::{MemberRole, QueueUrl};
use rotation::names::{DEFAULT_EXEMPTION_GROUP, Partition};
use rotation::readers::Readers;
use rotation::selection::FullScan;
use rotation::{Period, Policy};

pub use self::raw::RawSettings;
use self::raw::{LimitSettings, PeriodSettings, RawMailSettings};
use crate::notices::address::Address;
use crate::notices::templates::Templates;
use crate::notices::{AuditMails, MailSettings};
use crate::queue::Limits;

/// The queue of a worker that has none; `invalid` is no host's name (RFC 2606).
const NO_QUEUE: &str = "https://sqs.invalid/000000000000/none";

/// An attempt takes a second or two, and some seconds where calls are throttled.
const ATTEMPT_WAIT: Duration = Duration::from_secs(4);

/// To read the group's members again is one call for a thousand of them.
const MEMBERS_KNOWN_FOR: Duration = Duration::from_secs(30);

/// To look at a hundred users takes about two seconds; a credential report is worth waiting for a few times as long.
const CREDENTIAL_REPORT_WAIT: Duration = Duration::from_secs(8);

#[derive(Debug, Clone)]
pub struct Settings {
    pub queue: QueueUrl,
    /// Its dead-letter queue, where not as its redrive policy says.
    pub dead_letter_queue: Option<QueueUrl>,
    /// The queue for operators' requests.
    pub urgent_queue: Option<QueueUrl>,
    /// The role in member accounts.
    pub role: MemberRole,
    /// Audit mode: nothing is changed, whatever a message says.
    pub dry_run: bool,
    pub policy: Policy,
    pub exemption_group: String,
    /// Secrets in the worker's own account.
    pub central_store: bool,
    /// The policy attached to users with a central secret.
    pub central_read_policy: Option<String>,
    /// The KMS key for secrets.
    pub kms_key_id: Option<String>,
    pub replication_regions: Vec<String>,
    /// Who may read secrets besides their users.
    pub readers: Readers,
    pub mail: MailSettings,
    /// The bus that gets every event.
    pub event_bus: Option<String>,
    /// The queue worker's numbers.
    pub limits: Limits,
    /// Messages of the urgent queue worked on at once.
    pub urgent_concurrency: usize,
    /// How often every user is looked at, whatever the credential report says.
    pub full_scan: FullScan,
    /// How long it is believed who is in the exemption group, before something is done to a key.
    pub members_known_for: Duration,
    /// How long a credential report that is being generated is waited for.
    pub credential_report_wait: Duration,
    /// Users of one account worked on at once at most.
    pub max_concurrent_users: usize,
    /// How long an attempt waits for another one of the same user to end.
    pub attempt_wait: Duration,
    /// Exit once the queue has stayed empty.
    pub drain: bool,
    /// Evaluate as of then.
    pub as_of: Option<Timestamp>,
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
            exemption_group: DEFAULT_EXEMPTION_GROUP.to_owned(),
            central_store: false,
            central_read_policy: None,
            kms_key_id: None,
            replication_regions: Vec::new(),
            readers: Readers::default(),
            mail: MailSettings::default(),
            event_bus: None,
            limits: Limits::default(),
            urgent_concurrency: 4,
            full_scan: FullScan::new(14, 1),
            members_known_for: MEMBERS_KNOWN_FOR,
            credential_report_wait: CREDENTIAL_REPORT_WAIT,
            max_concurrent_users: 16,
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
        let policy = check_policy(&raw.periods, &mut problems);
        let limits = check_limits(&raw.limits, &mut problems);
        let replication_regions = store::check(&raw.secrets, &mut problems);
        let readers = store::readers(&raw.secrets, &mut problems);
        let mail = check_mail(raw.mail, &mut problems);
        let event_bus = raw::text(&raw.event_bus_name);
        if let Some(name) = event_bus.as_deref().filter(|name| !is_event_bus(name)) {
            problems.add(format!(
                "EVENT_BUS_NAME is wrong: \"{name}\" is neither a bus's name (letters, digits or any of /._-) nor its ARN"
            ));
        }
        if raw.as_of.is_some() && !raw.dry_run {
            problems.add("--as-of is for audit mode only: it cannot stand beside DRY_RUN=false");
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
            central_store: raw.secrets.store_secrets_in_central_account,
            central_read_policy: raw::text(&raw.secrets.central_secret_read_policy),
            kms_key_id: raw::text(&raw.secrets.secret_kms_key_id),
            replication_regions,
            readers,
            event_bus,
            limits,
            urgent_concurrency: raw.limits.max_concurrent_urgent_messages,
            full_scan: FullScan::new(raw.limits.full_scan_days, mail.audit_run_interval),
            members_known_for: MEMBERS_KNOWN_FOR,
            credential_report_wait: CREDENTIAL_REPORT_WAIT,
            max_concurrent_users: raw.limits.max_concurrent_users,
            attempt_wait: ATTEMPT_WAIT,
            drain: raw.drain,
            as_of: raw.as_of,
            mail,
        })
    }

    /// Checks what depends on the region that AWS's own settings name.
    ///
    /// # Errors
    /// What is wrong, in one sentence.
    pub fn check_region(&self, region: &str) -> Result<(), String> {
        store::check_region(&self.replication_regions, region)
    }

    /// Checks what depends on the partition that the worker runs in.
    ///
    /// # Errors
    /// What is wrong, in one sentence.
    pub fn check_partition(&self, partition: Partition) -> Result<(), String> {
        store::check_partition(&self.readers, partition)
    }
}

fn check_policy(raw: &PeriodSettings, problems: &mut Problems) -> Policy {
    let period = Period {
        rotation: raw.rotation_period,
        inactive: raw.inactive_period,
        recovery_grace: raw.recovery_grace_period,
        pending_action_warn: raw.pending_action_warn_period,
        in_use_extension: raw.in_use_extension,
    };
    Policy::new(period, raw.unused_keys.into()).unwrap_or_else(|errors| {
        errors.iter().for_each(|error| problems.add(format!("{} is wrong: {error}", period_variable(error.period()))));
        Policy::default()
    })
}

fn check_limits(raw: &LimitSettings, problems: &mut Problems) -> Limits {
    let limits = Limits {
        max_concurrent: raw.max_concurrent_messages,
        visibility: Duration::from_secs(raw.visibility_timeout),
        message_timeout: Duration::from_secs(raw.message_timeout),
        stop_grace: Duration::from_secs(raw.stop_grace),
        retry_delay: Duration::from_secs(raw.retry_delay),
        longest_retry: Duration::from_secs(raw.max_retry_delay),
        drain_patience: Duration::from_secs(raw.drain_patience),
        ..Limits::default()
    };
    if let Err(error) = limits.check() {
        problems.add(error.to_string());
    }
    limits
}

fn check_mail(raw: RawMailSettings, problems: &mut Problems) -> MailSettings {
    let mail = raw.into_mail();
    let addresses = mail.sender.iter().map(|address| ("SENDER_EMAIL", address));
    let addresses = addresses.chain(mail.reply_to.iter().map(|address| ("REPLY_TO_EMAIL", address)));
    for (name, address) in addresses.chain(mail.admin.iter().map(|address| ("ADMIN_SUMMARY_EMAIL", address))) {
        if !is_mailbox(address) {
            problems.add(format!("{name} is wrong: \"{address}\" is not a mail address, as jo@example.com is"));
        }
    }
    if let Some(Err(error)) = mail.template_dir.as_deref().map(Templates::with_dir) {
        problems.add(error.to_string());
    }
    if mail.audit_mails == AuditMails::Administrator && mail.sender.is_some() && mail.admin.is_none() {
        problems.add("AUDIT_MAILS=administrator needs ADMIN_SUMMARY_EMAIL: otherwise nobody would be mailed");
    }
    mail
}

/// An address, or one behind a name: `Key rotation <keys@example.com>`.
fn is_mailbox(text: &str) -> bool {
    let address = match text.strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
        Some((name, address)) if !name.chars().any(|c| c.is_control() || "<>@".contains(c)) => address,
        Some(_) => return false,
        None => text,
    };
    Address::parse(address).is_some()
}

/// EventBridge API reference, `PutEventsRequestEntry`: `EventBusName` is a name of `[/\.\-_A-Za-z0-9]+` or an ARN, up to 1600.
fn is_event_bus(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"/._-:".contains(&b);
    let is_arn = text.starts_with("arn:") && text.contains(":event-bus/");
    (is_arn || !text.contains(':')) && text.len() <= 1600 && text.bytes().all(allowed)
}
