//! A leaked key, of which nothing is known but its id: the producer's one command and a worker, together, to the end.

use end_to_end::{ACCOUNT, OWNER, Stage};
use jiff::SignedDuration;
use producer::command::{CommandError, ExitStatus, Report};
use producer::follow::RequestOutcome;
use producer::force_rotate::{self, ForceRotateOptions};
use producer::request::{RequestReport, WaitOptions};
use rotation::AccessKeyId;
use sandbox::KeySpec;
use sandbox::call::Service;
use sandbox::journal::Effect;
use worker::queue::Stop;

const LEAKED: &str = "user-217";

/// An account of 300 users; the keys of the one whose key has leaked.
async fn account_of_300(keys: &[KeySpec]) -> (Stage, Vec<String>) {
    let stage = Stage::new().await;
    let mut leaked = Vec::new();
    for n in 0..300 {
        let name = format!("user-{n:03}");
        if name == LEAKED {
            leaked = stage.user_named(&name, keys);
        } else {
            stage.user_named(&name, &[used(20)]);
        }
    }
    (stage, leaked)
}

fn used(days: i64) -> KeySpec {
    KeySpec::aged(days).used_days_ago(0)
}

/// `producer force-rotate --access-key-id <key> --disable-old-now --wait`
fn command(key: &str) -> ForceRotateOptions {
    ForceRotateOptions {
        account: None,
        user: None,
        access_key_id: Some(AccessKeyId::new(key).expect("a key id")),
        disable_old_now: true,
        override_exemption: false,
        dry_run: false,
        wait: WaitOptions { wait: true, wait_timeout: 60, counts_lag_seconds: 0 },
    }
}

/// Runs the command while a worker runs.
async fn respond(stage: &Stage, options: &ForceRotateOptions) -> Result<RequestReport, CommandError> {
    let (stop, connection) = (Stop::default(), stage.connection("producer"));
    let settings = worker::Settings { drain: false, ..stage.settings() };
    let worker_connection = stage.connection("worker");
    let worker = async { worker::run(&settings, &worker_connection, stop.clone()).await.expect("the worker starts") };
    let producer_settings = stage.producer_settings();
    let command = async {
        let report = force_rotate::run(&connection, &producer_settings, options).await;
        // The account shows it before the message is done.
        while stage.waiting() > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        stop.ask();
        report
    };
    // The sandbox's clock goes by itself meanwhile: a deletion is announced a minute before it is carried out. How fast decides
    // nothing.
    let time = async {
        loop {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            stage.pass(SignedDuration::from_secs(20));
        }
    };
    let worked = async { tokio::join!(worker, command).1 };
    tokio::select! {
        report = worked => report,
        () = time => unreachable!("time does not end"),
    }
}

/// What happened to keys and secrets, in order.
fn story(stage: &Stage) -> Vec<String> {
    stage.world(|world| {
        let effects = world.journal.effects().iter();
        effects
            .filter_map(|record| match &record.effect {
                Effect::KeyCreated { user, .. } => Some(format!("{user} gets a key")),
                Effect::KeyStatusChanged { key, active, .. } => {
                    Some(format!("{key} {}", if *active { "active" } else { "inactive" }))
                }
                Effect::KeyDeleted { key, was_active, .. } => {
                    Some(format!("{key} deleted{}", if *was_active { ", live" } else { "" }))
                }
                Effect::SecretPublished { .. } => Some("published".to_owned()),
                _ => None,
            })
            .collect()
    })
}

/// Leaves only what the command brings about.
fn from_here(stage: &Stage) {
    stage.world(|world| world.journal.clear());
}

#[tokio::test]
async fn one_command_finds_its_user_among_300_makes_it_inactive_first_and_stores_a_successor() {
    let (stage, keys) = account_of_300(&[used(20)]).await;
    from_here(&stage);

    let report = respond(&stage, &command(&keys[0])).await.unwrap();

    assert_eq!(report.exit_status(), ExitStatus::Done, "{report:?}");
    let Some(RequestOutcome::Done { what }) = &report.outcome else { panic!("{report:?}") };
    assert!(what.contains(&format!("{} is inactive", keys[0])), "{what}");
    let expected = [format!("{} inactive", keys[0]), format!("{LEAKED} gets a key"), "published".to_owned()];
    assert_eq!(story(&stage), expected);
    let now = stage.keys_of(LEAKED);
    assert_eq!((now.len(), now[0].1, now[1].1), (2, false, true));
    let mails = stage.mails();
    assert_eq!(mails.len(), 1, "its owner is told once");
    assert!(mails[0].0.starts_with("Action needed now"), "{}", mails[0].0);
    stage.world(|world| assert!(world.mail.outbox()[0].to.iter().any(|to| to == OWNER)));
}

