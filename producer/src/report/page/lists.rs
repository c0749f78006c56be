//! The lists of the page, each cut to what a person reads.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use rotation::{AccountId, KeyStatus, PolicyStatus};
use serde::Serialize;

use crate::report::controls::UNUSED_DAYS;
use crate::report::document::{Document, KeyRow, Read, Usage};

/// Rows that a list shows at most.
const ROWS: usize = 50;

/// A list, cut.
#[derive(Debug, Serialize)]
pub(super) struct Cut<R> {
    rows: Vec<R>,
    /// How many there are.
    all: usize,
    /// How many of them are not shown.
    more: usize,
}

impl<R> Cut<R> {
    fn new<T>(items: impl IntoIterator<Item = T>, row: impl Fn(T) -> R) -> Self {
        let mut items = items.into_iter();
        let rows: Vec<R> = items.by_ref().take(ROWS).map(row).collect();
        let more = items.count();
        Self { all: rows.len() + more, rows, more }
    }
}

/// A row about an account, a user or a key; what does not apply is empty.
#[derive(Debug, Default, Serialize)]
pub(super) struct Row {
    account: String,
    name: String,
    user: String,
    key: String,
    age: Option<i64>,
    keys: Option<u64>,
    used: String,
    date: String,
    text: String,
}

pub(super) struct Lists<'a> {
    document: &'a Document,
    names: HashMap<&'a AccountId, &'a str>,
}

impl<'a> Lists<'a> {
    pub(super) fn new(document: &'a Document) -> Self {
        let names = document.accounts.iter().filter_map(|account| Some((&account.id, account.name.as_deref()?)));
        Self { document, names: names.collect() }
    }

    pub(super) fn overdue_accounts(&self) -> Cut<Row> {
        let mut accounts: Vec<_> = self.document.accounts.iter().filter(|account| account.overdue > 0).collect();
        accounts.sort_by_key(|account| (Reverse(account.oldest_overdue_days), &account.id));
        Cut::new(accounts, |account| Row {
            age: account.oldest_overdue_days,
            keys: Some(account.overdue),
            ..self.account(&account.id)
        })
    }

    pub(super) fn overdue_keys(&self) -> Cut<Row> {
        self.oldest_first(|key| key.state == PolicyStatus::Overdue)
    }

    pub(super) fn never_used(&self) -> Cut<Row> {
        self.oldest_first(|key| key.status == KeyStatus::Active && key.usage == Usage::Never)
    }

    pub(super) fn unused_for_45_days(&self) -> Cut<Row> {
        let mut keys: Vec<&KeyRow> = self.document.keys.iter().filter(|key| key.status == KeyStatus::Active).collect();
        let is_unused = |at: Timestamp| self.document.as_of.duration_since(at).as_hours() >= UNUSED_DAYS * 24;
        keys.retain(|key| key.last_used.is_some_and(is_unused));
        keys.sort_by_key(|key| key.last_used);
        Cut::new(keys, |key| self.key(key))
    }

    pub(super) fn two_active_keys(&self) -> Cut<Row> {
        let mut users: BTreeMap<_, Vec<&KeyRow>> = BTreeMap::new();
        for key in self.document.keys.iter().filter(|key| key.status == KeyStatus::Active) {
            users.entry((&key.account, &key.user)).or_default().push(key);
        }
        let users = users.into_iter().filter(|(_, keys)| keys.len() > 1);
        Cut::new(users, |((account, user), mut keys)| {
            keys.sort_by_key(|key| key.created);
            let told = |key: &&KeyRow| format!("{} days, last used {}", key.age_days, used(key));
            let text = keys.iter().map(told).collect::<Vec<_>>().join("; ");
            Row { user: user.clone(), text, ..self.account(account) }
        })
    }

    pub(super) fn unforeseeable(&self) -> Cut<Row> {
        Cut::new(&self.document.forecast.unforeseeable, |row| Row {
            user: row.user.clone(),
            date: row.from.to_string(),
            text: row.why.clone(),
            ..self.account(&row.account)
        })
    }

    pub(super) fn findings(&self) -> Cut<Row> {
        let mut findings: Vec<_> = self.document.findings.iter().collect();
        findings.sort_by_key(|finding| finding.date);
        Cut::new(findings, |row| Row {
            user: row.user.clone(),
            date: row.date.to_string(),
            text: row.finding.clone(),
            ..self.account(&row.account)
        })
    }

    pub(super) fn successors_not_installed(&self) -> Cut<Row> {
        let mut rows: Vec<_> = self.document.successors_not_installed.iter().collect();
        rows.sort_by_key(|row| row.disable_on);
        Cut::new(rows, |row| Row {
            user: row.user.clone(),
            key: row.access_key_id.to_string(),
            used: row.last_used.map_or_else(|| "never".to_owned(), day),
            text: format!("{}, created {}", row.successor, day(row.successor_created)),
            date: row.disable_on.map(day).unwrap_or_default(),
            ..self.account(&row.account)
        })
    }

    pub(super) fn exempt(&self) -> Cut<Row> {
        let mut rows: Vec<_> = self.document.exempt.iter().filter(|row| row.active_keys > 0).collect();
        rows.sort_by_key(|row| Reverse(row.oldest_active_days));
        Cut::new(rows, |row| Row {
            user: row.user.clone(),
            keys: Some(row.active_keys),
            age: row.oldest_active_days,
            text: row.exemption.by.replace('_', "-"),
            date: row.exemption.until.map_or_else(|| "no end".to_owned(), day),
            ..self.account(&row.account)
        })
    }

    pub(super) fn accounts_not_read(&self) -> Cut<Row> {
        let not_read = self.document.accounts.iter().filter_map(|account| match &account.read {
            Read::Yes => None,
            Read::No(why) => Some((&account.id, why)),
        });
        Cut::new(not_read, |(id, why)| Row { text: why.clone(), ..self.account(id) })
    }

    pub(super) fn accounts_not_active(&self) -> Cut<Row> {
        Cut::new(&self.document.not_active, |row| Row {
            account: row.id.to_string(),
            name: row.name.clone().unwrap_or_default(),
            text: row.state.clone(),
            ..Row::default()
        })
    }

    pub(super) fn users_not_read(&self) -> Cut<Row> {
        Cut::new(&self.document.users_not_read, |row| Row {
            user: row.user.clone(),
            text: row.why.clone(),
            ..self.account(&row.account)
        })
    }

    fn oldest_first(&self, wanted: impl Fn(&KeyRow) -> bool) -> Cut<Row> {
        let mut keys: Vec<&KeyRow> = self.document.keys.iter().filter(|key| wanted(key)).collect();
        keys.sort_by_key(|key| key.created);
        Cut::new(keys, |key| self.key(key))
    }

    fn account(&self, id: &AccountId) -> Row {
        let name = self.names.get(id).copied().unwrap_or_default().to_owned();
        Row { account: id.to_string(), name, ..Row::default() }
    }

    fn key(&self, key: &KeyRow) -> Row {
        Row {
            user: key.user.clone(),
            key: key.access_key_id.as_ref().map(ToString::to_string).unwrap_or_default(),
            age: Some(key.age_days),
            used: used(key),
            text: key.next.as_ref().map(|next| format!("{} on {}", next.step, next.date)).unwrap_or_default(),
            ..self.account(&key.account)
        }
    }
}

fn used(key: &KeyRow) -> String {
    match (key.usage, key.last_used) {
        (Usage::Used, Some(at)) => day(at),
        (Usage::Never, _) => "never".to_owned(),
        (Usage::Used | Usage::Unknown, _) => "unknown".to_owned(),
    }
}

fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}
