//! Simple Email Service, API version 2: verified identities, a suppression list and sending, per account and region. What is
//! accepted lands in an outbox that tests and the `/_sandbox` routes read.
//!
//! An identity asked for is verified at once, as if its owner had clicked the link in the mail, unless the knobs say otherwise.

mod address;
mod content;
mod identities;
mod send;

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::call::{ApiError, Call, Reply};
use crate::refusal;
use crate::world::World;

/// What SES knows and has sent.
#[derive(Debug, Clone, Default, Serialize)]
pub struct State {
    pub knobs: Knobs,
    /// By account and region.
    regions: BTreeMap<String, BTreeMap<String, Region>>,
    outbox: Vec<Mail>,
}

/// How SES behaves, besides what the documentation says of accounts in good standing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Knobs {
    /// Every mail is refused, in this way.
    pub refuse_all: Option<RefuseAs>,
    /// Recipients a second; no limit if not given.
    pub max_send_rate: Option<u32>,
    /// Recipients in 24 hours; no limit if not given.
    pub max_24_hour_send: Option<u32>,
    /// What becomes of mail to a suppressed address.
    pub suppressed: Suppressed,
    /// Addresses, in lower case, that it calls malformed when it is asked about them, though it takes mail to them.
    pub malformed: Vec<String>,
    /// Out of SES's own sandbox: without it, recipients have to be verified too.
    pub production_access: bool,
    /// An identity asked for is verified without anybody clicking.
    pub verify_at_once: bool,
    /// The configuration sets there are.
    pub configuration_sets: Vec<String>,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            refuse_all: None,
            max_send_rate: None,
            max_24_hour_send: None,
            suppressed: Suppressed::AcceptAndBounce,
            malformed: Vec::new(),
            production_access: true,
            verify_at_once: true,
            configuration_sets: Vec::new(),
        }
    }
}

/// Ways to refuse a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefuseAs {
    /// `MessageRejected`: something about the message.
    MessageRejected,
    /// `SendingPausedException`: the account's sending is switched off.
    SendingPaused,
    /// `AccountSuspendedException`: AWS has switched it off for good.
    AccountSuspended,
    /// `TooManyRequestsException`.
    TooManyRequests,
    ServerError,
}

/// What becomes of mail to a suppressed address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Suppressed {
    /// It is accepted and bounces, as with AWS.
    AcceptAndBounce,
    /// It is refused as a message.
    Refuse,
}

/// One account's SES in one region.
#[derive(Debug, Clone, Default, Serialize)]
struct Region {
    /// Addresses and domains, in lower case.
    identities: BTreeMap<String, Identity>,
    suppressed: BTreeMap<String, Suppression>,
    /// When mail went to a recipient, in the last 24 hours.
    #[serde(skip)]
    sent: VecDeque<Timestamp>,
}

/// An address or domain to send from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Identity {
    verified: bool,
}

/// An address on the suppression list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Suppression {
    reason: String,
    since: Timestamp,
}

/// A mail that was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mail {
    /// The id its sender was told.
    pub message_id: String,
    /// When it was accepted.
    pub at: Timestamp,
    /// The account that sent it.
    pub account: String,
    /// The region it was sent from.
    pub region: String,
    /// The sender, with display name.
    pub from: String,
    pub reply_to: Vec<String>,
    pub to: Vec<String>,
    pub cc: Vec<String>,
    /// Recipients nobody else sees.
    pub bcc: Vec<String>,
    pub subject: String,
    pub html: Option<String>,
    /// The plain text part.
    pub text: Option<String>,
    /// Headers besides those above.
    pub headers: Vec<(String, String)>,
    /// The whole of it, where it was sent raw.
    pub raw: Option<String>,
    /// Tags for the sender's statistics.
    pub tags: BTreeMap<String, String>,
    /// The configuration set it was sent with.
    pub configuration_set: Option<String>,
    /// Recipients it bounces for: they are suppressed.
    pub bounced: Vec<String>,
}

impl State {
    /// Makes an address or a domain a verified sender.
    pub fn verify(&mut self, account: &str, region: &str, identity: &str) {
        self.region_mut(account, region).identities.insert(identity.to_lowercase(), Identity { verified: true });
    }

    /// Puts an address on the suppression list, as a bounce does.
    pub fn suppress(&mut self, now: Timestamp, account: &str, region: &str, address: &str) {
        let suppression = Suppression { reason: "BOUNCE".to_owned(), since: now };
        self.region_mut(account, region).suppressed.insert(address.to_lowercase(), suppression);
    }

    /// Takes an address off the suppression list.
    pub fn unsuppress(&mut self, account: &str, region: &str, address: &str) {
        let region = self.regions.get_mut(account).and_then(|regions| regions.get_mut(region));
        region.and_then(|region| region.suppressed.remove(address));
    }

    /// Every mail that was accepted, oldest first.
    pub fn outbox(&self) -> &[Mail] {
        &self.outbox
    }

    /// Empties the outbox, so that a test can look at one part of a run alone.
    pub fn clear_outbox(&mut self) {
        self.outbox.clear();
    }

    fn region_mut(&mut self, account: &str, region: &str) -> &mut Region {
        self.regions.entry(account.to_owned()).or_default().entry(region.to_owned()).or_default()
    }

    fn own(&mut self, call: &Call) -> &mut Region {
        self.region_mut(&call.caller.account, &call.region)
    }
}

/// Carries out one call.
pub fn handle(state: &mut State, world: &mut World, call: &Call) -> Reply {
    let now = world.now();
    match call.operation.as_str() {
        "SendEmail" => send::send_email(state, world, call, now),
        "GetAccount" => identities::get_account(state, call, now),
        "CreateEmailIdentity" => identities::create(state, world, call, now),
        "GetEmailIdentity" => identities::get(state, call),
        "PutSuppressedDestination" => identities::suppress(state, world, call, now),
        "GetSuppressedDestination" => identities::get_suppressed(state, call),
        _ => Err(refusal::unsupported(call)),
    }
}

fn bad_request(message: impl Into<String>) -> ApiError {
    ApiError::new(400, "BadRequestException", message)
}

fn not_found(message: impl Into<String>) -> ApiError {
    ApiError::new(404, "NotFoundException", message)
}
