//! Whom a run concerns: the whole organization, units with everything below them, named accounts, minus exclusions.
//!
//! What is named is looked up before anything is sent, so that a mistyped id ends the run and not half of it. The rest is
//! streamed: an account is handed on as soon as its page has come, and no more than a page is held.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::fmt;
use std::str::FromStr;

use futures::{StreamExt, stream};
use key_rotation_aws::{AwsError, ErrorClass};
use rotation::AccountId;
use tokio::sync::mpsc::Sender;

use super::{Described, Member, Organization, Page};
use crate::command::CommandError;

/// Named accounts looked up at once. Organizations refuses more than a few calls a second.
const LOOKUPS: usize = 4;

/// The id of an organizational unit, or of a root.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitId(String);

/// A text that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is not the id of an organizational unit, as in ou-ab12-34cd56ef, nor of a root, as in r-ab12")]
pub struct InvalidUnitId;

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
        if well_formed { Ok(Self(text.to_owned())) } else { Err(InvalidUnitId) }
    }
}

/// Whether an account can be worked in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Its state is `ACTIVE`.
    Active,
    /// Any other state.
    Inactive(String),
    /// A state that this version does not know, or none at all. Unknown is not active.
    Unknown(Option<String>),
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Standing::Active => f.write_str("ACTIVE"),
            Standing::Inactive(state) => f.write_str(state),
            Standing::Unknown(Some(state)) => write!(f, "in a state this version does not know ({state})"),
            Standing::Unknown(None) => f.write_str("without a state"),
        }
    }
}

/// Whom a run concerns, as it was asked for. Neither units nor accounts: everybody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Units, with everything below them.
    pub units: Vec<UnitId>,
    /// Accounts by id.
    pub accounts: Vec<AccountId>,
    /// Accounts to leave out, however they come in.
    pub excluded: BTreeSet<AccountId>,
}

/// A scope whose names have been looked up.
#[derive(Debug)]
pub struct Resolved {
    everybody: bool,
    named: Vec<Member>,
    units: Vec<UnitId>,
    excluded: BTreeSet<AccountId>,
}

/// What was left out of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Left {
    /// Excluded by the operator.
    pub excluded: u64,
    /// By state, for all that are not active.
    pub by_state: BTreeMap<String, u64>,
    /// Accounts asked for by id that are not active.
    pub named: Vec<(AccountId, Standing)>,
    /// Exclusions that met no account of the whole organization: perhaps mistyped.
    pub unmet_exclusions: Vec<AccountId>,
}

/// How a listing ended.
#[derive(Debug)]
pub struct Listed {
    /// What was left out.
    pub left: Left,
    /// Why it ended before its end, if it did.
    pub broken_off: Option<AwsError>,
}

impl Scope {
    /// Looks up what is named: accounts must belong to the organization, where it can be read, and units must exist.
    ///
    /// # Errors
    /// [`CommandError::Usage`] for a name that means nothing, [`CommandError::Failed`] where there was no answer.
    pub async fn resolve(&self, organization: &Organization) -> Result<Resolved, CommandError> {
        let wanted = self.accounts.iter().filter(|account| !self.excluded.contains(account));
        let lookups = wanted.map(|account| async move { (account, organization.describe(account).await) });
        let looked_up: Vec<_> = stream::iter(lookups).buffered(LOOKUPS).collect().await;
        let mut named = Vec::new();
        let mut foreign = Vec::new();
        for (account, described) in looked_up {
            match described.map_err(|error| CommandError::failed("an account could not be looked up", &error))? {
                Described::Member(member) => named.push(member),
                Described::Foreign => foreign.push(account.as_str()),
                Described::Unreadable(error) => {
                    tracing::warn!(%account, %error, "the organization cannot be read: the account is taken as it is named");
                    let (account, standing) = (account.clone(), Standing::Active);
                    named.push(Member { account, name: None, email: None, standing });
                }
            }
        }
        if !foreign.is_empty() {
            let list = foreign.join(", ");
            return Err(CommandError::Usage(format!("not in this organization: {list}; nothing was sent")));
        }
        let everybody = self.units.is_empty() && self.accounts.is_empty();
        let units = self.units_with_all_below(organization).await?;
        Ok(Resolved { everybody, named, units, excluded: self.excluded.clone() })
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
            let below = organization.units_in(&unit).await.map_err(|error| match error.class {
                ErrorClass::NotFound => CommandError::Usage(format!(
                    "{unit} is no organizational unit of this organization; nothing was sent"
                )),
                ErrorClass::Throttled
                | ErrorClass::Transient
                | ErrorClass::SessionEnded
                | ErrorClass::Denied
                | ErrorClass::Conflict
                | ErrorClass::LimitExceeded
                | ErrorClass::Rejected
                | ErrorClass::SendingOff
                | ErrorClass::Invalid => {
                    CommandError::failed(&format!("what is below {unit} could not be read; nothing was sent"), &error)
                }
            })?;
            waiting.extend(below);
            units.push(unit);
        }
        Ok(units)
    }
}

