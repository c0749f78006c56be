//! The words in which the tests describe a user: keys by name and by the day they were made on.

use jiff::{SignedDuration, Timestamp};
use rotation::plan::NoticeKind;
use rotation::user::UserTags;
use rotation::{
    AccessKeyId, Action, Key, KeyState, KeyStateKind, KeyStatus, LastUse, Notice, Period, Policy, Published, Request,
    UnusedKeys, User, UserName, Verdict, decide,
};

/// The moment a day begins on: day 0 is the first of January 2026, ten o'clock UTC.
pub(crate) fn day(n: i64) -> Timestamp {
    at("2026-01-01T10:00:00Z") + SignedDuration::from_hours(24 * n)
}

/// A time as RFC 3339 spells it.
pub(crate) fn at(time: &str) -> Timestamp {
    time.parse().expect("an RFC 3339 time")
}

/// A key's id from a short name: `id("OLD")` is `AKIA0000000000000OLD`.
pub(crate) fn id(name: &str) -> AccessKeyId {
    AccessKeyId::new(format!("AKIA{name:0>16}")).expect("letters and digits")
}

/// An active key made on that day, used an hour later, not published, without a state tag.
pub(crate) fn key(name: &str, made: i64) -> Key {
    let key = Key {
        id: id(name),
        status: KeyStatus::Active,
        created: day(made),
        last_use: LastUse::Never,
        published: Published::No,
        state: None,
    };
    key.used_at(day(made) + SignedDuration::from_hours(1))
}

/// What else can be said of a key.
pub(crate) trait Described: Sized {
    fn inactive(self) -> Self;
    fn never_used(self) -> Self;
    fn use_unknown(self) -> Self;
    fn used_at(self, when: Timestamp) -> Self;
    fn used(self, on: i64) -> Self;
    fn published(self) -> Self;
    fn in_state(self, state: KeyState) -> Self;
    fn notified(self, on: i64) -> Self;
    fn forced(self, on: i64) -> Self;
    fn disabled(self, on: i64) -> Self;
    fn restored(self, on: i64) -> Self;
}

impl Described for Key {
    fn inactive(self) -> Self {
        Key { status: KeyStatus::Inactive, ..self }
    }
    fn never_used(self) -> Self {
        Key { last_use: LastUse::Never, ..self }
    }
    fn use_unknown(self) -> Self {
        Key { last_use: LastUse::Unknown, ..self }
    }
    fn used_at(self, when: Timestamp) -> Self {
        Key { last_use: LastUse::At { when, service: "s3".to_owned(), region: "eu-west-1".to_owned() }, ..self }
    }
    fn used(self, on: i64) -> Self {
        self.used_at(day(on))
    }
    fn published(self) -> Self {
        Key { published: Published::Yes, ..self }
    }
    fn in_state(self, state: KeyState) -> Self {
        Key { state: Some(state), ..self }
    }
    fn notified(self, on: i64) -> Self {
        self.in_state(KeyState::new(KeyStateKind::Notified, day(on)))
    }
    fn forced(self, on: i64) -> Self {
        self.in_state(KeyState::new(KeyStateKind::Forced, day(on)))
    }
    fn disabled(self, on: i64) -> Self {
        self.in_state(KeyState::new(KeyStateKind::Disabled, day(on)))
    }
    fn restored(self, on: i64) -> Self {
        self.in_state(KeyState::new(KeyStateKind::Restored, day(on)))
    }
}

/// A user with these keys and no tags but theirs.
pub(crate) fn user(keys: impl IntoIterator<Item = Key>) -> User {
    let keys: Vec<Key> = keys.into_iter().collect();
    let states = keys.iter().filter_map(|key| Some((key.id.clone(), key.state.clone()?))).collect();
    let tags = UserTags { states, ..UserTags::default() };
    User { name: UserName::new("alice").expect("a name"), keys, in_exemption_group: false, tags }
}

/// The same user with one more tag.
pub(crate) fn tagged(user: User, key: &str, value: &str) -> User {
    let read = UserTags::read([(key, value)]);
    let mut tags = user.tags;
    tags.states.extend(read.states);
    tags.deletions.extend(read.deletions);
    tags.intents.extend(read.intents);
    tags.unreadable.extend(read.unreadable);
    tags.protected |= read.protected;
    tags.protected_in_other_case |= read.protected_in_other_case;
    tags.exempt_until_unreadable |= read.exempt_until_unreadable;
    tags.exempt_until = tags.exempt_until.or(read.exempt_until);
    tags.rotate_after_days = tags.rotate_after_days.or(read.rotate_after_days);
    User { tags, ..user }
}

/// The default policy with never-used keys retired.
pub(crate) fn retiring() -> Policy {
    Policy::new(Period::default(), UnusedKeys::Retire).expect("valid")
}

/// The default policy with that many days of extension for keys still in use.
pub(crate) fn extending(in_use_extension: u32) -> Policy {
    Policy::new(Period { in_use_extension, ..Period::default() }, UnusedKeys::Rotate).expect("valid")
}

/// The verdict of an ordinary look.
pub(crate) fn scheduled(now: Timestamp, policy: &Policy, user: &User) -> Verdict {
    decide(now, policy, user, &Request::Scheduled)
}

/// What is to be done at a moment, by a policy.
pub(crate) fn planned(now: Timestamp, policy: &Policy, user: &User) -> Vec<Action> {
    match scheduled(now, policy, user) {
        Verdict::Act(plan) => plan.actions,
        other => panic!("no plan but {other:?}"),
    }
}

/// What is to be done on a day, by default.
pub(crate) fn on(n: i64, user: &User) -> Vec<Action> {
    planned(day(n), &Policy::default(), user)
}

/// The notice in a plan that does nothing but give one.
pub(crate) fn only_notice(actions: &[Action]) -> (&AccessKeyId, &Notice) {
    match actions {
        [Action::Notify { key, notice }] => (key, notice),
        other => panic!("not one notice but {other:?}"),
    }
}

/// A notice of a scheduled run, with the day on which it says that the key will be disabled.
pub(crate) fn notice(kind: NoticeKind, disable_due: i64) -> Notice {
    Notice { kind, disable_due: Some(day(disable_due)), request: None, requested_at: None }
}

/// Adopts a key ten days before it will be deleted, by default.
pub(crate) fn adopts(name: &str, delete_due: i64) -> Action {
    let state = KeyState::new(KeyStateKind::Disabled, day(delete_due - 10)).until(day(delete_due));
    Action::Adopt { key: id(name), state, delete_due: day(delete_due) }
}

/// Whether a plan disables this key.
pub(crate) fn disables(actions: &[Action], name: &str) -> bool {
    actions.iter().any(|action| matches!(action, Action::Disable { key, .. } if *key == id(name)))
}
