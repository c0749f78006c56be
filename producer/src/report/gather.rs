//! All accounts concerned, some at once, while they are still being listed.

use futures::{StreamExt, stream};
use key_rotation_aws::AwsError;
use rotation::AccountId;
use tokio::sync::mpsc;

use super::account::{AccountKeys, AccountReader};
use super::progress::ProgressDisplay;
use crate::organization::{ListingSummary, Member, MemberState, Organization, ResolvedScope};

/// Accounts read at once. Most of the time they wait for IAM to generate their credential reports.
const ACCOUNTS_AT_ONCE: usize = 32;

/// What stands between the listing and the reading at most.
const BETWEEN_STAGES: usize = 100;

/// What was read of one account, or why it was not.
#[derive(Debug)]
pub(super) struct AccountRecord {
    pub(super) account: AccountId,
    pub(super) name: Option<String>,
    pub(super) read: Result<AccountKeys, String>,
}

/// All that was read.
#[derive(Debug, Default)]
pub(super) struct AccountRecords {
    /// By account id.
    pub(super) accounts: Vec<AccountRecord>,
    /// Accounts that were left out because they are not active.
    pub(super) not_active: Vec<Member>,
    /// Those of them that were asked for by id, with their state.
    pub(super) named_not_active: Vec<(AccountId, MemberState)>,
    /// Accounts taken as they were named, because the organization cannot be read.
    pub(super) as_named: Vec<AccountId>,
    /// Exclusions that met no account.
    pub(super) unmet_exclusions: Vec<AccountId>,
    /// Why the listing broke off, if it did: nobody knows how many accounts are missing.
    pub(super) broken_off: Option<AwsError>,
}

/// Reads every account of a listing.
pub(super) async fn organization(
    resolved: ResolvedScope,
    organization: &Organization,
    reader: AccountReader<'_>,
    progress: &ProgressDisplay,
) -> AccountRecords {
    let (found, members) = mpsc::channel(BETWEEN_STAGES);
    let members = stream::unfold(members, async |mut members| Some((members.recv().await?, members)));
    let read = members
        .map(|member: Member| {
            progress.found();
            one(member.account, member.name, reader, progress)
        })
        .buffer_unordered(ACCOUNTS_AT_ONCE)
        .collect::<Vec<_>>();
    let (listed, mut accounts) = tokio::join!(resolved.list(organization, found), read);
    accounts.sort_by(|a, b| a.account.cmp(&b.account));
    let ListingSummary { left_out, broken_off } = listed;
    AccountRecords {
        accounts,
        not_active: left_out.not_active,
        named_not_active: left_out.named,
        as_named: left_out.as_named,
        unmet_exclusions: left_out.unmet_exclusions,
        broken_off,
    }
}

pub(super) async fn one(
    account: AccountId,
    name: Option<String>,
    reader: AccountReader<'_>,
    progress: &ProgressDisplay,
) -> AccountRecord {
    let read = reader.read(&account).await.map_err(|error| error.to_string());
    if let Err(why) = &read {
        // Told at the end, with all others.
        tracing::debug!(%account, error = why, "the account could not be read");
    }
    progress.read(read.is_ok());
    AccountRecord { account, name, read }
}
