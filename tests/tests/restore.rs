//! The undo: `producer restore` and a worker, on a key that the worker has disabled.

use std::time::Duration;

use end_to_end::{ACCOUNT, Stage, USER};
use producer::command::{ExitStatus, Report};
use producer::follow::RequestOutcome;
use producer::request::{RequestReport, WaitOptions};
use producer::restore::{self, RestoreOptions};
use rotation::AccountId;
use sandbox::KeySpec;
use worker::queue::Stop;

/// A key whose install grace is over: replaced, and disabled by the worker today.
async fn a_disabled_key() -> (Stage, String) {
    let stage = Stage::new().await;
    let old = stage.user(&[KeySpec::aged(90).used_days_ago(1)]).remove(0);
    for _ in 0..10 {
        stage.run().await;
        assert!(stage.keys().contains(&(old.clone(), true)));
        stage.pass_days(1);
    }
    stage.run().await;
    assert!(stage.keys().contains(&(old.clone(), false)));
    (stage, old)
}

/// `producer restore --account ... --user ... --wait`, while a worker runs.
async fn restore(stage: &Stage) -> RequestReport {
    let options = RestoreOptions {
        account: AccountId::new(ACCOUNT).expect("an account id"),
        user: USER.parse().expect("a user name"),
        access_key_id: None,
        wait: WaitOptions { wait: true, wait_timeout: 60, counts_lag_seconds: 0 },
    };
    let (stop, connection) = (Stop::default(), stage.connection("producer"));
    let settings = worker::Settings { drain: false, ..stage.settings() };
    let worker_connection = stage.connection("worker");
    let worker = async { worker::run(&settings, &worker_connection, stop.clone()).await.expect("the worker starts") };
    let producer_settings = stage.producer_settings();
    let command = async {
        let report = restore::run(&connection, &producer_settings, &options).await.expect("the request is sent");
        // The account shows it before the message is done.
        while stage.waiting() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.ask();
        report
    };
    tokio::join!(worker, command).1
}

#[tokio::test]
async fn a_disabled_key_is_active_again_its_owner_is_told_and_it_stays_so_for_the_install_grace() {
    let (stage, old) = a_disabled_key().await;
    stage.world(|world| world.mail.clear_outbox());

    let report = restore(&stage).await;

    assert_eq!(report.exit_status(), ExitStatus::Done, "{report:?}");
    assert_eq!(report.outcome, Some(RequestOutcome::Done { what: format!("the key {old} is active again") }));
    assert!(stage.keys().contains(&(old.clone(), true)));
    assert!(stage.state_of(&old).is_some_and(|state| state.starts_with("restored=")));
    let mails = stage.mails();
    assert_eq!(mails.len(), 1, "{mails:?}");
    assert!(mails[0].0.contains(&format!("access key of {USER} active again")), "{}", mails[0].0);

    for day in 1..10 {
        stage.pass_days(1);
        stage.run().await;
        assert!(stage.keys().contains(&(old.clone(), true)), "day {day}");
    }
    stage.pass_days(1);
    stage.run().await;
    assert!(stage.keys().contains(&(old, false)), "after the install grace");
}

#[tokio::test]
async fn for_a_deleted_key_it_is_too_late_and_the_answer_says_so() {
    let (stage, old) = a_disabled_key().await;
    stage.pass_days(10);
    stage.run().await;
    assert!(stage.keys().iter().all(|(key, _)| *key != old), "it is deleted");

    let report = restore(&stage).await;

    assert_eq!(report.exit_status(), ExitStatus::Failed);
    let Some(RequestOutcome::Failed { reason, message }) = &report.outcome else { panic!("{report:?}") };
    assert_eq!(reason.to_string(), "Refused");
    assert!(message.contains("a key that has been deleted cannot be brought back"), "{message}");
}
