//! Published means that the owner can read it: what happened to a secret since is mended before the owner depends on it, and whose
//! it is stays known.

use end_to_end::scenario::{leave_trace, publish, remember};
use end_to_end::{ACCOUNT, Stage, USER, secret};
use rotation::names::version_id;
use rotation::secret_policy::last_attempt;
use sandbox::KeySpec;
use sandbox::serve::REGION;
use sandbox::services::secretsmanager::may_read;
use sandbox::world::MANAGEMENT_ACCOUNT;
use worker::Settings;

use crate::due;

const KMS_KEY: &str = "arn:aws:kms:eu-central-1:100000000000:key/1234abcd-12ab-34cd-56ef-1234567890ab";

/// A replaced key that is to be disabled today, its successor not yet used.
async fn to_be_disabled(stage: &Stage) -> (String, String) {
    let keys = stage.user(&[KeySpec::aged(101).used_days_ago(1), KeySpec::aged(11)]);
    remember(stage, &keys[0], "notified", 11);
    (keys[0].clone(), keys[1].clone())
}

/// Whether the user itself may read its secret, by the secret's policy and key.
fn owner_reads(stage: &Stage, central: bool) -> bool {
    reads(stage, central, USER)
}

/// Whether this user may read the secret of [`USER`].
fn reads(stage: &Stage, central: bool, user: &str) -> bool {
    let account = if central { MANAGEMENT_ACCOUNT } else { ACCOUNT };
    stage.world(|world| {
        let world = &*world;
        let secret = world.secrets.secret(account, REGION, &secret()).expect("the secret");
        secret.deletion.is_none() && may_read(world, ACCOUNT, user, REGION, secret)
    })
}

fn central(stage: &Stage) -> Settings {
    Settings {
        central_store: true,
        kms_key_id: Some(KMS_KEY.to_owned()),
        central_read_policy: Some("IAMKeyRotationReadOwnSecret".to_owned()),
        ..stage.settings()
    }
}

#[tokio::test]
async fn a_secret_that_its_owner_could_not_read_is_mended_before_the_old_key_goes_and_the_owner_is_told_anew() {
    for is_deleted in [true, false] {
        let stage = Stage::new().await;
        let (old, new) = to_be_disabled(&stage).await;
        publish(&stage, &new);
        let session = stage.session().await;
        let secrets = session.secrets_manager();
        if is_deleted {
            secrets.delete_secret().secret_id(secret()).send().await.expect("it is scheduled for deletion");
        } else {
            let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":{"AWS":"*"},"Action":"secretsmanager:GetSecretValue","Resource":"*"}]}"#;
            secrets
                .put_resource_policy()
                .secret_id(secret())
                .resource_policy(policy)
                .send()
                .await
                .expect("it has a policy");
        }
        assert!(!owner_reads(&stage, false), "the owner cannot fetch its key");
        stage.run().await;
        assert!(stage.keys().iter().all(|(_, active)| *active), "the owner's working key stays");
        assert!(owner_reads(&stage, false));
        // The notice is given anew, and all its days pass.
        stage.run().await;
        stage.pass_days(9);
        stage.run().await;
        assert!(stage.keys().iter().all(|(_, active)| *active));
        stage.pass_days(2);
        stage.run().await;
        assert_eq!(stage.keys()[0], (old, false));
    }
}

#[tokio::test]
async fn a_central_secret_without_its_kms_key_gets_it_before_a_key_is_stored_or_disabled() {
    // Before a rotation.
    let stage = Stage::new().await;
    let old = stage.user(&[due()]).remove(0);
    let arrange = |key: &str| {
        stage.world(|world| {
            let now = world.now();
            let version = version_id(&key.parse().expect("a key id"));
            let value = serde_json::json!({"AccessKeyId": key, "SecretAccessKey": "earlier"}).to_string();
            world.secrets.arrange(now, MANAGEMENT_ACCOUNT, REGION, &secret(), &version, &value);
        });
    };
    arrange(&old);
    stage.schedule().await;
    stage.work_with(&central(&stage)).await;
    assert_eq!(stage.keys().len(), 2);
    assert!(owner_reads(&stage, true));

    // Before a disable.
    let stage = Stage::new().await;
    let (_, new) = to_be_disabled(&stage).await;
    let version = version_id(&new.parse().expect("a key id"));
    stage.world(|world| {
        let now = world.now();
        world.secrets.arrange(now, MANAGEMENT_ACCOUNT, REGION, &secret(), &version, "{}");
    });
    assert!(!owner_reads(&stage, true));
    stage.schedule().await;
    stage.work_with(&central(&stage)).await;
    assert!(stage.keys().iter().all(|(_, active)| *active), "the owner's working key stays");
    assert!(owner_reads(&stage, true));
}

#[tokio::test]
async fn a_secret_that_is_mended_before_a_disable_keeps_the_trace_of_the_last_attempt() {
    let stage = Stage::new().await;
    let (_, new) = to_be_disabled(&stage).await;
    publish(&stage, &new);
    leave_trace(&stage, ACCOUNT, 30);
    let trace = async || {
        let answer = stage.session().await.secrets_manager().get_resource_policy().secret_id(secret()).send().await;
        let policy = answer.expect("an answer").resource_policy.expect("a policy");
        last_attempt(&serde_json::from_str(&policy).expect("JSON"))
    };
    let before = trace().await;
    let delete = stage.session().await.secrets_manager().delete_secret().secret_id(secret()).send().await;
    delete.expect("it is scheduled for deletion");
    stage.run().await;
    assert!(owner_reads(&stage, false), "it is mended");
    assert!(before.is_some() && trace().await == before);
}

