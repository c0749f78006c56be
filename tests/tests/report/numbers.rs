//! Every number of a report, counted anew from the sandbox's state with arithmetic of its own.

use std::collections::BTreeMap;

use jiff::Timestamp;
use producer::command::{ExitStatus, Report};
use producer::report::{FailOn, ReportOptions};
use sandbox::generate::{EXEMPT_UNTIL_TAG, EXEMPTION_GROUP};
use sandbox::world::{AccessKey, AccountState, KeyStatus, User, World};
use serde_json::Value;

use crate::stage::{Reported, organization, report};

/// The greatest age of each band of ages but the last.
const BANDS: [i64; 6] = [30, 60, 90, 180, 365, 730];
const STATES: [&str; 5] = ["within_policy", "due", "overdue", "exempt", "inactive"];

/// What is counted.
#[derive(Default)]
struct Recount {
    figures: BTreeMap<&'static str, u64>,
    bands: [[u64; STATES.len()]; BANDS.len() + 1],
    oldest: i64,
    /// By account: overdue keys, and the age of the oldest.
    overdue: BTreeMap<String, (u64, i64)>,
    /// By account, user and day of creation: the state.
    keys: BTreeMap<(String, String, String), &'static str>,
}

fn days(from: Timestamp, to: Timestamp) -> i64 {
    (to.as_second() - from.as_second()) / 86_400
}

fn is_exempt(user: &User, today: &str) -> bool {
    let until = user.holds.tags.get(EXEMPT_UNTIL_TAG);
    user.holds.groups.contains(EXEMPTION_GROUP) || until.is_some_and(|until| until.as_str() >= today)
}

impl Recount {
    fn of(world: &World) -> Self {
        let mut recount = Self::default();
        for account in world.accounts.values() {
            if account.state != AccountState::Active {
                recount.add("accounts_not_active", true);
                continue;
            }
            recount.add("accounts_read", true);
            for user in account.users.values() {
                recount.user(world.now(), &account.id, user);
            }
        }
        recount
    }

    fn add(&mut self, figure: &'static str, counts: bool) {
        *self.figures.entry(figure).or_default() += u64::from(counts);
    }

    fn user(&mut self, now: Timestamp, account: &str, user: &User) {
        let exempt = is_exempt(user, &now.to_string()[..10]);
        let active = user.holds.keys.iter().filter(|key| key.status == KeyStatus::Active).count();
        self.add("users", true);
        self.add("users_with_two_active_keys", active == 2);
        for key in &user.holds.keys {
            self.key(now, account, user, key, exempt);
        }
    }

    fn key(&mut self, now: Timestamp, account: &str, user: &User, key: &AccessKey, exempt: bool) {
        let age = days(key.created, now);
        let active = key.status == KeyStatus::Active;
        let state = match (active, exempt, age) {
            (false, ..) => 4,
            (true, true, _) => 3,
            (true, false, ..90) => 0,
            (true, false, 90..100) => 1,
            (true, false, 100..) => 2,
        };
        let idle = key.last_use.as_ref().map_or(age, |last_use| days(last_use.at, now));
        self.add("keys", true);
        self.add(STATES[state], true);
        self.add("active", active);
        self.add("within_90_days", active && age <= 90);
        self.add("never_used", active && key.last_use.is_none());
        self.add("unused_45_days", active && idle >= 45);
        self.add("unused_90_days", active && idle >= 90);
        let band = BANDS.iter().position(|most| age <= *most).unwrap_or(BANDS.len());
        self.bands[band][state] += 1;
        if active {
            self.oldest = self.oldest.max(age);
        }
        if state == 2 {
            let (keys, oldest) = self.overdue.entry(account.to_owned()).or_default();
            *keys += 1;
            *oldest = age.max(*oldest);
        }
        self.keys.insert((account.to_owned(), user.name.clone(), key.created.to_string()), STATES[state]);
    }
}

