//! Answers of AWS's whose `Date` is wrong: a page of a proxy, a host with a bad clock. No key goes before its time because of
//! one, and what is right goes on.

use end_to_end::scenario::{publish, remember};
use end_to_end::{ACCOUNT, OWNER, Stage, USER};
use jiff::SignedDuration;
use rotation::Task;
use rotation::job::{ForceRotate, Whom};
use sandbox::KeySpec;
use sandbox::faults::{Calls, WrongDates};

use crate::due;

/// A month: beyond every grace.
const A_MONTH: i64 = 30 * 24 * 60 * 60;

/// One answer of any kind; all answers of one service; those about one account.
fn wrong_dates(off_by_seconds: i64) -> Vec<WrongDates> {
    let of = |action: &str| WrongDates { calls: Calls::new(action), off_by_seconds, rate: 1.0, times: None };
    let mut all: Vec<WrongDates> =
        ["iam:*", "sts:*", "sqs:*", "secretsmanager:*", "ses:*"].into_iter().map(of).collect();
    for action in ["sts:AssumeRole", "iam:ListAccessKeys", "iam:ListUserTags", "secretsmanager:DescribeSecret"] {
        all.push(WrongDates { times: Some(1), ..of(action) });
    }
    all
}

#[tokio::test]
async fn no_wrong_date_of_one_service_or_one_answer_disables_or_deletes_a_key_before_its_time() {
    for wrong in wrong_dates(A_MONTH) {
        let stage = Stage::new().await;
        // Told four days ago: six of the ten days are left.
        let replaced = stage.user(&[KeySpec::aged(104).used_days_ago(1), KeySpec::aged(14).used_days_ago(1)]);
        publish(&stage, &replaced[1]);
        remember(&stage, &replaced[0], "notified", 4);
        let disabled = stage.user_named("eve", &[KeySpec::aged(104).used_days_ago(20).inactive()]).remove(0);
        let four_days_ago = (stage.now() - SignedDuration::from_hours(96)).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let tag = format!("key-rotation:state:{disabled}");
        stage.world(|world| world.tag_user(ACCOUNT, "eve", &tag, &format!("disabled={four_days_ago}")));
        stage.world(|world| world.faults.wrong_dates = Some(wrong.clone()));
        for _ in 0..3 {
            stage.run().await;
            stage.pass(SignedDuration::from_hours(1));
        }
        assert!(stage.keys().iter().all(|(_, active)| *active), "disabled on day 4 of 10: {wrong:?}");
        assert_eq!(stage.keys_of("eve").len(), 1, "deleted on day 4 of 10: {wrong:?}");
    }
}

#[tokio::test]
async fn a_notice_is_not_dated_back_by_a_mail_service_whose_clock_is_behind() {
    let stage = Stage::new().await;
    let old = stage.user(&[due()]).remove(0);
    let behind = WrongDates { calls: Calls::new("ses:*"), off_by_seconds: -A_MONTH, rate: 1.0, times: None };
    stage.world(|world| world.faults.wrong_dates = Some(behind));
    stage.run().await;
    assert_eq!(stage.mails().len(), 1, "{OWNER} is told");
    let state = stage.state_of(&old).expect("that is on record");
    let today = stage.now().strftime("%Y-%m-%d").to_string();
    assert!(state.contains(&today), "{USER}: {state}");
}

#[tokio::test]
async fn a_notice_in_the_log_has_no_wrong_date_because_one_answer_has() {
    let wrong = [-A_MONTH, A_MONTH].into_iter().flat_map(wrong_dates).filter(|wrong| wrong.times.is_some());
    for wrong in wrong {
        let stage = Stage::new().await;
        // Due by either date.
        let replaced = stage.user(&[KeySpec::aged(150).used_days_ago(40), KeySpec::aged(60).used_days_ago(40)]);
        publish(&stage, &replaced[1]);
        stage.world(|world| world.faults.wrong_dates = Some(wrong.clone()));
        let mut settings = stage.settings();
        settings.mail.sender = None;
        stage.schedule().await;
        stage.work_with(&settings).await;
        let state = stage.state_of(&replaced[0]).expect("that is on record");
        assert!(state.starts_with(&format!("notified={}", stage.now().strftime("%Y-%m-%d"))), "{wrong:?}: {state}");
    }
}

/// Days that really pass while a worker runs are believed: two services say so.
#[tokio::test]
async fn a_worker_that_goes_on_for_days_notices_that_they_pass() {
    let stage = Stage::new().await;
    let old = stage.user(&[KeySpec::aged(80).used_days_ago(1)]).remove(0);
    let connection = stage.connection("worker");
    let work = async || {
        stage.schedule().await;
        let settings = stage.settings();
        worker::run(&settings, &connection, worker::queue::Stop::default()).await.expect("it starts");
    };
    work().await;
    stage.pass_days(11);
    work().await;
    assert_eq!(stage.keys().len(), 2, "{old} is 91 days old");
}

#[tokio::test]
async fn no_wrong_date_from_before_an_exemption_ended_keeps_a_leaked_key_active() {
    for wrong in wrong_dates(-A_MONTH) {
        let stage = Stage::new().await;
        let leaked = stage.user(&[KeySpec::aged(50).used_days_ago(1)]).remove(0);
        let ended = (stage.now() - SignedDuration::from_hours(24 * 5)).strftime("%Y-%m-%d").to_string();
        stage.world(|world| world.tag_user(ACCOUNT, USER, "key-rotation:exempt-until", &ended));
        stage.world(|world| world.faults.wrong_dates = Some(wrong.clone()));
        let whom = Whom::User(USER.parse().expect("a user name"));
        let leak = ForceRotate { whom, disable_old_now: true, override_exemption: false };
        stage.send(&stage.job(Task::ForceRotate(leak))).await;
        stage.work().await;
        assert!(!stage.keys().contains(&(leaked.clone(), true)), "{wrong:?}");
        let state = stage.state_of(&leaked).expect("that is on record");
        let ten_days_on = stage.now() + SignedDuration::from_hours(24 * 10);
        assert!(state.contains(&format!("until={}", ten_days_on.strftime("%Y-%m-%d"))), "{wrong:?}: {state}");
    }
}
