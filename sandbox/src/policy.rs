//! Policy documents, and the one place that says what they allow: of identities (a role's, or the one a session is narrowed by) and of
//! resources (a secret's). What is not understood is refused when the policy is given, so that nobody believes in a restriction
//! that is not in force.

use serde::Serialize;
use serde_json::{Map, Value};

/// A policy: its text and what it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// As it was given.
    pub text: String,
    #[serde(skip)]
    statements: Vec<Statement>,
}

/// Why a document is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Not JSON, or not the form of a policy.
    #[error("the policy is malformed: {0}")]
    Malformed(String),
    /// An element that AWS knows and the sandbox does not.
    #[error("sandbox: {0} is not supported here")]
    Unsupported(String),
}

/// What a policy says of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Denied, whatever else allows it.
    Denied,
    /// Allowed to the caller itself.
    AllowedCaller,
    /// Allowed to the caller's account, which still has to allow it to the caller.
    AllowedAccount,
    Silent,
}

/// A request, as a policy looks at it.
#[derive(Debug, Default)]
pub(crate) struct Request<'a> {
    /// `secretsmanager:GetSecretValue`.
    pub(crate) action: &'a str,
    /// The ARN of what it is about.
    pub(crate) resource: &'a str,
    /// The names the caller goes by, its account's aside: a user's ARN, or a role's and its session's.
    pub(crate) names: Vec<String>,
    pub(crate) account: &'a str,
    /// The condition keys that have a value, in lower case.
    pub(crate) context: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Statement {
    allow: bool,
    principals: Principals,
    /// Patterns of actions: `iam:List*`.
    actions: Vec<String>,
    resources: Vec<String>,
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Principals {
    /// Everyone, or in an identity's policy whoever has it.
    Everyone,
    /// `AWS` principals; services and federations never call here.
    Named(Vec<String>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Condition {
    compare: Compare,
    negated: bool,
    /// In lower case: condition keys have no letter case.
    key: String,
    values: Vec<String>,
}

/// How a condition compares texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compare {
    Exactly,
    /// `*` and `?` are wildcards.
    Like,
    /// The same, within each of the six parts of an ARN.
    Arn,
}

/// Condition keys that, pinned to a value, keep an `Allow` for everyone from being public.
const PINNING: [&str; 3] = ["aws:principalarn", "aws:principalaccount", "aws:principalorgid"];

impl Policy {
    /// Reads an identity's policy: statements about actions on every resource, without conditions.
    pub fn from_identity(text: &str) -> Result<Self, PolicyError> {
        Self::read(text, |elements| {
            let conditions = elements.contains_key("Condition");
            if conditions || strings(elements.get("Resource")).is_none_or(|resources| resources != ["*"]) {
                let which = if conditions { "Condition" } else { "a Resource other than \"*\"" };
                return Err(PolicyError::Unsupported(format!("{which} in an identity's policy")));
            }
            Statement::read(elements, Principals::Everyone)
        })
    }

    /// Reads a resource's policy: every statement says who it is about.
    pub fn from_resource(text: &str) -> Result<Self, PolicyError> {
        Self::read(text, |elements| {
            let mut elements = elements.clone();
            let principals = elements.remove("Principal").ok_or_else(|| malformed("a statement needs a Principal"))?;
            Statement::read(&elements, Principals::read(&principals)?)
        })
    }

    fn read(
        text: &str,
        statement: impl Fn(&Map<String, Value>) -> Result<Statement, PolicyError>,
    ) -> Result<Self, PolicyError> {
        let document: Value = serde_json::from_str(text).map_err(|error| malformed(&error.to_string()))?;
        let list = match document.get("Statement") {
            Some(Value::Array(list)) if !list.is_empty() => list.as_slice(),
            Some(one @ Value::Object(_)) => std::slice::from_ref(one),
            Some(_) | None => return Err(malformed("it has no Statement")),
        };
        let read = |one: &Value| statement(one.as_object().ok_or_else(|| malformed("a statement is not an object"))?);
        Ok(Self { text: text.to_owned(), statements: list.iter().map(read).collect::<Result<_, _>>()? })
    }

    /// What it says of a request: a denial wins over everything that allows.
    pub(crate) fn verdict(&self, request: &Request<'_>) -> Verdict {
        let mut verdict = Verdict::Silent;
        for statement in &self.statements {
            match (statement.allow, statement.about(request)) {
                (_, Verdict::Silent | Verdict::Denied) => {}
                (false, Verdict::AllowedCaller | Verdict::AllowedAccount) => return Verdict::Denied,
                (true, Verdict::AllowedCaller) => verdict = Verdict::AllowedCaller,
                (true, Verdict::AllowedAccount) if verdict == Verdict::Silent => verdict = Verdict::AllowedAccount,
                (true, Verdict::AllowedAccount) => {}
            }
        }
        verdict
    }

    /// Whether an identity's policy allows an action.
    pub fn allows(&self, action: &str) -> bool {
        self.verdict(&Request { action, ..Request::default() }) == Verdict::AllowedCaller
    }

    /// Whether it lets in anybody who asks.
    pub(crate) fn is_public(&self) -> bool {
        let pinned = |condition: &Condition| {
            PINNING.contains(&condition.key.as_str())
                && !condition.negated
                && condition.values.iter().all(|value| !value.starts_with('*'))
        };
        let everyone = |statement: &&Statement| statement.allow && statement.principals == Principals::Everyone;
        self.statements.iter().filter(everyone).any(|statement| !statement.conditions.iter().any(pinned))
    }

    /// The AWS principals it names, to be checked for being there.
    pub(crate) fn principals(&self) -> impl Iterator<Item = &str> {
        let named = self.statements.iter().flat_map(|statement| match &statement.principals {
            Principals::Everyone => [].as_slice(),
            Principals::Named(names) => names.as_slice(),
        });
        named.map(String::as_str)
    }
}

impl Statement {
    fn read(elements: &Map<String, Value>, principals: Principals) -> Result<Self, PolicyError> {
        const KNOWN: [&str; 5] = ["Sid", "Effect", "Action", "Resource", "Condition"];
        if let Some(other) = elements.keys().find(|element| !KNOWN.contains(&element.as_str())) {
            return Err(PolicyError::Unsupported(format!("the policy element {other}")));
        }
        let allow = match elements.get("Effect").and_then(Value::as_str) {
            Some("Allow") => true,
            Some("Deny") => false,
            Some(_) | None => return Err(malformed("Effect is neither Allow nor Deny")),
        };
        let list = |element: &str| {
            let list = strings(elements.get(element)).filter(|list| !list.is_empty());
            list.ok_or_else(|| malformed(&format!("a statement has no {element}")))
        };
        let conditions = elements.get("Condition").map(conditions).transpose()?.unwrap_or_default();
        Ok(Self { allow, principals, actions: list("Action")?, resources: list("Resource")?, conditions })
    }

    /// Whether it is about this request, and if so, whether it names the caller or only its account.
    fn about(&self, request: &Request<'_>) -> Verdict {
        let action = self.actions.iter().any(|pattern| matches(pattern, request.action));
        let resource = self.resources.iter().any(|pattern| like(pattern.as_bytes(), request.resource.as_bytes()));
        if !action || !resource || !self.conditions.iter().all(|condition| condition.holds(request)) {
            return Verdict::Silent;
        }
        match &self.principals {
            Principals::Everyone => Verdict::AllowedCaller,
            Principals::Named(names) if request.names.iter().any(|own| names.contains(own)) => Verdict::AllowedCaller,
            Principals::Named(names) if names.iter().any(|name| account_of(name) == Some(request.account)) => {
                Verdict::AllowedAccount
            }
            Principals::Named(_) => Verdict::Silent,
        }
    }
}

impl Principals {
    fn read(value: &Value) -> Result<Self, PolicyError> {
        match value {
            Value::String(all) if all == "*" => Ok(Principals::Everyone),
            Value::Object(kinds) => match strings(kinds.get("AWS")) {
                Some(names) if kinds.len() == 1 && names.iter().any(|name| name == "*") => Ok(Principals::Everyone),
                Some(names) if kinds.len() == 1 => Ok(Principals::Named(names)),
                Some(_) | None => Err(PolicyError::Unsupported("a Principal other than AWS".to_owned())),
            },
            Value::String(_) | Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {
                Err(malformed("Principal is neither \"*\" nor an object"))
            }
        }
    }
}

/// The account a principal stands for as a whole: twelve digits, or the ARN of its root.
pub(crate) fn account_of(principal: &str) -> Option<&str> {
    let id = match principal.strip_suffix(":root") {
        Some(arn) => arn.rsplit(':').next()?,
        None => principal,
    };
    (id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit())).then_some(id)
}

impl Condition {
    fn holds(&self, request: &Request<'_>) -> bool {
        // Of a key that is not there negated operators hold. (IAM User Guide, "Condition operators".)
        let found = request.context.iter().find(|(key, _)| *key == self.key).map(|(_, found)| found);
        let one = |wanted: &String| {
            found.is_some_and(|found| match self.compare {
                Compare::Exactly => wanted == found,
                Compare::Like => like(wanted.as_bytes(), found.as_bytes()),
                Compare::Arn => like_arn(wanted, found),
            })
        };
        self.values.iter().any(one) != self.negated
    }
}

fn conditions(block: &Value) -> Result<Vec<Condition>, PolicyError> {
    let operators = block.as_object().ok_or_else(|| malformed("Condition is not an object"))?;
    let mut conditions = Vec::new();
    for (operator, keys) in operators {
        let (compare, negated) = match operator.as_str() {
            "StringEquals" => (Compare::Exactly, false),
            "StringNotEquals" => (Compare::Exactly, true),
            "StringLike" => (Compare::Like, false),
            "StringNotLike" => (Compare::Like, true),
            // ArnEquals and ArnLike behave alike.
            "ArnEquals" | "ArnLike" => (Compare::Arn, false),
            "ArnNotEquals" | "ArnNotLike" => (Compare::Arn, true),
            other => return Err(PolicyError::Unsupported(format!("the condition operator {other}"))),
        };
        for (key, values) in keys.as_object().ok_or_else(|| malformed("a condition operator holds no keys"))? {
            let values = strings(Some(values)).ok_or_else(|| malformed("condition values are no strings"))?;
            conditions.push(Condition { compare, negated, key: key.to_ascii_lowercase(), values });
        }
    }
    Ok(conditions)
}

fn malformed(what: &str) -> PolicyError {
    PolicyError::Malformed(what.to_owned())
}

/// A string or a list of strings.
fn strings(value: Option<&Value>) -> Option<Vec<String>> {
    match value? {
        Value::String(one) => Some(vec![one.clone()]),
        Value::Array(many) => many.iter().map(|one| one.as_str().map(str::to_owned)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

/// Whether a pattern with `*` and `?` matches, letter case aside, as in action names.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    like(pattern.to_ascii_lowercase().as_bytes(), text.to_ascii_lowercase().as_bytes())
}

/// Whether a pattern with `*` and `?` matches, letter case included, as in ARNs.
fn like(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', after)), _) => like(after, text) || (!text.is_empty() && like(pattern, &text[1..])),
        (Some((b'?', after)), Some((_, rest))) => like(after, rest),
        (Some((wanted, after)), Some((found, rest))) => wanted == found && like(after, rest),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

/// "Each of the six colon-delimited components of the ARN is checked separately and each can include multi-character match wildcards
/// (*) or single-character match wildcards (?)." (IAM User Guide, "Condition operators".)
fn like_arn(pattern: &str, arn: &str) -> bool {
    let (patterns, parts): (Vec<&str>, Vec<&str>) = (pattern.splitn(6, ':').collect(), arn.splitn(6, ':').collect());
    patterns.len() == parts.len()
        && patterns.iter().zip(parts).all(|(pattern, part)| like(pattern.as_bytes(), part.as_bytes()))
}

#[cfg(test)]
mod tests;
