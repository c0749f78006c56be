//! Nobody but the worker changes a user's secret or who may read it.

use end_to_end::scenario::publish;
use end_to_end::{ACCOUNT, Stage, secret};
use key_rotation_aws::{AwsError, Connection};
use sandbox::serve::REGION;

use crate::{Store, due, reads, role, secret_arn, user};

const ANYBODY_READS: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"secretsmanager:GetSecretValue","Resource":"*"}]}"#;

/// What becomes of every call that changes the secret: its name, and the code of the refusal.
async fn try_to_change(by: &Connection, id: &str) -> Vec<(&'static str, Option<String>)> {
    let secrets = by.secrets_manager();
    let mut tried = Vec::new();
    macro_rules! attempt {
        ($operation:literal, $call:expr) => {
            let refused = $call.secret_id(id).send().await.err();
            tried.push(($operation, refused.and_then(|error| AwsError::new($operation, error).code)));
        };
    }
    attempt!("PutResourcePolicy", secrets.put_resource_policy().resource_policy(ANYBODY_READS));
    attempt!("DeleteResourcePolicy", secrets.delete_resource_policy());
    attempt!("PutSecretValue", secrets.put_secret_value().secret_string("{}"));
    attempt!("UpdateSecret", secrets.update_secret().kms_key_id("alias/mine"));
    attempt!(
        "UpdateSecretVersionStage",
        secrets.update_secret_version_stage().version_stage("AWSCURRENT").move_to_version_id("x".repeat(36))
    );
    attempt!("DeleteSecret", secrets.delete_secret());
    tried
}

#[tokio::test]
async fn nobody_but_the_worker_changes_a_secret_or_lets_anybody_in_and_the_owner_goes_on_reading() {
    for store in Store::BOTH {
        let stage = Stage::new().await;
        let old = stage.user(&[due()]).remove(0);
        let other = stage.user_named("eve", &[due()]).remove(0);
        stage.schedule().await;
        stage.work_with(&store.settings(&stage)).await;
        let id = secret_arn(&stage, store);
        let policy = || {
            stage.world(|world| {
                let secret = world.secrets.secret(store.account(), REGION, &secret()).expect("the secret");
                secret.policy.as_ref().map(|policy| policy.text.clone())
            })
        };
        let before = policy();
        let mut principals = vec![
            ("an administrator of the store", role(&stage, store.account(), "Administrator").await),
            ("an administrator of the account", role(&stage, ACCOUNT, "Administrator").await),
            (
                "a namesake of the worker's role",
                role(&stage, ACCOUNT, "mine-asa-iam-key-rotation-lambda-assumed-role").await,
            ),
            ("the user itself", user(&stage, &old)),
            ("another user", user(&stage, &other)),
        ];
        if store == Store::Central {
            // There the workers write under their own name.
            let name = stage.settings().role.name;
            principals.push(("the member role", role(&stage, ACCOUNT, &name).await));
        }
        for (who, principal) in &principals {
            for (operation, refused) in try_to_change(principal, &id).await {
                assert_eq!(refused.as_deref(), Some("AccessDeniedException"), "{operation} by {who}, {store:?}");
            }
            if *who != "the user itself" {
                assert_eq!(reads(principal, &id).await, Err("AccessDeniedException".to_owned()), "{who}, {store:?}");
            }
        }
        assert_eq!(policy(), before);
        let published = stage.published_key().expect("a successor");
        assert_eq!(reads(&user(&stage, &old), &id).await, Ok(published.clone()));

        // The worker is not locked out: the next successor is stored and published.
        stage.pass_days(95);
        stage.schedule().await;
        stage.work_with(&store.settings(&stage)).await;
        stage.pass_days(11);
        stage.schedule().await;
        stage.work_with(&store.settings(&stage)).await;
        assert_ne!(stage.published_key(), Some(published), "{store:?}: {:?}", stage.dead_letters().await);
    }
}

#[tokio::test]
async fn a_secret_of_an_earlier_version_is_closed_to_others_at_the_next_rotation() {
    let stage = Stage::new().await;
    let old = stage.user(&[due()]).remove(0);
    publish(&stage, &old);
    let owner = format!("arn:aws:iam::{ACCOUNT}:user/{}", end_to_end::USER);
    let earlier = serde_json::json!({
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": owner}, "Action": "secretsmanager:GetSecretValue", "Resource": "*"},
            {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "secretsmanager:GetSecretValue", "Resource": "*",
             "Condition": {"StringNotEquals": {"aws:PrincipalArn": owner}}},
        ],
    });
    stage.world(|world| world.secrets.arrange_policy(ACCOUNT, REGION, &secret(), &earlier.to_string()));
    stage.run().await;
    let administrator = role(&stage, ACCOUNT, "Administrator").await;
    let tried = try_to_change(&administrator, &secret()).await;
    assert!(tried.iter().all(|(_, refused)| refused.as_deref() == Some("AccessDeniedException")), "{tried:?}");
}
