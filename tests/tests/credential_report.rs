//! The credential report as the product reads it: who has which keys, how old that is, and why it cannot be had.

use std::time::Duration;

use end_to_end::{ACCOUNT, Stage, USER};
use jiff::SignedDuration;
use key_rotation_aws::CredentialReportError;
use key_rotation_aws::credential_report::{self, CredentialReportState};
use rotation::LastUse;
use sandbox::call::Service;
use sandbox::{KeySpec, KeyStatus};

#[tokio::test]
async fn every_user_is_reported_with_its_keys_and_the_root_user_is_not() {
    let stage = Stage::new().await;
    let keys = stage.user(&[KeySpec::aged(100).used_days_ago(2), KeySpec::aged(40)]);
    stage.user_named("no-keys", &[]);
    stage.world(|world| world.set_key_status(ACCOUNT, USER, &keys[1], KeyStatus::Inactive));
    let report = credential_report::fetch(stage.session().await.iam(), &[Duration::ZERO]).await.expect("a report");
    assert_eq!(report.generated, stage.now());
    assert!(report.unreadable.is_empty());
    let names: Vec<&str> = report.users.iter().map(|user| user.name.as_str()).collect();
    assert_eq!(names, [USER, "no-keys"]);
    let [first, second] = report.users[0].keys.as_slice() else { panic!("two keys: {:?}", report.users[0]) };
    assert!(first.active && !second.active);
    let days = |n: i64| stage.now() - SignedDuration::from_hours(24 * n);
    assert_eq!(first.last_rotated, Some(days(100)));
    assert_eq!(second.last_rotated, Some(stage.now()), "switching a key off counts as changing it");
    assert!(matches!(&first.last_use, LastUse::At { when, .. } if *when == days(2)));
    assert_eq!(second.last_use, LastUse::Never);
    assert!(report.users[0].name.as_str() == USER && report.users[1].keys.is_empty());
}

#[tokio::test]
async fn a_report_that_is_being_generated_is_asked_for_again_as_often_as_there_are_pauses() {
    let stage = Stage::new().await;
    stage.world(|world| world.faults.report_generation = SignedDuration::from_secs(5));
    let session = stage.session().await;
    let gotten = || stage.world(|world| world.journal.count(Service::Iam, "GetCredentialReport"));
    let fetch = async |pauses: &[Duration]| credential_report::fetch(session.iam(), pauses).await;
    assert_eq!(fetch(&[]).await, Err(CredentialReportError::InProgress));
    assert_eq!(gotten(), 0, "it was not worth asking");
    assert_eq!(fetch(&[Duration::ZERO; 3]).await, Err(CredentialReportError::InProgress));
    assert_eq!(gotten(), 3);
    stage.pass(SignedDuration::from_secs(5));
    assert!(fetch(&[]).await.is_ok());
}

#[tokio::test]
async fn why_there_is_no_report_is_told_by_its_kind() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    let iam = session.iam();
    assert_eq!(credential_report::get(iam).await, Err(CredentialReportError::NotPresent));
    assert_eq!(credential_report::generate(iam).await, Ok(CredentialReportState::InProgress));
    assert_eq!(credential_report::generate(iam).await, Ok(CredentialReportState::Complete));
    stage.pass(SignedDuration::from_hours(4));
    let session = stage.session().await;
    assert_eq!(credential_report::get(session.iam()).await, Err(CredentialReportError::Expired));
    stage.world(|world| world.faults.deny(ACCOUNT, "iam:GenerateCredentialReport", None));
    let denied = credential_report::fetch(session.iam(), &[Duration::ZERO]).await;
    assert!(
        matches!(&denied, Err(CredentialReportError::Denied(error)) if error.operation == "iam:GenerateCredentialReport")
    );
}
