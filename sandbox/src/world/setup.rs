//! Arranging a world by hand: accounts, units, roles, users, keys, groups and tags, as tests and the `/_sandbox` routes need them.
//! These are not AWS calls: nothing here is journalled, denied or subject to faults.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::user::Holdings;
use super::{
    AccessKey, Account, AccountState, Group, KeyOwner, KeyStatus, LastUse, MEMBER_ROLE, READ_POLICY, Role, User, World,
};
use crate::faults::StaleView;

/// A key to be put on a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySpec {
    /// How old it is.
    pub age: SignedDuration,
    pub status: KeyStatus,
    /// How long ago it was last used; `None` for never.
    pub last_used_ago: Option<SignedDuration>,
}

impl KeySpec {
    /// An active key of this many days, never used.
    pub fn aged(days: i64) -> Self {
        Self { age: SignedDuration::from_hours(24 * days), status: KeyStatus::Active, last_used_ago: None }
    }

    pub fn inactive(self) -> Self {
        Self { status: KeyStatus::Inactive, ..self }
    }

    /// The same, last used this many days ago.
    pub fn used_days_ago(self, days: i64) -> Self {
        Self { last_used_ago: Some(SignedDuration::from_hours(24 * days)), ..self }
    }
}

/// AWS keeps IAM's times in whole seconds.
pub(crate) fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

impl World {
    /// Adds an active account below the root, with what `member-role.yaml` makes in it: the member role and [`READ_POLICY`].
    pub fn add_account(&mut self, id: &str, name: &str, email: &str) -> &mut Account {
        let root = self.organization.root.clone();
        self.organization.place_account(id, "", &root);
        let account = Account {
            id: id.to_owned(),
            name: name.to_owned(),
            email: email.to_owned(),
            state: AccountState::Active,
            joined: whole_seconds(self.now()),
            parent: root,
            roles: BTreeMap::new(),
            users: BTreeMap::new(),
            groups: BTreeMap::new(),
            policies: BTreeSet::from([READ_POLICY.to_owned()]),
            report: None,
        };
        self.accounts.insert(id.to_owned(), account);
        self.add_role(id, MEMBER_ROLE);
        self.account_mut(id)
    }

    /// An account that is known to exist.
    ///
    /// # Panics
    /// Where it does not.
    pub fn account(&self, id: &str) -> &Account {
        self.accounts.get(id).unwrap_or_else(|| panic!("the sandbox has no account {id}"))
    }

    /// An account that is known to exist, to be changed.
    ///
    /// # Panics
    /// Where it does not.
    pub fn account_mut(&mut self, id: &str) -> &mut Account {
        self.accounts.get_mut(id).unwrap_or_else(|| panic!("the sandbox has no account {id}"))
    }

    /// A user that is known to exist.
    ///
    /// # Panics
    /// Where it does not.
    pub fn user(&self, account: &str, name: &str) -> &User {
        let user = self.account(account).users.get(name);
        user.unwrap_or_else(|| panic!("the sandbox has no user {name} in account {account}"))
    }

    /// A user that is known to exist, to be changed.
    ///
    /// # Panics
    /// Where it does not.
    pub fn user_mut(&mut self, account: &str, name: &str) -> &mut User {
        let user = self.account_mut(account).users.get_mut(name);
        user.unwrap_or_else(|| panic!("the sandbox has no user {name} in account {account}"))
    }

    /// Adds an organizational unit below the root or a unit; gives its id.
    pub fn add_unit(&mut self, parent: &str, name: &str) -> String {
        self.organization.add_unit(&mut self.rng, parent, name)
    }

    /// Moves an account below another unit, or the root.
    pub fn move_account(&mut self, id: &str, parent: &str) {
        let account = self.account_mut(id);
        let from = std::mem::replace(&mut account.parent, parent.to_owned());
        self.organization.place_account(id, &from, parent);
    }

    /// Takes an account out of the organization; it goes on by itself.
    pub fn leave_organization(&mut self, id: &str) {
        let parent = self.account(id).parent.clone();
        self.organization.remove_account(id, &parent);
    }

    /// Sets an account's state.
    pub fn set_account_state(&mut self, id: &str, state: AccountState) {
        self.account_mut(id).state = state;
    }

    /// Adds a role that callers of the organization can assume and that may do everything in its account.
    pub fn add_role(&mut self, account: &str, name: &str) -> &mut Role {
        let id = self.iam_id("AROA", 21);
        let role = Role { name: name.to_owned(), id, external_id: None, policy: None, longest_session: 43_200 };
        self.account_mut(account).roles.entry(name.to_owned()).or_insert(role)
    }

    /// Takes a role away.
    pub fn remove_role(&mut self, account: &str, name: &str) {
        self.account_mut(account).roles.remove(name);
    }

    /// Adds a user with path `/`, made now.
    pub fn add_user(&mut self, account: &str, name: &str) -> &mut User {
        self.add_user_at(account, name, "/", self.now())
    }

