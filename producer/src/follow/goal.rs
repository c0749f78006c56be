//! When an operator's request counts as carried out, judged by what the account shows: a pure function of how the user was
//! before, how it is now, and what was asked for.

use jiff::Timestamp;
use rotation::job::ForceRotate;
use rotation::{AccessKeyId, KeyState, KeyStateKind, KeyStatus, names};

use super::observe::{Published, Seen, SeenKey};

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goal {
    /// A forced rotation.
    Rotated(ForceRotate),
    /// A key made active again.
    Restored {
        /// The key, where one was named.
        access_key_id: Option<AccessKeyId>,
    },
    /// Nothing that would show: an audit.
    Looked,
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Carried out; what was done.
    Done(String),
    /// Not yet; what is still missing.
    Pending(String),
}

impl Goal {
    /// Judges.
    pub fn judge(&self, before: &Seen, now: &Seen, requested_at: Timestamp) -> Progress {
        match self {
            Goal::Rotated(request) => rotated(request, before, now, requested_at),
            Goal::Restored { access_key_id } => restored(access_key_id.as_ref(), before, now),
            Goal::Looked => Progress::Pending("an audit leaves nothing to be seen in the account".to_owned()),
        }
    }
}

fn rotated(request: &ForceRotate, before: &Seen, now: &Seen, requested_at: Timestamp) -> Progress {
    let old = |key: &SeenKey| match request.whom.access_key_id() {
        Some(named) => key.id == *named,
        None => key.status == KeyStatus::Active,
    };
    // IAM's times are whole seconds.
    let since = |at: Timestamp| at.as_second() >= requested_at.as_second();
    let replaced: Vec<&SeenKey> = before.keys.iter().filter(|key| old(key)).collect();
    let still_active = |key: &&SeenKey| now.key(&key.id).is_some_and(|key| key.status == KeyStatus::Active);
    if request.disable_old_now
        && let Some(key) = replaced.iter().copied().find(still_active)
    {
        return Progress::Pending(format!("the key {} is still active", key.id));
    }
    let contained = if request.disable_old_now { "the old key is contained, " } else { "" };
    let made = |key: &&SeenKey| before.key(&key.id).is_none() && key.status == KeyStatus::Active && since(key.created);
    let Some(successor) = now.keys.iter().find(made) else {
        return Progress::Pending(format!("{contained}no successor has been made"));
    };
    let id = &successor.id;
    let published = match &now.published {
        Published::Versions(current) => current.contains(&names::version_id(id)),
        // Not to be read from here; an attempt clears its intent only once its key is published.
        Published::Unreadable => now.tags.intents.is_empty(),
    };
    if !published {
        return Progress::Pending(format!("{contained}the successor {id} is made, but not yet published"));
    }
    let mut told = Vec::new();
    for key in replaced {
        let Some(present) = now.key(&key.id) else {
            told.push(format!("{} is deleted", key.id));
            continue;
        };
        match (present.status, now.tags.state_of(&key.id)) {
            (KeyStatus::Inactive, _) => told.push(format!("{} is inactive", key.id)),
            (KeyStatus::Active, Some(KeyState { kind: KeyStateKind::Forced, at, told: true, .. })) if since(at) => {
                told.push(format!("{} stays active for the install grace, its owner is told", key.id));
            }
            (KeyStatus::Active, Some(_) | None) => {
                return Progress::Pending(format!("the successor {id} is published, its owner is not yet told"));
            }
        }
    }
    told.insert(0, format!("the successor {id} is active and published in Secrets Manager"));
    Progress::Done(told.join("; "))
}

fn restored(named: Option<&AccessKeyId>, before: &Seen, now: &Seen) -> Progress {
    let inactive: Vec<&SeenKey> = before.keys.iter().filter(|key| key.status == KeyStatus::Inactive).collect();
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
        (KeyStatus::Active, Some(KeyState { kind: KeyStateKind::Disabled, .. })) => {
            Progress::Pending(format!("the key {wanted} is active again, its owner is not yet told"))
        }
        (KeyStatus::Active, Some(_) | None) => Progress::Done(format!("the key {wanted} is active again")),
    }
}

#[cfg(test)]
mod tests {
    use rotation::job::Whom;
    use rotation::user::UserTags;
    use rotation::{UserName, names::state_tag};

    use super::*;

    const OLD: &str = "AKIAOLDOLDOLDOLDOLD0";
    const NEW: &str = "AKIANEWNEWNEWNEWNEW0";
    const ASKED: &str = "2026-11-22T10:00:00Z";

    fn id(text: &str) -> AccessKeyId {
        AccessKeyId::new(text).unwrap()
    }

    fn key(name: &str, status: KeyStatus, created: &str) -> SeenKey {
        SeenKey { id: id(name), status, created: created.parse().unwrap() }
    }

