//! The organization: its accounts and organizational units, a page at a time, and what an account's state means.
//!
//! Organizations allows few calls a second and none of its lists is long lived: each page is tried again with growing
//! waits, and a session that ends in the middle is renewed where it came from a role.

mod scope;

use aws_sdk_organizations::Client;
use aws_sdk_organizations::types::{Account, AccountState};
use key_rotation_aws::{AwsError, Connection, ErrorClass};
use rotation::AccountId;
use tokio::sync::RwLock;

pub use scope::{Left, Listed, Resolved, Scope, Standing, UnitId};

use crate::backoff::{self, Patience};
use crate::settings::OrgListRole;

/// The organization, read with the own credentials or with a role that may.
#[derive(Debug)]
pub struct Organization {
    connection: Connection,
    role: Option<OrgListRole>,
    session_name: String,
    client: RwLock<Client>,
    patience: Patience,
}

/// One account of the organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub account: AccountId,
    /// Its name.
    pub name: Option<String>,
    /// Its address.
    pub email: Option<String>,
    /// Whether it can be worked in.
    pub standing: Standing,
}

/// What the organization says of one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Described {
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
    /// Opens it: assumes the role to list with, where there is one.
    ///
    /// # Errors
    /// [`AwsError`] where that role cannot be assumed.
    pub async fn open(
        connection: &Connection,
        role: Option<&OrgListRole>,
        session_name: &str,
    ) -> Result<Self, AwsError> {
        let client = client(connection, role, session_name).await?;
        Ok(Self {
            connection: connection.clone(),
            role: role.cloned(),
            session_name: session_name.to_owned(),
            client: RwLock::new(client),
            patience: Patience::RUN,
        })
    }

    /// Looks one account up.
    ///
    /// # Errors
    /// [`AwsError`] where the question got no answer at all.
    pub async fn describe(&self, account: &AccountId) -> Result<Described, AwsError> {
        const OPERATION: &str = "organizations:DescribeAccount";
        let answer = self
            .call(async |client| {
                let call = client.describe_account().account_id(account.as_str());
                call.send().await.map_err(|error| AwsError::of(OPERATION, error))
            })
            .await;
        match answer {
            Ok(found) => match found.account.as_ref().and_then(member) {
                Some(member) => Ok(Described::Member(member)),
                None => Err(AwsError::incomplete(OPERATION, "the answer holds no account")),
            },
            Err(error) => match error.class {
                ErrorClass::NotFound => Ok(Described::Foreign),
                ErrorClass::Denied => Ok(Described::Unreadable(error)),
                ErrorClass::Throttled
                | ErrorClass::Transient
                | ErrorClass::SessionEnded
                | ErrorClass::Conflict
                | ErrorClass::LimitExceeded
                | ErrorClass::Rejected
                | ErrorClass::SendingOff
                | ErrorClass::Invalid => Err(error),
            },
        }
    }

    /// A page of all accounts.
    async fn accounts(&self, token: Option<String>) -> Result<Page<Member>, AwsError> {
        const OPERATION: &str = "organizations:ListAccounts";
        let answer = self
            .call(async |client| {
                let call = client.list_accounts().set_next_token(token.clone());
                call.send().await.map_err(|error| AwsError::of(OPERATION, error))
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
                call.send().await.map_err(|error| AwsError::of(OPERATION, error))
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
                    call.send().await.map_err(|error| AwsError::of(OPERATION, error))
                })
                .await?;
            units.extend(answer.organizational_units().iter().filter_map(|unit| unit.id()?.parse().ok()));
            token = answer.next_token;
            if token.is_none() {
                return Ok(units);
            }
        }
    }

    /// Makes a call, patiently, with a session renewed once if it has ended meanwhile.
    async fn call<T>(&self, request: impl AsyncFn(Client) -> Result<T, AwsError>) -> Result<T, AwsError> {
        let attempt =
            async || backoff::retry(self.patience, async || request(self.client.read().await.clone()).await).await;
        match attempt().await {
            Err(error) if error.class == ErrorClass::SessionEnded && self.role.is_some() => {
                let renewed = client(&self.connection, self.role.as_ref(), &self.session_name).await?;
                *self.client.write().await = renewed;
                attempt().await
            }
            answer => answer,
        }
    }
}

async fn client(connection: &Connection, role: Option<&OrgListRole>, session_name: &str) -> Result<Client, AwsError> {
    match role {
        None => Ok(connection.organizations()),
        Some(list) => Ok(list.role.connect(connection, &list.account, session_name).await?.organizations()),
    }
}

fn member(account: &Account) -> Option<Member> {
    let id = account.id().unwrap_or_default();
    let Ok(account_id) = AccountId::new(id) else {
        tracing::error!(account = id, "the organization lists an account whose id is none: it is left out");
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
        standing: standing(state),
    })
}

fn standing(state: Option<&str>) -> Standing {
    match state {
        Some(state) if state == AccountState::Active.as_str() => Standing::Active,
        Some(state) if AccountState::values().contains(&state) => Standing::Inactive(state.to_owned()),
        Some(state) => Standing::Unknown(Some(state.to_owned())),
        None => Standing::Unknown(None),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_organizations::types::AccountStatus;

    use super::*;

    fn listed(state: Option<AccountState>, status: Option<AccountStatus>) -> Standing {
        let account = Account::builder().id("123456789012").set_state(state).set_status(status).build();
        member(&account).unwrap().standing
    }

    #[test]
    fn only_the_state_active_counts_as_active() {
        assert_eq!(listed(Some(AccountState::Active), None), Standing::Active);
        for state in [AccountState::Suspended, AccountState::PendingClosure, AccountState::PendingActivation] {
            assert_eq!(listed(Some(state.clone()), None), Standing::Inactive(state.as_str().to_owned()));
        }
    }

    #[test]
    fn the_state_wins_over_the_retired_status() {
        assert_eq!(
            listed(Some(AccountState::Closed), Some(AccountStatus::Active)),
            Standing::Inactive("CLOSED".to_owned())
        );
    }

    #[test]
    fn where_an_older_endpoint_has_no_state_the_status_counts() {
        assert_eq!(listed(None, Some(AccountStatus::Active)), Standing::Active);
        assert_eq!(listed(None, Some(AccountStatus::Suspended)), Standing::Inactive("SUSPENDED".to_owned()));
    }

    #[test]
    fn a_state_this_version_does_not_know_is_unknown_and_not_active() {
        assert_eq!(listed(Some("FROZEN".into()), None), Standing::Unknown(Some("FROZEN".to_owned())));
        assert_eq!(listed(None, None), Standing::Unknown(None));
    }

    #[test]
    fn an_account_whose_id_is_none_is_left_out() {
        assert_eq!(member(&Account::builder().id("12").build()), None);
    }
}
