//! Attempts that meet: one makes its key at once, the other waits for it; only for a silent one is everybody held up until its
//! intent is old.

use std::time::Duration;

use end_to_end::Stage;
use end_to_end::scenario::leave_intent;
use end_to_end::violations::{early_notices, violations};
use jiff::SignedDuration;
use rotation::EventKind;
use sandbox::faults::When;
use sandbox::journal::Effect;
use worker::Settings;

use crate::{Still, due, intents};

/// Longer than any attempt of a test takes.
const LONG: Duration = Duration::from_secs(30);
/// The look at a user that has one key.
const LOOKS: &str = "iam:GetAccessKeyLastUsed";
/// In step 2, for the intents of others.
const READS_TAGS: &str = "iam:ListUserTags";

fn settings(stage: &Stage, central_store: bool, attempt_wait: Duration) -> Settings {
    let kms_key_id = central_store.then(|| "alias/key-rotation".to_owned());
    let event_bus = Some("default".to_owned());
    Settings { central_store, kms_key_id, attempt_wait, event_bus, ..stage.settings_for_one_message() }
}

/// Keys that a worker has made.
fn made_by(stage: &Stage, application: &str) -> usize {
    stage.world(|world| {
        let calls = world.journal.calls();
        calls.filter(|call| call.app == application && call.operation == "CreateAccessKey").count()
    })
}

/// One successor, published and told of; nothing left over, and no finding.
fn is_rotated(stage: &Stage, old: &str) {
    let keys = stage.keys();
    assert_eq!(keys.len(), 2, "the old key and one successor: {keys:?}");
    assert_eq!(stage.published_key().as_ref(), Some(&keys[1].0));
    assert!(stage.state_of(old).is_some_and(|state| state.starts_with("notified=")));
    assert_eq!((intents(stage), stage.waiting()), (0, 0));
    let found = EventKind::Finding.detail_type();
    assert!(stage.world(|world| world.event_buses.events().iter().all(|event| event.detail_type != found)));
    assert_eq!([violations(stage), early_notices(stage)].concat(), [] as [String; 0]);
}

/// A worker that has seen no intent when it looked at the user.
async fn has_looked(stage: &Stage, name: &str, settings: Settings) -> Still {
    stage.schedule().await;
    Still::at(stage, name, LOOKS, When::After, settings).await
}

fn intents_ever_left(stage: &Stage) -> usize {
    stage.world(|world| {
        let effects = world.journal.effects().iter();
        let intent = |tag: &str| tag.starts_with("key-rotation:intent:");
        effects.filter(|record| matches!(&record.effect, Effect::UserTagged { key, .. } if intent(key))).count()
    })
}

/// Seconds until the message may be received again.
fn comes_again_in(stage: &Stage) -> i64 {
    stage.world(|world| {
        let next = world.queues.next_visible().expect("the message waits");
        next.duration_since(world.now()).as_secs()
    })
}

/// Both have left an intent before either looks for another's.
async fn two_see_each_other(central_store: bool) {
    let stage = Stage::with(false).await;
    let old = stage.user(&[due()]).remove(0);
    let began = stage.now();
    let one = has_looked(&stage, "one", settings(&stage, central_store, LONG)).await;
    let two = has_looked(&stage, "two", settings(&stage, central_store, LONG)).await;
    let one = one.goes_on_to(&stage, "one", READS_TAGS, When::Before).await;
    let two = two.goes_on_to(&stage, "two", READS_TAGS, When::Before).await;
    assert_eq!(intents(&stage), 2);
    tokio::join!(one.goes_on(), two.goes_on());
    assert_eq!(made_by(&stage, "one") + made_by(&stage, "two"), 1);
    is_rotated(&stage, &old);
    assert_eq!(intents_ever_left(&stage), 2, "one has kept its own, and the other needed no second one");
    assert_eq!(stage.now(), began, "both are done, and no time had to pass");
}

#[tokio::test]
async fn of_two_attempts_that_see_each_other_one_goes_on_at_once_and_the_other_finds_it_done() {
    two_see_each_other(false).await;
    two_see_each_other(true).await;
}

/// One has made its key when the other, whose plan was made before, leaves its intent.
async fn one_is_ahead(central_store: bool) {
    let stage = Stage::with(false).await;
    let old = stage.user(&[due()]).remove(0);
    stage.schedule().await;
    let settings_behind = settings(&stage, central_store, LONG);
    let behind = Still::at(&stage, "behind", "iam:TagUser", When::Before, settings_behind).await;
    stage.schedule().await;
    let settings = settings(&stage, central_store, LONG);
    let ahead = Still::at(&stage, "ahead", "secretsmanager:PutSecretValue", When::Before, settings).await;
    let behind = behind.goes_on_to(&stage, "behind", READS_TAGS, When::After).await;
    assert_eq!((intents(&stage), stage.keys().len()), (2, 2));
    tokio::join!(ahead.goes_on(), behind.goes_on());
    assert_eq!((made_by(&stage, "ahead"), made_by(&stage, "behind")), (1, 0));
    is_rotated(&stage, &old);
}

#[tokio::test]
async fn an_attempt_that_meets_one_ahead_of_it_waits_and_looks_again_whichever_id_is_lower() {
    // Ids are drawn: each time the one behind keeps its intent with a chance of one half.
    for n in 0..6 {
        one_is_ahead(n % 2 == 0).await;
    }
}

#[tokio::test]
async fn whoever_sees_an_intent_when_it_looks_waits_without_one_of_its_own() {
    let stage = Stage::with(false).await;
    let old = stage.user(&[due()]).remove(0);
    stage.schedule().await;
    let first = Still::at(&stage, "first", "iam:CreateAccessKey", When::After, settings(&stage, false, LONG)).await;
    stage.schedule().await;
    let waits = Still::at_call(&stage, "waits", (READS_TAGS, 2), When::After, settings(&stage, false, LONG)).await;
    tokio::join!(first.goes_on(), waits.goes_on());
    assert_eq!((made_by(&stage, "first"), made_by(&stage, "waits")), (1, 0));
    is_rotated(&stage, &old);
    assert_eq!(intents_ever_left(&stage), 1);
}

#[tokio::test]
async fn only_an_attempt_that_stays_silent_holds_others_up_until_its_intent_is_old() {
    let stage = Stage::with(false).await;
    let old = stage.user(&[due()]).remove(0);
    leave_intent(&stage, &old, 0);
    stage.run().await;
    let wait = comes_again_in(&stage);
    assert!((60..=75).contains(&wait), "it may be under way: {wait} s");
    stage.pass(SignedDuration::from_secs(wait + 1));
    stage.work().await;
    let wait = comes_again_in(&stage);
    assert!((18 * 60..=21 * 60).contains(&wait), "it should have ended by now: {wait} s");
    assert_eq!((intents_ever_left(&stage), stage.keys().len()), (0, 1), "nobody has left an intent beside it");
    stage.pass(SignedDuration::from_secs(wait + 1));
    stage.work().await;
    is_rotated(&stage, &old);
}
