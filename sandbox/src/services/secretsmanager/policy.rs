//! Resource policies: who may and may not do what with one secret. As much of the policy language as such policies need; a
//! condition operator that is not understood is refused when the policy is put, so that nobody believes in a restriction that
//! is not in force.

use serde::Serialize;
use serde_json::Value;

use crate::policy::matches;

/// A resource policy: its text and what it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ResourcePolicy {
    /// As it was put.
    pub text: String,
    #[serde(skip)]
    statements: Vec<Statement>,
}

/// What a policy says of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Denied, whatever else allows it.
    Denied,
    /// Allowed to the caller itself.
    AllowedCaller,
    /// Allowed to the caller's account, which still has to allow it to the caller.
    AllowedAccount,
    /// Nothing said.
    Silent,
}

/// A request, as a policy looks at it.
#[derive(Debug)]
pub(super) struct Request<'a> {
    /// `secretsmanager:GetSecretValue`.
    pub(super) action: &'a str,
    /// The secret's ARN.
    pub(super) resource: &'a str,
    /// The names the caller goes by, its account's aside: a user's ARN, or a role's and its session's.
    pub(super) names: Vec<String>,
    /// The caller's account.
    pub(super) account: &'a str,
    /// The condition keys that have a value, in lower case.
    pub(super) context: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Statement {
    allow: bool,
    who: Who,
    /// Whether `who` names those it is not about.
    except: bool,
    actions: Vec<String>,
    /// Whether `actions` names those it is not about.
    other_actions: bool,
    resources: Vec<String>,
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Who {
    Everyone,
    /// `AWS` principals; services and federations never call here.
    Named(Vec<String>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Condition {
    test: Test,
    negated: bool,
    if_exists: bool,
    /// In lower case: condition keys have no letter case.
    key: String,
    values: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Test {
    Equal,
    /// Letter case aside, which is how `Bool` and `StringEqualsIgnoreCase` compare.
    EqualIgnoringCase,
    /// With `*` and `?`.
    Like,
}

/// Condition keys that, pinned to a value, keep an `Allow` for everyone from being public.
const PINNING: [&str; 6] = [
    "aws:principalarn",
    "aws:principalaccount",
    "aws:principalorgid",
    "aws:userid",
    "aws:sourceaccount",
    "aws:sourcearn",
];

impl ResourcePolicy {
    /// Reads a document; what is wrong with it comes back in words.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let document: Value =
            serde_json::from_str(text).map_err(|error| format!("This policy is not JSON: {error}"))?;
        let statements = match &document["Statement"] {
            Value::Array(list) if !list.is_empty() => list.iter().map(Statement::read).collect::<Result<_, _>>()?,
            one @ Value::Object(_) => vec![Statement::read(one)?],
            Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                return Err("This policy has no Statement.".to_owned());
            }
        };
        Ok(Self { text: text.to_owned(), statements })
    }

    /// What it says of a request. A denial wins.
    pub(super) fn verdict(&self, request: &Request<'_>) -> Verdict {
        let mut verdict = Verdict::Silent;
        for statement in &self.statements {
            match (statement.allow, statement.about(request)) {
                (_, Verdict::Silent) | (_, Verdict::Denied) => {}
                (false, Verdict::AllowedCaller | Verdict::AllowedAccount) => return Verdict::Denied,
                (true, Verdict::AllowedCaller) => verdict = Verdict::AllowedCaller,
                (true, Verdict::AllowedAccount) if verdict == Verdict::Silent => verdict = Verdict::AllowedAccount,
                (true, Verdict::AllowedAccount) => {}
            }
        }
        verdict
    }

    /// Whether it lets in anybody who asks.
    pub(super) fn is_public(&self) -> bool {
        self.statements.iter().any(|statement| {
            let pinned = |condition: &Condition| {
                PINNING.contains(&condition.key.as_str())
                    && !condition.negated
                    && !condition.if_exists
                    && condition.values.iter().all(|value| !value.starts_with('*'))
            };
            let everyone = match &statement.who {
                Who::Everyone => true,
                Who::Named(_) => statement.except,
            };
            statement.allow && everyone && !statement.conditions.iter().any(pinned)
        })
    }

    /// The AWS principals it names, to be checked for being there.
    pub(super) fn principals(&self) -> impl Iterator<Item = &str> {
        self.statements
            .iter()
            .flat_map(|statement| match &statement.who {
                Who::Everyone => [].as_slice(),
                Who::Named(names) => names.as_slice(),
            })
            .map(String::as_str)
    }
}

impl Statement {
    fn read(value: &Value) -> Result<Self, String> {
        let elements = value.as_object().ok_or("A statement is not an object.")?;
        const KNOWN: [&str; 8] =
            ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "Condition"];
        if let Some(other) = elements.keys().find(|element| !KNOWN.contains(&element.as_str())) {
            return Err(format!("Policy element {other} is unknown to policies or to this sandbox."));
        }
        let allow = match elements.get("Effect").and_then(Value::as_str) {
            Some("Allow") => true,
            Some("Deny") => false,
            Some(_) | None => return Err("Effect must be Allow or Deny.".to_owned()),
        };
        let either = |this: &str, not_this: &str| match (elements.get(this), elements.get(not_this)) {
            (Some(value), None) => Ok((value.clone(), false)),
            (None, Some(value)) => Ok((value.clone(), true)),
            (Some(_), Some(_)) | (None, None) => Err(format!("A statement needs either {this} or {not_this}.")),
        };
        let (who, except) = either("Principal", "NotPrincipal")?;
        let (actions, other_actions) = either("Action", "NotAction")?;
        let actions =
            strings(&actions).filter(|list| !list.is_empty()).ok_or("Action must be a string or a list of strings.")?;
        let resources = elements.get("Resource").and_then(strings).ok_or("A statement needs a Resource.")?;
        let conditions = match elements.get("Condition") {
            None => Vec::new(),
            Some(block) => conditions(block)?,
        };
        Ok(Self { allow, who: Who::read(&who)?, except, actions, other_actions, resources, conditions })
    }

    /// Whether it is about this request, and if so, whether it names the caller or only its account.
    fn about(&self, request: &Request<'_>) -> Verdict {
        let action = self.actions.iter().any(|pattern| matches(pattern, request.action)) != self.other_actions;
        let resource = self.resources.iter().any(|pattern| like(pattern.as_bytes(), request.resource.as_bytes()));
        if !action || !resource || !self.conditions.iter().all(|condition| condition.holds(request)) {
            return Verdict::Silent;
        }
        self.who.names(request, self.except)
    }
}

impl Who {
    fn read(value: &Value) -> Result<Self, String> {
        match value {
            Value::String(all) if all == "*" => Ok(Who::Everyone),
            Value::Object(kinds) => {
                let mut names = Vec::new();
                for (kind, value) in kinds {
                    let list = strings(value).ok_or("Principal must hold strings.")?;
                    match kind.as_str() {
                        "AWS" if list.iter().any(|name| name == "*") => return Ok(Who::Everyone),
                        "AWS" => names.extend(list),
                        "Service" | "Federated" | "CanonicalUser" => {}
                        other => return Err(format!("Principal type {other} is unknown.")),
                    }
                }
                Ok(Who::Named(names))
            }
            Value::String(_) | Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {
                Err("Principal must be \"*\" or an object.".to_owned())
            }
        }
    }

    fn names(&self, request: &Request<'_>, except: bool) -> Verdict {
        let names = match self {
            Who::Everyone if except => return Verdict::Silent,
            Who::Everyone => return Verdict::AllowedCaller,
            Who::Named(names) => names,
        };
        let account = names.iter().any(|name| account_of(name) == Some(request.account));
        if except {
            // Only who is named by every name it goes by, its account's included, is excepted. (IAM User Guide,
            // "NotPrincipal with Deny".)
            let all = request.names.iter().all(|own| names.contains(own));
            return if all && account { Verdict::Silent } else { Verdict::AllowedCaller };
        }
        if request.names.iter().any(|own| names.contains(own)) {
            Verdict::AllowedCaller
        } else if account {
            Verdict::AllowedAccount
        } else {
            Verdict::Silent
        }
    }
}

/// The account a principal stands for as a whole: twelve digits, or the ARN of its root.
pub(super) fn account_of(principal: &str) -> Option<&str> {
    let id = match principal.strip_suffix(":root") {
        Some(arn) => arn.rsplit(':').next()?,
        None => principal,
    };
    (id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit())).then_some(id)
}

