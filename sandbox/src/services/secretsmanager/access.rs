//! Who may do what with a secret: the resource policy, and what the caller's identity allows.
//!
//! Identities are simple here. The operator and role sessions may do everything with the secrets of their own account (a session
//! policy is enforced before a call gets here). A user may do what a resource policy allows it, and nothing else. Managed policies
//! have no documents in the sandbox: across accounts, where AWS wants an identity's own policy besides the secret's, a
//! user that has any managed policy attached is taken to have that one.

use super::error;
use super::secret::Secret;
use crate::call::{ApiError, Call, Principal, partition};
use crate::policy::{Policy, Request, Verdict, account_of};
use crate::world::World;

/// The ARN of a role without a path.
fn role_arn(partition: &str, account: &str, role: &str) -> String {
    format!("arn:{partition}:iam::{account}:role/{role}")
}

/// The ARN of the caller as messages and policies write it: a user's, or a role session's.
fn caller_arn(world: &World, call: &Call) -> String {
    let account = &call.caller.account;
    let partition = partition(&call.region);
    match &call.caller.principal {
        Principal::Operator => format!("arn:{partition}:iam::{account}:user/sandbox-operator"),
        Principal::User(name) => {
            let path =
                world.accounts.get(account).and_then(|account| account.users.get(name)).map(|user| user.path.as_str());
            format!("arn:{partition}:iam::{account}:user{}{name}", path.unwrap_or("/"))
        }
        Principal::Role { role, session } => format!("arn:{partition}:sts::{account}:assumed-role/{role}/{session}"),
    }
}

/// Refuses the call unless the caller may do `action` (without the service's prefix) with the secret.
pub(super) fn check(world: &World, call: &Call, action: &str, secret: &Secret) -> Result<(), ApiError> {
    let action = format!("secretsmanager:{action}");
    let caller = caller_arn(world, call);
    let verdict = secret.policy.as_ref().map_or(Verdict::Silent, |policy| {
        policy.verdict(&Request {
            action: &action,
            resource: &secret.arn,
            names: names(call, &caller),
            account: &call.caller.account,
            context: context(world, call, &caller),
        })
    });
    let own_account = call.caller.account == secret.account;
    let identity = identity_allows(world, call, own_account);
    let refused = |why: &str| {
        Err(error::access_denied(format!(
            "User: {caller} is not authorized to perform: {action} on resource: {} {why}",
            secret.arn
        )))
    };
    match verdict {
        Verdict::Denied => refused("with an explicit deny in a resource-based policy"),
        Verdict::AllowedCaller if own_account || identity => Ok(()),
        Verdict::AllowedAccount if identity => Ok(()),
        Verdict::Silent if own_account && identity => Ok(()),
        Verdict::Silent if !own_account => {
            refused(&format!("because no resource-based policy allows the {action} action"))
        }
        Verdict::AllowedCaller | Verdict::AllowedAccount | Verdict::Silent => {
            refused(&format!("because no identity-based policy allows the {action} action"))
        }
    }?;
    // The AWS-managed key cannot be used from another account. (Secrets Manager User Guide, "Cross-account access".)
    let own_key = secret.kms_key_id.as_deref().is_some_and(|key| !key.ends_with("aws/secretsmanager"));
    if !own_account && action.ends_with(":GetSecretValue") && !own_key {
        return Err(error::access_denied("Access to KMS is not allowed"));
    }
    Ok(())
}

/// Refuses the call unless the caller's identity may do `action` in its own account: where there is no secret yet.
pub(super) fn check_identity(world: &World, call: &Call, action: &str) -> Result<(), ApiError> {
    if identity_allows(world, call, true) {
        return Ok(());
    }
    Err(error::access_denied(format!(
        "User: {} is not authorized to perform: secretsmanager:{action} because no identity-based policy allows the \
         secretsmanager:{action} action",
        caller_arn(world, call)
    )))
}

fn identity_allows(world: &World, call: &Call, own_account: bool) -> bool {
    match &call.caller.principal {
        Principal::Operator | Principal::Role { .. } => true,
        Principal::User(_) if own_account => false,
        Principal::User(name) => world
            .accounts
            .get(&call.caller.account)
            .and_then(|account| account.users.get(name))
            .is_some_and(|user| !user.attached_policies.is_empty()),
    }
}

/// The names a policy can name the caller by.
fn names(call: &Call, caller: &str) -> Vec<String> {
    let mut names = vec![caller.to_owned()];
    if let Principal::Role { role, .. } = &call.caller.principal {
        names.push(role_arn(partition(&call.region), &call.caller.account, role));
    }
    names
}

/// The condition keys that have a value for this call.
fn context(world: &World, call: &Call, caller: &str) -> Vec<(String, String)> {
    let account = &call.caller.account;
    let arn = match &call.caller.principal {
        Principal::Operator | Principal::User(_) => caller.to_owned(),
        // For a session it is the role's, not the session's.
        Principal::Role { role, .. } => role_arn(partition(&call.region), account, role),
    };
    let mut context = vec![("aws:principalaccount".to_owned(), account.clone()), ("aws:principalarn".to_owned(), arn)];
    if world.accounts.contains_key(account) {
        context.push(("aws:principalorgid".to_owned(), world.organization.id.clone()));
    }
    if let Principal::User(name) = &call.caller.principal {
        let user = world.accounts.get(account).and_then(|account| account.users.get(name));
        let tags = user.map(|user| &user.holds.tags).into_iter().flatten();
        context
            .extend(tags.map(|(key, value)| (format!("aws:principaltag/{}", key.to_ascii_lowercase()), value.clone())));
    }
    context
}

/// Refuses a policy that names somebody who is not there. Secrets Manager looks principals up when a policy is put, so that
/// a user with a path must be named with it.
pub(super) fn check_principals(world: &World, policy: &Policy) -> Result<(), ApiError> {
    match policy.principals().find(|principal| !exists(world, principal)) {
        None => Ok(()),
        Some(principal) => Err(error::malformed_policy(format!(
            "This resource policy contains an unsupported principal. ({principal} is not there.)"
        ))),
    }
}

fn exists(world: &World, principal: &str) -> bool {
    if account_of(principal).is_some() {
        return true;
    }
    let parts: Vec<&str> = principal.splitn(6, ':').collect();
    let &["arn", _, "iam" | "sts", "", account, what] = parts.as_slice() else { return false };
    // Of accounts outside the organization nothing is known.
    let Some(account) = world.accounts.get(account) else { return true };
    match what.split_once('/') {
        Some(("user", rest)) => {
            let (path, name) =
                rest.rsplit_once('/').map_or((String::new(), rest), |(path, name)| (format!("{path}/"), name));
            account.users.get(name).is_some_and(|user| user.path == format!("/{path}"))
                || principal.ends_with(":user/sandbox-operator")
        }
        Some(("role", rest)) => account.roles.contains_key(rest.rsplit('/').next().unwrap_or_default()),
        Some(("assumed-role", rest)) => account.roles.contains_key(rest.split('/').next().unwrap_or_default()),
        Some(_) | None => false,
    }
}