impl Resolved {
    /// Hands on every account concerned, each once. Ends early, without an error, when nobody takes them any more.
    pub async fn list(self, organization: &Organization, to: Sender<Member>) -> Listed {
        let mut sieve = Sieve::new(&self.excluded);
        let broken_off = self.pour(organization, &mut sieve, &to).await.err().and_then(Stop::error);
        if self.everybody && broken_off.is_none() {
            sieve.left.unmet_exclusions = self.excluded.difference(&sieve.met).cloned().collect();
        }
        Listed { left: sieve.left, broken_off }
    }

    async fn pour(&self, organization: &Organization, sieve: &mut Sieve<'_>, to: &Sender<Member>) -> Result<(), Stop> {
        for member in &self.named {
            if member.standing != Standing::Active {
                sieve.left.named.push((member.account.clone(), member.standing.clone()));
            }
            sieve.pass(vec![member.clone()], to).await?;
        }
        if self.everybody {
            pages(sieve, to, async |token| organization.accounts(token).await).await?;
        }
        for unit in &self.units {
            pages(sieve, to, async |token| organization.accounts_in(unit, token).await).await?;
        }
        Ok(())
    }
}

/// Why a listing stops.
enum Stop {
    Error(AwsError),
    NobodyListens,
}

impl Stop {
    fn error(self) -> Option<AwsError> {
        match self {
            Stop::Error(error) => Some(error),
            Stop::NobodyListens => None,
        }
    }
}

async fn pages(
    sieve: &mut Sieve<'_>,
    to: &Sender<Member>,
    page: impl AsyncFn(Option<String>) -> Result<Page<Member>, AwsError>,
) -> Result<(), Stop> {
    let mut token = None;
    loop {
        // A page may be empty and still not the last: only the missing token says so.
        let Page { items, next } = page(token).await.map_err(Stop::Error)?;
        sieve.pass(items, to).await?;
        match next {
            Some(next) => token = Some(next),
            None => return Ok(()),
        }
    }
}

/// Lets through what is active, not excluded, and has not been through.
struct Sieve<'a> {
    excluded: &'a BTreeSet<AccountId>,
    /// All that have been seen: an account that is moved while the units are listed is seen twice. Ids only.
    seen: HashSet<AccountId>,
    met: BTreeSet<AccountId>,
    left: Left,
}

impl<'a> Sieve<'a> {
    fn new(excluded: &'a BTreeSet<AccountId>) -> Self {
        Self { excluded, seen: HashSet::new(), met: BTreeSet::new(), left: Left::default() }
    }

    async fn pass(&mut self, members: Vec<Member>, to: &Sender<Member>) -> Result<(), Stop> {
        for member in members {
            if self.lets_through(&member) {
                to.send(member).await.map_err(|_| Stop::NobodyListens)?;
            }
        }
        Ok(())
    }

    fn lets_through(&mut self, member: &Member) -> bool {
        if !self.seen.insert(member.account.clone()) {
            return false;
        }
        if self.excluded.contains(&member.account) {
            self.met.insert(member.account.clone());
            self.left.excluded += 1;
            return false;
        }
        let state = match &member.standing {
            Standing::Active => return true,
            Standing::Inactive(state) => {
                tracing::debug!(account = %member.account, state, "left out: the account is not active");
                state.clone()
            }
            Standing::Unknown(_) => {
                tracing::warn!(account = %member.account, "left out: the account is {}", member.standing);
                member.standing.to_string()
            }
        };
        *self.left.by_state.entry(state).or_default() += 1;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: u64, standing: Standing) -> Member {
        let account = AccountId::new(format!("{id:012}")).unwrap();
        Member { account, name: None, email: None, standing }
    }

    #[test]
    fn unit_and_root_ids_are_told_from_anything_else() {
        for good in ["r-ab12", "ou-ab12-34cd56ef", "ou-abcd1234-abcdefgh12345678"] {
            assert_eq!(good.parse::<UnitId>().unwrap().as_str(), good);
        }
        for bad in ["", "ou-", "r-a", "ou-ab12", "ou-ab12-34cd", "OU-ab12-34cd56ef", "123456789012", "r-ab12/x"] {
            assert_eq!(bad.parse::<UnitId>(), Err(InvalidUnitId), "{bad}");
        }
    }

    #[test]
    fn an_account_goes_through_once_and_not_when_excluded_or_inactive() {
        let excluded = BTreeSet::from([member(2, Standing::Active).account, member(9, Standing::Active).account]);
        let mut sieve = Sieve::new(&excluded);
        assert!(sieve.lets_through(&member(1, Standing::Active)));
        assert!(!sieve.lets_through(&member(1, Standing::Active)), "moved to another unit meanwhile");
        assert!(!sieve.lets_through(&member(2, Standing::Active)));
        assert!(!sieve.lets_through(&member(3, Standing::Inactive("SUSPENDED".to_owned()))));
        assert!(!sieve.lets_through(&member(4, Standing::Unknown(None))));
        assert_eq!(sieve.left.excluded, 1);
        assert_eq!(sieve.left.by_state["SUSPENDED"], 1);
        assert_eq!(sieve.left.by_state["without a state"], 1);
        assert!(!sieve.met.contains(&member(9, Standing::Active).account));
    }
}
