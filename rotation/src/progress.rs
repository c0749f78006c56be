//! How far an operator's request has got, judged by what the account shows: a pure function of how the user was before the
//! request, how it is now, and what was asked for. It uses the same records as the rules of `forced` and
//! `restore` do when a request is delivered once more.

use jiff::Timestamp;

use crate::evidence::no_earlier;
use crate::ids::AccessKeyId;
use crate::job::{ForceRotate, Task};
use crate::key::{KeyStatus, Published};
use crate::names;
use crate::state::{KeyState, KeyStateKind};
use crate::user::UserTags;

/// What a request leads to, as far as it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expectation {
    Rotated(ForceRotate),
    /// A key made active again.
    Restored {
        /// The key, where one was named.
        access_key_id: Option<AccessKeyId>,
    },
    /// Nothing that shows in the account: a look at its keys, or an audit.
    Audited,
}

/// How far a request has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Carried out; what was done.
    Done(String),
    /// Not yet; what is still missing.
    Pending(String),
}

/// One user as it shows to somebody who may only read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedUser {
    pub keys: Vec<ObservedKey>,
    pub tags: UserTags,
    pub publication: Publication,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedKey {
    pub id: AccessKeyId,
    pub status: KeyStatus,
    pub created: Timestamp,
}

/// The version ids staged `AWSCURRENT` in the user's secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Publication {
    Versions(Vec<String>),
    /// They cannot be read: there is no secret yet, or the store may be another account's.
    Unreadable,
}

impl Publication {
    /// Whether the key is published, as far as it shows.
    pub fn published(&self, id: &AccessKeyId) -> Published {
        match self {
            Publication::Versions(current) if current.contains(&names::version_id(id)) => Published::Yes,
            Publication::Versions(_) => Published::No,
            Publication::Unreadable => Published::Unknown,
        }
    }
}

impl ObservedUser {
    fn key(&self, id: &AccessKeyId) -> Option<&ObservedKey> {
        self.keys.iter().find(|key| key.id == *id)
    }

    /// Whether the key is published. Where that cannot be read, a cleared intent stands for it: an attempt clears its intent
    /// only once its key is published.
    fn publishes(&self, id: &AccessKeyId) -> bool {
        match self.publication.published(id) {
            Published::Yes => true,
            Published::No => false,
            Published::Unknown => self.tags.intents.is_empty(),
        }
    }
}

impl Expectation {
    /// What this task leads to, where the worker enforces.
    pub fn new(task: &Task, dry_run: bool) -> Self {
        match task {
            Task::ForceRotate(request) if !dry_run => Expectation::Rotated(request.clone()),
            Task::Restore { access_key_id, .. } if !dry_run => {
                Expectation::Restored { access_key_id: access_key_id.clone() }
            }
            Task::Account | Task::User(_) | Task::ForceRotate(_) | Task::Restore { .. } => Expectation::Audited,
        }
    }

    /// How far the request has got.
    pub fn progress(&self, before: &ObservedUser, now: &ObservedUser, requested_at: Timestamp) -> Progress {
        match self {
            Expectation::Rotated(request) => rotated(request, before, now, requested_at),
            Expectation::Restored { access_key_id } => restored(access_key_id.as_ref(), before, now),
            Expectation::Audited => Progress::Pending("an audit leaves nothing to be seen in the account".to_owned()),
        }
    }
}