fn assert_equal(recount: &Recount, reported: &Reported) {
    for (figure, count) in &recount.figures {
        assert_eq!(reported.figure(figure), *count, "{figure}");
    }
    assert_eq!(reported.json["summary"]["oldest_active_days"].as_i64(), Some(recount.oldest));
    for (band, counts) in reported.rows("ages").iter().zip(recount.bands) {
        for (state, count) in STATES.iter().zip(counts) {
            assert_eq!(band[state].as_u64(), Some(count), "{state} of {band}");
        }
    }
    let mut overdue = BTreeMap::new();
    for account in reported.rows("accounts").iter().filter(|account| account["overdue"] != 0) {
        let oldest = account["oldest_overdue_days"].as_i64().expect("an age");
        overdue.insert(text(account, "id"), (account["overdue"].as_u64().expect("a number"), oldest));
    }
    assert_eq!(overdue, recount.overdue);
    let keys = reported.rows("keys").iter();
    let keys = keys.map(|key| ((text(key, "account"), text(key, "user"), text(key, "created")), text(key, "state")));
    let expected = recount.keys.clone().into_iter().map(|(key, state)| (key, state.to_owned()));
    assert_eq!(keys.collect::<BTreeMap<_, _>>(), expected.collect::<BTreeMap<_, _>>());
}

fn text(row: &Value, field: &str) -> String {
    row[field].as_str().unwrap_or_else(|| panic!("no {field}: {row}")).to_owned()
}

#[tokio::test]
async fn every_number_is_what_the_accounts_hold() {
    let (stage, _) = organization(12, 20).await;
    let recount = stage.world(|world| Recount::of(world));
    for live in [false, true] {
        let reported = report(&stage, ReportOptions { live, ..ReportOptions::default() }).await;
        assert_equal(&recount, &reported);
        assert_eq!(reported.summary.exit_status(), ExitStatus::Done, "{:?}", reported.summary.problems());
        assert!(reported.summary.coverage.starts_with("Complete"), "{}", reported.summary.coverage);
        let failed: Vec<u64> =
            reported.rows("controls").iter().map(|control| control["failed"].as_u64().expect("a number")).collect();
        let figure = |name| recount.figures[name];
        let too_old = figure("active") - figure("within_90_days");
        let two = figure("users_with_two_active_keys");
        assert_eq!(failed, [too_old, figure("unused_45_days"), figure("unused_90_days"), two]);
    }
    let changes = stage.world(|world| {
        let of_producer = world.journal.calls().filter(|call| call.app == "producer");
        of_producer
            .filter(|call| {
                !["Get", "List", "Describe", "Generate", "Assume"].iter().any(|verb| call.operation.starts_with(verb))
            })
            .count()
    });
    assert_eq!(changes, 0, "it reads alone");
}

#[tokio::test]
async fn the_table_and_the_page_say_the_same_as_the_data() {
    let (stage, _) = organization(12, 20).await;
    let reported = report(&stage, ReportOptions::default()).await;
    let [header, lines @ ..] = reported.table.as_slice() else { panic!("no table") };
    let column = |name: &str| header.iter().position(|cell| cell == name).expect("a column");
    let count = |name: &str, value: &str| lines.iter().filter(|line| line[column(name)] == value).count() as u64;
    assert_eq!(lines.len() as u64, reported.figure("keys"));
    for state in STATES {
        assert_eq!(count("state", state), reported.figure(state), "{state}");
    }
    assert_eq!(count("status", "active"), reported.figure("active"));
    for (label, figure) in [
        ("Overdue", reported.figure("overdue")),
        ("Active keys", reported.figure("active")),
        ("Unused for 45 days", reported.figure("unused_45_days")),
        ("Two active keys", reported.figure("users_with_two_active_keys")),
        ("Exempt", reported.figure("exempt")),
    ] {
        assert!(reported.page.contains(&format!("{label}</span><b>{figure}</b>")), "{label} {figure}");
    }
    let findings = reported.rows("findings").iter().map(|row| text(row, "finding"));
    assert!(
        findings.into_iter().any(|finding| finding.contains("access_key_1_of_credential_report")),
        "keys without ids have names"
    );
    assert!(!reported.page.contains("<script"), "the page needs no script");
    assert!(!reported.page.contains("src="), "nor anything from elsewhere");
}

