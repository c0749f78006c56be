//! `CreateSecret` and `UpdateSecret`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::replicas::{self, ReplicaRegion};
use super::secret::{Secret, SecretValue};
use super::tags::{Tag, check_tags};
use super::versions::{self, version_id};
use super::{Address, Use, access, changed, error, find, partition, remember, request};
use crate::call::{Answer, ApiError, Call, Reply};
use crate::journal::Effect;
use crate::world::World;

/// The longest name.
const LONGEST_NAME: usize = 512;

/// The longest description.
const LONGEST_DESCRIPTION: usize = 2_048;

/// The longest value, in bytes.
const LONGEST_VALUE: usize = 65_536;

/// What creating, updating and putting have in common.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Content {
    pub(super) client_request_token: Option<String>,
    secret_string: Option<String>,
    secret_binary: Option<String>,
    description: Option<String>,
    kms_key_id: Option<String>,
}

impl Content {
    /// The value that is given, if one is.
    pub(super) fn value(&self) -> Result<Option<SecretValue>, ApiError> {
        let value = match (&self.secret_string, &self.secret_binary) {
            (Some(_), Some(_)) => {
                return Err(error::invalid_parameter(
                    "You can't specify both a binary secret value and a string secret value in the same secret.",
                ));
            }
            (Some(text), None) => SecretValue::SecretString(text.clone()),
            (None, Some(bytes)) => SecretValue::SecretBinary(bytes.clone()),
            (None, None) => return Ok(None),
        };
        let length = self.secret_string.as_ref().or(self.secret_binary.as_ref()).map_or(0, String::len);
        if length > LONGEST_VALUE {
            return Err(error::invalid_parameter(format!(
                "The secret value must not be longer than {LONGEST_VALUE} bytes; it has {length}."
            )));
        }
        Ok(Some(value))
    }
}

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

pub(super) fn create_secret(world: &mut World, call: &Call, now: Timestamp) -> Reply {
    let wanted: Create = request(call)?;
    access::check_identity(world, call, "CreateSecret")?;
    check_name(&wanted.name)?;
    check_description(wanted.content.description.as_deref())?;
    let value = wanted.content.value()?;
    let version = version_id(world, wanted.content.client_request_token.as_deref())?;
    let address =
        Address { account: call.caller.account.clone(), region: call.region.clone(), name: wanted.name.clone() };
    if let Some(existing) = world.secrets.at(&address) {
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
    remember(world, &address);
    world.secrets.insert(&address, secret);
    if !wanted.add_replica_regions.is_empty() {
        let regions = wanted.add_replica_regions;
        effects.extend(replicas::add(&mut world.secrets, &address, &regions, wanted.force_overwrite_replica_secret)?);
        answer["ReplicationStatus"] = world.secrets.at_mut(&address)?.replication_status();
    }
    changed(world, call, now, &address, effects);
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

fn check_description(description: Option<&str>) -> Result<(), ApiError> {
    if description.is_some_and(|text| text.chars().count() > LONGEST_DESCRIPTION) {
        return Err(error::invalid_parameter(format!(
            "The description must not be longer than {LONGEST_DESCRIPTION} characters."
        )));
    }
    Ok(())
}

pub(super) fn update_secret(world: &mut World, call: &Call, now: Timestamp) -> Reply {
    let wanted: Content = request(call)?;
    let address = find(world, call, Use::Write)?;
    check_description(wanted.description.as_deref())?;
    let value = wanted.value()?;
    let version = version_id(world, wanted.client_request_token.as_deref())?;
    let secret = world.secrets.at_mut(&address)?;
    let name = secret.name.clone();
    let mut answer = json!({ "ARN": secret.arn, "Name": name });
    let mut effects = Vec::new();
    if let Some(value) = value {
        let stored = versions::store(secret, &version, value, &[], now)?;
        effects.extend(versions::effects(&name, &version, stored));
        answer["VersionId"] = json!(version);
    }
    if wanted.description.is_some() || wanted.kms_key_id.is_some() {
        secret.description = wanted.description.or(secret.description.take());
        secret.kms_key_id = wanted.kms_key_id.or(secret.kms_key_id.take());
        secret.changed = now;
        effects.push(Effect::SecretUpdated { name });
    }
    changed(world, call, now, &address, effects);
    Ok(Answer::Json(answer))
}
