//! A secret as its readers find it: read by a principal of one's own, whom the sandbox allows what AWS would.

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use key_rotation_aws::{AwsError, Connection};
use sandbox::client;

use crate::Stage;

/// The user that has this key. The sandbox tells callers by the key's id.
pub fn user(stage: &Stage, key: &str) -> Connection {
    let credentials = Credentials::new(key, "secret", None, None, "test");
    let config = client::sdk_config(&stage.sandbox, "test").to_builder();
    let config = config.credentials_provider(SharedCredentialsProvider::new(credentials)).build();
    Connection::from_sdk_config(config).expect("the region is set")
}

/// The access key id in the secret, read by this principal; otherwise AWS's code of the refusal.
///
/// # Errors
/// That code.
pub async fn reads(by: &Connection, secret: &str) -> Result<String, String> {
    let answer = by.secrets_manager().get_secret_value().secret_id(secret).send().await;
    let answer =
        answer.map_err(|error| AwsError::new("secretsmanager:GetSecretValue", error).code.unwrap_or_default())?;
    let value: serde_json::Value = serde_json::from_str(answer.secret_string().expect("a text")).expect("JSON");
    Ok(value["AccessKeyId"].as_str().expect("a key's id").to_owned())
}
