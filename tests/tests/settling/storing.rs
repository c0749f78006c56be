//! A new key that cannot be stored: one is made and deleted, and not one at every try.

use end_to_end::scenario::publish;
use end_to_end::violations::violations;
use end_to_end::{ACCOUNT, Stage};
use sandbox::faults::{Calls, Fault, Rule};
use sandbox::journal::Effect;

use crate::{due, intents};

fn keys_made(stage: &Stage) -> usize {
    let made = |effect: &Effect| matches!(effect, Effect::KeyCreated { .. });
    stage.world(|world| world.journal.effects().iter().filter(|record| made(&record.effect)).count())
}

/// A call is denied for good, and the message tried again for as long as it waits.
async fn one_key_is_made_where(denied: &str) {
    let stage = Stage::new().await;
    let old = stage.user(&[due()]).remove(0);
    publish(&stage, &old);
    stage.world(|world| world.faults.deny(ACCOUNT, denied, None));
    stage.schedule().await;
    for _ in 0..6 {
        stage.work().await;
        stage.pass(jiff::SignedDuration::from_hours(1));
    }
    assert_eq!(keys_made(&stage), 1, "{denied}");
    assert_eq!(stage.keys(), [(old, true)], "{denied}");
    assert_eq!((intents(&stage), stage.waiting()), (0, 0), "{denied}");
    let letters = stage.dead_letters().await;
    let [(kind, reason, _)] = letters.as_slice() else { panic!("one dead letter: {letters:?}") };
    assert_eq!(kind, "Denied");
    assert!(reason.contains(denied), "it names what is missing: {reason}");
    assert_eq!(violations(&stage), [] as [String; 0]);
}

#[tokio::test]
async fn where_storing_or_publishing_is_denied_one_key_is_made_and_the_dead_letter_names_the_call() {
    one_key_is_made_where("secretsmanager:PutSecretValue").await;
    one_key_is_made_where("secretsmanager:UpdateSecretVersionStage").await;
}

#[tokio::test]
async fn where_storing_fails_for_a_while_it_is_tried_again() {
    let stage = Stage::new().await;
    let old = stage.user(&[due()]).remove(0);
    let throttled = Calls::new("secretsmanager:PutSecretValue");
    stage.world(|world| {
        world.faults.add(Rule { calls: throttled, fault: Fault::Throttle, rate: 1.0, times: Some(10) });
    });
    stage.schedule().await;
    for _ in 0..4 {
        stage.work().await;
        stage.pass(jiff::SignedDuration::from_hours(1));
    }
    assert_eq!((stage.keys().len(), stage.waiting()), (2, 0));
    assert_eq!(stage.keys()[0], (old, true));
    assert_eq!(violations(&stage), [] as [String; 0]);
}
