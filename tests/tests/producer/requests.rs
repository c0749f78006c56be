//! An operator's requests: found out by a key's id, checked, sent to the urgent queue, followed to their end.

use producer::command::{CommandError, ExitStatus, Report};
use producer::dead_letters::DeadLetterReason;
use producer::follow::RequestOutcome;
use producer::force_rotate::{self, ForceRotateOptions};
use producer::request::{RequestReport, WaitOptions};
use producer::restore::{self, RestoreOptions};
use rotation::job::{ForceRotate, Whom};
use rotation::{AccessKeyId, Job, Reason, Task};
use sandbox::call::Service;
use sandbox::world::MANAGEMENT_ACCOUNT;
use sandbox::{KeySpec, KeyStatus, World};

use crate::stage::{AS_NAMED, Kind, Stage, account, id, user, world};

const NO_WAIT: WaitOptions = WaitOptions { wait: false, wait_timeout: 60, counts_lag_seconds: 0 };
const WAIT: WaitOptions = WaitOptions { wait: true, wait_timeout: 60, counts_lag_seconds: 0 };

/// One account, with one user, alice, who has one key.
fn alice() -> (World, String) {
    let mut world = world();
    world.add_account(&id(1), "account 1", "owner-1@example.com");
    world.add_user(&id(1), "alice");
    let key = world.add_key(&id(1), "alice", &KeySpec::aged(30));
    (world, key)
}

fn by_key(key: &str, wait: WaitOptions) -> ForceRotateOptions {
    ForceRotateOptions {
        account: None,
        user: None,
        access_key_id: Some(AccessKeyId::new(key).expect("a key id")),
        disable_old_now: true,
        override_exemption: false,
        dry_run: false,
        wait,
    }
}

async fn force(stage: &Stage, options: &ForceRotateOptions) -> Result<RequestReport, CommandError> {
    force_rotate::run(&stage.connection, &stage.settings, options).await
}

#[tokio::test]
async fn a_key_that_no_request_can_rotate_is_named_for_what_it_is_before_anything_is_sent() {
    let (world, _) = alice();
    let stage = Stage::set(world, Kind::Fifo).await;
    let own = stage.connection.access_key_id().await.expect("it signs with a key");
    for (key, why) in [(own.as_str(), "this program itself signs"), ("ASIAIOSFODNN7EXAMPLE", "temporary credentials")] {
        let refused = force(&stage, &by_key(key, NO_WAIT)).await.expect_err("refused");
        assert!(matches!(&refused, CommandError::Usage(what) if what.contains(why)), "{refused:?}");
    }
    assert!(stage.jobs(stage.urgent_queue()).is_empty());
}

/// Waits for the request to be on the urgent queue and takes it off, as a worker does.
async fn take_request(stage: &Stage) -> Job {
    stage.take(stage.urgent_queue()).await
}

#[tokio::test]
async fn a_leaked_key_needs_nothing_but_its_id_and_goes_to_the_urgent_queue() {
    let (world, key) = alice();
    let stage = Stage::set(world, Kind::Fifo).await;

    let report = force(&stage, &by_key(&key, NO_WAIT)).await.unwrap();

    let [job] = stage.jobs(stage.urgent_queue()).try_into().unwrap();
    assert!(stage.work().is_empty());
    assert_eq!(job.account.as_str(), id(1));
    assert_eq!(job.email.as_deref(), Some("owner-1@example.com"));
    assert_eq!(job.run_id, Some(report.run_id));
    let whom = Whom::Key(AccessKeyId::new(key).unwrap());
    assert_eq!(job.task, Task::ForceRotate(ForceRotate { whom, disable_old_now: true, override_exemption: false }));
    assert_eq!(report.exit_status(), ExitStatus::Done);
}

#[tokio::test]
async fn who_contains_a_key_is_told_how_to_see_what_it_did_and_nobody_else() {
    let (world, key) = alice();
    let stage = Stage::set(world, Kind::Fifo).await;
    let contained = force(&stage, &by_key(&key, NO_WAIT)).await.unwrap();
    let text = contained.to_string();
    assert!(text.contains(&format!("AttributeKey=AccessKeyId,AttributeValue={key} ")), "{text}");
    assert!(text.contains("of the last 90 days, region by region"), "{text}");

    let of_user = ForceRotateOptions {
        account: Some(account(&id(1))),
        user: Some(user("alice")),
        access_key_id: None,
        ..by_key(&key, NO_WAIT)
    };
    let text = force(&stage, &of_user).await.unwrap().to_string();
    assert!(text.contains("'AttributeKey=Username,AttributeValue=\"alice\"'"), "{text}");

    let unhurried = ForceRotateOptions { disable_old_now: false, ..of_user };
    let report = force(&stage, &unhurried).await.unwrap();
    assert_eq!(report.lookup_command, None);
    assert!(!report.to_string().contains("cloudtrail"));
}

