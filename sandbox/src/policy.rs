//! Policy documents, as far as the sandbox reads them: statements of effect and actions over every resource. What it does not
//! understand it refuses, so that nobody believes in a restriction that is not in force.

use serde::Serialize;
use serde_json::Value;

/// A policy document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Policy {
    statements: Vec<Statement>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Statement {
    allow: bool,
    /// Patterns of actions: `iam:List*`.
    actions: Vec<String>,
}

/// Why a document is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Not JSON, or not the form of a policy.
    #[error("the policy is malformed: {0}")]
    Malformed(String),
    /// An element that AWS knows and the sandbox does not.
    #[error("sandbox: policy element {0} is not supported here; supported are Effect, Action and Resource \"*\"")]
    Unsupported(String),
}

impl Policy {
    /// Reads a document.
    pub fn parse(document: &str) -> Result<Self, PolicyError> {
        let malformed = |what: &str| PolicyError::Malformed(what.to_owned());
        let document: Value = serde_json::from_str(document).map_err(|error| malformed(&error.to_string()))?;
        let statements = match document.get("Statement") {
            Some(Value::Array(statements)) => statements.iter().map(Statement::read).collect::<Result<_, _>>()?,
            Some(statement @ Value::Object(_)) => vec![Statement::read(statement)?],
            Some(_) | None => return Err(malformed("it has no Statement")),
        };
        Ok(Self { statements })
    }

    /// Whether it allows an action: some statement allows it and none denies it.
    pub fn allows(&self, action: &str) -> bool {
        let matching = |statement: &&Statement| statement.actions.iter().any(|pattern| matches(pattern, action));
        let mut matching = self.statements.iter().filter(matching).peekable();
        matching.peek().is_some() && matching.all(|statement| statement.allow)
    }
}

impl Statement {
    fn read(statement: &Value) -> Result<Self, PolicyError> {
        let malformed = |what: &str| PolicyError::Malformed(what.to_owned());
        let elements = statement.as_object().ok_or_else(|| malformed("a statement is not an object"))?;
        let known = ["Sid", "Effect", "Action", "Resource"];
        if let Some(other) = elements.keys().find(|element| !known.contains(&element.as_str())) {
            return Err(PolicyError::Unsupported(other.clone()));
        }
        let allow = match elements.get("Effect").and_then(Value::as_str) {
            Some("Allow") => true,
            Some("Deny") => false,
            Some(_) | None => return Err(malformed("Effect is neither Allow nor Deny")),
        };
        if strings(elements.get("Resource")).is_none_or(|resources| resources != ["*"]) {
            return Err(PolicyError::Unsupported("Resource other than \"*\"".to_owned()));
        }
        let actions = strings(elements.get("Action")).ok_or_else(|| malformed("a statement has no Action"))?;
        Ok(Self { allow, actions })
    }
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
    fn rest(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', after)), _) => rest(after, text) || (!text.is_empty() && rest(pattern, &text[1..])),
            (Some((b'?', after)), Some((_, text))) => rest(after, text),
            (Some((wanted, after)), Some((found, text))) => wanted.eq_ignore_ascii_case(found) && rest(after, text),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }
    rest(pattern.as_bytes(), text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_as_in_aws() {
        assert!(matches("iam:List*", "iam:ListUsers"));
        assert!(matches("*", "iam:ListUsers"));
        assert!(matches("iam:*User?", "iam:ListUsers"));
        assert!(matches("IAM:listusers", "iam:ListUsers"));
        assert!(!matches("iam:List*", "iam:GetUser"));
        assert!(!matches("iam:ListUsers", "iam:ListUsersX"));
    }

    #[test]
    fn what_no_statement_allows_is_denied_and_a_deny_wins() {
        let policy = Policy::parse(
            r#"{"Version":"2012-10-17","Statement":[
                {"Effect":"Allow","Action":["iam:List*","iam:Get*"],"Resource":"*"},
                {"Effect":"Deny","Action":"iam:GetUser","Resource":["*"]}]}"#,
        )
        .expect("a policy");
        assert!(policy.allows("iam:ListUsers"));
        assert!(!policy.allows("iam:GetUser"));
        assert!(!policy.allows("iam:TagUser"));
    }

    #[test]
    fn a_policy_that_is_not_understood_is_refused() {
        let with = |statement: &str| Policy::parse(&format!(r#"{{"Statement":[{statement}]}}"#));
        assert!(matches!(
            with(r#"{"Effect":"Allow","Action":"*","Resource":"*","Condition":{}}"#),
            Err(PolicyError::Unsupported(element)) if element == "Condition"
        ));
        assert!(with(r#"{"Effect":"Allow","Action":"*","Resource":"arn:aws:iam::1:user/a"}"#).is_err());
        assert!(with(r#"{"Effect":"Maybe","Action":"*","Resource":"*"}"#).is_err());
        assert!(Policy::parse("not json").is_err());
    }
}
