//! Which of a user's keys is published in Secrets Manager, read off its secret's versions without reading the secret.

use aws_sdk_secretsmanager::Client;
use key_rotation_aws::secret::{self, CURRENT};
use key_rotation_aws::{AwsError, ErrorClass};
use rotation::progress::Publication;
use rotation::{AccountId, UserName, names};

/// What the user's secret in its own account publishes.
///
/// # Errors
/// [`AwsError`].
pub(crate) async fn read(secrets: &Client, account: &AccountId, user: &UserName) -> Result<Publication, AwsError> {
    match secret::describe(secrets, &names::secret_name(account, user)).await {
        Ok(Some(secret)) => {
            let versions = secret.version_ids_to_stages().into_iter().flatten();
            let current = versions.filter(|(_, stages)| stages.iter().any(|stage| stage == CURRENT));
            Ok(Publication::Versions(current.map(|(id, _)| id.clone()).collect()))
        }
        // Not here: either not yet anywhere, or in the central account.
        Ok(None) => Ok(Publication::Unreadable),
        Err(error) if error.class == ErrorClass::Denied => Ok(Publication::Unreadable),
        Err(error) => Err(error),
    }
}
