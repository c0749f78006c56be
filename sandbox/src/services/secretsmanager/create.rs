//! `CreateSecret`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::content::{Content, check_description};
use super::replicas::{self, ReplicaRegion};
use super::secret::{Secret, SecretValue};
use super::tags::{Tag, check_tags};
use super::versions::{self, version_id};
use super::{Address, State, access, changed, error, remember};
use crate::call::{Answer, ApiError, Call, Reply, partition};
use crate::journal::Effect;
use crate::world::World;

const LONGEST_NAME: usize = 512;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Create {
    #[serde(default)]
    name: String,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(default)]
    add_replica_regions: Vec<ReplicaRegion>,
    #[serde(default)]
    force_overwrite_replica_secret: bool,
    #[serde(flatten)]
    content: Content,
}

pub(super) fn create_secret(state: &mut State, world: &mut World, call: &Call, now: Timestamp) -> Reply {
    let wanted: Create = call.request()?;
    access::check_identity(world, call, "CreateSecret")?;
    check_name(&wanted.name)?;
    check_description(wanted.content.description.as_deref())?;
    let value = wanted.content.value()?;
    let version = version_id(world, wanted.content.client_request_token.as_deref())?;
    let address =
        Address { account: call.caller.account.clone(), region: call.region.clone(), name: wanted.name.clone() };
    if let Some(existing) = state.at(&address) {
        return again(existing, &version, value.as_ref());
    }
    let tags: BTreeMap<String, String> = wanted.tags.into_iter().map(|tag| (tag.key, tag.value)).collect();
    check_tags(&tags)?;
    replicas::check_regions(&address, &wanted.add_replica_regions)?;

    let suffix = world.token(6);
    let arn = format!(
        "arn:{}:secretsmanager:{}:{}:secret:{}-{suffix}",
        partition(&address.region),
        address.region,
        address.account,
        address.name
    );
    let mut secret = Secret {
        arn: arn.clone(),
        account: address.account.clone(),
        name: address.name.clone(),
        description: wanted.content.description,
        kms_key_id: wanted.content.kms_key_id,
        tags,
        versions: BTreeMap::new(),
        policy: None,
        created: now,
        changed: now,
        deletion: None,
        primary_region: None,
        replicas: BTreeMap::new(),
    };
    let name = address.name.clone();
    let mut effects = vec![Effect::SecretCreated { name: name.clone() }];
    let mut answer = json!({ "ARN": arn, "Name": name });
    if let Some(value) = value {
        let stored = versions::store(&mut secret, &version, value, &[], now)?;
        effects.extend(versions::effects(&name, &version, stored));
        answer["VersionId"] = json!(version);
    }
    remember(state, world, &address);
    state.insert(&address, secret);
    if !wanted.add_replica_regions.is_empty() {
        let regions = wanted.add_replica_regions;
        effects.extend(replicas::add(state, &address, &regions, wanted.force_overwrite_replica_secret)?);
        answer["ReplicationStatus"] = state.at_mut(&address)?.replication_status();
    }
    changed(state, world, call, now, &address, effects);
    Ok(Answer::Json(answer))
}

/// Creating a secret that is there: a repeat of the same request is a success, anything else is not.
fn again(existing: &Secret, version: &str, value: Option<&SecretValue>) -> Reply {
    if existing.deletion.is_some() {
        return Err(error::invalid_request(
            "You can't create this secret because a secret with this name is already scheduled for deletion.",
        ));
    }
    match existing.versions.get(version) {
        Some(stored) if Some(&stored.value) == value => {
            Ok(Answer::Json(json!({ "ARN": existing.arn, "Name": existing.name, "VersionId": version })))
        }
        Some(_) | None => {
            Err(error::exists(format!("The operation failed because the secret {} already exists.", existing.name)))
        }
    }
}

fn check_name(name: &str) -> Result<(), ApiError> {
    let characters = name.chars().all(|c| c.is_ascii_alphanumeric() || "/_+=.@-".contains(c));
    if name.is_empty() || name.len() > LONGEST_NAME || !characters {
        return Err(error::invalid_parameter(
            "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!",
        ));
    }
    Ok(())
}
