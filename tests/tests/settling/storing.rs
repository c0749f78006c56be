//! A new key that cannot be stored: one is made and deleted, and not one at every try. A secret that cannot be prepared: none is made.

use end_to_end::scenario::publish;
use end_to_end::violations::violations;
use end_to_end::{ACCOUNT, Stage, secret};
use rotation::Reason;
use sandbox::call::Service;
use sandbox::faults::{Calls, Fault, Rule, When};
use sandbox::journal::Effect;
use worker::Settings;
use worker::aws::secrets::Secrets;

use crate::{Still, due, intents};

fn keys_made(stage: &Stage) -> usize {
    let made = |effect: &Effect| matches!(effect, Effect::KeyCreated { .. });
    stage.world(|world| world.journal.effects().iter().filter(|record| made(&record.effect)).count())
}

/// A call is denied for good, and the message tried again for as long as it waits.
async fn one_key_is_made_where(denied: &str) {
    let stage = Stage::new().await;
    let old = stage.user(&[due()]).remove(0);
    publish(&stage, &old);
    stage.world(|world| world.faults.deny(ACCOUNT, denied, None));
    stage.schedule().await;
    for _ in 0..6 {
        stage.work().await;
        stage.pass(jiff::SignedDuration::from_hours(1));
    }
    assert_eq!(keys_made(&stage), 1, "{denied}");
    assert_eq!(stage.keys(), [(old, true)], "{denied}");
    assert_eq!((intents(&stage), stage.waiting()), (0, 0), "{denied}");
    let letters = stage.dead_letters().await;
    let [(kind, reason, _)] = letters.as_slice() else { panic!("one dead letter: {letters:?}") };
    assert_eq!(kind, "Denied");
    assert!(reason.contains(denied), "it names what is missing: {reason}");
    assert_eq!(violations(&stage), [] as [String; 0]);
}

#[tokio::test]
async fn where_storing_or_publishing_is_denied_one_key_is_made_and_the_dead_letter_names_the_call() {
    one_key_is_made_where("secretsmanager:PutSecretValue").await;
    one_key_is_made_where("secretsmanager:UpdateSecretVersionStage").await;
}

#[tokio::test]
async fn where_storing_fails_for_a_while_it_is_tried_again() {
    let stage = Stage::new().await;
    let old = stage.user(&[due()]).remove(0);
    let throttled = Calls::new("secretsmanager:PutSecretValue");
    stage.world(|world| {
        world.faults.add(Rule { calls: throttled, fault: Fault::Throttle, rate: 1.0, times: Some(10) });
    });
    stage.schedule().await;
    for _ in 0..4 {
        stage.work().await;
        stage.pass(jiff::SignedDuration::from_hours(1));
    }
    assert_eq!((stage.keys().len(), stage.waiting()), (2, 0));
    assert_eq!(stage.keys()[0], (old, true));
    assert_eq!(violations(&stage), [] as [String; 0]);
}

// ---- before a key is made ------------------------------------------------------------------------------------------

const KMS_KEY: &str = "arn:aws:kms:eu-central-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

fn replicating(stage: &Stage, regions: &[&str]) -> Settings {
    Settings { replication_regions: regions.iter().map(|region| (*region).to_owned()).collect(), ..stage.settings() }
}

/// The first delivery ends, after one attempt, as this dead letter about this call; and the user is as before.
async fn is_not_tried_again(stage: &Stage, settings: &Settings, kind: &str, operation: &str) -> String {
    let before = stage.keys();
    stage.schedule().await;
    stage.work_with(settings).await;
    let letters = stage.dead_letters().await;
    let [(is, why, _)] = letters.as_slice() else { panic!("{operation}: one dead letter: {letters:?}") };
    assert_eq!(is, kind, "{operation}: {why}");
    assert!(why.contains("could not be prepared") && why.contains(operation), "it names what to mend: {why}");
    // Each attempt leaves an intent, and nothing else is written on the user.
    let attempts = stage.world(|world| world.journal.count(Service::Iam, "TagUser"));
    assert_eq!(attempts, 1, "{operation}");
    assert_eq!((stage.keys(), keys_made(stage)), (before, 0), "{operation}");
    assert_eq!((intents(stage), stage.waiting()), (0, 0), "{operation}");
    assert_eq!(violations(stage), [] as [String; 0]);
    why.clone()
}

