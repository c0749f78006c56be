//! Users themselves.

use super::page::{self, Page};
use super::tags::{self, tag_elements};
use super::{Answered, account, invalid, is_name, is_path, required, user, user_elements, user_name};
use crate::call::{ApiError, Call};
use crate::journal::Effect;
use crate::wire::xml::Xml;
use crate::world::World;

pub(super) fn list(world: &mut World, call: &Call) -> Answered {
    let prefix = call.text("PathPrefix").unwrap_or("/");
    let account = account(world, call)?;
    let (users, more) = Page::asked(call)?.of(&account.users, |user| user.path.starts_with(prefix));
    let xml = Xml::new().list("Users", &users, |xml, (_, user)| user_elements(xml, &account.id, user));
    Ok(page::end(xml, users.last().map(|(name, _)| *name), more))
}

pub(super) fn get(world: &mut World, call: &Call) -> Answered {
    let name = user_name(call)?;
    let tags = super::seen(world, call, name)?.tags.clone();
    let user = user(world, call, name)?;
    Ok(Xml::new().element("User", |xml| {
        let xml = user_elements(xml, &call.caller.account, user);
        if tags.is_empty() { xml } else { xml.list("Tags", &tags, tag_elements) }
    }))
}

pub(super) fn create(world: &mut World, call: &Call) -> Answered {
    let name = required(call, "UserName")?;
    let path = call.text("Path").unwrap_or("/");
    if !is_name(name, 64) {
        return Err(invalid(format!("The specified value for userName is invalid: {name}")));
    }
    if !is_path(path) {
        return Err(invalid(format!("The specified value for path is invalid: {path}")));
    }
    let tags = tags::given(call)?;
    if account(world, call)?.users.contains_key(name) {
        let message = format!("User with name {name} already exists.");
        return Err(ApiError::new(409, "EntityAlreadyExists", message));
    }
    let now = world.now();
    let created = world.add_user_at(&call.caller.account, name, path, now);
    created.holds.tags = tags;
    let xml = Xml::new().element("User", |xml| user_elements(xml, &call.caller.account, created));
    world.journal.effect(now, &call.caller, &call.caller.account, Effect::UserCreated { user: name.to_owned() });
    Ok(xml)
}
