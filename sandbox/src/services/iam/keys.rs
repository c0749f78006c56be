//! Access keys: made, switched, removed, and when they were last used.

use super::page::{self, Page};
use super::{Answered, invalid, limit_exceeded, no_such, required, time, user, user_name, user_to_change};
use crate::call::{ApiError, Call, Service};
use crate::journal::Effect;
use crate::refusal;
use crate::wire::xml::Xml;
use crate::world::{AccessKey, KeyStatus, World};

/// Access keys a user may have, active or not.
const KEYS_PER_USER: usize = 2;

pub(super) fn list(world: &mut World, call: &Call) -> Answered {
    let name = user_name(call)?;
    let page = Page::asked(call)?;
    let keys = &super::seen(world, call, name)?.keys;
    let mut sorted: Vec<(&str, &AccessKey)> = keys.iter().map(|key| (key.id.as_str(), key)).collect();
    sorted.sort_by_key(|(id, _)| *id);
    let (keys, more) = page.skip(sorted.into_iter());
    let xml = Xml::new().text("UserName", name).list("AccessKeyMetadata", &keys, |xml, (_, key)| {
        xml.text("UserName", name)
            .text("AccessKeyId", &key.id)
            .text("Status", key.status.as_str())
            .text("CreateDate", time(key.created))
    });
    Ok(page::end(xml, keys.last().map(|(id, _)| *id), more))
}

pub(super) fn create(world: &mut World, call: &Call) -> Answered {
    let name = user_name(call)?;
    let held = user(world, call, name)?.holds.keys.len();
    let account = call.caller.account.as_str();
    if held >= KEYS_PER_USER && !world.faults.breaks_key_limit(account, name) {
        return Err(limit_exceeded(format!("Cannot exceed quota for AccessKeysPerUser: {KEYS_PER_USER}")));
    }
    let now = world.now();
    let key = world.new_key(now);
    user_to_change(world, call, name)?;
    let xml = Xml::new().element("AccessKey", |xml| {
        xml.text("UserName", name)
            .text("AccessKeyId", &key.id)
            .text("Status", key.status.as_str())
            .text("SecretAccessKey", &key.secret_access_key)
            .text("CreateDate", time(key.created))
    });
    let effect = Effect::KeyCreated { user: name.to_owned(), key: key.id.clone() };
    world.hold_key(account, name, key);
    world.journal.effect(now, &call.caller, account, effect);
    Ok(xml)
}

pub(super) fn update(world: &mut World, call: &Call) -> Answered {
    let name = user_name(call)?;
    let id = required(call, "AccessKeyId")?;
    let status = match required(call, "Status")? {
        "Active" => KeyStatus::Active,
        "Inactive" => KeyStatus::Inactive,
        other => return Err(invalid(format!("Value '{other}' at 'status' failed to satisfy constraint"))),
    };
    held(world, call, name, id)?;
    user_to_change(world, call, name)?;
    let now = world.now();
    world.set_key_status(&call.caller.account, name, id, status);
    let active = status == KeyStatus::Active;
    let effect = Effect::KeyStatusChanged { user: name.to_owned(), key: id.to_owned(), active };
    world.journal.effect(now, &call.caller, &call.caller.account, effect);
    Ok(Xml::new())
}

pub(super) fn delete(world: &mut World, call: &Call) -> Answered {
    let name = user_name(call)?;
    let id = required(call, "AccessKeyId")?;
    let was_active = held(world, call, name, id)?.status == KeyStatus::Active;
    user_to_change(world, call, name)?;
    let now = world.now();
    world.remove_key(&call.caller.account, name, id);
    let effect = Effect::KeyDeleted { user: name.to_owned(), key: id.to_owned(), was_active };
    world.journal.effect(now, &call.caller, &call.caller.account, effect);
    Ok(Xml::new())
}

/// A key that is not the account's is refused as if the right were missing: AWS does not tell strangers whether it exists.
pub(super) fn last_used(world: &mut World, call: &Call) -> Answered {
    let id = required(call, "AccessKeyId")?;
    let owner = world.key_owners.get(id).filter(|owner| owner.account == call.caller.account);
    let key = owner.and_then(|owner| Some((owner, user(world, call, &owner.user).ok()?.key(id)?)));
    let Some((owner, key)) = key else {
        let who = crate::authorize::principal_arn(&call.caller.account, &call.caller.principal);
        let message =
            format!("User: {who} is not authorized to perform: iam:GetAccessKeyLastUsed on resource: access key {id}");
        return Err(refusal::access_denied(Service::Iam, message));
    };
    Ok(Xml::new().text("UserName", &owner.user).element("AccessKeyLastUsed", |xml| match &key.last_use {
        Some(last) => {
            xml.text("LastUsedDate", time(last.at)).text("ServiceName", &last.service).text("Region", &last.region)
        }
        None => xml.text("ServiceName", "N/A").text("Region", "N/A"),
    }))
}

fn held<'a>(world: &'a World, call: &Call, name: &str, id: &str) -> Result<&'a AccessKey, ApiError> {
    user(world, call, name)?.key(id).ok_or_else(|| {
        let ApiError { status, code, .. } = no_such("Access Key", id);
        ApiError { status, code, message: format!("The Access Key with id {id} cannot be found.") }
    })
}
