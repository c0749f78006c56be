//! Who is told what: the account's address everything, an owner what concerns its users; each address one mail.

use std::fmt;

use super::address::{Address, OwnerTag, read_owner_tag};
use super::cadence::is_told_today;
use super::item::Digest;

/// Who a mail goes to: what logs and dead letters say in place of the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecipientClass {
    /// The account's own address.
    Account,
    /// An address in a user's owner tag.
    Owner,
    /// The administrator's address, for summaries.
    Administrator,
}

impl RecipientClass {
    /// As log fields and dead letters spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            RecipientClass::Account => "account",
            RecipientClass::Owner => "owner",
            RecipientClass::Administrator => "administrator",
        }
    }
}

impl fmt::Display for RecipientClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One mail to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Who it is for.
    pub class: RecipientClass,
    /// Where it goes.
    pub address: Address,
    /// The items it tells, by their place in the digest.
    pub items: Vec<usize>,
}

/// An owner tag that did not hold what it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadOwnerTag {
    /// The user that carries it.
    pub user: String,
    /// Its value.
    pub value: String,
}

/// The way of a digest's items to their recipients.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Routing {
    /// The mails to be sent today, the account's first.
    pub envelopes: Vec<Envelope>,
    /// Items that are due to be told and that nobody can be told.
    pub unreachable: Vec<usize>,
    /// Whether the message gave the account an address that is none.
    pub bad_account_address: bool,
    /// Owner tags that held no address, or something that is none: the account's address stands in for them.
    pub bad_owner_tags: Vec<BadOwnerTag>,
}

impl Routing {
    /// Finds the recipients of a digest.
    pub fn of(digest: &Digest) -> Self {
        let mut routing = Self::default();
        let account = digest.account.email.as_deref().and_then(Address::parse);
        routing.bad_account_address = account.is_none() && digest.account.email.is_some();
        let mut envelopes: Vec<Envelope> = Vec::new();
        if let Some(address) = &account {
            let items = (0..digest.items.len()).collect();
            envelopes.push(Envelope { class: RecipientClass::Account, address: address.clone(), items });
        }
        let told_today: Vec<bool> =
            digest.items.iter().map(|item| is_told_today(&item.event, digest.now, &digest.policy)).collect();
        for (index, item) in digest.items.iter().enumerate() {
            let owners = item.owner_tag.as_deref().map(read_owner_tag).unwrap_or_default();
            if let Some(value) = item.owner_tag.as_deref().filter(|_| owners.is_bad) {
                routing.note_bad_tag(item.user.as_str(), value);
            }
            if account.is_none() && owners.addresses.is_empty() && told_today[index] {
                routing.unreachable.push(index);
            }
            add_owners(&mut envelopes, owners, index);
        }
        envelopes.retain(|envelope| envelope.items.iter().any(|&index| told_today[index]));
        routing.envelopes = envelopes;
        routing
    }

    fn note_bad_tag(&mut self, user: &str, value: &str) {
        if !self.bad_owner_tags.iter().any(|bad| bad.user == user) {
            self.bad_owner_tags.push(BadOwnerTag { user: user.to_owned(), value: value.to_owned() });
        }
    }
}

fn add_owners(envelopes: &mut Vec<Envelope>, owners: OwnerTag, index: usize) {
    for address in owners.addresses {
        match envelopes.iter_mut().find(|known| known.address.is_same(&address)) {
            // The account's own address has the item already.
            Some(known) if known.items.contains(&index) => {}
            Some(known) => known.items.push(index),
            None => envelopes.push(Envelope { class: RecipientClass::Owner, address, items: vec![index] }),
        }
    }
}