fn rotated(request: &ForceRotate, before: &ObservedUser, now: &ObservedUser, requested_at: Timestamp) -> Progress {
    let to_be_replaced = |key: &&ObservedKey| match request.whom.access_key_id() {
        Some(named) => key.id == *named,
        None => key.status == KeyStatus::Active,
    };
    let replaced: Vec<&ObservedKey> = before.keys.iter().filter(to_be_replaced).collect();
    let still_active = |key: &&ObservedKey| now.key(&key.id).is_some_and(|key| key.status == KeyStatus::Active);
    if request.disable_old_now
        && let Some(key) = replaced.iter().copied().find(still_active)
    {
        return Progress::Pending(format!("the key {} is still active", key.id));
    }
    let contained = if request.disable_old_now { "the old key is disabled, " } else { "" };
    let is_successor = |key: &&ObservedKey| {
        before.key(&key.id).is_none() && key.status == KeyStatus::Active && no_earlier(key.created, requested_at)
    };
    let Some(successor) = now.keys.iter().find(is_successor) else {
        return Progress::Pending(format!("{contained}no successor has been created"));
    };
    let id = &successor.id;
    if !now.publishes(id) {
        return Progress::Pending(format!("{contained}the successor {id} is created, but not yet published"));
    }
    let mut done = vec![format!("the successor {id} is active and published in Secrets Manager")];
    for key in replaced {
        match old_key(key, now, requested_at) {
            Some(sentence) => done.push(sentence),
            None => {
                return Progress::Pending(format!("the successor {id} is published, its owner is not yet told"));
            }
        }
    }
    Progress::Done(done.join("; "))
}

/// What has become of a replaced key; `None` while its owner is still to be told.
fn old_key(key: &ObservedKey, now: &ObservedUser, requested_at: Timestamp) -> Option<String> {
    let Some(present) = now.key(&key.id) else { return Some(format!("{} is deleted", key.id)) };
    match (present.status, now.tags.state_of(&key.id)) {
        (KeyStatus::Inactive, _) => Some(format!("{} is inactive", key.id)),
        (KeyStatus::Active, Some(KeyState { kind: KeyStateKind::Forced, at, told: true, .. }))
            if no_earlier(at, requested_at) =>
        {
            Some(format!("{} stays active for the install grace, its owner is told", key.id))
        }
        (KeyStatus::Active, Some(_) | None) => None,
    }
}

