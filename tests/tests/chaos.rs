//! The random proof: whole runs under all faults at once (throttling, server errors, lost calls and lost answers, stale reads,
//! sessions that end early, duplicate, late and reordered deliveries, workers that die), from a seed. Simulated time.
//!
//! `CHAOS_SEEDS=20000 cargo test --release --workspace --test chaos` runs more of them, `CHAOS_SEED=17` replays one. A failing
//! seed is printed.

use std::fmt::Write;
use std::sync::Arc;

use end_to_end::violations::violations;
use end_to_end::{ACCOUNT, OWNER, Stage};
use futures::stream::{self, StreamExt};
use jiff::{SignedDuration, Timestamp};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rotation::Task;
use rotation::names::{INTENT_TAG_PREFIX, STATE_TAG_PREFIX};
use sandbox::faults::{Calls, CrashPlan, Fault, Rule, StaleReads, When, WrongDates};
use sandbox::{Clock, Cloud, KeySpec, World};
use tokio_util::sync::CancellationToken;
use worker::Tally;
use worker::queue::Stop;

/// Seeds of an ordinary test run.
const SEEDS: u64 = 1_000;
/// Days under faults.
const STORMY: i64 = 3;
/// Days without any, in which everything has to come to rest.
const QUIET: i64 = 3;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn key(rng: &mut ChaCha8Rng) -> KeySpec {
    let spec = KeySpec::aged(*[1, 50, 89, 90, 99, 100, 120, 300].get(rng.random_range(0..8)).unwrap_or(&1));
    let spec = if rng.random_bool(0.7) { spec.used_days_ago(rng.random_range(0..5)) } else { spec };
    if rng.random_bool(0.15) { spec.inactive() } else { spec }
}

fn faults(world: &mut Cloud, rng: &mut ChaCha8Rng) {
    let any = [
        (Fault::Throttle, 0.05),
        (Fault::ServerError, 0.05),
        (Fault::DropBefore, 0.04),
        (Fault::LoseAnswer, 0.04),
        (Fault::GarbleAnswer, 0.02),
    ];
    // Storing and publishing: an earlier try that took effect behind a last one that was refused.
    if rng.random_bool(0.3) {
        for action in ["secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage"] {
            for fault in [Fault::LoseAnswer, Fault::Throttle] {
                let rate = rng.random_range(0.0..0.6);
                world.faults.add(Rule { calls: Calls::new(action), fault, rate, times: None });
            }
        }
    }
    for (fault, most) in any {
        let rate = rng.random_range(0.0..most);
        world.faults.add(Rule { calls: Calls::default(), fault, rate, times: None });
    }
    // The one call whose lost answer loses a secret.
    let create = Calls::new("iam:CreateAccessKey");
    world.faults.add(Rule { calls: create, fault: Fault::LoseAnswer, rate: rng.random_range(0.0..0.4), times: None });
    let rate = rng.random_range(0.0..0.5);
    world.faults.stale_reads = Some(StaleReads { seconds: 10, reads: Some(rng.random_range(1..6)), rate });
    world.faults.short_sessions =
        Some(sandbox::faults::ShortSessions { rate: rng.random_range(0.0..0.1), lasts_seconds: 0 });
    // One service's clock, or single answers, are wrong by up to a month either way.
    let service = ["iam:*", "sts:*", "sqs:*", "secretsmanager:*", "ses:*", "*"][rng.random_range(0..6)];
    let rate = if service == "*" { 0.01 } else { rng.random_range(0.0..1.0) };
    let off_by_seconds = rng.random_range(-30 * 86_400..30 * 86_400);
    world.faults.wrong_dates = Some(WrongDates { calls: Calls::new(service), off_by_seconds, rate, times: None });
    let knobs = &mut world.queues.knobs;
    knobs.seed = rng.random();
    knobs.duplicate = rng.random_range(0.0..0.3);
    knobs.forget_delete = rng.random_range(0.0..0.2);
    knobs.delay = rng.random_range(0.0..0.3);
    knobs.delay_up_to = 60;
    knobs.reorder_by = 3;
}

fn calm(world: &mut Cloud) {
    world.faults.revive_all();
    world.faults.rules.clear();
    world.faults.stale_reads = None;
    world.faults.short_sessions = None;
    world.faults.wrong_dates = None;
    world.faults.enabled = false;
    world.queues.knobs = Default::default();
}

