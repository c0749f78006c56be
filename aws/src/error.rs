//! The one place that decides what an AWS error means.
//!
//! From typed errors and codes, never from message text. What is done about a class is decided by who made the call; what
//! class an error has is decided here and nowhere else.

mod cause;

use std::fmt;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use rotation::Reason;

use self::cause::Cause;
use crate::environment::EndpointSettings;

/// What an error means to whoever made the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// Too fast for this account or region: wait, and wait longer each time.
    Throttled,
    /// The network's or the service's fault: try again.
    Transient,
    /// The credentials are no longer valid: assume the role anew.
    SessionEnded,
    /// Refused by a policy.
    Denied,
    /// What the call is about does not exist.
    NotFound,
    /// It exists already, is in use, or has changed since it was read.
    Conflict,
    /// A quota that waiting does not refill, as IAM's two keys per user.
    LimitExceeded,
    /// The mail service will not send this mail from this sender or to this recipient.
    Rejected,
    /// The mail service does not send at all for this account just now.
    SendingPaused,
    /// The region, or a service in it, is not enabled for the account.
    NotEnabled,
    /// The request is wrong: trying again will not help.
    Invalid,
}

impl ErrorClass {
    /// Whether the same call may succeed a little later.
    pub fn may_pass(self) -> bool {
        match self {
            ErrorClass::Throttled | ErrorClass::Transient => true,
            ErrorClass::SessionEnded
            | ErrorClass::Denied
            | ErrorClass::NotFound
            | ErrorClass::Conflict
            | ErrorClass::LimitExceeded
            | ErrorClass::Rejected
            | ErrorClass::SendingPaused
            | ErrorClass::NotEnabled
            | ErrorClass::Invalid => false,
        }
    }
}

impl From<ErrorClass> for Reason {
    /// The reason of a dead letter whose work failed on such an error.
    fn from(class: ErrorClass) -> Self {
        match class {
            ErrorClass::Throttled => Reason::Throttled,
            ErrorClass::Transient => Reason::Transient,
            ErrorClass::SessionEnded => Reason::SessionEnded,
            ErrorClass::Denied => Reason::Denied,
            ErrorClass::NotFound => Reason::NotFound,
            ErrorClass::Conflict => Reason::Conflict,
            ErrorClass::LimitExceeded => Reason::LimitExceeded,
            ErrorClass::Rejected | ErrorClass::SendingPaused => Reason::Mail,
            ErrorClass::NotEnabled => Reason::NotEnabled,
            ErrorClass::Invalid => Reason::Invalid,
        }
    }
}

/// A call that failed: which, how, and what that means.
///
/// Holds no part of a request or of an answer's body but the service's own code and sentence, so it can be logged, mailed
/// and put on a dead letter: `CreateAccessKey`'s answer, the one that carries a secret, never gets in here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operation} failed: {what}")]
pub struct AwsError {
    /// The call, as IAM policies spell it: `iam:CreateAccessKey`.
    pub operation: &'static str,
    pub class: ErrorClass,
    /// The service's error code, where it answered with one.
    pub code: Option<String>,
    /// Whether the call may have taken effect all the same.
    pub ambiguous: bool,
    /// Whether there were no credentials to sign the call with. A person at a terminal need not wait for that to pass.
    pub unsigned: bool,
    /// Whether the answer may be another server's, a proxy's or a captive portal's, and not AWS's.
    pub foreign: bool,
    what: String,
}

