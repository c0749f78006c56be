//! Whom a run concerns: the whole organization, units with everything below them, named accounts, minus exclusions.
//!
//! What is named is looked up before anything is sent, so that a mistyped id ends the run and not half of it. The rest is
//! streamed: an account is handed on as soon as its page has come, and no more than a page is held.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::fmt;
use std::str::FromStr;

use clap::Args;
use futures::{StreamExt, stream};
use key_rotation_aws::{AwsError, ErrorClass};
use rotation::AccountId;
use tokio::sync::mpsc::Sender;

use super::{AccountLookup, Member, Organization, Page};
use crate::command::CommandError;

/// Named accounts looked up at once. Organizations refuses more than a few calls a second.
const LOOKUPS: usize = 4;

/// The id of an organizational unit, or of a root.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitId(String);

/// A malformed unit id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not the id of an organizational unit, as in ou-ab12-34cd56ef, nor of a root, as in r-ab12")]
pub struct InvalidUnitId(String);

impl UnitId {
    /// The id as Organizations spells it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UnitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for UnitId {
    type Err = InvalidUnitId;

    /// Organizations API reference, `ParentId`: `r-[0-9a-z]{4,32}` or `ou-[0-9a-z]{4,32}-[a-z0-9]{8,32}`.
    fn from_str(text: &str) -> Result<Self, InvalidUnitId> {
        let part = |text: &str, shortest: usize| {
            (shortest..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        let well_formed = match (text.strip_prefix("r-"), text.strip_prefix("ou-")) {
            (Some(root), _) => part(root, 4),
            (None, Some(unit)) => unit.split_once('-').is_some_and(|(root, own)| part(root, 4) && part(own, 8)),
            (None, None) => false,
        };
        if well_formed { Ok(Self(text.to_owned())) } else { Err(InvalidUnitId(text.to_owned())) }
    }
}

/// Whether an account can be worked in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberState {
    /// Its state is `ACTIVE`.
    Active,
    /// Any other state.
    Inactive(String),
    /// A state that this version does not know, or none at all. Unknown is not active.
    Unknown(Option<String>),
}

impl fmt::Display for MemberState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MemberState::Active => f.write_str("ACTIVE"),
            MemberState::Inactive(state) => f.write_str(state),
            MemberState::Unknown(Some(state)) => write!(f, "in a state this version does not know ({state})"),
            MemberState::Unknown(None) => f.write_str("without a state"),
        }
    }
}

/// Whom a run concerns, as it was asked for. Neither units nor accounts: everybody.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct Scope {
    /// Only this organizational unit (ou-…) or root (r-…) and everything below it; may be repeated
    #[arg(long = "ou", value_name = "OU", value_delimiter = ',')]
    pub units: Vec<UnitId>,

    /// Only this account; may be repeated, and stand beside --ou
    #[arg(long = "account", value_name = "ID", value_delimiter = ',')]
    pub accounts: Vec<AccountId>,

    /// Leave this account out, however it comes in; may be repeated
    #[arg(long = "exclude-account", value_name = "ID", value_delimiter = ',')]
    pub excluded: Vec<AccountId>,
}

/// A scope whose names have been looked up.
#[derive(Debug)]
pub struct ResolvedScope {
    everybody: bool,
    named: Vec<Member>,
    units: Vec<UnitId>,
    excluded: BTreeSet<AccountId>,
    as_named: Vec<AccountId>,
}

/// What was left out of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SkippedAccounts {
    /// Excluded by the operator.
    pub by_operator: u64,
    /// By state, for all that are not active.
    pub by_state: BTreeMap<String, u64>,
    /// Accounts asked for by id that are not active.
    pub named: Vec<(AccountId, MemberState)>,
    /// Exclusions that met no account of the whole organization: perhaps mistyped.
    pub unmet_exclusions: Vec<AccountId>,
    /// All that are not active.
    pub not_active: Vec<Member>,
    /// Accounts taken as they were named, because the organization cannot be read.
    pub as_named: Vec<AccountId>,
}

/// How a listing ended.
#[derive(Debug)]
pub struct ListingSummary {
    pub left_out: SkippedAccounts,
    /// Why it ended before its end, if it did.
    pub broken_off: Option<AwsError>,
}

