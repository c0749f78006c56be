//! The stage of the end-to-end tests: a sandboxed organization with its queues, and real producers and workers to let loose on
//! it, through the real SDK and real sockets.

pub mod deployment;
pub mod eventbridge;
pub mod promises;
pub mod scenario;
pub mod secrets;
pub mod template;
pub mod told;
pub mod violations;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use key_rotation_aws::{Connection, MemberSession, QueueUrl};
use rotation::{AccountId, Job, Task};
use sandbox::serve::{REGION, SENDER, set_up_fleet};
use sandbox::services::secretsmanager::SecretValue;
use sandbox::world::MANAGEMENT_ACCOUNT;
use sandbox::{Clock, Cloud, KeySpec, Sandbox, SandboxOptions, World, client};
use worker::Settings;
use worker::queue::Stop;

/// The account most scenarios play in.
pub const ACCOUNT: &str = "111122223333";
/// The user most scenarios are about: an ordinary name with every awkward character in it.
pub const USER: &str = "ada,b+l=o.v@e_l-ace";
/// The account's address.
pub const OWNER: &str = "owner@example.org";

/// The name of the secret of [`USER`].
pub fn secret() -> String {
    rotation::names::secret_name(&ACCOUNT.parse().expect("an account id"), &USER.parse().expect("a user name"))
}

pub struct Stage {
    pub sandbox: Sandbox,
    pub queue: QueueUrl,
    pub dead_letters: QueueUrl,
}

impl Stage {
    /// An organization with one account, [`ACCOUNT`], and nobody in it; FIFO queues; the clock stands still.
    pub async fn new() -> Self {
        Self::with(true).await
    }

    /// The same, with FIFO or standard queues.
    pub async fn with(fifo: bool) -> Self {
        let now: Timestamp = "2026-03-01T09:00:00Z".parse().expect("a valid time");
        let mut world = World::new(1, Clock::frozen_at(now));
        world.add_account(ACCOUNT, "prod", OWNER);
        Self::with_world(world, fifo).await
    }

    /// A stage of this world.
    pub async fn with_world(world: impl Into<Cloud>, fifo: bool) -> Self {
        Self::serving(SandboxOptions { longest_wait: Duration::from_millis(5), ..SandboxOptions::new(world) }, fifo)
            .await
    }

    /// A stage of a sandbox with these options.
    pub async fn serving(options: SandboxOptions, fifo: bool) -> Self {
        let sandbox = Sandbox::start(options).await.expect("a free port");
        let queues = sandbox.with(|world| set_up_fleet(world, REGION, fifo)).expect("queues can be made");
        Self {
            queue: queues.work.parse().expect("a queue's URL"),
            dead_letters: queues.dead_letters.parse().expect("a queue's URL"),
            sandbox,
        }
    }

    /// Looks at the world, or changes it.
    pub fn world<T>(&self, look: impl FnOnce(&mut Cloud) -> T) -> T {
        self.sandbox.with(look)
    }

    /// Adds [`USER`] with these keys; gives their ids.
    pub fn user(&self, keys: &[KeySpec]) -> Vec<String> {
        self.user_named(USER, keys)
    }

    /// Adds a user with these keys; gives their ids.
    pub fn user_named(&self, name: &str, keys: &[KeySpec]) -> Vec<String> {
        self.world(|world| {
            world.add_user(ACCOUNT, name);
            keys.iter().map(|key| world.add_key(ACCOUNT, name, key)).collect()
        })
    }

    pub fn pass_days(&self, days: i64) {
        self.pass(SignedDuration::from_hours(24 * days));
    }

    pub fn pass(&self, time: SignedDuration) {
        self.world(|world| world.clock.advance(time));
    }

    pub fn now(&self) -> Timestamp {
        self.world(|world| world.now())
    }

    /// A connection under this application name.
    pub fn connection(&self, application: &str) -> Connection {
        Connection::from_sdk_config(client::sdk_config(&self.sandbox, application)).expect("the region is set")
    }

    /// A session of the member role in [`ACCOUNT`], with all the rights of an administrator.
    pub async fn session(&self) -> MemberSession {
        let account = ACCOUNT.parse().expect("an account id");
        self.settings().role.assume(&self.connection("test"), &account, "test", None).await.expect("a session")
    }

    /// Settings of an enforcing worker that drains the queue and does not wait for retries.
    pub fn settings(&self) -> Settings {
        let mut settings = Settings::new(self.queue.clone());
        settings.dry_run = false;
        settings.drain = true;
        settings.mail.sender = Some(SENDER.to_owned());
        settings.limits.drain_patience = Duration::ZERO;
        settings.attempt_wait = Duration::from_millis(10);
        settings.credential_report_wait = Duration::from_millis(10);
        settings
    }

    /// The same, with owners named by a tag of each user, `owner`.
    pub fn settings_with_owner_tag(&self) -> Settings {
        let mut settings = self.settings();
        settings.mail.owner_tag = Some("owner".to_owned());
        settings
    }

    /// The same as [`Stage::settings`], of a worker that takes one message and leaves others to others.
    pub fn settings_for_one_message(&self) -> Settings {
        let mut settings = self.settings();
        settings.limits.max_concurrent = 1;
        settings
    }

    /// [`Stage::settings`] with all secrets in the worker's own account. The sandbox only looks at the shape of the KMS key.
    pub fn central_settings(&self) -> Settings {
        Settings {
            central_store: true,
            kms_key_id: Some(
                "arn:aws:kms:eu-central-2:999999999999:key/1234abcd-12ab-34cd-56ef-1234567890ab".to_owned(),
            ),
            central_read_policy: Some("IAMKeyRotationReadOwnSecret".to_owned()),
            ..self.settings()
        }
    }

