//! The organization: its accounts and organizational units, a page at a time, and what an account's state means.
//!
//! Organizations allows few calls a second and none of its lists is long lived: each page is tried again with growing
//! waits, and a session that ends in the middle is renewed where it came from a role.

mod enforcement;
mod scope;

use aws_sdk_organizations::Client;
use aws_sdk_organizations::types::{Account, AccountState};
use key_rotation_aws::{AwsError, Connection, ErrorClass, RetryPolicy};
use rotation::AccountId;
use tokio::sync::RwLock;

pub use enforcement::{UnitOrAccount, enforced_accounts};
pub use scope::{ListingSummary, MemberState, ResolvedScope, Scope, SkippedAccounts, UnitId};

use crate::settings::OrgListRole;

/// The organization, read with the process's own credentials or with a role that may.
#[derive(Debug)]
pub struct Organization {
    connection: Connection,
    role: Option<OrgListRole>,
    session_name: String,
    /// `None` before the first call.
    client: RwLock<Option<Client>>,
}

/// One account of the organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub account: AccountId,
    pub name: Option<String>,
    pub email: Option<String>,
    /// Whether it can be worked in.
    pub state: MemberState,
}

impl Member {
    /// An account taken as it was named, because the organization cannot be read.
    pub(crate) fn as_named(account: AccountId) -> Self {
        Self { account, name: None, email: None, state: MemberState::Active }
    }
}

/// What is said of an account that was taken as it was named.
pub(crate) fn taken_as_named(account: &AccountId) -> String {
    format!(
        "AWS Organizations cannot be read: account {account} is taken as it was named. Its name and address are not known, so \
         only the owners in its users' tags are mailed"
    )
}

/// What the organization says of one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountLookup {
    /// It belongs to it.
    Member(Member),
    /// It does not.
    Foreign,
    /// These credentials may not ask.
    Unreadable(AwsError),
}

/// A page of a list, and the token of the next.
struct Page<T> {
    items: Vec<T>,
    next: Option<String>,
}

impl Organization {
    /// The organization, read with the role to list with, where there is one. Nothing is called yet.
    pub fn new(connection: &Connection, role: Option<&OrgListRole>, session_name: &str) -> Self {
        let (connection, role) = (connection.clone(), role.cloned());
        Self { connection, role, session_name: session_name.to_owned(), client: RwLock::new(None) }
    }

    /// Looks one account up.
    ///
    /// # Errors
    /// [`AwsError`] where the question got no answer at all.
    pub async fn describe(&self, account: &AccountId) -> Result<AccountLookup, AwsError> {
        const OPERATION: &str = "organizations:DescribeAccount";
        let answer = self
            .call(async |client| {
                let call = client.describe_account().account_id(account.as_str());
                call.send().await.map_err(|error| AwsError::new(OPERATION, error))
            })
            .await;
        match answer {
            Ok(found) => match found.account.as_ref().and_then(member) {
                Some(member) => Ok(AccountLookup::Member(member)),
                None => Err(AwsError::incomplete(OPERATION, "the answer holds no account")),
            },
            Err(error) if error.class == ErrorClass::NotFound => Ok(AccountLookup::Foreign),
            Err(error) if error.class == ErrorClass::Denied => Ok(AccountLookup::Unreadable(error)),
            Err(error) => Err(error),
        }
    }

    /// A page of all accounts.
    async fn accounts(&self, token: Option<String>) -> Result<Page<Member>, AwsError> {
        const OPERATION: &str = "organizations:ListAccounts";
        let answer = self
            .call(async |client| {
                let call = client.list_accounts().set_next_token(token.clone());
                call.send().await.map_err(|error| AwsError::new(OPERATION, error))
            })
            .await?;
        Ok(Page { items: answer.accounts().iter().filter_map(member).collect(), next: answer.next_token })
    }

    /// A page of the accounts directly in a unit.
    async fn accounts_in(&self, unit: &UnitId, token: Option<String>) -> Result<Page<Member>, AwsError> {
        const OPERATION: &str = "organizations:ListAccountsForParent";
        let answer = self
            .call(async |client| {
                let call = client.list_accounts_for_parent().parent_id(unit.as_str()).set_next_token(token.clone());
                call.send().await.map_err(|error| AwsError::new(OPERATION, error))
            })
            .await?;
        Ok(Page { items: answer.accounts().iter().filter_map(member).collect(), next: answer.next_token })
    }

