//! The message in both spellings, and every way in which it can be wrong.

use proptest::prelude::*;
use rotation::job::{ForceRotate, InvalidJob, Whom};
use rotation::{AccessKeyId, AccountId, Job, Task, UserName};

const KEY: &str = "AKIAIOSFODNN7EXAMPLE";

fn read(body: &str) -> Job {
    Job::parse(body).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(body: &str) -> String {
    Job::parse(body).expect_err("to be refused").to_string()
}

fn forces(whom: Whom) -> Task {
    Task::ForceRotate(ForceRotate { whom, disable_old_now: false, override_exemption: false })
}

fn alice() -> UserName {
    UserName::new("alice").expect("a name")
}

#[test]
fn the_whole_message_as_documented_is_an_ordinary_run_over_an_account() {
    let job = read(
        r#"{"account":"123456789012","name":"prod","email":"owner@example.com","user":null,
            "force_rotate":null,"access_key_id":null,"disable_old_now":false,"override_exemption":false,
            "dry_run":null,"run_id":"6f1a4c62-2c0f-5a39-9a58-5b8f3a0d7c11","requested_at":"2026-11-22T10:00:00Z"}"#,
    );
    assert_eq!(job.task, Task::Account);
    assert_eq!((job.name.as_deref(), job.email.as_deref()), (Some("prod"), Some("owner@example.com")));
    assert!(!job.dry_run && job.run_id.is_some() && job.requested_at.is_some());
}

