//! Who reads the secrets of users.

use end_to_end::deployment::{Deployment, FLEET, HERE, KEY, ORGANIZATION};
use rotation::secret_policy::SecretPolicy;
use serde_json::Value;

use super::{CENTRAL, CENTRAL_SECRET, SECRET, SOMEBODY_ELSES_SECRET, STORES, USER, with_resource};
use crate::policy::{Answer, Request};

#[test]
fn from_the_central_store_a_user_reads_its_own_secret_and_nobody_elses() {
    let stack = Deployment::new("member-role.yaml", HERE, &CENTRAL);
    let policy = [stack.document("CentralSecretReadPolicy", "PolicyDocument")];
    let reads = |user: &str, secret: &str| {
        let request = Request::new(USER, "secretsmanager:GetSecretValue", secret).with("aws:username", &[user]);
        request.by_identity(&policy)
    };
    assert_eq!(reads("ada", CENTRAL_SECRET), Answer::Allowed);
    assert_eq!(reads("ad", CENTRAL_SECRET), Answer::NotAllowed);
    assert_eq!(reads("bob", CENTRAL_SECRET), Answer::NotAllowed);
    assert_eq!(reads("ada", SECRET), Answer::NotAllowed);
    let key = stack_key();
    // A name with a comma is another one in the secret's name: the secret's own policy says whose it is, and in the store's own account,
    // where that would not be asked, its tag does.
    let comma = CENTRAL_SECRET.replace("User_ada", "User_ada/b");
    assert_eq!(reads("ada,b", &comma), Answer::Allowed);
    let own = comma.replace("Account_222222222222", "Account_111111111111");
    let stack = Deployment::new("member-role.yaml", FLEET, &CENTRAL);
    let policy = [stack.document("CentralSecretReadPolicy", "PolicyDocument")];
    let reads = |of: &str| {
        let request = Request::new(USER, "secretsmanager:GetSecretValue", &own).with("aws:username", &["ada,b"]);
        let request = request.with("aws:userid", &["AIDAEXAMPLE"]);
        request.with("secretsmanager:ResourceTag/key-rotation:user-id", &[of]).by_identity(&policy)
    };
    assert_eq!(reads("AIDAEXAMPLE"), Answer::Allowed);
    assert_eq!(reads("AIDAANOTHER"), Answer::NotAllowed);
    let decrypts = |principal: &str, via: &str| {
        let request = Request::new(principal, "kms:Decrypt", KEY).with("aws:PrincipalOrgID", &[ORGANIZATION]);
        request.with("kms:ViaService", &[via]).by_resource(&key)
    };
    assert_eq!(decrypts(USER, "secretsmanager.eu-west-1.amazonaws.com"), Answer::Allowed);
    assert_eq!(decrypts(USER, "s3.eu-west-1.amazonaws.com"), Answer::NotAllowed);
}

#[test]
fn the_break_glass_role_is_not_there_until_somebody_is_named_and_then_reads_users_secrets_and_no_others() {
    const ONCALL: &str = "arn:aws:iam::444455556666:role/oncall-*";
    for (store, secret) in STORES.into_iter().zip([SECRET, CENTRAL_SECRET]) {
        assert!(!Deployment::new("member-role.yaml", HERE, store).has("BreakGlassRole"));
        let given = [store, &[("BreakGlassPrincipalArns", ONCALL)]].concat();
        let stack = Deployment::new("member-role.yaml", HERE, &given);
        assert!(stack.has("BreakGlassRole"));
        let role = stack.arn("BreakGlassRole");
        let trust = with_resource(stack.document("BreakGlassRole", "AssumeRolePolicyDocument"));
        let assumes = |by: &str, organization: &str| {
            let request = Request::new(by, "sts:AssumeRole", "the role");
            request.with("aws:PrincipalOrgID", &[organization]).by_resource(&trust)
        };
        assert_eq!(assumes("arn:aws:iam::444455556666:role/oncall-1", ORGANIZATION), Answer::Allowed);
        assert_eq!(assumes("arn:aws:iam::444455556666:role/oncall-1", "o-0000000000"), Answer::NotAllowed);
        assert_eq!(assumes("arn:aws:iam::999999999999:role/oncall-1", ORGANIZATION), Answer::NotAllowed);
        assert_eq!(assumes("arn:aws:iam::444455556666:user/oncall-1", ORGANIZATION), Answer::NotAllowed);

        // Both policies let it read, and the key's where there is one.
        let identity = stack.policies_of("BreakGlassRole");
        let reads = |secret: &str| Request::new(&role, "secretsmanager:GetSecretValue", secret).by_identity(&identity);
        assert_eq!(reads(secret), Answer::Allowed);
        assert_eq!(reads(SOMEBODY_ELSES_SECRET), Answer::NotAllowed);
        assert_eq!(reads(&secret.replace("Account_222222222222", "Account_333333333333")), Answer::NotAllowed);
        let readers = [role.clone()];
        let writers = ["arn:aws:iam::1:role/w".to_owned()];
        let of_secret = SecretPolicy { owner: USER, readers: &readers, writers: &writers, last_attempt: None };
        let asks = |by: &str| {
            let request = Request::new(by, "secretsmanager:GetSecretValue", secret);
            request.by_resource(&of_secret.document())
        };
        assert_eq!(asks(&role), Answer::Allowed);
        assert_eq!(asks(USER), Answer::Allowed);
        assert_eq!(asks("arn:aws:iam::222222222222:role/Administrator"), Answer::Denied);
        assert_eq!(asks("arn:aws:iam::222222222222:root"), Answer::Denied);
        let decrypts = Request::new(&role, "kms:Decrypt", KEY)
            .with("kms:ViaService", &["secretsmanager.eu-west-1.amazonaws.com"])
            .with("aws:PrincipalOrgID", &[ORGANIZATION]);
        let is_central = secret == CENTRAL_SECRET;
        let expected = if is_central { Answer::Allowed } else { Answer::NotAllowed };
        assert_eq!(decrypts.by_identity(&identity), expected);
        assert_eq!(decrypts.by_resource(&stack_key()), Answer::Allowed);
    }
}

#[test]
fn the_workers_let_the_break_glass_role_read_and_whoever_else_is_named() {
    let readers =
        |given: &[(&str, &str)]| Deployment::new("fleet.yaml", FLEET, given).variable("WorkerTask", "SECRET_READERS");
    let default = "arn:aws:iam::{account}:role/IAMKeyRotationBreakGlass";
    let somebody = ("BreakGlassPrincipalArns", "arn:aws:iam::444455556666:role/oncall-*");
    // Nobody is told of a role that is not there.
    assert_eq!(readers(&[]), None);
    assert_eq!(readers(&[somebody]).as_deref(), Some(default));
    let more = "arn:aws:iam::{account}:role/ci-*,arn:aws:iam::444455556666:role/vault";
    assert_eq!(readers(&[("SecretReaders", more), somebody]), Some(format!("{default},{more}")));
    assert_eq!(readers(&[("SecretReaders", more)]).as_deref(), Some(more));
}

fn stack_key() -> Value {
    Deployment::new("kms.yaml", FLEET, &[]).document("SecretsKey", "KeyPolicy")
}
