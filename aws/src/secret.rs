//! What both programs read of a secret: everything but what is in it.

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;

use crate::error::{AwsError, ErrorClass};

/// The stage of the version that is published.
pub const CURRENT: &str = "AWSCURRENT";

/// Describes a secret. `None`: there is none of that name.
///
/// # Errors
/// [`AwsError`].
pub async fn describe(client: &Client, name: &str) -> Result<Option<DescribeSecretOutput>, AwsError> {
    match client.describe_secret().secret_id(name).send().await {
        Ok(secret) => Ok(Some(secret)),
        Err(error) => match AwsError::new("secretsmanager:DescribeSecret", error) {
            error if error.class == ErrorClass::NotFound => Ok(None),
            error => Err(error),
        },
    }
}