#[tokio::test]
async fn a_policy_that_somebody_detached_is_attached_again_before_the_old_key_goes_and_the_owner_is_told_anew() {
    let stage = Stage::new().await;
    let old = stage.user(&[due()]).remove(0);
    let run = async || {
        stage.schedule().await;
        stage.work_with(&central(&stage)).await;
    };
    run().await;
    assert!(owner_reads(&stage, true));
    stage.pass_days(11);
    stage.world(|world| world.user_mut(ACCOUNT, USER).attached_policies.clear());
    assert!(!owner_reads(&stage, true), "the owner cannot fetch its key");
    run().await;
    assert!(stage.keys().iter().all(|(_, active)| *active), "the owner's working key stays");
    assert!(owner_reads(&stage, true));
    let told = |mails: Vec<(String, String)>| mails.iter().any(|(_, text)| text.contains("CENTRAL_SECRET_READ_POLICY"));
    assert!(told(stage.mails()), "{:?}", stage.mails());
    // The notice is given anew, and all its days pass.
    run().await;
    stage.pass_days(9);
    run().await;
    assert!(stage.keys().iter().all(|(_, active)| *active));
    stage.pass_days(2);
    run().await;
    assert_eq!(stage.keys()[0], (old, false));
}

#[tokio::test]
async fn a_user_that_has_a_renamed_ones_name_does_not_get_its_secret() {
    let stage = Stage::new().await;
    let first = stage.user(&[due()]).remove(0);
    stage.run().await;
    let published = stage.published_key();
    assert_ne!(published.as_ref(), Some(&first), "it has a successor");
    stage.world(|world| {
        world.rename_user(ACCOUNT, USER, "renamed");
        world.add_user(ACCOUNT, USER);
        world.add_key(ACCOUNT, USER, &due());
    });
    stage.run().await;
    assert_eq!(stage.keys().len(), 1, "no key is made");
    assert_eq!(stage.published_key(), published, "the renamed user's key stays where it is");
    let letters = stage.dead_letters().await;
    assert!(
        letters.iter().any(|(kind, why, _)| kind == "SecretOfAnother" && why.contains("another user")),
        "{letters:?}"
    );
}

#[tokio::test]
async fn a_user_that_is_renamed_reads_the_secret_that_has_its_former_name_after_the_next_run() {
    let stage = Stage::new().await;
    stage.user(&[due()]);
    stage.run().await;
    assert!(owner_reads(&stage, false));
    stage.world(|world| world.rename_user(ACCOUNT, USER, "renamed"));
    assert!(!reads(&stage, false, "renamed"), "the policy names the user by its former ARN");
    stage.run().await;
    assert!(reads(&stage, false, "renamed"));
}

#[tokio::test]
async fn a_replica_that_failed_is_a_finding() {
    const ELSEWHERE: &str = "eu-west-1";
    let stage = Stage::new().await;
    stage.user(&[due()]);
    stage.world(|world| {
        let now = world.now();
        world.secrets.arrange(now, ACCOUNT, ELSEWHERE, &secret(), "somebody-elses-version-0000000000000", "{}");
    });
    stage.schedule().await;
    stage.work_with(&Settings { replication_regions: vec![ELSEWHERE.to_owned()], ..stage.settings() }).await;
    assert_eq!(stage.keys().len(), 2, "it is rotated");
    assert!(stage.mails().iter().any(|(_, text)| text.contains("not replicated to eu-west-1")), "{:?}", stage.mails());
}

#[tokio::test]
async fn a_replica_that_fails_after_the_rotation_is_found_by_a_later_run_and_told_once_a_week() {
    const ELSEWHERE: &str = "eu-west-1";
    let stage = Stage::new().await;
    stage.user(&[due()]);
    let settings = Settings { replication_regions: vec![ELSEWHERE.to_owned()], ..stage.settings() };
    stage.schedule().await;
    stage.work_with(&settings).await;
    stage.world(|world| world.secrets.fail_replica(ACCOUNT, REGION, &secret(), ELSEWHERE, "the KMS key is disabled"));
    let mut told = Vec::new();
    // Until the old key is deleted there is something to look at closely on most days: the last warnings of each date.
    for day in 1..=20 {
        stage.pass_days(1);
        let before = stage.mails().len();
        stage.schedule().await;
        stage.work_with(&settings).await;
        let mails = stage.mails().split_off(before);
        let said = mails.iter().map(|(_, text)| text.matches("not replicated to eu-west-1: the KMS key").count()).sum();
        told.extend(std::iter::repeat_n(day, said));
    }
    assert!((1..=3).contains(&told.first().copied().unwrap_or_default()), "{told:?}");
    assert!((2..=12).contains(&told.len()), "{told:?}");
}

#[tokio::test]
async fn a_forced_rotations_notice_that_counted_for_nothing_is_given_anew_too() {
    let stage = Stage::new().await;
    // Told after the successor was made.
    let keys = stage.user(&[KeySpec::aged(60).used_days_ago(1), KeySpec::aged(12)]);
    remember(&stage, &keys[0], "forced", 11);
    publish(&stage, &keys[1]);
    let secrets = stage.session().await;
    let deleted = secrets.secrets_manager().delete_secret().secret_id(secret()).send().await;
    deleted.expect("it is scheduled for deletion");
    stage.run().await;
    assert!(owner_reads(&stage, false) && stage.keys().iter().all(|(_, active)| *active));
    stage.run().await;
    assert!(stage.mails().iter().any(|(_, subject)| subject.contains("replaced")), "{:?}", stage.mails());
    stage.pass_days(11);
    stage.run().await;
    assert_eq!(stage.keys()[0], (keys[0].clone(), false));
}
