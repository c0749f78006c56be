//! Who may read a secret: resource policies, within an account and across accounts.

use aws_sdk_secretsmanager::Client;
use sandbox::world::MANAGEMENT_ACCOUNT;
use sandbox::{Credentials, KeySpec, Sandbox, World};

use crate::common::{MEMBER, REGION, code, member, operator, serve, settings, world};

const NAME: &str = "Account_200000000001_User_ada_AccessKey";

/// A user with a key, in an account.
fn user(world: &mut World, account: &str, name: &str, path: &str) -> Credentials {
    let now = world.now();
    world.add_user_at(account, name, path, now);
    let id = world.add_key(account, name, &KeySpec::aged(1));
    let key = world.user(account, name).key(&id).expect("the key just added").clone();
    Credentials { access_key_id: key.id, secret_access_key: key.secret_access_key, session_token: None }
}

async fn as_user(sandbox: &Sandbox, credentials: &Credentials) -> Client {
    Client::new(&settings(sandbox, credentials, "user").await)
}

/// A policy that lets one user read and denies it to everybody else.
fn only(arn: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[
            {{"Effect":"Allow","Principal":{{"AWS":"{arn}"}},"Action":"secretsmanager:GetSecretValue","Resource":"*"}},
            {{"Effect":"Deny","Principal":"*","Action":"secretsmanager:GetSecretValue","Resource":"*",
              "Condition":{{"ArnNotEquals":{{"aws:PrincipalArn":"{arn}"}}}}}}]}}"#
    )
}

async fn read(client: &Client, id: &str) -> Result<Option<String>, Option<String>> {
    match client.get_secret_value().secret_id(id).send().await {
        Ok(value) => Ok(value.secret_string),
        refused @ Err(_) => Err(code(refused)),
    }
}

fn denied() -> Result<Option<String>, Option<String>> {
    Err(Some("AccessDeniedException".to_owned()))
}

async fn put_policy(client: &Client, policy: &str) -> Option<String> {
    code(client.put_resource_policy().secret_id(NAME).resource_policy(policy).block_public_policy(true).send().await)
}

#[tokio::test]
async fn only_the_user_a_policy_names_can_read_and_not_even_the_role_that_wrote() {
    let mut world = world();
    let ada = user(&mut world, MEMBER, "ada", "/team/");
    let bob = user(&mut world, MEMBER, "bob", "/");
    let sandbox = serve(world).await;
    let (role, ada, bob) =
        (Client::new(&member(&sandbox).await), as_user(&sandbox, &ada).await, as_user(&sandbox, &bob).await);
    role.create_secret().name(NAME).secret_string("v").send().await.expect("made");
    assert_eq!(read(&role, NAME).await, Ok(Some("v".to_owned())));
    assert_eq!(read(&ada, NAME).await, denied(), "a user reads only what a policy lets it read");

    let arn = format!("arn:aws:iam::{MEMBER}:user/team/ada");
    assert_eq!(put_policy(&role, &only(&arn)).await, None);
    assert_eq!(read(&ada, NAME).await, Ok(Some("v".to_owned())));
    assert_eq!(read(&bob, NAME).await, denied());
    assert_eq!(read(&role, NAME).await, denied());
    role.put_secret_value().secret_id(NAME).secret_string("w").send().await.expect("writing is not reading");
    assert_eq!(read(&ada, NAME).await, Ok(Some("w".to_owned())));

    let policy = role.get_resource_policy().secret_id(NAME).send().await.expect("a policy");
    assert_eq!(policy.resource_policy(), Some(only(&arn).as_str()));
    let other = only(&format!("arn:aws:iam::{MEMBER}:user/bob"));
    assert_eq!(put_policy(&role, &other).await, None);
    assert_eq!((read(&ada, NAME).await, read(&bob, NAME).await), (denied(), Ok(Some("w".to_owned()))));
}

#[tokio::test]
async fn a_user_cannot_change_secrets() {
    let mut world = world();
    let ada = user(&mut world, MEMBER, "ada", "/");
    let sandbox = serve(world).await;
    let ada = as_user(&sandbox, &ada).await;
    let made = ada.create_secret().name("mine").secret_string("v").send().await;
    assert_eq!(code(made).as_deref(), Some("AccessDeniedException"));
}

#[tokio::test]
async fn a_policy_must_be_readable_private_and_about_principals_that_are_there() {
    let sandbox = serve(world()).await;
    let role = Client::new(&member(&sandbox).await);
    role.create_secret().name(NAME).secret_string("v").send().await.expect("made");
    let malformed = Some("MalformedPolicyDocumentException".to_owned());
    assert_eq!(put_policy(&role, "no policy").await, malformed);
    assert_eq!(put_policy(&role, &only(&format!("arn:aws:iam::{MEMBER}:user/nobody"))).await, malformed);
    let everyone = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"secretsmanager:*","Resource":"*"}}"#;
    let refused = role.put_resource_policy().secret_id(NAME).resource_policy(everyone).block_public_policy(true);
    let refused = refused.send().await.expect_err("public").into_service_error();
    assert!(refused.is_public_policy_exception(), "{refused:?}");
    let unchecked = role.put_resource_policy().secret_id(NAME).resource_policy(everyone).send().await;
    unchecked.expect("public, but nobody asked for the check");
}

#[tokio::test]
async fn a_user_reads_across_accounts_with_both_policies_and_a_key_of_the_customer_s_own() {
    let mut world = world();
    let ada = user(&mut world, MEMBER, "ada", "/");
    let sandbox = serve(world).await;
    let (center, ada) = (Client::new(&operator(&sandbox).await), as_user(&sandbox, &ada).await);
    let policy = only(&format!("arn:aws:iam::{MEMBER}:user/ada"));
    let made = async |name: &str, key: Option<&str>| {
        let made = center.create_secret().name(name).secret_string("v").set_kms_key_id(key.map(str::to_owned));
        made.send().await.expect("made").arn.expect("an ARN")
    };
    let (arn, with_key) = (made(NAME, None).await, made("with-key", Some("alias/central")).await);
    assert_eq!(read(&ada, NAME).await, Err(Some("ResourceNotFoundException".to_owned())), "a name is one's own");
    let attached = format!("arn:aws:iam::{MEMBER}:policy/read-own-secret");
    assert_eq!(put_policy(&center, &policy).await, None);
    assert_eq!(read(&ada, &arn).await, denied(), "no identity policy");
    sandbox.with(|world| world.user_mut(MEMBER, "ada").attached_policies.insert(attached));
    assert_eq!(read(&ada, &arn).await, denied(), "the key AWS manages is of no use to another account");
    assert_eq!(read(&ada, &with_key).await, denied(), "no resource policy");
    let put = center.put_resource_policy().secret_id("with-key").resource_policy(&policy).send().await;
    put.expect("a policy");
    assert_eq!(read(&ada, &with_key).await, Ok(Some("v".to_owned())));
    let there = sandbox.with(|world| world.secrets.secret(MANAGEMENT_ACCOUNT, REGION, NAME).is_some());
    assert!(there);
}
