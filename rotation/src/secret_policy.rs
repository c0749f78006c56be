//! The resource policy of a user's secret: its owner reads it, with the roles that an administrator names, and nobody
//! but the worker changes it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::{Uuid, uuid};

use crate::state::parse_tag_time;

const READ: &str = "secretsmanager:GetSecretValue";
const PRINCIPAL: &str = "aws:PrincipalArn";

/// What would let somebody in, put another key in the secret's place, or take it away. The region of a replica can be removed: that
/// is how an operator mends one that failed. (Service Authorization Reference, "Actions defined by AWS Secrets Manager".)
const CHANGES: [&str; 7] = [
    "secretsmanager:DeleteResourcePolicy",
    "secretsmanager:DeleteSecret",
    "secretsmanager:PutResourcePolicy",
    "secretsmanager:PutSecretValue",
    "secretsmanager:RotateSecret",
    "secretsmanager:UpdateSecret",
    "secretsmanager:UpdateSecretVersionStage",
];

/// The policy's `Id` begins so, and ends with a time (`20261122T100000Z`). An `Id` is allowed in any policy of a resource, "unless
/// otherwise restricted by an individual service" even with spaces; Secrets Manager restricts it nowhere, and gives back the text of
/// the policy that was set. Letters, digits and hyphens are in every `Id` that AWS itself writes. (IAM User Guide, "Grammar of the IAM
/// JSON policy language" and "IAM JSON policy elements: Id"; Secrets Manager API reference, `GetResourcePolicy`.)
const ATTEMPT: &str = "key-rotation-attempt-";

/// The namespace of fingerprints.
const FINGERPRINTS: Uuid = uuid!("b6d1a2f4-0f0d-5c9e-8a63-6f3c1b5a7e02");

/// Who may do what with a user's secret.
///
/// A denial wins over whatever an identity's own policies allow, an administrator's and the account's root user's included. Of a
/// role session `aws:PrincipalArn` is the role's ARN, path included, and no session's. (IAM User Guide, "AWS global condition
/// context keys".)
#[derive(Debug, Clone, Copy)]
pub struct SecretPolicy<'a> {
    /// The user's ARN, path included.
    pub owner: &'a str,
    /// The ARNs of roles that read it besides, or patterns of them.
    pub readers: &'a [String],
    /// The ARN of the principal that the worker writes as, or patterns of it.
    pub writers: &'a [String],
    /// When the last attempt that prepared the secret has written its intent. An intent is believed by this trace: whoever may tag the
    /// user can write an intent, and nobody but the worker this.
    pub last_attempt: Option<Timestamp>,
}

impl SecretPolicy<'_> {
    pub fn document(&self) -> Value {
        let mut statements = vec![json!({
            "Sid": "OwnerReads",
            "Effect": "Allow",
            "Principal": {"AWS": self.owner},
            "Action": [READ, "secretsmanager:DescribeSecret"],
            "Resource": "*",
        })];
        // The path of a user may hold a `*`, which is no wildcard here.
        let mut others = json!({"StringNotEquals": {PRINCIPAL: self.owner}});
        if !self.readers.is_empty() {
            statements.push(json!({
                "Sid": "ReadersRead",
                "Effect": "Allow",
                // A role that is not there cannot be named as a principal, and a pattern neither: their accounts can, which still have to
                // allow it to the role. (Secrets Manager User Guide, "Permissions policy examples".)
                "Principal": {"AWS": self.accounts_of_readers()},
                "Action": [READ, "secretsmanager:DescribeSecret"],
                "Resource": "*",
                "Condition": {"ArnLike": {PRINCIPAL: self.readers}},
            }));
            // Both must hold: nobody is denied who is the owner or a reader.
            others["ArnNotLike"] = json!({PRINCIPAL: self.readers});
        }
        statements.push(json!({
            "Sid": "NobodyElseReads",
            "Effect": "Deny",
            "Principal": {"AWS": "*"},
            "Action": READ,
            "Resource": "*",
            "Condition": others,
        }));
        statements.push(json!({
            "Sid": "NobodyElseChanges",
            "Effect": "Deny",
            "Principal": {"AWS": "*"},
            "Action": CHANGES,
            "Resource": "*",
            "Condition": {"ArnNotLike": {PRINCIPAL: self.writers}},
        }));
        let mut document = json!({"Version": "2012-10-17", "Statement": statements});
        if let Some(attempt) = self.last_attempt {
            document["Id"] = format!("{ATTEMPT}{}", attempt.strftime("%Y%m%dT%H%M%SZ")).into();
        }
        document
    }

    fn accounts_of_readers(&self) -> BTreeSet<String> {
        let root = |arn: &String| Some(format!("{}:root", arn.rsplit_once(":role/")?.0));
        self.readers.iter().filter_map(root).collect()
    }

    /// By this it is known, without asking for it, whether a secret has this very policy, whichever attempt has written it.
    pub fn fingerprint(&self) -> String {
        let document = SecretPolicy { last_attempt: None, ..*self }.document();
        Uuid::new_v5(&FINGERPRINTS, document.to_string().as_bytes()).to_string()
    }
}

