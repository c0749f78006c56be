//! Several messages about one account at once, with the real handler: scheduled twice, a leak reported twice, letters sent back
//! together; at any pace of AWS's answers. All is done once, nothing becomes a dead letter, and a collision costs seconds.

use std::collections::BTreeSet;
use std::time::Duration;

use end_to_end::violations::violations;
use end_to_end::{ACCOUNT, Stage};
use jiff::SignedDuration;
use key_rotation_aws::QueueUrl;
use producer::dead_letters::redrive::{self, RedriveOptions};
use rotation::job::{ForceRotate, Whom};
use rotation::{AccessKeyId, Task};
use sandbox::journal::Effect;
use sandbox::serve::REGION;
use sandbox::world::MANAGEMENT_ACCOUNT;
use sandbox::{KeySpec, KeyStatus};
use worker::Settings;
use worker::queue::Stop;

use crate::stage::letters;

/// How long each call takes.
const PACES_MS: [u64; 4] = [0, 5, 20, 50];
const DUE_USERS: usize = 8;
/// All that may pass beside the work itself: retries after collisions, not intents that have to become old.
const SECONDS_AT_MOST: i64 = 180;

fn due_users() -> Vec<String> {
    (0..DUE_USERS).map(|number| format!("user-{number}")).collect()
}

/// An account with eight due users.
async fn due_account(fifo: bool) -> Stage {
    let stage = Stage::with(fifo).await;
    for name in due_users() {
        stage.user_named(&name, &[KeySpec::aged(95).used_days_ago(1)]);
    }
    stage
}

fn set_pace(stage: &Stage, milliseconds: u64) {
    stage.world(|world| world.faults.latency = Duration::from_millis(milliseconds));
}

/// So many workers drain the queues, again when retries are due, until nothing is left; gives the seconds that had to pass.
async fn work_off(stage: &Stage, workers: usize, settings: &Settings) -> i64 {
    const ROUND: SignedDuration = SignedDuration::from_secs(15);
    let began = stage.now();
    for round in 0..100 {
        let work = (0..workers).map(|number| async move {
            let connection = stage.connection(&format!("worker-{round}-{number}"));
            worker::run(settings, &connection, Stop::default()).await.expect("it starts");
        });
        futures::future::join_all(work).await;
        if stage.waiting() == 0 && settings.urgent_queue.as_ref().is_none_or(|urgent| waiting_on(stage, urgent) == 0) {
            break;
        }
        stage.pass(ROUND);
    }
    stage.now().duration_since(began).as_secs()
}

fn waiting_on(stage: &Stage, queue: &QueueUrl) -> usize {
    stage.world(|world| world.queues.queue(MANAGEMENT_ACCOUNT, queue.name()).expect("the queue").len())
}

/// Every due user has one successor, live, told once; no dead letters.
fn all_rotated_once(stage: &Stage, what: &str) {
    rotated_once(stage, what, 1);
}

