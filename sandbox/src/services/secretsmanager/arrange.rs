//! Secrets that are there at the start of a test or a demo, as an earlier time would have left them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::secret::{Secret, SecretValue};
use super::{Address, State};
use crate::policy::Policy;

impl State {
    /// Makes a secret whose published version has this id and this text.
    pub fn arrange(&mut self, now: Timestamp, account: &str, region: &str, name: &str, version: &str, text: &str) {
        let address = Address { account: account.to_owned(), region: region.to_owned(), name: name.to_owned() };
        let mut secret = empty(now, &address);
        secret
            .store(version, SecretValue::SecretString(text.to_owned()), &[], now)
            .expect("the first version of a new secret is always taken");
        self.insert(&address, secret);
    }

    /// Makes a secret without a version, unless there is one of this name.
    pub fn arrange_empty(&mut self, now: Timestamp, account: &str, region: &str, name: &str) {
        let address = Address { account: account.to_owned(), region: region.to_owned(), name: name.to_owned() };
        if self.at(&address).is_none() {
            self.insert(&address, empty(now, &address));
        }
    }

    /// Adds a version under `AWSPENDING` to a secret that is there, as an interrupted rotation would have left it.
    ///
    /// # Panics
    /// If there is no such secret, or it has this version.
    pub fn arrange_pending(
        &mut self,
        now: Timestamp,
        account: &str,
        region: &str,
        name: &str,
        version: &str,
        text: &str,
    ) {
        let address = Address { account: account.to_owned(), region: region.to_owned(), name: name.to_owned() };
        let secret = self.at_mut(&address).expect("a secret that is there");
        let pending = ["AWSPENDING".to_owned()];
        secret
            .store(version, SecretValue::SecretString(text.to_owned()), &pending, now)
            .expect("a version that is not there yet");
    }

    /// Lets the replica in a region fail, as replication may at any time after it was asked for.
    ///
    /// # Panics
    /// There is no such secret, or it is not replicated there.
    pub fn fail_replica(&mut self, account: &str, region: &str, name: &str, replica: &str, why: &str) {
        let address = Address { account: account.to_owned(), region: region.to_owned(), name: name.to_owned() };
        let secret = self.at_mut(&address).expect("a secret that is there");
        secret.replicas.get_mut(replica).expect("a replica in the region").failure = Some(why.to_owned());
    }

    /// Sets a secret's resource policy.
    ///
    /// # Panics
    /// There is no such secret, or the policy cannot be read.
    pub fn arrange_policy(&mut self, account: &str, region: &str, name: &str, policy: &str) {
        let address = Address { account: account.to_owned(), region: region.to_owned(), name: name.to_owned() };
        let secret = self.at_mut(&address).expect("a secret that is there");
        secret.policy = Some(Policy::from_resource(policy).expect("a policy"));
    }
}

fn empty(now: Timestamp, Address { account, region, name }: &Address) -> Secret {
    Secret {
        arn: format!("arn:aws:secretsmanager:{region}:{account}:secret:{name}-AbCdEf"),
        account: account.clone(),
        name: name.clone(),
        description: None,
        kms_key_id: None,
        tags: BTreeMap::new(),
        versions: BTreeMap::new(),
        policy: None,
        created: now,
        changed: now,
        deletion: None,
        primary_region: None,
        replicas: BTreeMap::new(),
    }
}
