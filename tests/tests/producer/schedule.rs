//! `producer schedule`: whom a run concerns, and that everybody concerned is on the queue.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use key_rotation_aws::Connection;
use producer::command::{CommandError, ExitStatus, Report};
use producer::organization::Scope;
use producer::schedule::{self, Granularity, ScheduleOptions, ScheduleReport};
use rotation::{AccountId, Job, Task};
use sandbox::World;
use sandbox::call::Service;
use sandbox::faults::{Calls, Fault, Rule};
use sandbox::services::sqs::EntryFailure;
use sandbox::world::{AccountState, MANAGEMENT_ACCOUNT};

use crate::stage::{AS_NAMED, Kind, Stage, account, id, world};

fn members(count: usize) -> World {
    let mut world = world();
    for number in 1..=count {
        world.add_account(&id(number), &format!("account {number}"), &format!("owner-{number}@example.com"));
    }
    world
}

async fn run(stage: &Stage, options: &ScheduleOptions) -> Result<ScheduleReport, CommandError> {
    schedule::run(&stage.connection, &stage.settings, options).await
}

fn accounts(jobs: &[Job]) -> Vec<String> {
    let mut accounts: Vec<String> = jobs.iter().map(|job| job.account.to_string()).collect();
    accounts.sort();
    accounts
}

fn accounts_only(accounts: &[AccountId]) -> Scope {
    Scope { accounts: accounts.to_vec(), ..Scope::default() }
}

/// The entry fails this often, or always.
fn entries_with(text: &str, times: Option<u32>) -> EntryFailure {
    EntryFailure {
        operation: Some("SendMessageBatch".to_owned()),
        containing: Some(text.to_owned()),
        times,
        code: "InternalError".to_owned(),
        sender_fault: false,
    }
}

#[tokio::test]
async fn every_active_account_of_every_page_gets_one_message() {
    let mut world = members(65);
    world.set_account_state(&id(3), AccountState::Suspended);
    world.set_account_state(&id(33), AccountState::PendingClosure);
    world.set_account_state(&id(63), AccountState::Closed);
    let stage = Stage::set(world, Kind::Fifo).await;

    let report = run(&stage, &ScheduleOptions::default()).await.unwrap();

    let mut expected: Vec<String> = (1..=65).filter(|n| ![3, 33, 63].contains(n)).map(id).collect();
    expected.push(MANAGEMENT_ACCOUNT.to_owned());
    expected.sort();
    assert_eq!(accounts(&stage.work()), expected);
    assert_eq!((report.messages, report.accounts), (63, 63));
    assert_eq!(report.not_active.values().sum::<u64>(), 3);
    assert_eq!(report.exit_status(), ExitStatus::Done);
    assert!(stage.calls(Service::Organizations, "ListAccounts") >= 4, "twenty to a page");
}

#[tokio::test]
async fn a_message_says_what_its_worker_needs_and_when_it_was_asked_for_by_awss_clock() {
    let stage = Stage::set(members(1), Kind::Fifo).await;
    let options =
        ScheduleOptions { scope: accounts_only(&[account(&id(1))]), dry_run: true, ..ScheduleOptions::default() };

    let report = run(&stage, &options).await.unwrap();

    let [job] = stage.work().try_into().unwrap();
    assert_eq!(job.name.as_deref(), Some("account 1"));
    assert_eq!(job.email.as_deref(), Some("owner-1@example.com"));
    assert!(job.dry_run);
    assert_eq!(job.run_id, Some(report.run_id));
    let sandbox_now: Timestamp = stage.sandbox.with(|world| world.now());
    let age = sandbox_now.duration_since(job.requested_at.unwrap());
    assert!(age.abs() < SignedDuration::from_secs(10), "the sandbox's day and not this machine's: {age:?}");
}

#[tokio::test]
async fn on_a_fifo_queue_accounts_are_groups_and_on_a_standard_queue_there_are_none() {
    for kind in [Kind::Fifo, Kind::Standard] {
        let stage = Stage::set(members(2), kind).await;
        run(&stage, &ScheduleOptions::default()).await.unwrap();
        for message in stage.messages(&stage.settings.queue) {
            let job = Job::parse(&message.body).unwrap();
            let group = (kind == Kind::Fifo).then(|| job.account.to_string());
            assert_eq!(message.group, group);
        }
        assert_eq!(stage.work().len(), 3);
    }
}

