//! The random proof: whole lives of keys under all faults at once (throttling, server errors, lost calls and lost answers, stale
//! reads, sessions that end early, wrong dates, mail that is refused or would not be delivered, tags that cannot be written,
//! duplicate, late and reordered deliveries, workers that die), from a seed. Simulated time.
//!
//! `CHAOS_SEEDS=20000 cargo test --release --workspace --test chaos` runs more of them, `CHAOS_SEED=17` replays one. A failing
//! seed is printed.

use std::fmt::Write;

use end_to_end::promises::{Requested, broken_promises, unfinished_leaks};
use end_to_end::secrets::{reads, user};
use end_to_end::violations::violations_besides;
use end_to_end::{ACCOUNT, OWNER, Stage};
use futures::stream::{self, StreamExt};
use jiff::{SignedDuration, Timestamp};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rotation::job::{ForceRotate, Whom};
use rotation::names::{DELETE_TAG_PREFIX, INTENT_TAG_PREFIX, STATE_TAG_PREFIX, secret_name, version_id};
use rotation::{AccessKeyId, Task, UserName};
use sandbox::faults::{Calls, CrashPlan, Fault, Rule, StaleReads, When, WrongDates};
use sandbox::journal::Effect;
use sandbox::serve::REGION;
use sandbox::services::ses::RefuseAs;
use sandbox::world::MANAGEMENT_ACCOUNT;
use sandbox::{Clock, Cloud, KeySpec, KeyStatus, World};
use tokio_util::sync::CancellationToken;
use worker::Settings;
use worker::queue::Stop;

/// Seeds of an ordinary test run.
const SEEDS: u64 = 60;
/// Runs under faults.
const STORMY: usize = 3;
/// Days after each of those: the schedule is daily, and does not run now and then.
const GAPS: [i64; 4] = [1, 1, 4, 11];
/// Days after each run without faults, in which everything has to come to rest: what is told in the first of them is disabled in the
/// second, and deleted in the third.
const QUIET: [i64; 3] = [11, 11, 1];

const USERS: [&str; 3] = ["user-0", "user-1", "user-2"];

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn key(rng: &mut ChaCha8Rng) -> KeySpec {
    let spec = KeySpec::aged(*[1, 50, 89, 90, 99, 100, 120, 300].get(rng.random_range(0..8)).unwrap_or(&1));
    let spec = if rng.random_bool(0.7) { spec.used_days_ago(rng.random_range(0..5)) } else { spec };
    if rng.random_bool(0.15) { spec.inactive() } else { spec }
}

fn faults(cloud: &mut Cloud, rng: &mut ChaCha8Rng) {
    let any = [
        (Fault::Throttle, 0.05),
        (Fault::ServerError, 0.05),
        (Fault::DropBefore, 0.04),
        (Fault::LoseAnswer, 0.04),
        (Fault::GarbleAnswer, 0.02),
        (Fault::ProxyAnswer, 0.02),
        (Fault::LoseMarker, 0.02),
    ];
    // Storing and publishing: an earlier try that took effect behind a last one that was refused.
    if rng.random_bool(0.3) {
        for action in ["secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage"] {
            for fault in [Fault::LoseAnswer, Fault::Throttle] {
                let rate = rng.random_range(0.0..0.6);
                cloud.faults.add(Rule { calls: Calls::new(action), fault, rate, times: None });
            }
        }
    }
    for (fault, most) in any {
        let rate = rng.random_range(0.0..most);
        cloud.faults.add(Rule { calls: Calls::default(), fault, rate, times: None });
    }
    // The one call whose lost answer loses a secret.
    let create = Calls::new("iam:CreateAccessKey");
    cloud.faults.add(Rule { calls: create, fault: Fault::LoseAnswer, rate: rng.random_range(0.0..0.4), times: None });
    let rate = rng.random_range(0.0..0.5);
    cloud.faults.stale_reads =
        Some(StaleReads { seconds: 10, reads: Some(rng.random_range(1..6)), rate, operation: None });
    cloud.faults.short_sessions =
        Some(sandbox::faults::ShortSessions { rate: rng.random_range(0.0..0.1), lasts_seconds: 0 });
    let knobs = &mut cloud.queues.knobs;
    knobs.seed = rng.random();
    knobs.duplicate = rng.random_range(0.0..0.3);
    knobs.forget_delete = rng.random_range(0.0..0.2);
    knobs.delay = rng.random_range(0.0..0.3);
    knobs.delay_up_to = 60;
    knobs.reorder_by = 3;
}

