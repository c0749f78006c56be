//! Answers and refusals as HTTP, each in its service's own envelope, with the sandbox's time in `Date`.

use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, DATE, HeaderName, HeaderValue};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use serde_json::{Value, json};

use super::sqs::query_error_code;
use super::{Protocol, xml::Xml};
use crate::call::{Answer, ApiError, Reply, Service};

/// How an answer is spoiled on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoiling {
    /// Its body arrives without its first byte.
    Garble,
    /// A proxy's page arrives instead.
    Replace,
    /// A list of IAM's says that more follows, but not where.
    LoseMarker,
}

/// What an answer is about.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    pub service: Service,
    /// The operation, which query answers repeat in their element names.
    pub operation: &'a str,
    pub request_id: String,
    pub now: Timestamp,
    pub spoiling: Option<Spoiling>,
}

/// What a proxy says that lets no secrets pass.
const PROXY_PAGE: &str = "<html><body>Blocked by your organization's policy</body></html>";

pub type HttpResponse = Response<Full<Bytes>>;

/// Puts an answer or a refusal into its service's envelope.
pub fn encode(context: &Context<'_>, reply: &Reply) -> HttpResponse {
    let (status, mut body) = match reply {
        Ok(Answer::Xml(inside)) => (200, xml_answer(context, inside)),
        Ok(Answer::Json(document) | Answer::Wait { otherwise: document, .. }) => (200, document.to_string()),
        Err(error) => (error.status, refusal(context, error)),
    };
    match context.spoiling {
        Some(Spoiling::Garble) if !body.is_empty() => drop(body.remove(0)),
        Some(Spoiling::Replace) => return respond(403, "text/html", PROXY_PAGE.to_owned(), context.now),
        Some(Spoiling::LoseMarker) => body = body.replace("<IsTruncated>false<", "<IsTruncated>true<"),
        Some(Spoiling::Garble) | None => {}
    }
    let content_type = match context.service.protocol() {
        Protocol::Query => "text/xml",
        Protocol::Json { version: "1.0" } => "application/x-amz-json-1.0",
        Protocol::Json { .. } => "application/x-amz-json-1.1",
        Protocol::Rest => "application/json",
    };
    let mut response = respond(status, content_type, body, context.now);
    let mut put = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    };
    put("x-amzn-requestid", &context.request_id);
    if let Err(error) = reply {
        match context.service {
            Service::Ses => put("x-amzn-errortype", &error.code),
            Service::Sqs => {
                let fault = if error.status < 500 { "Sender" } else { "Receiver" };
                put("x-amzn-query-error", &format!("{};{fault}", query_error_code(&error.code)));
            }
            Service::Iam | Service::Sts | Service::Organizations | Service::SecretsManager | Service::EventBridge => {}
        }
    }
    response
}

/// A response of the sandbox's, whatever its body is.
pub(crate) fn respond(status: u16, content_type: &'static str, body: String, now: Timestamp) -> HttpResponse {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&now).ok();
    if let Some(date) = date.and_then(|date| HeaderValue::from_str(&date).ok()) {
        response.headers_mut().insert(DATE, date);
    }
    response
}

fn namespace(service: Service) -> &'static str {
    match service {
        Service::Sts => "https://sts.amazonaws.com/doc/2011-06-15/",
        Service::Iam
        | Service::Organizations
        | Service::SecretsManager
        | Service::Sqs
        | Service::Ses
        | Service::EventBridge => "https://iam.amazonaws.com/doc/2010-05-08/",
    }
}

fn xml_answer(context: &Context<'_>, inside: &str) -> String {
    let Context { service, operation, request_id, .. } = context;
    let result = match inside {
        "" => String::new(),
        inside => format!("<{operation}Result>{inside}</{operation}Result>"),
    };
    let namespace = namespace(*service);
    format!(
        "<{operation}Response xmlns=\"{namespace}\">{result}\
         <ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation}Response>"
    )
}

fn refusal(context: &Context<'_>, error: &ApiError) -> String {
    let document: Value = match context.service {
        Service::Iam | Service::Sts => {
            let fault = if error.status < 500 { "Sender" } else { "Receiver" };
            let inside = Xml::new()
                .element("Error", |xml| {
                    xml.text("Type", fault).text("Code", &error.code).text("Message", &error.message)
                })
                .text("RequestId", &context.request_id)
                .finish();
            let namespace = namespace(context.service);
            return format!("<ErrorResponse xmlns=\"{namespace}\">{inside}</ErrorResponse>");
        }
        Service::Organizations | Service::SecretsManager | Service::EventBridge => {
            json!({"__type": error.code, "Message": error.message})
        }
        Service::Sqs => json!({"__type": format!("com.amazonaws.sqs#{}", error.code), "message": error.message}),
        Service::Ses => json!({"message": error.message}),
    };
    document.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(service: Service) -> Context<'static> {
        let now = "2026-11-22T10:00:00Z".parse().expect("an instant");
        Context { service, operation: "ListUsers", request_id: "id-1".into(), now, spoiling: None }
    }

    #[test]
    fn every_answer_carries_the_sandbox_s_date_and_a_request_id() {
        let response = encode(&context(Service::Iam), &Ok(Answer::Xml("<A>1</A>".into())));
        assert_eq!(response.headers()["date"], "Sun, 22 Nov 2026 10:00:00 GMT");
        assert_eq!(response.headers()["x-amzn-requestid"], "id-1");
    }

    #[test]
    fn refusals_are_worded_as_each_service_words_them() {
        let error = ApiError::new(404, "NoSuchEntity", "The user with name <x> cannot be found.");
        let xml = refusal(&context(Service::Iam), &error);
        assert!(xml.contains("<Error><Type>Sender</Type><Code>NoSuchEntity</Code>"), "{xml}");
        assert!(xml.contains("&lt;x&gt;"), "{xml}");
        let json = refusal(&context(Service::Sqs), &error);
        assert!(json.contains("com.amazonaws.sqs#NoSuchEntity"), "{json}");
        let response = encode(&context(Service::Ses), &Err(error));
        assert_eq!(response.headers()["x-amzn-errortype"], "NoSuchEntity");
        assert_eq!(response.status(), 404);
    }
}
