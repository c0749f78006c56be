//! Organizations: the tree of accounts, twenty to a page, told only to the management account and those it delegated to.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::call::{Answer, ApiError, Call, Reply, Service};
use crate::refusal;
use crate::world::{Account, Unit, World};

/// Items a page holds unless the caller asks for fewer, and at most.
const ITEMS: usize = 20;

pub fn handle(world: &mut World, call: &Call) -> Reply {
    let operation: fn(&World, &Call) -> Result<Value, ApiError> = match call.operation.as_str() {
        "DescribeOrganization" => |world, _| Ok(describe_organization(world)),
        "DescribeAccount" => describe_account,
        "ListAccounts" => list_accounts,
        "ListAccountsForParent" => list_accounts_for_parent,
        "ListOrganizationalUnitsForParent" => list_units_for_parent,
        "ListRoots" => list_roots,
        _ => return Err(refusal::unsupported(call)),
    };
    // Any member may ask what organization it is in; the rest is for the management account and those it trusts.
    let (caller, organization) = (&call.caller.account, &world.organization);
    let trusted = *caller == organization.management || organization.delegated.contains(caller);
    if !trusted && call.operation != "DescribeOrganization" {
        let message = "You don't have permissions to access this resource.".to_owned();
        return Err(refusal::access_denied(Service::Organizations, message));
    }
    operation(world, call).map(Answer::Json)
}

fn describe_organization(world: &World) -> Value {
    let organization = &world.organization;
    let (id, management) = (&organization.id, &organization.management);
    let email = world.accounts.get(management).map(|account| account.email.as_str());
    json!({"Organization": {
        "Id": id,
        "Arn": format!("arn:aws:organizations::{management}:organization/{id}"),
        "FeatureSet": "ALL",
        "MasterAccountArn": account_arn(world, management),
        "MasterAccountId": management,
        "MasterAccountEmail": email,
        "AvailablePolicyTypes": [],
    }})
}

fn describe_account(world: &World, call: &Call) -> Result<Value, ApiError> {
    let id = required(call, "AccountId")?;
    let account = world.accounts.get(id).filter(|account| world.organization.has(&account.id)).ok_or_else(|| {
        ApiError::new(
            400,
            "AccountNotFoundException",
            "You specified an account that doesn't exist in this organization.",
        )
    })?;
    Ok(json!({"Account": account_document(world, account)}))
}

fn list_accounts(world: &World, call: &Call) -> Result<Value, ApiError> {
    let page = page(call, world.accounts.keys().filter(|id| world.organization.has(id)))?;
    let accounts = page.ids.iter().filter_map(|id| world.accounts.get(*id));
    Ok(page.document("Accounts", accounts.map(|account| account_document(world, account)).collect()))
}

fn list_accounts_for_parent(world: &World, call: &Call) -> Result<Value, ApiError> {
    let page = page(call, below(world, required(call, "ParentId")?)?.accounts)?;
    let accounts = page.ids.iter().filter_map(|id| world.accounts.get(*id));
    Ok(page.document("Accounts", accounts.map(|account| account_document(world, account)).collect()))
}

fn list_units_for_parent(world: &World, call: &Call) -> Result<Value, ApiError> {
    let page = page(call, below(world, required(call, "ParentId")?)?.units)?;
    let units = page.ids.iter().filter_map(|id| world.organization.units.get(*id));
    Ok(page.document("OrganizationalUnits", units.map(|unit| unit_document(world, unit)).collect()))
}

fn list_roots(world: &World, call: &Call) -> Result<Value, ApiError> {
    let page = page(call, [&world.organization.root])?;
    let organization = &world.organization;
    let root = |id: &&str| {
        json!({
            "Id": id,
            "Arn": format!("arn:aws:organizations::{}:root/{}/{id}", organization.management, organization.id),
            "Name": "Root",
            "PolicyTypes": [],
        })
    };
    Ok(page.document("Roots", page.ids.iter().map(root).collect()))
}

struct Below<'a> {
    accounts: &'a BTreeSet<String>,
    units: &'a BTreeSet<String>,
}

fn below<'a>(world: &'a World, parent: &str) -> Result<Below<'a>, ApiError> {
    let children = world.organization.children(parent).ok_or_else(|| {
        ApiError::new(
            400,
            "ParentNotFoundException",
            format!("We can't find a root or organizational unit (OU) {parent}."),
        )
    })?;
    Ok(Below { accounts: &children.accounts, units: &children.units })
}

/// An account; `State` and `Status` as the organization's endpoint gives them.
fn account_document(world: &World, account: &Account) -> Value {
    let mut document = Map::new();
    let mut put = |name: &str, value: Value| document.insert(name.to_owned(), value);
    put("Id", json!(account.id));
    put("Arn", json!(account_arn(world, &account.id)));
    put("Email", json!(account.email));
    put("Name", json!(account.name));
    if world.organization.account_status {
        put("Status", json!(account.state.as_status()));
    }
    if world.organization.account_state {
        put("State", json!(account.state.as_str()));
    }
    put("JoinedMethod", json!("CREATED"));
    put("JoinedTimestamp", json!(account.joined.as_second()));
    Value::Object(document)
}

fn account_arn(world: &World, id: &str) -> String {
    let organization = &world.organization;
    format!("arn:aws:organizations::{}:account/{}/{id}", organization.management, organization.id)
}

fn unit_document(world: &World, unit: &Unit) -> Value {
    let organization = &world.organization;
    json!({
        "Id": unit.id,
        "Arn": format!("arn:aws:organizations::{}:ou/{}/{}", organization.management, organization.id, unit.id),
        "Name": unit.name,
    })
}

struct Page<'a> {
    ids: Vec<&'a str>,
    next: Option<String>,
}

/// The page a call asks for. The token names the last id given, marked as ours.
fn page<'a>(call: &Call, ids: impl IntoIterator<Item = &'a String>) -> Result<Page<'a>, ApiError> {
    const MARK: &str = "after-";
    let asked = call.json().get("MaxResults").and_then(Value::as_u64);
    let items = match asked.map(usize::try_from) {
        None => ITEMS,
        Some(Ok(items @ 1..=ITEMS)) => items,
        Some(_) => return Err(invalid(format!("MaxResults must be between 1 and {ITEMS}."))),
    };
    let after = match call.text("NextToken") {
        None => "",
        Some(token) => token.strip_prefix(MARK).ok_or_else(|| invalid("You provided an invalid NextToken."))?,
    };
    let mut rest = ids.into_iter().map(String::as_str).skip_while(|id| *id <= after);
    let ids: Vec<&str> = rest.by_ref().take(items).collect();
    let next = rest.next().and(ids.last()).map(|last| format!("{MARK}{last}"));
    Ok(Page { ids, next })
}

impl Page<'_> {
    fn document(&self, list: &str, items: Vec<Value>) -> Value {
        let mut document = Map::from_iter([(list.to_owned(), Value::Array(items))]);
        if let Some(next) = &self.next {
            document.insert("NextToken".to_owned(), json!(next));
        }
        Value::Object(document)
    }
}

fn required<'a>(call: &'a Call, name: &str) -> Result<&'a str, ApiError> {
    call.text(name).ok_or_else(|| invalid(format!("You must specify a value for {name}.")))
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(400, "InvalidInputException", message)
}