#[tokio::test]
async fn of_two_active_keys_the_leaked_one_goes_and_the_other_stays_as_it_is() {
    let (stage, keys) = account_of_300(&[used(50), used(20)]).await;
    from_here(&stage);

    let report = respond(&stage, &command(&keys[1])).await.unwrap();

    assert_eq!(report.exit_status(), ExitStatus::Done, "{report:?}");
    let expected = [
        format!("{} inactive", keys[1]),
        format!("{} deleted", keys[1]),
        format!("{LEAKED} gets a key"),
        "published".to_owned(),
    ];
    assert_eq!(story(&stage), expected);
    let now = stage.keys_of(LEAKED);
    assert_eq!(now[0], (keys[0].clone(), true));
    assert!(now.len() == 2 && now[1].1);
}

#[tokio::test]
async fn a_key_of_an_exempt_user_is_refused_with_the_reason_and_done_where_the_exemption_is_overridden() {
    let (stage, keys) = account_of_300(&[used(20)]).await;
    stage.world(|world| world.add_group_member(ACCOUNT, sandbox::generate::EXEMPTION_GROUP, LEAKED));
    from_here(&stage);

    let refused = respond(&stage, &command(&keys[0])).await.unwrap();

    assert_eq!(refused.exit_status(), ExitStatus::Failed);
    let Some(RequestOutcome::Failed { reason, message }) = &refused.outcome else { panic!("{refused:?}") };
    assert_eq!(reason.to_string(), "Refused");
    assert!(message.contains("exempt") && message.contains("override"), "{message}");
    assert_eq!(story(&stage), Vec::<String>::new());

    let overridden = ForceRotateOptions { override_exemption: true, ..command(&keys[0]) };
    let done = respond(&stage, &overridden).await.unwrap();
    assert_eq!(done.exit_status(), ExitStatus::Done, "{done:?}");
    assert_eq!(story(&stage)[0], format!("{} inactive", keys[0]));
}

#[tokio::test]
async fn an_id_that_aws_does_not_know_is_refused_before_anything_is_sent() {
    let (stage, _) = account_of_300(&[used(20)]).await;
    let options = command("AKIAAAAAAAAAAAAAAAAA");
    let error = force_rotate::run(&stage.connection("producer"), &stage.producer_settings(), &options).await;
    let error = error.unwrap_err();
    assert_eq!(error.exit_status(), ExitStatus::Usage);
    assert!(error.to_string().contains("AWS knows no account of the key AKIAAAAAAAAAAAAAAAAA"), "{error}");
    assert_eq!(stage.waiting(), 0);
}

#[tokio::test]
async fn an_id_that_aws_places_in_the_account_but_that_no_user_there_has_is_a_refusal_with_the_reason() {
    let (stage, keys) = account_of_300(&[used(20)]).await;
    // Deleted by a person; sts:GetAccessKeyInfo goes on naming its account.
    stage.world(|world| world.remove_key(ACCOUNT, LEAKED, &keys[0]));
    from_here(&stage);

    let report = respond(&stage, &command(&keys[0])).await.unwrap();

    let Some(RequestOutcome::Failed { reason, message }) = &report.outcome else { panic!("{report:?}") };
    assert_eq!(reason.to_string(), "Refused");
    assert!(message.contains(&format!("no user of the account {ACCOUNT} has the access key {}", keys[0])), "{message}");
    assert_eq!(story(&stage), Vec::<String>::new());
}

#[tokio::test]
async fn an_id_of_an_account_outside_the_organization_is_refused_before_anything_is_sent() {
    let (stage, _) = account_of_300(&[used(20)]).await;
    let foreign = "999988887777";
    let key = stage.world(|world| {
        world.add_account(foreign, "elsewhere", "elsewhere@example.net");
        world.leave_organization(foreign);
        world.add_user(foreign, "mallory");
        world.add_key(foreign, "mallory", &used(20))
    });
    from_here(&stage);

    let error = force_rotate::run(&stage.connection("producer"), &stage.producer_settings(), &command(&key)).await;

    let error = error.unwrap_err();
    assert_eq!(error.exit_status(), ExitStatus::Usage);
    let expected = format!("the account {foreign} does not belong to this organization; nothing was sent");
    assert_eq!(error.to_string(), expected);
    assert_eq!(stage.waiting(), 0);
    stage.world(|world| assert_eq!(world.journal.mutating_calls(Service::Iam).count(), 0));
}
