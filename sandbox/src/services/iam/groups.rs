//! Groups and who is in them.

use super::page::{self, Page};
use super::{
    Answered, account, account_mut, invalid, is_name, no_such, required, time, user, user_elements, user_to_change,
};
use crate::call::{ApiError, Call};
use crate::journal::Effect;
use crate::wire::xml::Xml;
use crate::world::{Account, Group, World};

fn group<'a>(account: &'a Account, name: &str) -> Result<&'a Group, ApiError> {
    account.groups.get(name).ok_or_else(|| {
        let ApiError { status, code, .. } = no_such("group", name);
        ApiError { status, code, message: format!("The group with name {name} cannot be found.") }
    })
}

fn group_elements(xml: Xml, account: &str, group: &Group) -> Xml {
    xml.text("Path", &group.path)
        .text("GroupName", &group.name)
        .text("GroupId", &group.id)
        .text("Arn", format!("arn:aws:iam::{account}:group{}{}", group.path, group.name))
        .text("CreateDate", time(group.created))
}

pub(super) fn get(world: &mut World, call: &Call) -> Answered {
    let name = required(call, "GroupName")?;
    let page = Page::asked(call)?;
    let account = account(world, call)?;
    let group = group(account, name)?;
    let members = group.members.iter().filter_map(|name| Some((name.as_str(), account.users.get(name)?)));
    let (members, more) = page.skip(members);
    let xml = Xml::new().element("Group", |xml| group_elements(xml, &account.id, group)).list(
        "Users",
        &members,
        |xml, (_, user)| user_elements(xml, &account.id, user),
    );
    Ok(page::end(xml, members.last().map(|(name, _)| *name), more))
}

pub(super) fn create(world: &mut World, call: &Call) -> Answered {
    let name = required(call, "GroupName")?;
    if !is_name(name, 128) {
        return Err(invalid(format!("The specified value for groupName is invalid: {name}")));
    }
    if account(world, call)?.groups.contains_key(name) {
        let message = format!("Group with name {name} already exists.");
        return Err(ApiError::new(409, "EntityAlreadyExists", message));
    }
    world.add_group(&call.caller.account, name);
    let now = world.now();
    world.journal.effect(now, &call.caller, &call.caller.account, Effect::GroupCreated { group: name.to_owned() });
    let account = account(world, call)?;
    let group = group(account, name)?;
    Ok(Xml::new().element("Group", |xml| group_elements(xml, &account.id, group)))
}

pub(super) fn add_user(world: &mut World, call: &Call) -> Answered {
    let (group_name, name) = (required(call, "GroupName")?, required(call, "UserName")?);
    group(account(world, call)?, group_name)?;
    user(world, call, name)?;
    user_to_change(world, call, name)?;
    world.add_group_member(&call.caller.account, group_name, name);
    let now = world.now();
    let effect = Effect::GroupMemberAdded { group: group_name.to_owned(), user: name.to_owned() };
    world.journal.effect(now, &call.caller, &call.caller.account, effect);
    Ok(Xml::new())
}

pub(super) fn remove_user(world: &mut World, call: &Call) -> Answered {
    let (group_name, name) = (required(call, "GroupName")?, required(call, "UserName")?);
    group(account(world, call)?, group_name)?;
    user_to_change(world, call, name)?.holds.groups.remove(group_name);
    if let Some(group) = account_mut(world, call)?.groups.get_mut(group_name) {
        group.members.remove(name);
    }
    let now = world.now();
    let effect = Effect::GroupMemberRemoved { group: group_name.to_owned(), user: name.to_owned() };
    world.journal.effect(now, &call.caller, &call.caller.account, effect);
    Ok(Xml::new())
}
