//! A secret: its versions, and the staging labels that say which of them is current, previous or pending. The rules of
//! `PutSecretValue` and `UpdateSecretVersionStage` are here; nothing here knows of calls.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::policy::Policy;

/// The label of the version that is published.
pub const CURRENT: &str = "AWSCURRENT";

/// The label of the version that was published before.
pub const PREVIOUS: &str = "AWSPREVIOUS";

/// Versions beyond which those without a label are removed once they are a day old. ("About 100" in the quotas.)
const VERSIONS_KEPT: usize = 100;

/// What a version holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum SecretValue {
    SecretString(String),
    SecretBinary(String),
}

/// A version of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Version {
    #[serde(flatten)]
    pub value: SecretValue,
    /// Its staging labels; without one it is deprecated.
    pub stages: BTreeSet<String>,
    /// When it was stored.
    pub created: Timestamp,
    /// When it was last read.
    pub accessed: Option<Timestamp>,
}

/// A copy of a secret in another region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Replica {
    /// The key it is encrypted with there.
    pub kms_key_id: Option<String>,
    /// Why it is not in sync, if it is not.
    pub failure: Option<String>,
}

/// A deletion that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Deletion {
    /// When it was asked for.
    pub asked: Timestamp,
    /// When it comes true.
    pub due: Timestamp,
}

#[derive(Debug, Clone, Serialize)]
pub struct Secret {
    pub arn: String,
    pub account: String,
    pub name: String,
    /// What its owner says of it.
    pub description: Option<String>,
    /// The customer's key it is encrypted with; `aws/secretsmanager` if not given.
    pub kms_key_id: Option<String>,
    pub tags: BTreeMap<String, String>,
    /// Its versions, by id.
    pub versions: BTreeMap<String, Version>,
    /// Who may and may not do what with it, besides what identities are allowed.
    pub policy: Option<Policy>,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub changed: Timestamp,
    /// Whether it is about to be deleted.
    pub deletion: Option<Deletion>,
    /// The region it is replicated from, if it is a replica.
    pub primary_region: Option<String>,
    /// The regions it is replicated to.
    pub replicas: BTreeMap<String, Replica>,
}

/// Why a value is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PutRefused {
    /// The version id is taken by another value.
    TokenInUse,
}

/// What storing a value did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    /// The labels the version has now.
    pub(super) stages: Vec<String>,
    /// Whether anything changed: storing the same again does nothing.
    pub(super) new: bool,
    /// If `AWSCURRENT` came to it: the version that had it before.
    pub(super) published: Option<Option<String>>,
}

/// Why a label is not moved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum MoveRefused {
    #[error("Secrets Manager can't find the specified secret version: {0}")]
    NoSuchVersion(String),
    #[error(
        "The staging label {stage} is currently attached to version {holder}, so you must explicitly reference that version in \
         RemoveFromVersionId."
    )]
    HeldByAnother { stage: String, holder: String },
    #[error(
        "The parameter RemoveFromVersionId can't be {named}. Staging label {stage} is currently attached to version {holder}."
    )]
    NotTheHolder { stage: String, named: String, holder: String },
    #[error(
        "The parameter RemoveFromVersionId can't be {named}. Staging label {stage} is not attached to any version."
    )]
    HeldByNone { stage: String, named: String },
    #[error(
        "You can only move staging label AWSCURRENT to a different secret version. It can't be completely removed."
    )]
    CurrentMustStay,
    #[error("You must specify at least one of MoveToVersionId and RemoveFromVersionId.")]
    NothingAsked,
}

impl Secret {
    /// The version that has a label.
    pub fn holder(&self, stage: &str) -> Option<&str> {
        self.versions.iter().find(|(_, version)| version.stages.contains(stage)).map(|(id, _)| id.as_str())
    }

    pub fn current(&self) -> Option<&Version> {
        self.holder(CURRENT).and_then(|id| self.versions.get(id))
    }

    /// Attaches a label to a version, taking it off whichever had it. The version that loses `AWSCURRENT` becomes
    /// `AWSPREVIOUS`.
    fn attach(&mut self, stage: &str, to: &str) {
        let from = self.holder(stage).map(str::to_owned);
        if from.as_deref() == Some(to) {
            return;
        }
        for version in self.versions.values_mut() {
            version.stages.remove(stage);
        }
        if let Some(version) = self.versions.get_mut(to) {
            version.stages.insert(stage.to_owned());
        }
        if let (CURRENT, Some(from)) = (stage, from) {
            self.attach(PREVIOUS, &from);
        }
    }

    /// Stores a value under a version id. Without labels it is published. The very first version is published besides
    /// whatever else it is.
    pub(super) fn store(
        &mut self,
        version: &str,
        value: SecretValue,
        stages: &[String],
        now: Timestamp,
    ) -> Result<Stored, PutRefused> {
        if let Some(existing) = self.versions.get(version) {
            if existing.value != value {
                return Err(PutRefused::TokenInUse);
            }
            return Ok(Stored { stages: self.stages(version), new: false, published: None });
        }
        let first = self.holder(CURRENT).is_none();
        let current = String::from(CURRENT);
        let before = self.holder(CURRENT).map(str::to_owned);
        self.versions
            .insert(version.to_owned(), Version { value, stages: BTreeSet::new(), created: now, accessed: None });
        let mut wanted: BTreeSet<&String> = stages.iter().collect();
        if first || stages.is_empty() {
            wanted.insert(&current);
        }
        let publishes = wanted.contains(&current);
        // AWSCURRENT first: it gives AWSPREVIOUS away, which a label asked for by name may then claim.
        if publishes {
            self.attach(CURRENT, version);
        }
        for stage in wanted {
            self.attach(stage, version);
        }
        self.changed = now;
        self.prune(now);
        Ok(Stored { stages: self.stages(version), new: true, published: publishes.then_some(before) })
    }

