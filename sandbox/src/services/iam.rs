//! IAM, version 2010-05-08: users, keys, tags, groups, the credential report and the account's details. Reads can lag behind writes
//! and lists are cut into pages, as in AWS.

mod details;
mod groups;
mod keys;
mod page;
mod policies;
mod report;
mod tags;
mod users;

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::call::{Answer, ApiError, Call, Params, Principal, Reply};
use crate::refusal;
use crate::wire::xml::Xml;
use crate::world::{Account, User, World};

pub fn handle(world: &mut World, call: &Call) -> Reply {
    let respelled = as_spelled(world, call);
    let call = respelled.as_ref().unwrap_or(call);
    let answered = match call.operation.as_str() {
        "ListUsers" => users::list(world, call),
        "GetUser" => users::get(world, call),
        "CreateUser" => users::create(world, call),
        "ListAccessKeys" => keys::list(world, call),
        "CreateAccessKey" => keys::create(world, call),
        "UpdateAccessKey" => keys::update(world, call),
        "DeleteAccessKey" => keys::delete(world, call),
        "GetAccessKeyLastUsed" => keys::last_used(world, call),
        "ListUserTags" => tags::list(world, call),
        "TagUser" => tags::tag(world, call),
        "UntagUser" => tags::untag(world, call),
        "GetGroup" => groups::get(world, call),
        "CreateGroup" => groups::create(world, call),
        "AddUserToGroup" => groups::add_user(world, call),
        "RemoveUserFromGroup" => groups::remove_user(world, call),
        "AttachUserPolicy" => policies::attach(world, call),
        "ListAttachedUserPolicies" => policies::list(world, call),
        "GenerateCredentialReport" => report::generate(world, call),
        "GetCredentialReport" => report::get(world, call),
        "GetAccountAuthorizationDetails" => details::get(world, call),
        _ => return Err(refusal::unsupported(call)),
    };
    answered.map(|xml| Answer::Xml(xml.finish()))
}

/// The call with the account's own spelling of the user and the group that it names, where it has another: "Names are not
/// distinguished by case" (IAM API Reference, `CreateUser`, `CreateGroup`).
fn as_spelled(world: &World, call: &Call) -> Option<Call> {
    let Params::Query(form) = &call.params else { return None };
    let account = world.accounts.get(&call.caller.account)?;
    let user = form.get("UserName").and_then(|name| own_spelling(&account.users, name));
    let group = form.get("GroupName").and_then(|name| own_spelling(&account.groups, name));
    if user.is_none() && group.is_none() {
        return None;
    }
    let own = [("UserName", user), ("GroupName", group)].into_iter().filter_map(|(name, own)| Some((name, own?)));
    let mut form = form.clone();
    form.extend(own.map(|(name, own)| (name.to_owned(), own.to_owned())));
    Some(Call { params: Params::Query(form), ..call.clone() })
}

fn own_spelling<'a, T>(held: &'a BTreeMap<String, T>, name: &str) -> Option<&'a str> {
    if held.contains_key(name) {
        return None;
    }
    held.keys().map(String::as_str).find(|own| own.eq_ignore_ascii_case(name))
}

/// What an operation answers inside its result element.
type Answered = Result<Xml, ApiError>;

fn form(call: &Call) -> &BTreeMap<String, String> {
    static NONE: BTreeMap<String, String> = BTreeMap::new();
    match &call.params {
        Params::Query(form) => form,
        Params::Json(_) => &NONE,
    }
}

fn required<'a>(call: &'a Call, name: &str) -> Result<&'a str, ApiError> {
    call.text(name).ok_or_else(|| {
        invalid(format!(
            "1 validation error detected: Value at '{name}' failed to satisfy constraint: Member must not be null"
        ))
    })
}

/// The user a call is about: the one it names, otherwise the one that calls.
fn user_name(call: &Call) -> Result<&str, ApiError> {
    match (call.text("UserName"), &call.caller.principal) {
        (Some(name), _) => Ok(name),
        (None, Principal::User(name)) => Ok(name),
        (None, Principal::Operator | Principal::Role { .. }) => {
            Err(invalid("Must specify userName when calling with non-User credentials"))
        }
    }
}

fn account<'a>(world: &'a World, call: &Call) -> Result<&'a Account, ApiError> {
    world.accounts.get(&call.caller.account).ok_or_else(|| no_such("account", &call.caller.account))
}

fn account_mut<'a>(world: &'a mut World, call: &Call) -> Result<&'a mut Account, ApiError> {
    world.accounts.get_mut(&call.caller.account).ok_or_else(|| no_such("account", &call.caller.account))
}

fn user<'a>(world: &'a World, call: &Call, name: &str) -> Result<&'a User, ApiError> {
    account(world, call)?.users.get(name).ok_or_else(|| no_such("user", name))
}

/// A user about to be changed: what readers may still see of it is remembered first.
fn user_to_change<'a>(world: &'a mut World, call: &Call, name: &str) -> Result<&'a mut User, ApiError> {
    let now = world.now();
    let World { accounts, faults, .. } = world;
    let user = accounts
        .get_mut(&call.caller.account)
        .and_then(|account| account.users.get_mut(name))
        .ok_or_else(|| no_such("user", name))?;
    faults.remember(&mut user.stale_view, now, || user.holds.clone());
    Ok(user)
}

/// What a reader sees of a user: its name, and what it holds now or held a moment ago.
fn seen<'a>(world: &'a mut World, call: &Call, name: &str) -> Result<&'a crate::world::Holdings, ApiError> {
    let now = world.now();
    let World { accounts, faults, .. } = world;
    let user = accounts
        .get_mut(&call.caller.account)
        .and_then(|account| account.users.get_mut(name))
        .ok_or_else(|| no_such("user", name))?;
    Ok(faults.stale(&call.operation, &call.caller.account, name, &mut user.stale_view, now).unwrap_or(&user.holds))
}

fn no_such(kind: &str, name: &str) -> ApiError {
    ApiError::new(404, "NoSuchEntity", format!("The {kind} with name {name} cannot be found."))
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(400, "ValidationError", message)
}

fn limit_exceeded(message: impl Into<String>) -> ApiError {
    ApiError::new(409, "LimitExceeded", message)
}

/// IAM writes times in whole seconds: `2026-11-22T10:00:00Z`.
fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn user_arn(account: &str, user: &User) -> String {
    format!("arn:aws:iam::{account}:user{}{}", user.path, user.name)
}

/// The elements every form of a user has.
fn user_elements(xml: Xml, account: &str, user: &User) -> Xml {
    xml.text("Path", &user.path)
        .text("UserName", &user.name)
        .text("UserId", &user.id)
        .text("Arn", user_arn(account, user))
        .text("CreateDate", time(user.created))
}

/// Whether a name keeps to IAM's rule: 1 to `longest` of letters, digits and `+=,.@_-`.
fn is_name(name: &str, longest: usize) -> bool {
    (1..=longest).contains(&name.len())
        && name.chars().all(|character| character.is_ascii_alphanumeric() || "+=,.@_-".contains(character))
}

/// Whether a path keeps to IAM's rule: `/`, or `/…/` of printable ASCII, 512 long at most.
fn is_path(path: &str) -> bool {
    path.len() <= 512
        && path.starts_with('/')
        && path.ends_with('/')
        && path.chars().all(|character| ('!'..='~').contains(&character))
}
