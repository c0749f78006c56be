//! What became of every attempt to make a successor, read off the sandbox's journal: how far the worker that began it came, and
//! who finished it. This is what shows that the kills landed where it matters.

use std::collections::BTreeMap;
use std::fmt;

use rotation::AccessKeyId;
use rotation::names::{INTENT_TAG_PREFIX, version_id};
use sandbox::World;
use sandbox::journal::Effect;

/// How far an attempt came before its worker was gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reached {
    Intent,
    Created,
    Stored,
    Published,
}

impl Reached {
    fn as_str(self) -> &'static str {
        match self {
            Reached::Intent => "left an intent",
            Reached::Created => "made a key",
            Reached::Stored => "stored it",
            Reached::Published => "published it",
        }
    }
}

struct Attempt<'w> {
    /// The access key id of the session it runs on: one worker's, for one message.
    session: &'w str,
    reached: Reached,
    /// The session that took its intent away.
    cleared_by: Option<&'w str>,
}

/// The attempts of a run, counted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Attempts {
    begun: usize,
    /// Ended by whoever began them.
    ended: usize,
    /// Interrupted, by how far they had come.
    interrupted: BTreeMap<Reached, usize>,
    /// Keys of interrupted attempts that others deleted: their secret was nowhere.
    pub(crate) orphans_deleted: usize,
    /// Keys of interrupted attempts that others published: their secret was stored.
    pub(crate) pending_published: usize,
}

impl Attempts {
    /// Reads them off the journal.
    pub(crate) fn new(world: &World) -> Self {
        let mut attempts: Vec<Attempt<'_>> = Vec::new();
        // By intent tag; and the attempt a session is at for a user, the last it began.
        let mut by_tag: BTreeMap<&str, usize> = BTreeMap::new();
        let mut at_work: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
        let mut by_key: BTreeMap<&str, usize> = BTreeMap::new();
        let mut by_version: BTreeMap<String, usize> = BTreeMap::new();
        let mut counted = Self::default();
        for record in world.journal.effects() {
            let (account, session) = (record.account.as_str(), record.access_key_id.as_str());
            match &record.effect {
                Effect::UserTagged { user, key, .. } if key.starts_with(INTENT_TAG_PREFIX) => {
                    by_tag.insert(key, attempts.len());
                    at_work.insert((session, account, user), attempts.len());
                    attempts.push(Attempt { session, reached: Reached::Intent, cleared_by: None });
                }
                Effect::UserUntagged { key, .. } => {
                    if let Some(attempt) = by_tag.get(key.as_str()) {
                        attempts[*attempt].cleared_by.get_or_insert(session);
                    }
                }
                Effect::KeyCreated { user, key } => {
                    let Some(&number) = at_work.get(&(session, account, user.as_str())) else { continue };
                    by_key.insert(key, number);
                    by_version.insert(version_id(&AccessKeyId::new(key).expect("a key id")), number);
                    attempts[number].reached = Reached::Created;
                }
                Effect::SecretVersionPut { version, .. } => {
                    if let Some(&number) = by_version.get(version) {
                        attempts[number].reached = Reached::Stored;
                    }
                }
                Effect::SecretPublished { version, .. } => {
                    let Some(&number) = by_version.get(version) else { continue };
                    if attempts[number].session == session {
                        attempts[number].reached = Reached::Published;
                    } else {
                        counted.pending_published += 1;
                    }
                }
                Effect::KeyDeleted { key, .. }
                    if by_key.get(key.as_str()).is_some_and(|number| attempts[*number].session != session) =>
                {
                    counted.orphans_deleted += 1;
                }
                _ => {}
            }
        }
        counted.begun = attempts.len();
        for attempt in attempts {
            if attempt.cleared_by == Some(attempt.session) {
                counted.ended += 1;
            } else {
                *counted.interrupted.entry(attempt.reached).or_default() += 1;
            }
        }
        counted
    }

    /// Interrupted ones in all.
    fn interrupted(&self) -> usize {
        self.interrupted.values().sum()
    }
}

impl fmt::Display for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} attempts, {} ended by their own worker, {} interrupted",
            self.begun,
            self.ended,
            self.interrupted()
        )?;
        for (reached, count) in &self.interrupted {
            write!(f, "; {count} when they had {}", reached.as_str())?;
        }
        write!(
            f,
            "; {} keys without a secret deleted and {} stored ones published by others",
            self.orphans_deleted, self.pending_published
        )
    }
}
