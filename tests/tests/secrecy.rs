//! No secret anywhere: whole rotations, undisturbed and under every kind of fault, with every log line of every crate captured.
//!
//! A secret access key may be in two places: with the key itself in IAM, and in the secret's value. The rest of AWS's state
//! (mails, queues, dead letters, tags, policies), the logs at the finest level, and what `Debug` prints are searched for every
//! secret that was ever given out, of users and of role sessions.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use end_to_end::scenario::{SCENARIOS, Scenario};
use end_to_end::{ACCOUNT, Stage};
use jiff::SignedDuration;
use key_rotation_aws::MemberRole;
use rotation::{AccessKeyId, AccountId, UserName};
use sandbox::faults::{Calls, Fault, Rule};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tracing_subscriber::fmt::MakeWriter;
use worker::aws::iam::{Iam, NewKey};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Captures every line of every crate in this process from now on.
    fn capture() -> Self {
        let log = Self::default();
        let everything =
            tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).json().with_writer(log.clone()).finish();
        tracing::subscriber::set_global_default(everything).expect("the only test of this process that captures");
        log
    }

    fn take(&self) -> String {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        String::from_utf8(bytes).expect("log lines are text")
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// What goes wrong in a run.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    None,
    /// Every first call of this action goes wrong so.
    Once(&'static str, Fault),
    /// This action is not allowed.
    Denied(&'static str),
}

const TROUBLES: &[Trouble] = &[
    Trouble::None,
    Trouble::Once("iam:CreateAccessKey", Fault::LoseAnswer),
    Trouble::Once("iam:CreateAccessKey", Fault::GarbleAnswer),
    Trouble::Once("iam:CreateAccessKey", Fault::ProxyAnswer),
    Trouble::Once("sts:AssumeRole", Fault::GarbleAnswer),
    Trouble::Once("secretsmanager:PutSecretValue", Fault::GarbleAnswer),
    Trouble::Once("secretsmanager:PutSecretValue", Fault::ServerError),
    Trouble::Once("ses:SendEmail", Fault::Throttle),
    Trouble::Denied("secretsmanager:PutSecretValue"),
    Trouble::Denied("secretsmanager:UpdateSecretVersionStage"),
    Trouble::Denied("iam:DeleteAccessKey"),
];

/// Fields of the sandbox's state in which a secret has its place.
const PLACES_OF_SECRETS: [&str; 2] = ["secret_access_key", "SecretString"];

fn without_the_places_of_secrets(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !PLACES_OF_SECRETS.contains(&name.as_str()));
            fields.values_mut().for_each(without_the_places_of_secrets);
        }
        Value::Array(items) => items.iter_mut().for_each(without_the_places_of_secrets),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

async fn play(scenario: &Scenario, trouble: Trouble) -> Stage {
    let stage = Stage::with(false).await;
    let job = (scenario.prepare)(&stage);
    stage.send(&job).await;
    stage.world(|world| match trouble {
        Trouble::None => {}
        Trouble::Once(action, fault) => {
            world.faults.add(Rule { calls: Calls::new(action), fault, rate: 1.0, times: Some(1) });
        }
        Trouble::Denied(action) => world.faults.deny(ACCOUNT, action, None),
    });
    // As often as it takes until the message is done or a dead letter.
    for _ in 0..12 {
        stage.work_with(&(scenario.settings)(&stage)).await;
        stage.pass(SignedDuration::from_mins(21));
    }
    assert_eq!(stage.waiting(), 0, "{} with {trouble:?} comes to an end", scenario.name);
    stage
}

/// Where in `text` one of the secrets is.
fn found<'a>(text: &'a str, secrets: &[String]) -> Option<&'a str> {
    let at = secrets.iter().find_map(|secret| text.find(secret.as_str()))?;
    let from = (0..=at.saturating_sub(160)).rev().find(|n| text.is_char_boundary(*n)).unwrap_or(0);
    Some(&text[from..at])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_logged_mailed_queued_tagged_or_printed() {
    let log = Log::capture();
    let (mut rotations, mut secrets_seen, mut lines) = (0, 0, 0);
    for scenario in SCENARIOS {
        for &trouble in TROUBLES {
            let stage = play(scenario, trouble).await;
            let context = format!("{} with {trouble:?}", scenario.name);
            let logged = log.take();
            let (secrets, stored, state, journal) = stage.world(|world| {
                let mut state = serde_json::to_value(&*world).expect("the state is JSON");
                let stored = state.to_string();
                without_the_places_of_secrets(&mut state);
                let calls: Vec<_> = world.journal.calls().collect();
                let journal = format!("{calls:?} {:?}", world.journal.effects());
                (world.secret_access_keys().to_vec(), stored, state.to_string(), journal)
            });
            assert!(found(&stored, &secrets).is_some(), "{context}: the search finds nothing even where it must");
            assert!(logged.contains("\"level\":\"TRACE\""), "{context}: the finest lines are not captured");
            for (place, text) in [("the log", &logged), ("AWS's state", &state), ("the journal", &journal)] {
                if let Some(before) = found(text, &secrets) {
                    panic!("{context}: a secret is in {place}, after: {before}");
                }
            }
            rotations += usize::from(logged.contains("is stored and published"));
            secrets_seen += secrets.len();
            lines += logged.lines().count();
        }
    }
    let runs = SCENARIOS.len() * TROUBLES.len();
    println!(
        "{runs} runs, {rotations} with a rotation, {secrets_seen} secrets, {lines} log lines: none holds a secret"
    );
    assert!(rotations > SCENARIOS.len(), "rotations were made, also in trouble");
}

#[tokio::test]
async fn debug_prints_no_secret() {
    let stage = Stage::new().await;
    let user: UserName = "ada".parse().expect("a user name");
    stage.user_named("ada", &[]);
    let connection = stage.connection("test");
    let account = AccountId::new(ACCOUNT).expect("an account id");
    let role: MemberRole = stage.settings().role;
    let session = role.assume(&connection, &account, "secrecy", None).await.expect("a session");
    let through = role.connect(&connection, &account, "secrecy").await.expect("a connection");
    let iam = Iam::new(&session);
    let new = iam.create_access_key(&user).await.expect("a key");
    stage.world(|world| {
        let calls = Calls::new("iam:CreateAccessKey");
        world.faults.add(Rule { calls, fault: Fault::GarbleAnswer, rate: 1.0, times: Some(1) });
    });
    let error = iam.create_access_key(&user).await.expect_err("an answer that cannot be read");
    assert!(error.ambiguous);
    let printed = [
        format!("{new:?} {new:#?} {error:?} {error:#?} {error}"),
        format!("{session:?} {session:#?} {:?} {:?}", session.iam(), session.secrets_manager()),
        format!("{connection:?} {connection:#?} {through:?} {through:#?}"),
        format!("{iam:?} {role:?} {:?} {:?}", stage.settings(), stage.producer_settings()),
    ]
    .concat();
    let secrets = stage.world(|world| world.secret_access_keys().to_vec());
    let operator = stage.sandbox.operator_credentials().secret_access_key;
    assert!(secrets.contains(&new.secret.expose_secret().to_owned()), "the search knows the key's own secret");
    assert_eq!(found(&printed, &secrets), None);
    assert_eq!(found(&printed, &[operator]), None);
    let made_up = NewKey {
        id: AccessKeyId::new("AKIAIOSFODNN7EXAMPLE").expect("a key id"),
        created: stage.now(),
        secret: SecretString::from("made-up-secret".to_owned()),
    };
    assert!(!format!("{made_up:?}").contains("made-up-secret"));
}
