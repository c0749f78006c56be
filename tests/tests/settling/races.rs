//! Two workers on one user, one of which stands still at the worst moment.

use std::time::{Duration, Instant};

use end_to_end::scenario::{publish, remember};
use end_to_end::violations::violations;
use end_to_end::{ACCOUNT, Stage, USER};
use jiff::SignedDuration;
use sandbox::KeySpec;
use sandbox::call::Service;
use sandbox::faults::When;
use worker::Settings;

use crate::{Still, at_work, due, intents};

#[tokio::test]
async fn another_attempts_first_version_is_not_published_over_while_its_key_is_live() {
    let stage = Stage::new().await;
    let old = stage.user(&[due()]).remove(0);
    stage.schedule().await;
    let work = Still::at(&stage, "worker", "secretsmanager:PutSecretValue", When::Before, stage.settings()).await;
    let faster = stage.world(|world| world.add_key(ACCOUNT, USER, &KeySpec::aged(0)));
    publish(&stage, &faster);
    work.goes_on().await;
    assert_eq!(stage.published_key(), Some(faster.clone()));
    assert_eq!(stage.keys(), [(old, true), (faster, true)], "the slower attempt's key is gone again");
    assert_eq!(violations(&stage), [] as [String; 0]);
}

#[tokio::test]
async fn another_attempts_later_version_is_not_published_over_either() {
    let stage = Stage::new().await;
    let old = stage.user(&[due()]).remove(0);
    publish(&stage, &old);
    stage.schedule().await;
    let work = Still::at(&stage, "worker", "secretsmanager:PutSecretValue", When::Before, stage.settings()).await;
    let faster = stage.world(|world| world.add_key(ACCOUNT, USER, &KeySpec::aged(0)));
    publish(&stage, &faster);
    work.goes_on().await;
    assert_eq!(stage.published_key(), Some(faster.clone()), "the swap expected the version that was there at first");
    assert_eq!(stage.keys(), [(old, true), (faster, true)], "the slower attempt's key is gone again");
    assert_eq!(violations(&stage), [] as [String; 0]);
}

#[tokio::test]
async fn a_key_that_another_attempt_has_just_made_is_not_taken_for_a_persons_successor() {
    let stage = Stage::with(false).await;
    let old = stage.user(&[due()]).remove(0);
    // One worker has listed the users with their tags, and is about to list the user's keys, when another makes its key.
    stage.schedule().await;
    let slow = Still::at(&stage, "slow", "iam:ListAccessKeys", When::Before, stage.settings_for_one_message()).await;
    stage.schedule().await;
    let fast = Still::at(&stage, "fast", "secretsmanager:PutSecretValue", When::Before, stage.settings()).await;
    slow.goes_on().await;
    assert_eq!(stage.state_of(&old), None, "nobody is told of a successor that is not stored yet");
    assert_eq!(stage.mails().len(), 0);
    fast.goes_on().await;
    assert_eq!(violations(&stage), [] as [String; 0]);
    assert!(stage.state_of(&old).is_some_and(|state| state.starts_with("notified=")));
}

#[tokio::test]
async fn a_user_that_is_exempt_since_it_was_listed_gets_no_successor() {
    let stage = Stage::new().await;
    stage.user(&[due()]);
    stage.schedule().await;
    // All that the plan is made on has been read.
    let work = Still::at(&stage, "worker", "secretsmanager:DescribeSecret", When::After, stage.settings()).await;
    stage.world(|world| world.tag_user(ACCOUNT, USER, "key-rotation:exempt-until", "2099-12-31"));
    work.goes_on().await;
    assert_eq!((stage.keys().len(), stage.waiting(), intents(&stage)), (1, 0, 0));
    assert_eq!(stage.mails().len(), 0);
}

#[tokio::test]
async fn a_user_that_has_been_put_into_the_exemption_group_since_it_was_listed_is_left_alone() {
    for (keys, last_read) in [
        (vec![due()], "secretsmanager:DescribeSecret"),
        (vec![KeySpec::aged(101).used_days_ago(1), KeySpec::aged(11)], "iam:GetAccessKeyLastUsed"),
    ] {
        let stage = Stage::new().await;
        let keys = stage.user(&keys);
        if let [old, new] = keys.as_slice() {
            publish(&stage, new);
            remember(&stage, old, "notified", 11);
        }
        stage.schedule().await;
        let settings = Settings { members_known_for: Duration::ZERO, ..stage.settings() };
        let work = Still::at(&stage, "worker", last_read, When::After, settings).await;
        stage.world(|world| world.add_group_member(ACCOUNT, "IAMKeyRotationExemptionGroup", USER));
        work.goes_on().await;
        let as_before: Vec<_> = keys.into_iter().map(|key| (key, true)).collect();
        assert_eq!((stage.keys(), stage.waiting(), intents(&stage)), (as_before, 0, 0));
        assert_eq!(stage.mails().len(), 0);
    }
}

