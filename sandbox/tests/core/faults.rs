//! Faults as callers meet them.

use std::time::{Duration, Instant};

use aws_sdk_iam::Client;
use aws_sdk_iam::error::SdkError;
use aws_sdk_iam::types::Tag;
use jiff::SignedDuration;
use sandbox::call::Service;
use sandbox::faults::{Calls, CrashPlan, Fault, Rule, ShortSessions, StaleReads, When};
use sandbox::journal::Outcome;
use sandbox::{KeySpec, Sandbox, World};

use crate::common::{MEMBER, assume, code, member, serve, settings, world};

fn world_with_ada() -> World {
    let mut world = world();
    world.add_user(MEMBER, "ada");
    world
}

async fn client(sandbox: &Sandbox, app: &str) -> Client {
    Client::new(&settings(sandbox, &assume(sandbox, None).await, app).await)
}

fn always(action: &str, fault: Fault) -> Rule {
    Rule { calls: Calls::new(action), fault, rate: 1.0, times: Some(1) }
}

fn keys_of_ada(sandbox: &Sandbox) -> usize {
    sandbox.with(|world| world.user(MEMBER, "ada").holds.keys.len())
}

#[tokio::test]
async fn throttling_and_server_errors_have_the_codes_the_sdk_retries() {
    let sandbox = serve(world_with_ada()).await;
    let iam = Client::new(&member(&sandbox).await);
    sandbox.with(|world| world.faults.add(always("iam:CreateAccessKey", Fault::Throttle)));
    assert_eq!(code(iam.create_access_key().user_name("ada").send().await).as_deref(), Some("Throttling"));
    sandbox.with(|world| world.faults.add(always("iam:CreateAccessKey", Fault::ServerError)));
    let error = iam.create_access_key().user_name("ada").send().await.expect_err("500").into_service_error();
    assert!(error.is_service_failure_exception(), "{error:?}");
    assert_eq!(keys_of_ada(&sandbox), 0);
}

#[tokio::test]
async fn a_dropped_call_changes_nothing_and_a_lost_answer_has_taken_effect() {
    let sandbox = serve(world_with_ada()).await;
    let iam = Client::new(&member(&sandbox).await);
    let create = || iam.create_access_key().user_name("ada").send();
    sandbox.with(|world| world.faults.add(always("iam:CreateAccessKey", Fault::DropBefore)));
    let error = create().await.expect_err("no answer");
    assert!(matches!(error, SdkError::DispatchFailure(_) | SdkError::ResponseError(_)), "{error:?}");
    assert_eq!(keys_of_ada(&sandbox), 0);
    sandbox.with(|world| world.faults.add(always("iam:CreateAccessKey", Fault::LoseAnswer)));
    let error = create().await.expect_err("no answer");
    assert!(matches!(error, SdkError::DispatchFailure(_) | SdkError::ResponseError(_)), "{error:?}");
    assert_eq!(keys_of_ada(&sandbox), 1);
    let outcomes: Vec<Outcome> = sandbox.with(|world| {
        let calls = world.journal.mutating_calls(Service::Iam);
        calls.map(|call| call.outcome.clone()).collect()
    });
    assert_eq!(outcomes, [Outcome::Dropped, Outcome::Unanswered]);
}

#[tokio::test]
async fn a_worker_that_dies_at_a_call_leaves_the_other_worker_alone() {
    for (when, keys) in [(When::Before, 0), (When::After, 1)] {
        let sandbox = serve(world_with_ada()).await;
        let (a, b) = (client(&sandbox, "worker-a").await, client(&sandbox, "worker-b").await);
        let calls = Calls { app: Some("worker-a".into()), ..Calls::default() };
        let died = sandbox.with(|world| world.faults.crash(CrashPlan { calls, at_call: 2, when }));
        a.list_users().send().await.expect("the first call");
        assert!(!died.is_cancelled());
        a.create_access_key().user_name("ada").send().await.expect_err("dies here");
        assert!(died.is_cancelled());
        a.list_users().send().await.expect_err("dead");
        assert_eq!(keys_of_ada(&sandbox), keys);
        b.list_users().send().await.expect("alive");
    }
}

