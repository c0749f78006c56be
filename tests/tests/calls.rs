//! What an account costs, in calls: exact, as the documentation of scaling has it.

use std::collections::BTreeMap;

use end_to_end::{ACCOUNT, Stage, USER};
use jiff::SignedDuration;
use rotation::selection::FullScan;
use sandbox::{KeySpec, KeyStatus};
use worker::Settings;

/// Days in which every user has its turn to be looked at.
const FULL_SCAN: u64 = 14;

/// The calls made so far in the account and for it, by operation; the queue's and the mails' left out.
fn calls(stage: &Stage) -> BTreeMap<String, u64> {
    stage.world(|world| {
        let mut calls = BTreeMap::new();
        for (key, count) in world.journal.counts() {
            if ["iam", "sts", "secretsmanager"].contains(&key.service) {
                *calls.entry(key.operation.clone()).or_default() += count;
            }
        }
        calls
    })
}

/// Schedules the account, works on it, and tells the calls that took.
async fn run(stage: &Stage, settings: &Settings) -> BTreeMap<String, u64> {
    let before = calls(stage);
    stage.schedule().await;
    stage.work_with(settings).await;
    assert_eq!(stage.waiting(), 0);
    let mut calls = calls(stage);
    for (operation, count) in before {
        *calls.get_mut(&operation).expect("it was counted before") -= count;
    }
    calls.retain(|_, count| *count > 0);
    calls
}

fn total(calls: &BTreeMap<String, u64>) -> u64 {
    calls.values().sum()
}

fn audit(stage: &Stage) -> Settings {
    Settings { dry_run: true, ..stage.settings() }
}

/// So many users with one young key each.
async fn idle_account(users: usize) -> Stage {
    let stage = Stage::new().await;
    for number in 0..users {
        stage.user_named(&format!("user-{number:03}"), &[KeySpec::aged(5).used_days_ago(1)]);
    }
    stage
}

#[tokio::test]
async fn an_idle_account_of_100_users_costs_five_calls_and_each_user_one_in_fourteen_days() {
    let stage = idle_account(100).await;
    let mut looks = 0;
    for _ in 0..FULL_SCAN {
        let calls = run(&stage, &stage.settings()).await;
        looks += calls.get("ListAccessKeys").unwrap_or(&0);
        assert_eq!(total(&calls), 5 + calls.get("ListAccessKeys").unwrap_or(&0), "{calls:?}");
        for once in [
            "AssumeRole",
            "GetAccountAuthorizationDetails",
            "GenerateCredentialReport",
            "GetCredentialReport",
            // Whether the policies of the secrets that are there are as they should be.
            "ListSecrets",
        ] {
            assert_eq!(calls[once], 1, "{once}");
        }
        stage.pass_days(1);
    }
    assert_eq!(looks, 100);
}

#[tokio::test]
async fn in_audit_mode_a_due_user_costs_three_calls_more() {
    let stage = idle_account(90).await;
    for number in 0..10 {
        stage.user_named(&format!("due-{number}"), &[KeySpec::aged(120).used_days_ago(1)]);
    }
    let mut turns = 0;
    for _ in 0..FULL_SCAN {
        let calls = run(&stage, &audit(&stage)).await;
        for of_the_due in ["GetAccessKeyLastUsed", "DescribeSecret"] {
            assert_eq!(calls[of_the_due], 10, "{of_the_due}");
        }
        turns += calls["ListAccessKeys"] - 10;
        assert_eq!(total(&calls), 4 + calls["ListAccessKeys"] + 20, "{calls:?}");
        stage.pass_days(1);
    }
    assert_eq!(turns, 90);
}

