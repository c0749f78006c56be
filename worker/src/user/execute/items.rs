//! Collects what is to be told of one user: each piece of news with what is known of its key and of the user's secret.

use rotation::{AccessKeyId, Announcement, Finding, Key, KeyState, KeyStatus, LastUse, Published};

use super::UserExecutor;
use crate::events::from_item;
use crate::notices::{DigestItem, KeyFacts, News, SecretFacts};
use crate::steps::destination::location;

impl UserExecutor<'_> {
    pub(super) fn report_finding(&mut self, finding: Finding) {
        self.collect(self.item(None, News::Finding(finding), None));
    }

    /// `record`: the key's state once the notice is accepted.
    pub(super) fn collect_item(&mut self, key: &AccessKeyId, news: News, record: Option<KeyState>) {
        self.collect(self.item(Some(key), news, record));
    }

    /// What an earlier round has found already is told once, by what is known now.
    fn collect(&mut self, item: DigestItem) {
        if let Some(known) = self.collected.items.iter_mut().find(|known| known.tells_the_same(&item)) {
            *known = item;
            return;
        }
        // What every run finds again becomes an event when it is told.
        let account = self.context.account;
        if !item.news.is_made_again()
            && let Some(event) = from_item(&item, |kind| account.event(kind))
        {
            account.emit(event);
        }
        self.collected.items.push(item);
    }

    fn item(&self, key: Option<&AccessKeyId>, news: News, record: Option<KeyState>) -> DigestItem {
        let is_other = |known: &&Key| {
            known.status == KeyStatus::Active && known.published != Published::Yes && Some(&known.id) != key
        };
        let published = self.user.keys.iter().find(|key| key.published == Published::Yes);
        DigestItem {
            user: self.context.user.clone(),
            key: key.map(|id| self.facts(id)),
            news,
            owner_tag: self.owner_tag(),
            secret: SecretFacts {
                location: location(&self.context),
                publishes: published.map(|key| key.id.clone()),
                published_use: published.map_or(LastUse::Unknown, |key| key.last_use.clone()),
                readers: self.context.readers().patterns,
                smtp_regions: self.context.smtp_regions().0,
                user_has_other_key: self.user.keys.iter().any(|known| is_other(&known)),
            },
            last_reminded: self.user.tags.reminded,
            record,
        }
    }

    fn facts(&self, id: &AccessKeyId) -> KeyFacts {
        match self.key(id) {
            Some(key) => KeyFacts { id: id.clone(), created: Some(key.created), last_use: key.last_use.clone() },
            None => KeyFacts { id: id.clone(), created: None, last_use: LastUse::Unknown },
        }
    }

    /// The value of the user's owner tag, if there is such a setting and such a tag.
    fn owner_tag(&self) -> Option<String> {
        let wanted = self.context.account.worker.settings.mail.owner_tag.as_deref()?;
        self.context.tag(wanted).map(str::to_owned)
    }
}

/// What was done in an earlier run, as the news that it is now.
pub(super) fn announced(what: &Announcement) -> News {
    match what {
        Announcement::Disabled { delete_due } => News::Disabled { delete_due: *delete_due },
        Announcement::Contained => News::Contained,
        Announcement::Successor { successor } => {
            News::Rotated { successor: Some(successor.clone()), disable_due: None }
        }
        Announcement::Deleted => News::Deleted,
    }
}
