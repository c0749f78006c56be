//! What the protocol's model found, end to end: attempts that meet a person's doings, or each other's, in the middle.

use std::sync::Arc;
use std::time::{Duration, Instant};

use end_to_end::scenario::{leave_intent, leave_pending, leave_settling_intent, publish, remember};
use end_to_end::violations::violations;
use end_to_end::{ACCOUNT, Stage, USER};
use jiff::SignedDuration;
use rotation::{Period, Policy, UnusedKeys};
use sandbox::KeySpec;
use sandbox::faults::{Calls, Fault, Hold, HoldPlan, Rule, StaleReads, When};
use tokio_util::sync::CancellationToken;
use worker::{Settings, Tally};

/// A key that is due.
fn due() -> KeySpec {
    KeySpec::aged(95).used_days_ago(1)
}

/// A key that an attempt made half an hour ago, so that its intent is old.
fn made_half_an_hour_ago() -> KeySpec {
    KeySpec { age: SignedDuration::from_mins(30), ..KeySpec::aged(0) }
}

fn intents(stage: &Stage) -> usize {
    stage.world(|world| {
        let tags = &world.user(ACCOUNT, USER).holds.tags;
        tags.keys().filter(|tag| tag.starts_with("key-rotation:intent:")).count()
    })
}

/// Waits for a call to be held up. A test that waits in vain fails, and does not hang.
async fn reached(held: &Hold) {
    let patience = Duration::from_secs(60);
    tokio::time::timeout(patience, held.reached()).await.expect("the call is made");
}

fn hold(stage: &Stage, application: &str, action: &str, when: When) -> Hold {
    let calls = Calls { app: Some(application.to_owned()), ..Calls::of(action) };
    stage.world(|world| world.faults.hold(HoldPlan { calls, at_call: 1, when }))
}

/// A worker beside the test, which goes on meanwhile.
fn at_work(stage: &Stage, application: &str, settings: Settings) -> tokio::task::JoinHandle<()> {
    let connection = stage.connection(application);
    tokio::spawn(async move {
        let tally = Arc::new(Tally::default());
        worker::run(&settings, &connection, tally, CancellationToken::new()).await.expect("the worker starts");
    })
}

#[tokio::test]
async fn a_published_key_that_a_person_has_made_inactive_since_is_settled() {
    let stage = Stage::new().await;
    let keys = stage.user(&[due(), made_half_an_hour_ago().inactive()]);
    publish(&stage, &keys[1]);
    leave_intent(&stage, &keys[0], 30);
    stage.run().await;
    assert_eq!(stage.waiting(), 0, "the message is done");
    assert_eq!(intents(&stage), 0, "or the user would stand still for ever");
    assert_eq!(stage.keys(), [(keys[0].clone(), true), (keys[1].clone(), false)], "nobody's key was touched");
}

#[tokio::test]
async fn a_key_made_by_hand_while_an_attempt_only_settled_is_nobodys_orphan() {
    let stage = Stage::new().await;
    let keys = stage.user(&[due(), made_half_an_hour_ago()]);
    leave_settling_intent(&stage, 30);
    stage.run().await;
    assert_eq!(stage.keys(), [(keys[0].clone(), true), (keys[1].clone(), true)], "it was never used, and stays");
    assert_eq!((intents(&stage), stage.waiting()), (0, 0));
}

#[tokio::test]
async fn a_key_without_a_version_that_has_been_used_is_a_persons_and_stays() {
    let stage = Stage::new().await;
    let used = KeySpec { last_used_ago: Some(SignedDuration::from_mins(5)), ..made_half_an_hour_ago() };
    let keys = stage.user(&[due(), used]);
    leave_intent(&stage, &keys[0], 30);
    stage.run().await;
    assert_eq!(stage.keys(), [(keys[0].clone(), true), (keys[1].clone(), true)]);
    assert_eq!((intents(&stage), stage.waiting()), (0, 0), "and nothing is left to settle");
}

