//! The scenarios of the proofs: every way a delivery can go, each as a user prepared and a message sent.
//!
//! What must come of a scenario is not written down: it is what comes of it when nothing goes wrong.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use rotation::job::{ForceRotate, Whom};
use rotation::names::{Partition, intent_tag, version_id};
use rotation::secret_policy::SecretPolicy;
use rotation::{AccessKeyId, Intent, Job, Period, Policy, Task, UnusedKeys, UserName};
use sandbox::KeySpec;
use sandbox::serve::REGION;
use sandbox::world::{MANAGEMENT_ACCOUNT, MEMBER_ROLE};
use uuid::Uuid;
use worker::Settings;

use crate::told::{Told, What, told};
use crate::{ACCOUNT, Stage, USER, secret};

#[derive(Clone, Copy)]
pub struct Scenario {
    pub name: &'static str,
    /// Prepares the user; gives the message.
    pub prepare: fn(&Stage) -> Job,
    /// The worker's settings.
    pub settings: fn(&Stage) -> Settings,
}

/// What became of a user and its message, in words that do not depend on ids that differ from run to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Its keys: which, active or not, what is remembered of it.
    pub keys: Vec<(String, bool, Option<String>)>,
    pub published: Option<String>,
    /// Tags of this tool that are not the state of a key that is there.
    pub left_over: Vec<String>,
    /// Kinds of dead letters.
    pub dead_letters: Vec<String>,
    pub waiting: usize,
    /// What the owners have been told, the keys by name. Without findings: what is mended is none any more, for whoever comes after.
    pub told: BTreeSet<Told>,
}

fn used(days: i64) -> KeySpec {
    KeySpec::aged(days).used_days_ago(1)
}

/// An inactive key, last used before it was disabled eleven days ago: one that was used since would be adopted anew, not deleted.
fn unused_since_disabled(days: i64) -> KeySpec {
    KeySpec::aged(days).used_days_ago(20).inactive()
}

/// A key that a person made two minutes ago.
fn just_made() -> KeySpec {
    KeySpec { age: SignedDuration::from_mins(2), ..KeySpec::aged(0) }
}

fn user() -> UserName {
    USER.parse().expect("a user name")
}

pub fn key_id(id: &str) -> AccessKeyId {
    AccessKeyId::new(id).expect("a key id")
}

/// Remembers a state of a key, so many days ago.
pub fn remember(stage: &Stage, key: &str, word: &str, days_ago: i64) {
    let at = stage.now() - SignedDuration::from_hours(24 * days_ago);
    let value = format!("{word}={}", at.strftime("%Y-%m-%dT%H:%M:%SZ"));
    stage.world(|world| world.tag_user(ACCOUNT, USER, &format!("key-rotation:state:{key}"), &value));
}

/// Stores a published version of a key, as an earlier rotation would have.
pub fn publish(stage: &Stage, key: &str) {
    put(stage, &version_id(&key_id(key)), key);
}

/// Stores a version of a key that is only pending, as an interrupted rotation would have, in the secret that is there.
pub fn leave_pending(stage: &Stage, key: &str) {
    let version = version_id(&key_id(key));
    stage.world(|world| {
        let now = world.now();
        world.secrets.arrange_pending(now, ACCOUNT, REGION, &secret(), &version, &value(key));
    });
}

/// Leaves an intent to succeed this key, so many minutes old, and the trace of its attempt on the secret, as an attempt would that
/// died after it had prepared that.
pub fn leave_intent(stage: &Stage, old: &str, minutes_ago: i64) {
    forge_intent(stage, old, minutes_ago);
    leave_trace(stage, ACCOUNT, minutes_ago);
}

/// The same without a trace: what whoever may tag the user can write.
pub fn forge_intent(stage: &Stage, old: &str, minutes_ago: i64) {
    leave(stage, Some(old), minutes_ago);
}

