//! An IAM user, its keys and tags, and what readers saw of it a moment ago.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::faults::StaleView;

#[derive(Debug, Clone, Serialize)]
pub struct User {
    pub name: String,
    /// Its path: `/` or `/a/b/`.
    pub path: String,
    /// Its unique id (`AIDA…`).
    pub id: String,
    /// When it was made, in whole seconds.
    pub created: Timestamp,
    /// Its keys, tags and groups.
    #[serde(flatten)]
    pub holds: Holdings,
    /// The managed policies attached to it, by ARN.
    pub attached_policies: BTreeSet<String>,
    /// What it held before recent writes, oldest first; kept only while stale reads are switched on.
    #[serde(skip)]
    pub(crate) stale_view: StaleView<Holdings>,
}

/// What a user holds and IAM's reads lag behind in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Holdings {
    /// Its access keys, oldest first.
    pub keys: Vec<AccessKey>,
    pub tags: BTreeMap<String, String>,
    pub groups: BTreeSet<String>,
}

impl User {
    pub fn key(&self, id: &str) -> Option<&AccessKey> {
        self.holds.keys.iter().find(|key| key.id == id)
    }

    /// One of its keys, to be changed.
    pub fn key_mut(&mut self, id: &str) -> Option<&mut AccessKey> {
        self.holds.keys.iter_mut().find(|key| key.id == id)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccessKey {
    /// Its id (`AKIA…`).
    pub id: String,
    /// Its secret part: worthless outside the sandbox.
    pub secret_access_key: String,
    pub status: KeyStatus,
    /// When it was made, in whole seconds.
    pub created: Timestamp,
    /// When it was made or last switched on or off: what the credential report calls `last_rotated`.
    pub changed: Timestamp,
    pub last_use: Option<LastUse>,
}

/// Whether a key works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyStatus {
    Active,
    /// It is switched off.
    Inactive,
}

impl KeyStatus {
    /// As in IAM's answers.
    pub fn as_str(self) -> &'static str {
        match self {
            KeyStatus::Active => "Active",
            KeyStatus::Inactive => "Inactive",
        }
    }
}

/// When, where and for what a key was last used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastUse {
    pub at: Timestamp,
    pub service: String,
    pub region: String,
}