#[tokio::test]
async fn a_key_without_a_version_whose_use_cannot_be_read_stays_until_it_can() {
    let stage = Stage::new().await;
    let keys = stage.user(&[due(), made_half_an_hour_ago()]);
    leave_intent(&stage, &keys[0], 30);
    stage.world(|world| world.faults.deny(ACCOUNT, "iam:GetAccessKeyLastUsed", None));
    stage.run().await;
    assert_eq!(stage.keys(), [(keys[0].clone(), true), (keys[1].clone(), true)], "unknown is not \"no\"");
    assert_eq!(stage.waiting(), 1, "the message comes again");
    stage.world(|world| world.faults.allow_all(ACCOUNT));
    stage.pass(SignedDuration::from_mins(30));
    stage.work().await;
    assert!(!stage.keys().contains(&(keys[1].clone(), true)), "never used, no version: nobody has its secret");
    assert_eq!((intents(&stage), stage.waiting()), (0, 0));
}

#[tokio::test]
async fn a_pending_key_that_came_too_late_is_not_published_over_another_attempts_live_one() {
    let stage = Stage::new().await;
    let keys = stage.user(&[due(), made_half_an_hour_ago(), made_half_an_hour_ago()]);
    let (first, late) = (&keys[1], &keys[2]);
    publish(&stage, first);
    leave_pending(&stage, late);
    leave_intent(&stage, &keys[0], 31);
    leave_intent(&stage, &keys[0], 30);
    stage.run().await;
    assert_eq!(stage.published_key().as_ref(), Some(first));
    assert_eq!(stage.keys(), [(keys[0].clone(), true), (first.clone(), true)], "the late one goes");
    assert_eq!(intents(&stage), 0);
}

#[tokio::test]
async fn another_attempts_first_version_is_not_published_over_while_its_key_is_live() {
    let stage = Stage::new().await;
    let old = stage.user(&[due()]).remove(0);
    stage.schedule().await;
    let held = hold(&stage, "worker", "secretsmanager:PutSecretValue", When::Before);
    let work = at_work(&stage, "worker", stage.settings());
    reached(&held).await;
    let faster = stage.world(|world| world.add_key(ACCOUNT, USER, &KeySpec::aged(0)));
    publish(&stage, &faster);
    held.release();
    work.await.expect("the worker ends");
    assert_eq!(stage.published_key(), Some(faster.clone()));
    assert_eq!(stage.keys(), [(old, true), (faster, true)], "the slower attempt's key is gone again");
    assert_eq!(violations(&stage), [] as [String; 0]);
}

#[tokio::test]
async fn another_attempts_later_version_is_not_published_over_either() {
    let stage = Stage::new().await;
    let old = stage.user(&[due()]).remove(0);
    publish(&stage, &old);
    stage.schedule().await;
    let held = hold(&stage, "worker", "secretsmanager:PutSecretValue", When::Before);
    let work = at_work(&stage, "worker", stage.settings());
    reached(&held).await;
    let faster = stage.world(|world| world.add_key(ACCOUNT, USER, &KeySpec::aged(0)));
    publish(&stage, &faster);
    held.release();
    work.await.expect("the worker ends");
    assert_eq!(stage.published_key(), Some(faster.clone()), "the swap expected the version that was there at first");
    assert_eq!(stage.keys(), [(old, true), (faster, true)], "the slower attempt's key is gone again");
    assert_eq!(violations(&stage), [] as [String; 0]);
}

#[tokio::test]
async fn while_another_attempt_may_be_under_way_nothing_is_made_or_cleared() {
    let stage = Stage::new().await;
    let old = stage.user(&[due()]).remove(0);
    leave_intent(&stage, &old, 19);
    stage.run().await;
    assert_eq!(stage.keys(), [(old.clone(), true)]);
    assert_eq!((intents(&stage), stage.waiting()), (1, 1), "the other's intent stands, and the message comes again");
    stage.pass(SignedDuration::from_mins(30));
    stage.work().await;
    assert_eq!(stage.keys().len(), 2, "when the intent is old it is settled, and the key gets its successor");
    assert_eq!((intents(&stage), stage.waiting()), (0, 0));
}