/// What SES does in one run, whether users can be tagged, and whose clock is wrong.
fn faults_of_a_run(cloud: &mut Cloud, rng: &mut ChaCha8Rng) {
    const REFUSALS: [RefuseAs; 5] = [
        RefuseAs::MessageRejected,
        RefuseAs::SendingPaused,
        RefuseAs::AccountSuspended,
        RefuseAs::TooManyRequests,
        RefuseAs::ServerError,
    ];
    let now = cloud.now();
    mail_works(cloud);
    cloud.mail.knobs.refuse_all = rng.random_bool(0.2).then(|| REFUSALS[rng.random_range(0..REFUSALS.len())]);
    if rng.random_bool(0.1) {
        cloud.mail.knobs.malformed.push(OWNER.to_owned());
    }
    if rng.random_bool(0.15) {
        cloud.mail.suppress(now, MANAGEMENT_ACCOUNT, REGION, OWNER);
    }
    if rng.random_bool(0.1) {
        cloud.faults.deny(ACCOUNT, "iam:TagUser", None);
    }
    // One service's clock, or one answer, is wrong by up to a month either way.
    let service = ["iam:*", "sts:*", "sqs:*", "secretsmanager:*", "ses:*", "*"][rng.random_range(0..6)];
    let (rate, times) = if service == "*" { (0.02, Some(1)) } else { (rng.random_range(0.0..1.0), None) };
    let off_by_seconds = rng.random_range(-30 * 86_400..30 * 86_400);
    cloud.faults.wrong_dates = Some(WrongDates { calls: Calls::new(service), off_by_seconds, rate, times });
}

fn mail_works(cloud: &mut Cloud) {
    cloud.mail.knobs.refuse_all = None;
    cloud.mail.knobs.malformed.clear();
    cloud.mail.unsuppress(MANAGEMENT_ACCOUNT, REGION, OWNER);
    cloud.faults.allow_all(ACCOUNT);
}

fn calm(cloud: &mut Cloud) {
    mail_works(cloud);
    cloud.faults.revive_all();
    cloud.faults.rules.clear();
    cloud.faults.stale_reads = None;
    cloud.faults.short_sessions = None;
    cloud.faults.wrong_dates = None;
    cloud.faults.enabled = false;
    cloud.queues.knobs = Default::default();
}

async fn work(stage: &Stage, settings: &Settings, application: &str, died: Option<CancellationToken>) {
    let connection = stage.connection(application);
    let working = worker::run(settings, &connection, Stop::default());
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

/// An organization with three users, one of whom may be exempt.
fn organization(seed: u64, rng: &mut ChaCha8Rng) -> World {
    let start: Timestamp = "2026-03-01T09:00:00Z".parse().expect("a valid time");
    let mut world = World::new(seed, Clock::frozen_at(start));
    world.add_account(ACCOUNT, "prod", OWNER);
    let mut any_exempt = false;
    for user in USERS {
        world.add_user(ACCOUNT, user);
        for _ in 0..rng.random_range(1..=2) {
            let spec = key(rng);
            world.add_key(ACCOUNT, user, &spec);
        }
        if !any_exempt && rng.random_bool(0.1) {
            world.add_group_member(ACCOUNT, sandbox::generate::EXEMPTION_GROUP, user);
            any_exempt = true;
        }
    }
    world
}

/// What an operator may ask for in a run.
async fn ask(stage: &Stage, rng: &mut ChaCha8Rng, requested: &mut Requested) {
    let user = |name: &str| name.parse::<UserName>().expect("a user name");
    // Both may be about the same user, and meet.
    let whom = || [USERS[0], USERS[0], USERS[1]];
    if rng.random_bool(0.3) {
        let name = whom()[rng.random_range(0..3)];
        let disable_old_now = rng.random_bool(0.5);
        let whom = match any_key(stage, name, rng) {
            Some(key) if rng.random_bool(0.5) => Whom::Key(key),
            Some(key) => Whom::UserAndKey(user(name), key),
            None => Whom::User(user(name)),
        };
        let force = ForceRotate { whom, disable_old_now, override_exemption: false };
        let job = stage.job(Task::ForceRotate(force));
        stage.send(&job).await;
        requested.rotated.insert(name.to_owned());
        if disable_old_now {
            requested.contained.insert(name.to_owned());
            requested.leaks.push((job.run_id.expect("an id"), name.to_owned()));
        }
    }
    if rng.random_bool(0.3) {
        let name = whom()[rng.random_range(0..3)];
        let access_key_id = any_key(stage, name, rng);
        stage.send(&stage.job(Task::Restore { user: user(name), access_key_id })).await;
    }
}

/// One of a user's keys, half of the time.
fn any_key(stage: &Stage, user: &str, rng: &mut ChaCha8Rng) -> Option<AccessKeyId> {
    let keys = stage.keys_of(user);
    let which = rng.random_range(0..4);
    keys.get(which).map(|(key, _)| key.parse().expect("a key id"))
}

/// An operator sends back what has failed.
async fn redrive(stage: &Stage) {
    let arn = |queue: &str| format!("arn:aws:sqs:{REGION}:{MANAGEMENT_ACCOUNT}:{queue}");
    let (from, to) = (arn(stage.dead_letters.name()), arn(stage.queue.name()));
    let sqs = stage.connection("operator");
    let back = sqs.sqs().start_message_move_task().source_arn(from).destination_arn(to);
    back.send().await.expect("the letters are moved back");
}

async fn one(seed: u64) -> Result<u64, String> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let stage = Stage::with_world(organization(seed, &mut rng), rng.random_bool(0.3)).await;
    let settings = if rng.random_bool(0.3) { stage.central_settings() } else { stage.settings() };
    stage.world(|world| faults(world, &mut rng));
    let mut requested = Requested::default();
    let gaps: Vec<i64> = (0..STORMY).map(|_| GAPS[rng.random_range(0..GAPS.len())]).chain(QUIET).collect();
    for (run, gap) in gaps.into_iter().enumerate() {
        let is_stormy = run < STORMY;
        stage.world(|world| if is_stormy { faults_of_a_run(world, &mut rng) } else { calm(world) });
        for user in USERS {
            if rng.random_bool(0.3) {
                install(&stage, user);
            }
        }
        stage.world(|world| world.faults.enabled = false);
        // Two messages of one account, as by two runs.
        stage.schedule().await;
        stage.schedule().await;
        // What has failed under faults is sent back at the latest when there are none.
        if run == STORMY || rng.random_bool(0.5) {
            redrive(&stage).await;
        }
        if is_stormy {
            ask(&stage, &mut rng, &mut requested).await;
        }
        stage.world(|world| world.faults.enabled = is_stormy);
        deliver(&stage, &settings, run, &mut rng).await;
        requested.after_work(&stage);
        stage.pass(SignedDuration::from_hours(24 * gap));
        requested.after_time(&stage);
    }
    let mut broken = violations_besides(&stage, &requested.left_contained());
    broken.extend(broken_promises(&stage, &requested));
    broken.extend(unfinished_leaks(&stage, &requested));
    broken.extend(at_rest(&stage));
    broken.extend(unreadable(&stage, &settings).await);
    if broken.is_empty() {
        return Ok(stage.world(|world| world.journal.total()));
    }
    Err(format!("{}\n{}", broken.join("; "), story(&stage)))
}

