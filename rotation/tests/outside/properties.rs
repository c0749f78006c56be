//! What must hold of any text that comes from outside. Each property is one function of a text: the fuzz targets (`fuzz/`) look
//! for a text that breaks it, `main.rs` tries it on the texts that were found on the way.

use jiff::{SignedDuration, Timestamp};
use rotation::names::{self, secret_name, version_id};
use rotation::user::UserTags;
use rotation::{
    AccessKeyId, AccountId, Intent, Job, Key, KeyState, KeyStatus, LastUse, Policy, Published, Request, Task, User,
    UserName, Verdict, decide,
};
use serde_json::Value;
use uuid::Uuid;

/// A message body is read as what it says and no more, and can be written back; or it is refused in one short line.
pub(crate) fn message(body: &str) {
    let job = match Job::parse(body) {
        Ok(job) => job,
        Err(error) => {
            let sentence = error.to_string();
            assert!(sentence.chars().count() < 500 && !sentence.contains('\n'), "{sentence}");
            return;
        }
    };
    assert_eq!(Job::parse(&job.to_body()), Ok(job.clone()), "written back");

    let said: Value = serde_json::from_str(body).expect("it was read");
    let text = |names: &[&str]| names.iter().find_map(|name| said.get(name)?.as_str().map(str::to_owned));
    let yes = |names: &[&str]| names.iter().any(|name| said.get(name).and_then(Value::as_bool) == Some(true));
    assert_eq!(text(&["account"]).as_deref(), Some(job.account.as_str()));
    assert_eq!(job.dry_run, yes(&["dry_run", "dryrun"]), "a message can tighten, and what it says is heard");

    let (user, force) = (text(&["user"]), text(&["force_rotate", "ForceRotate"]));
    let (key, restore) = (text(&["access_key_id"]), text(&["restore"]));
    let options = (yes(&["disable_old_now"]), yes(&["override_exemption"]));
    let name = |user: &UserName| Some(user.to_string());
    match &job.task {
        Task::Account => assert_eq!((user, force, key, restore, options), (None, None, None, None, (false, false))),
        Task::User(one) => {
            assert_eq!((user, force, key, restore, options), (name(one), None, None, None, (false, false)));
        }
        Task::ForceRotate(request) => {
            let whom = (request.whom.user().map(UserName::to_string), request.whom.access_key_id());
            assert_eq!(whom, (force, key.and_then(|key| AccessKeyId::new(key).ok()).as_ref()));
            assert_eq!((request.disable_old_now, request.override_exemption), options);
            assert_eq!((user, restore), (None, None));
        }
        Task::Restore { user: whom, access_key_id } => {
            assert_eq!((restore, key), (name(whom), access_key_id.as_ref().map(AccessKeyId::to_string)));
            assert_eq!((user, force, options), (None, None, (false, false)));
        }
    }
}

/// A user's tags, one a line, key and value with a tab between them: none of the tool's own is passed over, and with one that
/// cannot be read, or an intent, or `protected`, no rule changes anything.
pub(crate) fn user_tags(lines: &str) {
    let tags: Vec<(&str, &str)> = lines.lines().map(|line| line.split_once('\t').unwrap_or((line, ""))).collect();
    let read = UserTags::read(tags.iter().copied());

    let begins =
        |key: &str, prefix: &str| key.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    let count = |prefix: &str| tags.iter().filter(|(key, _)| begins(key, prefix)).count();
    let dates: Vec<&str> = tags
        .iter()
        .filter(|(key, _)| key.eq_ignore_ascii_case(names::EXEMPT_UNTIL_TAG))
        .map(|(_, value)| *value)
        .collect();
    let bad_dates =
        dates.iter().filter(|date| UserTags::read([(names::EXEMPT_UNTIL_TAG, **date)]).exempt_until.is_none());
    assert_eq!(
        count(names::STATE_TAG_PREFIX) + count(names::INTENT_TAG_PREFIX) + bad_dates.count(),
        read.states.len() + read.intents.len() + read.unreadable.len(),
        "each tag of the tool's own is known or a finding"
    );
    let protected = tags.iter().any(|(key, _)| key.eq_ignore_ascii_case(names::PROTECTED_TAG));
    assert_eq!(read.protected || read.protected_in_other_case, protected);
    for (_, state) in &read.states {
        same_when_written_back(state);
    }

    let changes = |verdict: &Verdict| match verdict {
        Verdict::Act(plan) => plan.actions.iter().any(rotation::Action::changes),
        Verdict::Exempt(_) | Verdict::SettleFirst | Verdict::Undecided(_) | Verdict::Refused(_) => false,
    };
    let user = user_with(read.clone());
    let now = user.keys[0].created + SignedDuration::from_hours(24 * 365);
    let verdict = decide(now, &Policy::default(), &user, &Request::Scheduled);
    if protected || !read.unreadable.is_empty() || !read.intents.is_empty() {
        assert!(!changes(&verdict), "{verdict:?}");
    }
}

