//! Refusals that tell the truth: what cannot be done is said as what it is, and does not stand in the way of what can.

use std::time::Duration;

use end_to_end::scenario::{leave_intent, publish};
use end_to_end::{ACCOUNT, Stage, USER};
use jiff::SignedDuration;
use rotation::job::{ForceRotate, Whom};
use rotation::names::secret_name;
use rotation::{AccessKeyId, Task, UserName};
use sandbox::KeySpec;
use sandbox::faults::{Calls, HoldPlan, When};
use sandbox::journal::{CallRecord, Effect, Outcome};
use worker::queue::Stop;

fn due() -> KeySpec {
    KeySpec::aged(95).used_days_ago(1)
}

fn keys_made(stage: &Stage, of: &str) -> usize {
    let made = |effect: &Effect| matches!(effect, Effect::KeyCreated { user, .. } if user == of);
    stage.world(|world| world.journal.effects().iter().filter(|record| made(&record.effect)).count())
}

#[tokio::test]
async fn an_account_without_sts_in_the_region_is_a_dead_letter_at_once_that_says_so() {
    let stage = Stage::new().await;
    stage.user(&[due()]);
    stage.world(|world| world.faults.sts_disabled.insert(ACCOUNT.to_owned()));
    stage.run().await;
    assert_eq!(stage.waiting(), 0, "trying again does not help");
    let letters = stage.dead_letters().await;
    assert!(
        letters.len() == 1 && letters[0].0 == "NotEnabled" && letters[0].1.contains("RegionDisabled"),
        "{letters:?}"
    );
}

#[tokio::test]
async fn a_request_about_temporary_credentials_or_the_workers_own_key_is_refused_as_what_it_is() {
    let stage = Stage::new().await;
    stage.user(&[due()]);
    let own = stage.connection("worker").access_key_id().await.expect("it signs with a key");
    let temporary: AccessKeyId = "ASIAIOSFODNN7EXAMPLE".parse().expect("a key id");
    for (key, why) in [(own, "this program itself signs"), (temporary, "temporary credentials")] {
        let whom = Whom::UserAndKey(USER.parse().expect("a user name"), key);
        let request = ForceRotate { whom, disable_old_now: true, override_exemption: false };
        stage.send(&stage.job(Task::ForceRotate(request))).await;
        stage.work().await;
        let letters = stage.dead_letters().await;
        assert!(letters.iter().any(|(kind, what, _)| kind == "Refused" && what.contains(why)), "{letters:?}");
    }
    assert_eq!(stage.keys().len(), 1);
}

#[tokio::test]
async fn a_request_by_name_does_not_make_the_key_inactive_that_the_worker_itself_signs_with() {
    for disable_old_now in [true, false] {
        let stage = Stage::new().await;
        stage.user(&[due()]);
        let own = stage.connection("worker").access_key_id().await.expect("it signs with a key");
        stage.world(|world| world.user_mut(ACCOUNT, USER).holds.keys[0].id = own.to_string());
        let whom = Whom::User(USER.parse().expect("a user name"));
        let request = ForceRotate { whom, disable_old_now, override_exemption: false };
        stage.send(&stage.job(Task::ForceRotate(request))).await;
        stage.work().await;
        assert_eq!(stage.keys()[0], (own.to_string(), true));
        let letters = stage.dead_letters().await;
        let is_refused = |(kind, why, _): &(String, String, String)| {
            kind == "Refused" && why.contains("the one that this program itself signs its calls with")
        };
        assert_eq!(letters.iter().any(is_refused), disable_old_now, "{letters:?}");
    }
}