/// Leaves an intent only to settle, so many minutes old.
pub fn leave_settling_intent(stage: &Stage, minutes_ago: i64) {
    leave(stage, None, minutes_ago);
}

/// Leaves the trace of an attempt on the user's secret in this account's store.
pub fn leave_trace(stage: &Stage, store: &str, minutes_ago: i64) {
    let policy = policy_for(USER, Some(stage.now() - SignedDuration::from_mins(minutes_ago)));
    stage.world(|world| {
        let now = world.now();
        world.secrets.arrange_empty(now, store, REGION, &secret());
        world.secrets.arrange_policy(store, REGION, &secret(), &policy.to_string());
    });
}

fn leave(stage: &Stage, old: Option<&str>, minutes_ago: i64) {
    let intent = Intent {
        attempt: Uuid::new_v4(),
        written: stage.now() - SignedDuration::from_mins(minutes_ago),
        successor_of: old.map(key_id),
        beside: Vec::new(),
    };
    stage.world(|world| world.tag_user(ACCOUNT, USER, &intent_tag(intent.attempt), &intent.to_string()));
}

fn put(stage: &Stage, version: &str, key: &str) {
    put_in(stage, ACCOUNT, version, key);
}

/// Stores a version in the secret of this account, without a KMS key.
fn put_in(stage: &Stage, account: &str, version: &str, key: &str) {
    stage.world(|world| {
        let now = world.now();
        world.secrets.arrange(now, account, REGION, &secret(), version, &value(key));
        world.secrets.arrange_policy(account, REGION, &secret(), &policy_for(USER, None).to_string());
    });
}

/// The policy of a secret of this user, which the member role may change, and in the central store the worker.
fn policy_for(user: &str, attempt: Option<Timestamp>) -> serde_json::Value {
    let member = Partition::AWS.role_arn(&ACCOUNT.parse().expect("an account id"), MEMBER_ROLE);
    let worker = format!("arn:aws:*::{MANAGEMENT_ACCOUNT}:*");
    let owner = format!("arn:aws:iam::{ACCOUNT}:user/{user}");
    SecretPolicy { owner: &owner, readers: &[], writers: &[member, worker], last_attempt: attempt }.document()
}

fn value(key: &str) -> String {
    serde_json::json!({"AccessKeyId": key, "SecretAccessKey": "earlier"}).to_string()
}

fn scan(stage: &Stage) -> Job {
    stage.job(Task::Account)
}

