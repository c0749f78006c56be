//! Where a run enforces, when that is not everywhere it goes: units with everything below them, and accounts.

use std::collections::HashSet;
use std::str::FromStr;

use rotation::AccountId;
use tokio::sync::mpsc;

use super::{Member, Organization, Scope, UnitId};
use crate::command::CommandError;

/// Accounts between the listing and the set that they go into.
const BETWEEN: usize = 100;

/// A unit or an account, told apart by its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnitOrAccount {
    Unit(UnitId),
    Account(AccountId),
}

/// What is neither.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUnitOrAccount {
    /// Not taken for not set, which means everywhere: where a script found no place, nobody has asked to enforce in all of them.
    #[error(
        "it is blank, or ends in a comma: name organizational units or accounts, or leave it out altogether to enforce wherever the run goes"
    )]
    Blank,
    #[error(
        "\"{0}\" is the id neither of an organizational unit, as in ou-ab12-34cd56ef, nor of an account, which is exactly 12 digits"
    )]
    Malformed(String),
}

impl FromStr for UnitOrAccount {
    type Err = InvalidUnitOrAccount;

    /// Blanks around it are of a list with a blank after its commas.
    fn from_str(text: &str) -> Result<Self, InvalidUnitOrAccount> {
        let text = text.trim();
        match (text.parse(), text.parse()) {
            (Ok(account), _) => Ok(Self::Account(account)),
            (Err(_), Ok(unit)) => Ok(Self::Unit(unit)),
            (Err(_), Err(_)) if text.is_empty() => Err(InvalidUnitOrAccount::Blank),
            (Err(_), Err(_)) => Err(InvalidUnitOrAccount::Malformed(text.to_owned())),
        }
    }
}

/// The accounts that are meant, all known before anything is sent: one that could not be listed would only be audited, and
/// nobody would know. `None` where no place is named, which means everywhere.
///
/// # Errors
/// As [`Scope::resolve`]; and [`CommandError::Failed`] where a unit could not be listed to its end.
pub async fn enforced_accounts(
    places: &[UnitOrAccount],
    organization: &Organization,
) -> Result<Option<HashSet<AccountId>>, CommandError> {
    if places.is_empty() {
        return Ok(None);
    }
    let mut scope = Scope::default();
    for place in places {
        match place {
            UnitOrAccount::Unit(unit) => scope.units.push(unit.clone()),
            UnitOrAccount::Account(account) => scope.accounts.push(account.clone()),
        }
    }
    let resolved = scope.resolve(organization).await?;
    let (found, mut members) = mpsc::channel::<Member>(BETWEEN);
    let collect = async {
        let mut accounts = HashSet::new();
        while let Some(member) = members.recv().await {
            accounts.insert(member.account);
        }
        accounts
    };
    let (listed, accounts) = tokio::join!(resolved.list(organization, found), collect);
    match listed.broken_off {
        None => Ok(Some(accounts)),
        Some(error) => Err(CommandError::failed("where to enforce could not be listed; nothing was sent", &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_told_from_an_account_and_both_from_anything_else() {
        assert!(matches!("ou-ab12-34cd56ef".parse(), Ok(UnitOrAccount::Unit(_))));
        assert!(matches!("123456789012".parse(), Ok(UnitOrAccount::Account(_))));
        for bad in ["", "12345678901", "ou-ab12", "all"] {
            assert!(bad.parse::<UnitOrAccount>().is_err(), "{bad}");
        }
        assert_eq!(" ".parse::<UnitOrAccount>(), Err(InvalidUnitOrAccount::Blank));
    }
}
