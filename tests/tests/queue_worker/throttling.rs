//! IAM's rates are per account, so a throttled account slows down itself and no other.

use std::collections::BTreeMap;
use std::time::Duration;

use end_to_end::{ACCOUNT, OWNER, Stage};
use jiff::{SignedDuration, Timestamp};
use rotation::selection::FullScan;
use rotation::{AccountId, Job, Task};
use sandbox::call::Service;
use sandbox::faults::{Calls, Fault, HoldPlan, RateLimit, Rule, When};
use sandbox::journal::CountKey;
use sandbox::serve::REGION;
use sandbox::world::MANAGEMENT_ACCOUNT;
use sandbox::{Clock, KeySpec, World};

/// The accounts besides [`ACCOUNT`].
const OTHERS: [&str; 5] = ["222222222221", "222222222222", "222222222223", "222222222224", "222222222225"];
/// Users of [`ACCOUNT`]: so many that its throttled calls, tried three times each, use up more retries than the SDK allows one
/// client at a time (500 tokens at 5 a retry).
const MANY: usize = 120;
/// Far longer than any of this takes, and far shorter than the time that a message is given.
const LONGEST: Duration = Duration::from_secs(120);
/// Users of each other account.
const FEW: usize = 5;

/// All accounts with users whose keys are young, and a message for each, [`ACCOUNT`]'s first.
async fn stage() -> Stage {
    let now: Timestamp = "2026-03-01T09:00:00Z".parse().expect("a valid time");
    let mut world = World::new(1, Clock::frozen_at(now));
    for (account, users) in std::iter::once((ACCOUNT, MANY)).chain(OTHERS.map(|account| (account, FEW))) {
        world.add_account(account, "an account", "owner@example.org");
        for number in 0..users {
            let user = format!("user-{number}");
            world.add_user(account, &user);
            world.add_key(account, &user, &KeySpec::aged(5));
        }
    }
    let stage = Stage::with_world(world, true).await;
    for account in std::iter::once(ACCOUNT).chain(OTHERS) {
        stage.send(&Job::new(AccountId::new(account).expect("an account id"), Task::Account)).await;
    }
    stage
}

/// Some calls of an account are throttled: all, or the first few.
fn throttle(stage: &Stage, account: &str, times: Option<u64>) {
    let calls = Calls { account: Some(account.to_owned()), ..Calls::new("iam:ListAccessKeys") };
    stage.world(|world| world.faults.add(Rule { calls, fault: Fault::Throttle, rate: 1.0, times }));
}

/// Calls in each of the other accounts.
fn calls_of_others(stage: &Stage) -> BTreeMap<String, u64> {
    stage.world(|world| {
        let mut calls = BTreeMap::new();
        for (key, count) in world.journal.counts().iter().filter(|(key, _)| OTHERS.contains(&key.account.as_str())) {
            *calls.entry(key.account.clone()).or_default() += count;
        }
        calls
    })
}

#[tokio::test]
async fn a_throttled_account_takes_no_retries_from_the_others() {
    let run = async |throttled: bool| {
        let stage = stage().await;
        if throttled {
            throttle(&stage, ACCOUNT, None);
        }
        for account in OTHERS {
            throttle(&stage, account, Some(FEW as u64));
        }
        let mut settings = stage.settings();
        settings.full_scan = FullScan::EVERY_RUN;
        // One after the other, so that the throttled account has used up whatever it can before the others begin.
        settings.limits.max_concurrent = 1;
        let report = stage.work_with(&settings).await;
        (report.handled, report.left, calls_of_others(&stage))
    };
    let (_, left, undisturbed) = run(false).await;
    assert_eq!(left, 0);
    let (handled, left, beside_a_throttled_one) = run(true).await;
    assert_eq!((handled, left), (1 + OTHERS.len() as u64, 1), "the throttled account is tried again, and no other");
    assert_eq!(beside_a_throttled_one, undisturbed);
}

/// IAM admits two calls of an account and no more until the clock is moved: for the other 499 that must make no difference.
#[tokio::test]
async fn one_account_held_to_its_rate_among_500_slows_no_other() {
    const ACCOUNTS: usize = 500;
    let account = |number: usize| format!("{:012}", 300_000_000_000 + number);
    let slow = account(0);
    let run = async |is_held: bool| {
        let now: Timestamp = "2026-03-01T09:00:00Z".parse().expect("a valid time");
        let mut world = World::new(1, Clock::frozen_at(now));
        for number in 0..ACCOUNTS {
            world.add_account(&account(number), "an account", "owner@example.org");
            for user in ["ada", "grace"] {
                world.add_user(&account(number), user);
                world.add_key(&account(number), user, &KeySpec::aged(5));
            }
        }
        if is_held {
            world.faults.limits.push(RateLimit::new(&slow, &["iam:*"], 2.0));
        }
        let stage = Stage::with_world(world, true).await;
        for number in 0..ACCOUNTS {
            stage.send(&Job::new(AccountId::new(account(number)).expect("an account id"), Task::Account)).await;
        }
        let report = stage.work_with(&stage.settings()).await;
        (stage, report)
    };
    let of_others = |stage: &Stage| -> BTreeMap<CountKey, u64> {
        let counts = stage.world(|world| world.journal.counts().clone());
        counts.into_iter().filter(|(key, _)| key.account != slow && key.account != MANAGEMENT_ACCOUNT).collect()
    };
    let (free, report) = run(false).await;
    assert_eq!((report.handled, report.left), (ACCOUNTS as u64, 0));
    let (held, report) = run(true).await;
    assert_eq!((report.handled, report.left), (ACCOUNTS as u64, 1), "only the slow one is tried again");
    assert_eq!(of_others(&held), of_others(&free), "not a call more, and none throttled");
    assert_eq!(of_others(&free).values().sum::<u64>(), 4 * (ACCOUNTS as u64 - 1), "a listing, two users, the policies");
    held.pass(SignedDuration::from_hours(1));
    held.world(|world| world.faults.limits.clear());
    assert_eq!(held.work().await.left, 0);
}