#[tokio::test]
async fn a_notice_dates_from_the_first_mail_that_was_accepted_and_not_from_its_record() {
    let stage = Stage::new().await;
    let old = stage.user(&[due()]).remove(0);
    stage.world(|world| world.tag_user(ACCOUNT, USER, "owner", "leader@example.org"));
    stage.schedule().await;
    let told = stage.now();
    let held = hold(&stage, "worker", "ses:SendEmail", When::After);
    let settings = Settings { owner_tag: Some("owner".to_owned()), ..stage.settings() };
    let work = at_work(&stage, "worker", settings);
    reached(&held).await;
    stage.pass(SignedDuration::from_mins(5));
    held.release();
    work.await.expect("the worker ends");
    assert_eq!(stage.mails().len(), 2, "the account and the owner");
    let date = told.strftime("%Y-%m-%dT%H:%M:%SZ");
    assert_eq!(stage.state_of(&old), Some(format!("notified={date}")));
}

#[tokio::test]
async fn a_key_that_another_attempt_has_just_made_is_not_taken_for_a_persons_successor() {
    let stage = Stage::with(false).await;
    let old = stage.user(&[due()]).remove(0);
    // One worker has looked at everything but the answer with the user's tags, when another makes its key.
    stage.schedule().await;
    let looking = hold(&stage, "slow", "iam:ListUserTags", When::After);
    let mut one_message = stage.settings();
    one_message.limits.max_concurrent = 1;
    let slow = at_work(&stage, "slow", one_message);
    reached(&looking).await;
    stage.schedule().await;
    let making = hold(&stage, "fast", "secretsmanager:PutSecretValue", When::Before);
    let fast = at_work(&stage, "fast", stage.settings());
    reached(&making).await;
    looking.release();
    slow.await.expect("the slow worker ends");
    assert_eq!(stage.state_of(&old), None, "nobody is told of a successor that is not stored yet");
    assert_eq!(stage.mails().len(), 0);
    making.release();
    fast.await.expect("the fast worker ends");
    assert_eq!(violations(&stage), [] as [String; 0]);
    assert!(stage.state_of(&old).is_some_and(|state| state.starts_with("notified=")));
}

#[tokio::test]
async fn a_key_that_another_worker_has_just_disabled_is_not_taken_for_a_re_enabled_one() {
    let stage = Stage::with(false).await;
    let keys = stage.user(&[KeySpec::aged(101).used_days_ago(1), KeySpec::aged(11)]);
    publish(&stage, &keys[1]);
    remember(&stage, &keys[0], "notified", 11);
    // One worker has listed the keys and is about to read the tags, when another disables the old key and records that.
    stage.schedule().await;
    let looking = hold(&stage, "slow", "iam:ListUserTags", When::Before);
    let mut one_message = stage.settings();
    one_message.limits.max_concurrent = 1;
    let slow = at_work(&stage, "slow", one_message);
    reached(&looking).await;
    stage.schedule().await;
    at_work(&stage, "fast", stage.settings()).await.expect("the fast worker ends");
    assert!(stage.state_of(&keys[0]).is_some_and(|state| state.starts_with("disabled=")));
    let told = stage.mails().len();
    looking.release();
    slow.await.expect("the slow worker ends");
    assert_eq!(stage.keys(), [(keys[0].clone(), false), (keys[1].clone(), true)]);
    assert!(stage.state_of(&keys[0]).is_some_and(|state| state.starts_with("disabled=")), "and not restored=");
    assert_eq!(stage.mails().len(), told, "nobody is told of a key that is active again");
}

