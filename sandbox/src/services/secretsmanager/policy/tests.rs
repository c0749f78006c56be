//! What resource policies allow and deny.

use super::*;

const ADA: &str = "arn:aws:iam::111122223333:user/ada";
const BOB: &str = "arn:aws:iam::111122223333:user/bob";

fn policy(statement: &str) -> ResourcePolicy {
    ResourcePolicy::parse(&format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#)).expect("a policy")
}

fn verdict(policy: &ResourcePolicy, caller: &str) -> Verdict {
    policy.verdict(&Request {
        action: "secretsmanager:GetSecretValue",
        resource: "arn:aws:secretsmanager:eu-west-1:111122223333:secret:x-AbCdEf",
        names: vec![caller.to_owned()],
        account: "111122223333",
        context: vec![("aws:principalarn".to_owned(), caller.to_owned())],
    })
}

#[test]
fn a_named_user_is_allowed_and_another_is_not_mentioned() {
    let policy = policy(&format!(
        r#"{{"Effect":"Allow","Principal":{{"AWS":"{ADA}"}},"Action":"secretsmanager:GetSecretValue","Resource":"*"}}"#
    ));
    assert_eq!(verdict(&policy, ADA), Verdict::AllowedCaller);
    assert_eq!(verdict(&policy, BOB), Verdict::Silent);
}

#[test]
fn a_denial_of_everyone_but_one_wins_over_what_allows() {
    for operator in ["StringNotEquals", "ArnNotEquals", "ArnNotLike"] {
        let policy = policy(&format!(
            r#"{{"Effect":"Allow","Principal":{{"AWS":["111122223333"]}},"Action":"*","Resource":"*"}},
               {{"Effect":"Deny","Principal":"*","Action":"secretsmanager:GetSecretValue","Resource":"*",
                 "Condition":{{"{operator}":{{"aws:PrincipalArn":"{ADA}"}}}}}}"#
        ));
        assert_eq!(verdict(&policy, ADA), Verdict::AllowedAccount, "{operator}");
        assert_eq!(verdict(&policy, BOB), Verdict::Denied, "{operator}");
    }
}

#[test]
fn not_principal_excepts_only_who_is_named_with_its_account() {
    let deny = |names: &str| {
        policy(&format!(r#"{{"Effect":"Deny","NotPrincipal":{{"AWS":[{names}]}},"Action":"*","Resource":"*"}}"#))
    };
    assert_eq!(verdict(&deny(&format!(r#""{ADA}""#)), ADA), Verdict::Denied);
    let with_account = deny(&format!(r#""{ADA}","arn:aws:iam::111122223333:root""#));
    assert_eq!(verdict(&with_account, ADA), Verdict::Silent);
    assert_eq!(verdict(&with_account, BOB), Verdict::Denied);
}

#[test]
fn a_condition_on_a_key_that_is_not_there_holds_only_if_negated_or_if_exists() {
    let with = |operator: &str| {
        policy(&format!(
            r#"{{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*",
                 "Condition":{{"{operator}":{{"aws:PrincipalTag/team":"a"}}}}}}"#
        ))
    };
    assert_eq!(verdict(&with("StringEquals"), ADA), Verdict::Silent);
    assert_eq!(verdict(&with("StringNotEquals"), ADA), Verdict::AllowedCaller);
    assert_eq!(verdict(&with("StringEqualsIfExists"), ADA), Verdict::AllowedCaller);
}

#[test]
fn everyone_is_public_unless_pinned_to_somebody() {
    let allow = |more: &str| {
        policy(&format!(r#"{{"Effect":"Allow","Principal":{{"AWS":"*"}},"Action":"*","Resource":"*"{more}}}"#))
    };
    assert!(allow("").is_public());
    assert!(!allow(r#","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}"#).is_public());
    assert!(allow(r#","Condition":{"StringNotEquals":{"aws:PrincipalArn":"x"}}"#).is_public());
    assert!(allow(r#","Condition":{"StringLike":{"aws:PrincipalArn":"*"}}"#).is_public());
}

#[test]
fn what_is_not_understood_is_refused() {
    let refused = |statement: &str| ResourcePolicy::parse(&format!(r#"{{"Statement":[{statement}]}}"#)).is_err();
    assert!(refused(
        r#"{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"NumericLessThan":{"a":"1"}}}"#
    ));
    assert!(refused(r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#));
    assert!(refused(r#"{"Effect":"Allow","Principal":"*","Action":"*"}"#));
    assert!(ResourcePolicy::parse("{}").is_err() && ResourcePolicy::parse("no").is_err());
}

#[test]
fn arns_are_compared_letter_by_letter() {
    assert!(like(b"arn:*:user/a?a", ADA.as_bytes()));
    assert!(!like(b"arn:*:user/ADA", ADA.as_bytes()));
}
