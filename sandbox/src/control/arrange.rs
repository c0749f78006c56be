//! Setting the stage over HTTP: accounts, users and keys of any age, which AWS's own calls cannot make.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Refused;
use crate::world::{AccountState, KeySpec, KeyStatus, World};

/// An account to add, or one whose state is to be set.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewAccount {
    id: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    state: Option<AccountState>,
    /// The unit to put it in.
    #[serde(default)]
    parent: Option<String>,
}

/// A user to add, or one to be tagged or put in groups.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewUser {
    account: String,
    name: String,
    #[serde(default = "root_path")]
    path: String,
    #[serde(default)]
    tags: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    groups: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewKey {
    account: String,
    user: String,
    age_days: i64,
    #[serde(default = "active")]
    status: KeyStatus,
    #[serde(default)]
    last_used_days_ago: Option<i64>,
}

fn root_path() -> String {
    "/".to_owned()
}

fn active() -> KeyStatus {
    KeyStatus::Active
}

pub(super) fn account(world: &mut World, asked: NewAccount) -> Result<Value, Refused> {
    let NewAccount { id, name, email, state, parent } = asked;
    if id.len() != 12 || !id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err((400, format!("an account id has twelve digits: {id}")));
    }
    if parent.as_deref().is_some_and(|parent| world.organization.children(parent).is_none()) {
        return Err((404, "there is no such root or unit".to_owned()));
    }
    if !world.accounts.contains_key(&id) {
        let name = name.unwrap_or_else(|| format!("account {id}"));
        let email = email.unwrap_or_else(|| format!("{id}@example.com"));
        world.add_account(&id, &name, &email);
    }
    if let Some(state) = state {
        world.set_account_state(&id, state);
    }
    if let Some(parent) = parent {
        world.move_account(&id, &parent);
    }
    Ok(json!({"id": id}))
}

pub(super) fn user(world: &mut World, asked: NewUser) -> Result<Value, Refused> {
    let NewUser { account, name, path, tags, groups } = asked;
    let found = world.accounts.get(&account).ok_or_else(|| (404, format!("there is no account {account}")))?;
    if !found.users.contains_key(&name) {
        let now = world.now();
        world.add_user_at(&account, &name, &path, now);
    }
    for (key, value) in tags {
        world.tag_user(&account, &name, &key, &value);
    }
    for group in groups {
        world.add_group_member(&account, &group, &name);
    }
    Ok(json!({"name": name}))
}

pub(super) fn key(world: &mut World, asked: NewKey) -> Result<Value, Refused> {
    let NewKey { account, user, age_days, status, last_used_days_ago } = asked;
    let found = world.accounts.get(&account).and_then(|account| account.users.get(&user));
    if found.is_none() {
        return Err((404, format!("there is no user {user} in account {account}")));
    }
    let spec = KeySpec { status, ..KeySpec::aged(age_days) };
    let spec = last_used_days_ago.map_or(spec.clone(), |days| spec.used_days_ago(days));
    let id = world.add_key(&account, &user, &spec);
    let key = world.user(&account, &user).key(&id);
    Ok(json!({"access_key_id": id, "secret_access_key": key.map(|key| key.secret_access_key.as_str())}))
}