/// Two workers at a time, some of whom die, until the queue is empty or a few visibility timeouts have passed.
async fn deliver(stage: &Stage, settings: &Settings, run: usize, rng: &mut ChaCha8Rng) {
    // What has announced a deletion comes back after a minute, and what others were at work on when their sessions are over.
    for (round, minutes) in [2, 22, 2, 22, 22].into_iter().enumerate() {
        let mut working = Vec::new();
        for n in 0..2 {
            let application = format!("d{run}r{round}w{n}");
            let dies = run < STORMY && rng.random_bool(0.3);
            let died = dies.then(|| {
                let calls = Calls { app: Some(application.clone()), ..Calls::default() };
                let when = if rng.random_bool(0.5) { When::Before } else { When::After };
                let at_call = rng.random_range(1..40);
                stage.world(|world| world.faults.crash(CrashPlan { calls, at_call, when }))
            });
            working.push(async move { work(stage, settings, &application, died).await });
        }
        futures::future::join_all(working).await;
        if stage.waiting() == 0 {
            break;
        }
        stage.pass(SignedDuration::from_mins(minutes));
    }
}

/// The user's published key is used.
fn install(stage: &Stage, user: &str) {
    for (key, active) in stage.keys_of(user) {
        let version = version_id(&key.parse().expect("a key id"));
        stage.world(|world| {
            if active && world.secrets.all().any(|(_, secret)| secret.holder("AWSCURRENT") == Some(version.as_str())) {
                world.use_key(&key, "s3", REGION);
            }
        });
    }
}

/// Users that cannot read the last key that was made for them, each with a key of its own.
async fn unreadable(stage: &Stage, settings: &Settings) -> Vec<String> {
    let account = ACCOUNT.parse().expect("an account id");
    let store = if settings.central_store { MANAGEMENT_ACCOUNT } else { ACCOUNT };
    let mut broken = Vec::new();
    for name in USERS {
        let name_of_secret = secret_name(&account, &name.parse().expect("a user name"));
        let found = stage.world(|world| {
            let keys = &world.user(ACCOUNT, name).holds.keys;
            let is_made = |key: &str| {
                let makes = |effect: &Effect| matches!(effect, Effect::KeyCreated { key: made, .. } if made == key);
                world.journal.effects().iter().any(|record| makes(&record.effect))
            };
            let made = keys.iter().filter(|key| key.status == KeyStatus::Active && is_made(&key.id));
            let made = made.max_by_key(|key| key.created)?.id.clone();
            let arn = world.secrets.secret(store, REGION, &name_of_secret).map(|secret| secret.arn.clone());
            Some((made, arn.unwrap_or_default()))
        });
        let Some((made, arn)) = found else { continue };
        let read = reads(&user(stage, &made), &arn).await;
        if read.as_ref() != Ok(&made) {
            broken.push(format!("{name} cannot read {made}: {read:?}"));
        }
    }
    broken
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
            // What was only announced may have been overtaken: of two due keys the other one goes, a request became a dead letter.
            let untold = user.holds.tags.iter().filter(|(tag, value)| {
                let key = tag.strip_prefix(STATE_TAG_PREFIX);
                let is_there = key.is_some_and(|key| user.key(key).is_some());
                let has_happened = value.starts_with("disabled=") || value.starts_with("restored=");
                let is_gone = tag.strip_prefix(DELETE_TAG_PREFIX).is_some_and(|key| user.key(key).is_none());
                is_there && has_happened && value.ends_with("told=no") || is_gone
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
