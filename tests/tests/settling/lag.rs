//! Looks at a secret that show what was there before: nothing is undone on their word.

use end_to_end::Stage;
use end_to_end::scenario::publish;
use end_to_end::violations::violations;
use jiff::SignedDuration;
use sandbox::faults::{Calls, Fault, Rule, StaleReads, When};

use crate::{Still, due, intents};

/// From now on every read shows what was before one of the last minute's writes.
fn reads_lag(stage: &Stage) {
    stage.world(|world| {
        world.faults.stale_reads = Some(StaleReads { seconds: 60, reads: None, rate: 1.0, operation: None });
    });
}

fn fails(stage: &Stage, action: &str, fault: Fault, times: Option<u64>) {
    stage.world(|world| world.faults.add(Rule { calls: Calls::new(action), fault, rate: 1.0, times }));
}

/// Nothing fails or lags any more, and the message comes again when the intent is old.
async fn is_settled(stage: &Stage) {
    stage.world(|world| {
        world.faults.stale_reads = None;
        world.faults.rules.clear();
    });
    stage.pass(SignedDuration::from_mins(30));
    stage.work().await;
    assert_eq!((intents(stage), stage.waiting()), (0, 0));
    assert_eq!(violations(stage), [] as [String; 0]);
}

#[tokio::test]
async fn a_key_whose_publication_was_answered_by_nothing_but_a_conflict_is_not_undone_while_looks_lag() {
    let stage = Stage::new().await;
    let old = stage.user(&[due()]).remove(0);
    publish(&stage, &old);
    stage.schedule().await;
    reads_lag(&stage);
    // The first try takes effect, and the SDK's second one finds that something else is published: its own key.
    fails(&stage, "secretsmanager:UpdateSecretVersionStage", Fault::LoseAnswer, Some(1));
    stage.work().await;
    let new = stage.published_key().filter(|published| *published != old).expect("the new key is published");
    assert_eq!(stage.keys(), [(old, true), (new.clone(), true)]);
    is_settled(&stage).await;
    assert_eq!(stage.published_key(), Some(new));
}

#[tokio::test]
async fn a_first_version_that_publishes_itself_is_not_undone_while_looks_show_none() {
    let stage = Stage::new().await;
    let old = stage.user(&[due()]).remove(0);
    stage.schedule().await;
    // The secret is there, without a version, and the first look shows it so.
    let work = Still::at(&stage, "worker", "secretsmanager:PutSecretValue", When::Before, stage.settings()).await;
    // Nor does the answer tell that the version is published.
    stage.world(|world| world.secrets.hides_publication = true);
    reads_lag(&stage);
    fails(&stage, "secretsmanager:UpdateSecretVersionStage", Fault::Throttle, None);
    work.goes_on().await;
    let new = stage.published_key().expect("Secrets Manager publishes the first version by itself");
    assert_eq!(stage.keys(), [(old, true), (new.clone(), true)]);
    is_settled(&stage).await;
    assert_eq!(stage.published_key(), Some(new));
}
