//! What interrupted attempts left, and what a person has made meanwhile: settled, or left alone.

use end_to_end::scenario::{leave_intent, leave_pending, leave_settling_intent, leave_trace, publish};
use end_to_end::{ACCOUNT, Stage, secret};
use jiff::SignedDuration;
use sandbox::KeySpec;
use sandbox::faults::{Calls, Fault, Rule};

use crate::{due, intents, made_half_an_hour_ago};

#[tokio::test]
async fn a_published_key_that_a_person_has_made_inactive_since_is_settled() {
    let stage = Stage::new().await;
    let keys = stage.user(&[due(), made_half_an_hour_ago().inactive()]);
    publish(&stage, &keys[1]);
    leave_intent(&stage, &keys[0], 30);
    stage.run().await;
    assert_eq!(stage.waiting(), 0, "the message is done");
    assert_eq!(intents(&stage), 0, "or the user would stand still for ever");
    assert_eq!(stage.keys(), [(keys[0].clone(), true), (keys[1].clone(), false)], "nobody's key was touched");
}

#[tokio::test]
async fn a_key_made_by_hand_while_an_attempt_only_settled_is_nobodys_orphan() {
    let stage = Stage::new().await;
    let keys = stage.user(&[due(), made_half_an_hour_ago()]);
    leave_settling_intent(&stage, 30);
    leave_trace(&stage, ACCOUNT, 30);
    stage.run().await;
    assert_eq!(stage.keys(), [(keys[0].clone(), true), (keys[1].clone(), true)], "it was never used, and stays");
    assert_eq!((intents(&stage), stage.waiting()), (0, 0));
}

#[tokio::test]
async fn a_key_without_a_version_that_has_been_used_is_a_persons_and_stays() {
    let stage = Stage::new().await;
    let used = KeySpec { last_used_ago: Some(SignedDuration::from_mins(5)), ..made_half_an_hour_ago() };
    let keys = stage.user(&[due(), used]);
    leave_intent(&stage, &keys[0], 30);
    stage.run().await;
    assert_eq!(stage.keys(), [(keys[0].clone(), true), (keys[1].clone(), true)]);
    assert_eq!((intents(&stage), stage.waiting()), (0, 0), "and nothing is left to settle");
}

#[tokio::test]
async fn a_key_without_a_version_whose_use_cannot_be_read_stays_until_it_can() {
    let stage = Stage::new().await;
    let keys = stage.user(&[due(), made_half_an_hour_ago()]);
    leave_intent(&stage, &keys[0], 30);
    stage.world(|world| world.faults.deny(ACCOUNT, "iam:GetAccessKeyLastUsed", None));
    stage.run().await;
    assert_eq!(stage.keys(), [(keys[0].clone(), true), (keys[1].clone(), true)], "unknown is not \"no\"");
    assert_eq!(stage.waiting(), 1, "the message comes again");
    stage.world(|world| world.faults.allow_all(ACCOUNT));
    stage.pass(SignedDuration::from_mins(30));
    stage.work().await;
    assert!(!stage.keys().contains(&(keys[1].clone(), true)), "never used, no version: nobody has its secret");
    assert_eq!((intents(&stage), stage.waiting()), (0, 0));
}

#[tokio::test]
async fn a_pending_key_of_an_attempt_that_died_is_published_and_no_other_is_made() {
    for secret_is_to_be_deleted in [false, true] {
        let stage = Stage::new().await;
        let keys = stage.user(&[due(), made_half_an_hour_ago()]);
        publish(&stage, &keys[0]);
        leave_pending(&stage, &keys[1]);
        leave_intent(&stage, &keys[0], 30);
        if secret_is_to_be_deleted {
            let delete = stage.session().await.secrets_manager().delete_secret().secret_id(secret()).send().await;
            delete.expect("it is scheduled for deletion");
        }
        stage.run().await;
        assert_eq!(stage.published_key().as_ref(), Some(&keys[1]));
        assert_eq!(stage.keys(), [(keys[0].clone(), true), (keys[1].clone(), true)]);
        assert_eq!((intents(&stage), stage.waiting()), (0, 0));
        assert!(stage.state_of(&keys[0]).is_some_and(|state| state.starts_with("notified=")), "and its owner is told");
    }
}

/// A proxy lets no secret pass: the key is there, and nobody has its secret.
#[tokio::test]
async fn a_key_whose_answer_a_proxy_has_kept_is_deleted_and_another_is_made() {
    for secret_is_to_be_deleted in [false, true] {
        let stage = Stage::new().await;
        let old = stage.user(&[due()]).remove(0);
        let calls = Calls::new("iam:CreateAccessKey");
        stage.world(|world| world.faults.add(Rule { calls, fault: Fault::ProxyAnswer, rate: 1.0, times: Some(1) }));
        stage.run().await;
        let kept = stage.keys().into_iter().map(|(id, _)| id).find(|id| *id != old).expect("the key is there");
        if secret_is_to_be_deleted {
            let delete = stage.session().await.secrets_manager().delete_secret().secret_id(secret()).send().await;
            delete.expect("it is scheduled for deletion");
        }
        stage.pass(SignedDuration::from_mins(30));
        stage.run().await;
        let published = stage.published_key().expect("it has a successor");
        assert_ne!(published, kept);
        assert_eq!(stage.keys(), [(old, true), (published, true)]);
        assert_eq!(intents(&stage), 0);
    }
}

#[tokio::test]
async fn a_pending_key_that_came_too_late_is_not_published_over_another_attempts_live_one() {
    let stage = Stage::new().await;
    let keys = stage.user(&[due(), made_half_an_hour_ago(), made_half_an_hour_ago()]);
    let (first, late) = (&keys[1], &keys[2]);
    publish(&stage, first);
    leave_pending(&stage, late);
    leave_intent(&stage, &keys[0], 31);
    leave_intent(&stage, &keys[0], 30);
    stage.run().await;
    assert_eq!(stage.published_key().as_ref(), Some(first));
    assert_eq!(stage.keys(), [(keys[0].clone(), true), (first.clone(), true)], "the late one goes");
    assert_eq!(intents(&stage), 0);
}

#[tokio::test]
async fn while_another_attempt_may_be_under_way_nothing_is_made_or_cleared() {
    let stage = Stage::new().await;
    let old = stage.user(&[due()]).remove(0);
    leave_intent(&stage, &old, 19);
    stage.run().await;
    assert_eq!(stage.keys(), [(old.clone(), true)]);
    assert_eq!((intents(&stage), stage.waiting()), (1, 1), "the other's intent stands, and the message comes again");
    stage.pass(SignedDuration::from_mins(30));
    stage.work().await;
    assert_eq!(stage.keys().len(), 2, "when the intent is old it is settled, and the key gets its successor");
    assert_eq!((intents(&stage), stage.waiting()), (0, 0));
}
