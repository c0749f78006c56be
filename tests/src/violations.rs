//! What must hold of any run, whatever went wrong in it: read off the sandbox's journal and its last state.

use std::collections::{BTreeMap, BTreeSet};

use rotation::AccessKeyId;
use rotation::names::version_id;
use sandbox::journal::{Effect, EffectRecord};
use sandbox::{Cloud, KeyStatus};

use crate::Stage;

/// A sentence for each promise that was broken:
///
/// - no live key is deleted, but one of the tool's own that nobody ever used, and never while it is published;
/// - nothing is recorded as told before a mail has named the key;
/// - no user has a third key, or a live key of the tool's whose secret nobody has;
/// - no secret publishes a key of the tool's that is gone.
pub fn violations(stage: &Stage) -> Vec<String> {
    violations_besides(stage, &BTreeSet::new())
}

/// The same, but for the secrets of users whose key was disabled by a request that has not come to its end: the key goes in its time,
/// and there is no other.
pub fn violations_besides(stage: &Stage, contained: &BTreeSet<String>) -> Vec<String> {
    stage.world(|world| {
        let mut journal = Reading::new(world);
        for record in world.journal.effects() {
            journal.read(record);
        }
        let Reading { made, deleted, published, mut broken, .. } = journal;
        let is_of = |secret: &str, user: &String| secret.contains(&format!("_User_{user}_"));
        let secrets = world.secrets.all().map(|(_, secret)| secret);
        for secret in secrets.filter(|secret| !contained.iter().any(|user| is_of(&secret.name, user))) {
            let current = secret.holder("AWSCURRENT");
            if let Some(key) = deleted.iter().find(|key| current == Some(version_of(key).as_str())) {
                broken.insert(format!("{} publishes {key}, which is gone", secret.name));
            }
        }
        let users = world.accounts.values().flat_map(|account| account.users.values());
        for user in users {
            let keys = &user.holds.keys;
            if keys.len() > 2 {
                broken.insert(format!("{} has {} keys", user.name, keys.len()));
            }
            for key in keys.iter().filter(|key| key.status == KeyStatus::Active && made.contains_key(key.id.as_str())) {
                if !published.contains(&version_of(&key.id)) {
                    broken.insert(format!("{} has the key {} whose secret nobody has", user.name, key.id));
                }
            }
        }
        broken.into_iter().collect()
    })
}

/// A sentence for each notice that was recorded while its successor, one of the tool's own, was not published yet.
///
/// Where reads lag behind writes this can happen, and does no harm: an attempt under way is not seen, and its key is taken for
/// a person's. Such a notice does not count for a later successor, and right before the harm everything is looked at again.
pub fn early_notices(stage: &Stage) -> Vec<String> {
    stage.world(|world| {
        let mut journal = Reading::new(world);
        for record in world.journal.effects() {
            journal.read(record);
        }
        journal.early.into_iter().collect()
    })
}

/// What is known after so much of the journal.
struct Reading<'a> {
    world: &'a Cloud,
    /// Keys that somebody has used, by the last state.
    used: BTreeSet<&'a str>,
    /// The tool's own keys, with account and user; without those that were deleted.
    made: BTreeMap<&'a str, (&'a str, &'a str)>,
    /// The tool's own keys that were deleted.
    deleted: BTreeSet<&'a str>,
    /// Every version that was ever published.
    published: BTreeSet<String>,
    /// The version that each secret publishes now.
    current: BTreeMap<&'a str, &'a str>,
    broken: BTreeSet<String>,
    early: BTreeSet<String>,
}

impl<'a> Reading<'a> {
    fn new(world: &'a Cloud) -> Self {
        let users = world.accounts.values().flat_map(|account| account.users.values());
        let keys = users.flat_map(|user| user.holds.keys.iter());
        Self {
            world,
            used: keys.filter(|key| key.last_use.is_some()).map(|key| key.id.as_str()).collect(),
            made: BTreeMap::new(),
            deleted: BTreeSet::new(),
            published: BTreeSet::new(),
            current: BTreeMap::new(),
            broken: BTreeSet::new(),
            early: BTreeSet::new(),
        }
    }

    fn read(&mut self, record: &'a EffectRecord) {
        match &record.effect {
            Effect::KeyCreated { key, user } => {
                self.made.insert(key, (&record.account, user));
            }
            Effect::KeyDeleted { key, was_active, user } => {
                if *was_active {
                    self.deleted_live(user, key);
                }
                if self.made.remove(key.as_str()).is_some() {
                    self.deleted.insert(key);
                }
            }
            Effect::SecretPublished { name, version, .. } => {
                self.published.insert(version.clone());
                self.current.insert(name, version);
            }
            Effect::UserTagged { key: tag, value, user } => {
                if let Some(key) = tag.strip_prefix("key-rotation:state:") {
                    self.recorded(record, user, key, value);
                }
            }
            _ => {}
        }
    }

    fn is_current(&self, key: &str) -> bool {
        let version = version_of(key);
        self.current.values().any(|current| *current == version)
    }

    fn deleted_live(&mut self, user: &str, key: &str) {
        if !self.made.contains_key(key) || self.used.contains(key) {
            self.broken.insert(format!("the live key {key} of {user} was deleted"));
        } else if self.is_current(key) {
            self.broken.insert(format!("the key {key} of {user} was deleted while it was published"));
        }
    }

    fn recorded(&mut self, record: &EffectRecord, user: &str, key: &str, value: &str) {
        let told = ["notified=", "forced=", "restored="].iter().any(|word| value.starts_with(word));
        if !told || value.contains(" told=") {
            return;
        }
        let names_it = |text: &Option<String>| text.as_deref().unwrap_or_default().contains(key);
        if !self.world.mail.outbox().iter().any(|mail| mail.at <= record.at && names_it(&mail.text)) {
            self.broken.insert(format!("{user} has {value} for {key}, but no mail had named it"));
        }
        let mut successors =
            self.made.iter().filter(|(id, owner)| **owner == (record.account.as_str(), user) && **id != key).peekable();
        if successors.peek().is_some() && !successors.any(|(id, _)| self.is_current(id)) {
            self.early.insert(format!("{user} has {value} for {key}, whose successor is not published"));
        }
    }
}

fn version_of(key: &str) -> String {
    version_id(&AccessKeyId::new(key).expect("a key id"))
}