#[tokio::test]
async fn a_unit_means_everything_below_it_once_however_units_overlap() {
    let mut world = members(30);
    let root = world.organization.root.clone();
    let prod = world.add_unit(&root, "prod");
    let inner = world.add_unit(&prod, "inner");
    let innermost = world.add_unit(&inner, "innermost");
    (1..=25).for_each(|number| world.move_account(&id(number), &inner));
    world.move_account(&id(26), &innermost);
    world.move_account(&id(27), &prod);
    let stage = Stage::set(world, Kind::Fifo).await;
    let units = vec![prod.parse().unwrap(), inner.parse().unwrap(), innermost.parse().unwrap()];
    let options = ScheduleOptions {
        scope: Scope { units, excluded: vec![account(&id(5))], ..Scope::default() },
        ..ScheduleOptions::default()
    };

    let report = run(&stage, &options).await.unwrap();

    let expected: Vec<String> = (1..=27).filter(|n| *n != 5).map(id).collect();
    assert_eq!(accounts(&stage.work()), expected);
    assert_eq!(report.excluded, 1);
    assert!(report.remarks.is_empty());
}

#[tokio::test]
async fn a_name_that_means_nothing_ends_the_run_before_anything_is_sent() {
    let stage = Stage::set(members(3), Kind::Fifo).await;
    let foreign = ScheduleOptions {
        scope: accounts_only(&[account(&id(1)), account("999999999999")]),
        ..ScheduleOptions::default()
    };
    let no_unit = ScheduleOptions {
        scope: Scope { units: vec!["ou-zzzz-zzzzzzzz".parse().unwrap()], ..Scope::default() },
        ..ScheduleOptions::default()
    };
    for (options, named) in [(foreign, "999999999999"), (no_unit, "ou-zzzz-zzzzzzzz")] {
        let error = run(&stage, &options).await.unwrap_err();
        assert_eq!(error.exit_status(), ExitStatus::Usage);
        assert!(error.to_string().contains(named), "{error}");
        assert!(stage.work().is_empty());
    }
}

#[tokio::test]
async fn a_named_account_that_is_not_active_is_a_failure_and_an_excluded_one_that_is_nobodys_a_remark() {
    let mut world = members(2);
    world.set_account_state(&id(2), AccountState::Suspended);
    let stage = Stage::set(world, Kind::Fifo).await;

    let named =
        ScheduleOptions { scope: accounts_only(&[account(&id(1)), account(&id(2))]), ..ScheduleOptions::default() };
    let report = run(&stage, &named).await.unwrap();
    assert_eq!(accounts(&stage.work()), [id(1)]);
    assert_eq!(report.exit_status(), ExitStatus::Failed);
    assert!(report.problems()[0].contains(&id(2)) && report.problems()[0].contains("SUSPENDED"));

    let excluding = ScheduleOptions {
        scope: Scope { excluded: vec![account("999999999999")], ..Scope::default() },
        ..ScheduleOptions::default()
    };
    let report = run(&stage, &excluding).await.unwrap();
    assert_eq!(report.exit_status(), ExitStatus::Done);
    assert!(report.remarks[0].contains("999999999999"), "perhaps mistyped: {:?}", report.remarks);
}

#[tokio::test]
async fn where_the_organization_cannot_be_read_named_accounts_are_taken_as_they_are() {
    let mut world = members(2);
    world.faults.deny(MANAGEMENT_ACCOUNT, "organizations:*", None);
    let stage = Stage::set(world, Kind::Fifo).await;

    let named = ScheduleOptions { scope: accounts_only(&[account(&id(1))]), ..ScheduleOptions::default() };
    let report = run(&stage, &named).await.unwrap();
    assert_eq!(report.exit_status(), ExitStatus::Done);
    assert_eq!(report.remarks, [AS_NAMED]);
    assert!(report.to_string().contains(AS_NAMED), "{report}");
    let [job] = stage.work().try_into().expect("one message");
    assert_eq!((job.account, job.name, job.email), (account(&id(1)), None, None));

    let report = run(&stage, &ScheduleOptions::default()).await.unwrap();
    assert_eq!(report.exit_status(), ExitStatus::Failed);
    assert!(report.problems()[0].contains("listing the organization broke off"), "{:?}", report.problems());
}

