//! Credentials: who signs with which access key id, and role sessions with their ends.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{KeyStatus, World};
use crate::call::{Caller, Principal};
use crate::policy::Policy;

/// The operator's access key id, in every sandbox.
pub const OPERATOR_ACCESS_KEY_ID: &str = "AKIASANDBOXOPERATOR2";

/// The operator's secret key. The sandbox checks no signatures: it tells callers by their access key id.
pub const OPERATOR_SECRET_ACCESS_KEY: &str = "sandbox/operator/secret/access/key/00000";

/// Sessions that ended longer ago than this are forgotten, and then refused as unknown instead of as expired.
const SESSIONS_REMEMBERED: SignedDuration = SignedDuration::from_hours(48);

/// Credentials to sign calls with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Credentials {
    pub access_key_id: String,
    pub secret_access_key: String,
    /// The session token, for role sessions.
    pub session_token: Option<String>,
}

impl Credentials {
    /// The operator's: may do everything in the management account and assume any role that trusts it.
    pub fn operator() -> Self {
        Self {
            access_key_id: OPERATOR_ACCESS_KEY_ID.to_owned(),
            secret_access_key: OPERATOR_SECRET_ACCESS_KEY.to_owned(),
            session_token: None,
        }
    }
}

/// Whose a user's key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyOwner {
    pub account: String,
    pub user: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct Session {
    /// The account whose role was assumed.
    pub account: String,
    pub role: String,
    pub name: String,
    /// The role's unique id.
    pub role_id: String,
    /// What the session may do at most, if it was narrowed.
    pub policy: Option<Policy>,
    /// When it ends. A fault can make this earlier than the caller was told.
    pub expires: Timestamp,
    /// The token that goes with the key.
    pub token: String,
}

/// Why credentials are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// No such key, a key switched off, or the wrong token for it.
    Invalid,
    /// The session has ended.
    Expired,
}

impl World {
    /// Who signs with this access key id now.
    pub(crate) fn caller(&self, access_key_id: &str, token: Option<&str>) -> Result<Caller, Refused> {
        let caller = |account: &str, principal| Caller {
            account: account.to_owned(),
            principal,
            access_key_id: access_key_id.to_owned(),
        };
        if access_key_id == OPERATOR_ACCESS_KEY_ID {
            return Ok(caller(&self.organization.management, Principal::Operator));
        }
        if let Some(session) = self.sessions.get(access_key_id) {
            if token != Some(session.token.as_str()) {
                return Err(Refused::Invalid);
            }
            if self.now() >= session.expires {
                return Err(Refused::Expired);
            }
            let principal = Principal::Role { role: session.role.clone(), session: session.name.clone() };
            return Ok(caller(&session.account, principal));
        }
        let owner = self.key_owners.get(access_key_id).ok_or(Refused::Invalid)?;
        let key = self
            .accounts
            .get(&owner.account)
            .and_then(|account| account.users.get(&owner.user))
            .and_then(|user| user.key(access_key_id))
            .ok_or(Refused::Invalid)?;
        match key.status {
            KeyStatus::Active => Ok(caller(&owner.account, Principal::User(owner.user.clone()))),
            KeyStatus::Inactive => Err(Refused::Invalid),
        }
    }

    /// Starts a role session and gives its credentials.
    pub(crate) fn open_session(&mut self, session: Session) -> Credentials {
        let now = self.now();
        self.sessions.retain(|_, old| old.expires.duration_until(now) < SESSIONS_REMEMBERED);
        let access_key_id = self.iam_id("ASIA", 20);
        let credentials = Credentials {
            access_key_id: access_key_id.clone(),
            secret_access_key: self.secret_access_key(),
            session_token: Some(session.token.clone()),
        };
        self.sessions.insert(access_key_id, session);
        credentials
    }

    /// Ends every role session at once, as if its time were up.
    pub fn expire_sessions(&mut self) {
        let now = self.now();
        for session in self.sessions.values_mut() {
            session.expires = session.expires.min(now);
        }
    }
}
