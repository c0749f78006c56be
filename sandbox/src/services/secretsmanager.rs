//! Secrets Manager: secrets by account and region, their versions and staging labels, resource policies, replicas and scheduled
//! deletion.
//!
//! Where AWS leaves room, this is chosen:
//! - Replicating to a region that has a replica already is refused, so that nobody relies on its being ignored.
//! - A replica is in sync at once.
//! - A secret deleted without recovery is gone at once, and its name free.

mod access;
mod arrange;
mod content;
mod create;
mod error;
mod manage;
mod regions;
mod replicas;
mod secret;
mod tags;
mod versions;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

pub use secret::{CURRENT, Deletion, PREVIOUS, Replica, Secret, SecretValue, Version};

use crate::call::{ApiError, Call, Caller, Params, Principal, Reply, Service};
use crate::faults::StaleView;
use crate::journal::Effect;
use crate::refusal;
use crate::world::World;

/// The secrets of every account and region.
#[derive(Debug, Clone, Default, Serialize)]
pub struct State {
    /// By account, region and name.
    secrets: BTreeMap<String, BTreeMap<String, BTreeMap<String, Secret>>>,
    /// Deletions to come, soonest first.
    #[serde(skip)]
    due: BTreeSet<(Timestamp, Address)>,
    /// What readers may still see of secrets changed a moment ago; `None` where there was none.
    #[serde(skip)]
    stale_views: BTreeMap<Address, StaleView<Option<Secret>>>,
    /// Whether `PutSecretValue` does not say that it has published the value. (Its API reference promises the labels of the version, and says
    /// nothing of those that Secrets Manager moves by itself.)
    #[serde(skip)]
    pub hides_publication: bool,
}

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Address {
    account: String,
    region: String,
    name: String,
}

impl State {
    /// A secret by account, region and name.
    pub fn secret(&self, account: &str, region: &str, name: &str) -> Option<&Secret> {
        self.secrets.get(account)?.get(region)?.get(name)
    }

    /// Every secret, replicas included, with its region.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Secret)> {
        let regions = self.secrets.values().flatten();
        regions.flat_map(|(region, secrets)| secrets.values().map(move |secret| (region.as_str(), secret)))
    }

    fn at(&self, address: &Address) -> Option<&Secret> {
        self.secret(&address.account, &address.region, &address.name)
    }

    fn at_mut(&mut self, address: &Address) -> Result<&mut Secret, ApiError> {
        self.secrets
            .get_mut(&address.account)
            .and_then(|regions| regions.get_mut(&address.region))
            .and_then(|secrets| secrets.get_mut(&address.name))
            .ok_or_else(error::not_found)
    }

    fn insert(&mut self, address: &Address, secret: Secret) {
        let regions = self.secrets.entry(address.account.clone()).or_default();
        regions.entry(address.region.clone()).or_default().insert(address.name.clone(), secret);
    }

    fn remove(&mut self, address: &Address) -> Option<Secret> {
        self.secrets.get_mut(&address.account)?.get_mut(&address.region)?.remove(&address.name)
    }

    /// Removes what was scheduled for deletion until now.
    fn expire(&mut self, now: Timestamp) {
        while let Some((at, address)) = self.due.first().cloned().filter(|(at, _)| *at <= now) {
            if self.at(&address).is_some_and(|secret| secret.deletion.is_some_and(|deletion| deletion.due == at)) {
                self.remove(&address);
            }
            self.due.remove(&(at, address));
        }
    }
}

/// Carries out one call.
pub fn handle(state: &mut State, world: &mut World, call: &Call) -> Reply {
    let now = world.now();
    state.expire(now);
    match call.operation.as_str() {
        "CreateSecret" => create::create_secret(state, world, call, now),
        "UpdateSecret" => manage::update(state, world, call, now),
        "PutSecretValue" => versions::put_value(state, world, call, now),
        "GetSecretValue" => versions::get_value(state, world, call, now),
        "UpdateSecretVersionStage" => versions::update_stage(state, world, call, now),
        "DescribeSecret" => manage::describe(state, world, call),
        "ListSecrets" => manage::list(state, world, call),
        "DeleteSecret" => manage::delete(state, world, call, now),
        "RestoreSecret" => manage::restore(state, world, call, now),
        "PutResourcePolicy" => manage::put_policy(state, world, call, now),
        "DeleteResourcePolicy" => manage::delete_policy(state, world, call, now),
        "GetResourcePolicy" => manage::get_policy(state, world, call),
        "TagResource" => tags::tag(state, world, call, now),
        "ReplicateSecretToRegions" => replicas::replicate_to(state, world, call, now),
        _ => Err(refusal::unsupported(call)),
    }
}

