//! Who is in the organization of the kills, and what must have become of them.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rotation::names::{INTENT_TAG_PREFIX, secret_name, state_tag, version_id};
use rotation::{AccessKeyId, AccountId, UserName};
use sandbox::generate::{self, EXEMPT_UNTIL_TAG, EXEMPTION_GROUP, Shape};
use sandbox::journal::Effect;
use sandbox::serve::REGION;
use sandbox::world::AccountState;
use sandbox::{Clock, Cloud, KeySpec, KeyStatus, World};

/// Accounts, and users of every kind in each: two of each case that the generator knows.
const SHAPE: Shape = Shape { accounts: 24, users_per_account: 26 };
/// Users with nothing but one due key, in each account that is in use, besides those.
const PLAINLY_DUE: usize = 11;
/// The age from which a key is due: the product's default.
const ROTATION_PERIOD: SignedDuration = SignedDuration::from_hours(24 * 90);

/// A user with one key, which is due.
#[derive(Debug, Clone)]
pub(crate) struct Due {
    pub(crate) account: AccountId,
    pub(crate) user: UserName,
    pub(crate) old: AccessKeyId,
}

/// An organization, and everybody in it who must get a successor. Every other plainly due user's key has been published before,
/// so that its successor passes through the stage of being stored and not yet published.
pub(crate) fn organization(rng: &mut ChaCha8Rng) -> (Cloud, Vec<Due>) {
    let start: Timestamp = "2026-03-02T06:00:00Z".parse().expect("a valid time");
    let mut cloud = Cloud::from(World::new(rng.random(), Clock::frozen_at(start)));
    let accounts = generate::organization(&mut cloud, SHAPE);
    for account in
        accounts.iter().filter(|id| cloud.account(id).state == AccountState::Active).cloned().collect::<Vec<_>>()
    {
        for number in 0..PLAINLY_DUE {
            let user = format!("due-{number}");
            cloud.add_user(&account, &user);
            let spec = KeySpec::aged(rng.random_range(91..200)).used_days_ago(rng.random_range(0..5));
            let key = cloud.add_key(&account, &user, &spec);
            if number % 2 == 0 {
                published(&mut cloud, &account, &user, &key);
            }
        }
    }
    let due = due(&cloud);
    (cloud, due)
}

/// Stores a published version of a key, as an earlier rotation would have.
fn published(cloud: &mut Cloud, account: &str, user: &str, key: &str) {
    let now = cloud.now();
    let account_id = AccountId::new(account).expect("an account id");
    let name = secret_name(&account_id, &user.parse().expect("a user name"));
    let version = version_id(&AccessKeyId::new(key).expect("a key id"));
    let value = serde_json::json!({"AccessKeyId": key, "SecretAccessKey": "earlier"}).to_string();
    cloud.secrets.arrange(now, account, REGION, &name, &version, &value);
}

fn due(cloud: &Cloud) -> Vec<Due> {
    let now = cloud.now();
    let mut due = Vec::new();
    for account in cloud.accounts.values().filter(|account| account.state == AccountState::Active) {
        for user in account.users.values() {
            // Exemptions that are over make users due as well; they are left out here rather than dated.
            let exempt = user.holds.groups.contains(EXEMPTION_GROUP) || user.holds.tags.contains_key(EXEMPT_UNTIL_TAG);
            let [key] = user.holds.keys.as_slice() else { continue };
            if !exempt && key.status == KeyStatus::Active && key.created.duration_until(now) >= ROTATION_PERIOD {
                due.push(Due {
                    account: AccountId::new(&account.id).expect("an account id"),
                    user: user.name.parse().expect("a user name"),
                    old: AccessKeyId::new(&key.id).expect("a key id"),
                });
            }
        }
    }
    due
}

/// The accounts they are in.
pub(crate) fn accounts(due: &[Due]) -> Vec<AccountId> {
    let accounts: BTreeSet<&AccountId> = due.iter().map(|due| &due.account).collect();
    accounts.into_iter().cloned().collect()
}

/// What is not as it must be in the end, within the install grace: a sentence each.
pub(crate) fn not_at_rest(cloud: &Cloud, due: &[Due]) -> Vec<String> {
    let mut broken = Vec::new();
    for account in cloud.accounts.values() {
        for user in account.users.values() {
            for tag in user.holds.tags.keys().filter(|tag| tag.starts_with(INTENT_TAG_PREFIX)) {
                broken.push(format!("{} in {} still has {tag}", user.name, account.id));
            }
        }
    }
    for Due { account, user, old } in due {
        let who = format!("{user} in {account}");
        let holds = &cloud.user(account.as_str(), user.as_str()).holds;
        let new: Vec<_> = holds.keys.iter().filter(|key| key.id != old.as_str()).collect();
        let [new] = new.as_slice() else {
            broken.push(format!("{who} has {} successors", new.len()));
            continue;
        };
        if new.status != KeyStatus::Active {
            broken.push(format!("the successor of {who} does not work"));
        }
        let version = version_id(&AccessKeyId::new(&new.id).expect("a key id"));
        let secret = cloud.secrets.secret(account.as_str(), REGION, &secret_name(account, user));
        if secret.and_then(|secret| secret.holder("AWSCURRENT")) != Some(version.as_str()) {
            broken.push(format!("the successor of {who} is not published"));
        }
        if !holds.tags.get(&state_tag(old)).is_some_and(|state| state.starts_with("notified=")) {
            broken.push(format!("the owner of {who} has not been told, or it was not recorded"));
        }
    }
    let touched = cloud.journal.effects().iter().filter_map(|record| match &record.effect {
        Effect::KeyStatusChanged { key, .. } | Effect::KeyDeleted { key, .. } => Some(key.as_str()),
        _ => None,
    });
    for key in touched.filter(|key| due.iter().any(|due| due.old.as_str() == *key)) {
        broken.push(format!("the old key {key} was touched within its owner's time to install the new one"));
    }
    broken
}