fn force(stage: &Stage, whom: Whom, disable_old_now: bool) -> Job {
    stage.job(Task::ForceRotate(ForceRotate { whom, disable_old_now, override_exemption: false }))
}

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "a due key gets its first successor",
        prepare: |stage| {
            stage.user(&[used(95)]);
            scan(stage)
        },
        settings: Stage::settings,
    },
    Scenario {
        name: "a due key whose own secret is published gets a successor",
        prepare: |stage| {
            let old = stage.user(&[used(95)]).remove(0);
            publish(stage, &old);
            scan(stage)
        },
        settings: Stage::settings,
    },
    Scenario {
        name: "a due key gets a successor where the secret holds another tool's version",
        prepare: |stage| {
            stage.user(&[used(95)]);
            put(stage, "11111111-2222-4333-8444-555555555555", "AKIAAAAAAAAAAAAAAAAA");
            scan(stage)
        },
        settings: Stage::settings,
    },
    Scenario {
        name: "an inactive key is deleted and the active one rotated in the same run",
        prepare: |stage| {
            let keys = stage.user(&[unused_since_disabled(300), used(95)]);
            remember(stage, &keys[0], "disabled", 11);
            scan(stage)
        },
        settings: Stage::settings,
    },
    Scenario {
        name: "a replaced key is noticed",
        prepare: |stage| {
            stage.user(&[used(95), used(5)]);
            scan(stage)
        },
        settings: Stage::settings,
    },
    Scenario {
        name: "a noticed key is disabled",
        prepare: |stage| {
            let keys = stage.user(&[used(101), KeySpec::aged(11)]);
            publish(stage, &keys[1]);
            remember(stage, &keys[0], "notified", 11);
            scan(stage)
        },
        settings: Stage::settings,
    },
    Scenario {
        name: "a key that is to be disabled stays where its owner could not read its successor's secret",
        prepare: |stage| {
            let keys = stage.user(&[used(101), KeySpec::aged(11)]);
            publish(stage, &keys[1]);
            let policy = policy_for("somebody-else", None).to_string();
            stage.world(|world| world.secrets.arrange_policy(ACCOUNT, REGION, &secret(), &policy));
            remember(stage, &keys[0], "notified", 11);
            scan(stage)
        },
        settings: Stage::settings,
    },
    Scenario {
        name: "a key that is to be disabled stays where its successor's secret has another KMS key",
        prepare: |stage| {
            let keys = stage.user(&[used(101), KeySpec::aged(11)]);
            put_in(stage, MANAGEMENT_ACCOUNT, &version_id(&key_id(&keys[1])), &keys[1]);
            remember(stage, &keys[0], "notified", 11);
            scan(stage)
        },
        settings: Stage::central_settings,
    },
    Scenario {
        name: "a disabled key is deleted",
        prepare: |stage| {
            let keys = stage.user(&[unused_since_disabled(111), used(21)]);
            publish(stage, &keys[1]);
            remember(stage, &keys[0], "disabled", 11);
            scan(stage)
        },
        settings: Stage::settings,
    },
    Scenario {
        name: "a person's inactive key is adopted",
        prepare: |stage| {
            stage.user(&[used(300).inactive()]);
            scan(stage)
        },
        settings: Stage::settings,
    },
    Scenario {
        name: "a key that a person re-enabled is told about and not disabled",
        prepare: |stage| {
            let keys = stage.user(&[used(101), used(11)]);
            publish(stage, &keys[1]);
            remember(stage, &keys[0], "disabled", 1);
            scan(stage)
        },
        settings: Stage::settings,
    },
    Scenario {
        name: "of two due keys the less recently used one is given notice",
        prepare: |stage| {
            stage.user(&[KeySpec::aged(300).used_days_ago(2), KeySpec::aged(200).used_days_ago(50)]);
            scan(stage)
        },
        settings: Stage::settings,
    },
    Scenario {
        name: "a never used key is given notice where policy retires it",
        prepare: |stage| {
            stage.user(&[KeySpec::aged(95)]);
            scan(stage)
        },
        settings: retiring,
    },
    Scenario {
        name: "a never used key is disabled where policy retires it",
        prepare: |stage| {
            let key = stage.user(&[KeySpec::aged(105)]).remove(0);
            remember(stage, &key, "notified", 11);
            scan(stage)
        },
        settings: retiring,
    },
    Scenario {
        name: "a forced rotation of the only key",
        prepare: |stage| {
            stage.user(&[used(5)]);
            force(stage, Whom::User(user()), false)
        },
        settings: Stage::settings,
    },
    Scenario {
        name: "a forced rotation that contains first",
        prepare: |stage| {
            let old = stage.user(&[used(5)]).remove(0);
            publish(stage, &old);
            force(stage, Whom::User(user()), true)
        },
        settings: Stage::settings,
    },
    Scenario {
        name: "a forced rotation that needs an inactive key's place",
        prepare: |stage| {
            stage.user(&[used(30).inactive(), used(5)]);
            force(stage, Whom::User(user()), false)
        },
        settings: Stage::settings,
    },
    Scenario {
        name: "a leaked key of two active ones, by user and key",
        prepare: |stage| {
            let keys = stage.user(&[used(50), used(5)]);
            force(stage, Whom::UserAndKey(user(), key_id(&keys[1])), true)
        },
        settings: Stage::settings,
    },
    Scenario {
        name: "a leaked key of two active ones, by nothing but its id",
        prepare: |stage| {
            let keys = stage.user(&[used(50), used(5)]);
            force(stage, Whom::Key(key_id(&keys[0])), true)
        },
        settings: Stage::settings,
    },
    Scenario {
        name: "a leaked key beside an inactive one, by nothing but its id",
        prepare: |stage| {
            let keys = stage.user(&[used(50).inactive(), used(5)]);
            force(stage, Whom::Key(key_id(&keys[1])), true)
        },
        settings: Stage::settings,
    },
    Scenario {
        name: "a leaked key beside one that a person made just now",
        prepare: |stage| {
            let keys = stage.user(&[used(50), just_made()]);
            force(stage, Whom::UserAndKey(user(), key_id(&keys[0])), true)
        },
        settings: Stage::settings,
    },
    Scenario {
        name: "a forced rotation of a key that a person made just now",
        prepare: |stage| {
            stage.user(&[just_made()]);
            force(stage, Whom::User(user()), false)
        },
        settings: Stage::settings,
    },
    Scenario {
        name: "a request that is refused",
        prepare: |stage| {
            stage.user(&[used(50), used(5)]);
            force(stage, Whom::User(user()), false)
        },
        settings: Stage::settings,
    },
    Scenario {
        name: "a disabled key is restored",
        prepare: |stage| {
            let keys = stage.user(&[used(101).inactive(), used(11)]);
            publish(stage, &keys[1]);
            remember(stage, &keys[0], "disabled", 1);
            stage.job(Task::Restore { user: user(), access_key_id: None })
        },
        settings: Stage::settings,
    },
    Scenario {
        name: "an inactive key that is on no record is restored",
        prepare: |stage| {
            stage.user(&[used(101).inactive(), used(11)]);
            stage.job(Task::Restore { user: user(), access_key_id: None })
        },
        settings: Stage::settings,
    },
];

