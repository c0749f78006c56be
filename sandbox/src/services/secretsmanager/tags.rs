//! A secret's tags.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::{State, Use, changed, error, find};
use crate::call::{Answer, ApiError, Call, Reply};
use crate::journal::Effect;
use crate::world::World;

/// Tags a secret can have.
const TAGS_PER_SECRET: usize = 50;

/// A tag as requests write it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Tag {
    #[serde(default)]
    pub(super) key: String,
    #[serde(default)]
    pub(super) value: String,
}

/// Refuses tags that Secrets Manager refuses.
pub(super) fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), ApiError> {
    if tags.len() > TAGS_PER_SECRET {
        return Err(error::limit_exceeded(format!("A secret can have {TAGS_PER_SECRET} tags.")));
    }
    for (key, value) in tags {
        let (key_length, value_length) = (key.chars().count(), value.chars().count());
        if !(1..=128).contains(&key_length) || value_length > 256 {
            return Err(error::invalid_parameter("A tag's key has 1 to 128 characters, its value up to 256."));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(error::invalid_parameter("Tag keys that start with aws: are reserved."));
        }
    }
    Ok(())
}

pub(super) fn tag(state: &mut State, world: &mut World, call: &Call, now: Timestamp) -> Reply {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Request {
        tags: Vec<Tag>,
    }
    let wanted: Request = call.request()?;
    let address = find(state, world, call, Use::Write)?;
    let secret = state.at_mut(&address)?;
    let mut tags = secret.tags.clone();
    tags.extend(wanted.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())));
    check_tags(&tags)?;
    secret.tags = tags;
    let name = &address.name;
    let effect = |tag: Tag| Effect::SecretTagged { name: name.clone(), key: tag.key, value: tag.value };
    let effects = wanted.tags.into_iter().map(effect).collect();
    changed(state, world, call, now, &address, effects);
    Ok(Answer::Json(json!({})))
}
