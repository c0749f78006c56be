//! The urgent queue: how long an operator's request waits behind a full queue of scheduled work, with `URGENT_QUEUE_URL` and
//! without. Run with `--nocapture`, it prints the figures of docs/scaling.md.

use std::time::{Duration, Instant};

use end_to_end::Stage;
use key_rotation_aws::QueueUrl;
use producer::force_rotate::{self, ForceRotateOptions};
use producer::organization::Scope;
use producer::request::WaitOptions;
use producer::schedule::{self, ScheduleOptions};
use rotation::{AccountId, UserName};
use sandbox::serve::REGION;
use sandbox::world::MANAGEMENT_ACCOUNT;
use sandbox::{Clock, KeySpec, World};
use worker::queue::Stop;

const ACCOUNTS: usize = 5_000;
/// What every call takes.
const LATENCY: Duration = Duration::from_millis(30);
/// Where the request is sent: work is in full swing.
const WORKED_OFF_BEFORE: usize = 100;

/// How a request fared.
struct Figures {
    /// From sending it to its message's end.
    took: Duration,
    /// Scheduled messages that were worked off meanwhile.
    overtaken_by: usize,
}

fn account(n: usize) -> String {
    format!("{:012}", 300_000_000_000 + n)
}

/// 5,000 accounts of two users, nobody's key due; every account scheduled.
async fn a_full_queue() -> Stage {
    let mut world = World::new(1, Clock::running_from("2026-03-01T09:00:00Z".parse().expect("an instant")));
    world.journal.keep_calls(0);
    for n in 0..ACCOUNTS {
        let id = account(n);
        world.add_account(&id, "an account", "owner@example.org");
        for user in ["ada", "grace"] {
            world.add_user(&id, user);
            world.add_key(&id, user, &KeySpec::aged(30).used_days_ago(1));
        }
    }
    let stage = Stage::with_world(world, true).await;
    let scope = Scope { excluded: vec![management()], ..Scope::default() };
    let options = ScheduleOptions { scope, ..ScheduleOptions::default() };
    schedule::run(&stage.connection("producer"), &stage.producer_settings(), &options).await.expect("a schedule");
    assert_eq!(stage.waiting(), ACCOUNTS);
    stage.world(|world| world.faults.latency = LATENCY);
    stage
}

fn management() -> AccountId {
    AccountId::new(MANAGEMENT_ACCOUNT).expect("an account id")
}

/// A second queue beside the work queue, with the same dead letters.
fn urgent_queue(stage: &Stage) -> QueueUrl {
    let dead_letters = stage.dead_letters.name();
    let redrive = format!(
        r#"{{"deadLetterTargetArn":"arn:aws:sqs:{REGION}:{MANAGEMENT_ACCOUNT}:{dead_letters}","maxReceiveCount":5}}"#
    );
    let url = stage.world(|world| {
        let attributes = [("FifoQueue", "true"), ("RedrivePolicy", redrive.as_str())];
        let now = world.now();
        world.queues.create_queue(now, REGION, MANAGEMENT_ACCOUNT, "urgent.fifo", &attributes)
    });
    url.expect("a new queue").parse().expect("a queue's URL")
}

/// Sends a forced rotation while one worker is at the scheduled messages, and sees it to its end.
async fn force_while_busy(stage: &Stage, urgent: Option<QueueUrl>) -> Figures {
    let settings = worker::Settings { drain: false, urgent_queue: urgent.clone(), ..stage.settings() };
    let producer_settings = producer::Settings { urgent_queue: urgent, ..stage.producer_settings() };
    let (connection, worker_connection) = (stage.connection("producer"), stage.connection("worker"));
    let stop = Stop::default();
    // The last account scheduled: its group has no message in work.
    let of_last = account(ACCOUNTS - 1);
    let options = ForceRotateOptions {
        account: Some(AccountId::new(of_last.clone()).expect("an account id")),
        user: Some(UserName::new("ada").expect("a user name")),
        access_key_id: None,
        disable_old_now: true,
        override_exemption: false,
        dry_run: false,
        wait: WaitOptions { wait: false, wait_timeout: 0, counts_lag_seconds: 0 },
    };
    let is_done = || {
        stage.world(|world| {
            let user = world.user(&of_last, "ada");
            let settled = user.holds.tags.keys().all(|tag| !tag.contains("intent"));
            let told = world.mail.outbox().iter().any(|mail| mail.subject.contains(&of_last));
            user.holds.keys.len() == 2 && settled && told
        })
    };
    let operator = async {
        while stage.waiting() > ACCOUNTS - WORKED_OFF_BEFORE {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        force_rotate::run(&connection, &producer_settings, &options).await.expect("the request is sent");
        let (sent, before) = (Instant::now(), stage.waiting());
        while !is_done() {
            assert!(stage.waiting() > 0, "all else is done, and the request is not");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let figures = Figures { took: sent.elapsed(), overtaken_by: before - stage.waiting() };
        stop.ask();
        figures
    };
    let worker = async { worker::run(&settings, &worker_connection, stop.clone()).await.expect("the worker starts") };
    let (_, figures) = tokio::join!(worker, operator);
    figures
}

fn print(how: &str, figures: &Figures) {
    let Figures { took, overtaken_by } = figures;
    let share = 100.0 * *overtaken_by as f64 / ACCOUNTS as f64;
    println!("{how}: done after {:.1} s, {overtaken_by} of {ACCOUNTS} before it ({share:.1} %)", took.as_secs_f64());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forced_rotation_is_done_before_5_percent_of_5000_scheduled_messages() {
    let stage = a_full_queue().await;
    let urgent = urgent_queue(&stage);
    let figures = force_while_busy(&stage, Some(urgent)).await;
    print("with the urgent queue", &figures);
    assert!(figures.overtaken_by < ACCOUNTS / 20, "{} messages were worked off before it", figures.overtaken_by);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a figure to compare with, of a minute or more: it waits for nearly all of 5,000 messages"]
async fn without_the_urgent_queue_it_waits_for_most_of_them() {
    let stage = a_full_queue().await;
    let figures = force_while_busy(&stage, None).await;
    print("without", &figures);
    assert!(figures.overtaken_by > ACCOUNTS / 2, "{} messages were worked off before it", figures.overtaken_by);
}