async fn work(stage: &Stage, application: &str, died: Option<CancellationToken>) {
    let connection = stage.connection(application);
    let settings = stage.settings();
    let working = worker::run(&settings, &connection, Arc::new(Tally::default()), Stop::default());
    let died = async {
        match died {
            Some(died) => died.cancelled().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = died => {}
        // A worker that cannot even read its queue's attributes exits, and is started again.
        _ = working => {}
    }
}

async fn one(seed: u64) -> Result<u64, String> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let start: Timestamp = "2026-03-01T09:00:00Z".parse().expect("a valid time");
    let mut world = World::new(seed, Clock::frozen_at(start));
    world.add_account(ACCOUNT, "prod", OWNER);
    let users: Vec<String> = (0..3).map(|n| format!("user-{n}")).collect();
    let mut exempt = None;
    for user in &users {
        world.add_user(ACCOUNT, user);
        for _ in 0..rng.random_range(1..=2) {
            let spec = key(&mut rng);
            world.add_key(ACCOUNT, user, &spec);
        }
        if exempt.is_none() && rng.random_bool(0.1) {
            world.add_group_member(ACCOUNT, sandbox::generate::EXEMPTION_GROUP, user);
            exempt = Some(user.clone());
        }
    }
    let stage = Stage::with_world(world, rng.random_bool(0.3)).await;
    stage.world(|world| faults(world, &mut rng));
    for day in 0..STORMY + QUIET {
        if day == STORMY {
            stage.world(calm);
        }
        stage.world(|world| world.faults.enabled = false);
        // Two messages of one account, as by two runs.
        stage.schedule().await;
        stage.schedule().await;
        if rng.random_bool(0.2) && day < STORMY {
            let whom = rotation::job::Whom::User(users[0].parse().expect("a user name"));
            let disable_old_now = rng.random_bool(0.5);
            let force = rotation::job::ForceRotate { whom, disable_old_now, override_exemption: false };
            stage.send(&stage.job(Task::ForceRotate(force))).await;
        }
        stage.world(|world| world.faults.enabled = day < STORMY);
        for round in 0..4 {
            let mut working = Vec::new();
            for n in 0..2 {
                let application = format!("d{day}r{round}w{n}");
                let dies = day < STORMY && rng.random_bool(0.3);
                let died = dies.then(|| {
                    let calls = Calls { app: Some(application.clone()), ..Calls::default() };
                    let when = if rng.random_bool(0.5) { When::Before } else { When::After };
                    let at_call = rng.random_range(1..40);
                    stage.world(|world| world.faults.crash(CrashPlan { calls, at_call, when }))
                });
                let stage = &stage;
                working.push(async move { work(stage, &application, died).await });
            }
            futures::future::join_all(working).await;
            if stage.waiting() == 0 {
                break;
            }
            stage.pass(SignedDuration::from_mins(22));
        }
        stage.pass(SignedDuration::from_hours(24));
    }
    let mut broken = violations(&stage);
    broken.extend(at_rest(&stage));
    if broken.is_empty() {
        return Ok(stage.world(|world| world.journal.total()));
    }
    Err(format!("{}\n{}", broken.join("; "), story(&stage)))
}

/// Every call and every change. Two workers run side by side, so that a seed draws the same faults but not always the same
/// story: it is kept of the run that failed.
fn story(stage: &Stage) -> String {
    stage.world(|world| {
        let mut story = String::new();
        for call in world.journal.calls() {
            let (seq, at) = (call.seq, call.at);
            let _ = writeln!(story, "{seq} {at} {} {} {} {:?}", call.app, call.operation, call.subject, call.outcome);
            for record in world.journal.effects().iter().filter(|record| record.call == seq) {
                let _ = writeln!(story, "      {:?}", record.effect);
            }
        }
        story
    })
}

/// What must hold once everything has come to rest.
fn at_rest(stage: &Stage) -> Vec<String> {
    let waiting = stage.waiting();
    stage.world(|world| {
        let mut broken = Vec::new();
        if waiting > 0 {
            broken.push(format!("{waiting} messages are left"));
        }
        let account = world.account(ACCOUNT);
        for user in account.users.values() {
            let intents = user.holds.tags.keys().filter(|tag| tag.starts_with(INTENT_TAG_PREFIX)).count();
            if intents > 0 {
                broken.push(format!("{} has {intents} intents left", user.name));
            }
            let untold = user.holds.tags.iter().filter(|(tag, value)| {
                let key = tag.strip_prefix(STATE_TAG_PREFIX);
                key.is_some_and(|key| user.key(key).is_some())
                    && value.starts_with("disabled=")
                    && value.ends_with("told=no")
            });
            broken.extend(untold.map(|(tag, value)| format!("{} is left untold: {tag}={value}", user.name)));
        }
        broken
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whole_runs_under_all_faults_at_once_keep_every_promise() {
    let seeds = match setting("CHAOS_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..setting("CHAOS_SEEDS").unwrap_or(SEEDS),
    };
    let total = seeds.end - seeds.start;
    let results: Vec<(u64, Result<u64, String>)> = stream::iter(seeds)
        .map(|seed| async move { (seed, tokio::spawn(one(seed)).await.expect("no panic")) })
        .buffer_unordered(6)
        .collect()
        .await;
    let calls: u64 = results.iter().filter_map(|(_, result)| result.as_ref().ok()).sum();
    let failed: Vec<_> =
        results.iter().filter_map(|(seed, result)| result.as_ref().err().map(|why| (seed, why))).collect();
    println!("{total} seeds, {calls} AWS calls, {} failed", failed.len());
    for (seed, why) in failed.iter().take(20) {
        println!("seed {seed}: {}", why.lines().next().unwrap_or_default());
    }
    if let Some((_, why)) = failed.first() {
        println!("the first in full: {why}");
    }
    assert!(failed.is_empty(), "{} of {total} seeds failed; replay one with CHAOS_SEED={}", failed.len(), failed[0].0);
}