/// Never-used keys are retired.
fn retiring(stage: &Stage) -> Settings {
    let policy = Policy::new(Period::default(), UnusedKeys::Retire).expect("a valid policy");
    Settings { policy, ..stage.settings() }
}

fn is_told_whatever_happens(told: &Told) -> bool {
    told.what != What::Finding
}

/// What became of it. `before` are the keys the user had at first, by name.
pub async fn ending(stage: &Stage, before: &[String]) -> Ending {
    let named = |id: &str| match before.iter().position(|key| key == id) {
        Some(n) => format!("key {}", n + 1),
        None => "a new key".to_owned(),
    };
    let tags: BTreeMap<String, String> = stage.world(|world| world.user(ACCOUNT, USER).holds.tags.clone());
    let keys = stage.keys();
    let word = |id: &str| {
        let state = tags.get(&format!("key-rotation:state:{id}"))?;
        let word = state.split('=').next().unwrap_or_default();
        Some(if state.ends_with("told=no") { format!("{word}, not told") } else { word.to_owned() })
    };
    let of_a_key = |tag: &str| keys.iter().any(|(id, _)| tag.ends_with(id.as_str()));
    let dead_letters = stage.dead_letters().await;
    Ending {
        keys: keys.iter().map(|(id, active)| (named(id), *active, word(id))).collect(),
        published: stage.published_key().map(|id| named(&id)),
        left_over: tags
            .keys()
            .filter(|tag| tag.starts_with("key-rotation:") && !of_a_key(tag))
            .map(|tag| match tag.strip_prefix("key-rotation:state:") {
                Some(id) => format!("state of {}", named(id)),
                None => tag.clone(),
            })
            .collect(),
        dead_letters: dead_letters.into_iter().map(|(kind, _, _)| kind).collect(),
        waiting: stage.waiting(),
        told: told(stage)
            .into_keys()
            .filter(is_told_whatever_happens)
            .map(|told| Told { key: told.key.map(|id| named(&id)), ..told })
            .collect(),
    }
}
