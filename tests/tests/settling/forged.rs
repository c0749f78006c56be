//! An intent is believed where an attempt has left its trace on the secret, which nobody but the worker can write: whoever may tag the
//! user can write an intent.

use end_to_end::scenario::{forge_intent, leave_intent, leave_trace};
use end_to_end::violations::violations;
use end_to_end::{ACCOUNT, Stage};
use jiff::SignedDuration;
use rotation::readers::{ReaderPattern, Readers};
use sandbox::faults::When;
use sandbox::journal::{Effect, EffectRecord};
use sandbox::world::MANAGEMENT_ACCOUNT;
use worker::Settings;

use crate::{Still, due, intents, made_half_an_hour_ago};

/// The accounts that secrets are stored in: the user's, or the central one.
const STORES: [&str; 2] = [ACCOUNT, MANAGEMENT_ACCOUNT];

fn settings(stage: &Stage, store: &str) -> Settings {
    if store == ACCOUNT { stage.settings() } else { stage.central_settings() }
}

#[tokio::test]
async fn a_live_key_that_nobody_has_used_stays_where_no_attempt_was_at_work_when_the_intent_says_so() {
    for store in STORES {
        // No secret; one without a trace of that time.
        for trace in [None, Some(60), Some(20)] {
            let stage = Stage::new().await;
            let keys = stage.user(&[due(), made_half_an_hour_ago()]);
            if let Some(minutes_ago) = trace {
                leave_trace(&stage, store, minutes_ago);
            }
            forge_intent(&stage, &keys[0], 30);
            stage.schedule().await;
            stage.work_with(&settings(&stage, store)).await;
            assert_eq!(stage.keys(), [(keys[0].clone(), true), (keys[1].clone(), true)], "{store} {trace:?}");
            assert_eq!((intents(&stage), stage.waiting()), (0, 0), "it holds nobody up: {store} {trace:?}");
            let mails = stage.mails();
            let is_told =
                |text: &str| text.contains(&keys[1]) && text.contains("a tag key-rotation:intent: on the user");
            assert!(mails.iter().any(|(_, text)| is_told(text)), "a person has to look: {mails:?}");
        }
    }
}

#[tokio::test]
async fn the_key_of_an_attempt_that_died_goes_though_the_secrets_policy_was_mended_since() {
    let reader = ReaderPattern::new("arn:aws:iam::{account}:role/key-readers").expect("a reader");
    for store in STORES {
        for always in [Vec::new(), vec![reader.clone()]] {
            let stage = Stage::with(false).await;
            let old = stage.user(&[due()]).remove(0);
            stage.schedule().await;
            let dead = Still::at(&stage, "dead", "iam:CreateAccessKey", When::After, settings(&stage, store)).await;
            dead.work.abort();
            let orphan = stage.keys()[1].0.clone();
            stage.pass(SignedDuration::from_mins(21));
            let readers = Readers { always, ..Readers::default() };
            stage.schedule().await;
            stage.work_with(&Settings { readers, ..settings(&stage, store) }).await;
            let keys = stage.keys();
            assert!(keys.iter().all(|(key, _)| *key != orphan), "nobody has its secret: {store} {keys:?}");
            let successor = stage.published_key().expect("another is made and published");
            assert_eq!(keys, [(old, true), (successor, true)], "{store}");
            assert_eq!(intents(&stage), 0, "{store}");
            assert_eq!(violations(&stage), [] as [String; 0]);
        }
    }
}

#[tokio::test]
async fn a_policy_is_not_brought_up_to_date_while_an_attempt_may_be_at_work_whose_trace_that_could_take_away() {
    let reader = ReaderPattern::new("arn:aws:iam::{account}:role/key-readers").expect("a reader");
    for store in STORES {
        let stage = Stage::with(false).await;
        stage.user(&[due()]);
        stage.schedule().await;
        let at_work = Still::at(&stage, "first", "iam:CreateAccessKey", When::Before, settings(&stage, store)).await;
        let written = || {
            let is_policy = |record: &&EffectRecord| matches!(record.effect, Effect::SecretPolicyPut { .. });
            stage.world(|world| world.journal.effects().iter().filter(is_policy).count())
        };
        let before = written();
        let readers = Readers { always: vec![reader.clone()], ..Readers::default() };
        let with_reader = Settings { readers, ..settings(&stage, store) };
        stage.schedule().await;
        stage.work_with(&with_reader).await;
        assert_eq!(written(), before, "{store}");
        at_work.goes_on().await;
        stage.pass(SignedDuration::from_mins(21));
        stage.schedule().await;
        stage.work_with(&with_reader).await;
        assert_eq!(written(), before + 1, "by the next run: {store}");
    }
}

#[tokio::test]
async fn while_it_cannot_be_read_whether_an_attempt_was_at_work_its_key_stays() {
    let stage = Stage::new().await;
    let keys = stage.user(&[due(), made_half_an_hour_ago()]);
    leave_intent(&stage, &keys[0], 30);
    stage.world(|world| world.faults.deny(ACCOUNT, "secretsmanager:GetResourcePolicy", None));
    stage.run().await;
    assert_eq!(stage.keys(), [(keys[0].clone(), true), (keys[1].clone(), true)], "unknown is not \"no\"");
    assert!(intents(&stage) > 0, "and not \"yes\"");
    stage.world(|world| world.faults.allow_all(ACCOUNT));
    stage.pass(SignedDuration::from_mins(30));
    stage.run().await;
    assert!(stage.keys().iter().all(|(key, _)| *key != keys[1]), "nobody has its secret");
    assert_eq!(intents(&stage), 0);
}