#[tokio::test]
async fn a_stalled_call_keeps_its_caller_waiting_and_then_loses_the_connection() {
    let mut world = world_with_ada();
    world.faults.stall = Duration::from_millis(30);
    let sandbox = serve(world).await;
    let iam = Client::new(&member(&sandbox).await);
    sandbox.with(|world| world.faults.add(always("iam:CreateAccessKey", Fault::StallAfter)));
    let started = Instant::now();
    iam.create_access_key().user_name("ada").send().await.expect_err("no answer");
    assert!(started.elapsed() >= Duration::from_millis(30));
    assert_eq!(keys_of_ada(&sandbox), 1);
}

#[tokio::test]
async fn latency_is_felt_by_every_call() {
    let sandbox = serve(world_with_ada()).await;
    let iam = Client::new(&member(&sandbox).await);
    sandbox.with(|world| world.faults.latency = Duration::from_millis(25));
    let started = Instant::now();
    iam.list_users().send().await.expect("users");
    assert!(started.elapsed() >= Duration::from_millis(25));
}

#[tokio::test]
async fn reads_lag_behind_writes_while_the_writer_s_limits_hold() {
    let mut world = world_with_ada();
    world.faults.stale_reads = Some(StaleReads { seconds: 5, reads: Some(2), rate: 1.0, operation: None });
    let sandbox = serve(world).await;
    let iam = Client::new(&member(&sandbox).await);
    let tag = Tag::builder().key("k").value("v").build().expect("a tag");
    iam.tag_user().user_name("ada").tags(tag).send().await.expect("tagged");
    let tags = || async { iam.list_user_tags().user_name("ada").send().await.expect("tags").tags.len() };
    assert_eq!((tags().await, tags().await, tags().await), (0, 0, 1));

    let keys =
        || async { iam.list_access_keys().user_name("ada").send().await.expect("keys").access_key_metadata.len() };
    iam.create_access_key().user_name("ada").send().await.expect("a key");
    iam.create_access_key().user_name("ada").send().await.expect("a key");
    assert!(keys().await < 2);
    let third = iam.create_access_key().user_name("ada").send().await.expect_err("the limit is not stale");
    assert!(third.into_service_error().is_limit_exceeded_exception());
    sandbox.with(|world| world.clock.advance(SignedDuration::from_secs(6)));
    assert_eq!(keys().await, 2);
}

#[tokio::test]
async fn a_session_can_end_before_its_time() {
    let mut world = world_with_ada();
    world.faults.short_sessions = Some(ShortSessions { rate: 1.0, lasts_seconds: 60 });
    let sandbox = serve(world).await;
    let iam = Client::new(&member(&sandbox).await);
    iam.list_users().send().await.expect("users");
    sandbox.with(|world| world.clock.advance(SignedDuration::from_secs(60)));
    assert_eq!(code(iam.list_users().send().await).as_deref(), Some("ExpiredToken"));
}

#[tokio::test]
async fn a_denial_names_one_user_of_one_account() {
    let mut world = world_with_ada();
    world.add_user(MEMBER, "bob");
    let ada = world.add_key(MEMBER, "ada", &KeySpec::aged(5));
    let bob = world.add_key(MEMBER, "bob", &KeySpec::aged(5));
    world.faults.deny(MEMBER, "iam:GetAccessKeyLastUsed", Some("ada"));
    world.faults.deny(MEMBER, "iam:GetGroup", None);
    let sandbox = serve(world).await;
    let iam = Client::new(&member(&sandbox).await);
    let last_used = |key: &str| iam.get_access_key_last_used().access_key_id(key).send();
    assert_eq!(code(last_used(&ada).await).as_deref(), Some("AccessDenied"));
    last_used(&bob).await.expect("allowed");
    assert_eq!(code(iam.get_group().group_name("any").send().await).as_deref(), Some("AccessDenied"));
}
