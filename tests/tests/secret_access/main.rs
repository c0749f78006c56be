//! Who may do what with a user's secret, by trying: each principal, each call, both stores.

mod changes;
mod leak;
mod readers;
mod smtp;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use end_to_end::{ACCOUNT, Stage, USER};
use key_rotation_aws::{AwsError, Connection, MemberRole};
use rotation::names::secret_name;
use rotation::readers::{ReaderPattern, Readers};
use sandbox::serve::REGION;
use sandbox::world::MANAGEMENT_ACCOUNT;
use sandbox::{KeySpec, client};
use worker::Settings;

/// A customer-managed key; the sandbox only looks at its shape.
const KMS_KEY: &str = "arn:aws:kms:eu-central-2:999999999999:key/1234abcd-12ab-34cd-56ef-1234567890ab";

/// As the templates have it.
const BREAK_GLASS: &str = "arn:aws:iam::{account}:role/IAMKeyRotationBreakGlass";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Store {
    /// Each account's own.
    Own,
    Central,
}

impl Store {
    const BOTH: [Store; 2] = [Store::Own, Store::Central];

    /// The account that secrets are in.
    fn account(self) -> &'static str {
        match self {
            Store::Own => ACCOUNT,
            Store::Central => MANAGEMENT_ACCOUNT,
        }
    }

    /// With a reader of every user's, and some that tags may name.
    fn with_readers(self, stage: &Stage) -> Settings {
        let read = |texts: &[&str]| texts.iter().map(|text| ReaderPattern::new(text).expect("a reader")).collect();
        let readers = Readers { always: read(&[BREAK_GLASS]), allowed: read(&["arn:aws:iam::{account}:role/ci-*"]) };
        Settings { readers, ..self.settings(stage) }
    }

    fn settings(self, stage: &Stage) -> Settings {
        match self {
            Store::Own => stage.settings(),
            Store::Central => Settings {
                central_store: true,
                kms_key_id: Some(KMS_KEY.to_owned()),
                central_read_policy: Some("IAMKeyRotationReadOwnSecret".to_owned()),
                ..stage.settings()
            },
        }
    }
}

fn secret() -> String {
    secret_name(&ACCOUNT.parse().expect("an account id"), &USER.parse().expect("a user name"))
}

fn secret_arn(stage: &Stage, store: Store) -> String {
    stage.world(|world| world.secrets.secret(store.account(), REGION, &secret()).expect("the secret").arn.clone())
}

fn due() -> KeySpec {
    KeySpec::aged(95).used_days_ago(1)
}

/// Whoever has assumed this role, which is there to be assumed.
async fn role(stage: &Stage, account: &str, name: &str) -> Connection {
    stage.world(|world| {
        world.add_role(account, name);
    });
    let role = MemberRole { name: name.to_owned(), external_id: None };
    let account = account.parse().expect("an account id");
    role.connect(&stage.connection("test"), &account, "test").await.expect("the role can be assumed")
}

/// The user that has this key. The sandbox tells callers by the key's id.
fn user(stage: &Stage, key: &str) -> Connection {
    let credentials = Credentials::new(key, "secret", None, None, "test");
    let config = client::sdk_config(&stage.sandbox, "test").to_builder();
    let config = config.credentials_provider(SharedCredentialsProvider::new(credentials)).build();
    Connection::from_sdk_config(config).expect("the region is set")
}

/// The access key id in the secret, read by this principal; otherwise AWS's code of the refusal.
async fn reads(by: &Connection, secret: &str) -> Result<String, String> {
    let answer = by.secrets_manager().get_secret_value().secret_id(secret).send().await;
    let answer =
        answer.map_err(|error| AwsError::new("secretsmanager:GetSecretValue", error).code.unwrap_or_default())?;
    let value: serde_json::Value = serde_json::from_str(answer.secret_string().expect("a text")).expect("JSON");
    Ok(value["AccessKeyId"].as_str().expect("a key's id").to_owned())
}