#[tokio::test]
async fn the_organization_is_listed_with_the_role_that_may() {
    let mut world = members(25);
    world.organization.delegated.insert(id(1));
    world.add_role(&id(1), "lister");
    let stage = Stage::set(world, Kind::Fifo).await;
    let mut settings = stage.settings.clone();
    let role = key_rotation_aws::MemberRole { name: "lister".to_owned(), external_id: None };
    settings.org_list = Some(producer::settings::OrgListRole { account: account(&id(1)), role });

    let report = schedule::run(&stage.connection, &settings, &ScheduleOptions::default()).await.unwrap();

    assert_eq!(report.messages, 26);
    let listed_by: BTreeSet<String> = stage.sandbox.with(|world| {
        let listings = world.journal.calls().filter(|call| call.operation == "ListAccounts");
        listings.map(|call| call.account.clone()).collect()
    });
    assert_eq!(listed_by, BTreeSet::from([id(1)]));
}

#[tokio::test]
async fn a_throttled_page_is_asked_for_again() {
    let mut world = members(45);
    let throttled =
        Rule { calls: Calls::new("organizations:ListAccounts"), fault: Fault::Throttle, rate: 1.0, times: Some(2) };
    world.faults.add(throttled);
    let stage = Stage::set(world, Kind::Fifo).await;
    let report = run(&stage, &ScheduleOptions::default()).await.unwrap();
    assert_eq!((report.messages, report.exit_status()), (46, ExitStatus::Done));
}

#[tokio::test]
async fn per_user_every_user_of_every_page_gets_one_message() {
    let mut world = members(2);
    (0..250).for_each(|number| {
        world.add_user(&id(1), &format!("user-{number:03}"));
    });
    world.add_user(&id(2), "a+b=c,d.e@f_g-h");
    let stage = Stage::set(world, Kind::Fifo).await;
    let options = ScheduleOptions {
        granularity: Granularity::User,
        scope: accounts_only(&[account(&id(1)), account(&id(2))]),
        ..ScheduleOptions::default()
    };

    let report = run(&stage, &options).await.unwrap();

    assert_eq!((report.messages, report.accounts), (251, 2));
    let jobs = stage.work();
    let users: BTreeSet<&str> = jobs.iter().filter_map(|job| job.user().map(|user| user.as_str())).collect();
    assert_eq!(users.len(), 251);
    assert!(users.contains("a+b=c,d.e@f_g-h"));
    assert!(jobs.iter().all(|job| matches!(job.task, Task::User(_))));
    let group = stage.messages(&stage.settings.queue)[0].group.clone().unwrap();
    assert!(group.starts_with(&format!("{}/", id(1))) || group.starts_with(&format!("{}/", id(2))), "{group}");
    let changes: usize = stage.sandbox.with(|world| world.journal.mutating_calls(Service::Iam).count());
    assert_eq!(changes, 0);
}

#[tokio::test]
async fn an_account_whose_users_cannot_be_listed_is_named_and_the_others_go_on() {
    let mut world = members(3);
    for number in 1..=3 {
        world.add_user(&id(number), "alice");
    }
    world.remove_role(&id(2), sandbox::world::MEMBER_ROLE);
    let stage = Stage::set(world, Kind::Fifo).await;
    let options = ScheduleOptions {
        granularity: Granularity::User,
        scope: accounts_only(&[1, 2, 3].map(|number| account(&id(number)))),
        ..ScheduleOptions::default()
    };

    let report = run(&stage, &options).await.unwrap();

    assert_eq!(accounts(&stage.work()), [id(1), id(3)]);
    assert_eq!(report.exit_status(), ExitStatus::Failed);
    assert_eq!(report.problems().len(), 1);
    assert!(report.problems()[0].contains(&id(2)), "{:?}", report.problems());
}

#[tokio::test]
async fn entries_that_fail_in_a_batch_are_sent_one_by_one() {
    let stage = Stage::set(members(25), Kind::Fifo).await;
    stage.sandbox.with(|world| world.queues.knobs.entry_failures.push(entries_with("account 1", Some(5))));
    let report = run(&stage, &ScheduleOptions::default()).await.unwrap();
    assert_eq!((report.messages, report.exit_status()), (26, ExitStatus::Done));
    assert_eq!(stage.work().len(), 26);
    assert_eq!(stage.calls(Service::Sqs, "SendMessage"), 5, "only those that failed");
}