/// Between the look and the attempt a person deletes the key that is to be replaced, or makes another.
#[tokio::test]
async fn an_attempt_makes_no_key_where_the_users_keys_are_no_longer_those_of_its_plan() {
    for deleted in [true, false] {
        let stage = Stage::new().await;
        let old = stage.user(&[due()]).remove(0);
        stage.schedule().await;
        let work = Still::at(&stage, "worker", "secretsmanager:DescribeSecret", When::After, stage.settings()).await;
        if deleted {
            let delete =
                stage.session().await.iam().delete_access_key().user_name(USER).access_key_id(&old).send().await;
            delete.expect("it is deleted");
        } else {
            stage.world(|world| world.add_key(ACCOUNT, USER, &KeySpec::aged(0)));
        }
        work.goes_on().await;
        let made = stage.world(|world| world.journal.count(Service::Iam, "CreateAccessKey"));
        assert_eq!((made, intents(&stage)), (0, 0), "deleted: {deleted}");
    }
}

#[tokio::test]
async fn a_key_that_another_worker_has_just_disabled_is_not_taken_for_a_re_enabled_one() {
    let stage = Stage::with(false).await;
    let keys = stage.user(&[KeySpec::aged(101).used_days_ago(1), KeySpec::aged(11)]);
    publish(&stage, &keys[1]);
    remember(&stage, &keys[0], "notified", 11);
    // One worker has listed the keys and is about to read the tags, when another disables the old key and records that.
    stage.schedule().await;
    let slow = Still::at(&stage, "slow", "iam:ListUserTags", When::Before, stage.settings_for_one_message()).await;
    stage.schedule().await;
    at_work(&stage.connection("fast"), stage.settings()).await.expect("the fast worker ends");
    assert!(stage.state_of(&keys[0]).is_some_and(|state| state.starts_with("disabled=")));
    let told = stage.mails().len();
    slow.goes_on().await;
    assert_eq!(stage.keys(), [(keys[0].clone(), false), (keys[1].clone(), true)]);
    assert!(stage.state_of(&keys[0]).is_some_and(|state| state.starts_with("disabled=")), "and not restored=");
    assert_eq!(stage.mails().len(), told, "nobody is told of a key that is active again");
}

#[tokio::test]
async fn where_iams_limit_races_the_key_that_sees_a_third_one_goes() {
    let stage = Stage::new().await;
    let old = stage.user(&[due()]).remove(0);
    stage.schedule().await;
    let work = Still::at(&stage, "worker", "iam:CreateAccessKey", When::After, stage.settings()).await;
    let other = stage.world(|world| world.add_key(ACCOUNT, USER, &KeySpec::aged(0)));
    work.goes_on().await;
    assert_eq!(stage.keys(), [(old, true), (other, true)], "two keys are left, and none of them is the tool's");
    assert_eq!(stage.published_key(), None);
}

#[tokio::test]
async fn a_worker_whose_session_is_over_does_not_write_to_a_central_store_where_no_session_stops_it() {
    let stage = Stage::with(false).await;
    stage.user(&[due()]);
    let central = || {
        let kms_key_id = Some("alias/key-rotation".to_owned());
        Settings { central_store: true, kms_key_id, ..stage.settings_for_one_message() }
    };
    // One worker has made its key, and stands still before it stores it: at its third list of the user's keys.
    stage.schedule().await;
    let slow = Still::at_call(&stage, "slow", ("iam:ListAccessKeys", 3), When::After, central()).await;
    assert_eq!(stage.keys().len(), 2, "its key is made");
    // Its intent is old. Another has seen that nothing is stored, and is about to delete the key.
    stage.pass(SignedDuration::from_mins(21));
    stage.schedule().await;
    let looked = ("secretsmanager:DescribeSecret", 2);
    let other = Still::at_call(&stage, "other", looked, When::After, central()).await;
    // The first goes on; any answer it has had meanwhile, about another user, tells it that it may be too late.
    let date = stage.now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    slow.connection.clock().observe(&date, Instant::now(), "STS");
    slow.goes_on().await;
    assert_eq!(stage.published_key(), None);
    other.goes_on().await;
    stage.pass(SignedDuration::from_mins(30));
    stage.work_with(&central()).await;
    assert_eq!(stage.keys().len(), 2, "the old key and one successor");
    assert_eq!(violations(&stage), [] as [String; 0]);
}

#[tokio::test]
async fn a_user_that_is_exempt_since_the_look_keeps_the_key_that_was_to_be_disabled_or_deleted() {
    for is_to_be_deleted in [false, true] {
        let stage = Stage::new().await;
        if is_to_be_deleted {
            let key = stage.user(&[KeySpec::aged(121).used_days_ago(20).inactive()]).remove(0);
            remember(&stage, &key, "disabled", 11);
        } else {
            let keys = stage.user(&[KeySpec::aged(101).used_days_ago(1), KeySpec::aged(11).used_days_ago(1)]);
            publish(&stage, &keys[1]);
            remember(&stage, &keys[0], "notified", 11);
        }
        let before = stage.keys();
        stage.schedule().await;
        let settings = Settings { members_known_for: Duration::ZERO, ..stage.settings() };
        // The last call before the first change, which is answered after the minute.
        let work = Still::at(&stage, "worker", "iam:GetGroup", When::Before, settings).await;
        stage.world(|world| world.tag_user(ACCOUNT, USER, "key-rotation:exempt-until", "2099-12-31"));
        stage.pass(SignedDuration::from_mins(1));
        work.goes_on().await;
        assert_eq!(stage.keys(), before);
    }
}