/// The same; each owner is told at least once, and so often at most.
fn rotated_once(stage: &Stage, what: &str, told_at_most: usize) {
    assert_eq!(stage.waiting(), 0, "{what}");
    assert!(letters(stage).is_empty(), "{what}: {:?}", letters(stage));
    assert_eq!(violations(stage), [] as [String; 0], "{what}");
    let made: Vec<String> = stage.world(|world| {
        let effects = world.journal.effects().iter();
        effects
            .filter_map(|record| match &record.effect {
                Effect::KeyCreated { user, .. } => Some(user.clone()),
                _ => None,
            })
            .collect()
    });
    let users: BTreeSet<&String> = made.iter().collect();
    assert_eq!((made.len(), users.len()), (DUE_USERS, DUE_USERS), "{what}: one successor each: {made:?}");
    for user in due_users() {
        let old = stage.keys_of(&user)[0].0.clone();
        let told = stage.mails().iter().filter(|(_, text)| text.contains(&old)).count();
        assert!((1..=told_at_most).contains(&told), "{what}: {user} is told {told} times");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_scheduled_twice_is_worked_on_once() {
    for pace in PACES_MS {
        for (fifo, workers) in [(true, 1), (true, 2), (false, 1)] {
            let stage = due_account(fifo).await;
            set_pace(&stage, pace);
            stage.schedule().await;
            stage.schedule().await;
            let seconds = work_off(&stage, workers, &stage.settings()).await;
            all_rotated_once(&stage, &format!("{pace} ms, fifo: {fifo}, {workers} workers"));
            assert_eq!(seconds, 0, "{pace} ms, fifo: {fifo}: nothing had to be tried again");
        }
    }
}

/// A standard queue knows no groups, so two workers may each have a message of the account.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_at_one_account_on_a_standard_queue_cost_each_other_seconds() {
    for pace in PACES_MS {
        let stage = due_account(false).await;
        set_pace(&stage, pace);
        stage.schedule().await;
        stage.schedule().await;
        let settings = stage.settings_for_one_message();
        let seconds = work_off(&stage, 2, &settings).await;
        // Each has looked at the user before the other's mail was accepted: mail is sent at least once.
        rotated_once(&stage, &format!("{pace} ms"), 2);
        assert!(seconds <= SECONDS_AT_MOST, "{pace} ms: {seconds} s");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_letters_of_one_account_that_are_sent_back_together_are_worked_on_once() {
    for pace in PACES_MS {
        for fifo in [true, false] {
            let stage = due_account(fifo).await;
            stage.world(|world| world.faults.deny(MANAGEMENT_ACCOUNT, "sts:AssumeRole", None));
            for _ in 0..3 {
                stage.schedule().await;
                stage.work().await;
            }
            assert_eq!(letters(&stage).len(), 3);
            stage.world(|world| world.faults.allow_all(MANAGEMENT_ACCOUNT));
            // One by one: filtered by account, so that no move task of SQS's own does it.
            let mut options = RedriveOptions::default();
            options.filter.accounts = vec![ACCOUNT.parse().expect("an account id")];
            let producer = stage.connection("producer");
            let sent = redrive::run(&producer, &stage.producer_settings(), &options).await.expect("they are sent back");
            assert_eq!(sent.redriven, 3);
            set_pace(&stage, pace);
            work_off(&stage, 1, &stage.settings()).await;
            all_rotated_once(&stage, &format!("{pace} ms, fifo: {fifo}"));
        }
    }
}

fn leak_response(key: &str) -> Task {
    let key = AccessKeyId::new(key).expect("a key id");
    Task::ForceRotate(ForceRotate { whom: Whom::Key(key), disable_old_now: true, override_exemption: false })
}

/// A second queue beside the work queue, with the same dead letters.
fn urgent_queue(stage: &Stage) -> QueueUrl {
    let (dead_letters, fifo) = (stage.dead_letters.name(), stage.queue.is_fifo());
    let redrive = format!(
        r#"{{"deadLetterTargetArn":"arn:aws:sqs:{REGION}:{MANAGEMENT_ACCOUNT}:{dead_letters}","maxReceiveCount":5}}"#
    );
    let mut attributes = vec![("RedrivePolicy", redrive.as_str())];
    attributes.extend(fifo.then_some(("FifoQueue", "true")));
    let name = if fifo { "urgent.fifo" } else { "urgent" };
    let url = stage.world(|world| {
        let now = world.now();
        world.queues.create_queue(now, REGION, MANAGEMENT_ACCOUNT, name, &attributes)
    });
    url.expect("a new queue").parse().expect("a queue's URL")
}

fn contained_and_replaced(stage: &Stage, user: &str, leaked: &str, what: &str) {
    let keys = stage.keys_of(user);
    let active: Vec<&String> = keys.iter().filter(|(_, active)| *active).map(|(id, _)| id).collect();
    assert!(!active.contains(&&leaked.to_owned()), "{what}: the leaked key is active");
    assert_eq!(active.len(), 1, "{what}: one successor: {keys:?}");
    assert_eq!(violations(stage), [] as [String; 0], "{what}");
    // Whoever comes second is told that it is done already.
    for letter in letters(stage) {
        let why = letter.attributes["ErrorMessage"].string_value.as_deref().unwrap_or_default();
        assert!(why.contains("is inactive already"), "{what}: {why}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leak_that_is_reported_twice_is_contained_and_replaced_once() {
    for pace in PACES_MS {
        for (fifo, workers) in [(true, 1), (true, 2), (false, 1), (false, 2)] {
            let what = format!("{pace} ms, fifo: {fifo}, {workers} workers");
            let stage = Stage::with(fifo).await;
            let leaked = stage.user(&[KeySpec::aged(20).used_days_ago(0)]).remove(0);
            set_pace(&stage, pace);
            for _ in 0..2 {
                stage.send(&stage.job(leak_response(&leaked))).await;
            }
            let settings = if workers == 2 { stage.settings_for_one_message() } else { stage.settings() };
            let seconds = work_off(&stage, workers, &settings).await;
            contained_and_replaced(&stage, end_to_end::USER, &leaked, &what);
            let successors = stage.world(|world| {
                let created = |effect: &Effect| matches!(effect, Effect::KeyCreated { .. });
                world.journal.effects().iter().filter(|record| created(&record.effect)).count()
            });
            assert_eq!(successors, 1, "{what}");
            assert!(seconds <= SECONDS_AT_MOST, "{what}: {seconds} s");
        }
    }
}

/// A leak response on the urgent queue, while the same worker is at the account's scheduled messages.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leak_response_beside_scheduled_work_on_the_account_is_carried_out_within_seconds() {
    for pace in PACES_MS {
        for fifo in [true, false] {
            let what = format!("{pace} ms, fifo: {fifo}");
            let stage = due_account(fifo).await;
            let urgent = urgent_queue(&stage);
            let leaked = stage.keys_of("user-3")[0].0.clone();
            set_pace(&stage, pace);
            stage.schedule().await;
            stage.schedule().await;
            let settings = Settings { urgent_queue: Some(urgent.clone()), ..stage.settings() };
            let job = stage.job(leak_response(&leaked));
            let body = job.to_body();
            let (group, id) = (urgent.group_id(&job), urgent.deduplication_id(&body));
            let sqs = stage.connection("producer").sqs();
            let send = sqs.send_message().queue_url(urgent.as_str()).message_body(&body);
            let send = send.set_message_group_id(group).set_message_deduplication_id(id);
            send.send().await.expect("it is taken");
            let seconds = work_off(&stage, 1, &settings).await;
            assert_eq!(waiting_on(&stage, &urgent), 0, "{what}");
            contained_and_replaced(&stage, "user-3", &leaked, &what);
            for user in due_users() {
                let active = stage.world(|world| {
                    let keys = &world.user(ACCOUNT, &user).holds.keys;
                    keys.iter().filter(|key| key.status == KeyStatus::Active).count()
                });
                assert_eq!(active, if user == "user-3" { 1 } else { 2 }, "{what}: {user}");
            }
            assert!(seconds <= SECONDS_AT_MOST, "{what}: {seconds} s");
        }
    }
}