#[tokio::test]
async fn right_before_a_disable_the_successor_is_looked_at_again() {
    let stage = Stage::new().await;
    let keys = stage.user(&[KeySpec::aged(101).used_days_ago(1), KeySpec::aged(11)]);
    publish(&stage, &keys[1]);
    remember(&stage, &keys[0], "notified", 11);
    stage.schedule().await;
    // All that the plan is made on has been read, when a person switches the successor off.
    let looking = hold(&stage, "worker", "secretsmanager:DescribeSecret", When::After);
    let work = at_work(&stage, "worker", stage.settings());
    reached(&looking).await;
    stage.world(|world| world.set_key_status(ACCOUNT, USER, &keys[1], sandbox::KeyStatus::Inactive));
    looking.release();
    work.await.expect("the worker ends");
    assert_eq!(stage.keys(), [(keys[0].clone(), true), (keys[1].clone(), false)], "the last working key stays");
}

#[tokio::test]
async fn right_before_an_unused_key_is_disabled_its_last_use_is_looked_at_again() {
    let stage = Stage::new().await;
    let key = stage.user(&[KeySpec::aged(105)]).remove(0);
    remember(&stage, &key, "notified", 11);
    stage.schedule().await;
    let looking = hold(&stage, "worker", "secretsmanager:DescribeSecret", When::After);
    let mut settings = stage.settings();
    settings.policy = Policy::new(Period::default(), UnusedKeys::Retire).expect("a policy");
    let work = at_work(&stage, "worker", settings);
    reached(&looking).await;
    stage.world(|world| world.use_key(&key, "s3", "eu-central-1"));
    looking.release();
    work.await.expect("the worker ends");
    assert_eq!(stage.keys(), [(key, true)], "it has just been used for the first time");
}

#[tokio::test]
async fn right_before_a_delete_the_key_is_looked_at_again() {
    let stage = Stage::new().await;
    let keys = stage.user(&[KeySpec::aged(111).used_days_ago(20).inactive(), KeySpec::aged(21).used_days_ago(1)]);
    publish(&stage, &keys[1]);
    remember(&stage, &keys[0], "disabled", 11);
    stage.schedule().await;
    let looking = hold(&stage, "worker", "secretsmanager:DescribeSecret", When::After);
    let work = at_work(&stage, "worker", stage.settings());
    reached(&looking).await;
    stage.world(|world| world.set_key_status(ACCOUNT, USER, &keys[0], sandbox::KeyStatus::Active));
    looking.release();
    work.await.expect("the worker ends");
    assert_eq!(stage.keys(), [(keys[0].clone(), true), (keys[1].clone(), true)], "a person has just made it active");
}

#[tokio::test]
async fn where_iams_limit_races_the_key_that_sees_a_third_one_goes() {
    let stage = Stage::new().await;
    let old = stage.user(&[due()]).remove(0);
    stage.schedule().await;
    let making = hold(&stage, "worker", "iam:CreateAccessKey", When::After);
    let work = at_work(&stage, "worker", stage.settings());
    reached(&making).await;
    let other = stage.world(|world| world.add_key(ACCOUNT, USER, &KeySpec::aged(0)));
    making.release();
    work.await.expect("the worker ends");
    assert_eq!(stage.keys(), [(old, true), (other, true)], "two keys are left, and none of them is the tool's");
    assert_eq!(stage.published_key(), None);
}

/// From now on every read shows what was before one of the last minute's writes.
fn reads_lag(stage: &Stage) {
    stage.world(|world| world.faults.stale_reads = Some(StaleReads { seconds: 60, reads: None, rate: 1.0 }));
}

fn fails(stage: &Stage, action: &str, fault: Fault, times: Option<u64>) {
    stage.world(|world| world.faults.add(Rule { calls: Calls::of(action), fault, rate: 1.0, times }));
}

/// Nothing fails or lags any more, and the message comes again when the intent is old.
async fn is_settled(stage: &Stage) {
    stage.world(|world| {
        world.faults.stale_reads = None;
        world.faults.rules.clear();
    });
    stage.pass(SignedDuration::from_mins(30));
    stage.work().await;
    assert_eq!((intents(stage), stage.waiting()), (0, 0));
    assert_eq!(violations(stage), [] as [String; 0]);
}

