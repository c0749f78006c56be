//! The refusals of Secrets Manager. All have status 400.

use crate::call::ApiError;

fn refusal(code: &str, message: impl Into<String>) -> ApiError {
    ApiError::new(400, code, message)
}

pub(super) fn not_found() -> ApiError {
    refusal("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
}

pub(super) fn version_not_found(which: &str) -> ApiError {
    let message = format!("Secrets Manager can't find the specified secret value for {which}");
    refusal("ResourceNotFoundException", message)
}

pub(super) fn exists(message: impl Into<String>) -> ApiError {
    refusal("ResourceExistsException", message)
}

pub(super) fn invalid_parameter(message: impl Into<String>) -> ApiError {
    refusal("InvalidParameterException", message)
}

pub(super) fn invalid_request(message: impl Into<String>) -> ApiError {
    refusal("InvalidRequestException", message)
}

pub(super) fn marked_for_deletion() -> ApiError {
    invalid_request("You can't perform this operation on the secret because it was marked for deletion.")
}

pub(super) fn malformed_policy(message: impl Into<String>) -> ApiError {
    refusal("MalformedPolicyDocumentException", message)
}

pub(super) fn public_policy() -> ApiError {
    refusal("PublicPolicyException", "You can't attach a resource policy that grants broad access to the secret.")
}

pub(super) fn access_denied(message: impl Into<String>) -> ApiError {
    refusal("AccessDeniedException", message)
}

pub(super) fn limit_exceeded(message: impl Into<String>) -> ApiError {
    refusal("LimitExceededException", message)
}

pub(super) fn invalid_next_token() -> ApiError {
    refusal("InvalidNextTokenException", "The next token is invalid.")
}