    fn stages(&self, version: &str) -> Vec<String> {
        self.versions.get(version).map(|version| version.stages.iter().cloned().collect()).unwrap_or_default()
    }

    /// Removes the oldest versions without a label, as long as there are too many of them and they are a day old.
    fn prune(&mut self, now: Timestamp) {
        while self.versions.len() > VERSIONS_KEPT {
            let oldest = self
                .versions
                .iter()
                .filter(|(_, version)| version.stages.is_empty())
                .filter(|(_, version)| now.duration_since(version.created) >= SignedDuration::from_hours(24))
                .min_by_key(|(_, version)| version.created)
                .map(|(id, _)| id.clone());
            let Some(oldest) = oldest else { return };
            self.versions.remove(&oldest);
        }
    }

    /// Moves a label: the compare-and-swap. A label that a version has is only taken from the version that is named as its
    /// holder. Gives the holder before; `None` when nothing changed.
    pub(super) fn move_stage(
        &mut self,
        stage: &str,
        to: Option<&str>,
        from: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<Option<String>>, MoveRefused> {
        if to.is_none() && from.is_none() {
            return Err(MoveRefused::NothingAsked);
        }
        for named in [to, from].into_iter().flatten() {
            if !self.versions.contains_key(named) {
                return Err(MoveRefused::NoSuchVersion(named.to_owned()));
            }
        }
        let stage_name = stage.to_owned();
        let holder = self.holder(stage).map(str::to_owned);
        match (&holder, from) {
            (Some(holder), Some(from)) if holder != from => {
                return Err(MoveRefused::NotTheHolder {
                    stage: stage_name,
                    named: from.to_owned(),
                    holder: holder.clone(),
                });
            }
            (None, Some(from)) => return Err(MoveRefused::HeldByNone { stage: stage_name, named: from.to_owned() }),
            (Some(holder), None) if to != Some(holder) => {
                return Err(MoveRefused::HeldByAnother { stage: stage_name, holder: holder.clone() });
            }
            (Some(_), Some(_) | None) | (None, None) => {}
        }
        if holder.as_deref() == to {
            return Ok(None);
        }
        match to {
            Some(to) => self.attach(stage, to),
            None if stage == CURRENT => return Err(MoveRefused::CurrentMustStay),
            None => {
                for version in self.versions.values_mut() {
                    version.stages.remove(stage);
                }
            }
        }
        self.changed = now;
        self.prune(now);
        Ok(Some(holder))
    }

    /// It as `DescribeSecret` and `ListSecrets` show it; they differ in what they call the versions.
    pub(super) fn describe(&self, versions_as: &str) -> Value {
        let mut answer = json!({
            "ARN": self.arn,
            "Name": self.name,
            "CreatedDate": seconds(self.created),
            "LastChangedDate": seconds(self.changed),
        });
        let mut put = |name: &str, value: Value| answer[name] = value;
        if let Some(description) = &self.description {
            put("Description", json!(description));
        }
        if let Some(key) = &self.kms_key_id {
            put("KmsKeyId", json!(key));
        }
        if !self.tags.is_empty() {
            let tags: Vec<Value> = self.tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
            put("Tags", json!(tags));
        }
        // Deprecated versions are not shown.
        let stages: Map<String, Value> = self
            .versions
            .iter()
            .filter(|(_, version)| !version.stages.is_empty())
            .map(|(id, version)| (id.clone(), json!(version.stages)))
            .collect();
        if !stages.is_empty() {
            put(versions_as, Value::Object(stages));
        }
        if let Some(accessed) = self.versions.values().filter_map(|version| version.accessed).max() {
            put("LastAccessedDate", json!(day(accessed)));
        }
        if let Some(deletion) = self.deletion {
            put("DeletedDate", json!(seconds(deletion.asked)));
        }
        if let Some(region) = &self.primary_region {
            put("PrimaryRegion", json!(region));
        }
        answer
    }

    /// The state of its replicas, as answers show it.
    pub(super) fn replication_status(&self) -> Value {
        let replicas = self.replicas.iter().map(|(region, replica)| {
            json!({
                "Region": region,
                "KmsKeyId": replica.kms_key_id.as_deref().unwrap_or("alias/aws/secretsmanager"),
                "Status": if replica.failure.is_some() { "Failed" } else { "InSync" },
                "StatusMessage": replica.failure.as_deref().unwrap_or("Replication succeeded"),
            })
        });
        Value::Array(replicas.collect())
    }
}

/// A time as the JSON protocol writes it: seconds, with milliseconds behind the point.
pub(super) fn seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}

/// A day as the JSON protocol writes it: AWS notes the day of an access, not its hour.
pub(super) fn day(at: Timestamp) -> f64 {
    const DAY: i64 = 86_400;
    (at.as_second().div_euclid(DAY) * DAY) as f64
}

#[cfg(test)]
mod tests;
