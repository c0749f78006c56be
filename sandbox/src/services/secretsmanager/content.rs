//! What is stored: a value, and what may come with it.

use serde::Deserialize;

use super::error;
use super::secret::SecretValue;
use crate::call::ApiError;

const LONGEST_DESCRIPTION: usize = 2_048;

/// The longest value, in bytes.
const LONGEST_VALUE: usize = 65_536;

/// What creating, updating and putting have in common.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Content {
    pub(super) client_request_token: Option<String>,
    secret_string: Option<String>,
    secret_binary: Option<String>,
    pub(super) description: Option<String>,
    pub(super) kms_key_id: Option<String>,
}

impl Content {
    /// The value that is given, if one is.
    pub(super) fn value(&self) -> Result<Option<SecretValue>, ApiError> {
        let value = match (&self.secret_string, &self.secret_binary) {
            (Some(_), Some(_)) => {
                return Err(error::invalid_parameter(
                    "You can't specify both a binary secret value and a string secret value in the same secret.",
                ));
            }
            (Some(text), None) => SecretValue::SecretString(text.clone()),
            (None, Some(bytes)) => SecretValue::SecretBinary(bytes.clone()),
            (None, None) => return Ok(None),
        };
        let length = self.secret_string.as_ref().or(self.secret_binary.as_ref()).map_or(0, String::len);
        if length > LONGEST_VALUE {
            return Err(error::invalid_parameter(format!(
                "The secret value must not be longer than {LONGEST_VALUE} bytes; it has {length}."
            )));
        }
        Ok(Some(value))
    }
}

pub(super) fn check_description(description: Option<&str>) -> Result<(), ApiError> {
    if description.is_some_and(|text| text.chars().count() > LONGEST_DESCRIPTION) {
        return Err(error::invalid_parameter(format!(
            "The description must not be longer than {LONGEST_DESCRIPTION} characters."
        )));
    }
    Ok(())
}
