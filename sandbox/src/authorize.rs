//! Who may do what. The sandbox has no identity policies: the operator may do everything in the management account, a role what its
//! own policy and its session's allow, a user nothing but say who it is and ask Secrets Manager, which has resource policies.
//! Rights taken away by a denial are missing for everybody in the account.

use crate::call::{ApiError, Call, Principal, Service};
use crate::refusal;
use crate::world::World;

/// Why a right is missing, as AWS words it.
const NO_IDENTITY_POLICY: &str = "no identity-based policy allows";
const NO_SESSION_POLICY: &str = "no session policy allows";
const EXPLICIT_DENY: &str = "with an explicit deny in an identity-based policy:";

/// Refuses a call its caller has no right to make. `subject` is what the call is about.
pub(crate) fn authorize(world: &World, call: &Call, subject: &str) -> Result<(), ApiError> {
    let action = format!("{}:{}", call.service.prefix(), call.operation);
    // AWS gives this one to everybody, whatever policies say.
    if action == "sts:GetCallerIdentity" {
        return Ok(());
    }
    let why = if world.faults.denies(&call.caller.account, &action, subject) {
        EXPLICIT_DENY
    } else {
        match missing_right(world, call, &action) {
            None => return Ok(()),
            Some(why) => why,
        }
    };
    let who = principal_arn(&call.caller.account, &call.caller.principal);
    let message = format!(
        "User: {who} is not authorized to perform: {action} on resource: {subject} because {why} the {action} action"
    );
    Err(refusal::access_denied(call.service, message))
}

fn missing_right(world: &World, call: &Call, action: &str) -> Option<&'static str> {
    match &call.caller.principal {
        Principal::Operator => None,
        Principal::User(_) => match call.service {
            // Which secret a user may read is for the secret's resource policy to say.
            Service::SecretsManager if ["GetSecretValue", "DescribeSecret"].contains(&call.operation.as_str()) => None,
            Service::SecretsManager
            | Service::Iam
            | Service::Sts
            | Service::Organizations
            | Service::Sqs
            | Service::Ses
            | Service::EventBridge => Some(NO_IDENTITY_POLICY),
        },
        Principal::Role { role, .. } => {
            let account = world.accounts.get(&call.caller.account);
            let role = account.and_then(|account| account.roles.get(role));
            let session = world.sessions.get(&call.caller.access_key_id);
            if !role.is_some_and(|role| role.policy.as_ref().is_none_or(|policy| policy.allows(action))) {
                return Some(NO_IDENTITY_POLICY);
            }
            let narrowed = session.and_then(|session| session.policy.as_ref());
            (!narrowed.is_none_or(|policy| policy.allows(action))).then_some(NO_SESSION_POLICY)
        }
    }
}

/// A caller's ARN, as `GetCallerIdentity` gives it.
pub(crate) fn principal_arn(account: &str, principal: &Principal) -> String {
    match principal {
        Principal::Operator => format!("arn:aws:iam::{account}:user/sandbox-operator"),
        Principal::User(name) => format!("arn:aws:iam::{account}:user/{name}"),
        Principal::Role { role, session } => format!("arn:aws:sts::{account}:assumed-role/{role}/{session}"),
    }
}
