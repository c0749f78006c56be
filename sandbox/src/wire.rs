//! The wire protocols: query and XML, JSON 1.0 and 1.1, and SES's REST. HTTP in, a [`Call`](crate::call::Call)'s parts out, and
//! back. Nothing here knows what an operation means.

pub mod answer;
pub mod query;
pub mod request;
mod ses;
pub mod signature;
pub(crate) mod sqs;
pub mod xml;

use crate::call::Service;

/// The protocol a service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Form parameters in, XML out.
    Query,
    /// A JSON document each way, the operation in `X-Amz-Target`.
    Json {
        /// `1.0` or `1.1`.
        version: &'static str,
    },
    /// Method and path name the operation.
    Rest,
}

impl Service {
    /// The protocol it speaks.
    pub fn protocol(self) -> Protocol {
        match self {
            Service::Iam | Service::Sts => Protocol::Query,
            Service::Organizations | Service::SecretsManager | Service::EventBridge => {
                Protocol::Json { version: "1.1" }
            }
            Service::Sqs => Protocol::Json { version: "1.0" },
            Service::Ses => Protocol::Rest,
        }
    }

    /// By the name in a signature's credential scope; SES signs as `ses`.
    pub fn by_signing_name(name: &str) -> Option<Self> {
        match name {
            "iam" => Some(Service::Iam),
            "sts" => Some(Service::Sts),
            "organizations" => Some(Service::Organizations),
            "secretsmanager" => Some(Service::SecretsManager),
            "sqs" => Some(Service::Sqs),
            "ses" => Some(Service::Ses),
            "events" => Some(Service::EventBridge),
            _ => None,
        }
    }

    /// By the prefix of `X-Amz-Target`, as in `AmazonSQS.SendMessage`.
    pub fn by_target_prefix(prefix: &str) -> Option<Self> {
        match prefix {
            "AWSOrganizationsV20161128" => Some(Service::Organizations),
            "secretsmanager" => Some(Service::SecretsManager),
            "AmazonSQS" => Some(Service::Sqs),
            "AWSEvents" => Some(Service::EventBridge),
            _ => None,
        }
    }
}
