//! The account's standing, its senders, and the addresses that mail no longer goes to.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::address::Address;
use super::{Identity, Region, Suppression, bad_request, not_found};
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

pub(super) fn get_account(world: &mut World, call: &Call, now: Timestamp) -> Reply {
    let knobs = world.mail.knobs.clone();
    let sent = world.mail.own(call).sent_within(now, SignedDuration::from_hours(24));
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

pub(super) fn create(world: &mut World, call: &Call, now: Timestamp) -> Reply {
    let name = named(call)?;
    let verified = world.mail.knobs.verify_at_once;
    let region = world.mail.own(call);
    if region.identities.contains_key(&name) {
        return Err(ApiError::new(400, "AlreadyExistsException", format!("Email identity {name} already exist.")));
    }
    region.identities.insert(name.clone(), Identity { verified });
    let effect = Effect::IdentityCreated { identity: name.clone() };
    world.journal.effect(now, &call.caller, &call.caller.account, effect);
    Ok(Answer::Json(json!({ "IdentityType": kind(&name), "VerifiedForSendingStatus": verified })))
}

pub(super) fn get(world: &mut World, call: &Call) -> Reply {
    let name = named(call)?;
    let identity = world
        .mail
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

pub(super) fn list(world: &mut World, call: &Call) -> Reply {
    // A number in the body of newer SDKs' requests, text in the query string of older ones'.
    let given = call.json().get("PageSize").filter(|given| !given.is_null());
    let most = match given.map(|given| given.as_u64().or_else(|| given.as_str()?.parse().ok())) {
        None => 1_000,
        Some(most @ Some(1..=1_000)) => most.and_then(|most| usize::try_from(most).ok()).unwrap_or(1_000),
        Some(_) => return Err(bad_request("PageSize must be between 1 and 1000.")),
    };
    let after = call.text("NextToken").map(str::to_owned);
    let region = world.mail.own(call);
    let mut identities = region.identities.iter().filter(|(name, _)| after.as_ref().is_none_or(|after| *name > after));
    let page: Vec<_> = identities.by_ref().take(most).collect();
    let list = page.iter().map(|(name, identity)| {
        json!({
            "IdentityType": kind(name),
            "IdentityName": name,
            "SendingEnabled": identity.verified,
            "VerificationStatus": status(identity),
        })
    });
    let list: Vec<Value> = list.collect();
    let mut answer = json!({ "EmailIdentities": list });
    if identities.next().is_some() {
        answer["NextToken"] = json!(page.last().map(|(name, _)| name));
    }
    Ok(Answer::Json(answer))
}

pub(super) fn delete(world: &mut World, call: &Call, now: Timestamp) -> Reply {
    let name = named(call)?;
    if world.mail.own(call).identities.remove(&name).is_none() {
        return Err(not_found(format!("Email identity {name} does not exist.")));
    }
    world.journal.effect(now, &call.caller, &call.caller.account, Effect::IdentityDeleted { identity: name });
    Ok(Answer::Json(json!({})))
}

fn destination(call: &Call) -> Result<String, ApiError> {
    let address = call.text("EmailAddress").ok_or_else(|| bad_request("EmailAddress is required."))?;
    Address::parse(address).map(|address| address.bare().to_lowercase()).map_err(bad_request)
}

pub(super) fn suppress(world: &mut World, call: &Call, now: Timestamp) -> Reply {
    let address = destination(call)?;
    let reason = match call.text("Reason") {
        Some(reason @ ("BOUNCE" | "COMPLAINT")) => reason.to_owned(),
        Some(_) | None => return Err(bad_request("Reason must be BOUNCE or COMPLAINT.")),
    };
    world.mail.own(call).suppressed.insert(address.clone(), Suppression { reason, since: now });
    world.journal.effect(now, &call.caller, &call.caller.account, Effect::AddressSuppressed { address });
    Ok(Answer::Json(json!({})))
}

/// The refusal of an address that is not on the list.
fn not_listed() -> ApiError {
    not_found("Email address does not exist on your suppression list.")
}

pub(super) fn get_suppressed(world: &mut World, call: &Call) -> Reply {
    let address = destination(call)?;
    let suppression = world.mail.own(call).suppressed.get(&address).ok_or_else(not_listed)?;
    Ok(Answer::Json(json!({
        "SuppressedDestination": {
            "EmailAddress": address,
            "Reason": suppression.reason,
            "LastUpdateTime": suppression.since.as_millisecond() as f64 / 1000.0,
        }
    })))
}

pub(super) fn unsuppress(world: &mut World, call: &Call) -> Reply {
    let address = destination(call)?;
    world.mail.own(call).suppressed.remove(&address).ok_or_else(not_listed)?;
    Ok(Answer::Json(json!({})))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{Caller, Params, Principal, Service};
    use crate::clock::Clock;
    use crate::world::MANAGEMENT_ACCOUNT;

    fn call(params: Value) -> Call {
        Call {
            service: Service::Ses,
            operation: "ListEmailIdentities".into(),
            region: "eu-west-1".into(),
            caller: Caller {
                account: MANAGEMENT_ACCOUNT.into(),
                principal: Principal::Operator,
                access_key_id: "AKIA".into(),
            },
            params: Params::Json(params),
        }
    }

    #[test]
    fn identities_are_listed_in_pages_of_a_size_given_as_number_or_text() {
        let mut world = World::new(1, Clock::real());
        for identity in ["a@example.com", "b@example.com", "example.com"] {
            world.mail.verify(MANAGEMENT_ACCOUNT, "eu-west-1", identity);
        }
        let mut page = |params: Value| match list(&mut world, &call(params)) {
            Ok(Answer::Json(answer)) => answer,
            other => panic!("{other:?}"),
        };
        let first = page(json!({ "PageSize": 2 }));
        assert_eq!(first["EmailIdentities"][1]["IdentityName"], "b@example.com");
        let rest = page(json!({ "PageSize": "2", "NextToken": first["NextToken"] }));
        assert_eq!(rest["EmailIdentities"][0]["IdentityType"], "DOMAIN");
        assert!(rest.get("NextToken").is_none());
        assert!(list(&mut world, &call(json!({ "PageSize": 1_001 }))).is_err());
    }
}
