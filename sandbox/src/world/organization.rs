//! The organization's tree: root, organizational units, and which accounts hang where.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngCore;
use serde::Serialize;

use super::random_text;

const LOWER: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";

#[derive(Debug, Clone, Serialize)]
pub struct Organization {
    /// Its id (`o-…`).
    pub id: String,
    /// The root's id (`r-…`).
    pub root: String,
    pub management: String,
    /// Member accounts that may list the organization too.
    pub delegated: BTreeSet<String>,
    /// The organizational units, by id.
    pub units: BTreeMap<String, Unit>,
    /// What is directly below the root and each unit.
    pub(crate) children: BTreeMap<String, Children>,
    /// Whether accounts carry `State`; older endpoints had `Status` alone.
    pub account_state: bool,
    /// Whether accounts still carry `Status`, retired on 2026-09-09.
    pub account_status: bool,
}

#[derive(Debug, Clone, Serialize)]
pub struct Unit {
    /// Its id (`ou-…`).
    pub id: String,
    pub name: String,
    /// The root or unit it is in.
    pub parent: String,
}

/// What is directly below the root or a unit, by id.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Children {
    pub accounts: BTreeSet<String>,
    pub units: BTreeSet<String>,
}

impl Organization {
    pub(crate) fn new(rng: &mut impl RngCore, management: &str) -> Self {
        let root = format!("r-{}", random_text(rng, LOWER, 4));
        Self {
            id: format!("o-{}", random_text(rng, LOWER, 10)),
            children: BTreeMap::from([(root.clone(), Children::default())]),
            root,
            management: management.to_owned(),
            delegated: BTreeSet::new(),
            units: BTreeMap::new(),
            account_state: true,
            account_status: false,
        }
    }

    pub(crate) fn add_unit(&mut self, rng: &mut impl RngCore, parent: &str, name: &str) -> String {
        let id = format!("ou-{}-{}", &self.root[2..], random_text(rng, LOWER, 8));
        let unit = Unit { id: id.clone(), name: name.to_owned(), parent: parent.to_owned() };
        self.units.insert(id.clone(), unit);
        self.children.entry(parent.to_owned()).or_default().units.insert(id.clone());
        self.children.insert(id.clone(), Children::default());
        id
    }

    pub(crate) fn remove_account(&mut self, account: &str, from: &str) {
        if let Some(children) = self.children.get_mut(from) {
            children.accounts.remove(account);
        }
    }

    pub(crate) fn place_account(&mut self, account: &str, from: &str, to: &str) {
        self.remove_account(account, from);
        self.children.entry(to.to_owned()).or_default().accounts.insert(account.to_owned());
    }

    /// Whether an account hangs anywhere in the tree.
    pub fn has(&self, account: &str) -> bool {
        self.children.values().any(|children| children.accounts.contains(account))
    }

    /// What is directly below `parent`, if there is such a root or unit.
    pub fn children(&self, parent: &str) -> Option<&Children> {
        self.children.get(parent)
    }
}
