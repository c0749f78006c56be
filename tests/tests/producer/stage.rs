//! A sandbox with its queues, and the producer's connection and settings for it.

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials as SdkCredentials;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::types::MessageAttributeValue;
use aws_smithy_http_client::Builder;
use key_rotation_aws::{Connection, MemberRole, QueueUrl};
use producer::Settings;
use rotation::{AccountId, Job, UserName};
use sandbox::call::Service;
use sandbox::services::sqs::Message;
use sandbox::world::{MANAGEMENT_ACCOUNT, MEMBER_ROLE};
use sandbox::{Clock, Credentials, Sandbox, SandboxOptions, World};

/// The region everything is in.
const REGION: &str = "eu-west-1";

/// Which kind of queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Fifo,
    Standard,
}

/// A sandbox, and what the producer needs to work in it.
pub(crate) struct Stage {
    pub(crate) sandbox: Sandbox,
    pub(crate) connection: Connection,
    pub(crate) settings: Settings,
}

/// A world of nothing but a management account, its clock running from a day in 2026.
pub(crate) fn world() -> World {
    World::new(1, Clock::running_from("2026-11-22T10:00:00Z".parse().expect("an instant")))
}

/// The `number`th member account's id.
/// What is said of the first account where the organization cannot be read.
pub(crate) const AS_NAMED: &str = "AWS Organizations cannot be read: account 200000000001 is taken as it was named. \
    Its name and address are not known, so only the owners in its users' tags are mailed";

pub(crate) fn id(number: usize) -> String {
    format!("{:012}", 200_000_000_000 + number)
}

pub(crate) fn account(id: &str) -> AccountId {
    AccountId::new(id).expect("an account id")
}

pub(crate) fn user(name: &str) -> UserName {
    UserName::new(name).expect("a user name")
}

impl Stage {
    /// Serves a world, with a work queue, an urgent queue and a dead-letter queue.
    pub(crate) async fn set(world: World, kind: Kind) -> Self {
        let sandbox = Sandbox::start(SandboxOptions::new(world)).await.expect("a free port");
        let suffix = if kind == Kind::Fifo { ".fifo" } else { "" };
        let dead = format!("dead{suffix}");
        let redrive = format!(
            r#"{{"deadLetterTargetArn":"arn:aws:sqs:{REGION}:{MANAGEMENT_ACCOUNT}:{dead}","maxReceiveCount":5}}"#
        );
        let queue = |name: &str, redrive: Option<&str>| -> QueueUrl {
            let fifo = (kind == Kind::Fifo).then_some(("FifoQueue", "true"));
            let attributes: Vec<(&str, &str)> =
                fifo.into_iter().chain(redrive.map(|policy| ("RedrivePolicy", policy))).collect();
            let url = sandbox.with(|world| {
                let now = world.now();
                world.queues.create_queue(now, REGION, MANAGEMENT_ACCOUNT, name, &attributes)
            });
            url.expect("a new queue").parse().expect("a queue's URL")
        };
        let dead_letters = queue(&dead, None);
        let mut settings = Settings::new(queue(&format!("work{suffix}"), Some(&redrive)));
        settings.urgent_queue = Some(queue(&format!("urgent{suffix}"), Some(&redrive)));
        settings.dead_letter_queue = Some(dead_letters);
        settings.member_role = MemberRole { name: MEMBER_ROLE.to_owned(), external_id: None };
        let connection = connect(&sandbox).await;
        Self { sandbox, connection, settings }
    }

    /// The messages of a queue, in order.
    pub(crate) fn messages(&self, queue: &QueueUrl) -> Vec<Message> {
        self.sandbox.with(|world| {
            let queue = world.queues.queue(MANAGEMENT_ACCOUNT, queue.name()).expect("the queue is there");
            queue.messages().cloned().collect()
        })
    }

    /// The jobs of a queue, in order.
    pub(crate) fn jobs(&self, queue: &QueueUrl) -> Vec<Job> {
        self.messages(queue).iter().map(|message| Job::parse(&message.body).expect("a job")).collect()
    }

    /// The jobs of the work queue.
    pub(crate) fn work(&self) -> Vec<Job> {
        self.jobs(&self.settings.queue)
    }

    pub(crate) fn dead_letter_queue(&self) -> &QueueUrl {
        self.settings.dead_letter_queue.as_ref().expect("it is set")
    }

    pub(crate) fn urgent_queue(&self) -> &QueueUrl {
        self.settings.urgent_queue.as_ref().expect("it is set")
    }

    /// How often an operation was called.
    pub(crate) fn calls(&self, service: Service, operation: &str) -> u64 {
        self.sandbox.with(|world| world.journal.count(service, operation))
    }

    /// Waits for a message and takes it off its queue, as a worker does.
    pub(crate) async fn take(&self, queue: &QueueUrl) -> Job {
        let sqs = self.connection.sqs();
        loop {
            let call = sqs.receive_message().queue_url(queue.as_str()).wait_time_seconds(20);
            let received = call.send().await.expect("a receive");
            let Some(message) = received.messages.unwrap_or_default().pop() else { continue };
            let handle = message.receipt_handle.expect("a handle");
            let call = sqs.delete_message().queue_url(queue.as_str()).receipt_handle(handle);
            call.send().await.expect("a deletion");
            return Job::parse(&message.body.expect("a body")).expect("a job");
        }
    }

    /// Puts a dead letter where workers put them.
    pub(crate) async fn dead_letter(&self, number: usize, body: &str, reason: &str, run_id: Option<&str>) {
        let queue = self.dead_letter_queue();
        let text = |value: &str| {
            MessageAttributeValue::builder().data_type("String").string_value(value).build().expect("an attribute")
        };
        let mut call = self
            .connection
            .sqs()
            .send_message()
            .queue_url(queue.as_str())
            .message_body(body)
            .message_attributes("ErrorKind", text(reason))
            .message_attributes("ErrorMessage", text("as the test says"))
            .message_attributes("Attempts", text("3"));
        if let Some(run_id) = run_id {
            call = call.message_attributes("RunId", text(run_id));
        }
        if queue.is_fifo() {
            call =
                call.message_group_id(format!("group-{number}")).message_deduplication_id(format!("letter-{number}"));
        }
        call.send().await.expect("the letter is taken");
    }
}

async fn connect(sandbox: &Sandbox) -> Connection {
    let Credentials { access_key_id, secret_access_key, session_token } = sandbox.operator_credentials();
    let config = aws_config::defaults(BehaviorVersion::latest())
        .http_client(Builder::new().build_http())
        .region(Region::new(REGION))
        .endpoint_url(sandbox.endpoint())
        .credentials_provider(SdkCredentials::new(access_key_id, secret_access_key, session_token, None, "sandbox"))
        // The producer's own retries are what is tested.
        .retry_config(RetryConfig::disabled())
        .load()
        .await;
    Connection::from_sdk_config(config).expect("the region is set")
}
