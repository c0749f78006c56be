//! What owners do in the meantime: they install new keys sooner or later and use them; AWS cannot always answer.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use sandbox::Sandbox;
use sandbox::world::{KeyStatus, World};

/// How often, on a day, an owner who has a newer key goes over to it for good.
const INSTALLS: f64 = 0.25;
/// How often, on a day, a user works at all.
const WORKS: f64 = 0.6;

/// The owners of all keys.
#[derive(Debug)]
pub(super) struct Owners {
    rng: ChaCha8Rng,
}

impl Owners {
    pub(super) fn new(seed: u64) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed ^ 0x6f77_6e65_7273) }
    }

    /// Everybody who works today signs a call with the key that is installed: the one used last, or the newest once it is
    /// installed. Whoever finds the installed key disabled installs the newest at once.
    pub(super) fn live_a_day(&mut self, world: &mut World) {
        let mut used = Vec::new();
        for account in world.accounts.values() {
            for user in account.users.values() {
                let mut active: Vec<_> = user.holds.keys.iter().filter(|key| key.status == KeyStatus::Active).collect();
                active.sort_by_key(|key| key.created);
                let Some(newest) = active.last() else { continue };
                let installed = active
                    .iter()
                    .filter(|key| key.last_use.is_some())
                    .max_by_key(|key| key.last_use.as_ref().map(|last_use| last_use.at));
                // Some keys are never used, and stay so.
                let Some(installed) =
                    installed.or(user.holds.keys.iter().find_map(|key| key.last_use.as_ref().map(|_| newest)))
                else {
                    continue;
                };
                if self.rng.random_bool(WORKS) {
                    let key = if self.rng.random_bool(INSTALLS) { newest } else { installed };
                    used.push(key.id.clone());
                }
            }
        }
        for key in used {
            world.use_key(&key, "s3", "eu-central-1");
        }
    }
}

/// One account whose keys' last uses, and one whose users and groups, cannot be read for some days: nothing of theirs may change
/// then.
#[derive(Debug)]
pub(super) struct UnansweredDays {
    uses_of: Option<String>,
    users_of: Option<String>,
}

const FIRST_UNANSWERED_DAY: u32 = 12;
const FIRST_ANSWERED_DAY: u32 = 15;

impl UnansweredDays {
    pub(super) fn choose(sandbox: &Sandbox, accounts: &[String]) -> Self {
        let open = |id: &&String| sandbox.with(|world| world.account(id).state == sandbox::world::AccountState::Active);
        let mut open = accounts.iter().filter(open);
        Self { uses_of: open.next().cloned(), users_of: open.next().cloned() }
    }

    pub(super) fn on_day(&mut self, world: &mut World, day: u32) {
        let accounts = [&self.uses_of, &self.users_of];
        if day == FIRST_UNANSWERED_DAY {
            if let Some(account) = &self.uses_of {
                world.faults.deny(account, "iam:GetAccessKeyLastUsed", None);
            }
            if let Some(account) = &self.users_of {
                world.faults.deny(account, "iam:GetAccountAuthorizationDetails", None);
            }
        } else if day == FIRST_ANSWERED_DAY {
            for account in accounts.into_iter().flatten() {
                world.faults.allow_all(account);
            }
        }
    }
}