    /// Adds a user with this path, made then.
    pub fn add_user_at(&mut self, account: &str, name: &str, path: &str, created: Timestamp) -> &mut User {
        let user = User {
            name: name.to_owned(),
            path: path.to_owned(),
            id: self.iam_id("AIDA", 21),
            created: whole_seconds(created),
            holds: Holdings::default(),
            attached_policies: BTreeSet::new(),
            stale_view: StaleView::default(),
        };
        let users = &mut self.account_mut(account).users;
        users.insert(name.to_owned(), user);
        self.user_mut(account, name)
    }

    /// Renames a user, as `UpdateUser` does: its unique id, its keys and all else stay.
    pub fn rename_user(&mut self, account: &str, name: &str, new_name: &str) {
        let users = &mut self.account_mut(account).users;
        let mut user = users.remove(name).expect("a user that is there");
        user.name = new_name.to_owned();
        users.insert(new_name.to_owned(), user);
    }

    /// Deletes a user, as whoever leaves.
    pub fn remove_user(&mut self, account: &str, name: &str) {
        self.account_mut(account).users.remove(name);
    }

    /// Adds a key to a user; gives its id. The two-key limit does not hold here.
    pub fn add_key(&mut self, account: &str, user: &str, spec: &KeySpec) -> String {
        let now = self.now();
        let ago = |by: SignedDuration| now.saturating_sub(by).unwrap_or(Timestamp::MIN);
        let created = whole_seconds(ago(spec.age));
        let last_use = spec.last_used_ago.map(|by| LastUse {
            at: whole_seconds(ago(by)).max(created),
            service: "s3".to_owned(),
            region: "us-east-1".to_owned(),
        });
        let key = self.new_key(created);
        let key = AccessKey { status: spec.status, last_use, ..key };
        let id = key.id.clone();
        self.hold_key(account, user, key);
        let holder = self.user_mut(account, user);
        holder.created = holder.created.min(created);
        id
    }

    /// An active key of nobody yet.
    pub(crate) fn new_key(&mut self, created: Timestamp) -> AccessKey {
        let created = whole_seconds(created);
        AccessKey {
            id: self.iam_id("AKIA", 20),
            secret_access_key: self.secret_access_key(),
            status: KeyStatus::Active,
            created,
            changed: created,
            last_use: None,
        }
    }

    /// Puts a key on a user.
    pub(crate) fn hold_key(&mut self, account: &str, user: &str, key: AccessKey) {
        let owner = KeyOwner { account: account.to_owned(), user: user.to_owned() };
        self.key_owners.insert(key.id.clone(), owner);
        let keys = &mut self.user_mut(account, user).holds.keys;
        keys.push(key);
        keys.sort_by_key(|key| key.created);
    }

    /// Switches a key on or off, as a person in the account would.
    pub fn set_key_status(&mut self, account: &str, user: &str, key: &str, status: KeyStatus) {
        let now = whole_seconds(self.now());
        if let Some(key) = self.user_mut(account, user).key_mut(key) {
            key.status = status;
            key.changed = now;
        }
    }

    /// Takes a key away, as a person in the account would. STS goes on naming its account. (STS API reference,
    /// `GetAccessKeyInfo`: "The key might be active, inactive, or deleted.")
    pub fn remove_key(&mut self, account: &str, user: &str, key: &str) {
        self.user_mut(account, user).holds.keys.retain(|held| held.id != key);
    }

    /// Notes that a key was used now.
    pub fn use_key(&mut self, key: &str, service: &str, region: &str) {
        let at = whole_seconds(self.now());
        let Some(owner) = self.key_owners.get(key) else { return };
        let user = self.accounts.get_mut(&owner.account).and_then(|account| account.users.get_mut(&owner.user));
        if let Some(key) = user.and_then(|user| user.key_mut(key)) {
            key.last_use = Some(LastUse { at, service: service.to_owned(), region: region.to_owned() });
        }
    }

    /// Puts a tag on a user.
    pub fn tag_user(&mut self, account: &str, user: &str, key: &str, value: &str) {
        self.user_mut(account, user).holds.tags.insert(key.to_owned(), value.to_owned());
    }

    /// Adds an empty group; one that is there already stays as it is.
    pub fn add_group(&mut self, account: &str, name: &str) {
        if self.account(account).groups.contains_key(name) {
            return;
        }
        let group = Group {
            name: name.to_owned(),
            path: "/".to_owned(),
            id: self.iam_id("AGPA", 21),
            created: whole_seconds(self.now()),
            members: BTreeSet::new(),
        };
        self.account_mut(account).groups.insert(name.to_owned(), group);
    }

    /// Puts a user in a group, making the group where it is missing.
    pub fn add_group_member(&mut self, account: &str, group: &str, user: &str) {
        self.add_group(account, group);
        self.user_mut(account, user).holds.groups.insert(group.to_owned());
        if let Some(group) = self.account_mut(account).groups.get_mut(group) {
            group.members.insert(user.to_owned());
        }
    }

    /// Takes a user out of a group.
    pub fn remove_group_member(&mut self, account: &str, group: &str, user: &str) {
        self.user_mut(account, user).holds.groups.remove(group);
        if let Some(group) = self.account_mut(account).groups.get_mut(group) {
            group.members.remove(user);
        }
    }
}