impl Scope {
    /// Looks up what is named: accounts must belong to the organization, where it can be read, and units must exist.
    ///
    /// # Errors
    /// [`CommandError::Usage`] for a name that means nothing, [`CommandError::Failed`] where there was no answer.
    pub async fn resolve(&self, organization: &Organization) -> Result<ResolvedScope, CommandError> {
        let wanted: Vec<&AccountId> = self.accounts.iter().filter(|account| !self.excluded.contains(account)).collect();
        if wanted.is_empty() && self.units.is_empty() && !self.accounts.is_empty() {
            let why = "every account that --account names is left out by --exclude-account: nothing remains to be done";
            return Err(CommandError::Usage(why.to_owned()));
        }
        let lookups = wanted.into_iter().map(|account| async move { (account, organization.describe(account).await) });
        let looked_up: Vec<_> = stream::iter(lookups).buffered(LOOKUPS).collect().await;
        let mut named = Vec::new();
        let mut as_named = Vec::new();
        let mut foreign = Vec::new();
        for (account, described) in looked_up {
            match described.map_err(|error| CommandError::failed("an account could not be looked up", &error))? {
                AccountLookup::Member(member) => named.push(member),
                AccountLookup::Foreign => foreign.push(account.as_str()),
                AccountLookup::Unreadable(error) => {
                    tracing::warn!(%account, %error, "the organization cannot be read: the account is taken as it is named");
                    as_named.push(account.clone());
                    named.push(Member::as_named(account.clone()));
                }
            }
        }
        if !foreign.is_empty() {
            let list = foreign.join(", ");
            return Err(CommandError::Usage(format!("not in this organization: {list}; nothing was sent")));
        }
        let everybody = self.units.is_empty() && self.accounts.is_empty();
        let units = self.units_with_all_below(organization).await?;
        let excluded = self.excluded.iter().cloned().collect();
        Ok(ResolvedScope { everybody, named, units, excluded, as_named })
    }

    /// The units named and every unit below them, each once, however they overlap.
    async fn units_with_all_below(&self, organization: &Organization) -> Result<Vec<UnitId>, CommandError> {
        let mut seen: HashSet<UnitId> = HashSet::new();
        let mut waiting: VecDeque<UnitId> = self.units.iter().cloned().collect();
        let mut units = Vec::new();
        while let Some(unit) = waiting.pop_front() {
            if !seen.insert(unit.clone()) {
                continue;
            }
            let below =
                organization.units_in(&unit).await.map_err(|error| match error.class == ErrorClass::NotFound {
                    true => CommandError::Usage(format!(
                        "{unit} is not an organizational unit of this organization; nothing was sent"
                    )),
                    false => CommandError::failed(
                        &format!("what is below {unit} could not be read; nothing was sent"),
                        &error,
                    ),
                })?;
            waiting.extend(below);
            units.push(unit);
        }
        Ok(units)
    }
}

impl ResolvedScope {
    /// Hands on every account concerned, each once. Ends early, without an error, when nobody takes them any more.
    pub async fn list(self, organization: &Organization, to: Sender<Member>) -> ListingSummary {
        let mut filter = AccountFilter::new(&self.excluded);
        let broken_off = self.stream_accounts(organization, &mut filter, &to).await.err().and_then(ListingStop::error);
        if self.everybody && broken_off.is_none() {
            filter.left_out.unmet_exclusions = self.excluded.difference(&filter.matched_exclusions).cloned().collect();
        }
        let left_out = SkippedAccounts { as_named: self.as_named, ..filter.left_out };
        ListingSummary { left_out, broken_off }
    }

    async fn stream_accounts(
        &self,
        organization: &Organization,
        filter: &mut AccountFilter<'_>,
        to: &Sender<Member>,
    ) -> Result<(), ListingStop> {
        for member in &self.named {
            if member.state != MemberState::Active {
                filter.left_out.named.push((member.account.clone(), member.state.clone()));
            }
            filter.send_on(vec![member.clone()], to).await?;
        }
        if self.everybody {
            pages(filter, to, async |token| organization.accounts(token).await).await?;
        }
        for unit in &self.units {
            pages(filter, to, async |token| organization.accounts_in(unit, token).await).await?;
        }
        Ok(())
    }
}

