//! Answers that never come, and credentials that are a while in coming: nothing waits for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use aws_config::timeout::TimeoutConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use end_to_end::Stage;
use jiff::SignedDuration;
use key_rotation_aws::{Connection, RedrivePolicy};
use sandbox::KeySpec;
use sandbox::client::sdk_config;
use sandbox::faults::{Calls, Fault, Rule};
use tokio::sync::Notify;
use worker::queue::consumer::RunMode;
use worker::queue::{Consumer, Limits, Outcome, QueueConfig, Stop};

use crate::stage::{Work, limits, messages, send_in, until};

/// Far longer than any of this takes, and far shorter than an answer that never comes.
const LONGEST: Duration = Duration::from_secs(120);

#[tokio::test]
async fn an_answer_that_never_comes_is_given_up_and_the_message_is_done() {
    for action in [
        "sqs:ReceiveMessage",
        "sqs:DeleteMessageBatch",
        "sts:AssumeRole",
        "iam:GetAccountAuthorizationDetails",
        "iam:TagUser",
        "secretsmanager:PutSecretValue",
        "ses:SendEmail",
    ] {
        let stage = Stage::new().await;
        stage.user(&[KeySpec::aged(95).used_days_ago(1)]);
        stage.world(|world| {
            world.faults.stall = Duration::from_secs(60 * 60);
            let rule = Rule { calls: Calls::new(action), fault: Fault::StallBefore, rate: 1.0, times: Some(1) };
            world.faults.add(rule);
        });
        let quick = TimeoutConfig::builder().operation_attempt_timeout(Duration::from_secs(3)).build();
        let config = sdk_config(&stage.sandbox, "worker").into_builder().timeout_config(quick).build();
        let connection = Connection::from_sdk_config(config).expect("the region is set");
        stage.schedule().await;
        let works = async {
            for _ in 0..3 {
                let settings = stage.settings();
                let run = worker::run(&settings, &connection, Stop::default());
                run.await.expect("the worker starts");
                stage.pass(SignedDuration::from_mins(21));
            }
        };
        tokio::time::timeout(LONGEST, works).await.unwrap_or_else(|_| panic!("{action} is waited for for ever"));
        assert_eq!((stage.waiting(), stage.keys().len()), (0, 2), "{action}");
    }
}

/// Credentials that are over at once, so that each call asks for new ones; some time they are held back.
#[derive(Debug, Default)]
struct SlowCredentials {
    held_back: AtomicBool,
    asked: AtomicBool,
    released: Notify,
}

#[derive(Debug, Clone)]
struct Provider {
    of: Arc<SlowCredentials>,
    credentials: SharedCredentialsProvider,
}

impl ProvideCredentials for Provider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            if self.of.held_back.load(Ordering::SeqCst) {
                self.of.asked.store(true, Ordering::SeqCst);
                self.of.released.notified().await;
                self.of.held_back.store(false, Ordering::SeqCst);
            }
            let known = self.credentials.provide_credentials().await?;
            let (id, secret) = (known.access_key_id(), known.secret_access_key());
            Ok(Credentials::new(id, secret, None, Some(SystemTime::now()), "slow"))
        })
    }
}

#[tokio::test]
async fn a_stop_while_a_receive_waits_for_credentials_hands_back_what_waits_and_ends() {
    let stage = Stage::with(true).await;
    let config = sdk_config(&stage.sandbox, "consumer");
    let of = Arc::new(SlowCredentials::default());
    let provider = Provider { of: of.clone(), credentials: config.credentials_provider().expect("credentials") };
    let config = config.into_builder().credentials_provider(SharedCredentialsProvider::new(provider)).build();
    let sqs = Connection::from_sdk_config(config).expect("the region is set").sqs();
    let redrive = RedrivePolicy::read(&sqs, &stage.queue, None).await.expect("the queue has a redrive policy");
    for body in ["in work", "waiting"] {
        send_in(&stage, "group", body).await;
    }
    let ended = Arc::new(Notify::new());
    let handler = Work({
        let ended = ended.clone();
        move |_| {
            let ended = ended.clone();
            async move {
                ended.notified().await;
                Outcome::Done
            }
        }
    });
    let config = QueueConfig { queue: stage.queue.clone(), redrive };
    let limits = Limits { receive_wait: Duration::from_millis(100), ..limits() };
    let consumer = Consumer::new(sqs, config, limits, Arc::new(handler), RunMode::UntilStopped);
    let stop = Stop::default();
    let running = tokio::spawn(consumer.run(stop.clone()));
    until("both messages are there", || messages(&stage).iter().all(|message| message.receive_count > 0)).await;
    of.held_back.store(true, Ordering::SeqCst);
    until("a receive asks for credentials", || of.asked.load(Ordering::SeqCst)).await;
    stop.ask();
    // Nothing can be called while credentials are held back, so nothing shows that the consumer has seen the stop. On a slow machine
    // it sees it later, and the test sees less.
    tokio::time::sleep(Duration::from_millis(200)).await;
    of.released.notify_one();
    ended.notify_one();
    tokio::time::timeout(LONGEST, running).await.expect("it ends").expect("and does not panic");
    let left: Vec<_> = messages(&stage).into_iter().map(|message| message.body).collect();
    assert_eq!(left, ["waiting"]);
}
