//! SES v2's REST paths: which method and path is which operation, and the parameters in the path.

use hyper::Method;
use serde_json::{Map, Value};

use super::query;

/// The operations known by path: method, path after `/v2/email/` with `{Name}` for a parameter, operation.
const ROUTES: [(Method, &str, &str); 6] = [
    (Method::POST, "outbound-emails", "SendEmail"),
    (Method::GET, "account", "GetAccount"),
    (Method::POST, "identities", "CreateEmailIdentity"),
    (Method::GET, "identities/{EmailIdentity}", "GetEmailIdentity"),
    (Method::PUT, "suppression/addresses", "PutSuppressedDestination"),
    (Method::GET, "suppression/addresses/{EmailAddress}", "GetSuppressedDestination"),
];

/// The operation of a request and the parameters its path and query string carry. An unknown one is named by method and
/// path, so that the refusal can name it.
pub(super) fn route(method: &Method, path: &str, query_string: &str) -> (String, Map<String, Value>) {
    let mut parameters: Map<String, Value> =
        query::parse_form(query_string).into_iter().map(|(name, value)| (name, Value::String(value))).collect();
    let Some(rest) = path.strip_prefix("/v2/email/") else { return (format!("{method} {path}"), parameters) };
    let given: Vec<&str> = rest.split('/').collect();
    for (wanted_method, template, operation) in &ROUTES {
        let wanted: Vec<&str> = template.split('/').collect();
        let fits = wanted.len() == given.len()
            && wanted.iter().zip(&given).all(|(wanted, given)| wanted.starts_with('{') || wanted == given);
        if method != wanted_method || !fits {
            continue;
        }
        for (wanted, given) in wanted.iter().zip(&given) {
            if let Some(name) = wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                parameters.insert(name.to_owned(), Value::String(query::decode(given, false)));
            }
        }
        return ((*operation).to_owned(), parameters);
    }
    (format!("{method} {path}"), parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn method_and_path_name_the_operation_and_its_parameters() {
        let (operation, parameters) = route(&Method::GET, "/v2/email/identities/a%40example.com", "");
        assert_eq!(operation, "GetEmailIdentity");
        assert_eq!(parameters["EmailIdentity"], "a@example.com");
        assert_eq!(route(&Method::POST, "/v2/email/outbound-emails", "").0, "SendEmail");
        let (_, parameters) = route(&Method::GET, "/v2/email/identities/a", "PageSize=5&NextToken=a%2Bb");
        assert_eq!(parameters["NextToken"], "a+b");
    }

    #[test]
    fn an_unknown_path_is_named_as_it_is() {
        assert_eq!(route(&Method::GET, "/v2/email/templates", "").0, "GET /v2/email/templates");
    }
}
