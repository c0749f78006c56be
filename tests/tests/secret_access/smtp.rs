//! The SMTP passwords of a user that sends mail by SES are stored beside its new key.

use end_to_end::{ACCOUNT, Stage, USER};
use rotation::names::SMTP_REGIONS_TAG;
use secrecy::{ExposeSecret, SecretString};

use crate::{Store, due, secret_arn, user};

async fn rotated(tag: Option<&str>) -> (Stage, serde_json::Value) {
    let stage = Stage::new().await;
    let old = stage.user(&[due()]).remove(0);
    if let Some(tag) = tag {
        stage.world(|world| world.tag_user(ACCOUNT, USER, SMTP_REGIONS_TAG, tag));
    }
    stage.run().await;
    let id = secret_arn(&stage, Store::Own);
    let value = user(&stage, &old).secrets_manager().get_secret_value().secret_id(id).send().await;
    let value = value.expect("the user reads").secret_string.expect("a text");
    (stage, serde_json::from_str(&value).expect("JSON"))
}

#[tokio::test]
async fn a_tagged_users_secret_has_the_smtp_password_of_each_region_and_the_mail_says_so() {
    let (stage, value) = rotated(Some("eu-west-1  us-east-1 everywhere")).await;
    let secret = SecretString::from(value["SecretAccessKey"].as_str().expect("a text"));
    let passwords = value["SmtpPasswords"].as_object().expect("passwords");
    assert_eq!(passwords.keys().collect::<Vec<_>>(), ["eu-west-1", "us-east-1"]);
    for (region, password) in passwords {
        assert_eq!(password, worker::aws::smtp::password(&secret, region).expose_secret());
    }
    let mails = stage.mails();
    let told = |words: &str| mails.iter().any(|(_, text)| text.contains(words));
    assert!(told("SmtpPasswords holds the password of SES's SMTP interface in eu-west-1, us-east-1"), "{mails:?}");
    assert!(told("not \"everywhere\""), "{mails:?}");
    let passwords: Vec<&str> = passwords.values().map(|password| password.as_str().expect("a text")).collect();
    assert!(!passwords.iter().any(|password| told(password)), "a password is nobody's to mail");
}

#[tokio::test]
async fn another_users_secret_has_the_fields_that_it_always_had() {
    let (_, value) = rotated(None).await;
    let fields: Vec<&String> = value.as_object().expect("an object").keys().collect();
    assert_eq!(fields, ["AccessKeyId", "CreateDate", "SecretAccessKey", "Status", "UserName"]);
}
