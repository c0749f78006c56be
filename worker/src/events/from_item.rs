//! What people are told, as events.

use rotation::event::EventSecret;
use rotation::{AccessKeyId, AccountId, EventKind};

use crate::notices::{DigestItem, News, SecretLocation};

/// The event of an item; `None` where it is one only once its owner has been told of it ([`notified`]). `base` gives an event of
/// this kind in the item's account, where nothing more is known of it.
pub fn from_item(item: &DigestItem, base: impl Fn(EventKind) -> rotation::Event) -> Option<rotation::Event> {
    let of = |kind| {
        let event = base(kind).of_user(item.user.clone());
        item.key.iter().fold(event, |event, key| event.of_key(key.id.clone()))
    };
    let event = match &item.news {
        News::Noticed { .. } => return None,
        News::Rotated { successor, .. } => {
            let event = of(EventKind::Published);
            let secret = secret(&item.secret.location, &event.account);
            rotation::Event {
                replaces: event.access_key_id,
                access_key_id: successor.clone(),
                secret: Some(secret),
                ..event
            }
        }
        News::Disabled { delete_due } => of(EventKind::Disabled).due(*delete_due),
        News::Contained => of(EventKind::Contained),
        News::Deleted => of(EventKind::Deleted),
        News::FoundInactive { delete_due } => of(EventKind::FoundInactive).due(*delete_due),
        News::Restored { disable_due } => of(EventKind::Restored).due(*disable_due),
        News::Upcoming { what, due } => of(EventKind::Upcoming).because(what.as_str()).due(*due),
        News::Postponed { until } => of(EventKind::Postponed).due(*until),
        News::Finding(finding) => {
            let event = of(EventKind::Finding).because(finding.as_str()).saying(finding.to_string());
            finding.access_key_id().into_iter().fold(event, |event, key| event.of_key(key.clone()))
        }
    };
    Some(event)
}

/// The event of an item that its owner has been told of, where that starts the key's clock.
pub fn notified(item: &DigestItem, base: impl Fn(EventKind) -> rotation::Event) -> Option<rotation::Event> {
    let (reason, successor, due): (_, Option<AccessKeyId>, _) = match &item.news {
        News::Noticed { kind, disable_due } => (kind.as_str(), kind.successor().cloned(), disable_due),
        News::Rotated { successor, disable_due: due @ Some(_) } => ("replaced", successor.clone(), due),
        News::Rotated { disable_due: None, .. }
        | News::Disabled { .. }
        | News::Contained
        | News::Deleted
        | News::FoundInactive { .. }
        | News::Restored { .. }
        | News::Upcoming { .. }
        | News::Postponed { .. }
        | News::Finding(_) => return None,
    };
    let key = item.key.as_ref()?.id.clone();
    let event = base(EventKind::Notified).of_user(item.user.clone()).of_key(key).because(reason).due(*due);
    Some(rotation::Event { successor, ..event })
}

/// The secret of a user of this account, as events have it.
pub fn secret(location: &SecretLocation, account: &AccountId) -> EventSecret {
    EventSecret {
        secret_name: location.name.clone(),
        secret_account: location.central_account.as_ref().unwrap_or(account).clone(),
        secret_region: location.region.clone(),
    }
}
