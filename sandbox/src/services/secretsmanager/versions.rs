//! Versions: storing, reading and publishing values.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::content::Content;
use super::secret::{CURRENT, MoveRefused, PutRefused, Secret, SecretValue, Stored, seconds};
use super::{State, Use, changed, error, find};
use crate::call::{Answer, ApiError, Call, Reply};
use crate::journal::Effect;
use crate::world::World;

/// Labels a version can have.
const STAGES_PER_VERSION: usize = 20;

/// The version id a request asks for by its token, or a new one.
pub(super) fn version_id(world: &mut World, token: Option<&str>) -> Result<String, ApiError> {
    match token {
        None => Ok(world.uuid().to_string()),
        Some(token) if (32..=64).contains(&token.len()) => Ok(token.to_owned()),
        Some(_) => Err(error::invalid_parameter("ClientRequestToken must be 32-64 characters long.")),
    }
}

/// Stores a value, refusing as the service words it.
pub(super) fn store(
    secret: &mut Secret,
    version: &str,
    value: SecretValue,
    stages: &[String],
    now: Timestamp,
) -> Result<Stored, ApiError> {
    secret.store(version, value, stages, now).map_err(|refused| match refused {
        PutRefused::TokenInUse => error::exists(format!(
            "You can't use ClientRequestToken {version} because that value is already in use for a version of secret {}.",
            secret.arn
        )),
    })
}

/// What storing a value changed.
pub(super) fn effects(name: &str, version: &str, stored: Stored) -> Vec<Effect> {
    let mut effects = Vec::new();
    if stored.new {
        let (name, version) = (name.to_owned(), version.to_owned());
        effects.push(Effect::SecretVersionPut { name, version, stages: stored.stages });
    }
    if let Some(from) = stored.published {
        effects.push(Effect::SecretPublished { name: name.to_owned(), version: version.to_owned(), from });
    }
    effects
}

pub(super) fn put_value(state: &mut State, world: &mut World, call: &Call, now: Timestamp) -> Reply {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Put {
        version_stages: Option<Vec<String>>,
        #[serde(flatten)]
        content: Content,
    }
    let wanted: Put = call.request()?;
    let address = find(state, world, call, Use::Write)?;
    let value = wanted
        .content
        .value()?
        .ok_or_else(|| error::invalid_parameter("You must provide either SecretString or SecretBinary."))?;
    let stages = wanted.version_stages.unwrap_or_else(|| vec![CURRENT.to_owned()]);
    if stages.is_empty() || stages.len() > STAGES_PER_VERSION {
        return Err(error::invalid_parameter(format!("VersionStages must have 1 to {STAGES_PER_VERSION} labels.")));
    }
    for stage in &stages {
        check_stage(stage)?;
    }
    let version = version_id(world, wanted.content.client_request_token.as_deref())?;
    let secret = state.at_mut(&address)?;
    let stored = store(secret, &version, value, &stages, now)?;
    let (arn, name) = (secret.arn.clone(), secret.name.clone());
    let mut told = stored.stages.clone();
    told.retain(|stage| !state.hides_publication || stage != CURRENT);
    let answer = json!({ "ARN": arn, "Name": name, "VersionId": version, "VersionStages": told });
    let effects = effects(&address.name, &version, stored);
    changed(state, world, call, now, &address, effects);
    Ok(Answer::Json(answer))
}

fn check_stage(stage: &str) -> Result<(), ApiError> {
    if stage.is_empty() || stage.len() > 256 {
        return Err(error::invalid_parameter("A staging label must be 1 to 256 characters long."));
    }
    Ok(())
}

pub(super) fn update_stage(state: &mut State, world: &mut World, call: &Call, now: Timestamp) -> Reply {
    let address = find(state, world, call, Use::Write)?;
    let stage =
        call.text("VersionStage").ok_or_else(|| error::invalid_parameter("You must provide a VersionStage."))?;
    check_stage(stage)?;
    let (to, from) = (call.text("MoveToVersionId"), call.text("RemoveFromVersionId"));
    let secret = state.at_mut(&address)?;
    let moved = secret.move_stage(stage, to, from, now).map_err(|refused| match refused {
        MoveRefused::NoSuchVersion(_) => ApiError::new(400, "ResourceNotFoundException", refused.to_string()),
        MoveRefused::HeldByAnother { .. }
        | MoveRefused::NotTheHolder { .. }
        | MoveRefused::HeldByNone { .. }
        | MoveRefused::CurrentMustStay
        | MoveRefused::NothingAsked => error::invalid_parameter(refused.to_string()),
    })?;
    let answer = json!({ "ARN": secret.arn, "Name": secret.name });
    let effect = moved.map(|from| match (stage, to) {
        (CURRENT, Some(to)) => Effect::SecretPublished { name: address.name.clone(), version: to.to_owned(), from },
        _ => Effect::SecretStageMoved {
            name: address.name.clone(),
            stage: stage.to_owned(),
            version: to.map(str::to_owned),
            from,
        },
    });
    changed(state, world, call, now, &address, effect.into_iter().collect());
    Ok(Answer::Json(answer))
}

pub(super) fn get_value(state: &mut State, world: &mut World, call: &Call, now: Timestamp) -> Reply {
    let address = find(state, world, call, Use::Read)?;
    let (id, stage) = (call.text("VersionId"), call.text("VersionStage"));
    let secret = state.at_mut(&address)?;
    let missing = || match (id, stage) {
        (Some(id), _) => error::version_not_found(&format!("VersionId: {id}")),
        (None, stage) => error::version_not_found(&format!("staging label: {}", stage.unwrap_or(CURRENT))),
    };
    let found = match id {
        Some(id) => Some(id.to_owned()),
        None => secret.holder(stage.unwrap_or(CURRENT)).map(str::to_owned),
    };
    let found = found.ok_or_else(missing)?;
    let version = secret.versions.get_mut(&found).ok_or_else(missing)?;
    if id.is_some() && stage.is_some_and(|stage| !version.stages.contains(stage)) {
        return Err(error::invalid_request(
            "You provided a VersionStage that is not associated to the provided VersionId.",
        ));
    }
    version.accessed = Some(now);
    let mut answer = json!({
        "ARN": secret.arn,
        "Name": secret.name,
        "VersionId": found,
        "VersionStages": version.stages,
        "CreatedDate": seconds(version.created),
    });
    match &version.value {
        SecretValue::SecretString(text) => answer["SecretString"] = json!(text),
        SecretValue::SecretBinary(bytes) => answer["SecretBinary"] = json!(bytes),
    }
    Ok(Answer::Json(answer))
}
