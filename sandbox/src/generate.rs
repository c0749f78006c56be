//! Organizations from a seed: a tree of units some levels deep, accounts mostly open, users with ordinary and awkward names, and keys in
//! every state of their life. The same shape on a world of the same seed gives the same organization.

mod keys;
mod names;

use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::world::{AccountState, World};
use keys::KeyCase;

/// The group whose members are left alone: the product's default.
pub const EXEMPTION_GROUP: &str = "IAMKeyRotationExemptionGroup";

/// The tag that leaves a user alone until a day.
pub const EXEMPT_UNTIL_TAG: &str = "key-rotation:exempt-until";

/// The tag that names a user's owner.
pub const OWNER_TAG: &str = "Owner";

/// Levels of units below the root at most.
const DEEPEST: usize = 4;

/// Accounts a unit has, on average.
const ACCOUNTS_PER_UNIT: usize = 4;

/// How large an organization is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Accounts besides the management account.
    pub accounts: usize,
    /// Users in each of them.
    pub users_per_account: usize,
}

/// Fills a world with an organization; gives the new accounts' ids, in order.
pub fn organization(world: &mut World, shape: Shape) -> Vec<String> {
    let mut rng = ChaCha8Rng::from_rng(world.rng());
    let units = units(world, &mut rng, shape.accounts);
    let mut accounts = Vec::with_capacity(shape.accounts);
    for number in 0..shape.accounts {
        let unit = units.choose(&mut rng).map(String::as_str);
        let id = new_account(world, &mut rng, number, unit);
        users(world, &mut rng, &id, shape.users_per_account);
        accounts.push(id);
    }
    accounts
}

/// Builds the tree of units, each below the root or one made before it.
fn units(world: &mut World, rng: &mut ChaCha8Rng, accounts: usize) -> Vec<String> {
    let root = world.organization.root.clone();
    let mut units = vec![(root.clone(), 0)];
    for number in 0..accounts.div_ceil(ACCOUNTS_PER_UNIT) {
        let open: Vec<_> = units.iter().filter(|(_, depth)| *depth < DEEPEST).cloned().collect();
        let (parent, depth) = open.choose(rng).cloned().unwrap_or((root.clone(), 0));
        let id = world.add_unit(&parent, &names::unit(number));
        units.push((id, depth + 1));
    }
    units.into_iter().map(|(id, _)| id).collect()
}

fn new_account(world: &mut World, rng: &mut ChaCha8Rng, number: usize, parent: Option<&str>) -> String {
    let id = loop {
        let id = rng.random_range(200_000_000_000_u64..1_000_000_000_000).to_string();
        if !world.accounts.contains_key(&id) {
            break id;
        }
    };
    world.add_account(&id, &names::account(number), &format!("account-{number}@example.com"));
    if let Some(parent) = parent {
        world.move_account(&id, parent);
    }
    world.set_account_state(&id, state(number));
    id
}

/// One account in ten is not in use, for one reason after the other.
fn state(number: usize) -> AccountState {
    if number % 10 != 7 {
        return AccountState::Active;
    }
    match (number / 10) % 4 {
        0 => AccountState::Suspended,
        1 => AccountState::PendingClosure,
        2 => AccountState::Closed,
        _ => AccountState::PendingActivation,
    }
}

fn users(world: &mut World, rng: &mut ChaCha8Rng, account: &str, count: usize) {
    let now = world.now();
    world.add_group(account, EXEMPTION_GROUP);
    // Dealt like cards, so that a dozen users are enough to meet every case.
    let mut cases: Vec<KeyCase> = Vec::new();
    for number in 0..count {
        if cases.is_empty() {
            cases = KeyCase::ALL.to_vec();
            cases.shuffle(rng);
        }
        let Some(case) = cases.pop() else { continue };
        let (name, path) = names::user(rng, number);
        world.add_user_at(account, &name, path, now);
        for key in case.keys(rng) {
            world.add_key(account, &name, &key);
        }
        mark(world, rng, account, &name);
    }
}

/// Some users are exempt, by group or by tag, and some have an owner.
fn mark(world: &mut World, rng: &mut ChaCha8Rng, account: &str, user: &str) {
    match rng.random_range(0..100) {
        0..5 => world.add_group_member(account, EXEMPTION_GROUP, user),
        5..8 => world.tag_user(account, user, EXEMPT_UNTIL_TAG, &day(world, rng.random_range(10..60))),
        8..10 => world.tag_user(account, user, EXEMPT_UNTIL_TAG, &day(world, -rng.random_range(1..60))),
        _ => {}
    }
    if rng.random_bool(0.3) {
        let owner = format!("owner-{}@example.com", rng.random_range(0..1000));
        world.tag_user(account, user, OWNER_TAG, &owner);
    }
}

/// A date so many days from now.
fn day(world: &World, days: i64) -> String {
    let then = world.now().saturating_add(jiff::SignedDuration::from_hours(24 * days));
    then.unwrap_or(jiff::Timestamp::MAX).strftime("%Y-%m-%d").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    fn generated(seed: u64, shape: Shape) -> World {
        let now = "2026-11-22T10:00:00Z".parse().expect("an instant");
        let mut world = World::new(seed, Clock::frozen_at(now));
        organization(&mut world, shape);
        world
    }

    const SHAPE: Shape = Shape { accounts: 40, users_per_account: 30 };

    #[test]
    fn the_same_seed_gives_the_same_organization() {
        let accounts = |seed| serde_json::to_string(&generated(seed, SHAPE).accounts).expect("JSON");
        assert_eq!(accounts(1), accounts(1));
        assert_ne!(accounts(1), accounts(2));
    }

    #[test]
    fn it_has_the_size_asked_for_and_accounts_in_every_state() {
        let world = generated(3, SHAPE);
        assert_eq!(world.accounts.len(), SHAPE.accounts + 1);
        for account in world.accounts.values().filter(|account| account.id != world.organization.management) {
            assert_eq!(account.users.len(), SHAPE.users_per_account, "{}", account.name);
        }
        let with = |state| world.accounts.values().filter(|account| account.state == state).count();
        assert!(with(AccountState::Active) > 30);
        assert!(with(AccountState::Suspended) > 0 && with(AccountState::Closed) > 0);
        assert!(with(AccountState::PendingClosure) > 0 && with(AccountState::PendingActivation) > 0);
    }

    #[test]
    fn some_accounts_hang_several_levels_deep() {
        let world = generated(5, SHAPE);
        let depth = |account: &crate::world::Account| {
            let mut depth = 0;
            let mut parent = &account.parent;
            while let Some(unit) = world.organization.units.get(parent) {
                depth += 1;
                parent = &unit.parent;
            }
            depth
        };
        assert!(world.accounts.values().map(depth).max() >= Some(3));
    }

    #[test]
    fn names_keep_to_iam_s_rule_and_reach_its_limits() {
        let world = generated(9, SHAPE);
        let names: Vec<&String> = world.accounts.values().flat_map(|account| account.users.keys()).collect();
        let allowed = |c: char| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c);
        assert!(names.iter().all(|name| name.len() <= 64 && name.chars().all(allowed)));
        assert!(names.iter().any(|name| name.len() == 64));
        assert!("+=,.@_-".chars().all(|c| names.iter().any(|name| name.contains(c))));
    }
}
