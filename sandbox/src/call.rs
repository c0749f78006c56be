//! One AWS call as the services see it: who calls, what, with which parameters, and what is answered.
//!
//! The server turns HTTP into a [`Call`]; a service turns a [`Call`] into an [`Answer`] or an [`ApiError`]; the server
//! turns that back into the service's own wire protocol. Services know nothing of HTTP.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

/// The services the sandbox speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Identity and Access Management: query protocol, XML answers, version 2010-05-08.
    Iam,
    /// Security Token Service: query protocol, XML answers, version 2011-06-15.
    Sts,
    /// Organizations: JSON 1.1, target prefix `AWSOrganizationsV20161128`.
    Organizations,
    /// Secrets Manager: JSON 1.1, target prefix `secretsmanager`.
    SecretsManager,
    /// Simple Queue Service: JSON 1.0, target prefix `AmazonSQS`.
    Sqs,
    /// Simple Email Service v2: REST, JSON.
    Ses,
    /// EventBridge: JSON 1.1, target prefix `AWSEvents`.
    EventBridge,
}

impl Service {
    /// The prefix of the service's IAM actions, as in `iam:ListUsers`.
    pub fn prefix(self) -> &'static str {
        match self {
            Service::Iam => "iam",
            Service::Sts => "sts",
            Service::Organizations => "organizations",
            Service::SecretsManager => "secretsmanager",
            Service::Sqs => "sqs",
            Service::Ses => "ses",
            Service::EventBridge => "events",
        }
    }
}

/// Whose credentials signed the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The account the credentials belong to.
    pub account: String,
    /// Who in that account.
    pub principal: Principal,
    /// The access key id the call was signed with (`AKIA…` for users, `ASIA…` for role sessions).
    pub access_key_id: String,
}

/// Who in an account signed a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// The sandbox's own operator: may do everything in the management account and assume any role that trusts it.
    Operator,
    /// An IAM user, by name.
    User(String),
    Role {
        role: String,
        session: String,
    },
}

#[derive(Debug, Clone)]
pub struct Call {
    pub service: Service,
    /// The operation, as in AWS's API reference: `CreateAccessKey`.
    pub operation: String,
    /// The region of the credential scope.
    pub region: String,
    /// Whose credentials signed it.
    pub caller: Caller,
    pub params: Params,
}

/// The parameters of a call.
#[derive(Debug, Clone)]
pub enum Params {
    /// The query protocol's flat form: `Tags.member.1.Key`.
    Query(BTreeMap<String, String>),
    /// The JSON protocols' document.
    Json(Value),
}

impl Call {
    /// A string parameter of the top level, absent or empty as `None`.
    pub fn text(&self, name: &str) -> Option<&str> {
        match &self.params {
            Params::Query(form) => form.get(name).map(String::as_str),
            Params::Json(document) => document.get(name).and_then(Value::as_str),
        }
        .filter(|text| !text.is_empty())
    }

    /// The JSON document; `Null` for the query protocol.
    pub fn json(&self) -> &Value {
        match &self.params {
            Params::Json(document) => document,
            Params::Query(_) => &Value::Null,
        }
    }

    /// The JSON document as a request.
    pub(crate) fn request<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        T::deserialize(self.json()).map_err(|error| ApiError::new(400, "SerializationException", error.to_string()))
    }
}

/// The partition a region belongs to.
pub(crate) fn partition(region: &str) -> &'static str {
    match region {
        china if china.starts_with("cn-") => "aws-cn",
        government if government.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

#[derive(Debug, Clone)]
pub enum Answer {
    /// The XML inside `<XxxResult>…</XxxResult>` (already escaped); the server adds envelope and request id.
    Xml(String),
    /// A JSON document (for the JSON protocols and REST).
    Json(Value),
    /// SQS long polling: nothing there yet; ask again when the world changes or the clock moves, until this much real
    /// time has passed since the call came in, then answer with `otherwise`.
    Wait {
        /// How long to wait at most.
        at_most: Duration,
        /// The answer when nothing came.
        otherwise: Value,
    },
}

/// A refusal, as AWS words it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    pub status: u16,
    /// The error code, as in `NoSuchEntity`.
    pub code: String,
    pub message: String,
}

impl ApiError {
    /// A refusal with this status, code and sentence.
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into() }
    }
}

pub type Reply = Result<Answer, ApiError>;
