//! What the promises are checked against: the sandbox's own record of a run. Plain values, so that a test can change what was
//! recorded and see whether the check notices.

use std::collections::HashMap;

use sandbox::Cloud;
use sandbox::journal::{CallRecord, Effect, EffectRecord};
use sandbox::services::secretsmanager::{self, SecretValue};
use sandbox::services::ses::Mail;
use sandbox::world::{KeyStatus, World};

/// The record of a run.
#[derive(Debug, Clone)]
pub struct Record {
    /// Every key there was before the first day: its owner has its secret.
    pub keys_at_start: Vec<StartingKey>,
    pub calls: Vec<CallRecord>,
    /// Every change, in order.
    pub effects: Vec<EffectRecord>,
    /// Every mail that was accepted, by its message id.
    pub mails: HashMap<String, Mail>,
    /// The access key id that each version of each secret holds, read out of its value: by account, secret and version id.
    pub stored_keys: HashMap<(String, String, String), String>,
    /// Secrets in the end whose published key was made for a user that may not read them.
    pub unreadable: Vec<UnreadableSecret>,
}

/// A secret that its user may not read.
#[derive(Debug, Clone)]
pub struct UnreadableSecret {
    pub account: String,
    pub user: String,
    pub secret: String,
}

/// A key that was there before the first day.
#[derive(Debug, Clone)]
pub struct StartingKey {
    pub account: String,
    pub user: String,
    pub id: String,
    pub active: bool,
}

impl StartingKey {
    /// Every key there is now.
    pub fn all(world: &World) -> Vec<Self> {
        let users = world.accounts.values().flat_map(|account| account.users.values().map(move |user| (account, user)));
        users
            .flat_map(|(account, user)| user.holds.keys.iter().map(move |key| (account, user, key)))
            .map(|(account, user, key)| Self {
                account: account.id.clone(),
                user: user.name.clone(),
                id: key.id.clone(),
                active: key.status == KeyStatus::Active,
            })
            .collect()
    }
}

impl Record {
    /// What the sandbox has recorded since there were these keys.
    pub fn new(cloud: &Cloud, keys_at_start: Vec<StartingKey>) -> Self {
        let mut stored_keys = HashMap::new();
        for (_, secret) in cloud.secrets.all() {
            for (version, held) in &secret.versions {
                if let Some(key) = access_key_id(&held.value) {
                    stored_keys.insert((secret.account.clone(), secret.name.clone(), version.clone()), key);
                }
            }
        }
        Self {
            keys_at_start,
            calls: cloud.journal.calls().cloned().collect(),
            effects: cloud.journal.effects().to_vec(),
            mails: cloud.mail.outbox().iter().map(|mail| (mail.message_id.clone(), mail.clone())).collect(),
            stored_keys,
            unreadable: unreadable(cloud),
        }
    }
}

fn unreadable(cloud: &Cloud) -> Vec<UnreadableSecret> {
    let made = cloud.journal.effects().iter().filter_map(|change| {
        let Effect::KeyCreated { user, key } = &change.effect else { return None };
        Some((key.clone(), (change.account.as_str(), user.as_str())))
    });
    let owners: HashMap<String, _> = made.collect();
    let published = cloud.secrets.all().filter_map(|(region, secret)| {
        let key = access_key_id(&secret.current()?.value)?;
        let (account, user) = owners.get(&key)?;
        (!secretsmanager::may_read(cloud, account, user, region, secret)).then(|| UnreadableSecret {
            account: (*account).to_owned(),
            user: (*user).to_owned(),
            secret: secret.name.clone(),
        })
    });
    published.collect()
}

fn access_key_id(value: &SecretValue) -> Option<String> {
    match value {
        SecretValue::SecretString(text) => {
            let value: serde_json::Value = serde_json::from_str(text).ok()?;
            value["AccessKeyId"].as_str().map(str::to_owned)
        }
        SecretValue::SecretBinary(_) => None,
    }
}
