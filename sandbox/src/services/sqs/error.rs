//! The refusals of SQS, by the names of their shapes in the service's model. The JSON protocol carries two names for some of
//! them: the shape's in the body and, for callers that still think in the query protocol, an older one in a header.

use crate::call::ApiError;

/// A refusal with status 400, as all but a few of SQS's are.
fn refusal(code: &str, message: impl Into<String>) -> ApiError {
    ApiError::new(400, code, message)
}

pub(super) fn queue_does_not_exist() -> ApiError {
    refusal("QueueDoesNotExist", "The specified queue does not exist.")
}

pub(super) fn access_denied(arn: &str) -> ApiError {
    ApiError::new(403, "AccessDeniedException", format!("Access to the resource {arn} is denied."))
}

pub(super) fn unknown_attribute(name: &str) -> ApiError {
    refusal("InvalidAttributeName", format!("Unknown Attribute {name}."))
}

pub(super) fn invalid_attribute_value(name: &str) -> ApiError {
    refusal("InvalidAttributeValue", format!("Invalid value for the parameter {name}."))
}

pub(super) fn invalid_parameter(name: &str, value: impl std::fmt::Display, reason: &str) -> ApiError {
    invalid_value(format!("Value {value} for parameter {name} is invalid. Reason: {reason}"))
}

pub(super) fn invalid_value(message: impl Into<String>) -> ApiError {
    refusal("InvalidParameterValue", message)
}

pub(super) fn missing_parameter(name: &str) -> ApiError {
    refusal("MissingParameter", format!("The request must contain the parameter {name}."))
}

pub(super) fn not_for_this_kind_of_queue(name: &str, value: impl std::fmt::Display) -> ApiError {
    invalid_parameter(name, value, "The request include parameter that is not valid for this queue type.")
}

pub(super) fn receipt_handle_is_invalid(handle: &str) -> ApiError {
    refusal("ReceiptHandleIsInvalid", format!("The input receipt handle \"{handle}\" is not a valid receipt handle."))
}

pub(super) fn resource_not_found(parameter: &str) -> ApiError {
    ApiError::new(
        404,
        "ResourceNotFoundException",
        format!("The resource that you specified for the {parameter} parameter doesn't exist."),
    )
}

pub(super) fn other(code: &str, message: impl Into<String>) -> ApiError {
    refusal(code, message)
}
