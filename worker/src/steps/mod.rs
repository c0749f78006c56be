//! What is done to one user's keys. Each step says what it finds when it is run twice.

pub mod destination;
pub mod retire;
pub mod rotate;
pub mod settle;

use jiff::Timestamp;
use key_rotation_aws::MemberSession;
use rotation::{AccessKeyId, UserName};

use crate::account::AccountWork;
use crate::aws::iam::{Iam, KeyRecord};
use crate::error::StepError;

/// One user of one account, while it is worked on.
#[derive(Clone, Copy)]
pub struct UserWork<'a> {
    /// The account.
    pub account: &'a AccountWork<'a>,
    /// The user.
    pub user: &'a UserName,
    /// Its ARN, path included.
    pub arn: &'a str,
}

impl UserWork<'_> {
    /// AWS's time.
    pub fn now(&self) -> Timestamp {
        self.account.rotator.connection.clock().now()
    }

    /// The user's keys, read afresh.
    pub async fn keys(&self, session: &MemberSession) -> Result<Vec<KeyRecord>, StepError> {
        Ok(Iam::of(session).access_keys(self.user).await?)
    }
}

/// The key of this id, if it is there.
pub fn find<'k>(keys: &'k [KeyRecord], id: &AccessKeyId) -> Option<&'k KeyRecord> {
    keys.iter().find(|key| key.id == *id)
}
