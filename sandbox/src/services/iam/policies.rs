//! Managed policies attached to users. The sandbox knows which there are, not what is in them.

use super::page::{self, Page};
use super::{Answered, ApiError, required, user, user_to_change};
use crate::call::Call;
use crate::journal::Effect;
use crate::wire::xml::Xml;
use crate::world::World;

pub(super) fn attach(world: &mut World, call: &Call) -> Answered {
    let (name, policy) = (required(call, "UserName")?, required(call, "PolicyArn")?);
    if !policy.starts_with("arn:") {
        return Err(ApiError::new(400, "InvalidInput", format!("ARN {policy} is not valid.")));
    }
    if !is_there(world, call, policy) {
        let message = format!("Policy {policy} does not exist or is not attachable.");
        return Err(ApiError::new(404, "NoSuchEntity", message));
    }
    user_to_change(world, call, name)?.attached_policies.insert(policy.to_owned());
    let now = world.now();
    let effect = Effect::PolicyAttached { user: name.to_owned(), policy: policy.to_owned() };
    world.journal.effect(now, &call.caller, &call.caller.account, effect);
    Ok(Xml::new())
}

/// Whether it is one of AWS's own, whatever its name, or one of the account's.
fn is_there(world: &World, call: &Call, policy: &str) -> bool {
    let own = format!("arn:aws:iam::{}:policy/", call.caller.account);
    policy.starts_with("arn:aws:iam::aws:policy/")
        || policy.starts_with(&own)
            && world
                .accounts
                .get(&call.caller.account)
                .is_some_and(|account| account.policies.contains(name_of(policy)))
}

pub(super) fn list(world: &mut World, call: &Call) -> Answered {
    let user = user(world, call, required(call, "UserName")?)?;
    let policies = user.attached_policies.iter().map(|arn| (arn.as_str(), name_of(arn)));
    let (policies, more) = Page::asked(call)?.skip(policies);
    let xml = Xml::new().list("AttachedPolicies", &policies, |xml, (arn, name)| policy_elements(xml, arn, name));
    Ok(page::end(xml, policies.last().map(|(arn, _)| *arn), more))
}

/// The elements of an attached policy.
pub(super) fn policy_elements(xml: Xml, arn: &str, name: &str) -> Xml {
    xml.text("PolicyName", name).text("PolicyArn", arn)
}

/// The name at the end of a policy's ARN.
pub(super) fn name_of(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}