    /// The units directly in a unit, all of them: a unit holds few.
    async fn units_in(&self, unit: &UnitId) -> Result<Vec<UnitId>, AwsError> {
        const OPERATION: &str = "organizations:ListOrganizationalUnitsForParent";
        let mut units = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let answer = self
                .call(async |client| {
                    let call = client.list_organizational_units_for_parent().parent_id(unit.as_str());
                    let call = call.set_next_token(token.clone());
                    call.send().await.map_err(|error| AwsError::new(OPERATION, error))
                })
                .await?;
            units.extend(answer.organizational_units().iter().filter_map(|unit| unit.id()?.parse().ok()));
            token = answer.next_token;
            if token.is_none() {
                return Ok(units);
            }
        }
    }

    /// Makes a call, tried again where it may pass, with a session renewed once if it has ended meanwhile.
    async fn call<T>(&self, request: impl AsyncFn(Client) -> Result<T, AwsError>) -> Result<T, AwsError> {
        let attempt = async || {
            let client = self.client().await?;
            RetryPolicy::RUN.retry(async || request(client.clone()).await).await
        };
        match attempt().await {
            Err(error) if error.class == ErrorClass::SessionEnded && self.role.is_some() => {
                *self.client.write().await = None;
                attempt().await
            }
            answer => answer,
        }
    }

    /// The client, with a session of the role to list with.
    async fn client(&self) -> Result<Client, AwsError> {
        if let Some(client) = self.client.read().await.as_ref() {
            return Ok(client.clone());
        }
        let mut current = self.client.write().await;
        if let Some(client) = current.as_ref() {
            return Ok(client.clone());
        }
        let client = match &self.role {
            None => self.connection.organizations(),
            Some(list) => list.role.connect(&self.connection, &list.account, &self.session_name).await?.organizations(),
        };
        Ok(current.insert(client).clone())
    }
}

fn member(account: &Account) -> Option<Member> {
    let id = account.id().unwrap_or_default();
    let Ok(account_id) = AccountId::new(id) else {
        tracing::error!(account = id, "the organization lists a malformed account id: the account is left out");
        return None;
    };
    // `Status` was retired in September 2026; an endpoint older than `State` has only that.
    let state = match (account.state(), account.status()) {
        (Some(state), _) => Some(state.as_str()),
        (None, Some(status)) => Some(status.as_str()),
        (None, None) => None,
    };
    Some(Member {
        account: account_id,
        name: account.name().map(str::to_owned),
        email: account.email().map(str::to_owned),
        state: member_state(state),
    })
}

fn member_state(state: Option<&str>) -> MemberState {
    match state {
        Some(state) if state == AccountState::Active.as_str() => MemberState::Active,
        Some(state) if AccountState::values().contains(&state) => MemberState::Inactive(state.to_owned()),
        Some(state) => MemberState::Unknown(Some(state.to_owned())),
        None => MemberState::Unknown(None),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_organizations::types::AccountStatus;

    use super::*;

    fn listed(state: Option<AccountState>, status: Option<AccountStatus>) -> MemberState {
        let account = Account::builder().id("123456789012").set_state(state).set_status(status).build();
        member(&account).unwrap().state
    }

    #[test]
    fn only_the_state_active_counts_as_active() {
        assert_eq!(listed(Some(AccountState::Active), None), MemberState::Active);
        for state in [AccountState::Suspended, AccountState::PendingClosure, AccountState::PendingActivation] {
            assert_eq!(listed(Some(state.clone()), None), MemberState::Inactive(state.as_str().to_owned()));
        }
    }

    #[test]
    fn the_state_wins_over_the_retired_status() {
        assert_eq!(
            listed(Some(AccountState::Closed), Some(AccountStatus::Active)),
            MemberState::Inactive("CLOSED".to_owned())
        );
    }

    #[test]
    fn where_an_older_endpoint_has_no_state_the_status_counts() {
        assert_eq!(listed(None, Some(AccountStatus::Active)), MemberState::Active);
        assert_eq!(listed(None, Some(AccountStatus::Suspended)), MemberState::Inactive("SUSPENDED".to_owned()));
    }

    #[test]
    fn a_state_this_version_does_not_know_is_unknown_and_not_active() {
        assert_eq!(listed(Some("FROZEN".into()), None), MemberState::Unknown(Some("FROZEN".to_owned())));
        assert_eq!(listed(None, None), MemberState::Unknown(None));
    }

    #[test]
    fn an_account_with_a_malformed_id_is_left_out() {
        assert_eq!(member(&Account::builder().id("12").build()), None);
    }
}