fn same_when_written_back(state: &KeyState) {
    let text = state.to_string();
    let again = KeyState::parse(&text).unwrap_or_else(|| panic!("{text} is not read back"));
    assert_eq!(again.to_string(), text);
    assert_eq!((again.kind, again.at.as_second()), (state.kind, floor(state.at)), "{text}");
}

/// The second a time falls into.
fn floor(time: Timestamp) -> i64 {
    time.as_second() - i64::from(time.subsec_nanosecond() < 0)
}

/// A user with one key, long due, that the tags may be about.
fn user_with(tags: UserTags) -> User {
    let id = AccessKeyId::new("AKIAIOSFODNN7EXAMPLE").expect("an id");
    let created: Timestamp = "2026-01-01T10:00:00Z".parse().expect("a time");
    let state = tags.state_of(&id);
    let key = Key { id, status: KeyStatus::Active, created, last_use: LastUse::Never, published: Published::No, state };
    let name = UserName::new("alice").expect("a name");
    User { name, keys: vec![key], in_exemption_group: false, tags }
}

/// An intent says what it says when it is written back, and explains no key but one made while its session can have lived.
pub(crate) fn intent(value: &str) {
    let attempt = Uuid::from_u128(7);
    let Some(intent) = Intent::parse(attempt, value) else {
        return;
    };
    let text = intent.to_string();
    let again = Intent::parse(attempt, &text).unwrap_or_else(|| panic!("{text} is not read back"));
    assert_eq!((again.attempt, &again.successor_of, &again.beside), (attempt, &intent.successor_of, &intent.beside));
    assert_eq!(again.to_string(), text);
    let said: Vec<&str> = value.split(' ').skip(1).collect();
    let named = intent.successor_of.iter().map(|key| format!("for={key}"));
    let named: Vec<String> = named.chain(intent.beside.iter().map(|key| format!("beside={key}"))).collect();
    assert_eq!(said, named, "the keys it names, to the letter");

    assert!(!intent.is_expired(intent.written) || intent.written == Timestamp::MAX);
    assert_eq!(intent.may_have_made(intent.written), !named.is_empty());
    let later = |seconds| intent.expires_at().checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX);
    assert!(later(1) == Timestamp::MAX || intent.is_expired(later(1)) && !intent.may_have_made(later(1)));
}

/// A name is one or is none, by AWS's own words; what is one is spelled as it was, and fits where it is put.
pub(crate) fn ids(text: &str) {
    let letters = |also: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || also.contains(c));
    let length = text.chars().count();
    let account = AccountId::new(text);
    assert_eq!(account.is_ok(), length == 12 && text.chars().all(|c| c.is_ascii_digit()));
    let user = UserName::new(text);
    assert_eq!(user.is_ok(), (1..=64).contains(&length) && letters("+=,.@_-"));
    let key = AccessKeyId::new(text);
    assert_eq!(key.is_ok(), (16..=128).contains(&length) && letters("_"));
    for refused in [account.as_ref().err(), user.as_ref().err(), key.as_ref().err()].into_iter().flatten() {
        let sentence = refused.to_string();
        assert!(sentence.chars().count() < 250 && !sentence.contains(char::is_control), "{sentence}");
    }
    if let Ok(user) = user {
        let name = secret_name(&AccountId::new("123456789012").expect("an account"), &user);
        assert!(
            name.len() <= 512 && name.chars().all(|c| c.is_ascii_alphanumeric() || "/_+=.@-".contains(c)),
            "{name}"
        );
        let written = serde_json::to_string(&user).expect("a name is a string");
        assert_eq!(serde_json::from_str::<UserName>(&written).ok(), Some(user));
    }
    if let Ok(key) = key {
        assert!(version_id(&key).parse::<Uuid>().is_ok_and(|id| id.get_version_num() == 5));
        // IAM API reference, `Tag`: a key has at most 128 characters.
        assert!(key.as_str().len() > 108 || names::state_tag(&key).len() <= 128);
    }
}