#[tokio::test]
async fn without_an_urgent_queue_a_request_goes_to_the_work_queue() {
    let (world, key) = alice();
    let mut stage = Stage::set(world, Kind::Standard).await;
    stage.settings.urgent_queue = None;
    force(&stage, &by_key(&key, NO_WAIT)).await.unwrap();
    assert_eq!(stage.work().len(), 1);
}

#[tokio::test]
async fn an_account_outside_the_organization_is_refused_and_nothing_is_sent() {
    let (world, _) = alice();
    let stage = Stage::set(world, Kind::Fifo).await;
    let options = ForceRotateOptions {
        account: Some(account("999999999999")),
        user: Some(user("alice")),
        access_key_id: None,
        ..by_key("AKIAIOSFODNN7EXAMPLE", NO_WAIT)
    };
    let error = force(&stage, &options).await.unwrap_err();
    assert_eq!(error.exit_status(), ExitStatus::Usage);
    assert!(error.to_string().contains("does not belong to this organization"), "{error}");
    assert!(stage.jobs(stage.urgent_queue()).is_empty());
}

#[tokio::test]
async fn a_key_that_aws_does_not_know_and_a_key_of_another_account_are_refused() {
    let (mut world, key) = alice();
    world.add_account(&id(2), "account 2", "owner-2@example.com");
    let stage = Stage::set(world, Kind::Fifo).await;
    let unknown = force(&stage, &by_key("AKIAAAAAAAAAAAAAAAAA", NO_WAIT)).await.unwrap_err();
    let elsewhere =
        ForceRotateOptions { account: Some(account(&id(2))), user: Some(user("alice")), ..by_key(&key, NO_WAIT) };
    let elsewhere = force(&stage, &elsewhere).await.unwrap_err();
    assert_eq!((unknown.exit_status(), elsewhere.exit_status()), (ExitStatus::Usage, ExitStatus::Usage));
    assert!(elsewhere.to_string().contains(&format!("belongs to account {}", id(1))), "{elsewhere}");
    assert!(stage.jobs(stage.urgent_queue()).is_empty());
}

#[tokio::test]
async fn a_user_that_the_account_does_not_have_is_told_at_once_and_where_it_cannot_be_found_out_the_request_is_sent() {
    let options = ForceRotateOptions {
        account: Some(account(&id(1))),
        user: Some(user("alicia")),
        access_key_id: None,
        ..by_key("AKIAIOSFODNN7EXAMPLE", NO_WAIT)
    };
    let stage = Stage::set(alice().0, Kind::Fifo).await;
    let error = force(&stage, &options).await.unwrap_err();
    assert_eq!(error.exit_status(), ExitStatus::Usage);
    assert!(error.to_string().contains(&format!("the account {} has no user alicia", id(1))), "{error}");
    assert!(stage.jobs(stage.urgent_queue()).is_empty());

    let (mut world, _) = alice();
    world.faults.deny(&id(1), "iam:*", None);
    let stage = Stage::set(world, Kind::Fifo).await;
    force(&stage, &options).await.unwrap();
    assert_eq!(stage.jobs(stage.urgent_queue()).len(), 1);
}

#[tokio::test]
async fn a_leak_does_not_wait_for_the_right_to_read_the_organization() {
    let (mut world, key) = alice();
    world.faults.deny(MANAGEMENT_ACCOUNT, "organizations:*", None);
    let stage = Stage::set(world, Kind::Fifo).await;
    let report = force(&stage, &by_key(&key, NO_WAIT)).await.unwrap();
    assert_eq!((report.exit_status(), report.account_name.as_deref()), (ExitStatus::Done, None));
    assert_eq!(report.remarks, [AS_NAMED]);
    assert!(report.to_string().contains(AS_NAMED), "{report}");
    let [job] = stage.jobs(stage.urgent_queue()).try_into().expect("one message");
    assert_eq!((job.account.as_str(), job.name, job.email), (id(1).as_str(), None, None), "nothing is guessed");
}

#[tokio::test]
async fn waiting_ends_when_the_account_shows_that_it_is_done() {
    let (world, key) = alice();
    let stage = Stage::set(world, Kind::Fifo).await;
    let worker = async {
        take_request(&stage).await;
        stage.sandbox.with(|world| {
            world.set_key_status(&id(1), "alice", &key, KeyStatus::Inactive);
            world.add_key(&id(1), "alice", &KeySpec::aged(0))
        })
    };
    let options = by_key(&key, WAIT);

    let (report, successor) = tokio::join!(force(&stage, &options), worker);

    let report = report.unwrap();
    let Some(RequestOutcome::Done { what }) = &report.outcome else { panic!("{report:?}") };
    assert!(what.contains(&successor) && what.contains(&format!("{key} is inactive")), "{what}");
    assert_eq!(report.exit_status(), ExitStatus::Done);
    let changes: usize = stage.sandbox.with(|world| world.journal.mutating_calls(Service::Iam).count());
    assert_eq!(changes, 0, "the producer only looks");
}

