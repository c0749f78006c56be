//! What a report forecasts is what the workers then do, day by day, where owners go on as the forecast takes for granted.

use std::collections::BTreeMap;

use end_to_end::Stage;
use jiff::{SignedDuration, Timestamp};
use producer::report::ReportOptions;
use producer::schedule::{self, ScheduleOptions};
use sandbox::journal::Effect;

use crate::stage::{organization, report};

/// Long enough for keys that are due at first to be replaced, disabled and deleted.
const DAYS: usize = 24;

/// Keys that are in use, and stay so while they are active.
fn in_use(stage: &Stage) -> Vec<String> {
    let lately = stage.now() - SignedDuration::from_hours(24 * 10);
    stage.world(|world| {
        let users = world.accounts.values().flat_map(|account| account.users.values());
        let keys = users.flat_map(|user| &user.holds.keys);
        let used = keys.filter(|key| key.last_use.as_ref().is_some_and(|last_use| last_use.at >= lately));
        used.map(|key| key.id.clone()).collect()
    })
}

/// Keys created, disabled and deleted, by day.
fn done(stage: &Stage, start: Timestamp) -> BTreeMap<usize, [u64; 3]> {
    let mut days: BTreeMap<usize, [u64; 3]> = BTreeMap::new();
    stage.world(|world| {
        for change in world.journal.effects() {
            let which = match &change.effect {
                Effect::KeyCreated { .. } => 0,
                Effect::KeyStatusChanged { active: false, .. } => 1,
                Effect::KeyDeleted { .. } => 2,
                _ => continue,
            };
            let day = change.at.duration_since(start).as_hours() / 24;
            days.entry(usize::try_from(day).expect("a day")).or_default()[which] += 1;
        }
    });
    days
}

#[tokio::test]
async fn what_is_forecast_for_a_day_is_what_workers_do_on_that_day() {
    let (stage, _) = organization(4, 26).await;
    let start = stage.now();
    let reported = report(&stage, ReportOptions::default()).await;
    assert_eq!(reported.json["forecast"]["unforeseeable"], serde_json::json!([]));
    let days = reported.json["forecast"]["days"].as_array().expect("days").iter().take(DAYS).enumerate();
    let of = |day: &serde_json::Value, step: &str| day[step].as_u64().expect("a number");
    let foreseen = days.map(|(n, day)| (n, ["replace", "disable", "delete"].map(|step| of(day, step))));
    let foreseen: BTreeMap<_, _> = foreseen.filter(|(_, steps)| steps.iter().any(|keys| *keys > 0)).collect();
    assert!(foreseen.values().any(|steps| steps[2] > 0), "some of every kind: {foreseen:?}");

    let used = in_use(&stage);
    let connection = stage.connection("producer");
    for day in 0..DAYS {
        // A run is never quite on time: what takes a second today would be a second early tomorrow.
        if day > 0 {
            stage.pass(SignedDuration::from_hours(24) + SignedDuration::from_mins(1));
        }
        // What is disabled signs nothing.
        stage.world(|world| {
            let active =
                world.accounts.values().flat_map(|account| account.users.values()).flat_map(|user| &user.holds.keys);
            let active = active.filter(|key| key.status == sandbox::KeyStatus::Active && used.contains(&key.id));
            let active: Vec<String> = active.map(|key| key.id.clone()).collect();
            active.iter().for_each(|key| world.use_key(key, "s3", "eu-west-1"));
        });
        let scheduled = schedule::run(&connection, &stage.producer_settings(), &ScheduleOptions::default()).await;
        scheduled.expect("it is scheduled");
        stage.work().await;
    }
    assert_eq!(stage.dead_letters().await, []);
    assert_eq!(done(&stage, start), foreseen);
}

#[tokio::test]
async fn half_way_through_a_rotation_keys_have_their_ids_and_a_successor_nobody_uses_is_named() {
    let (stage, accounts) = organization(1, 0).await;
    let account = accounts[0].as_str();
    let old = stage.world(|world| {
        world.add_user(account, "ada");
        world.add_key(account, "ada", &sandbox::KeySpec::aged(95).used_days_ago(0))
    });
    let scheduled =
        schedule::run(&stage.connection("producer"), &stage.producer_settings(), &ScheduleOptions::default()).await;
    scheduled.expect("it is scheduled");
    stage.work().await;
    let reported = report(&stage, ReportOptions::default()).await;
    let [row] = reported.rows("successors_not_installed") else { panic!("{}", reported.json) };
    assert_eq!((row["user"].as_str(), row["access_key_id"].as_str()), (Some("ada"), Some(old.as_str())));
    assert!(row["disable_on"].is_string() && row["successor"].is_string(), "{row}");
    let ids = reported.rows("keys").iter().filter(|key| key["access_key_id"].is_string()).count();
    assert_eq!((ids, reported.figure("successors_not_installed")), (2, 1));
    let previous = reported.rows("keys").iter().find(|key| key["access_key_id"] == old.as_str()).expect("the key");
    assert_eq!(previous["next"]["step"], "disable");

    stage.world(|world| {
        let successor = row["successor"].as_str().expect("an id");
        world.use_key(successor, "s3", "eu-west-1");
    });
    let installed = report(&stage, ReportOptions::default()).await;
    assert_eq!(installed.figure("successors_not_installed"), 0);
}
