//! Each promise is broken on purpose, by a product that is set up to break it or by a change to what a real run recorded, and the
//! demo's check says so.

use demo::DemoArgs;
use demo::fleet::Fleet;
use demo::promises::record::Record;
use demo::promises::{CheckResult, Promise, check};
use rotation::{Period, Policy, UnusedKeys};
use sandbox::journal::{CallRecord, Effect, EffectRecord, Outcome};
use tokio::sync::OnceCell;
use worker::Settings;

/// Long enough for keys to be replaced, disabled and deleted.
const DAYS: u32 = 24;

fn promised() -> Policy {
    Policy::default()
}

/// The record of a short run with workers set up so.
async fn run(set_up: impl FnOnce(&mut Settings)) -> Record {
    fleet(set_up).await.record()
}

/// A fleet after a short run with workers set up so.
async fn fleet(set_up: impl FnOnce(&mut Settings)) -> Fleet {
    let args = DemoArgs {
        accounts: 3,
        users_per_account: 13,
        days: DAYS,
        workers: 2,
        seed: 1,
        audit: false,
        story: None,
        out: std::env::temp_dir(),
    };
    let mut fleet = Fleet::new(&args).await.expect("a sandbox");
    set_up(&mut fleet.settings);
    for _ in 0..=DAYS {
        fleet.live_a_day().await.expect("a day");
    }
    fleet
}

/// What a run of the product as it is has recorded.
async fn honest_run() -> Record {
    static HONEST: OnceCell<Record> = OnceCell::const_new();
    HONEST.get_or_init(|| run(|_| ())).await.clone()
}

fn policy(inactive: u32, recovery_grace: u32) -> Policy {
    Policy::new(Period { inactive, recovery_grace, ..Period::default() }, UnusedKeys::Rotate).expect("a policy")
}

fn times(result: &CheckResult, promise: Promise) -> usize {
    result.broken.iter().filter(|broken| broken.promise == promise).count()
}

/// The changes at which a key was disabled.
fn disables(record: &Record) -> Vec<(usize, EffectRecord)> {
    places(record, |effect| matches!(effect, Effect::KeyStatusChanged { active: false, .. }))
}

fn places(record: &Record, is: impl Fn(&Effect) -> bool) -> Vec<(usize, EffectRecord)> {
    record.effects.iter().cloned().enumerate().filter(|(_, change)| is(&change.effect)).collect()
}

#[tokio::test]
async fn an_honest_product_keeps_every_promise() {
    let record = honest_run().await;
    let result = check(&record, &promised());
    assert_eq!(result.broken, []);
    assert!(result.disables > 0 && result.deletions > 0 && result.unanswered > 0, "{result:?}");
}

#[tokio::test]
async fn a_product_that_mails_nobody_breaks_notice_before_harm_with_every_disable() {
    // Without a sender the workers write their notices to the log and count them as given.
    let record = run(|settings| settings.mail.sender = None).await;
    let result = check(&record, &promised());
    assert!(result.disables > 0);
    assert_eq!(times(&result, Promise::NoticeBeforeHarm), result.disables);
}

#[tokio::test]
async fn a_product_that_disables_sooner_than_promised_breaks_notice_before_harm() {
    let result = check(&run(|settings| settings.policy = policy(93, 10)).await, &promised());
    assert!(times(&result, Promise::NoticeBeforeHarm) > 0, "{result:?}");
}

#[tokio::test]
async fn a_product_that_deletes_sooner_than_promised_breaks_the_recovery_grace() {
    let result = check(&run(|settings| settings.policy = policy(100, 3)).await, &promised());
    assert!(result.deletions > 0);
    assert_eq!(times(&result, Promise::NoLiveKeyDeleted), result.deletions);
}

#[tokio::test]
async fn reminders_that_name_the_key_are_no_notice_of_its_end() {
    let mut record = honest_run().await;
    for mail in record.mails.values_mut() {
        let text = mail.text.take().unwrap_or_default();
        let text = text.replace("this key will be disabled", "a new key will be made");
        // In the tables of long mails.
        mail.text = Some(text.replace("will be disabled", "will be replaced"));
    }
    let result = check(&record, &promised());
    assert_eq!(times(&result, Promise::NoticeBeforeHarm), result.disables);
}

#[tokio::test]
async fn a_notice_from_before_the_successor_was_made_does_not_count() {
    let mut record = honest_run().await;
    let replaced = disables(&record).into_iter().find_map(|(place, disable)| {
        let Effect::KeyStatusChanged { user: of, .. } = &disable.effect else { return None };
        let successor = record.effects[..place].iter().rposition(|change| {
            change.account == disable.account && matches!(&change.effect, Effect::KeyCreated { user, .. } if user == of)
        });
        Some((place, successor?))
    });
    let (disable, made) = replaced.expect("a key that was replaced and then disabled");
    // The successor comes into being right before the disable.
    record.effects[made..disable].rotate_left(1);
    for (place, change) in record.effects.iter_mut().enumerate() {
        change.seq = place as u64 + 1;
    }
    assert_eq!(times(&check(&record, &promised()), Promise::NoticeBeforeHarm), 1);
}