#[tokio::test]
async fn what_refuses_for_good_to_prepare_a_secret_is_not_tried_again_and_no_key_is_made_whatever_the_call() {
    const CALLS: [(&str, bool); 6] = [
        ("CreateSecret", false),
        ("TagResource", true),
        ("UpdateSecret", true),
        ("PutResourcePolicy", true),
        ("ReplicateSecretToRegions", true),
        ("RestoreSecret", true),
    ];
    for (operation, has_secret) in CALLS {
        let stage = Stage::new().await;
        let old = stage.user(&[due()]).remove(0);
        if has_secret {
            publish(&stage, &old);
        }
        if operation == "RestoreSecret" {
            let session = stage.session().await;
            let deleted = session.secrets_manager().delete_secret().secret_id(secret()).send().await;
            deleted.expect("it is scheduled for deletion");
        }
        let denied = format!("secretsmanager:{operation}");
        stage.world(|world| world.faults.deny(ACCOUNT, &denied, None));
        let settings = Settings { kms_key_id: Some(KMS_KEY.to_owned()), ..replicating(&stage, &["eu-west-1"]) };
        is_not_tried_again(&stage, &settings, "Denied", operation).await;
    }
}

#[tokio::test]
async fn a_read_policy_that_may_not_be_attached_or_that_the_account_does_not_have_is_not_tried_again() {
    let attach = "AttachUserPolicy";
    let stage = Stage::new().await;
    stage.user(&[due()]);
    stage.world(|world| world.faults.deny(ACCOUNT, "iam:AttachUserPolicy", None));
    is_not_tried_again(&stage, &stage.central_settings(), "Denied", attach).await;

    let stage = Stage::new().await;
    stage.user(&[due()]);
    let settings = Settings { central_read_policy: Some("NoSuchPolicy".to_owned()), ..stage.central_settings() };
    is_not_tried_again(&stage, &settings, "NotFound", attach).await;
}

#[tokio::test]
async fn a_replication_region_that_there_is_not_or_that_is_not_enabled_is_not_tried_again_and_the_advice_names_the_setting()
 {
    // A slip of the pen, a region to come, one that the account has to opt in to first.
    for region in ["eu-wst-1", "eu-west-9", "af-south-1"] {
        let stage = Stage::new().await;
        stage.user(&[due()]);
        let settings = replicating(&stage, &["eu-west-1", region]);
        let why = is_not_tried_again(&stage, &settings, "Invalid", "ReplicateSecretToRegions").await;
        assert!(why.contains("Invalid replica region"), "in AWS's own words: {why}");
        assert!(Reason::Invalid.advice().text.contains("a replication region"));
    }
}

#[tokio::test]
async fn a_region_that_somebody_else_has_just_replicated_the_secret_to_is_no_fault_of_the_settings() {
    for wanted in [&["eu-west-1"][..], &["eu-west-1", "eu-west-2"]] {
        let stage = Stage::new().await;
        let old = stage.user(&[due()]).remove(0);
        publish(&stage, &old);
        stage.schedule().await;
        let call = "secretsmanager:ReplicateSecretToRegions";
        let still = Still::at(&stage, "worker", call, When::Before, replicating(&stage, wanted)).await;
        let secrets = Secrets::new(stage.session().await.secrets_manager().clone());
        secrets.replicate(&secret(), &["eu-west-1".to_owned()]).await.expect("it is replicated");
        still.goes_on().await;
        assert_eq!((stage.keys().len(), stage.waiting()), (2, 0), "{wanted:?}");
        assert_eq!(stage.dead_letters().await, [], "{wanted:?}");
        for region in wanted {
            let is_there = stage.world(|world| world.secrets.secret(ACCOUNT, region, &secret()).is_some());
            assert!(is_there, "{region} of {wanted:?}");
        }
    }
}