impl Condition {
    fn holds(&self, request: &Request<'_>) -> bool {
        let Some((_, found)) = request.context.iter().find(|(key, _)| *key == self.key) else {
            // A key that is not there: negated operators and those with IfExists hold. (IAM User Guide, "Condition operators".)
            return self.negated || self.if_exists;
        };
        let any = self.values.iter().any(|wanted| match self.test {
            Test::Equal => wanted == found,
            Test::EqualIgnoringCase => wanted.eq_ignore_ascii_case(found),
            Test::Like => like(wanted.as_bytes(), found.as_bytes()),
        });
        any != self.negated
    }
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

fn conditions(block: &Value) -> Result<Vec<Condition>, String> {
    let operators = block.as_object().ok_or("Condition must be an object.")?;
    let mut conditions = Vec::new();
    for (operator, keys) in operators {
        let (name, if_exists) = match operator.strip_suffix("IfExists") {
            Some(name) => (name, true),
            None => (operator.as_str(), false),
        };
        let (test, negated) = match name {
            "StringEquals" => (Test::Equal, false),
            "StringNotEquals" => (Test::Equal, true),
            "StringEqualsIgnoreCase" | "Bool" => (Test::EqualIgnoringCase, false),
            "StringNotEqualsIgnoreCase" => (Test::EqualIgnoringCase, true),
            // ArnEquals and ArnLike behave alike.
            "StringLike" | "ArnEquals" | "ArnLike" => (Test::Like, false),
            "StringNotLike" | "ArnNotEquals" | "ArnNotLike" => (Test::Like, true),
            _ => return Err(format!("Condition operator {operator} is unknown to policies or to this sandbox.")),
        };
        for (key, values) in keys.as_object().ok_or("A condition operator must hold keys.")? {
            let values = strings(values).ok_or("Condition values must be strings.")?;
            conditions.push(Condition { test, negated, if_exists, key: key.to_ascii_lowercase(), values });
        }
    }
    Ok(conditions)
}

/// A string or a list of strings.
fn strings(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(one) => Some(vec![one.clone()]),
        Value::Bool(one) => Some(vec![one.to_string()]),
        Value::Array(many) => many.iter().map(|one| one.as_str().map(str::to_owned)).collect(),
        Value::Null | Value::Number(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests;
