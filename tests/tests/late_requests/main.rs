//! Operators' requests that come late, twice, copied or with a wrong clock, while people and other requests act.

mod leak_response;
mod restore;

use end_to_end::{Stage, USER};
use jiff::SignedDuration;
use rotation::job::{ForceRotate, Whom};
use rotation::{AccessKeyId, Job, Task};
use sandbox::KeySpec;

fn used(days: i64) -> KeySpec {
    KeySpec::aged(days).used_days_ago(1)
}

fn whom() -> Whom {
    Whom::User(USER.parse().expect("a user name"))
}

fn key_id(key: &str) -> AccessKeyId {
    AccessKeyId::new(key).expect("a key id")
}

fn leak(stage: &Stage, whom: Whom) -> Job {
    stage.job(Task::ForceRotate(ForceRotate { whom, disable_old_now: true, override_exemption: false }))
}

fn overriding(stage: &Stage) -> Job {
    stage.job(Task::ForceRotate(ForceRotate { whom: whom(), disable_old_now: true, override_exemption: true }))
}

fn restore(stage: &Stage) -> Job {
    stage.job(Task::Restore { user: USER.parse().expect("a user name"), access_key_id: None })
}

fn restore_of(stage: &Stage, key: &str) -> Job {
    stage.job(Task::Restore { user: USER.parse().expect("a user name"), access_key_id: Some(key_id(key)) })
}

/// Delivered once; its retries wait.
async fn deliver(stage: &Stage, job: &Job) {
    stage.send(job).await;
    stage.work().await;
}

/// The retries that wait are delivered.
async fn retry(stage: &Stage) {
    stage.pass(SignedDuration::from_mins(16));
    stage.work().await;
}

/// A request that deletes a key, or reports a leak of one that is inactive, goes on a minute after that is on record.
async fn after_announcing(stage: &Stage) {
    stage.pass(SignedDuration::from_mins(2));
    stage.work().await;
}

async fn only_refusal(stage: &Stage) -> String {
    let dead = stage.dead_letters().await;
    let [(reason, message, _)] = &dead[..] else { panic!("one dead letter, not {dead:?}") };
    assert_eq!(reason, "Refused", "{message}");
    message.clone()
}

fn is_active(stage: &Stage, key: &str) -> bool {
    stage.keys().contains(&(key.to_owned(), true))
}