/// Whether a user of this account may read a secret, as `GetSecretValue` would decide.
pub fn may_read(world: &World, account: &str, user: &str, region: &str, secret: &Secret) -> bool {
    let call = Call {
        service: Service::SecretsManager,
        operation: "GetSecretValue".to_owned(),
        region: region.to_owned(),
        caller: Caller {
            account: account.to_owned(),
            principal: Principal::User(user.to_owned()),
            access_key_id: String::new(),
        },
        params: Params::Json(Value::Null),
    };
    access::check(world, &call, &call.operation, secret).is_ok()
}

/// What a secret is to be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// Looked at, whatever state it is in.
    Look,
    /// Read; not while it is about to be deleted.
    Read,
    /// Changed; not while it is about to be deleted, and not where it is a replica.
    Write,
}

/// Finds the secret a call names and refuses what the caller may not do with it. Where it is to be changed, what readers may
/// still see of it is remembered first.
fn find(state: &mut State, world: &mut World, call: &Call, purpose: Use) -> Result<Address, ApiError> {
    let address = address(state, call)?;
    if let Some(None) = stale(state, world, call, &address) {
        return Err(error::not_found());
    }
    let secret = state.at(&address).ok_or_else(error::not_found)?;
    access::check(world, call, &call.operation, secret)?;
    if purpose != Use::Look && secret.deletion.is_some() {
        return Err(error::marked_for_deletion());
    }
    if purpose == Use::Write && secret.primary_region.is_some() {
        return Err(error::invalid_request(
            "Operation not permitted on a replica secret. Call must be made in primary secret's region.",
        ));
    }
    if purpose == Use::Write {
        remember(state, world, &address);
    }
    Ok(address)
}

/// The secret a call names as a reader sees it: as it is, or as it was a moment ago.
fn look(state: &mut State, world: &mut World, call: &Call) -> Result<(Address, Secret), ApiError> {
    let address = address(state, call)?;
    let seen = match stale(state, world, call, &address) {
        Some(was) => was.clone(),
        None => state.at(&address).cloned(),
    };
    let seen = seen.ok_or_else(error::not_found)?;
    access::check(world, call, &call.operation, &seen)?;
    Ok((address, seen))
}

/// What a reader sees of a secret instead of what it is now, if it sees something older.
fn stale<'a>(state: &'a mut State, world: &mut World, call: &Call, address: &Address) -> Option<&'a Option<Secret>> {
    let now = world.now();
    let past = state.stale_views.get_mut(address)?;
    world.faults.stale(&call.operation, &address.account, &address.name, past, now)
}

/// To be called before a secret is made or changed.
fn remember(state: &mut State, world: &mut World, address: &Address) {
    let now = world.now();
    if world.faults.stale_reads.is_none() {
        state.stale_views.clear();
        return;
    }
    let was = state.at(address).cloned();
    world.faults.remember(state.stale_views.entry(address.clone()).or_default(), now, || was);
}

/// Where the secret is that a call names: by name in the caller's own account, by its whole ARN, or by its ARN without
/// the hyphen and the six random characters at the end.
fn address(state: &State, call: &Call) -> Result<Address, ApiError> {
    let id = call
        .text("SecretId")
        .ok_or_else(|| error::invalid_parameter("You must provide a SecretId: the secret's name or ARN."))?;
    if !id.starts_with("arn:") {
        let account = call.caller.account.clone();
        return Ok(Address { account, region: call.region.clone(), name: id.to_owned() });
    }
    let parts: Vec<&str> = id.splitn(7, ':').collect();
    let &["arn", _, "secretsmanager", region, account, "secret", rest] = parts.as_slice() else {
        return Err(error::invalid_parameter("Invalid ARN."));
    };
    let within = |name: &str| Address { account: account.to_owned(), region: region.to_owned(), name: name.to_owned() };
    let not_found = Err(error::not_found());
    if region != call.region {
        return not_found;
    }
    // What ends in a hyphen and six characters is taken for a whole ARN, even where it is a name that does: a trap
    // that the documentation of SecretId warns of.
    match rest.rsplit_once('-') {
        Some((name, suffix)) if suffix.len() == 6 && suffix.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            let address = within(name);
            if state.at(&address).is_some_and(|secret| secret.arn == id) { Ok(address) } else { not_found }
        }
        Some(_) | None => Ok(within(rest)),
    }
}

/// Notes a change of a secret in the journal and brings its replicas up to date.
fn changed(state: &mut State, world: &mut World, call: &Call, now: Timestamp, address: &Address, effects: Vec<Effect>) {
    for effect in effects {
        world.journal.effect(now, &call.caller, &address.account, effect);
    }
    replicas::sync(state, address);
}