#[tokio::test]
async fn an_ordinary_account_takes_four_calls() {
    let (stage, accounts) = organization(3, 0).await;
    stage.world(|world| {
        for account in &accounts {
            for number in 0..100 {
                let name = format!("user-{number}");
                world.add_user(account, &name);
                world.add_key(account, &name, &sandbox::KeySpec::aged(number).used_days_ago(0));
            }
        }
    });
    report(&stage, ReportOptions::default()).await;
    for account in &accounts {
        let calls = stage.world(|world| {
            let calls = world.journal.calls();
            let calls = calls.filter(|call| call.app == "producer" && call.account == *account);
            calls.map(|call| call.operation.clone()).collect::<Vec<_>>()
        });
        // And the role is assumed, in the own account.
        assert_eq!(calls, ["GenerateCredentialReport", "GetCredentialReport", "GetAccountAuthorizationDetails"]);
    }
}

#[tokio::test]
async fn a_key_that_was_switched_off_and_on_looks_young_in_the_credential_report_and_live_it_does_not() {
    let (stage, accounts) = organization(1, 0).await;
    stage.world(|world| {
        world.add_user(&accounts[0], "ada");
        let key = world.add_key(&accounts[0], "ada", &sandbox::KeySpec::aged(200).used_days_ago(1));
        for status in [KeyStatus::Inactive, KeyStatus::Active] {
            world.set_key_status(&accounts[0], "ada", &key, status);
        }
    });
    let reported = report(&stage, ReportOptions::default()).await;
    assert_eq!(reported.figure("overdue"), 0);
    assert!(reported.page.contains("looks younger than it is"), "the page says so");
    let live = report(&stage, ReportOptions { live: true, ..ReportOptions::default() }).await;
    assert_eq!(live.figure("overdue"), 1);
    assert!(live.rows("keys")[0]["access_key_id"].is_string());
}

#[tokio::test]
async fn overdue_keys_fail_a_pipeline_that_asks_for_it_and_no_other() {
    let (stage, accounts) = organization(1, 0).await;
    stage.world(|world| world.add_user(&accounts[0], "ada").name.clone());
    let of = |fail_on| ReportOptions { fail_on, ..ReportOptions::default() };
    assert_eq!(report(&stage, of(Some(FailOn::Overdue))).await.summary.exit_status(), ExitStatus::Done);
    stage.world(|world| world.add_key(&accounts[0], "ada", &sandbox::KeySpec::aged(100)));
    // The credential report of a moment ago does not have it yet.
    stage.pass_days(1);
    assert_eq!(report(&stage, of(None)).await.summary.exit_status(), ExitStatus::Done);
    let failed = report(&stage, of(Some(FailOn::Overdue))).await.summary;
    assert_eq!(failed.exit_status(), ExitStatus::Failed);
    assert_eq!(failed.problems(), ["1 active key overdue"]);
}

#[tokio::test]
async fn ages_are_counted_to_a_time_to_come_where_that_is_asked_for() {
    let (stage, accounts) = organization(1, 0).await;
    stage.world(|world| {
        world.add_user(&accounts[0], "ada");
        world.add_key(&accounts[0], "ada", &sandbox::KeySpec::aged(80));
    });
    let as_of = Some(stage.now() + jiff::SignedDuration::from_hours(24 * 30));
    let reported = report(&stage, ReportOptions { as_of, ..ReportOptions::default() }).await;
    assert_eq!((reported.figure("overdue"), reported.rows("keys")[0]["age_days"].as_i64()), (1, Some(110)));
}
