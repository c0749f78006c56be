//! Who has been put into the exemption group since an account's users were listed.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use key_rotation_aws::{AwsError, MemberSession};
use rotation::UserName;
use tokio::sync::Mutex;

use crate::aws::iam::Iam;

/// The members of the exemption group, as they were read last. A message about a large account takes up to an hour, in which a user may be
/// put into the group: so before something is done to a key, members that were read too long ago are read again.
#[derive(Debug)]
pub struct RecentMembers(Mutex<Members>);

#[derive(Debug)]
struct Members {
    /// When they were read, or the users listed.
    as_of: Instant,
    /// None before they are read for the first time: who was a member then shows in the listing.
    names: HashSet<String>,
}

impl Default for RecentMembers {
    /// The users are being listed now.
    fn default() -> Self {
        Self(Mutex::new(Members { as_of: Instant::now(), names: HashSet::new() }))
    }
}

impl RecentMembers {
    /// Whether the user has been put into the group, as known at most so long ago.
    ///
    /// # Errors
    /// [`AwsError`]: it cannot be found out.
    pub async fn includes(
        &self,
        session: &MemberSession,
        group: &str,
        user: &UserName,
        known_for: Duration,
    ) -> Result<bool, AwsError> {
        let mut members = self.0.lock().await;
        if members.as_of.elapsed() >= known_for {
            let as_of = Instant::now();
            let names = Iam::new(session).group_members(group).await?.unwrap_or_default().into_iter().collect();
            *members = Members { as_of, names };
        }
        Ok(members.names.contains(user.as_str()))
    }
}
