//! Copies of a secret in other regions. They follow the primary at once, resource policy and tags included.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::secret::{Replica, Secret};
use super::{Address, State, Use, changed, error, find, regions};
use crate::call::{Answer, ApiError, Call, Reply};
use crate::journal::Effect;
use crate::world::World;

/// A region to replicate to, as requests write it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ReplicaRegion {
    #[serde(default)]
    region: String,
    kms_key_id: Option<String>,
}

/// Refuses regions that cannot be replicated to.
pub(super) fn check_regions(address: &Address, wanted: &[ReplicaRegion]) -> Result<(), ApiError> {
    let mut seen = BTreeSet::new();
    for ReplicaRegion { region, .. } in wanted {
        if *region == address.region || !regions::is_reached(&address.region, region) {
            return Err(error::invalid_parameter("Invalid replica region."));
        }
        if !seen.insert(region) {
            return Err(error::invalid_parameter(format!("Replica region {region} is given twice.")));
        }
    }
    Ok(())
}

/// Adds replicas. Where another secret has the name already, the replica is there but failed, unless it may be overwritten.
pub(super) fn add(
    state: &mut State,
    address: &Address,
    regions: &[ReplicaRegion],
    overwrite: bool,
) -> Result<Vec<Effect>, ApiError> {
    let mut effects = Vec::new();
    for ReplicaRegion { region, kms_key_id } in regions {
        let there = Address { region: region.clone(), ..address.clone() };
        let taken = state.at(&there).is_some_and(|other| other.primary_region.as_ref() != Some(&address.region));
        let failure = (taken && !overwrite)
            .then(|| format!("Replication failed: Secret name {} already exists in this region.", address.name));
        if failure.is_none() {
            effects.push(Effect::SecretReplicated { name: address.name.clone(), region: region.clone() });
        }
        state.at_mut(address)?.replicas.insert(region.clone(), Replica { kms_key_id: kms_key_id.clone(), failure });
    }
    Ok(effects)
}

/// Makes every replica of a secret what the secret is now.
pub(super) fn sync(state: &mut State, address: &Address) {
    let Some(primary) = state.at(address) else { return };
    if primary.replicas.is_empty() {
        return;
    }
    let primary = primary.clone();
    for (region, replica) in primary.replicas.iter().filter(|(_, replica)| replica.failure.is_none()) {
        let there = Address { region: region.clone(), ..address.clone() };
        let copy = Secret {
            arn: primary.arn.replacen(&format!(":{}:", address.region), &format!(":{region}:"), 1),
            kms_key_id: replica.kms_key_id.clone(),
            primary_region: Some(address.region.clone()),
            replicas: std::collections::BTreeMap::new(),
            ..primary.clone()
        };
        state.insert(&there, copy);
    }
}

pub(super) fn replicate_to(state: &mut State, world: &mut World, call: &Call, now: Timestamp) -> Reply {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Replicate {
        add_replica_regions: Vec<ReplicaRegion>,
        #[serde(default)]
        force_overwrite_replica_secret: bool,
    }
    let wanted: Replicate = call.request()?;
    let address = find(state, world, call, Use::Write)?;
    check_regions(&address, &wanted.add_replica_regions)?;
    let secret = state.at_mut(&address)?;
    let in_sync = |region: &str| secret.replicas.get(region).is_some_and(|replica| replica.failure.is_none());
    if let Some(there) = wanted.add_replica_regions.iter().find(|wanted| in_sync(&wanted.region)) {
        return Err(error::invalid_parameter(format!("The secret is already replicated to {}.", there.region)));
    }
    let overwrite = wanted.force_overwrite_replica_secret;
    let effects = add(state, &address, &wanted.add_replica_regions, overwrite)?;
    changed(state, world, call, now, &address, effects);
    let secret = state.at_mut(&address)?;
    Ok(Answer::Json(json!({ "ARN": secret.arn, "ReplicationStatus": secret.replication_status() })))
}