#[tokio::test]
async fn waiting_ends_when_the_request_is_a_dead_letter_and_tells_its_reason() {
    let (world, key) = alice();
    let stage = Stage::set(world, Kind::Fifo).await;
    stage.dead_letter(1, r#"{"account":"200000000001"}"#, "Denied", None).await;
    let worker = async {
        let job = take_request(&stage).await;
        let run_id = job.run_id.unwrap().to_string();
        stage.dead_letter(2, &job.to_body(), "Refused", Some(&run_id)).await;
    };
    let options = by_key(&key, WAIT);

    let (report, ()) = tokio::join!(force(&stage, &options), worker);

    let report = report.unwrap();
    let expected = RequestOutcome::Failed {
        reason: DeadLetterReason::Known(Reason::Refused),
        message: "as the test says".to_owned(),
    };
    assert_eq!(report.outcome, Some(expected));
    assert_eq!(report.exit_status(), ExitStatus::Failed);
    assert_eq!(stage.messages(stage.dead_letter_queue()).len(), 2, "looking takes nothing away");
    let read = stage.connection.sqs().receive_message().queue_url(stage.dead_letter_queue().as_str());
    let read = read.max_number_of_messages(10).send().await.unwrap();
    assert_eq!(read.messages().len(), 2, "and hides nothing");
}

#[tokio::test]
async fn an_audit_is_over_once_its_message_has_left_the_queue_and_is_no_dead_letter() {
    let (world, key) = alice();
    let stage = Stage::set(world, Kind::Standard).await;
    let options = ForceRotateOptions { dry_run: true, ..by_key(&key, WAIT) };
    let (report, job) = tokio::join!(force(&stage, &options), take_request(&stage));
    assert!(job.dry_run);
    assert!(matches!(report.unwrap().outcome, Some(RequestOutcome::Done { .. })));
}

#[tokio::test]
async fn a_message_that_is_gone_with_nothing_done_is_not_called_done() {
    let (world, key) = alice();
    let stage = Stage::set(world, Kind::Standard).await;
    let options = by_key(&key, WAIT);
    let (report, _) = tokio::join!(force(&stage, &options), take_request(&stage));
    let report = report.unwrap();
    let Some(RequestOutcome::Unknown { what }) = &report.outcome else { panic!("{report:?}") };
    assert!(what.contains(&format!("the key {key} is still active")), "{what}");
    assert_eq!(report.exit_status(), ExitStatus::Failed);
}

#[tokio::test]
async fn a_leak_that_nobody_has_contained_is_answered_with_the_command_that_does() {
    let (world, key) = alice();
    let stage = Stage::set(world, Kind::Standard).await;
    let command = format!(
        "to contain it now, with credentials of account {}: aws iam update-access-key --user-name alice --access-key-id {key} --status Inactive; ",
        id(1)
    );
    for (disable_old_now, is_told) in [(true, true), (false, false)] {
        let options = ForceRotateOptions { disable_old_now, ..by_key(&key, WAIT) };
        let (report, _) = tokio::join!(force(&stage, &options), take_request(&stage));
        let report = report.unwrap();
        let Some(RequestOutcome::Unknown { what }) = &report.outcome else { panic!("{report:?}") };
        assert_eq!(what.starts_with(&command), is_told, "{what}");
    }
}

#[tokio::test]
async fn a_request_that_nobody_takes_is_given_up_on_and_stays_on_its_way() {
    let (world, key) = alice();
    let stage = Stage::set(world, Kind::Standard).await;
    let report =
        force(&stage, &by_key(&key, WaitOptions { wait: true, wait_timeout: 1, counts_lag_seconds: 0 })).await.unwrap();
    let Some(RequestOutcome::Unknown { what }) = &report.outcome else { panic!("{report:?}") };
    assert!(what.contains("still under way"), "{what}");
    assert_eq!(stage.jobs(stage.urgent_queue()).len(), 1);
}

#[tokio::test]
async fn a_restore_is_followed_until_the_key_is_active_again() {
    let (mut world, key) = alice();
    world.set_key_status(&id(1), "alice", &key, KeyStatus::Inactive);
    let stage = Stage::set(world, Kind::Fifo).await;
    let options = RestoreOptions { account: account(&id(1)), user: user("alice"), access_key_id: None, wait: WAIT };
    let worker = async {
        let job = take_request(&stage).await;
        stage.sandbox.with(|world| world.set_key_status(&id(1), "alice", &key, KeyStatus::Active));
        job
    };

    let (report, job) = tokio::join!(restore::run(&stage.connection, &stage.settings, &options), worker);

    assert_eq!(job.task, Task::Restore { user: user("alice"), access_key_id: None });
    let report = report.unwrap();
    let expected = RequestOutcome::Done { what: format!("the key {key} is active again") };
    assert_eq!(report.outcome, Some(expected));
}