fn restored(named: Option<&AccessKeyId>, before: &ObservedUser, now: &ObservedUser) -> Progress {
    let inactive: Vec<&ObservedKey> = before.keys.iter().filter(|key| key.status == KeyStatus::Inactive).collect();
    let wanted = match (named, inactive.as_slice()) {
        (Some(named), _) => named,
        (None, [only]) => &only.id,
        (None, _) => return Progress::Pending("no single inactive key is there to be restored".to_owned()),
    };
    let Some(key) = now.key(wanted) else {
        return Progress::Pending(format!("the key {wanted} does not exist"));
    };
    match (key.status, now.tags.state_of(wanted)) {
        (KeyStatus::Inactive, _) => Progress::Pending(format!("the key {wanted} is still inactive")),
        (KeyStatus::Active, Some(state)) if state.kind == KeyStateKind::Disabled || !state.told => {
            Progress::Pending(format!("the key {wanted} is active again, its owner is not yet told"))
        }
        (KeyStatus::Active, Some(_) | None) => Progress::Done(format!("the key {wanted} is active again")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::UserName;
    use crate::job::Whom;
    use crate::names::state_tag;

    const OLD: &str = "AKIAOLDOLDOLDOLDOLD0";
    const NEW: &str = "AKIANEWNEWNEWNEWNEW0";
    const ASKED: &str = "2026-11-22T10:00:00Z";

    fn id(text: &str) -> AccessKeyId {
        AccessKeyId::new(text).unwrap()
    }

    fn key(name: &str, status: KeyStatus, created: &str) -> ObservedKey {
        ObservedKey { id: id(name), status, created: created.parse().unwrap() }
    }

    fn seen(keys: Vec<ObservedKey>, tags: &[(&str, &str)], published: &[&str]) -> ObservedUser {
        let versions = published.iter().map(|name| names::version_id(&id(name))).collect();
        ObservedUser { keys, tags: UserTags::read(tags.iter().copied()), publication: Publication::Versions(versions) }
    }

    fn old(status: KeyStatus) -> ObservedKey {
        key(OLD, status, "2026-08-01T00:00:00Z")
    }

    fn new() -> ObservedKey {
        key(NEW, KeyStatus::Active, "2026-11-22T10:00:03Z")
    }

    fn forced(disable_old_now: bool) -> Expectation {
        let whom = Whom::User(UserName::new("alice").unwrap());
        Expectation::Rotated(ForceRotate { whom, disable_old_now, override_exemption: false })
    }

    fn progress(expectation: &Expectation, before: &ObservedUser, now: &ObservedUser) -> Progress {
        expectation.progress(before, now, ASKED.parse().unwrap())
    }

    fn is_done(progress: &Progress) -> bool {
        matches!(progress, Progress::Done(_))
    }

    #[test]
    fn a_rotation_is_done_once_the_successor_is_published_and_the_owner_told() {
        let before = seen(vec![old(KeyStatus::Active)], &[], &[OLD]);
        let both = || vec![old(KeyStatus::Active), new()];
        let expected = forced(false);
        assert!(!is_done(&progress(&expected, &before, &before)));
        assert!(!is_done(&progress(&expected, &before, &seen(both(), &[], &[OLD]))), "made, not published");
        assert!(!is_done(&progress(&expected, &before, &seen(both(), &[], &[NEW]))), "published, not told");
        let tag = state_tag(&id(OLD));
        let told_before = seen(both(), &[(&tag, "forced=2026-11-01T10:00:00Z")], &[NEW]);
        assert!(!is_done(&progress(&expected, &before, &told_before)), "an earlier request's notice");
        let told = seen(both(), &[(&tag, "forced=2026-11-22T10:00:05Z")], &[NEW]);
        assert!(is_done(&progress(&expected, &before, &told)));
    }

    #[test]
    fn a_contained_key_must_be_inactive_or_gone_before_anything_counts() {
        let before = seen(vec![old(KeyStatus::Active)], &[], &[OLD]);
        let expected = forced(true);
        let active = seen(vec![old(KeyStatus::Active), new()], &[], &[NEW]);
        assert_eq!(progress(&expected, &before, &active), Progress::Pending(format!("the key {OLD} is still active")));
        let contained = seen(vec![old(KeyStatus::Inactive)], &[], &[OLD]);
        assert!(!is_done(&progress(&expected, &before, &contained)), "contained, no successor yet");
        assert!(is_done(&progress(&expected, &before, &seen(vec![old(KeyStatus::Inactive), new()], &[], &[NEW]))));
        assert!(is_done(&progress(&expected, &before, &seen(vec![new()], &[], &[NEW]))));
    }

    #[test]
    fn where_publication_cannot_be_read_a_cleared_intent_stands_for_it() {
        let before = seen(vec![old(KeyStatus::Active)], &[], &[OLD]);
        let intent = "key-rotation:intent:7d444840-9dc0-11d1-b245-5ffdce74fad2";
        let mut now = seen(vec![old(KeyStatus::Inactive), new()], &[(intent, "2026-11-22T10:00:01Z")], &[]);
        now.publication = Publication::Unreadable;
        assert!(!is_done(&progress(&forced(true), &before, &now)));
        now.tags.intents.clear();
        assert!(is_done(&progress(&forced(true), &before, &now)));
    }

    #[test]
    fn a_key_that_was_there_before_the_request_is_no_successor() {
        let before =
            seen(vec![old(KeyStatus::Active), key(NEW, KeyStatus::Active, "2026-10-01T00:00:00Z")], &[], &[NEW]);
        assert!(!is_done(&progress(&forced(false), &before, &before)));
    }

    #[test]
    fn a_restore_is_done_once_the_key_is_active_and_the_owner_told() {
        let tag = state_tag(&id(OLD));
        let disabled = [(tag.as_str(), "disabled=2026-11-20T10:00:00Z")];
        let before = seen(vec![old(KeyStatus::Inactive)], &disabled, &[]);
        let expected = Expectation::Restored { access_key_id: None };
        assert!(!is_done(&progress(&expected, &before, &before)));
        assert!(!is_done(&progress(&expected, &before, &seen(vec![old(KeyStatus::Active)], &disabled, &[]))));
        let restored = [(tag.as_str(), "restored=2026-11-22T10:00:05Z")];
        assert!(is_done(&progress(&expected, &before, &seen(vec![old(KeyStatus::Active)], &restored, &[]))));
    }

    #[test]
    fn an_audit_shows_nothing() {
        let before = seen(vec![old(KeyStatus::Active)], &[], &[]);
        assert!(!is_done(&progress(&Expectation::Audited, &before, &before)));
    }
}