impl AwsError {
    /// Classifies an SDK error of this call.
    pub fn new<E>(operation: &'static str, error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata,
    {
        match error {
            SdkError::ConstructionFailure(_) => {
                Self::local(operation, ErrorClass::Invalid, "the request could not be built")
            }
            SdkError::TimeoutError(_) => Self::unknown(operation, "no answer in time"),
            SdkError::DispatchFailure(failure) => {
                let connector = failure.as_connector_error();
                Self::not_answered(operation, connector.and_then(|error| Cause::find(error)), failure.is_timeout())
            }
            SdkError::ResponseError(_) => Self::unknown(operation, "the answer could not be read"),
            // The SDK counts an answer of success whose body it cannot read as the service's error.
            SdkError::ServiceError(answer) if answer.raw().status().is_success() => {
                Self::unknown(operation, "the answer could not be read")
            }
            SdkError::ServiceError(answer) => {
                let status = answer.raw().status().as_u16();
                let Some(code) = answer.err().code().map(str::to_owned) else {
                    return Self::without_code(operation, status);
                };
                let sentence = answer.err().message().unwrap_or("no reason given");
                let class = classify(operation, &code, status);
                let what = format!("{code}: {sentence}");
                let ambiguous = status >= 500 || is_servers_fault(&code);
                Self { operation, class, ambiguous, unsigned: false, foreign: false, what, code: Some(code) }
            }
            other => Self::unknown(operation, &format!("{}", VariantName(&other))),
        }
    }

    /// Whether another request was changing the same thing at the same time, so that this one was refused.
    pub fn is_concurrent_modification(&self) -> bool {
        matches!(self.code.as_deref(), Some("ConcurrentModification" | "ConcurrentModificationException"))
    }

    /// Every service gives its errors a code. An answer without one may be that of a proxy on the way, which has perhaps refused the answer
    /// and not the request: it says nothing about what AWS did.
    fn without_code(operation: &'static str, status: u16) -> Self {
        let class = if status == 429 { ErrorClass::Throttled } else { ErrorClass::Transient };
        let what = format!("an answer with the status {status} and no error code, which may not be AWS's own");
        Self { operation, class, code: None, ambiguous: true, unsigned: false, foreign: true, what }
    }

    /// An answer of the service that lacks what it must have.
    pub fn incomplete(operation: &'static str, what: &str) -> Self {
        Self::unknown(operation, what)
    }

    fn not_answered(operation: &'static str, cause: Option<Cause>, timeout: bool) -> Self {
        let way = EndpointSettings::of_process(operation);
        let what = match &cause {
            Some(cause) => cause.sentence(&way),
            None if timeout => format!("{} could not be reached in time: check the network", way.destination()),
            None => "the connection broke".to_owned(),
        };
        let unsigned = cause.is_some_and(|cause| cause.is_credentials());
        // A container's or an instance's credentials may be there the next time, so this too is transient. But for a call that
        // was not signed, the request may have arrived and its answer been lost.
        Self {
            operation,
            class: ErrorClass::Transient,
            code: None,
            ambiguous: !unsigned,
            unsigned,
            foreign: false,
            what,
        }
    }

    /// Why the source of the credentials failed, where a call was not sent because of it.
    pub(crate) fn credentials_failure<E>(error: &SdkError<E, HttpResponse>) -> Option<String> {
        let SdkError::DispatchFailure(failure) = error else { return None };
        match failure.as_connector_error().and_then(|error| Cause::find(error))? {
            Cause::CredentialsFailed(why) => Some(why),
            Cause::NoCredentials
            | Cause::CredentialsNotReached(_)
            | Cause::UnknownHost(_)
            | Cause::Refused
            | Cause::Tls(_)
            | Cause::Closed => None,
        }
    }

    fn local(operation: &'static str, class: ErrorClass, what: &str) -> Self {
        Self { operation, class, code: None, ambiguous: false, unsigned: false, foreign: false, what: what.to_owned() }
    }

    fn unknown(operation: &'static str, what: &str) -> Self {
        let class = ErrorClass::Transient;
        Self { operation, class, code: None, ambiguous: true, unsigned: false, foreign: false, what: what.to_owned() }
    }
}

/// `SdkError` is non-exhaustive: a variant unknown to this version has a fixed text.
struct VariantName<'a, E>(&'a SdkError<E, HttpResponse>);

impl<E> fmt::Display for VariantName<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            SdkError::ServiceError(_) => f.write_str("the service refused"),
            _ => f.write_str("the call failed in a way this version does not know"),
        }
    }
}

/// Codes by meaning. Sources: the "Errors" sections of each operation's API reference, and each service's "Common errors".
const CODES: &[(ErrorClass, &[&str])] = &[
    // Rates, of all services. `ServiceQuota…` and SES's daily quota refill with time as well.
    (
        ErrorClass::Throttled,
        &[
            "Throttling",
            "ThrottlingException",
            "ThrottledException",
            "TooManyRequestsException",
            "RequestThrottled",
            "RequestThrottledException",
            "RequestLimitExceeded",
            "SlowDown",
            "PriorRequestNotComplete",
            "LimitExceededException",
            "OverLimit",
            "KmsThrottled",
        ],
    ),
    // Sessions: over, or not yet known everywhere.
    (
        ErrorClass::SessionEnded,
        &[
            "ExpiredToken",
            "ExpiredTokenException",
            "InvalidClientTokenId",
            "UnrecognizedClientException",
            "RequestExpired",
        ],
    ),
    (
        ErrorClass::Denied,
        &[
            "AccessDenied",
            "AccessDeniedException",
            "AccessDeniedForDependencyException",
            "NotAuthorized",
            "UnauthorizedOperation",
            "KmsAccessDenied",
            "AWSOrganizationsNotInUseException",
        ],
    ),
    // "STS is not activated in the requested region for the account that is being asked to generate credentials" (its API
    // reference, `AssumeRole`); and the common error of services that need a subscription.
    (ErrorClass::NotEnabled, &["RegionDisabledException", "OptInRequired"]),
    (
        ErrorClass::NotFound,
        &[
            "NoSuchEntity",
            "NoSuchEntityException",
            "ResourceNotFoundException",
            "NotFoundException",
            "AccountNotFoundException",
            "OrganizationalUnitNotFoundException",
            "ParentNotFoundException",
            "ReportNotPresent",
            "ReportExpired",
            "QueueDoesNotExist",
            "AWS.SimpleQueueService.NonExistentQueue",
        ],
    ),
    (
        ErrorClass::Conflict,
        &[
            "EntityAlreadyExists",
            "EntityTemporarilyUnmodifiable",
            "DeleteConflict",
            "ConcurrentModification",
            "ConcurrentModificationException",
            "ResourceExistsException",
            "InvalidRequestException",
            "ReportInProgress",
        ],
    ),
    (ErrorClass::LimitExceeded, &["LimitExceeded"]),
    (ErrorClass::Rejected, &["MessageRejected", "MailFromDomainNotVerifiedException"]),
    (ErrorClass::SendingPaused, &["AccountSuspendedException", "SendingPausedException"]),
    (ErrorClass::Transient, &["RequestTimeout", "RequestTimeoutException", "IDPCommunicationError"]),
];

