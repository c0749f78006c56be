//! What happened to each key, in the order of the changes: notice before harm, no live key deleted, nobody locked out.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use rotation::Policy;
use rotation::names::STATE_TAG_PREFIX;
use rotation::policy::days;
use sandbox::journal::{Effect, EffectRecord};

use super::announcement::announcements;
use super::record::{Record, UnreadableSecret};
use super::{Broken, CheckResult, Promise};

/// Mail times are the mail service's, tags' and keys' are whole seconds.
const TIME_RESOLUTION: SignedDuration = SignedDuration::from_secs(2);

/// Mails give dates to the minute.
const MAIL_TOLERANCE: SignedDuration = SignedDuration::from_mins(1);

pub(super) fn check(record: &Record, policy: &Policy, result: &mut CheckResult) {
    let mut history = History { record, policy, keys: HashMap::new(), result };
    for key in &record.keys_at_start {
        let held = KeyHistory { active: key.active, obtainable: true, ..KeyHistory::new(&key.account, &key.user) };
        history.keys.insert(&key.id, held);
    }
    for change in &record.effects {
        history.read(change);
    }
    let Some(last) = record.effects.last() else { return };
    for UnreadableSecret { account, user, secret } in &record.unreadable {
        let sentence = format!("{secret} publishes a key of {user}, who may not read it");
        history.broken(last, Promise::NobodyLockedOut, account, user, sentence);
    }
}

/// A key, as far as the changes read so far tell.
struct KeyHistory<'a> {
    account: &'a str,
    user: &'a str,
    /// The change that made it; none for one that was there before.
    made: Option<u64>,
    active: bool,
    /// Whether anybody can have its secret: it was there before, or has been published.
    obtainable: bool,
    /// Since it was last made active: what was announced of it.
    announced: Vec<Announced>,
    /// Since it was last made inactive: when that was put on record.
    recorded: Option<Timestamp>,
}

struct Announced {
    /// The change that was the mail's acceptance.
    mail: u64,
    at: Timestamp,
    disabled_from: Timestamp,
}

impl<'a> KeyHistory<'a> {
    fn new(account: &'a str, user: &'a str) -> Self {
        Self { account, user, made: None, active: true, obtainable: false, announced: Vec::new(), recorded: None }
    }
}

struct History<'a> {
    record: &'a Record,
    policy: &'a Policy,
    keys: HashMap<&'a str, KeyHistory<'a>>,
    result: &'a mut CheckResult,
}

impl<'a> History<'a> {
    fn read(&mut self, change: &'a EffectRecord) {
        let account = change.account.as_str();
        if let Effect::KeyCreated { user, key } = &change.effect {
            self.keys.insert(key, KeyHistory { made: Some(change.seq), ..KeyHistory::new(account, user) });
        } else if let Effect::SecretPublished { name, version, .. } = &change.effect {
            self.published(account, name, version);
        } else if let Effect::MailAccepted { message_id, .. } = &change.effect {
            self.mailed(change, message_id);
        } else if let Effect::UserTagged { key: tag, value, .. } = &change.effect {
            // While its owner has not been told, no recovery grace runs.
            if value.starts_with("disabled=") && !value.ends_with("told=no") {
                self.recorded(change.at, tag);
            }
        } else if let Effect::KeyStatusChanged { key, active, .. } = &change.effect {
            if !*active {
                self.disabled(change, key);
            } else if let Some(key) = self.keys.get_mut(key.as_str()) {
                // Made active again: what was announced is void, and so is the record.
                (key.active, key.recorded) = (true, None);
                key.announced.clear();
            }
        } else if let Effect::KeyDeleted { key, was_active, .. } = &change.effect {
            self.deleted(change, key, *was_active);
        }
    }

    fn published(&mut self, account: &str, secret: &str, version: &str) {
        let version = (account.to_owned(), secret.to_owned(), version.to_owned());
        let key = self.record.stored_keys.get(&version).and_then(|key| self.keys.get_mut(key.as_str()));
        if let Some(key) = key {
            key.obtainable = true;
        }
    }

