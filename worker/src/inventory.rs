//! Whom to look at. The one place that knows how users are found.
//!
//! Of a whole account it is chosen (by `rotation::selection`) from one listing of its users and from its credential report, so
//! that an account in which nothing is due costs a few calls. A user that a message names is always looked at.

mod recent_members;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use key_rotation_aws::{AwsError, CredentialReportError, MemberSession, credential_report};
use rotation::names::state_tag;
use rotation::selection::{FullScan, KeyInReport, reason_by_report, reason_without_report};
use rotation::user::UserTags;
use rotation::{AccessKeyId, AccountId, Policy, User, UserName};
use tracing::{debug, info, warn};

use crate::aws::iam::{Iam, UserRecord};

pub use recent_members::RecentMembers;

/// For so few users the credential report is not asked for: to look at them costs no more calls.
const MAX_USERS_WITHOUT_REPORT: usize = 3;

/// The parts of the longest wait for the report, after each of which it is asked for again. Together nearly all of it.
const PAUSES: [u32; 3] = [8, 4, 2];

/// The users of one account, by whether they are to be looked at.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// Users that are looked at, with the tags they had when they were listed.
    pub looked_at: Vec<UserRecord>,
    /// Users that are looked at only if the account's credential report, which is being generated, says so.
    pub undecided: Vec<UserRecord>,
    /// The members of the exemption group, read to its last page, where the users' own groups are not known.
    exempt: HashSet<String>,
    /// Whether the exemption group exists, where that was asked.
    pub exemption_group_found: Option<bool>,
}

/// What decides whom to look at.
#[derive(Debug, Clone, Copy)]
pub struct SelectionInput<'a> {
    pub now: Timestamp,
    /// When the run was begun.
    pub run: Timestamp,
    pub policy: &'a Policy,
    pub full_scan: FullScan,
    pub account: &'a AccountId,
    pub exemption_group: &'a str,
}

impl Inventory {
    /// The users of the account: those that are looked at whatever its credential report says, and the others.
    ///
    /// # Errors
    /// [`AwsError`]: if it cannot be found out who is exempt, nobody is looked at.
    pub async fn for_account(session: &MemberSession, selection: &SelectionInput<'_>) -> Result<Self, AwsError> {
        let listing = Iam::new(session).all_users().await?;
        let group = selection.exemption_group;
        let mut inventory = Self::default();
        if listing.users.iter().any(|user| user.groups.is_none()) {
            inventory.set_exempt(Iam::new(session).group_members(group).await?);
        } else {
            inventory.exemption_group_found = Some(listing.has_group(group));
        }
        let users = listing.users.into_iter();
        (inventory.looked_at, inventory.undecided) =
            users.partition(|user| selection.needs_no_report(user, inventory.is_exempt(user, group)));
        if inventory.undecided.len() <= MAX_USERS_WITHOUT_REPORT {
            inventory.looked_at.append(&mut inventory.undecided);
        } else if let Err(error) = credential_report::generate(session.iam()).await {
            log_no_report(&error);
            inventory.looked_at.append(&mut inventory.undecided);
        }
        Ok(inventory)
    }

    /// One user; empty if there is no such user. Without a group nobody is exempt by one.
    ///
    /// # Errors
    /// As [`Inventory::for_account`].
    pub async fn for_user(
        session: &MemberSession,
        exemption_group: Option<&str>,
        user: &UserName,
    ) -> Result<Self, AwsError> {
        let iam = Iam::new(session);
        let mut inventory = Self::default();
        if let Some(group) = exemption_group {
            inventory.set_exempt(iam.group_members(group).await?);
        }
        inventory.looked_at.extend(iam.user(user).await?);
        Ok(inventory)
    }

    /// That there is no such group is a definite answer: then it has no members.
    fn set_exempt(&mut self, members: Option<Vec<String>>) {
        self.exemption_group_found = Some(members.is_some());
        self.exempt.extend(members.into_iter().flatten());
    }

