//! What is done to one user's keys. Each step says what it finds when it is run twice.

pub mod destination;
pub mod key_status;
pub mod rotate;
pub mod settle;

use key_rotation_aws::MemberSession;
use rotation::{AccessKeyId, KeyStatus};

use crate::aws::iam::{Iam, KeyRecord};
use crate::context::UserContext;
use crate::error::StepError;

/// The user's keys, read afresh.
///
/// # Errors
/// [`StepError::Aws`].
pub async fn access_keys(context: &UserContext<'_>, session: &MemberSession) -> Result<Vec<KeyRecord>, StepError> {
    Ok(Iam::new(session).access_keys(context.user).await?)
}

/// The key of this id, if it is there.
pub fn find<'k>(keys: &'k [KeyRecord], id: &AccessKeyId) -> Option<&'k KeyRecord> {
    keys.iter().find(|key| key.id == *id)
}

/// Whether the key of this id is there, and active.
pub fn is_live(keys: &[KeyRecord], id: &AccessKeyId) -> bool {
    find(keys, id).is_some_and(|key| key.status == KeyStatus::Active)
}
