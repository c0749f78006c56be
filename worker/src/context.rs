//! Shared state of all messages, of one message, and of one user: data, and what follows from it.

use jiff::{SignedDuration, Timestamp};
use key_rotation_aws::{Connection, Sessions};
use rotation::names::{READERS_TAG, SMTP_REGIONS_TAG, is_region};
use rotation::readers::UserReaders;
use rotation::selection::FullScan;
use rotation::{AccountId, Event, EventKind, Exemption, Job, RequestOrigin, UserName};

use crate::aws::iam::UserRecord;
use crate::aws::secrets::Secrets;
use crate::events::Events;
use crate::inventory::RecentMembers;
use crate::notices::Notices;
use crate::queue::Stop;
use crate::settings::Settings;
use crate::storage_refusals::StorageRefusals;
use crate::summary::MessageCounter;

/// A message that has been worked on for less time than this is not overtaken: no request is looked for that may have come in between,
/// unless it is a request's record that is written. It is what reads lag.
const MAY_BE_OVERTAKEN_AFTER: SignedDuration = SignedDuration::from_secs(10);

/// What all messages share.
pub struct WorkerContext {
    pub settings: Settings,
    pub connection: Connection,
    /// Where secrets are stored, if not in each user's own account.
    pub central: Option<CentralStore>,
    pub notices: Notices,
    pub events: Events,
    pub storage_refusals: StorageRefusals,
}

/// The central store of secrets: Secrets Manager in the worker's own account.
#[derive(Debug, Clone)]
pub struct CentralStore {
    pub account: AccountId,
    /// The ARN that the worker writes as, as secrets' policies know it: patterns, where AWS does not tell a role's path.
    pub writers: Vec<String>,
    pub secrets: Secrets,
    /// The policy that lets users read their own secret there.
    pub read_policy_name: Option<String>,
}

/// What one message is about.
pub struct AccountContext<'a> {
    pub worker: &'a WorkerContext,
    pub job: &'a Job,
    pub sessions: Sessions,
    /// When this delivery of it began.
    pub began: Timestamp,
    /// Whether nothing may be changed: the worker only audits, or the message asks for no more.
    pub dry_run: bool,
    /// How often every user is looked at, whatever the credential report says.
    pub full_scan: FullScan,
    /// Where an operator's request comes from.
    pub origin: RequestOrigin,
    /// The message's id; the same for every delivery.
    pub message_id: &'a str,
    /// Who has been put into the exemption group since the users were listed.
    pub recent_members: RecentMembers,
    /// Once set, no further user is begun.
    pub stop: &'a Stop,
    pub counter: &'a MessageCounter,
}

/// One user, while it is worked on.
#[derive(Clone, Copy)]
pub struct UserContext<'a> {
    pub account: &'a AccountContext<'a>,
    pub record: &'a UserRecord,
    pub user: &'a UserName,
    /// Its ARN, path included.
    pub arn: &'a str,
    pub in_exemption_group: bool,
}

impl AccountContext<'_> {
    /// Whether this delivery is worked on for so long that others may have changed what it has read.
    pub fn may_be_overtaken(&self) -> bool {
        self.now().duration_since(self.began) >= MAY_BE_OVERTAKEN_AFTER
    }

    /// AWS's time.
    pub fn now(&self) -> Timestamp {
        self.worker.connection.clock().now()
    }

    /// An event of this account, now.
    pub fn event(&self, kind: EventKind) -> Event {
        Event::new(kind, self.now(), self.job.account.clone(), self.dry_run, self.job.run_id)
    }

    pub fn emit(&self, event: Event) {
        self.counter.count(&event);
        self.worker.events.emit(event);
    }

    /// The time decisions are made for. What becomes due by itself is due by the earliest that it can be by AWS's clocks; what an
    /// operator asks for is not put off by one answer. In a forecast it is another.
    pub fn decision_time(&self) -> Timestamp {
        let clock = self.worker.connection.clock();
        let now = if self.job.is_operators_request() { clock.now() } else { clock.earliest() };
        self.worker.settings.as_of.unwrap_or(now)
    }

    /// Who writes the secrets of this account's users.
    pub fn secret_writers(&self) -> Vec<String> {
        match &self.worker.central {
            Some(central) => central.writers.clone(),
            None => {
                vec![self.worker.connection.partition().role_arn(&self.job.account, &self.worker.settings.role.name)]
            }
        }
    }
}

impl<'a> UserContext<'a> {
    pub fn new(account: &'a AccountContext<'a>, record: &'a UserRecord, in_exemption_group: bool) -> Self {
        Self { account, record, user: &record.name, arn: &record.arn, in_exemption_group }
    }

    /// AWS's time.
    pub fn now(&self) -> Timestamp {
        self.account.now()
    }

    /// A tag of the user's. IAM does not distinguish the case of tag keys.
    pub fn tag(&self, key: &str) -> Option<&'a str> {
        let tag = self.record.tags.iter().find(|(known, _)| known.eq_ignore_ascii_case(key));
        tag.map(|(_, value)| value.as_str())
    }

    /// Where the user sends mail by SES's SMTP interface: the regions that its tag names, and the words in it that are no region.
    pub fn smtp_regions(&self) -> (Vec<String>, Vec<String>) {
        let words = self.tag(SMTP_REGIONS_TAG).unwrap_or_default().split_whitespace().map(str::to_owned);
        words.partition(|word| is_region(word))
    }

    /// Who may read the user's secret besides the user.
    pub fn readers(&self) -> UserReaders {
        self.account.worker.settings.readers.of_user(&self.account.job.account, self.user, self.tag(READERS_TAG))
    }

    /// An event of this user, now.
    pub fn event(&self, kind: EventKind) -> Event {
        self.account.event(kind).of_user(self.user.clone())
    }

    /// Tells that the user is left alone, and why.
    pub fn emit_exempt(&self, exemption: Exemption) {
        self.account.emit(self.event(EventKind::Exempt).because(exemption.as_str()).due(exemption.until()));
    }
}
