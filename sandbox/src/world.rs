//! What all services share: the organization, its accounts, users and keys, who signs with which credentials, the clock, the
//! journal and the faults.

mod account;
mod organization;
mod principals;
mod setup;
mod user;

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use uuid::Uuid;

use crate::clock::Clock;
use crate::faults::Faults;
use crate::journal::Journal;

pub(crate) use account::CredentialReport;
pub use account::{Account, AccountState, Group, Role};
pub use organization::{Children, Organization, Unit};
pub(crate) use principals::Refused;
pub use principals::{Credentials, KeyOwner, OPERATOR_ACCESS_KEY_ID, OPERATOR_SECRET_ACCESS_KEY, Session};
pub use setup::KeySpec;
pub use user::{AccessKey, Holdings, KeyStatus, LastUse, User};

/// The management account's id, in every sandbox.
pub const MANAGEMENT_ACCOUNT: &str = "100000000000";

/// The role every member account has, unless a test takes it away: the product's default.
pub const MEMBER_ROLE: &str = "asa-iam-key-rotation-lambda-assumed-role";

/// The policy every account has for users whose secret is in a central store.
pub const READ_POLICY: &str = "IAMKeyRotationReadOwnSecret";

/// The organization and everything that goes on in it.
#[derive(Debug, Clone, Serialize)]
pub struct World {
    /// The time everything goes by.
    pub clock: Clock,
    /// The tree of accounts.
    pub organization: Organization,
    /// The accounts, by id.
    pub accounts: BTreeMap<String, Account>,
    /// Role sessions, by access key id.
    pub(crate) sessions: BTreeMap<String, Session>,
    #[serde(skip)]
    pub journal: Journal,
    pub faults: Faults,
    /// Whose each user's key is.
    #[serde(skip)]
    pub(crate) key_owners: HashMap<String, KeyOwner>,
    #[serde(skip)]
    secret_access_keys: Vec<String>,
    #[serde(skip)]
    rng: ChaCha8Rng,
}

impl World {
    /// An organization of nothing but its management account. The same seed and the same calls give the same ids.
    pub fn new(seed: u64, clock: Clock) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let organization = Organization::new(&mut rng, MANAGEMENT_ACCOUNT);
        let mut world = Self {
            clock,
            organization,
            accounts: BTreeMap::new(),
            sessions: BTreeMap::new(),
            journal: Journal::default(),
            faults: Faults::new(seed),
            key_owners: HashMap::new(),
            secret_access_keys: Vec::new(),
            rng,
        };
        world.add_account(MANAGEMENT_ACCOUNT, "management", "management@example.com");
        world
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A UUID, random but seeded.
    pub fn uuid(&mut self) -> Uuid {
        let mut bytes = [0; 16];
        self.rng.fill_bytes(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    /// A string of `len` letters and digits, random but seeded.
    pub fn token(&mut self, len: usize) -> String {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        random_text(&mut self.rng, ALPHABET, len)
    }

    /// A new secret access key.
    pub(crate) fn secret_access_key(&mut self) -> String {
        let secret = self.token(40);
        self.secret_access_keys.push(secret.clone());
        secret
    }

    /// Every secret access key that was ever given to anybody, of users and of role sessions: what must not be found anywhere
    /// but with them.
    pub fn secret_access_keys(&self) -> &[String] {
        &self.secret_access_keys
    }

    /// An IAM id: `prefix` and characters of base 32 up to `len` in all (`AKIA` and `ASIA` ids have 20, others 21).
    pub(crate) fn iam_id(&mut self, prefix: &str, len: usize) -> String {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        format!("{prefix}{}", random_text(&mut self.rng, ALPHABET, len - prefix.len()))
    }

    /// Another random stream, derived from the sandbox's own.
    pub(crate) fn rng(&mut self) -> &mut ChaCha8Rng {
        &mut self.rng
    }
}

/// `len` characters of `alphabet`.
pub(crate) fn random_text(rng: &mut impl RngCore, alphabet: &[u8], len: usize) -> String {
    (0..len).map(|_| char::from(alphabet[rng.random_range(0..alphabet.len())])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_ids() {
        let ids = |seed| {
            let mut world = World::new(seed, Clock::real());
            (world.uuid(), world.token(40), world.iam_id("AKIA", 20), world.organization.id.clone())
        };
        assert_eq!(ids(7), ids(7));
        assert_ne!(ids(7), ids(8));
    }

    #[test]
    fn an_access_key_id_is_twenty_characters_of_base_32() {
        let id = World::new(1, Clock::real()).iam_id("AKIA", 20);
        assert_eq!(id.len(), 20);
        assert!(id.chars().all(|c| c.is_ascii_uppercase() || ('2'..='7').contains(&c)), "{id}");
    }
}
