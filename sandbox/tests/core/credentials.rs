//! Accounts are told apart by the caller's credentials, and credentials are refused where AWS refuses them.

use crate::common::{MEMBER, REGION, assume, code, member, noon, operator, serve, settings, world};
use aws_sdk_iam::error::ProvideErrorMetadata;
use jiff::SignedDuration;
use sandbox::world::{MANAGEMENT_ACCOUNT, MEMBER_ROLE};
use sandbox::{Credentials, KeySpec, KeyStatus, Sandbox};

async fn identity(sandbox: &Sandbox, credentials: &Credentials) -> Result<String, String> {
    let sts = aws_sdk_sts::Client::new(&settings(sandbox, credentials, "test").await);
    match sts.get_caller_identity().send().await {
        Ok(identity) => Ok(identity.arn.expect("an ARN")),
        Err(error) => Err(error.code().expect("a code").to_owned()),
    }
}

#[tokio::test]
async fn the_operator_belongs_to_the_management_account() {
    let sandbox = serve(world()).await;
    let arn = identity(&sandbox, &sandbox.operator_credentials()).await.expect("an identity");
    assert_eq!(arn, format!("arn:aws:iam::{MANAGEMENT_ACCOUNT}:user/sandbox-operator"));
}

#[tokio::test]
async fn an_assumed_role_s_credentials_belong_to_the_target_account() {
    let mut world = world();
    world.add_user(MEMBER, "ada");
    world.add_user(MANAGEMENT_ACCOUNT, "boss");
    let sandbox = serve(world).await;
    let arn = identity(&sandbox, &assume(&sandbox, None).await).await.expect("an identity");
    assert_eq!(arn, format!("arn:aws:sts::{MEMBER}:assumed-role/{MEMBER_ROLE}/test"));
    let users = |config| async move {
        let users = aws_sdk_iam::Client::new(&config).list_users().send().await.expect("users").users;
        users.into_iter().map(|user| user.user_name).collect::<Vec<_>>()
    };
    assert_eq!(users(member(&sandbox).await).await, ["ada"]);
    assert_eq!(users(operator(&sandbox).await).await, ["boss"]);
}

#[tokio::test]
async fn a_role_that_does_not_exist_cannot_be_assumed() {
    let mut world = world();
    world.remove_role(MEMBER, MEMBER_ROLE);
    let sandbox = serve(world).await;
    let sts = aws_sdk_sts::Client::new(&operator(&sandbox).await);
    for account in [MEMBER, "999999999999"] {
        let arn = format!("arn:aws:iam::{account}:role/{MEMBER_ROLE}");
        let refused = sts.assume_role().role_arn(arn).role_session_name("run-1").send().await;
        assert_eq!(code(refused).as_deref(), Some("AccessDenied"));
    }
}

#[tokio::test]
async fn a_role_that_asks_for_an_external_id_is_not_assumed_without_it() {
    let mut world = world();
    world.add_role(MEMBER, "guarded").external_id = Some("secret-word".into());
    let sandbox = serve(world).await;
    let sts = aws_sdk_sts::Client::new(&operator(&sandbox).await);
    let assume = || sts.assume_role().role_arn(format!("arn:aws:iam::{MEMBER}:role/guarded")).role_session_name("run");
    assert_eq!(code(assume().send().await).as_deref(), Some("AccessDenied"));
    assert_eq!(code(assume().external_id("wrong").send().await).as_deref(), Some("AccessDenied"));
    assume().external_id("secret-word").send().await.expect("assumed");
}

#[tokio::test]
async fn session_names_and_durations_outside_aws_s_bounds_are_refused() {
    let sandbox = serve(world()).await;
    let sts = aws_sdk_sts::Client::new(&operator(&sandbox).await);
    let assume = |name: &str, seconds| {
        let role = format!("arn:aws:iam::{MEMBER}:role/{MEMBER_ROLE}");
        sts.assume_role().role_arn(role).role_session_name(name).duration_seconds(seconds).send()
    };
    for (name, seconds) in [("a b", 900), ("x", 900), ("run", 899), ("run", 43_201)] {
        assert_eq!(code(assume(name, seconds).await).as_deref(), Some("ValidationError"), "{name} {seconds}");
    }
    assume("run=+,.@-_1", 43_200).await.expect("assumed");
}