    /// The producer's settings.
    pub fn producer_settings(&self) -> producer::Settings {
        producer::Settings {
            queue: self.queue.clone(),
            dead_letter_queue: Some(self.dead_letters.clone()),
            urgent_queue: None,
            member_role: self.settings().role,
            org_list: None,
        }
    }

    /// Puts a scheduled message for [`ACCOUNT`] on the queue.
    pub async fn schedule(&self) {
        self.send(&self.job(Task::Account)).await;
    }

    /// A job in [`ACCOUNT`], as the producer would write it.
    pub fn job(&self, task: Task) -> Job {
        Job {
            name: Some("prod".to_owned()),
            email: Some(OWNER.to_owned()),
            run_id: Some(uuid::Uuid::new_v4()),
            requested_at: Some(self.now()),
            ..Job::new(AccountId::new(ACCOUNT).expect("an account id"), task)
        }
    }

    /// Puts a job on the queue.
    pub async fn send(&self, job: &Job) {
        let body = job.to_body();
        let (group, deduplication) = (self.queue.group_id(job), self.queue.deduplication_id(&body));
        self.send_body(&body, group, deduplication).await;
    }

    /// Puts any body on the queue.
    pub async fn send_body(&self, body: &str, group: Option<String>, deduplication: Option<String>) {
        let sent = self
            .connection("test")
            .sqs()
            .send_message()
            .queue_url(self.queue.as_str())
            .message_body(body)
            .set_message_group_id(group)
            .set_message_deduplication_id(deduplication)
            .send()
            .await;
        sent.expect("the message is taken");
    }

    /// One worker drains the queue.
    pub async fn work(&self) -> worker::WorkerReport {
        self.work_with(&self.settings()).await
    }

    /// One worker with these settings drains the queue.
    pub async fn work_with(&self, settings: &Settings) -> worker::WorkerReport {
        let connection = self.connection("worker");
        worker::run(settings, &connection, Stop::default()).await.expect("the worker starts")
    }

    /// One scheduled run of [`ACCOUNT`].
    pub async fn run(&self) {
        self.schedule().await;
        self.work().await;
    }

    /// The keys of a user, oldest first: id and whether it is active.
    pub fn keys_of(&self, user: &str) -> Vec<(String, bool)> {
        self.world(|world| {
            let mut keys: Vec<_> = world.user(ACCOUNT, user).holds.keys.iter().collect();
            keys.sort_by_key(|key| key.created);
            keys.iter().map(|key| (key.id.clone(), key.status == sandbox::KeyStatus::Active)).collect()
        })
    }

    /// The keys of [`USER`].
    pub fn keys(&self) -> Vec<(String, bool)> {
        self.keys_of(USER)
    }

    /// What is remembered of a key of [`USER`].
    pub fn state_of(&self, key: &str) -> Option<String> {
        self.world(|world| world.user(ACCOUNT, USER).holds.tags.get(&format!("key-rotation:state:{key}")).cloned())
    }

    /// Whether it is on record that the owner of [`USER`] was told of this key.
    pub fn is_told(&self, key: &str) -> bool {
        self.state_of(key).is_some_and(|state| !state.ends_with("told=no"))
    }

    /// The key that the secret of [`USER`] publishes, read out of its value; where there is a central store, in that.
    pub fn published_key(&self) -> Option<String> {
        self.world(|world| {
            let stored_in = |account| world.secrets.secret(account, REGION, &secret());
            let version = stored_in(MANAGEMENT_ACCOUNT).or_else(|| stored_in(ACCOUNT))?.current()?;
            let SecretValue::SecretString(text) = &version.value else { return None };
            let value: serde_json::Value = serde_json::from_str(text).expect("the secret is JSON");
            Some(value["AccessKeyId"].as_str().expect("it has a key id").to_owned())
        })
    }

    /// Mails so far: subject and text.
    pub fn mails(&self) -> Vec<(String, String)> {
        self.world(|world| {
            let mails = world.mail.outbox().iter();
            mails.map(|mail| (mail.subject.clone(), mail.text.clone().unwrap_or_default())).collect()
        })
    }

    /// Dead letters: error kind and message, body.
    pub async fn dead_letters(&self) -> Vec<(String, String, String)> {
        let answer = self
            .connection("test")
            .sqs()
            .receive_message()
            .queue_url(self.dead_letters.as_str())
            .max_number_of_messages(10)
            .visibility_timeout(0)
            .message_attribute_names("All")
            .send()
            .await
            .expect("the dead-letter queue can be read");
        let attribute = |message: &aws_sdk_sqs::types::Message, name: &str| {
            let attributes = message.message_attributes();
            attributes.and_then(|all| all.get(name)?.string_value.clone()).unwrap_or_default()
        };
        let messages = answer.messages.unwrap_or_default();
        messages
            .iter()
            .map(|m| (attribute(m, "ErrorKind"), attribute(m, "ErrorMessage"), m.body.clone().unwrap_or_default()))
            .collect()
    }

    /// Waits until a worker has made this call, or has ended without it.
    pub async fn when_called(&self, application: &str, operation: &str) {
        const PATIENCE: usize = 500;
        for _ in 0..PATIENCE {
            let called = self.world(|world| {
                let mut calls = world.journal.calls().rev();
                calls.any(|call| call.app == application && call.operation == operation)
            });
            if called {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Messages on the work queue, visible or not.
    pub fn waiting(&self) -> usize {
        self.world(|world| {
            let queue = world.queues.queue(MANAGEMENT_ACCOUNT, self.queue.name()).expect("the work queue");
            queue.len()
        })
    }
}
