//! One user, as known right now: what the plan is made from. Reads the user's tags, which are this tool's only memory.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use uuid::Uuid;

use crate::evidence::later;
use crate::finding::Finding;
use crate::ids::{AccessKeyId, UserName};
use crate::intent::{Intent, fence_after, is_from_the_future};
use crate::key::{Key, KeyStatus};
use crate::names;
use crate::policy::{Policy, before};
use crate::state::{KeyState, KeyStateKind, parse_tag_time};
use crate::verdict::Exemption;

/// What is known of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub name: UserName,
    /// Its keys, in any order.
    pub keys: Vec<Key>,
    /// Whether it is in the exemption group.
    pub in_exemption_group: bool,
    pub tags: UserTags,
}

/// The tags of this tool on one user, read. Tags of others are passed over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserTags {
    /// State tags by key id; keys that no longer exist included.
    pub states: Vec<(AccessKeyId, KeyState)>,
    /// Keys whose deletion is on record, as to come or as begun, and since when: until their owner has been told of it.
    pub deletions: Vec<(AccessKeyId, Timestamp)>,
    /// Intents of attempts that have not been cleared.
    pub intents: Vec<Intent>,
    /// Carries `key-rotation:protected`, spelled exactly so.
    pub protected: bool,
    /// Carries the same tag in another spelling of upper and lower case.
    pub protected_in_other_case: bool,
    /// `key-rotation:exempt-until`, end of that day (UTC).
    pub exempt_until: Option<Timestamp>,
    /// The tag is there, but no date can be read from it.
    pub exempt_until_unreadable: bool,
    /// `key-rotation:rotate-after-days`, as written.
    pub rotate_after_days: Option<String>,
    /// `key-rotation:reminded`. No rule depends on it, and what cannot be read is as good as none.
    pub reminded: Option<Timestamp>,
    /// Tags of this tool that cannot be read.
    pub unreadable: Vec<Finding>,
}

impl UserTags {
    /// Whether both exempt the user in the same way.
    pub fn exempts_as(&self, other: &Self) -> bool {
        let exemption = |tags: &Self| {
            (tags.protected, tags.protected_in_other_case, tags.exempt_until, tags.exempt_until_unreadable)
        };
        exemption(self) == exemption(other)
    }

    /// Reads a user's tags.
    pub fn read<'a>(tags: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut read = Self::default();
        for (key, value) in tags {
            let understood = if let Some(id) = rest_after(names::STATE_TAG_PREFIX, key) {
                read.read_state(id, value)
            } else if let Some(id) = rest_after(names::DELETE_TAG_PREFIX, key) {
                read.read_deletion(id, value)
            } else if let Some(attempt) = rest_after(names::INTENT_TAG_PREFIX, key) {
                read.read_intent(attempt, value)
            } else if key == names::PROTECTED_TAG {
                read.protected = true;
                true
            } else if key.eq_ignore_ascii_case(names::PROTECTED_TAG) {
                read.protected_in_other_case = true;
                true
            } else if key.eq_ignore_ascii_case(names::EXEMPT_UNTIL_TAG) {
                read.exempt_until = end_of_day(value);
                read.exempt_until_unreadable = read.exempt_until.is_none();
                !read.exempt_until_unreadable
            } else if key.eq_ignore_ascii_case(names::ROTATE_AFTER_DAYS_TAG) {
                read.rotate_after_days = Some(value.to_owned());
                true
            } else if key.eq_ignore_ascii_case(names::REMINDED_TAG) {
                read.reminded = parse_tag_time(value);
                true
            } else {
                true
            };
            if !understood {
                read.unreadable.push(Finding::UnreadableTag { tag: key.to_owned(), value: value.to_owned() });
            }
        }
        read
    }

    /// The same from tags as IAM lists them.
    pub fn from_pairs(tags: &[(String, String)]) -> Self {
        Self::read(tags.iter().map(|(key, value)| (key.as_str(), value.as_str())))
    }

    /// Whether the rules would read both alike: the order of the tags and the reminder's are ignored.
    pub fn is_equivalent_to(&self, other: &Self) -> bool {
        let plain = |tags: &Self| {
            let mut plain = Self { reminded: None, ..tags.clone() };
            plain.states.sort_by(|(a, _), (b, _)| a.cmp(b));
            plain.deletions.sort();
            plain.intents.sort_by_key(|intent| intent.attempt);
            plain
        };
        plain(self) == plain(other)
    }

    /// Since when a key's deletion is on record.
    pub(crate) fn deletion_of(&self, key: &AccessKeyId) -> Option<Timestamp> {
        self.deletions.iter().find(|(id, _)| id == key).map(|(_, at)| *at)
    }

    /// Until when a worker may be deleting the key, by the tag that it writes before. A key is made active only after that.
    pub fn may_be_deleted_until(&self, key: &AccessKeyId, now: Timestamp) -> Option<Timestamp> {
        let recorded = self.deletion_of(key).filter(|at| !is_from_the_future(*at, now))?;
        Some(fence_after(recorded)).filter(|until| now <= *until)
    }

    /// Adds what this worker has put on record of a key itself: reads may not show it yet, or another run may have written over it
    /// that did not see it. What a request has recorded since stands.
    pub fn add_own_record(&mut self, key: &AccessKeyId, own: &KeyState) {
        let is_written_over = |there: &KeyState| {
            let is_disabled = there.kind == KeyStateKind::Disabled && there.restoring.is_none();
            let is_adopted = is_disabled && there.request.is_none() && own.request.is_some();
            let lacks_the_leak =
                is_disabled && there.request == own.request && there.leak_reported() < own.leak_reported();
            later(own.at, there.at) || is_adopted || lacks_the_leak
        };
        match self.states.iter_mut().find(|(id, _)| id == key) {
            None => self.states.push((key.clone(), own.clone())),
            Some((_, there)) if is_written_over(there) => *there = own.clone(),
            Some(_) => {}
        }
    }

    /// Whether a request has disabled the key after this time, or has reported its leak.
    pub fn is_leaked_since(&self, key: &AccessKeyId, time: Timestamp) -> bool {
        let is_since = |at: Timestamp| later(at, time);
        self.state_of(key).filter(|state| state.restoring.is_none()).is_some_and(|state| {
            state.is_containment() && is_since(state.at) || state.leak_reported().is_some_and(is_since)
        })
    }

    /// What is on record of a key and cannot be read.
    pub fn unreadable_of(&self, key: &AccessKeyId) -> Vec<Finding> {
        let tags = [names::state_tag(key), names::delete_tag(key)];
        let is_of_key = |finding: &&Finding| matches!(finding, Finding::UnreadableTag { tag, .. } if tags.iter().any(|of_key| tag.eq_ignore_ascii_case(of_key)));
        self.unreadable.iter().filter(is_of_key).cloned().collect()
    }

    /// What a key's state tag records, if there is one that can be read.
    pub fn state_of(&self, key: &AccessKeyId) -> Option<KeyState> {
        self.states.iter().find(|(id, _)| id == key).map(|(_, state)| state.clone())
    }

    fn read_state(&mut self, id: &str, value: &str) -> bool {
        match (AccessKeyId::new(id), KeyState::parse(value)) {
            (Ok(id), Some(state)) => {
                self.states.push((id, state));
                true
            }
            (Ok(_) | Err(_), _) => false,
        }
    }

    fn read_deletion(&mut self, id: &str, value: &str) -> bool {
        match (AccessKeyId::new(id), parse_tag_time(value)) {
            (Ok(id), Some(at)) => {
                self.deletions.push((id, at));
                true
            }
            (Ok(_) | Err(_), _) => false,
        }
    }

    fn read_intent(&mut self, attempt: &str, value: &str) -> bool {
        let Ok(attempt) = attempt.parse::<Uuid>() else {
            return false;
        };
        match Intent::parse(attempt, value) {
            Some(intent) => {
                self.intents.push(intent);
                true
            }
            None => false,
        }
    }
}