#[tokio::test]
async fn a_user_that_is_deleted_between_the_list_and_the_look_does_not_fail_the_accounts_message() {
    let stage = Stage::new().await;
    stage.user(&[due()]);
    stage.user_named("leaver", &[due()]);
    stage.schedule().await;
    let calls = Calls { app: Some("worker".to_owned()), ..Calls::new("iam:GetAccountAuthorizationDetails") };
    let listed = stage.world(|world| world.faults.hold(HoldPlan { calls, at_call: 1, when: When::After }));
    let gone = async {
        tokio::time::timeout(Duration::from_secs(60), listed.reached()).await.expect("the users are listed");
        stage.world(|world| world.remove_user(ACCOUNT, "leaver"));
        listed.release();
    };
    tokio::join!(stage.work(), gone);
    assert_eq!((stage.keys().len(), stage.waiting()), (2, 0), "the other user is rotated, and the message done");
    assert_eq!(stage.dead_letters().await, []);
}

#[tokio::test]
async fn a_user_that_is_deleted_while_its_secret_is_prepared_is_no_dead_letter() {
    let stage = Stage::new().await;
    stage.user(&[due()]);
    stage.schedule().await;
    let calls = Calls { app: Some("worker".to_owned()), ..Calls::new("secretsmanager:PutResourcePolicy") };
    let held = stage.world(|world| world.faults.hold(HoldPlan { calls, at_call: 1, when: When::Before }));
    let gone = async {
        tokio::time::timeout(Duration::from_secs(60), held.reached()).await.expect("the policy is written");
        stage.world(|world| world.remove_user(ACCOUNT, USER));
        held.release();
    };
    tokio::join!(stage.work(), gone);
    let calls = stage.world(|world| world.journal.calls().cloned().collect::<Vec<_>>());
    let refused =
        |call: &CallRecord| matches!(&call.outcome, Outcome::Refused(code) if code.contains("MalformedPolicy"));
    assert!(calls.iter().any(refused), "a policy that names nobody is malformed");
    assert_eq!((stage.waiting(), stage.dead_letters().await), (0, Vec::new()));
}

#[tokio::test]
async fn a_user_whose_key_cannot_be_stored_does_not_keep_the_others_of_the_account_from_being_tried_again() {
    const REFUSED: &str = "refused";
    let stage = Stage::new().await;
    stage.user_named(REFUSED, &[due()]);
    let old = stage.user(&[due()]).remove(0);
    publish(&stage, &old);
    // Nineteen minutes from now it is settled; until then the other user waits.
    leave_intent(&stage, &old, 1);
    let secret =
        secret_name(&ACCOUNT.parse().expect("an account id"), &REFUSED.parse::<UserName>().expect("a user name"));
    stage.world(|world| world.faults.deny(ACCOUNT, "secretsmanager:PutSecretValue", Some(&secret)));
    stage.schedule().await;

    let (connection, stop) = (stage.connection("worker"), Stop::default());
    let settings = worker::Settings { drain: false, ..stage.settings() };
    let working = worker::run(&settings, &connection, stop.clone());
    let put_back = || {
        let is_put_back = |call: &&CallRecord| call.operation == "ChangeMessageVisibility";
        stage.world(|world| world.journal.calls().filter(is_put_back).count())
    };
    let time_passes = async {
        let mut seen = 0;
        while stage.waiting() > 0 {
            // Once the message waits for its next delivery, that comes.
            if put_back() > seen {
                seen = put_back();
                stage.world(|world| {
                    let next = world.queues.next_visible().unwrap_or_else(|| world.now());
                    world.clock.set(next + SignedDuration::from_secs(1));
                });
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let time_passes = async {
        let passed = tokio::time::timeout(Duration::from_secs(120), time_passes).await;
        stop.ask();
        passed.expect("the message comes to its end");
    };
    let (ended, ()) = tokio::join!(working, time_passes);
    ended.expect("the worker starts");
    assert_eq!(stage.keys().len(), 2, "{USER} has its successor");
    assert_eq!(keys_made(&stage, REFUSED), 1, "one, not one at every delivery");
    let letters = stage.dead_letters().await;
    assert!(letters.len() == 1 && letters[0].0 == "Denied" && letters[0].1.contains(REFUSED), "{letters:?}");
}
