//! `GetAccountAuthorizationDetails`: every user with its tags, groups and policies, in a few calls. Of the other kinds of entity the
//! sandbox gives the groups and none else; a filter chooses.

use super::page::{self, Page};
use super::policies::{name_of, policy_elements};
use super::tags::tag_elements;
use super::{Answered, account, form, invalid, time, user_elements};
use crate::call::Call;
use crate::wire::query;
use crate::wire::xml::Xml;
use crate::world::{Account, World};

/// The kinds of entity AWS knows here.
const KINDS: [&str; 5] = ["User", "Role", "Group", "LocalManagedPolicy", "AWSManagedPolicy"];

pub(super) fn get(world: &mut World, call: &Call) -> Answered {
    let filter = query::members(form(call), "Filter");
    if let Some(other) = filter.iter().find(|kind| !KINDS.contains(kind)) {
        return Err(invalid(format!("Value '[{other}]' at 'filter' failed to satisfy constraint")));
    }
    let wants = |kind| filter.is_empty() || filter.contains(&kind);
    let page = Page::asked(call)?;
    let account = account(world, call)?;
    // One order over everything: groups first, each name led by its kind.
    let groups = account.groups.keys().filter(|_| wants("Group")).map(|name| format!("Group/{name}"));
    let users = account.users.keys().filter(|_| wants("User")).map(|name| format!("User/{name}"));
    let all: Vec<String> = groups.chain(users).collect();
    let (entities, more) = page.skip(all.iter().map(|entity| (entity.as_str(), ())));
    let named = |kind: &str| {
        let names = entities.iter().filter_map(|(entity, ())| entity.split_once('/'));
        names.filter(|(found, _)| *found == kind).map(|(_, name)| name).collect::<Vec<_>>()
    };
    let xml = Xml::new()
        .list("UserDetailList", named("User"), |xml, name| user_detail(xml, account, name))
        .list("GroupDetailList", named("Group"), |xml, name| group_detail(xml, account, name))
        .list("RoleDetailList", [(); 0], |xml, ()| xml)
        .list("Policies", [(); 0], |xml, ()| xml);
    Ok(page::end(xml, entities.last().map(|(entity, ())| *entity), more))
}

fn user_detail(xml: Xml, account: &Account, name: &str) -> Xml {
    let Some(user) = account.users.get(name) else { return xml };
    let xml = user_elements(xml, &account.id, user)
        .list("GroupList", &user.holds.groups, |xml, group| xml.plain(group))
        .list("AttachedManagedPolicies", &user.attached_policies, |xml, arn| policy_elements(xml, arn, name_of(arn)));
    if user.holds.tags.is_empty() { xml } else { xml.list("Tags", &user.holds.tags, tag_elements) }
}

fn group_detail(xml: Xml, account: &Account, name: &str) -> Xml {
    let Some(group) = account.groups.get(name) else { return xml };
    xml.text("Path", &group.path)
        .text("GroupName", &group.name)
        .text("GroupId", &group.id)
        .text("Arn", format!("arn:aws:iam::{}:group{}{}", account.id, group.path, group.name))
        .text("CreateDate", time(group.created))
}