    fn mailed(&mut self, change: &EffectRecord, message_id: &str) {
        let text = self.record.mails.get(message_id).and_then(|mail| mail.text.as_deref());
        for one in announcements(text.unwrap_or_default()) {
            if let Some(key) = self.keys.get_mut(one.key.as_str()) {
                key.announced.push(Announced { mail: change.seq, at: change.at, disabled_from: one.disabled_from });
            }
        }
    }

    /// The recovery grace counts from the first record since the key became inactive.
    fn recorded(&mut self, at: Timestamp, tag: &str) {
        if let Some(key) = tag.strip_prefix(STATE_TAG_PREFIX).and_then(|id| self.keys.get_mut(id))
            && !key.active
        {
            key.recorded.get_or_insert(at);
        }
    }

    fn disabled(&mut self, change: &EffectRecord, id: &str) {
        self.result.disables += 1;
        let Some(key) = self.keys.get_mut(id) else { return };
        (key.active, key.recorded) = (false, None);
        let (account, user) = (key.account, key.user);
        let grace = days(self.policy.install_grace());
        // A notice from before the present successor was made told of something else.
        let successor = self.others(id, account, user).filter_map(|key| key.made).max();
        let noticed = self.keys[id].announced.iter().any(|notice| {
            successor.is_none_or(|made| notice.mail > made)
                && notice.at.duration_until(change.at) + TIME_RESOLUTION >= grace
                && notice.disabled_from <= change.at + MAIL_TOLERANCE
        });
        if !noticed {
            let sentence = format!(
                "{id} was disabled, and no mail of at least {} days before, and since its successor was made, says so",
                self.policy.install_grace()
            );
            self.broken(change, Promise::NoticeBeforeHarm, account, user, sentence);
        }
        self.look_what_is_left(change, id);
    }

    fn deleted(&mut self, change: &EffectRecord, id: &str, was_active: bool) {
        self.result.deletions += 1;
        let Some(key) = self.keys.get(id) else { return };
        let (account, user) = (key.account, key.user);
        // What a run has made and could not publish nobody can have: it takes that away again.
        let unpublished = key.made.is_some() && !key.obtainable;
        let recorded = key.recorded;
        if was_active && !unpublished {
            self.broken(change, Promise::NoLiveKeyDeleted, account, user, format!("{id} was deleted while active"));
        }
        let grace = days(self.policy.recovery_grace());
        let waited = recorded.is_some_and(|at| at.duration_until(change.at) + TIME_RESOLUTION >= grace);
        if !was_active && !waited {
            let since =
                recorded.map_or("without a record".to_owned(), |at| format!("though on record only since {at}"));
            let sentence = format!("{id} was deleted {since}; {} days were promised", self.policy.recovery_grace());
            self.broken(change, Promise::NoLiveKeyDeleted, account, user, sentence);
        }
        if was_active && !unpublished {
            self.look_what_is_left(change, id);
        }
        self.keys.remove(id);
    }

    fn look_what_is_left(&mut self, change: &EffectRecord, id: &str) {
        let Some(KeyHistory { account, user, .. }) = self.keys.get(id) else { return };
        let (account, user) = (*account, *user);
        if !self.others(id, account, user).any(|key| key.obtainable) {
            let sentence = format!("after {id} was taken away, no active key is left that somebody can have");
            self.broken(change, Promise::NobodyLockedOut, account, user, sentence);
        }
    }

    /// The user's other active keys.
    fn others(&self, id: &str, account: &str, user: &str) -> impl Iterator<Item = &KeyHistory<'a>> {
        let others = self.keys.iter().filter(move |(other, _)| **other != id).map(|(_, key)| key);
        others.filter(move |key| key.active && key.account == account && key.user == user)
    }

    fn broken(&mut self, change: &EffectRecord, promise: Promise, account: &str, user: &str, sentence: String) {
        self.result.broken.push(Broken {
            promise,
            account: account.to_owned(),
            user: user.to_owned(),
            call: change.call,
            at: change.at,
            sentence,
        });
    }
}