#[tokio::test]
async fn a_key_whose_publication_was_answered_by_nothing_but_a_conflict_is_not_undone_while_looks_lag() {
    let stage = Stage::new().await;
    let old = stage.user(&[due()]).remove(0);
    publish(&stage, &old);
    stage.schedule().await;
    reads_lag(&stage);
    // The first try takes effect, and the SDK's second one finds that something else is published: its own key.
    fails(&stage, "secretsmanager:UpdateSecretVersionStage", Fault::LoseAnswer, Some(1));
    stage.work().await;
    let new = stage.published_key().filter(|published| *published != old).expect("the new key is published");
    assert_eq!(stage.keys(), [(old, true), (new.clone(), true)]);
    is_settled(&stage).await;
    assert_eq!(stage.published_key(), Some(new));
}

#[tokio::test]
async fn a_first_version_that_publishes_itself_is_not_undone_while_looks_show_none() {
    let stage = Stage::new().await;
    let old = stage.user(&[due()]).remove(0);
    stage.schedule().await;
    // The secret is there, without a version, and the first look shows it so.
    let storing = hold(&stage, "worker", "secretsmanager:PutSecretValue", When::Before);
    let work = at_work(&stage, "worker", stage.settings());
    reached(&storing).await;
    reads_lag(&stage);
    fails(&stage, "secretsmanager:UpdateSecretVersionStage", Fault::Throttle, None);
    storing.release();
    work.await.expect("the worker ends");
    let new = stage.published_key().expect("Secrets Manager publishes the first version by itself");
    assert_eq!(stage.keys(), [(old, true), (new.clone(), true)]);
    is_settled(&stage).await;
    assert_eq!(stage.published_key(), Some(new));
}

#[tokio::test]
async fn a_worker_whose_session_is_over_does_not_write_to_a_central_store_where_no_session_stops_it() {
    let stage = Stage::with(false).await;
    stage.user(&[due()]);
    let central = || {
        let kms_key_id = Some("alias/key-rotation".to_owned());
        let mut settings = Settings { central_store: true, kms_key_id, ..stage.settings() };
        settings.limits.max_concurrent = 1;
        settings
    };
    // One worker has made its key, and stands still before it stores it: at its fifth list of the user's keys.
    stage.schedule().await;
    let calls = Calls { app: Some("slow".to_owned()), ..Calls::of("iam:ListAccessKeys") };
    let made = stage.world(|world| world.faults.hold(HoldPlan { calls, at_call: 5, when: When::After }));
    let connection = stage.connection("slow");
    let slow = tokio::spawn({
        let (settings, connection) = (central(), connection.clone());
        async move { worker::run(&settings, &connection, Arc::new(Tally::default()), CancellationToken::new()).await }
    });
    reached(&made).await;
    assert_eq!(stage.keys().len(), 2, "its key is made");
    // Its intent is old. Another has seen that nothing is stored, and is about to delete the key.
    stage.pass(SignedDuration::from_mins(21));
    let calls = Calls { app: Some("other".to_owned()), ..Calls::of("secretsmanager:DescribeSecret") };
    let looked = stage.world(|world| world.faults.hold(HoldPlan { calls, at_call: 2, when: When::After }));
    stage.schedule().await;
    let other = at_work(&stage, "other", central());
    reached(&looked).await;
    // The first goes on; any answer it has had meanwhile, of another user, has told it the time.
    let date = stage.now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    connection.clock().observe(&date, Instant::now());
    made.release();
    slow.await.expect("the slow worker ends").expect("it had started");
    assert_eq!(stage.published_key(), None);
    looked.release();
    other.await.expect("the other worker ends");
    stage.pass(SignedDuration::from_mins(30));
    stage.work_with(&central()).await;
    assert_eq!(stage.keys().len(), 2, "the old key and one successor");
    assert_eq!(violations(&stage), [] as [String; 0]);
}
