//! `SendEmail`.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::json;

use super::address::Address;
use super::content::Content;
use super::{Knobs, Mail, RefuseAs, Region, State, Suppressed, bad_request, not_found};
use crate::call::{Answer, ApiError, Call, Reply, Service};
use crate::journal::Effect;
use crate::refusal;
use crate::world::World;

/// Recipients one mail can have.
const RECIPIENTS_PER_MAIL: usize = 50;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Send {
    from_email_address: Option<String>,
    #[serde(default)]
    destination: Destination,
    #[serde(default)]
    reply_to_addresses: Vec<String>,
    #[serde(default)]
    content: Content,
    #[serde(default)]
    email_tags: Vec<EmailTag>,
    configuration_set_name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Destination {
    #[serde(default)]
    to_addresses: Vec<String>,
    #[serde(default)]
    cc_addresses: Vec<String>,
    #[serde(default)]
    bcc_addresses: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EmailTag {
    name: String,
    value: String,
}

pub(super) fn send_email(state: &mut State, world: &mut World, call: &Call, now: Timestamp) -> Reply {
    let wanted: Send = call.request()?;
    let letter = wanted.content.letter()?;
    let Destination { mut to_addresses, mut cc_addresses, bcc_addresses } = wanted.destination;
    if letter.raw.is_some() && to_addresses.is_empty() && cc_addresses.is_empty() && bcc_addresses.is_empty() {
        to_addresses = letter.addresses("To");
        cc_addresses = letter.addresses("Cc");
    }
    let from = wanted
        .from_email_address
        .or_else(|| letter.header("From").map(str::to_owned))
        .ok_or_else(|| bad_request("FromEmailAddress is required."))?;

    let sender = Address::parse(&from).map_err(bad_request)?;
    let recipients: Vec<Address> = parse_all(to_addresses.iter().chain(&cc_addresses).chain(&bcc_addresses))?;
    parse_all(wanted.reply_to_addresses.iter())?;
    if recipients.is_empty() {
        return Err(bad_request("A mail needs at least one recipient."));
    }
    if recipients.len() > RECIPIENTS_PER_MAIL {
        return Err(bad_request(format!("Recipient count exceeds {RECIPIENTS_PER_MAIL}.")));
    }

    let bounced = admit(state, call, now, wanted.configuration_set_name.as_ref(), &sender, &recipients)?;

    let message_id = format!("{:016x}-{}-000000", now.as_millisecond(), world.uuid());
    let effect = Effect::MailAccepted {
        from: from.clone(),
        to: recipients.iter().map(Address::bare).collect(),
        subject: letter.subject.clone(),
        message_id: message_id.clone(),
    };
    world.journal.effect(now, &call.caller, &call.caller.account, effect);
    state.outbox.push(Mail {
        message_id: message_id.clone(),
        at: now,
        account: call.caller.account.clone(),
        region: call.region.clone(),
        from,
        reply_to: wanted.reply_to_addresses,
        to: to_addresses,
        cc: cc_addresses,
        bcc: bcc_addresses,
        subject: letter.subject,
        html: letter.html,
        text: letter.text,
        headers: letter.headers,
        raw: letter.raw,
        tags: wanted.email_tags.into_iter().map(|tag| (tag.name, tag.value)).collect::<BTreeMap<_, _>>(),
        configuration_set: wanted.configuration_set_name,
        bounced,
    });
    Ok(Answer::Json(json!({ "MessageId": message_id })))
}

/// Accepts a mail of these people, or says why not; answers with the recipients that it will not reach.
fn admit(
    state: &mut State,
    call: &Call,
    now: Timestamp,
    configuration_set: Option<&String>,
    sender: &Address,
    recipients: &[Address],
) -> Result<Vec<String>, ApiError> {
    let knobs = state.knobs.clone();
    refuse_all(&knobs)?;
    if let Some(set) = configuration_set
        && !knobs.configuration_sets.contains(set)
    {
        return Err(not_found(format!("Configuration set <{set}> does not exist.")));
    }
    let region = state.own(call);
    check_verified(region, &knobs, &call.region, sender, recipients)?;
    let bounced: Vec<String> =
        recipients.iter().map(Address::bare).filter(|to| region.suppressed.contains_key(&to.to_lowercase())).collect();
    if knobs.suppressed == Suppressed::Refuse && !bounced.is_empty() {
        return Err(ApiError::new(400, "MessageRejected", "Address is on the suppression list for your account."));
    }
    check_rate(region, &knobs, now, recipients.len())?;
    region.sent.extend(recipients.iter().map(|_| now));
    Ok(bounced)
}

fn parse_all<'a>(addresses: impl Iterator<Item = &'a String>) -> Result<Vec<Address>, ApiError> {
    addresses.map(|address| Address::parse(address).map_err(bad_request)).collect()
}

fn refuse_all(knobs: &Knobs) -> Result<(), ApiError> {
    let Some(refusal) = knobs.refuse_all else { return Ok(()) };
    Err(match refusal {
        RefuseAs::MessageRejected => ApiError::new(400, "MessageRejected", "Message rejected."),
        RefuseAs::SendingPaused => {
            ApiError::new(400, "SendingPausedException", "Email sending is disabled for this account.")
        }
        RefuseAs::AccountSuspended => {
            ApiError::new(400, "AccountSuspendedException", "Sending is permanently disabled for this account.")
        }
        RefuseAs::TooManyRequests => refusal::throttled(Service::Ses),
        RefuseAs::ServerError => refusal::server_error(Service::Ses),
    })
}

fn check_verified(
    region: &Region,
    knobs: &Knobs,
    region_name: &str,
    sender: &Address,
    recipients: &[Address],
) -> Result<(), ApiError> {
    // In SES's own sandbox the recipients are checked too.
    let recipients = if knobs.production_access { &[] } else { recipients };
    let failed: Vec<String> = [sender]
        .into_iter()
        .chain(recipients)
        .filter(|address| !region.is_verified(address))
        .map(Address::bare)
        .collect();
    if failed.is_empty() {
        return Ok(());
    }
    let message = format!(
        "Email address is not verified. The following identities failed the check in region {}: {}",
        region_name.to_uppercase(),
        failed.join(", ")
    );
    Err(ApiError::new(400, "MessageRejected", message))
}

/// Refuses what goes over a limit. Limits count recipients, not mails.
fn check_rate(region: &mut Region, knobs: &Knobs, now: Timestamp, recipients: usize) -> Result<(), ApiError> {
    let over = |region: &mut Region, limit: Option<u32>, span| {
        limit.is_some_and(|limit| region.sent_within(now, span) + recipients > limit as usize)
    };
    let too_many = |message: &str| Err(ApiError::new(429, "TooManyRequestsException", message));
    if over(region, knobs.max_24_hour_send, SignedDuration::from_hours(24)) {
        return too_many("Daily message quota exceeded.");
    }
    if over(region, knobs.max_send_rate, SignedDuration::from_secs(1)) {
        return too_many("Maximum sending rate exceeded.");
    }
    Ok(())
}
