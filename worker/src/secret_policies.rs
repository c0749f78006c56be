//! The policies of secrets that are there already, brought to what the settings say now: a new reader need not wait until each user's
//! next rotation. One call for a hundred secrets tells which are not as they should be.

use std::collections::HashMap;

use key_rotation_aws::{AwsError, MIN_SESSION_FOR_ONE_USER, MemberSession};
use rotation::Task;
use rotation::job::Whom;
use rotation::names::{SECRET_USER_ID_TAG, secret_name, secret_prefix};
use rotation::user::UserTags;
use tracing::{info, warn};

use crate::aws::iam::{Iam, UserRecord};
use crate::aws::secrets::ListedSecret;
use crate::context::{AccountContext, UserContext};
use crate::error::StepError;
use crate::inventory::Inventory;
use crate::steps::destination::{Destination, store};

/// After this many failures in a row the rest is left to a later run: it would hardly fare better.
const MAX_FAILURES: usize = 5;

/// Writes the policies that are not as they should be. Run twice, it changes nothing more. Where it cannot it says so, and nothing is lost: at a
/// user's next rotation the policy is written before a key is made.
pub async fn bring_up_to_date(account: &AccountContext<'_>, inventory: &Inventory) {
    if account.dry_run {
        return;
    }
    match rewrite(account, inventory).await {
        Ok(0) => {}
        Ok(rewritten) => info!(rewritten, "the resource policies of secrets were brought up to date"),
        Err(error) => warn!(%error, "the secrets whose resource policy has to be rewritten could not be listed"),
    }
}

async fn rewrite(account: &AccountContext<'_>, inventory: &Inventory) -> Result<usize, StepError> {
    let session = account.sessions.with_at_least(MIN_SESSION_FOR_ONE_USER).await?;
    let id = &account.job.account;
    let one = match &account.job.task {
        Task::Account => None,
        Task::User(user) | Task::Restore { user, .. } => Some(user),
        Task::ForceRotate(request) => match &request.whom {
            Whom::User(user) | Whom::UserAndKey(user, _) => Some(user),
            Whom::Key(_) => inventory.looked_at.first().map(|record| &record.name),
        },
    };
    let prefix = one.map_or_else(|| secret_prefix(id), |user| secret_name(id, user));
    // By the owner's id: a user that has been renamed keeps the secret that has its former name, whose policy shuts out its new ARN.
    let owners: HashMap<&str, &UserRecord> = inventory.everybody().map(|record| (record.id.as_str(), record)).collect();
    let (mut rewritten, mut failed) = (0, 0);
    for secret in store(account, &session).list(&prefix).await? {
        let owner = secret.tags.get(SECRET_USER_ID_TAG).and_then(|id| owners.get(id.as_str()));
        let Some(record) = owner else { continue };
        let user = UserContext::new(account, record, false);
        if account.stop.is_asked() || failed == MAX_FAILURES {
            break;
        }
        if !Destination::has_another_policy(&user, &secret.tags) {
            continue;
        }
        let session = account.sessions.with_at_least(MIN_SESSION_FOR_ONE_USER).await?;
        match rewrite_one(&user, &session, &secret).await {
            Ok(is_rewritten) => (rewritten, failed) = (rewritten + usize::from(is_rewritten), 0),
            Err(error) => {
                warn!(%error, user = %record.name, "the resource policy of a secret could not be brought up to date");
                // One that is refused for good says nothing about those after it.
                failed += usize::from(error.class.may_pass());
            }
        }
    }
    Ok(rewritten)
}

/// Whether it was written. It is not while an attempt may be at work, or has left its intent: that one prepares the secret itself, and
/// its trace would be lost. So the trace is read first, and then whether there is an intent.
async fn rewrite_one(user: &UserContext<'_>, session: &MemberSession, secret: &ListedSecret) -> Result<bool, AwsError> {
    let destination = Destination { name: secret.name.clone(), ..Destination::new(user, session) };
    let last_attempt = destination.last_attempt().await?;
    let tags = Iam::new(session).user_tags(user.user).await?;
    let tags = UserTags::from_pairs(&tags);
    if !tags.intents.is_empty() || !tags.unreadable.is_empty() {
        return Ok(false);
    }
    destination.write_policy(user, &secret.tags, last_attempt).await?;
    Ok(true)
}
