//! The users of member accounts, for runs that send one message per user.
//!
//! Each account's role is assumed with a session policy that allows listing users and nothing else, whatever the role may
//! do. An account that cannot be read to its last page is a problem that is told; the others go on.

use std::sync::{Mutex, PoisonError};

use futures::{StreamExt, stream};
use key_rotation_aws::iam::MAX_ITEMS;
use key_rotation_aws::{AwsError, Connection, MemberRole, RetryPolicy, SessionPolicy};
use rotation::{AccountId, Job, UserName};
use tokio::sync::mpsc::{Receiver, Sender};

use crate::organization::Member;

/// Accounts whose users are listed at once.
const ACCOUNTS_AT_ONCE: usize = 16;

/// An account whose users could not be listed, or not all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncompleteListing {
    pub account: AccountId,
    /// Users handed on before it failed.
    pub listed: u64,
    pub why: String,
}

/// What became of the accounts on their way to being jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExpansionSummary {
    /// Accounts that came in.
    pub accounts: u64,
    /// Those whose users are not all among the jobs.
    pub unlisted: Vec<IncompleteListing>,
}

/// Lists users of accounts.
#[derive(Debug)]
pub struct Users<'a> {
    /// The way to AWS.
    pub connection: &'a Connection,
    pub role: &'a MemberRole,
    /// How the sessions show in the accounts' CloudTrail.
    pub session_name: &'a str,
}

impl Users<'_> {
    /// Hands on a job for every user of every account that comes in. Ends early when nobody takes them any more.
    pub async fn expand(
        &self,
        members: Receiver<Member>,
        to: Sender<Job>,
        job: impl Fn(Member, UserName) -> Job,
    ) -> ExpansionSummary {
        let summary = Mutex::new(ExpansionSummary::default());
        let summary_now = || summary.lock().unwrap_or_else(PoisonError::into_inner);
        let members = stream::unfold(members, async |mut members| Some((members.recv().await?, members)));
        members
            .take_until(to.closed())
            .for_each_concurrent(ACCOUNTS_AT_ONCE, async |member| {
                summary_now().accounts += 1;
                let mut listed = 0;
                if let Err(error) = self.list(&member, &to, &job, &mut listed).await {
                    let account = member.account.clone();
                    tracing::error!(%account, %error, listed, "the account's users could not be listed");
                    let failure = IncompleteListing { account, listed, why: error.to_string() };
                    summary_now().unlisted.push(failure);
                }
            })
            .await;
        summary.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    async fn list(
        &self,
        member: &Member,
        to: &Sender<Job>,
        job: &impl Fn(Member, UserName) -> Job,
        listed: &mut u64,
    ) -> Result<(), AwsError> {
        const OPERATION: &str = "iam:ListUsers";
        let policy = Some(SessionPolicy::ListUsers);
        let session = RetryPolicy::MESSAGE
            .retry(async || self.role.assume(self.connection, &member.account, self.session_name, policy).await)
            .await?;
        let mut marker: Option<String> = None;
        loop {
            let page = RetryPolicy::MESSAGE
                .retry(async || {
                    let call = session.iam().list_users().max_items(MAX_ITEMS).set_marker(marker.clone());
                    call.send().await.map_err(|error| AwsError::new(OPERATION, error))
                })
                .await?;
            for user in page.users() {
                let name = UserName::new(user.user_name())
                    .map_err(|error| AwsError::incomplete(OPERATION, &error.to_string()))?;
                if to.send(job(member.clone(), name)).await.is_err() {
                    return Ok(());
                }
                *listed += 1;
            }
            match (page.is_truncated(), page.marker) {
                (false, _) => return Ok(()),
                (true, Some(next)) => marker = Some(next),
                (true, None) => {
                    return Err(AwsError::incomplete(OPERATION, "the page is truncated, but tells no marker"));
                }
            }
        }
    }
}
