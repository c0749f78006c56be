//! What a person does between the look that the plan is made on and the harm; and what dates a notice.

use end_to_end::scenario::{publish, remember};
use end_to_end::{ACCOUNT, Stage, USER};
use jiff::SignedDuration;
use rotation::{Period, Policy, Task, UnusedKeys};
use sandbox::faults::{StaleReads, When};
use sandbox::{KeySpec, KeyStatus};

use crate::{Still, due};

#[tokio::test]
async fn right_before_a_disable_the_successor_is_looked_at_again() {
    let stage = Stage::new().await;
    let keys = stage.user(&[KeySpec::aged(101).used_days_ago(1), KeySpec::aged(11)]);
    publish(&stage, &keys[1]);
    remember(&stage, &keys[0], "notified", 11);
    stage.schedule().await;
    // All that the plan is made on has been read, when a person switches the successor off.
    let work = Still::at(&stage, "worker", "secretsmanager:DescribeSecret", When::After, stage.settings()).await;
    stage.world(|world| world.set_key_status(ACCOUNT, USER, &keys[1], KeyStatus::Inactive));
    work.goes_on().await;
    assert_eq!(stage.keys(), [(keys[0].clone(), true), (keys[1].clone(), false)], "the last working key stays");
}

#[tokio::test]
async fn right_before_an_unused_key_is_disabled_its_last_use_is_looked_at_again() {
    let stage = Stage::new().await;
    let key = stage.user(&[KeySpec::aged(105)]).remove(0);
    remember(&stage, &key, "notified", 11);
    stage.schedule().await;
    let mut settings = stage.settings();
    settings.policy = Policy::new(Period::default(), UnusedKeys::Retire).expect("a policy");
    let work = Still::at(&stage, "worker", "secretsmanager:DescribeSecret", When::After, settings).await;
    stage.world(|world| world.use_key(&key, "s3", "eu-central-1"));
    work.goes_on().await;
    assert_eq!(stage.keys(), [(key, true)], "it has just been used for the first time");
}

#[tokio::test]
async fn right_before_a_delete_the_key_is_looked_at_again() {
    let stage = Stage::new().await;
    let keys = stage.user(&[KeySpec::aged(111).used_days_ago(20).inactive(), KeySpec::aged(21).used_days_ago(1)]);
    publish(&stage, &keys[1]);
    remember(&stage, &keys[0], "disabled", 11);
    stage.schedule().await;
    let work = Still::at(&stage, "worker", "secretsmanager:DescribeSecret", When::After, stage.settings()).await;
    stage.world(|world| world.set_key_status(ACCOUNT, USER, &keys[0], KeyStatus::Active));
    work.goes_on().await;
    assert_eq!(stage.keys(), [(keys[0].clone(), true), (keys[1].clone(), true)], "a person has just made it active");
}

#[tokio::test]
async fn a_notice_dates_from_the_first_mail_that_was_accepted_and_not_from_its_record() {
    let stage = Stage::new().await;
    let old = stage.user(&[due()]).remove(0);
    stage.world(|world| world.tag_user(ACCOUNT, USER, "owner", "leader@example.org"));
    stage.schedule().await;
    let told = stage.now();
    let mut settings = stage.settings();
    settings.mail.owner_tag = Some("owner".to_owned());
    let work = Still::at(&stage, "worker", "ses:SendEmail", When::After, settings).await;
    stage.pass(SignedDuration::from_mins(5));
    work.goes_on().await;
    assert_eq!(stage.mails().len(), 2, "the account and the owner");
    let date = told.strftime("%Y-%m-%dT%H:%M:%SZ");
    assert!(stage.state_of(&old).is_some_and(|state| state.starts_with(&format!("notified={date} "))));
}

#[tokio::test]
async fn a_key_restored_when_its_deletion_was_due_is_not_deleted_by_a_run_whose_looks_lag() {
    let stage = Stage::new().await;
    let keys = stage.user(&[KeySpec::aged(111).used_days_ago(20).inactive(), KeySpec::aged(21).used_days_ago(1)]);
    publish(&stage, &keys[1]);
    remember(&stage, &keys[0], "disabled", 11);
    let user = USER.parse().expect("a user name");
    // What was there before each write is kept from now on, and not shown yet.
    let lag = |rate| {
        stage.world(|world| {
            world.faults.stale_reads = Some(StaleReads { seconds: 60, reads: None, rate, operation: None });
        });
    };
    lag(0.0);
    stage.send(&stage.job(Task::Restore { user, access_key_id: None })).await;
    stage.work().await;
    assert!(
        stage.keys().contains(&(keys[0].clone(), false)),
        "whoever is deleting it may not have seen the new record"
    );
    stage.pass(SignedDuration::from_mins(21));
    stage.work().await;
    assert_eq!((stage.keys(), stage.waiting()), (vec![(keys[0].clone(), true), (keys[1].clone(), true)], 0));
    // Two seconds later everything looks as it did before that delivery.
    stage.pass(SignedDuration::from_secs(2));
    lag(1.0);
    stage.run().await;
    assert!(stage.keys().contains(&(keys[0].clone(), true)), "a live key is not deleted");
}
