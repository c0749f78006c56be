//! One item, ready to be shown: everything a template may print about a key, as text and dates.

use jiff::Timestamp;
use rotation::LastUse;
use rotation::names::Partition;

use super::cadence::days_left;
use super::commands::{self, Command};
use super::item::{Digest, Item};
use super::text::{counted, one_line};
use super::wording::{Help, Need, Setting, Words, words};

/// One item, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the digest.
    pub index: usize,
    /// The user.
    pub user: String,
    /// The key's id; none for a finding about the user as a whole.
    pub key: Option<String>,
    /// When the key was made, and its age in days.
    pub age: Option<(Timestamp, i64)>,
    /// When and where it was last used, in words.
    pub last_used: String,
    /// What is said of it.
    pub words: Words,
    /// Days until the date that counts.
    pub days_left: Option<i64>,
    /// The secret the user's newest key is in.
    pub secret_name: String,
    /// The secret's region.
    pub region: String,
    /// What the owner can copy.
    pub commands: Vec<Command>,
}

impl Entry {
    /// Puts an item of a digest into words.
    pub fn of(digest: &Digest, index: usize, item: &Item, partition: Partition) -> Self {
        let at = Setting { dry_run: digest.dry_run, now: digest.now, policy: &digest.policy };
        let words = words(item, &at);
        Self {
            index,
            user: item.user.to_string(),
            key: item.key.as_ref().map(|key| key.id.to_string()),
            age: item.key.as_ref().zip(at.age_days(item)).map(|(key, days)| (key.created, days)),
            last_used: last_used(item, digest.now),
            days_left: words.due.map(|(due, _)| days_left(digest.now, due)),
            secret_name: item.secret.name.clone(),
            region: item.secret.region.clone(),
            commands: commands_for(digest, item, words.help, partition),
            words,
        }
    }

    /// The most urgent first: what needs something done, by date; what has no date and cannot wait before the rest.
    pub fn urgency(&self) -> impl Ord + use<> {
        let undated = match (self.words.need, self.words.help) {
            (Need::Act, Help::InstallOnly) => Timestamp::MIN,
            _ => Timestamp::MAX,
        };
        (self.words.need, self.words.due.map_or(undated, |(due, _)| due), self.user.clone(), self.key.clone())
    }
}

/// `2026-12-07 02:00 UTC`.
pub fn exact(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// `2026-12-07`.
pub fn date(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d").to_string()
}

fn last_used(item: &Item, now: Timestamp) -> String {
    match item.key.as_ref().map(|key| &key.last_use) {
        None | Some(LastUse::Unknown) => "unknown".to_owned(),
        Some(LastUse::Never) => "never".to_owned(),
        Some(LastUse::At { when, service, region }) => {
            let days = usize::try_from(-days_left(now, *when)).unwrap_or(0);
            let ago = match days {
                0 => "today".to_owned(),
                1 => "yesterday".to_owned(),
                days => format!("{days} days ago"),
            };
            format!("{} ({ago}), {} in {}", exact(*when), one_line(service, 64), one_line(region, 64))
        }
    }
}

fn commands_for(digest: &Digest, item: &Item, help: Help, partition: Partition) -> Vec<Command> {
    let (fetch, usage, reenable) = match help {
        Help::Install => (true, true, Some(false)),
        Help::InstallOrReenable => (true, true, Some(true)),
        Help::InstallOnly => (true, false, None),
        Help::Usage => (false, true, Some(false)),
        Help::UsageOrReenable => (false, true, Some(true)),
        Help::None => (false, false, None),
    };
    let region = &item.secret.region;
    let mut list = Vec::new();
    // In audit mode there is no new secret to fetch and no disabled key to bring back.
    if fetch && !digest.dry_run {
        list.push(Command {
            label: "Fetch the new key",
            hint: format!(
                "Run it as the user {}, who alone may read this secret{}.",
                item.user,
                if reenable == Some(false) { "; the key above works for that until it is disabled" } else { "" }
            ),
            line: commands::fetch_secret(&item.secret, &digest.account.id, partition),
        });
    }
    let Some(key) = &item.key else { return list };
    if usage {
        list.push(Command {
            label: "See where this key is still used",
            hint: "Shows its last use: when, which service, which region.".to_owned(),
            line: commands::last_used(key.id.as_str(), region),
        });
    }
    if let Some(is_disabled) = reenable.filter(|_| !digest.dry_run) {
        list.push(Command {
            label: if is_disabled {
                "In an emergency: make this key active again"
            } else {
                "In an emergency, once it is disabled: make it active again"
            },
            hint: format!(
                "It works again at once. A replaced key is disabled again, not sooner than {} after its owner has been told.",
                counted(digest.policy.install_grace() as usize, "day", "days"),
            ),
            line: commands::reenable(item.user.as_str(), key.id.as_str(), region),
        });
    }
    list
}