/// When the last attempt that prepared the secret of this stored policy has written its intent. `None`: none has left its trace.
pub fn last_attempt(policy: &Value) -> Option<Timestamp> {
    parse_tag_time(policy["Id"].as_str()?.strip_prefix(ATTEMPT)?)
}

/// The ARN by which a secret's policy knows a caller, given the one that `sts:GetCallerIdentity` tells. That of a session leaves out
/// the role's path, so it is allowed to be any; a role's name is unique in its account, whatever the paths. (IAM User Guide, "IAM
/// and AWS STS quotas", names.)
pub fn writers(caller: &str) -> Vec<String> {
    let role = caller.split_once(":sts::").and_then(|(partition, rest)| {
        let (account, session) = rest.split_once(":assumed-role/")?;
        let (name, _) = session.split_once('/')?;
        Some((format!("{partition}:iam::{account}:role/"), name))
    });
    match role {
        Some((start, name)) => vec![format!("{start}{name}"), format!("{start}*/{name}")],
        None => vec![caller.to_owned()],
    }
}

/// Whether a secret's stored policy certainly lets its owner read it: it is allowed to by name, and no denial of reading can be
/// about it. What cannot be told is a "no": the policy is then written anew.
pub fn lets_read(policy: &Value, owner: &str) -> bool {
    let statements: Vec<&Value> = match &policy["Statement"] {
        Value::Array(list) => list.iter().collect(),
        one => vec![one],
    };
    let allows = statements.iter().any(|statement| {
        statement["Effect"] == "Allow"
            && statement["Condition"].is_null()
            && holds(&statement["Principal"]["AWS"], owner)
            && holds(&statement["Action"], READ)
    });
    let spares = |statement: &Value| {
        // Actions by name alone: of a wildcard it would have to be found out what it means.
        let others = list(&statement["Action"]).is_some_and(|actions| {
            actions.iter().all(|action| !action.contains(['*', '?']) && !action.eq_ignore_ascii_case(READ))
        });
        others || holds(&statement["Condition"]["StringNotEquals"][PRINCIPAL], owner)
    };
    allows && statements.iter().filter(|statement| statement["Effect"] != "Allow").all(|statement| spares(statement))
}

fn holds(value: &Value, wanted: &str) -> bool {
    list(value).is_some_and(|texts| texts.contains(&wanted))
}