#[test]
fn only_the_account_is_required() {
    let account = AccountId::new("123456789012").expect("an account");
    assert_eq!(read(r#"{"account":"123456789012"}"#), Job::new(account, Task::Account));
}

#[test]
fn the_predecessors_spelling_forces_a_rotation() {
    let job = read(
        r#"{"account": "123456789012", "email": "user@example.com", "name": "my-account", "ForceRotate": "alice"}"#,
    );
    assert_eq!(job.task, forces(Whom::User(alice())));
}

#[test]
fn dry_run_in_either_spelling_tightens_and_nothing_loosens() {
    for (field, expected) in [
        (r#""dryrun": true"#, true),
        (r#""dry_run": true"#, true),
        (r#""dry_run": false"#, false),
        (r#""dry_run": null"#, false),
    ] {
        assert_eq!(read(&format!(r#"{{"account":"123456789012",{field}}}"#)).dry_run, expected);
    }
}

#[test]
fn a_key_alone_or_a_user_and_a_key_force_a_rotation() {
    let key = AccessKeyId::new(KEY).expect("a key");
    let alone = read(&format!(r#"{{"account":"123456789012","access_key_id":"{KEY}"}}"#));
    assert_eq!(alone.task, forces(Whom::Key(key.clone())));
    let both = read(&format!(r#"{{"account":"123456789012","force_rotate":"alice","access_key_id":"{KEY}"}}"#));
    assert_eq!(both.task, forces(Whom::UserAndKey(alice(), key)));
}

#[test]
fn an_unknown_field_is_refused_so_that_a_mistyped_one_does_not_turn_into_a_plain_scan() {
    for field in ["ForceRotat", "force_Rotate", "Dryrun", "users"] {
        let sentence = refused(&format!(r#"{{"account":"123456789012","{field}":"alice"}}"#));
        assert!(sentence.contains(field), "{sentence}");
    }
}

#[test]
fn the_same_field_in_both_spellings_is_refused() {
    let sentence = refused(r#"{"account":"123456789012","ForceRotate":"alice","force_rotate":"bob"}"#);
    assert!(sentence.contains("duplicate field"), "{sentence}");
}

#[test]
fn an_account_that_is_not_twelve_digits_is_refused() {
    for account in ["12345678901", "1234567890123", "12345678901a", "", "１２３４５６７８９０１２"] {
        let sentence = refused(&format!(r#"{{"account":"{account}"}}"#));
        assert!(sentence.contains("\"account\"") && sentence.contains("exactly 12 digits"), "{sentence}");
    }
    assert!(refused(r#"{"account":123456789012}"#).contains("string"));
}

#[test]
fn what_is_not_a_json_object_is_refused() {
    for body in ["", " ", "hello", "null", "[]", "\"{}\"", "{", r#"{"account":"123456789012"} x"#, "\u{feff}{}", "{}"] {
        assert!(matches!(Job::parse(body), Err(InvalidJob::Malformed(_))), "{body}");
    }
}

#[test]
fn an_array_is_not_taken_for_an_object_with_its_fields_in_order() {
    assert!(Job::parse(r#"["123456789012"]"#).is_err());
    let fields = r#"["123456789012",null,null,null,"alice",null,false,false,null,null,null,null]"#;
    assert!(Job::parse(fields).is_err());
}

#[test]
fn empty_strings_are_no_names() {
    for field in ["user", "force_rotate", "ForceRotate", "access_key_id", "restore", "run_id", "requested_at"] {
        let sentence = refused(&format!(r#"{{"account":"123456789012","{field}":""}}"#));
        assert!(sentence.contains("wrong"), "{sentence}");
    }
    let job = read(r#"{"account":"123456789012","name":"","email":""}"#);
    assert_eq!((job.name, job.email), (None, None), "an account without a name has none");
}

#[test]
fn fields_that_contradict_each_other_are_refused() {
    for fields in [
        r#""user":"alice","force_rotate":"alice""#,
        r#""user":"alice","restore":"alice""#,
        r#""user":"alice","access_key_id":"AKIAIOSFODNN7EXAMPLE""#,
        r#""force_rotate":"alice","restore":"alice""#,
        r#""force_rotate":"alice","restore":"alice","access_key_id":"AKIAIOSFODNN7EXAMPLE""#,
        r#""disable_old_now":true"#,
        r#""override_exemption":true"#,
        r#""user":"alice","disable_old_now":true"#,
        r#""restore":"alice","override_exemption":true"#,
        r#""restore":"alice","access_key_id":"AKIAIOSFODNN7EXAMPLE","disable_old_now":true"#,
    ] {
        let job = Job::parse(&format!(r#"{{"account":"123456789012",{fields}}}"#));
        assert!(matches!(job, Err(InvalidJob::Contradiction(_))), "{fields}: {job:?}");
    }
}

#[test]
fn a_refusal_of_huge_input_is_one_short_line() {
    let huge = "x\n".repeat(1_000_000);
    let quoted = serde_json::to_string(&huge).expect("a string");
    for body in [
        huge,
        format!(r#"{{"account":{quoted}}}"#),
        format!(r#"{{{quoted}:1}}"#),
        format!(r#"{{"account":"123456789012","disable_old_now":{quoted}}}"#),
        format!(r#"{{"account":"123456789012","run_id":{quoted}}}"#),
        format!(r#"{{"account":"123456789012","force_rotate":{quoted}}}"#),
        "[".repeat(1_000_000),
    ] {
        let sentence = refused(&body);
        assert!(sentence.chars().count() < 500 && !sentence.contains('\n'), "{}", sentence.len());
    }
}

fn name() -> impl Strategy<Value = UserName> {
    "[A-Za-z0-9+=,.@_-]{1,64}".prop_map(|name| UserName::new(name).expect("by its alphabet"))
}

fn key() -> impl Strategy<Value = AccessKeyId> {
    "[A-Z0-9]{16,128}".prop_map(|key| AccessKeyId::new(key).expect("by its alphabet"))
}

fn task() -> impl Strategy<Value = Task> {
    let whom = prop_oneof![
        name().prop_map(Whom::User),
        key().prop_map(Whom::Key),
        (name(), key()).prop_map(|(name, key)| Whom::UserAndKey(name, key)),
    ];
    prop_oneof![
        Just(Task::Account),
        name().prop_map(Task::User),
        (whom, any::<bool>(), any::<bool>()).prop_map(|(whom, disable_old_now, override_exemption)| Task::ForceRotate(
            ForceRotate { whom, disable_old_now, override_exemption }
        )),
        (name(), proptest::option::of(key())).prop_map(|(user, access_key_id)| Task::Restore { user, access_key_id }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn what_is_written_is_read_back_the_same(
        account in "[0-9]{12}", name in proptest::option::of("\\PC{1,40}"), email in proptest::option::of(".{1,40}"),
        task in task(), dry_run: bool, run in proptest::option::of(any::<u128>()),
        requested in proptest::option::of((-377_000_000_000i64..253_000_000_000, 0i32..1_000_000_000)),
    ) {
        let job = Job {
            account: AccountId::new(account).expect("twelve digits"),
            name, email, task, dry_run,
            run_id: run.map(uuid::Uuid::from_u128),
            requested_at: requested.map(|(s, ns)| jiff::Timestamp::new(s, ns.copysign(s)).expect("in range")),
        };
        prop_assert_eq!(Job::parse(&job.to_body()), Ok(job));
    }
}

/// A timestamp's fraction has the sign of its seconds.
trait Copysign {
    fn copysign(self, of: i64) -> Self;
}

impl Copysign for i32 {
    fn copysign(self, of: i64) -> Self {
        if of < 0 { -self } else { self }
    }
}
