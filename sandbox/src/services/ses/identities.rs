//! What the account may send, its senders, and the addresses that mail no longer goes to.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::address::Address;
use super::{Identity, Region, State, Suppression, bad_request, not_found};
use crate::call::{Answer, ApiError, Call, Reply};
use crate::journal::Effect;
use crate::world::World;

/// What `GetAccount` shows where no limit is set: SES's word for no daily limit, and a rate nobody reaches here.
const UNLIMITED: (f64, f64) = (-1.0, 100_000.0);

impl Region {
    /// Recipients since then. Forgets what is older than a day.
    pub(super) fn sent_within(&mut self, now: Timestamp, span: SignedDuration) -> usize {
        let day = SignedDuration::from_hours(24);
        while self.sent.front().is_some_and(|at| now.duration_since(*at) >= day) {
            self.sent.pop_front();
        }
        self.sent.iter().rev().take_while(|at| now.duration_since(**at) < span).count()
    }

    /// Whether mail may be sent from, or in SES's own sandbox to, this address.
    pub(super) fn is_verified(&self, address: &Address) -> bool {
        address.identities().any(|name| self.identities.get(&name).is_some_and(|identity| identity.verified))
    }
}

pub(super) fn get_account(state: &mut State, call: &Call, now: Timestamp) -> Reply {
    let knobs = state.knobs.clone();
    let sent = state.own(call).sent_within(now, SignedDuration::from_hours(24));
    let daily = knobs.max_24_hour_send.map_or(UNLIMITED.0, f64::from);
    let rate = knobs.max_send_rate.map_or(UNLIMITED.1, f64::from);
    Ok(Answer::Json(json!({
        "DedicatedIpAutoWarmupEnabled": false,
        "EnforcementStatus": "HEALTHY",
        "ProductionAccessEnabled": knobs.production_access,
        "SendQuota": { "Max24HourSend": daily, "MaxSendRate": rate, "SentLast24Hours": sent as f64 },
        "SendingEnabled": knobs.refuse_all != Some(super::RefuseAs::SendingPaused),
        "SuppressionAttributes": { "SuppressedReasons": ["BOUNCE", "COMPLAINT"] },
    })))
}

/// The identity a call names, in lower case.
fn named(call: &Call) -> Result<String, ApiError> {
    let identity = call.text("EmailIdentity").ok_or_else(|| bad_request("EmailIdentity is required."))?;
    let domain = format!("postmaster@{identity}");
    let address = if identity.contains('@') { identity } else { &domain };
    match Address::parse(address) {
        Ok(_) => Ok(identity.to_lowercase()),
        Err(reason) => Err(bad_request(format!("Invalid email identity {identity}: {reason}"))),
    }
}

fn kind(identity: &str) -> &'static str {
    if identity.contains('@') { "EMAIL_ADDRESS" } else { "DOMAIN" }
}

pub(super) fn create(state: &mut State, world: &mut World, call: &Call, now: Timestamp) -> Reply {
    let name = named(call)?;
    let verified = state.knobs.verify_at_once;
    let region = state.own(call);
    if region.identities.contains_key(&name) {
        return Err(ApiError::new(400, "AlreadyExistsException", format!("Email identity {name} already exist.")));
    }
    region.identities.insert(name.clone(), Identity { verified });
    let effect = Effect::IdentityCreated { identity: name.clone() };
    world.journal.effect(now, &call.caller, &call.caller.account, effect);
    Ok(Answer::Json(json!({ "IdentityType": kind(&name), "VerifiedForSendingStatus": verified })))
}

pub(super) fn get(state: &mut State, call: &Call) -> Reply {
    let name = named(call)?;
    let identity = state
        .own(call)
        .identities
        .get(&name)
        .ok_or_else(|| not_found(format!("Email identity {name} does not exist.")))?;
    Ok(Answer::Json(json!({
        "IdentityType": kind(&name),
        "FeedbackForwardingStatus": true,
        "VerifiedForSendingStatus": identity.verified,
        "VerificationStatus": status(identity),
        "MailFromAttributes": { "BehaviorOnMxFailure": "USE_DEFAULT_VALUE" },
        "Policies": {},
        "Tags": [],
    })))
}

fn status(identity: &Identity) -> &'static str {
    if identity.verified { "SUCCESS" } else { "PENDING" }
}

fn destination(call: &Call) -> Result<String, ApiError> {
    let address = call.text("EmailAddress").ok_or_else(|| bad_request("EmailAddress is required."))?;
    Address::parse(address).map(|address| address.bare().to_lowercase()).map_err(bad_request)
}

pub(super) fn suppress(state: &mut State, world: &mut World, call: &Call, now: Timestamp) -> Reply {
    let address = destination(call)?;
    let reason = match call.text("Reason") {
        Some(reason @ ("BOUNCE" | "COMPLAINT")) => reason.to_owned(),
        Some(_) | None => return Err(bad_request("Reason must be BOUNCE or COMPLAINT.")),
    };
    state.own(call).suppressed.insert(address.clone(), Suppression { reason, since: now });
    world.journal.effect(now, &call.caller, &call.caller.account, Effect::AddressSuppressed { address });
    Ok(Answer::Json(json!({})))
}

/// The refusal of an address that is not on the list.
fn not_listed() -> ApiError {
    not_found("Email address does not exist on your suppression list.")
}

pub(super) fn get_suppressed(state: &mut State, call: &Call) -> Reply {
    let address = destination(call)?;
    if state.knobs.malformed.contains(&address) {
        return Err(bad_request("Email address is malformed."));
    }
    let suppression = state.own(call).suppressed.get(&address).ok_or_else(not_listed)?;
    Ok(Answer::Json(json!({
        "SuppressedDestination": {
            "EmailAddress": address,
            "Reason": suppression.reason,
            "LastUpdateTime": suppression.since.as_millisecond() as f64 / 1000.0,
        }
    })))
}
