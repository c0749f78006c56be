//! What a request asks for, before anybody is asked whether its caller may: service, operation, region, key and parameters.

use hyper::HeaderMap;
use hyper::http::request::Parts;
use serde_json::{Map, Value};

use super::{Protocol, query, ses, signature::Signature};
use crate::call::{ApiError, Params, Service};

#[derive(Debug, Clone)]
pub struct Request {
    pub service: Service,
    pub operation: String,
    /// The region it is signed for.
    pub region: String,
    /// The access key id it is signed with.
    pub access_key_id: String,
    pub token: Option<String>,
    /// The calling program's SDK application name; empty if it has none.
    pub app: String,
    pub params: Params,
}

/// A request that is none: what to answer, in which protocol.
#[derive(Debug, Clone)]
pub struct Unreadable {
    /// The service, as far as it could be told.
    pub service: Service,
    pub error: ApiError,
}

impl Request {
    pub fn read(head: &Parts, body: &[u8]) -> Result<Self, Unreadable> {
        let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        let target = header("x-amz-target").and_then(|target| target.split_once('.'));
        let signature = header("authorization").and_then(Signature::parse);
        let service = target
            .and_then(|(prefix, _)| Service::by_target_prefix(prefix))
            .or_else(|| head.uri.path().starts_with("/v2/email/").then_some(Service::Ses))
            .or_else(|| signature.as_ref().and_then(|signature| Service::by_signing_name(&signature.service)));
        let Some(service) = service else {
            let named = target.map(|(prefix, _)| prefix.to_owned()).or(signature.map(|signature| signature.service));
            let named = named.unwrap_or_else(|| format!("{} {}", head.method, head.uri.path()));
            let error = ApiError::new(501, "NotImplemented", format!("sandbox: the service {named} is not supported"));
            return Err(Unreadable { service: Service::Iam, error });
        };
        let unreadable = |error| Unreadable { service, error };
        let signature = signature.ok_or_else(|| unreadable(unsigned(service)))?;
        let body = std::str::from_utf8(body)
            .map_err(|_| unreadable(ApiError::new(400, "SerializationException", "the body is not UTF-8")))?;
        let (operation, params) = match service.protocol() {
            Protocol::Query => {
                let form = query::parse_form(body);
                (form.get("Action").cloned().unwrap_or_default(), Params::Query(form))
            }
            Protocol::Json { .. } => {
                let operation = target.map(|(_, operation)| operation.to_owned()).unwrap_or_default();
                (operation, Params::Json(document(body).map_err(unreadable)?))
            }
            Protocol::Rest => {
                let (operation, in_path) =
                    ses::route(&head.method, head.uri.path(), head.uri.query().unwrap_or_default());
                (operation, Params::Json(merge(document(body).map_err(unreadable)?, in_path)))
            }
        };
        Ok(Self {
            service,
            operation,
            region: signature.region,
            access_key_id: signature.access_key_id,
            token: header("x-amz-security-token").map(str::to_owned),
            app: app_name(&head.headers).to_owned(),
            params,
        })
    }
}

fn unsigned(service: Service) -> ApiError {
    let code = match service.protocol() {
        Protocol::Query => "MissingAuthenticationToken",
        Protocol::Json { .. } | Protocol::Rest => "MissingAuthenticationTokenException",
    };
    ApiError::new(403, code, "Request is missing Authentication Token")
}

fn document(body: &str) -> Result<Value, ApiError> {
    if body.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    serde_json::from_str(body).map_err(|error| ApiError::new(400, "SerializationException", error.to_string()))
}

fn merge(document: Value, more: Map<String, Value>) -> Value {
    match document {
        Value::Object(mut members) => {
            members.extend(more);
            Value::Object(members)
        }
        other => other,
    }
}

/// The `app/NAME` of an SDK's user agent.
fn app_name(headers: &HeaderMap) -> &str {
    ["x-amz-user-agent", "user-agent"]
        .iter()
        .filter_map(|name| headers.get(*name)?.to_str().ok())
        .flat_map(|agent| agent.split(' '))
        .find_map(|part| part.strip_prefix("app/"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(build: impl FnOnce(hyper::http::request::Builder) -> hyper::http::request::Builder) -> Parts {
        let authorization = "AWS4-HMAC-SHA256 Credential=AKIAX/20261122/eu-west-1/iam/aws4_request, Signature=0";
        let builder = hyper::Request::post("http://localhost/").header("authorization", authorization);
        build(builder).body(()).expect("a request").into_parts().0
    }

    #[test]
    fn the_query_protocol_names_its_operation_in_the_form() {
        let head = head(|builder| builder.header("x-amz-user-agent", "aws-sdk-rust/1 os/linux app/worker-a"));
        let request = Request::read(&head, b"Action=ListUsers&MaxItems=7").expect("a request");
        assert_eq!((request.service, request.operation.as_str()), (Service::Iam, "ListUsers"));
        assert_eq!((request.region.as_str(), request.app.as_str()), ("eu-west-1", "worker-a"));
    }

    #[test]
    fn the_json_protocols_name_theirs_in_a_header() {
        let head = head(|builder| builder.header("x-amz-target", "AmazonSQS.SendMessage"));
        let request = Request::read(&head, b"{\"QueueUrl\":\"q\"}").expect("a request");
        assert_eq!((request.service, request.operation.as_str()), (Service::Sqs, "SendMessage"));
        let error = Request::read(&head, b"{").expect_err("not JSON").error;
        assert_eq!(error.code, "SerializationException");
    }

    #[test]
    fn a_service_the_sandbox_does_not_speak_for_is_named_in_the_refusal() {
        let request = hyper::Request::post("http://localhost/").header("x-amz-target", "DynamoDB_20120810.GetItem");
        let head = request.body(()).expect("a request").into_parts().0;
        let error = Request::read(&head, b"{}").expect_err("unknown").error;
        assert!(error.message.contains("DynamoDB_20120810"), "{error:?}");
    }
}