/// An account's users share one task: while one of them gets a new session for all, another that ends must not stop it.
#[tokio::test]
async fn a_user_that_ends_while_another_gets_a_new_session_stops_nobody() {
    let stage = stage().await;
    let hold = |calls, at_call| stage.world(|world| world.faults.hold(HoldPlan { calls, at_call, when: When::Before }));
    let listing = || Calls { account: Some(ACCOUNT.to_owned()), ..Calls::new("iam:ListAccessKeys") };
    let mut settings = stage.settings();
    settings.full_scan = FullScan::EVERY_RUN;
    settings.max_concurrent_users = 2;
    let (first, second) = (hold(listing(), 1), hold(listing(), 2));
    let story = async {
        first.reached().await;
        second.reached().await;
        while stage.waiting() > 1 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        stage.pass(SignedDuration::from_mins(14));
        let new_session = hold(Calls::new("sts:AssumeRole"), 1);
        // A third user begins, and needs a new session. Meanwhile the second ends.
        first.release();
        new_session.reached().await;
        second.release();
        // That the second has ended shows nowhere. On a slow machine it may end later, and the test sees less.
        tokio::time::sleep(Duration::from_millis(200)).await;
        new_session.release();
    };
    let both = async { tokio::join!(stage.work_with(&settings), story) };
    let (report, ()) = tokio::time::timeout(LONGEST, both).await.expect("no message hangs");
    assert_eq!((report.left, stage.waiting()), (0, 0));
}

#[tokio::test]
async fn nobody_waits_for_a_slow_account() {
    let stage = stage().await;
    let slow = Calls { account: Some(ACCOUNT.to_owned()), ..Calls::new("iam:GetAccountAuthorizationDetails") };
    let hold = stage.world(|world| world.faults.hold(HoldPlan { calls: slow, at_call: 1, when: When::Before }));
    let settings = stage.settings();
    let others_are_done = async {
        hold.reached().await;
        while stage.waiting() > 1 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        // Only now may the slow one go on: had anybody waited for it, this would never have come.
        hold.release();
    };
    let (report, ()) = tokio::join!(stage.work_with(&settings), others_are_done);
    assert_eq!((report.handled, report.left), (1 + OTHERS.len() as u64, 0));
    assert_eq!(calls_of_others(&stage).len(), OTHERS.len());
}

/// With a central store all accounts' secrets are written in one, and its quotas are the worker's to keep.
#[tokio::test]
async fn a_central_store_is_written_to_more_slowly_than_secrets_managers_quotas_allow() {
    /// Secrets Manager's quota on each of these groups of requests (User Guide, "AWS Secrets Manager quotas").
    const A_SECOND: f64 = 50.0;
    const COUNTED_TOGETHER: [&[&str]; 5] = [
        &["secretsmanager:PutSecretValue", "secretsmanager:Update*", "secretsmanager:ReplicateSecretToRegions"],
        &["secretsmanager:*ResourcePolicy"],
        &["secretsmanager:CreateSecret"],
        &["secretsmanager:TagResource"],
        &["secretsmanager:ListSecrets"],
    ];
    /// With their users enough to exceed every quota several times over, were they all written to at once.
    const ACCOUNTS: usize = 40;
    /// Of each account: so many are worked on at once to begin with.
    const USERS: usize = 4;
    let now: Timestamp = "2026-03-01T09:00:00Z".parse().expect("a valid time");
    let mut world = World::new(1, Clock::running_from(now));
    let accounts: Vec<String> = (0..ACCOUNTS).map(|number| format!("{:012}", 300_000_000_000 + number)).collect();
    for account in &accounts {
        world.add_account(account, "an account", OWNER);
        for number in 0..USERS {
            let user = format!("user-{number}");
            world.add_user(account, &user);
            world.add_key(account, &user, &KeySpec::aged(95));
        }
    }
    world.faults.limits = COUNTED_TOGETHER.map(|group| RateLimit::new(MANAGEMENT_ACCOUNT, group, A_SECOND)).to_vec();
    let stage = Stage::with_world(world, true).await;
    let mut settings = stage.settings();
    settings.central_store = true;
    settings.kms_key_id = Some(format!("arn:aws:kms:{REGION}:{MANAGEMENT_ACCOUNT}:key/secrets"));
    settings.limits.max_concurrent = ACCOUNTS;
    for account in accounts {
        let id = AccountId::new(account).expect("an account id");
        stage.send(&Job { email: Some(OWNER.to_owned()), ..Job::new(id, Task::Account) }).await;
    }
    let report = stage.work_with(&settings).await;
    assert_eq!((report.handled, report.left), (ACCOUNTS as u64, 0));
    let throttled = stage.world(|world| {
        let counts = world.journal.counts().iter();
        counts.filter(|(key, _)| key.outcome == "ThrottlingException").map(|(_, count)| count).sum::<u64>()
    });
    let stored = stage.world(|world| world.journal.count(Service::SecretsManager, "PutSecretValue"));
    assert_eq!((throttled, stored), (0, (ACCOUNTS * USERS) as u64));
}