/// The table of docs/rotation-protocol.md.
#[tokio::test]
async fn a_rotated_user_costs_fourteen_calls_and_one_more_the_first_time() {
    const OF_THE_ACCOUNT: [(&str, u64); 3] =
        [("AssumeRole", 1), ("GetAccountAuthorizationDetails", 1), ("ListSecrets", 1)];
    const OF_THE_USER: [(&str, u64); 11] = [
        ("ListAccessKeys", 4),
        ("GetAccessKeyLastUsed", 1),
        ("DescribeSecret", 1),
        ("TagUser", 2),
        ("ListUserTags", 1),
        ("PutResourcePolicy", 1),
        ("CreateAccessKey", 1),
        ("PutSecretValue", 1),
        ("UntagUser", 1),
        // Instead of which a secret that is there has its version published.
        ("CreateSecret", 1),
        // That the new secret has its policy.
        ("TagResource", 1),
    ];
    let stage = Stage::new().await;
    stage.user(&[KeySpec::aged(95).used_days_ago(1)]);
    let mut rotations = Vec::new();
    for _ in 0..=95 {
        let calls = run(&stage, &stage.settings()).await;
        if calls.contains_key("CreateAccessKey") {
            rotations.push(calls);
        }
        stage.pass_days(1);
    }
    let wanted: BTreeMap<String, u64> =
        OF_THE_ACCOUNT.into_iter().chain(OF_THE_USER).map(|(operation, count)| (operation.to_owned(), count)).collect();
    assert_eq!(rotations[0], wanted);
    let mut wanted = wanted;
    wanted.remove("CreateSecret");
    wanted.remove("TagResource");
    wanted.insert("UpdateSecretVersionStage".to_owned(), 1);
    assert_eq!(rotations[1], wanted);
    assert_eq!(total(&rotations[1]) - 3, 14);
}

#[tokio::test]
async fn a_few_users_are_looked_at_without_a_report_and_so_is_everybody_where_every_run_looks_at_everybody() {
    let stage = idle_account(3).await;
    let few = run(&stage, &stage.settings()).await;
    assert_eq!((total(&few), few["ListAccessKeys"]), (6, 3), "{few:?}");
    let stage = idle_account(30).await;
    let settings = Settings { full_scan: FullScan::EVERY_RUN, ..stage.settings() };
    let all = run(&stage, &settings).await;
    assert_eq!((total(&all), all["ListAccessKeys"]), (33, 30), "{all:?}");
}

#[tokio::test]
async fn without_a_report_everybody_is_looked_at() {
    for denied in ["iam:GenerateCredentialReport", "iam:GetCredentialReport"] {
        let stage = idle_account(30).await;
        stage.user(&[KeySpec::aged(95)]);
        stage.world(|world| world.faults.deny(ACCOUNT, denied, None));
        let calls = run(&stage, &stage.settings()).await;
        assert!(calls["ListAccessKeys"] >= 31, "{denied}: {calls:?}");
        assert_eq!(stage.keys().len(), 2, "{denied}");
    }
    let stage = idle_account(30).await;
    stage.user(&[KeySpec::aged(95)]);
    stage.world(|world| world.faults.report_generation = SignedDuration::from_hours(1));
    let calls = run(&stage, &stage.settings()).await;
    assert_eq!(calls["GetCredentialReport"], 4, "at once, and after each of three pauses");
    assert!(calls["ListAccessKeys"] >= 31, "{calls:?}");
    assert_eq!(stage.keys().len(), 2);
}

/// A report is given out for four hours; what has happened since is seen by whatever else speaks for a user.
#[tokio::test]
async fn who_came_after_the_report_was_made_is_looked_at_and_so_is_whoever_has_the_name_of_another() {
    let stage = idle_account(30).await;
    run(&stage, &stage.settings()).await;
    // Made anew under a name that the report has, with a key of long ago: as after a rename.
    stage.world(|world| {
        world.account_mut(ACCOUNT).users.remove("user-007");
        let now = world.now();
        world.add_user_at(ACCOUNT, "user-007", "/", now);
        world.add_key(ACCOUNT, "user-007", &KeySpec::aged(95));
    });
    stage.user(&[KeySpec::aged(95)]);
    stage.pass(SignedDuration::from_mins(200));
    run(&stage, &stage.settings()).await;
    assert_eq!((stage.keys_of("user-007").len(), stage.keys().len()), (2, 2));
}

#[tokio::test]
async fn a_key_that_was_switched_off_and_on_by_hand_is_found_within_fourteen_days() {
    let stage = idle_account(30).await;
    let key = stage.user(&[KeySpec::aged(120).used_days_ago(1)]).remove(0);
    for status in [KeyStatus::Inactive, KeyStatus::Active] {
        stage.world(|world| world.set_key_status(ACCOUNT, USER, &key, status));
    }
    for _ in 0..FULL_SCAN {
        run(&stage, &stage.settings()).await;
        stage.pass_days(1);
    }
    assert!(stage.keys().len() == 2 || stage.is_told(&key));
}