    fn seen(keys: Vec<SeenKey>, tags: &[(&str, &str)], published: &[&str]) -> Seen {
        let versions = published.iter().map(|name| names::version_id(&id(name))).collect();
        Seen { keys, tags: UserTags::read(tags.iter().copied()), published: Published::Versions(versions) }
    }

    fn old(status: KeyStatus) -> SeenKey {
        key(OLD, status, "2026-08-01T00:00:00Z")
    }

    fn new() -> SeenKey {
        key(NEW, KeyStatus::Active, "2026-11-22T10:00:03Z")
    }

    fn forced(disable_old_now: bool) -> Goal {
        let whom = Whom::User(UserName::new("alice").unwrap());
        Goal::Rotated(ForceRotate { whom, disable_old_now, override_exemption: false })
    }

    fn judge(goal: &Goal, before: &Seen, now: &Seen) -> Progress {
        goal.judge(before, now, ASKED.parse().unwrap())
    }

    fn is_done(progress: &Progress) -> bool {
        matches!(progress, Progress::Done(_))
    }

    #[test]
    fn a_rotation_is_done_once_the_successor_is_published_and_the_owner_told() {
        let before = seen(vec![old(KeyStatus::Active)], &[], &[OLD]);
        let both = || vec![old(KeyStatus::Active), new()];
        let goal = forced(false);
        assert!(!is_done(&judge(&goal, &before, &before)));
        assert!(!is_done(&judge(&goal, &before, &seen(both(), &[], &[OLD]))), "made, not published");
        assert!(!is_done(&judge(&goal, &before, &seen(both(), &[], &[NEW]))), "published, not told");
        let tag = state_tag(&id(OLD));
        let told_before = seen(both(), &[(&tag, "forced=2026-11-01T10:00:00Z")], &[NEW]);
        assert!(!is_done(&judge(&goal, &before, &told_before)), "an earlier request's notice");
        let told = seen(both(), &[(&tag, "forced=2026-11-22T10:00:05Z")], &[NEW]);
        assert!(is_done(&judge(&goal, &before, &told)));
    }

    #[test]
    fn a_contained_key_must_be_inactive_or_gone_before_anything_counts() {
        let before = seen(vec![old(KeyStatus::Active)], &[], &[OLD]);
        let goal = forced(true);
        let active = seen(vec![old(KeyStatus::Active), new()], &[], &[NEW]);
        assert_eq!(judge(&goal, &before, &active), Progress::Pending(format!("the key {OLD} is still active")));
        let contained = seen(vec![old(KeyStatus::Inactive)], &[], &[OLD]);
        assert!(!is_done(&judge(&goal, &before, &contained)), "contained, no successor yet");
        assert!(is_done(&judge(&goal, &before, &seen(vec![old(KeyStatus::Inactive), new()], &[], &[NEW]))));
        assert!(is_done(&judge(&goal, &before, &seen(vec![new()], &[], &[NEW]))));
    }

    #[test]
    fn where_publication_cannot_be_read_a_cleared_intent_stands_for_it() {
        let before = seen(vec![old(KeyStatus::Active)], &[], &[OLD]);
        let intent = "key-rotation:intent:7d444840-9dc0-11d1-b245-5ffdce74fad2";
        let mut now = seen(vec![old(KeyStatus::Inactive), new()], &[(intent, "2026-11-22T10:00:01Z")], &[]);
        now.published = Published::Unreadable;
        assert!(!is_done(&judge(&forced(true), &before, &now)));
        now.tags.intents.clear();
        assert!(is_done(&judge(&forced(true), &before, &now)));
    }

    #[test]
    fn a_key_that_was_there_before_the_request_is_no_successor() {
        let before =
            seen(vec![old(KeyStatus::Active), key(NEW, KeyStatus::Active, "2026-10-01T00:00:00Z")], &[], &[NEW]);
        assert!(!is_done(&judge(&forced(false), &before, &before)));
    }

    #[test]
    fn a_restore_is_done_once_the_key_is_active_and_the_owner_told() {
        let tag = state_tag(&id(OLD));
        let disabled = [(tag.as_str(), "disabled=2026-11-20T10:00:00Z")];
        let before = seen(vec![old(KeyStatus::Inactive)], &disabled, &[]);
        let goal = Goal::Restored { access_key_id: None };
        assert!(!is_done(&judge(&goal, &before, &before)));
        assert!(!is_done(&judge(&goal, &before, &seen(vec![old(KeyStatus::Active)], &disabled, &[]))));
        let restored = [(tag.as_str(), "restored=2026-11-22T10:00:05Z")];
        assert!(is_done(&judge(&goal, &before, &seen(vec![old(KeyStatus::Active)], &restored, &[]))));
    }

    #[test]
    fn an_audit_shows_nothing() {
        let before = seen(vec![old(KeyStatus::Active)], &[], &[]);
        assert!(!is_done(&judge(&Goal::Looked, &before, &before)));
    }
}
