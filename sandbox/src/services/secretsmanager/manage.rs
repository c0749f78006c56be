//! Secrets as a whole: described, listed, deleted and restored, and their resource policies.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::secret::{Deletion, Secret, seconds};
use super::{State, Use, access, address, changed, error, find, look, remember};
use crate::call::{Answer, ApiError, Call, Reply};
use crate::journal::Effect;
use crate::policy::Policy;
use crate::world::World;

/// The longest resource policy, in characters.
const LONGEST_POLICY: usize = 20_480;

pub(super) fn describe(state: &mut State, world: &mut World, call: &Call) -> Reply {
    let (address, secret) = look(state, world, call)?;
    let mut answer = secret.describe("VersionIdsToStages");
    if secret.primary_region.is_some() || !secret.replicas.is_empty() {
        answer["PrimaryRegion"] = json!(secret.primary_region.as_ref().unwrap_or(&address.region));
    }
    if !secret.replicas.is_empty() {
        answer["ReplicationStatus"] = secret.replication_status();
    }
    Ok(Answer::Json(answer))
}

/// How many a page is to have.
pub(super) fn page_size(call: &Call) -> Result<usize, ApiError> {
    match call.json().get("MaxResults") {
        None | Some(Value::Null) => Ok(100),
        Some(given) => given
            .as_u64()
            .filter(|most| (1..=100).contains(most))
            .and_then(|most| usize::try_from(most).ok())
            .ok_or_else(|| error::invalid_parameter("MaxResults must be between 1 and 100.")),
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Filter {
    key: String,
    values: Vec<String>,
}

impl Filter {
    /// A value with `!` before it asks for what does not match.
    fn matches(&self, secret: &Secret) -> Result<bool, ApiError> {
        let fields: Vec<&str> = match self.key.as_str() {
            "name" => vec![&secret.name],
            "description" => secret.description.as_deref().into_iter().collect(),
            "tag-key" => secret.tags.keys().map(String::as_str).collect(),
            "tag-value" => secret.tags.values().map(String::as_str).collect(),
            other => return Err(error::invalid_parameter(format!("sandbox: the filter {other} is not supported"))),
        };
        Ok(self.values.iter().any(|value| match value.strip_prefix('!') {
            Some(unwanted) => !fields.iter().any(|field| field.starts_with(unwanted)),
            None => fields.iter().any(|field| field.starts_with(value.as_str())),
        }))
    }
}

pub(super) fn list(state: &State, world: &World, call: &Call) -> Reply {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct List {
        #[serde(default)]
        include_planned_deletion: bool,
        #[serde(default)]
        filters: Vec<Filter>,
        next_token: Option<String>,
    }
    let wanted: List = call.request()?;
    access::check_identity(world, call, "ListSecrets")?;
    let most = page_size(call)?;
    let secrets = state.secrets.get(&call.caller.account).and_then(|regions| regions.get(&call.region));
    let after = wanted.next_token.as_deref();
    if after.is_some_and(|after| secrets.is_none_or(|secrets| !secrets.contains_key(after))) {
        return Err(error::invalid_next_token());
    }
    let mut page: Vec<&Secret> = Vec::new();
    let mut more = false;
    for (name, secret) in secrets.into_iter().flatten() {
        let shown = after.is_none_or(|after| name.as_str() > after)
            && (wanted.include_planned_deletion || secret.deletion.is_none());
        if !shown || !all_match(&wanted.filters, secret)? {
            continue;
        }
        if page.len() == most {
            more = true;
            break;
        }
        page.push(secret);
    }
    let list: Vec<Value> = page.iter().map(|secret| secret.describe("SecretVersionsToStages")).collect();
    let mut answer = json!({ "SecretList": list });
    if more {
        answer["NextToken"] = json!(page.last().map(|secret| &secret.name));
    }
    Ok(Answer::Json(answer))
}

fn all_match(filters: &[Filter], secret: &Secret) -> Result<bool, ApiError> {
    for filter in filters {
        if !filter.matches(secret)? {
            return Ok(false);
        }
    }
    Ok(true)
}

pub(super) fn delete(state: &mut State, world: &mut World, call: &Call, now: Timestamp) -> Reply {
    let force = call.json()["ForceDeleteWithoutRecovery"].as_bool().unwrap_or(false);
    let window = &call.json()["RecoveryWindowInDays"];
    if force && !window.is_null() {
        return Err(error::invalid_parameter(
            "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.",
        ));
    }
    let days = match window {
        Value::Null => 30,
        given => given.as_i64().filter(|days| (7..=30).contains(days)).ok_or_else(|| {
            error::invalid_parameter("RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")
        })?,
    };
    let address = address(state, call)?;
    if force && state.at(&address).is_none() {
        // Forcing the deletion of what is not there is a success, the documentation says.
        access::check_identity(world, call, "DeleteSecret")?;
        return Ok(Answer::Json(json!({ "Name": address.name, "DeletionDate": seconds(now) })));
    }
    find(state, world, call, Use::Look)?;
    remember(state, world, &address);
    let secret = state.at_mut(&address)?;
    if secret.primary_region.is_some() {
        return Err(error::invalid_request(
            "Operation not permitted on a replica secret. Call must be made in primary secret's region.",
        ));
    }
    if !secret.replicas.is_empty() {
        let regions: Vec<&str> = secret.replicas.keys().map(String::as_str).collect();
        return Err(error::invalid_request(format!(
            "You can't delete secret {} that still has replica regions {}.",
            secret.name,
            regions.join(", ")
        )));
    }
    if secret.deletion.is_some() && !force {
        return Err(error::invalid_request(
            "You can't perform this operation on the secret because it was already scheduled for deletion.",
        ));
    }
    let due = if force { now } else { now + SignedDuration::from_hours(24 * days) };
    let answer = json!({ "ARN": secret.arn, "Name": secret.name, "DeletionDate": seconds(due) });
    secret.deletion = Some(Deletion { asked: now, due });
    state.due.insert((due, address.clone()));
    state.expire(now);
    let effect = Effect::SecretDeleted { name: address.name.clone() };
    changed(state, world, call, now, &address, vec![effect]);
    Ok(Answer::Json(answer))
}

pub(super) fn restore(state: &mut State, world: &mut World, call: &Call, now: Timestamp) -> Reply {
    let address = find(state, world, call, Use::Look)?;
    remember(state, world, &address);
    let secret = state.at_mut(&address)?;
    let deletion = secret.deletion.take();
    let answer = json!({ "ARN": secret.arn, "Name": secret.name });
    if let Some(deletion) = deletion {
        state.due.remove(&(deletion.due, address.clone()));
        let effect = Effect::SecretRestored { name: address.name.clone() };
        changed(state, world, call, now, &address, vec![effect]);
    }
    Ok(Answer::Json(answer))
}

/// `UpdateSecret`, as far as it sets the KMS key: a new value goes by `PutSecretValue`.
pub(super) fn update(state: &mut State, world: &mut World, call: &Call, now: Timestamp) -> Reply {
    let address = find(state, world, call, Use::Write)?;
    let Some(key) = call.text("KmsKeyId") else {
        return Err(error::invalid_parameter("sandbox: UpdateSecret only sets KmsKeyId"));
    };
    let secret = state.at_mut(&address)?;
    secret.kms_key_id = Some(key.to_owned());
    let answer = json!({ "ARN": secret.arn, "Name": secret.name });
    changed(state, world, call, now, &address, Vec::new());
    Ok(Answer::Json(answer))
}

pub(super) fn put_policy(state: &mut State, world: &mut World, call: &Call, now: Timestamp) -> Reply {
    let address = find(state, world, call, Use::Write)?;
    let text =
        call.text("ResourcePolicy").ok_or_else(|| error::invalid_parameter("You must provide a ResourcePolicy."))?;
    if text.chars().count() > LONGEST_POLICY {
        return Err(error::invalid_parameter(format!("A resource policy can have {LONGEST_POLICY} characters.")));
    }
    let policy = Policy::from_resource(text).map_err(|error| error::malformed_policy(error.to_string()))?;
    access::check_principals(world, &policy)?;
    if call.json()["BlockPublicPolicy"].as_bool().unwrap_or(false) && policy.is_public() {
        return Err(error::public_policy());
    }
    let secret = state.at_mut(&address)?;
    secret.policy = Some(policy);
    let answer = json!({ "ARN": secret.arn, "Name": secret.name });
    let effect = Effect::SecretPolicyPut { name: address.name.clone() };
    changed(state, world, call, now, &address, vec![effect]);
    Ok(Answer::Json(answer))
}

pub(super) fn delete_policy(state: &mut State, world: &mut World, call: &Call, now: Timestamp) -> Reply {
    let address = find(state, world, call, Use::Write)?;
    let secret = state.at_mut(&address)?;
    secret.policy = None;
    let answer = json!({ "ARN": secret.arn, "Name": secret.name });
    changed(state, world, call, now, &address, Vec::new());
    Ok(Answer::Json(answer))
}

pub(super) fn get_policy(state: &mut State, world: &mut World, call: &Call) -> Reply {
    let address = find(state, world, call, Use::Read)?;
    let secret = state.at(&address).ok_or_else(error::not_found)?;
    let mut answer = json!({ "ARN": secret.arn, "Name": secret.name });
    if let Some(policy) = &secret.policy {
        answer["ResourcePolicy"] = json!(policy.text);
    }
    Ok(Answer::Json(answer))
}