enum ListingStop {
    Error(AwsError),
    NobodyListens,
}

impl ListingStop {
    fn error(self) -> Option<AwsError> {
        match self {
            ListingStop::Error(error) => Some(error),
            ListingStop::NobodyListens => None,
        }
    }
}

async fn pages(
    filter: &mut AccountFilter<'_>,
    to: &Sender<Member>,
    page: impl AsyncFn(Option<String>) -> Result<Page<Member>, AwsError>,
) -> Result<(), ListingStop> {
    let mut token = None;
    loop {
        // A page may be empty and still not the last: only the missing token says so.
        let Page { items, next } = page(token).await.map_err(ListingStop::Error)?;
        filter.send_on(items, to).await?;
        match next {
            Some(next) => token = Some(next),
            None => return Ok(()),
        }
    }
}

/// Lets through what is active, not excluded, and has not been through.
struct AccountFilter<'a> {
    excluded: &'a BTreeSet<AccountId>,
    /// All that have been seen: an account that is moved while the units are listed is seen twice. Ids only.
    seen: HashSet<AccountId>,
    matched_exclusions: BTreeSet<AccountId>,
    left_out: SkippedAccounts,
}

impl<'a> AccountFilter<'a> {
    fn new(excluded: &'a BTreeSet<AccountId>) -> Self {
        Self {
            excluded,
            seen: HashSet::new(),
            matched_exclusions: BTreeSet::new(),
            left_out: SkippedAccounts::default(),
        }
    }

    async fn send_on(&mut self, members: Vec<Member>, to: &Sender<Member>) -> Result<(), ListingStop> {
        for member in members {
            if self.admits(&member) {
                to.send(member).await.map_err(|_| ListingStop::NobodyListens)?;
            }
        }
        Ok(())
    }

    fn admits(&mut self, member: &Member) -> bool {
        if !self.seen.insert(member.account.clone()) {
            return false;
        }
        if self.excluded.contains(&member.account) {
            self.matched_exclusions.insert(member.account.clone());
            self.left_out.by_operator += 1;
            return false;
        }
        let state = match &member.state {
            MemberState::Active => return true,
            MemberState::Inactive(state) => {
                tracing::debug!(account = %member.account, state, "left out: the account is not active");
                state.clone()
            }
            MemberState::Unknown(_) => {
                tracing::warn!(account = %member.account, "left out: the account is {}", member.state);
                member.state.to_string()
            }
        };
        self.left_out.not_active.push(member.clone());
        *self.left_out.by_state.entry(state).or_default() += 1;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: u64, state: MemberState) -> Member {
        let account = AccountId::new(format!("{id:012}")).unwrap();
        Member { account, name: None, email: None, state }
    }

    #[test]
    fn unit_and_root_ids_are_told_from_anything_else() {
        for good in ["r-ab12", "ou-ab12-34cd56ef", "ou-abcd1234-abcdefgh12345678"] {
            assert_eq!(good.parse::<UnitId>().unwrap().as_str(), good);
        }
        for bad in ["", "ou-", "r-a", "ou-ab12", "ou-ab12-34cd", "OU-ab12-34cd56ef", "123456789012", "r-ab12/x"] {
            assert!(bad.parse::<UnitId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_account_goes_through_once_and_not_when_excluded_or_inactive() {
        let excluded = BTreeSet::from([member(2, MemberState::Active).account, member(9, MemberState::Active).account]);
        let mut filter = AccountFilter::new(&excluded);
        assert!(filter.admits(&member(1, MemberState::Active)));
        assert!(!filter.admits(&member(1, MemberState::Active)), "moved to another unit meanwhile");
        assert!(!filter.admits(&member(2, MemberState::Active)));
        assert!(!filter.admits(&member(3, MemberState::Inactive("SUSPENDED".to_owned()))));
        assert!(!filter.admits(&member(4, MemberState::Unknown(None))));
        assert_eq!(filter.left_out.by_operator, 1);
        assert_eq!(filter.left_out.by_state["SUSPENDED"], 1);
        assert_eq!(filter.left_out.by_state["without a state"], 1);
        assert!(!filter.matched_exclusions.contains(&member(9, MemberState::Active).account));
    }
}