#[tokio::test]
async fn a_live_key_that_is_deleted_is_noticed() {
    let mut record = honest_run().await;
    let (place, _) = places(&record, |effect| matches!(effect, Effect::KeyDeleted { .. })).remove(0);
    let Effect::KeyDeleted { was_active, .. } = &mut record.effects[place].effect else { unreachable!() };
    *was_active = true;
    assert_eq!(times(&check(&record, &promised()), Promise::NoLiveKeyDeleted), 1);
}

#[tokio::test]
async fn a_key_that_is_re_enabled_gets_its_whole_grace_again() {
    let mut record = honest_run().await;
    let (deleted, _) = places(&record, |effect| matches!(effect, Effect::KeyDeleted { .. })).remove(0);
    let Effect::KeyDeleted { user, key, .. } = record.effects[deleted].effect.clone() else { unreachable!() };
    for active in [false, true] {
        let (user, key) = (user.clone(), key.clone());
        let toggled =
            EffectRecord { effect: Effect::KeyStatusChanged { user, key, active }, ..record.effects[deleted].clone() };
        record.effects.insert(deleted, toggled);
    }
    let result = check(&record, &promised());
    assert_eq!(times(&result, Promise::NoLiveKeyDeleted), 1, "the record from before no longer counts");
    assert_eq!(times(&result, Promise::NoticeBeforeHarm), 1, "nor does the notice");
}

#[tokio::test]
async fn an_owner_whose_successor_nobody_can_have_is_locked_out() {
    let mut record = honest_run().await;
    record.effects.retain(|change| !matches!(change.effect, Effect::SecretPublished { .. }));
    let result = check(&record, &promised());
    assert!(times(&result, Promise::NobodyLockedOut) > 0, "{result:?}");
    let with_successor = result.broken.iter().all(|broken| broken.promise == Promise::NobodyLockedOut);
    assert!(with_successor, "{:?}", result.broken);
}

#[tokio::test]
async fn an_owner_who_may_not_read_its_successor_is_locked_out() {
    let fleet = fleet(|_| ()).await;
    fleet.sandbox.with(|world| {
        let made = world.journal.effects().iter().find_map(|change| match &change.effect {
            Effect::KeyCreated { user, .. } => Some((change.account.clone(), user.clone())),
            _ => None,
        });
        let (account, user) = made.expect("a key that was made");
        // A new path is a new ARN, and the secret's policy names the old one.
        world.user_mut(&account, &user).path = "/moved/".to_owned();
    });
    let result = check(&fleet.record(), &promised());
    assert_eq!((times(&result, Promise::NobodyLockedOut), result.broken.len()), (1, 1), "{result:?}");
}

/// A message that asked when a user's key was last used, and then made a key of that user: the places of both calls.
fn asked_and_changed(record: &Record) -> (usize, usize) {
    let made = |call: &CallRecord| call.operation == "CreateAccessKey" && call.outcome == Outcome::Done;
    let changed = record.calls.iter().position(made).expect("a key that was made");
    let asked = record.calls[..changed].iter().rposition(|call| {
        call.operation == "GetAccessKeyLastUsed"
            && (&call.session, &call.subject) == (&record.calls[changed].session, &record.calls[changed].subject)
    });
    (asked.expect("its user was asked about"), changed)
}

#[tokio::test]
async fn a_product_that_takes_an_error_for_never_used_is_noticed() {
    let mut record = honest_run().await;
    let (asked, changed) = asked_and_changed(&record);
    // As if the question had failed, and the worker had gone on all the same.
    record.calls[asked].outcome = Outcome::Refused("AccessDenied".to_owned());
    let result = check(&record, &promised());
    let first = result.broken.iter().find(|broken| broken.promise == Promise::UnknownIsNotNo);
    let first = first.expect("what followed is noticed");
    assert!(first.call <= record.calls[changed].seq && first.user == record.calls[changed].subject, "{first:?}");
}

#[tokio::test]
async fn a_product_that_goes_on_although_it_could_not_read_who_is_exempt_is_noticed() {
    let mut record = honest_run().await;
    let (_, changed) = asked_and_changed(&record);
    let session = record.calls[changed].session.clone();
    let (account, app) = (record.calls[changed].account.clone(), record.calls[changed].app.clone());
    for call in &mut record.calls {
        if call.operation == "GetAccountAuthorizationDetails"
            && (&call.session, &call.account, &call.app) == (&session, &account, &app)
        {
            call.outcome = Outcome::Dropped;
        }
    }
    assert!(times(&check(&record, &promised()), Promise::UnknownIsNotNo) > 0);
}

#[tokio::test]
async fn what_one_message_could_not_find_out_does_not_bind_another_that_did() {
    let mut record = honest_run().await;
    let (asked, _) = asked_and_changed(&record);
    // A second message about the same account asks the same right after, and is refused.
    let other = CallRecord {
        session: "key-rotation-another-run".to_owned(),
        outcome: Outcome::Refused("AccessDenied".to_owned()),
        ..record.calls[asked].clone()
    };
    record.calls.insert(asked + 1, other);
    assert_eq!(check(&record, &promised()).broken, []);
}

#[tokio::test]
async fn a_question_that_is_asked_again_and_answered_is_open_no_more() {
    let mut record = honest_run().await;
    let (asked, _) = asked_and_changed(&record);
    let refused = CallRecord { outcome: Outcome::Refused("Throttling".to_owned()), ..record.calls[asked].clone() };
    record.calls.insert(asked, refused);
    assert_eq!(check(&record, &promised()).broken, []);
}