/// What follows a prefix. IAM takes tag keys that differ in case for the same tag, and keeps the case of the first.
fn rest_after<'a>(prefix: &str, key: &'a str) -> Option<&'a str> {
    let (start, rest) = key.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// The last moment of a day written as `2027-01-31`, or that very moment of `2027-01-31T12:00:00Z`.
fn end_of_day(value: &str) -> Option<Timestamp> {
    if let Ok(moment) = value.parse::<Timestamp>() {
        return Some(moment);
    }
    let day = value.parse::<Date>().ok()?;
    match day.tomorrow().and_then(|tomorrow| tomorrow.to_zoned(TimeZone::UTC)) {
        Ok(end) => Some(end.timestamp()),
        // 9999-12-31 is how people write "for ever": no time comes after it.
        Err(_) => (day.year() > 0).then_some(Timestamp::MAX),
    }
}

impl User {
    /// Why the user is left alone, if it is.
    pub fn exemption(&self, now: Timestamp) -> Option<Exemption> {
        if self.tags.protected || self.tags.protected_in_other_case {
            Some(Exemption::Protected)
        } else if self.in_exemption_group {
            Some(Exemption::Group)
        } else {
            self.tags.exempt_until.filter(|until| now < *until).map(|until| Exemption::Until { until })
        }
    }

    /// The policy as it applies to this user, and what is wrong with its override.
    pub(crate) fn policy(&self, policy: &Policy) -> (Policy, Option<Finding>) {
        let Some(value) = &self.tags.rotate_after_days else {
            return (*policy, None);
        };
        let longest = policy.longest_override();
        match value.parse::<u32>() {
            Ok(days) if (1..=longest).contains(&days) => (policy.with_rotation_period(days), None),
            Ok(_) | Err(_) => {
                let default = policy.rotation_period();
                (*policy, Some(Finding::BadRotateAfterDays { value: value.clone(), longest, default }))
            }
        }
    }

    /// Active keys that are older than a key of this user may get: its successor, its notice, all its time is over.
    pub fn overdue_keys(&self, now: Timestamp, policy: &Policy) -> impl Iterator<Item = &Key> {
        let oldest = before(now, self.policy(policy).0.inactive_period());
        self.keys.iter().filter(move |key| key.status == KeyStatus::Active && key.created < oldest)
    }

    /// Its keys, oldest first, in whatever order IAM lists them.
    pub(crate) fn keys_by_age(&self) -> Vec<&Key> {
        let mut keys: Vec<&Key> = self.keys.iter().collect();
        keys.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        keys
    }

    /// State tags whose key is gone.
    pub(crate) fn orphaned_states(&self) -> impl Iterator<Item = (&AccessKeyId, &KeyState)> {
        self.tags.states.iter().filter(|(id, _)| self.is_gone(id)).map(|(id, state)| (id, state))
    }

    pub(crate) fn is_gone(&self, id: &AccessKeyId) -> bool {
        !self.keys.iter().any(|key| key.id == *id)
    }
}