/// A text, or a list of texts.
fn list(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(one) => Some(vec![one]),
        Value::Array(many) => many.iter().map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: &str = "arn:aws:iam::111122223333:user/team/ada";

    fn document_with(readers: &[String]) -> Value {
        let writers = &["arn:aws:iam::111122223333:role/worker".to_owned()];
        SecretPolicy { owner: ADA, readers, writers, last_attempt: None }.document()
    }

    fn document() -> Value {
        document_with(&[])
    }

    #[test]
    fn readers_do_not_shut_the_owner_out() {
        let readers = ["arn:aws:iam::111122223333:role/a", "arn:aws:iam::444455556666:role/b-*"].map(str::to_owned);
        let policy = document_with(&readers);
        assert!(lets_read(&policy, ADA));
        let accounts = json!(["arn:aws:iam::111122223333:root", "arn:aws:iam::444455556666:root"]);
        assert_eq!(policy["Statement"][1]["Principal"]["AWS"], accounts);
        let other = SecretPolicy { owner: ADA, readers: &readers[..1], writers: &[], last_attempt: None };
        assert_ne!(SecretPolicy { readers: &readers, ..other }.fingerprint(), other.fingerprint());
    }

    #[test]
    fn the_owner_reads_by_the_policy_that_is_written_and_nobody_else() {
        assert!(lets_read(&document(), ADA));
        assert!(!lets_read(&document(), "arn:aws:iam::111122223333:user/ada"));
        assert!(!lets_read(&Value::Null, ADA));
    }

    #[test]
    fn a_denial_that_may_be_about_the_owner_is_taken_for_one_that_is() {
        for (action, condition) in [
            (json!("secretsmanager:GetSecretValue"), Value::Null),
            (json!("SecretsManager:getsecretvalue"), Value::Null),
            (json!("secretsmanager:*"), Value::Null),
            (json!(["secretsmanager:TagResource", "*"]), Value::Null),
            (Value::Null, Value::Null),
            (json!("secretsmanager:GetSecretValue"), json!({"StringEquals": {PRINCIPAL: ADA}})),
            (json!("secretsmanager:GetSecretValue"), json!({"StringNotEquals": {PRINCIPAL: [ADA, 7]}})),
        ] {
            let mut policy = document();
            let more =
                json!({"Effect": "Deny", "Principal": "*", "Action": action, "Resource": "*", "Condition": condition});
            policy["Statement"].as_array_mut().expect("statements").push(more);
            assert!(!lets_read(&policy, ADA), "{policy}");
        }
    }

    #[test]
    fn the_trace_of_an_attempt_is_read_as_it_is_written_and_is_no_other_policy() {
        let attempt: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let without = SecretPolicy { owner: ADA, readers: &[], writers: &[], last_attempt: None };
        let with = SecretPolicy { last_attempt: Some(attempt), ..without };
        assert_eq!(with.document()["Id"], "key-rotation-attempt-20261122T100000Z");
        assert_eq!(last_attempt(&with.document()), Some(attempt));
        assert!(lets_read(&with.document(), ADA));
        assert_eq!(with.fingerprint(), without.fingerprint());
        assert_eq!(last_attempt(&without.document()), None);
        for id in
            [json!("key-rotation-attempt-"), json!("key-rotation-attempt-soon"), json!("20261122T100000Z"), json!(7)]
        {
            assert_eq!(last_attempt(&json!({"Id": id})), None, "{id}");
        }
    }

    #[test]
    fn a_session_is_known_by_its_role_and_anybody_else_by_its_own_arn() {
        assert_eq!(
            writers("arn:aws-cn:sts::111122223333:assumed-role/worker/i-0123"),
            ["arn:aws-cn:iam::111122223333:role/worker", "arn:aws-cn:iam::111122223333:role/*/worker"]
        );
        assert_eq!(writers(ADA), [ADA]);
    }

    #[test]
    fn an_allowance_with_a_condition_is_none() {
        let mut policy = document();
        policy["Statement"][0]["Condition"] = json!({"Bool": {"aws:MultiFactorAuthPresent": "true"}});
        assert!(!lets_read(&policy, ADA));
    }
}
