//! Who is told what: the account's address everything, an owner what concerns its users; each address one mail.

use std::collections::BTreeSet;
use std::fmt;

use super::address::{Address, OwnerTag, read_owner_tag};
use super::cadence::is_due;
use super::item::Digest;
use super::settings::{AuditMails, MailSettings};

/// Who a mail goes to: what logs and dead letters say in place of the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecipientClass {
    /// The account's own address, which the message gave.
    Account,
    /// An address in a user's owner tag.
    Owner,
    /// `ADMIN_SUMMARY_EMAIL`.
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
    pub class: RecipientClass,
    pub address: Address,
    /// The items it tells, by their place in the digest.
    pub items: Vec<usize>,
}

impl Envelope {
    /// The same without these items. `None`: nothing is left in it that is reason enough for a mail.
    pub fn without(&self, items: &BTreeSet<usize>, digest: &Digest, settings: &MailSettings) -> Option<Self> {
        let left: Vec<usize> = self.items.iter().copied().filter(|index| !items.contains(index)).collect();
        let is_due = |index: &usize| is_due(digest, &digest.items[*index], settings.audit_run_interval);
        left.iter().any(is_due).then(|| Self { items: left, ..self.clone() })
    }
}

/// An owner tag that holds no address, or something beside its addresses that was meant to be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadOwnerTag {
    pub user: String,
    pub value: String,
}

/// The way of a digest's items to their recipients.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Routing {
    /// The mails to be sent now. The account's comes first, so that each owner's completes what is told of its users; once an
    /// earlier delivery may have told the account, it comes last, and holds what no owner stands in the way of.
    pub envelopes: Vec<Envelope>,
    /// Items that only the administrator is told now, by `AUDIT_MAILS`.
    pub to_administrator: Vec<usize>,
    /// Items that are due and that nobody can be told.
    pub unreachable: Vec<usize>,
    /// Whether the message gave the account a malformed address.
    pub bad_account_address: bool,
    /// The account's address stands in for them.
    pub bad_owner_tags: Vec<BadOwnerTag>,
}

impl Routing {
    /// Finds the recipients of a digest.
    pub fn new(digest: &Digest, settings: &MailSettings) -> Self {
        let due: Vec<bool> =
            digest.items.iter().map(|item| is_due(digest, item, settings.audit_run_interval)).collect();
        let owners: Vec<OwnerTag> =
            digest.items.iter().map(|item| item.owner_tag.as_deref().map(read_owner_tag).unwrap_or_default()).collect();
        let mut routing = Self { bad_owner_tags: bad_owner_tags(digest, &owners), ..Self::default() };
        if digest.dry_run && settings.audit_mails == AuditMails::Administrator {
            if due.contains(&true) {
                routing.to_administrator = (0..due.len()).collect();
            }
            return routing;
        }
        let account = digest.account.email.as_deref().and_then(Address::parse);
        routing.bad_account_address = account.is_none() && digest.account.email.is_some();
        if account.is_none() {
            routing.unreachable = (0..due.len()).filter(|&n| due[n] && owners[n].addresses.is_empty()).collect();
        }
        if let Some(address) = account {
            let items = (0..due.len()).collect();
            routing.envelopes.push(Envelope { class: RecipientClass::Account, address, items });
        }
        for (index, tag) in owners.into_iter().enumerate() {
            add_owners(&mut routing.envelopes, tag, index);
        }
        routing.envelopes.retain(|envelope| envelope.items.iter().any(|&index| due[index]));
        if digest.is_redelivered {
            routing.envelopes.sort_by_key(|envelope| envelope.class == RecipientClass::Account);
        }
        routing
    }
}

/// One per user.
fn bad_owner_tags(digest: &Digest, owners: &[OwnerTag]) -> Vec<BadOwnerTag> {
    let mut bad: Vec<BadOwnerTag> = Vec::new();
    for (item, tag) in digest.items.iter().zip(owners) {
        let user = item.user.as_str();
        if let Some(value) = item.owner_tag.as_ref().filter(|_| tag.is_bad)
            && !bad.iter().any(|known| known.user == user)
        {
            bad.push(BadOwnerTag { user: user.to_owned(), value: value.clone() });
        }
    }
    bad
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
