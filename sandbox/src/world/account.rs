//! An account: its place in the organization and its IAM.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::user::User;
use crate::policy::Policy;

/// An account of the organization.
#[derive(Debug, Clone, Serialize)]
pub struct Account {
    pub id: String,
    pub name: String,
    /// Its root user's address.
    pub email: String,
    /// Whether it is open for business.
    pub state: AccountState,
    pub joined: Timestamp,
    /// The root or organizational unit it is in.
    pub parent: String,
    /// Its roles, by name.
    pub roles: BTreeMap<String, Role>,
    /// Its users, by name.
    pub users: BTreeMap<String, User>,
    /// Its groups, by name.
    pub groups: BTreeMap<String, Group>,
    /// Names of its customer-managed policies.
    pub policies: BTreeSet<String>,
    /// Its credential report, if one was generated.
    #[serde(skip)]
    pub(crate) report: Option<CredentialReport>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AccountState {
    PendingActivation,
    Active,
    Suspended,
    PendingClosure,
    Closed,
}

impl AccountState {
    /// As in `Account.State`.
    pub fn as_str(self) -> &'static str {
        match self {
            AccountState::PendingActivation => "PENDING_ACTIVATION",
            AccountState::Active => "ACTIVE",
            AccountState::Suspended => "SUSPENDED",
            AccountState::PendingClosure => "PENDING_CLOSURE",
            AccountState::Closed => "CLOSED",
        }
    }

    /// As in `Account.Status`, which knew only three values.
    pub fn as_status(self) -> &'static str {
        match self {
            AccountState::PendingActivation | AccountState::Active => "ACTIVE",
            AccountState::Suspended | AccountState::Closed => "SUSPENDED",
            AccountState::PendingClosure => "PENDING_CLOSURE",
        }
    }
}

/// A role that callers of the organization can assume.
#[derive(Debug, Clone, Serialize)]
pub struct Role {
    pub name: String,
    /// Its unique id (`AROA…`).
    pub id: String,
    /// The external id it asks for.
    pub external_id: Option<String>,
    /// What it may do; everything in its account if not given.
    pub policy: Option<Policy>,
    /// The longest session it gives, in seconds.
    pub longest_session: u32,
}

#[derive(Debug, Clone, Serialize)]
pub struct Group {
    pub name: String,
    pub path: String,
    /// Its unique id (`AGPA…`).
    pub id: String,
    /// When it was made.
    pub created: Timestamp,
    pub members: BTreeSet<String>,
}

/// A credential report, generated or being so.
#[derive(Debug, Clone)]
pub(crate) struct CredentialReport {
    /// When its generation began: what it shows is as of then.
    pub(crate) generated: Timestamp,
    /// When it can be had.
    pub(crate) complete: Timestamp,
    pub(crate) csv: Arc<str>,
}