    /// The users that the credential report says may need something; all of them where there is no report.
    pub async fn choose_by_report(
        &self,
        session: &MemberSession,
        selection: &SelectionInput<'_>,
        longest_wait: Duration,
    ) -> Vec<&UserRecord> {
        let pauses = PAUSES.map(|part| longest_wait / part);
        let report = match credential_report::get_once_complete(session.iam(), &pauses).await {
            Ok(report) => report,
            Err(error) => {
                log_no_report(&error);
                return self.undecided.iter().collect();
            }
        };
        if let Some(row) = report.unreadable.first() {
            let (rows, user) = (report.unreadable.len(), row.user.as_deref());
            warn!(
                rows,
                user,
                error = row.why,
                "rows of the credential report cannot be read: their users are looked at"
            );
        }
        let reported: HashMap<_, _> = report.users.iter().map(|row| ((&row.name, row.created), row)).collect();
        let is_chosen = |user: &&UserRecord| {
            // The row of another user that had the name before has another creation time.
            let row = reported.get(&(&user.name, user.created));
            let keys: Option<Vec<KeyInReport>> = row.map(|row| {
                let key = |key: &credential_report::ReportedKey| KeyInReport {
                    active: key.active,
                    last_rotated: key.last_rotated,
                };
                row.keys.iter().map(key).collect()
            });
            let reason = reason_by_report(selection.now, selection.policy, keys.as_deref());
            debug!(user = %user.name, reason = reason.map(|reason| reason.as_str()), "by the credential report");
            reason.is_some()
        };
        self.undecided.iter().filter(is_chosen).collect()
    }

    /// Every user that was found, whether it is looked at or not.
    pub fn everybody(&self) -> impl Iterator<Item = &UserRecord> {
        self.looked_at.iter().chain(&self.undecided)
    }

    /// Whether the user is exempt by group: by the group's own list, or by the user's.
    pub fn is_exempt(&self, user: &UserRecord, exemption_group: &str) -> bool {
        self.exempt.contains(user.name.as_str()) || user.is_in_group(exemption_group) == Some(true)
    }
}

impl SelectionInput<'_> {
    fn needs_no_report(&self, record: &UserRecord, in_exemption_group: bool) -> bool {
        let tags = UserTags::from_pairs(&record.tags);
        let user = User { name: record.name.clone(), keys: Vec::new(), in_exemption_group, tags };
        let reason = reason_without_report(self.now, self.run, self.full_scan, self.account, &user);
        debug!(user = %user.name, reason = reason.map(|reason| reason.as_str()), "without the credential report");
        reason.is_some()
    }
}

/// Finds the user a key belongs to, or (after an interrupted leak response has deleted the key) the one that still carries
/// the key's state tag. Where IAM does not say whose key it is, every user's keys are looked through: only then "nobody's" is
/// an answer and not a guess.
///
/// # Errors
/// [`AwsError`].
pub async fn owner_of(session: &MemberSession, key: &AccessKeyId) -> Result<Option<UserName>, AwsError> {
    let iam = Iam::new(session);
    if let Some(user) = iam.owner_of(key).await? {
        return Ok(Some(user));
    }
    let tag = state_tag(key);
    let users = iam.all_users().await?.users;
    if let Some(user) = users.iter().find(|user| user.tags.iter().any(|(key, _)| *key == tag)) {
        return Ok(Some(user.name.clone()));
    }
    for user in users {
        if iam.access_keys(&user.name).await?.iter().any(|held| held.id == *key) {
            return Ok(Some(user.name));
        }
    }
    Ok(None)
}

/// Without the report every user is looked at: more calls, nothing else.
fn log_no_report(error: &CredentialReportError) {
    match error {
        CredentialReportError::InProgress => {
            info!("the credential report was not ready in time: every user is looked at");
        }
        CredentialReportError::NotPresent
        | CredentialReportError::Expired
        | CredentialReportError::Denied(_)
        | CredentialReportError::Unreadable(_)
        | CredentialReportError::Aws(_) => warn!(%error, "there is no credential report: every user is looked at"),
    }
}
