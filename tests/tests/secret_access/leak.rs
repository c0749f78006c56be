//! After a leak response the user goes on: a named role fetches the new key, which is put in the leaked one's place.

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use end_to_end::{ACCOUNT, Stage, USER};
use jiff::SignedDuration;
use key_rotation_aws::Connection;
use rotation::Task;
use rotation::job::{ForceRotate, Whom};
use sandbox::serve::REGION;
use sandbox::{KeySpec, client};

use crate::{Store, reads, role, secret_arn, user};

async fn identity(connection: &Connection) -> Option<String> {
    connection.sts().get_caller_identity().send().await.ok()?.arn
}

#[tokio::test]
async fn after_a_leak_response_a_reader_fetches_the_key_installs_it_and_the_user_goes_on() {
    for store in Store::BOTH {
        let stage = Stage::new().await;
        let leaked = stage.user(&[KeySpec::aged(20).used_days_ago(0)]).remove(0);
        let whom = Whom::Key(leaked.parse().expect("a key id"));
        let request = ForceRotate { whom, disable_old_now: true, override_exemption: false };
        stage.send(&stage.job(Task::ForceRotate(request))).await;
        stage.work_with(&store.with_readers(&stage)).await;

        // The user is out, and its mail does not tell it to do what it cannot.
        let id = secret_arn(&stage, store);
        assert_eq!(identity(&user(&stage, &leaked)).await, None);
        assert!(reads(&user(&stage, &leaked), &id).await.is_err());
        let text = stage.mails().pop().expect("a mail").1;
        assert!(!text.contains("Run it as the user"), "{text}");
        let look_up = format!("--lookup-attributes AttributeKey=AccessKeyId,AttributeValue={leaked} ");
        assert!(text.contains("aws cloudtrail lookup-events") && text.contains(&look_up), "{text}");
        assert!(text.contains("Sessions that the key began"), "{text}");
        assert!(text.contains(&format!("role arn:aws:iam::{ACCOUNT}:role/IAMKeyRotationBreakGlass")), "{text}");
        // The line is what the reader runs: the secret's name, or its ARN from another account.
        let named = text.split("--secret-id ").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("a line");
        let reader = role(&stage, ACCOUNT, "IAMKeyRotationBreakGlass").await;
        let value = reader.secrets_manager().get_secret_value().secret_id(named.trim_matches('\'')).send().await;
        let value = value.expect("the reader reads").secret_string.expect("a text");
        let value: serde_json::Value = serde_json::from_str(&value).expect("JSON");

        let field = |name: &str| value[name].as_str().expect("a text").to_owned();
        let installed = Credentials::new(field("AccessKeyId"), field("SecretAccessKey"), None, None, "installed");
        let config = client::sdk_config(&stage.sandbox, "test").to_builder();
        let config = config.credentials_provider(SharedCredentialsProvider::new(installed)).build();
        let goes_on = Connection::from_sdk_config(config).expect("the region is set");
        assert!(identity(&goes_on).await.is_some_and(|arn| arn.ends_with(&format!("user/{USER}"))), "{REGION}");

        // And nothing happens to the new key until it is due.
        for _ in 0..4 {
            stage.pass_days(20);
            stage.schedule().await;
            stage.work_with(&store.with_readers(&stage)).await;
        }
        assert_eq!(stage.keys(), [(field("AccessKeyId"), true)]);
    }
}

#[tokio::test]
async fn without_readers_the_mail_names_no_command_and_says_whom_to_ask() {
    let stage = Stage::new().await;
    stage.user(&[KeySpec::aged(20).used_days_ago(0)]);
    let whom = Whom::User(USER.parse().expect("a user name"));
    let request = ForceRotate { whom, disable_old_now: true, override_exemption: false };
    stage.send(&stage.job(Task::ForceRotate(request))).await;
    stage.work().await;
    let text = stage.mails().pop().expect("a mail").1;
    assert!(!text.contains("get-secret-value"), "{text}");
    assert!(text.contains("nobody else may read its secret") && text.contains("answer this mail"), "{text}");
}

#[tokio::test]
async fn a_user_with_another_key_fetches_with_that() {
    let stage = Stage::new().await;
    let keys = stage.user(&[KeySpec::aged(50).used_days_ago(0), KeySpec::aged(20).used_days_ago(0)]);
    let whom = Whom::Key(keys[1].parse().expect("a key id"));
    let request = ForceRotate { whom, disable_old_now: true, override_exemption: false };
    stage.send(&stage.job(Task::ForceRotate(request))).await;
    stage.work().await;
    // It needs the leaked key's place, and deletes it a minute after that is announced.
    stage.pass(SignedDuration::from_mins(2));
    stage.work().await;
    let text = stage.mails().pop().expect("a mail").1;
    assert!(text.contains("with its other key: this one no longer works"), "{text}");
    let id = secret_arn(&stage, Store::Own);
    assert_eq!(reads(&user(&stage, &keys[0]), &id).await.ok(), stage.published_key());
}