#[tokio::test]
async fn an_entry_that_stays_failed_is_named_and_the_exit_is_1() {
    let mut world = members(12);
    // Refused for good, so that it is not tried for seconds.
    world.faults.deny(MANAGEMENT_ACCOUNT, "sqs:SendMessage", None);
    let stage = Stage::set(world, Kind::Standard).await;
    stage.sandbox.with(|world| world.queues.knobs.entry_failures.push(entries_with(&id(7), None)));

    let report = run(&stage, &ScheduleOptions::default()).await.unwrap();

    assert_eq!(report.exit_status(), ExitStatus::Failed);
    assert_eq!(report.problems().len(), 1);
    assert!(report.problems()[0].contains(&id(7)), "{:?}", report.problems());
    assert_eq!(stage.work().len(), 12, "eleven others and the management account");
}

#[tokio::test]
async fn a_queue_that_is_not_there_is_told_by_its_setting_and_nothing_is_listed() {
    let stage = Stage::set(members(1), Kind::Fifo).await;
    let mut settings = stage.settings.clone();
    settings.queue = format!("{}/{MANAGEMENT_ACCOUNT}/nowhere.fifo", stage.sandbox.endpoint()).parse().unwrap();
    let error = schedule::run(&stage.connection, &settings, &ScheduleOptions::default()).await.unwrap_err();
    assert_eq!(error.exit_status(), ExitStatus::Usage);
    assert!(error.to_string().starts_with("QUEUE_URL"), "{error}");
    assert_eq!(stage.calls(Service::Organizations, "ListAccounts"), 0);
}

#[tokio::test]
async fn a_queue_that_refuses_ends_the_run_and_says_so() {
    let mut world = members(30);
    world.faults.deny(MANAGEMENT_ACCOUNT, "sqs:SendMessageBatch", None);
    let stage = Stage::set(world, Kind::Fifo).await;
    let report = run(&stage, &ScheduleOptions::default()).await.unwrap();
    assert_eq!((report.messages, report.exit_status()), (0, ExitStatus::Failed));
    assert!(report.problems()[0].contains("the queue takes no more messages"), "{:?}", report.problems());
}

#[tokio::test]
async fn watching_ends_when_the_queue_is_worked_off_and_tells_the_runs_dead_letters() {
    let stage = Stage::set(members(25), Kind::Fifo).await;
    let old = Job::new(account(&id(1)), Task::Account);
    stage.dead_letter(0, &old.to_body(), "Denied", None).await;
    let worker = async {
        for number in 0..26 {
            let job = stage.take(&stage.settings.queue).await;
            if job.account.as_str() == id(7) {
                let run_id = job.run_id.unwrap().to_string();
                stage.dead_letter(number, &job.to_body(), "RoleRefused", Some(&run_id)).await;
            }
        }
    };
    let options = ScheduleOptions { watch: true, ..ScheduleOptions::default() };

    let (report, ()) = tokio::join!(run(&stage, &options), worker);

    let report = report.unwrap();
    assert_eq!((report.messages, report.exit_status()), (26, ExitStatus::Failed));
    let sentence = format!("account {} ended as a dead letter (RoleRefused): as the test says", id(7));
    assert_eq!(report.problems(), [sentence]);
}

#[tokio::test]
async fn a_run_says_what_an_earlier_one_left_on_the_queue_and_how_old_that_is() {
    for kind in [Kind::Fifo, Kind::Standard] {
        let mut stage = Stage::set(members(5), kind).await;
        let first = run(&stage, &ScheduleOptions::default()).await.unwrap();
        assert_eq!(first.earlier, None, "the queue was empty");
        stage.sandbox.with(|world| world.clock.advance(SignedDuration::from_hours(26)));
        // Another day's process: this one's clock does not believe a jump that one service alone tells of.
        let config = stage.connection.sdk_config().clone();
        stage.connection = Connection::from_sdk_config(config).expect("it has a region");

        let second = run(&stage, &ScheduleOptions::default()).await.unwrap();

        assert_eq!((second.messages, second.exit_status()), (6, ExitStatus::Done));
        let earlier = second.earlier.as_ref().expect("the first run's messages wait");
        assert_eq!(earlier.depth.total(), 6);
        let record = earlier.last_run.as_ref().expect("the first run is on record");
        assert_eq!((record.run_id, record.messages), (first.run_id, 6));
        assert!(second.to_string().contains("note: before this run the queue held 6 messages"), "{second}");
        assert!(second.to_string().contains("sent 6 messages 26 h ago"), "{second}");
        let json = serde_json::to_value(&second).unwrap();
        assert_eq!(json["earlier"]["waiting"], 6);
        assert_eq!(json["earlier"]["last_run"]["run_id"], first.run_id.to_string());
    }
}

