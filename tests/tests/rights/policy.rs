//! Policy documents evaluated as AWS does (IAM User Guide, "Policy evaluation logic" and "Condition operators"): a deny wins, an allow
//! is needed. An operator or element that is not known here is a failure of the test, not a "no".

use std::collections::BTreeMap;

use serde_json::Value;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Allowed,
    /// By a statement: nothing that any other policy says changes it.
    Denied,
    /// Nothing allows it.
    NotAllowed,
}

#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Who asks: an ARN, or a service's name.
    pub(crate) principal: String,
    pub(crate) action: String,
    pub(crate) resource: String,
    /// Condition keys in lower case, with their values.
    context: BTreeMap<String, Vec<String>>,
}

impl Request {
    pub(crate) fn new(principal: &str, action: &str, resource: &str) -> Self {
        let request = Self {
            principal: principal.to_owned(),
            action: action.to_owned(),
            resource: resource.to_owned(),
            context: BTreeMap::new(),
        };
        // These two come with every signed request.
        let is_service = if principal.ends_with(".amazonaws.com") { "true" } else { "false" };
        let request = request.with("aws:PrincipalIsAWSService", &[is_service]).with("aws:SecureTransport", &["true"]);
        if is_service == "true" { request } else { request.with("aws:PrincipalArn", &[principal]) }
    }

    /// With a condition key.
    pub(crate) fn with(mut self, key: &str, values: &[&str]) -> Self {
        self.context.insert(key.to_lowercase(), values.iter().map(|it| (*it).to_owned()).collect());
        self
    }

    /// What these policies of an identity say to it.
    pub(crate) fn by_identity(&self, documents: &[Value]) -> Answer {
        self.answer(documents, |statement| statement["Principal"].is_null())
    }

    /// What a resource's own policy says to it.
    pub(crate) fn by_resource(&self, document: &Value) -> Answer {
        self.answer(std::slice::from_ref(document), |statement| self.is_meant(&statement["Principal"]))
    }

    fn answer(&self, documents: &[Value], concerns: impl Fn(&Value) -> bool) -> Answer {
        let statements = documents.iter().flat_map(|it| it["Statement"].as_array().expect("statements"));
        let applying: Vec<_> = statements.filter(|it| concerns(it) && self.applies(it)).collect();
        let with = |effect: &str| applying.iter().any(|statement| statement["Effect"] == effect);
        match (with("Deny"), with("Allow")) {
            (true, _) => Answer::Denied,
            (false, true) => Answer::Allowed,
            (false, false) => Answer::NotAllowed,
        }
    }

    fn applies(&self, statement: &Value) -> bool {
        for element in statement.as_object().expect("a statement").keys() {
            let known = ["Sid", "Effect", "Principal", "Action", "Resource", "Condition"];
            assert!(known.contains(&element.as_str()), "{element} is not known here: {statement}");
        }
        // Names of actions have no letter case.
        let action = self.action.to_lowercase();
        texts(&statement["Action"]).iter().any(|pattern| matches(&pattern.to_lowercase(), &action))
            && texts(&statement["Resource"]).iter().any(|pattern| matches(&self.filled_in(pattern), &self.resource))
            && statement["Condition"].as_object().into_iter().flatten().all(|(operator, keys)| {
                let mut keys = keys.as_object().expect("keys").iter();
                keys.all(|(key, values)| self.satisfies(operator, key, &texts(values)))
            })
    }

    fn is_meant(&self, principal: &Value) -> bool {
        match principal {
            Value::String(everybody) => everybody == "*",
            Value::Object(kinds) => kinds.iter().any(|(kind, who)| match kind.as_str() {
                "Service" => texts(who).contains(&self.principal),
                "AWS" => texts(who).iter().any(|name| name == "*" || *name == self.principal || self.is_of(name)),
                other => panic!("{other} is not known here"),
            }),
            other => panic!("{other} is no principal"),
        }
    }

    /// Whether the caller belongs to the account whose root is named.
    fn is_of(&self, root: &str) -> bool {
        root.strip_suffix(":root").is_some_and(|account| self.principal.starts_with(&format!("{account}:")))
    }

    fn satisfies(&self, operator: &str, key: &str, wanted: &[String]) -> bool {
        let values = self.context.get(&key.to_lowercase());
        let (set, operator) = operator.split_once(':').map_or((None, operator), |(set, it)| (Some(set), it));
        if operator == "Null" {
            assert_eq!(set, None);
            return wanted.iter().any(|it| (it == "true") == values.is_none());
        }
        let (compare, negated) = comparison(operator);
        let one = |value: &String| wanted.iter().any(|pattern| compare(&self.filled_in(pattern), value)) != negated;
        match (set, values) {
            (None, None) => negated,
            (None, Some(values)) => {
                let [value] = values.as_slice() else { panic!("{key} has several values, and no set operator") };
                one(value)
            }
            (Some("ForAllValues"), values) => values.is_none_or(|values| values.iter().all(one)),
            (Some("ForAnyValue"), values) => values.is_some_and(|values| values.iter().any(one)),
            (Some(other), _) => panic!("{other} is not known here"),
        }
    }

    /// Policy variables are replaced by the request's values.
    fn filled_in(&self, pattern: &str) -> String {
        ["aws:username", "aws:userid"].iter().fold(pattern.to_owned(), |pattern, name| {
            match self.context.get(*name).and_then(|values| values.first()) {
                Some(value) => pattern.replace(&format!("${{{name}}}"), value),
                None => pattern,
            }
        })
    }
}

type Compare = fn(&str, &str) -> bool;

/// How an operator compares a pattern with a value, and whether it is the negated one.
fn comparison(operator: &str) -> (Compare, bool) {
    let same: Compare = |pattern, value| pattern == value;
    match operator {
        "StringEquals" => (same, false),
        "StringEqualsIgnoreCase" => (|pattern, value| pattern.eq_ignore_ascii_case(value), false),
        "StringNotEquals" => (same, true),
        "StringLike" => (matches, false),
        "StringNotLike" => (matches, true),
        // ArnEquals and ArnLike behave alike.
        "ArnEquals" | "ArnLike" => (arn_matches, false),
        "ArnNotEquals" | "ArnNotLike" => (arn_matches, true),
        "Bool" => (|wanted, value| wanted.eq_ignore_ascii_case(value), false),
        other => panic!("{other} is not known here"),
    }
}

/// "Each of the six colon-delimited components of the ARN is checked separately."
fn arn_matches(pattern: &str, value: &str) -> bool {
    let (patterns, values): (Vec<_>, Vec<_>) = (pattern.splitn(6, ':').collect(), value.splitn(6, ':').collect());
    patterns.len() == values.len() && patterns.iter().zip(values).all(|(pattern, value)| matches(pattern, value))
}

/// Whether a text fits a pattern, in which `*` is any text and `?` any one character.
fn matches(pattern: &str, text: &str) -> bool {
    let mut patterns = pattern.chars();
    match patterns.next() {
        None => text.is_empty(),
        Some('*') => {
            (0..=text.len()).filter(|at| text.is_char_boundary(*at)).any(|at| matches(patterns.as_str(), &text[at..]))
        }
        Some(one) => {
            let mut rest = text.chars();
            rest.next().is_some_and(|first| one == '?' || one == first) && matches(patterns.as_str(), rest.as_str())
        }
    }
}

/// What may be one text or a list of them.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::String(text) => vec![text.clone()],
        Value::Bool(truth) => vec![truth.to_string()],
        other => panic!("{other} is neither a text nor a list of texts"),
    }
}