#[tokio::test]
async fn a_session_policy_narrows_what_the_session_may_do() {
    let mut world = world();
    world.add_user(MEMBER, "ada");
    let sandbox = serve(world).await;
    let policy = r#"{"Version":"2012-10-17","Statement":[
        {"Effect":"Allow","Action":["iam:List*","iam:Get*"],"Resource":"*"}]}"#;
    let narrowed = settings(&sandbox, &assume(&sandbox, Some(policy)).await, "test").await;
    let iam = aws_sdk_iam::Client::new(&narrowed);
    iam.list_users().send().await.expect("listing is allowed");
    let refused = iam.create_access_key().user_name("ada").send().await;
    assert_eq!(code(refused).as_deref(), Some("AccessDenied"));
    assert!(sandbox.with(|world| world.user(MEMBER, "ada").holds.keys.is_empty()));
}

#[tokio::test]
async fn a_session_ends_by_the_sandbox_s_clock() {
    let sandbox = serve(world()).await;
    let credentials = assume(&sandbox, None).await;
    sandbox.with(|world| world.clock.advance(SignedDuration::from_secs(899)));
    identity(&sandbox, &credentials).await.expect("still valid");
    sandbox.with(|world| world.clock.advance(SignedDuration::from_secs(1)));
    assert_eq!(identity(&sandbox, &credentials).await, Err("ExpiredToken".into()));
    let secrets = aws_sdk_secretsmanager::Client::new(&settings(&sandbox, &credentials, "test").await);
    let refused = secrets.describe_secret().secret_id("x").send().await;
    assert_eq!(code(refused).as_deref(), Some("ExpiredTokenException"));
}

#[tokio::test]
async fn unknown_keys_and_inactive_keys_are_refused() {
    let mut world = world();
    world.add_user(MEMBER, "ada");
    let key = world.add_key(MEMBER, "ada", &KeySpec::aged(10));
    let sandbox = serve(world).await;
    let ada = Credentials { access_key_id: key.clone(), secret_access_key: "x".into(), session_token: None };
    assert_eq!(identity(&sandbox, &ada).await, Ok(format!("arn:aws:iam::{MEMBER}:user/ada")));
    sandbox.with(|world| world.set_key_status(MEMBER, "ada", &key, KeyStatus::Inactive));
    assert_eq!(identity(&sandbox, &ada).await, Err("InvalidClientTokenId".into()));
    let stranger = Credentials { access_key_id: "AKIAAAAAAAAAAAAAAAAA".into(), ..ada };
    assert_eq!(identity(&sandbox, &stranger).await, Err("InvalidClientTokenId".into()));
}

#[tokio::test]
async fn a_call_signed_by_a_user_s_key_is_its_last_use() {
    let mut world = world();
    world.add_user(MEMBER, "ada");
    let key = world.add_key(MEMBER, "ada", &KeySpec::aged(10));
    let sandbox = serve(world).await;
    let iam = aws_sdk_iam::Client::new(&member(&sandbox).await);
    let last_used = || iam.get_access_key_last_used().access_key_id(&key).send();
    let before = last_used().await.expect("an answer");
    assert_eq!(before.user_name.as_deref(), Some("ada"));
    let before = before.access_key_last_used.expect("last use");
    assert_eq!((before.last_used_date, before.service_name.as_str()), (None, "N/A"));

    let ada = Credentials { access_key_id: key.clone(), secret_access_key: "x".into(), session_token: None };
    identity(&sandbox, &ada).await.expect("an identity");
    let after = last_used().await.expect("an answer").access_key_last_used.expect("last use");
    assert_eq!(after.last_used_date.map(|date| date.secs()), Some(noon().as_second()));
    assert_eq!((after.service_name.as_str(), after.region.as_str()), ("sts", REGION));
}

#[tokio::test]
async fn a_leaked_key_s_account_can_be_looked_up() {
    let mut world = world();
    world.add_user(MEMBER, "ada");
    let key = world.add_key(MEMBER, "ada", &KeySpec::aged(10));
    let sandbox = serve(world).await;
    let sts = aws_sdk_sts::Client::new(&operator(&sandbox).await);
    let info = sts.get_access_key_info().access_key_id(key).send().await.expect("an answer");
    assert_eq!(info.account.as_deref(), Some(MEMBER));
}