#[tokio::test]
async fn without_the_right_to_the_queues_tags_a_run_goes_on_and_says_what_it_does_not_know() {
    let mut world = members(2);
    world.faults.deny(MANAGEMENT_ACCOUNT, "sqs:ListQueueTags", None);
    world.faults.deny(MANAGEMENT_ACCOUNT, "sqs:TagQueue", None);
    let stage = Stage::set(world, Kind::Fifo).await;
    let first = run(&stage, &ScheduleOptions::default()).await.unwrap();
    let second = run(&stage, &ScheduleOptions::default()).await.unwrap();
    assert_eq!((first.exit_status(), second.exit_status()), (ExitStatus::Done, ExitStatus::Done));
    assert!(first.to_string().contains("note: this run is not on record on the queue"), "{first}");
    assert!(second.to_string().contains("of which run is not on record"), "{second}");
}

#[tokio::test]
async fn sending_begins_before_the_listing_has_ended() {
    let stage = Stage::set(members(200), Kind::Standard).await;
    run(&stage, &ScheduleOptions::default()).await.unwrap();
    let calls: Vec<String> =
        stage.sandbox.with(|world| world.journal.calls().map(|call| call.operation.clone()).collect());
    let first_sent = calls.iter().position(|call| call == "SendMessageBatch").unwrap();
    let last_listed = calls.iter().rposition(|call| call == "ListAccounts").unwrap();
    assert!(first_sent < last_listed, "sent first at call {first_sent}, listed last at call {last_listed}");
}

#[tokio::test]
async fn a_run_enforces_in_the_accounts_and_units_that_are_named_and_audits_everywhere_else() {
    let mut world = members(30);
    let root = world.organization.root.clone();
    let first = world.add_unit(&root, "first");
    let below = world.add_unit(&first, "below");
    (1..=22).for_each(|number| world.move_account(&id(number), &first));
    world.move_account(&id(23), &below);
    let stage = Stage::set(world, Kind::Fifo).await;
    let places = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();

    let options = ScheduleOptions {
        enforce_in: places(&[first.as_str(), &format!(" {}", id(30))]),
        ..ScheduleOptions::default()
    };
    let report = run(&stage, &options).await.unwrap();

    let jobs = stage.work();
    assert_eq!((jobs.len(), report.enforced_accounts), (31, Some(24)));
    for job in &jobs {
        let named = (1..=23).chain([30]).map(id).any(|enforced| job.account == account(&enforced));
        assert_eq!(job.dry_run, !named, "{}", job.account);
    }
    assert!(report.to_string().contains("everywhere but in 24 accounts this run only audits"), "{report}");

    // An audit is an audit there, too; and a place that does not exist ends the run before anything is sent.
    let audit = ScheduleOptions { dry_run: true, ..options };
    run(&stage, &audit).await.unwrap();
    assert!(stage.work()[31..].iter().all(|job| job.dry_run));
    for nowhere in ["999999999999", "ou-zzzz-zzzzzzzz"] {
        let options = ScheduleOptions { enforce_in: places(&[nowhere]), ..ScheduleOptions::default() };
        let error = run(&stage, &options).await.unwrap_err();
        assert!(error.exit_status() == ExitStatus::Usage && error.to_string().contains(nowhere), "{error}");
        assert_eq!(stage.work().len(), 62);
    }
}

#[tokio::test]
async fn a_run_that_comes_to_no_account_in_which_it_is_to_enforce_says_that_it_only_audits() {
    let stage = Stage::set(members(3), Kind::Fifo).await;
    let options = ScheduleOptions {
        scope: accounts_only(&[account(&id(1))]),
        enforce_in: vec![id(2).parse().unwrap()],
        ..ScheduleOptions::default()
    };
    let report = run(&stage, &options).await.unwrap();
    assert_eq!((report.messages, report.enforced_accounts), (1, Some(0)));
    assert!(report.to_string().contains("this run only audits"), "{report}");
}

#[tokio::test]
async fn where_every_account_that_is_named_is_excluded_nothing_is_done() {
    let stage = Stage::set(members(3), Kind::Fifo).await;
    let one = account(&id(1));
    let scope = Scope { accounts: vec![one.clone()], excluded: vec![one], ..Scope::default() };
    let error = run(&stage, &ScheduleOptions { scope, ..ScheduleOptions::default() }).await.unwrap_err();
    assert!(matches!(&error, CommandError::Usage(why) if why.contains("--exclude-account")), "{error}");
    assert_eq!(stage.work().len(), 0);
}
