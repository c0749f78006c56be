//! Tags of users, with their limits: fifty a user, characters, lengths, no reserved prefix.

use std::collections::BTreeMap;

use super::page::{self, Page};
use super::{Answered, form, invalid, limit_exceeded, required, user, user_to_change};
use crate::call::{ApiError, Call};
use crate::journal::Effect;
use crate::wire::query;
use crate::wire::xml::Xml;
use crate::world::World;

/// Tags a user may carry.
const TAGS_PER_USER: usize = 50;

pub(super) fn tag_elements(xml: Xml, (key, value): (&String, &String)) -> Xml {
    xml.text("Key", key).text("Value", value)
}

pub(super) fn list(world: &mut World, call: &Call) -> Answered {
    let page = Page::asked(call)?;
    let tags = &super::seen(world, call, required(call, "UserName")?)?.tags;
    let (tags, more) = page.of(tags, |_| true);
    let xml = Xml::new().list("Tags", &tags, |xml, (key, value)| xml.text("Key", key).text("Value", value));
    Ok(page::end(xml, tags.last().map(|(key, _)| *key), more))
}

pub(super) fn tag(world: &mut World, call: &Call) -> Answered {
    let name = required(call, "UserName")?;
    let given = given(call)?;
    let held = &user(world, call, name)?.holds.tags;
    let added = given.keys().filter(|key| !held.keys().any(|held| same_key(held, key))).count();
    if held.len() + added > TAGS_PER_USER {
        return Err(limit_exceeded(format!("Cannot exceed quota for TagsPerUser: {TAGS_PER_USER}")));
    }
    let held = &mut user_to_change(world, call, name)?.holds.tags;
    held.retain(|held, _| !given.keys().any(|key| same_key(held, key)));
    held.extend(given.clone());
    let now = world.now();
    for (key, value) in given {
        let effect = Effect::UserTagged { user: name.to_owned(), key, value };
        world.journal.effect(now, &call.caller, &call.caller.account, effect);
    }
    Ok(Xml::new())
}

pub(super) fn untag(world: &mut World, call: &Call) -> Answered {
    let name = required(call, "UserName")?;
    let keys = query::members(form(call), "TagKeys");
    user(world, call, name)?;
    let holds = &mut user_to_change(world, call, name)?.holds;
    let gone: Vec<String> =
        holds.tags.keys().filter(|held| keys.iter().any(|key| same_key(held, key))).cloned().collect();
    holds.tags.retain(|held, _| !gone.contains(held));
    let now = world.now();
    for key in gone {
        let effect = Effect::UserUntagged { user: name.to_owned(), key };
        world.journal.effect(now, &call.caller, &call.caller.account, effect);
    }
    Ok(Xml::new())
}

/// The tags a call gives, checked.
pub(super) fn given(call: &Call) -> Result<BTreeMap<String, String>, ApiError> {
    let form = form(call);
    let mut tags: BTreeMap<String, String> = BTreeMap::new();
    for n in 1.. {
        let Some(key) = form.get(&format!("Tags.member.{n}.Key")) else { break };
        let value = form.get(&format!("Tags.member.{n}.Value")).map(String::as_str).unwrap_or_default();
        check(key, value, n)?;
        let twice = tags.keys().any(|held| same_key(held, key));
        tags.insert(key.clone(), value.to_owned());
        if twice {
            return Err(ApiError::new(
                400,
                "InvalidInput",
                "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
            ));
        }
    }
    if tags.len() > TAGS_PER_USER {
        return Err(invalid(format!(
            "1 validation error detected: Value at 'tags' failed to satisfy constraint: \
             Member must have length less than or equal to {TAGS_PER_USER}"
        )));
    }
    Ok(tags)
}

/// Whether two keys are one to IAM. Of users' tags the case is kept but makes no difference: a second tag whose key differs in case
/// alone replaces the first (IAM User Guide, "Tags for IAM resources", case sensitivity).
fn same_key(one: &str, other: &str) -> bool {
    one == other || one.to_lowercase() == other.to_lowercase()
}

fn check(key: &str, value: &str, n: usize) -> Result<(), ApiError> {
    let constraint = |part: &str, constraint: &str| {
        Err(invalid(format!(
            "1 validation error detected: Value at 'tags.{n}.member.{part}' failed to satisfy constraint: {constraint}"
        )))
    };
    if !(1..=128).contains(&key.chars().count()) {
        return constraint("key", "Member must have length between 1 and 128");
    }
    if value.chars().count() > 256 {
        return constraint("value", "Member must have length less than or equal to 256");
    }
    let pattern = "Member must satisfy regular expression pattern: [\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]+";
    if !key.chars().all(is_tag_character) {
        return constraint("key", pattern);
    }
    if !value.chars().all(is_tag_character) {
        return constraint("value", pattern);
    }
    if key.to_ascii_lowercase().starts_with("aws:") {
        return Err(ApiError::new(400, "InvalidInput", "Tag keys beginning with 'aws:' are reserved."));
    }
    Ok(())
}

/// `[\p{L}\p{Z}\p{N}_.:/=+\-@]`. The standard library's alphabetic and numeric cover letters and numbers; of its white space the
/// control characters are not separators.
fn is_tag_character(character: char) -> bool {
    character.is_alphabetic()
        || character.is_numeric()
        || (character.is_whitespace() && !character.is_control())
        || "_.:/=+-@".contains(character)
}
