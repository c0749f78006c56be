//! What policies allow and deny.

use super::*;

const ADA: &str = "arn:aws:iam::111122223333:user/ada";
const BOB: &str = "arn:aws:iam::111122223333:user/bob";

fn document(statements: &str) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#)
}

fn from_resource(statements: &str) -> Policy {
    Policy::from_resource(&document(statements)).expect("a policy")
}

fn verdict(policy: &Policy, caller: &str) -> Verdict {
    policy.verdict(&Request {
        action: "secretsmanager:GetSecretValue",
        resource: "arn:aws:secretsmanager:eu-west-1:111122223333:secret:x-AbCdEf",
        names: vec![caller.to_owned()],
        account: "111122223333",
        context: vec![("aws:principalarn".to_owned(), caller.to_owned())],
    })
}

#[test]
fn wildcards_match_as_in_aws() {
    assert!(matches("iam:List*", "iam:ListUsers"));
    assert!(matches("*", "iam:ListUsers"));
    assert!(matches("iam:*User?", "iam:ListUsers"));
    assert!(matches("IAM:listusers", "iam:ListUsers"));
    assert!(!matches("iam:List*", "iam:GetUser"));
    assert!(!matches("iam:ListUsers", "iam:ListUsersX"));
    assert!(like(b"arn:*:user/a?a", ADA.as_bytes()));
    assert!(!like(b"arn:*:user/ADA", ADA.as_bytes()));
}

#[test]
fn what_an_identity_is_not_allowed_it_may_not_and_a_deny_wins() {
    let policy = Policy::from_identity(&document(
        r#"{"Effect":"Allow","Action":["iam:List*","iam:Get*"],"Resource":"*"},
           {"Effect":"Deny","Action":"iam:GetUser","Resource":["*"]}"#,
    ));
    let policy = policy.expect("a policy");
    assert!(policy.allows("iam:ListUsers"));
    assert!(!policy.allows("iam:GetUser"));
    assert!(!policy.allows("iam:TagUser"));
}

#[test]
fn a_named_user_is_allowed_and_another_is_not_mentioned() {
    let policy = from_resource(&format!(
        r#"{{"Effect":"Allow","Principal":{{"AWS":"{ADA}"}},"Action":"secretsmanager:GetSecretValue","Resource":"*"}}"#
    ));
    assert_eq!(verdict(&policy, ADA), Verdict::AllowedCaller);
    assert_eq!(verdict(&policy, BOB), Verdict::Silent);
}

#[test]
fn a_denial_of_everyone_but_one_wins_over_what_allows() {
    for operator in ["StringNotEquals", "ArnNotEquals", "ArnNotLike"] {
        let policy = from_resource(&format!(
            r#"{{"Effect":"Allow","Principal":{{"AWS":["111122223333"]}},"Action":"*","Resource":"*"}},
               {{"Effect":"Deny","Principal":"*","Action":"secretsmanager:GetSecretValue","Resource":"*",
                 "Condition":{{"{operator}":{{"aws:PrincipalArn":"{ADA}"}}}}}}"#
        ));
        assert_eq!(verdict(&policy, ADA), Verdict::AllowedAccount, "{operator}");
        assert_eq!(verdict(&policy, BOB), Verdict::Denied, "{operator}");
    }
}

#[test]
fn a_condition_on_a_key_that_is_not_there_holds_only_if_negated() {
    let with = |operator: &str| {
        from_resource(&format!(
            r#"{{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*",
                 "Condition":{{"{operator}":{{"aws:PrincipalTag/team":"a"}}}}}}"#
        ))
    };
    assert_eq!(verdict(&with("StringEquals"), ADA), Verdict::Silent);
    assert_eq!(verdict(&with("StringLike"), ADA), Verdict::Silent);
    assert_eq!(verdict(&with("StringNotEquals"), ADA), Verdict::AllowedCaller);
}

#[test]
fn everyone_is_public_unless_pinned_to_somebody() {
    let allow = |more: &str| {
        from_resource(&format!(r#"{{"Effect":"Allow","Principal":{{"AWS":"*"}},"Action":"*","Resource":"*"{more}}}"#))
    };
    assert!(allow("").is_public());
    assert!(!allow(r#","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}"#).is_public());
    assert!(allow(r#","Condition":{"StringNotEquals":{"aws:PrincipalArn":"x"}}"#).is_public());
    assert!(allow(r#","Condition":{"StringLike":{"aws:PrincipalArn":"*"}}"#).is_public());
}

#[test]
fn what_is_not_understood_is_refused() {
    let resource = |statement: &str| Policy::from_resource(&document(statement));
    let unsupported = |policy: Result<Policy, PolicyError>| matches!(policy, Err(PolicyError::Unsupported(_)));
    let condition = r#""Condition":{"NumericLessThan":{"a":"1"}}"#;
    assert!(unsupported(resource(&format!(
        r#"{{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*",{condition}}}"#
    ))));
    assert!(unsupported(resource(r#"{"Effect":"Allow","Principal":"*","NotAction":"*","Resource":"*"}"#)));
    assert!(unsupported(resource(r#"{"Effect":"Allow","Principal":{"Service":"x"},"Action":"*","Resource":"*"}"#)));
    assert!(resource(r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#).is_err());
    assert!(resource(r#"{"Effect":"Allow","Principal":"*","Action":"*"}"#).is_err());
    assert!(resource("").is_err() && Policy::from_resource("no").is_err());

    let identity = |statement: &str| Policy::from_identity(&document(statement));
    assert!(unsupported(identity(r#"{"Effect":"Allow","Action":"*","Resource":"*","Condition":{}}"#)));
    assert!(unsupported(identity(r#"{"Effect":"Allow","Action":"*","Resource":"arn:aws:iam::1:user/a"}"#)));
    assert!(unsupported(identity(r#"{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}"#)));
    assert!(identity(r#"{"Effect":"Maybe","Action":"*","Resource":"*"}"#).is_err());
}