fn classify(operation: &str, code: &str, status: u16) -> ErrorClass {
    // "The request failed because it would exceed one of the Secrets Manager quotas" (its API reference); no rate.
    if code == "LimitExceededException" && operation.starts_with("secretsmanager:") {
        return ErrorClass::LimitExceeded;
    }
    // "If the label is attached and you either do not specify this parameter, or the version ID does not match, then the operation
    // fails" (its API reference, `UpdateSecretVersionStage`, `RemoveFromVersionId`): another version is published than the request says.
    // Of any other call the parameter itself is wrong, such as a region that does not exist: "Invalid replica region".
    if code == "InvalidParameterException" && operation == "secretsmanager:UpdateSecretVersionStage" {
        return ErrorClass::Conflict;
    }
    match CODES.iter().find(|(_, codes)| codes.contains(&code)) {
        Some((class, _)) => *class,
        None if status == 429 => ErrorClass::Throttled,
        None if status >= 500 || is_servers_fault(code) => ErrorClass::Transient,
        None => ErrorClass::Invalid,
    }
}

/// Whether the service says that it has failed itself, whatever the status. (Secrets Manager's reference, "Common errors",
/// documents `InternalServiceError` with the status 400.)
fn is_servers_fault(code: &str) -> bool {
    matches!(code, "InternalServiceError" | "InternalFailure" | "InternalServerError" | "ServiceUnavailable")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throttling_is_told_from_refusal_whatever_the_status() {
        assert_eq!(classify("iam:GetUser", "Throttling", 400), ErrorClass::Throttled);
        assert_eq!(classify("iam:GetUser", "ThrottlingException", 400), ErrorClass::Throttled);
        assert_eq!(classify("iam:GetUser", "AccessDenied", 403), ErrorClass::Denied);
    }

    #[test]
    fn a_region_that_is_not_enabled_is_no_missing_right() {
        assert_eq!(classify("sts:AssumeRole", "RegionDisabledException", 403), ErrorClass::NotEnabled);
        assert_eq!(classify("any:Call", "OptInRequired", 403), ErrorClass::NotEnabled);
    }

    #[test]
    fn iams_two_keys_are_a_limit_and_not_a_rate() {
        assert_eq!(classify("iam:CreateAccessKey", "LimitExceeded", 409), ErrorClass::LimitExceeded);
        assert_eq!(classify("ses:SendEmail", "LimitExceededException", 400), ErrorClass::Throttled);
    }

    #[test]
    fn a_quota_of_secrets_manager_is_a_limit_and_not_a_rate() {
        let class = classify("secretsmanager:PutSecretValue", "LimitExceededException", 400);
        assert_eq!(class, ErrorClass::LimitExceeded);
    }

    #[test]
    fn a_wrong_parameter_is_a_conflict_only_where_the_published_version_has_moved() {
        let class = |operation| classify(operation, "InvalidParameterException", 400);
        assert_eq!(class("secretsmanager:UpdateSecretVersionStage"), ErrorClass::Conflict);
        assert_eq!(class("secretsmanager:ReplicateSecretToRegions"), ErrorClass::Invalid);
        assert_eq!(class("secretsmanager:PutSecretValue"), ErrorClass::Invalid);
    }

    #[test]
    fn an_unknown_code_is_transient_only_where_the_service_says_it_is_its_own_fault() {
        assert_eq!(classify("any:Call", "SomethingNew", 503), ErrorClass::Transient);
        assert_eq!(classify("any:Call", "SomethingNew", 400), ErrorClass::Invalid);
        assert_eq!(classify("secretsmanager:PutSecretValue", "InternalServiceError", 400), ErrorClass::Transient);
    }
}
