//! The refusals every service has, in each one's own words: unknown and expired credentials, missing rights, too many requests,
//! errors of its own, and operations the sandbox does not know.

use crate::call::{ApiError, Call, Service};

/// Credentials that are unknown, switched off, or do not fit together.
pub(crate) fn invalid_credentials(service: Service) -> ApiError {
    let (status, code) = match service {
        Service::Iam | Service::Sts | Service::Sqs => (403, "InvalidClientTokenId"),
        Service::Organizations | Service::SecretsManager | Service::EventBridge => (400, "UnrecognizedClientException"),
        Service::Ses => (403, "UnrecognizedClientException"),
    };
    ApiError::new(status, code, "The security token included in the request is invalid.")
}

/// A session that has ended.
pub(crate) fn expired_credentials(service: Service) -> ApiError {
    let (status, code) = match service {
        Service::Iam | Service::Sts => (403, "ExpiredToken"),
        Service::Sqs => (403, "ExpiredTokenException"),
        Service::Organizations | Service::SecretsManager | Service::EventBridge => (400, "ExpiredTokenException"),
        Service::Ses => (403, "ExpiredTokenException"),
    };
    ApiError::new(status, code, "The security token included in the request is expired")
}

pub(crate) fn access_denied(service: Service, message: String) -> ApiError {
    let (status, code) = match service {
        Service::Iam | Service::Sts => (403, "AccessDenied"),
        Service::Sqs | Service::Ses => (403, "AccessDeniedException"),
        Service::Organizations | Service::SecretsManager | Service::EventBridge => (400, "AccessDeniedException"),
    };
    ApiError::new(status, code, message)
}

pub(crate) fn throttled(service: Service) -> ApiError {
    let (status, code) = match service {
        Service::Iam | Service::Sts => (400, "Throttling"),
        Service::SecretsManager | Service::EventBridge => (400, "ThrottlingException"),
        Service::Organizations => (400, "TooManyRequestsException"),
        Service::Sqs => (403, "RequestThrottled"),
        Service::Ses => (429, "TooManyRequestsException"),
    };
    ApiError::new(status, code, "Rate exceeded")
}

/// IAM's, where another request is changing the same thing. (IAM API reference, `TagUser`, errors.)
pub(crate) fn concurrent() -> ApiError {
    let message = "The request was rejected because multiple requests to change this object were submitted simultaneously. Wait a few minutes and submit your request again.";
    ApiError::new(409, "ConcurrentModification", message)
}

/// An error of the service's own.
pub(crate) fn server_error(service: Service) -> ApiError {
    let code = match service {
        Service::Iam => "ServiceFailure",
        Service::Sts | Service::Sqs => "InternalFailure",
        Service::Organizations => "ServiceException",
        Service::SecretsManager => "InternalServiceError",
        Service::EventBridge => "InternalException",
        Service::Ses => "InternalServiceErrorException",
    };
    ApiError::new(500, code, "The request processing has failed because of an unknown error, exception or failure.")
}

/// An operation the sandbox does not know.
pub(crate) fn unsupported(call: &Call) -> ApiError {
    let action = format!("{}:{}", call.service.prefix(), call.operation);
    ApiError::new(
        501,
        "NotImplemented",
        format!("sandbox: {action} is not supported; it knows only what the product calls"),
    )
}
