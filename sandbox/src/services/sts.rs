//! STS, version 2011-06-15: who am I, whose is this key, and credentials of a role.

use jiff::{SignedDuration, Timestamp};

use crate::authorize;
use crate::call::{Answer, ApiError, Call, Principal, Reply, Service};
use crate::policy::{Policy, PolicyError};
use crate::refusal;
use crate::wire::xml::Xml;
use crate::world::{Session, World};

/// How long a session lasts if the caller does not say.
const DEFAULT_SECONDS: u32 = 3600;

/// The shortest session there is.
const LEAST_SECONDS: u32 = 900;

/// The longest session there is; a role can allow less.
const MOST_SECONDS: u32 = 43_200;

/// How long a session lasts at most when a role session asks for it.
const MOST_CHAINED_SECONDS: u32 = 3600;

pub fn handle(world: &mut World, call: &Call) -> Reply {
    let answered = match call.operation.as_str() {
        "GetCallerIdentity" => Ok(caller_identity(world, call)),
        "GetAccessKeyInfo" => access_key_info(world, call),
        "AssumeRole" => assume_role(world, call),
        _ => return Err(refusal::unsupported(call)),
    };
    answered.map(|xml| Answer::Xml(xml.finish()))
}

fn caller_identity(world: &World, call: &Call) -> Xml {
    let account = world.accounts.get(&call.caller.account);
    let id = match &call.caller.principal {
        Principal::Operator => "AIDASANDBOXOPERATOR22".to_owned(),
        Principal::User(name) => {
            account.and_then(|account| account.users.get(name)).map(|user| user.id.clone()).unwrap_or_default()
        }
        Principal::Role { session, .. } => {
            let role_id = world.sessions.get(&call.caller.access_key_id).map(|session| session.role_id.as_str());
            format!("{}:{session}", role_id.unwrap_or_default())
        }
    };
    Xml::new()
        .text("Arn", authorize::principal_arn(&call.caller.account, &call.caller.principal))
        .text("UserId", id)
        .text("Account", &call.caller.account)
}

/// Tells the account of any key, of whatever organization; the sandbox knows its own.
fn access_key_info(world: &World, call: &Call) -> Result<Xml, ApiError> {
    let id = required(call, "AccessKeyId")?;
    let users = world.key_owners.get(id).map(|owner| owner.account.as_str());
    let account = users.or_else(|| world.sessions.get(id).map(|session| session.account.as_str()));
    let account = account.ok_or_else(|| invalid(format!("Invalid access key id: {id}")))?;
    Ok(Xml::new().text("Account", account))
}

fn assume_role(world: &mut World, call: &Call) -> Result<Xml, ApiError> {
    let arn = required(call, "RoleArn")?;
    let name = required(call, "RoleSessionName")?;
    if !(2..=64).contains(&name.len())
        || !name.chars().all(|character| character.is_ascii_alphanumeric() || "_+=,.@-".contains(character))
    {
        return Err(invalid(format!(
            "1 validation error detected: Value '{name}' at 'roleSessionName' failed to satisfy constraint: \
             Member must satisfy regular expression pattern: [\\w+=,.@-]*"
        )));
    }
    let (account, role_name) = role_of(arn).ok_or_else(|| invalid(format!("{arn} is invalid")))?;
    let denied = || {
        let who = authorize::principal_arn(&call.caller.account, &call.caller.principal);
        let message = format!("User: {who} is not authorized to perform: sts:AssumeRole on resource: {arn}");
        refusal::access_denied(Service::Sts, message)
    };
    if world.faults.sts_disabled.contains(account) {
        let message = format!("STS is not activated in this region for account:{account}.");
        return Err(ApiError::new(403, "RegionDisabledException", message));
    }
    let role = world.accounts.get(account).and_then(|account| account.roles.get(role_name)).ok_or_else(denied)?;
    if role.external_id.is_some() && role.external_id.as_deref() != call.text("ExternalId") {
        return Err(denied());
    }
    let seconds = duration(call, role.longest_session)?;
    let policy = call.text("Policy").map(Policy::from_identity).transpose().map_err(|error| match error {
        PolicyError::Malformed(_) => ApiError::new(400, "MalformedPolicyDocument", error.to_string()),
        PolicyError::Unsupported(_) => ApiError::new(501, "NotImplemented", error.to_string()),
    })?;
    let role_id = role.id.clone();
    let told = ends(world.now(), SignedDuration::from_secs(seconds.into()));
    let really = world.faults.shortened_session(account).map_or(told, |lasts| told.min(ends(world.now(), lasts)));
    let token = world.token(200);
    let session = Session {
        account: account.to_owned(),
        role: role_name.to_owned(),
        name: name.to_owned(),
        role_id: role_id.clone(),
        policy,
        expires: really,
        token,
    };
    let credentials = world.open_session(session);
    Ok(Xml::new()
        .element("Credentials", |xml| {
            xml.text("AccessKeyId", credentials.access_key_id)
                .text("SecretAccessKey", credentials.secret_access_key)
                .optional("SessionToken", credentials.session_token)
                .text("Expiration", told.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
        })
        .element("AssumedRoleUser", |xml| {
            xml.text("AssumedRoleId", format!("{role_id}:{name}"))
                .text("Arn", format!("arn:aws:sts::{account}:assumed-role/{role_name}/{name}"))
        }))
}

fn ends(from: Timestamp, lasts: SignedDuration) -> Timestamp {
    from.saturating_add(lasts).unwrap_or(Timestamp::MAX)
}

fn duration(call: &Call, longest: u32) -> Result<u32, ApiError> {
    let asked = match call.text("DurationSeconds") {
        None => return Ok(DEFAULT_SECONDS.min(longest)),
        Some(text) => {
            text.parse().ok().filter(|seconds| (LEAST_SECONDS..=MOST_SECONDS).contains(seconds)).ok_or_else(|| {
                invalid(format!(
                    "1 validation error detected: Value '{text}' at 'durationSeconds' failed to satisfy constraint: \
                     Member must have value between {LEAST_SECONDS} and {MOST_SECONDS}"
                ))
            })?
        }
    };
    let chained = matches!(call.caller.principal, Principal::Role { .. });
    if asked > longest {
        return Err(invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role."));
    }
    if chained && asked > MOST_CHAINED_SECONDS {
        return Err(invalid(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
        ));
    }
    Ok(asked)
}

/// Account and role name of `arn:aws:iam::<account>:role/<path and name>`.
fn role_of(arn: &str) -> Option<(&str, &str)> {
    let (account, resource) = arn.strip_prefix("arn:aws:iam::")?.split_once(':')?;
    let name = resource.strip_prefix("role/")?.rsplit('/').next()?;
    Some((account, name))
}

fn required<'a>(call: &'a Call, name: &str) -> Result<&'a str, ApiError> {
    call.text(name).ok_or_else(|| invalid(format!("The request must contain the parameter {name}")))
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(400, "ValidationError", message)
}
