//! `sandbox serve`: a generated organization with its queues and a verified sender, served until told to stop.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use crate::call::ApiError;
use crate::clock::Clock;
use crate::cloud::Cloud;
use crate::generate::{self, Shape};
use crate::server::{Sandbox, SandboxOptions};
use crate::world::{Credentials, MANAGEMENT_ACCOUNT, World};

/// The region everything is in unless asked otherwise. In older regions version 1 of the `aws` command line goes to SQS under a legacy
/// name whatever `AWS_ENDPOINT_URL` says (its `overridesslcommonname.py`); this one is young enough to have none.
pub const REGION: &str = "eu-central-2";

/// The address notices can be sent from.
pub const SENDER: &str = "key-rotation@example.com";

/// Deliveries of a message before it becomes a dead letter.
const MAX_RECEIVE_COUNT: u32 = 5;

/// The settings of `sandbox serve`.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// The port on 127.0.0.1; 0 for any that is free.
    #[arg(long, default_value_t = 4599)]
    port: u16,
    /// Accounts besides the management account.
    #[arg(long, default_value_t = 5)]
    accounts: usize,
    /// Users in each account.
    #[arg(long, default_value_t = 20)]
    users_per_account: usize,
    /// What the organization, ids and faults are drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The region the queues are in and mail is sent from.
    #[arg(long, default_value = REGION)]
    region: String,
    /// Milliseconds every AWS call takes.
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// The time to start at, RFC 3339; the machine's own if not given.
    #[arg(long)]
    clock: Option<Timestamp>,
    /// Let the clock stand still; it is moved by POST /_sandbox/clock.
    #[arg(long)]
    frozen: bool,
    /// Standard queues instead of FIFO queues.
    #[arg(long)]
    standard_queues: bool,
}

/// Why a sandbox cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The port is taken, most likely.
    #[error("port {port} on 127.0.0.1 cannot be served: {source}")]
    Port {
        /// The port asked for.
        port: u16,
        /// What the system says.
        source: std::io::Error,
    },
    /// A queue could not be made.
    #[error("a queue could not be made: {}", .0.message)]
    Queue(ApiError),
}

/// Serves until `stop` ends.
pub async fn run(arguments: &ServeArgs, stop: impl Future<Output = ()>) -> Result<(), ServeError> {
    let (sandbox, queues) = start(arguments).await?;
    print!("{}", environment(&sandbox, &queues, &arguments.region));
    eprintln!("serving; state and knobs at {}/_sandbox/state; stop with Ctrl-C", sandbox.endpoint());
    stop.await;
    Ok(())
}

/// The URLs of the work queue and its dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueUrls {
    pub work: String,
    pub dead_letters: String,
}

async fn start(arguments: &ServeArgs) -> Result<(Sandbox, QueueUrls), ServeError> {
    let from = arguments.clock.unwrap_or_else(Timestamp::now);
    let clock = if arguments.frozen { Clock::frozen_at(from) } else { Clock::running_from(from) };
    let mut world = World::new(arguments.seed, clock);
    world.faults.latency = Duration::from_millis(arguments.latency_ms);
    let shape = Shape { accounts: arguments.accounts, users_per_account: arguments.users_per_account };
    generate::organization(&mut world, shape);
    let options = SandboxOptions { port: arguments.port, ..SandboxOptions::new(world) };
    let sandbox = Sandbox::start(options).await.map_err(|source| ServeError::Port { port: arguments.port, source })?;
    let set_up = |cloud: &mut Cloud| set_up_fleet(cloud, &arguments.region, !arguments.standard_queues);
    let queues = sandbox.with(set_up).map_err(ServeError::Queue)?;
    Ok((sandbox, queues))
}

/// Makes what a fleet needs in the management account: a work queue with its dead-letter queue, which keeps letters for as long as SQS
/// keeps any message, and a verified sender. To be called on
/// a running sandbox: queue URLs hold its port.
pub fn set_up_fleet(cloud: &mut Cloud, region: &str, fifo: bool) -> Result<QueueUrls, ApiError> {
    let now = cloud.now();
    let suffix = if fifo { ".fifo" } else { "" };
    let (work, dead_letters) = (format!("key-rotation{suffix}"), format!("key-rotation-dead-letters{suffix}"));
    let dead_letters_arn = format!("arn:aws:sqs:{region}:{MANAGEMENT_ACCOUNT}:{dead_letters}");
    let redrive = json!({"deadLetterTargetArn": dead_letters_arn, "maxReceiveCount": MAX_RECEIVE_COUNT}).to_string();
    let kind: &[(&str, &str)] = if fifo { &[("FifoQueue", "true")] } else { &[] };
    let with_redrive = [kind, &[("RedrivePolicy", &redrive)]].concat();
    let kept_long = [kind, &[("MessageRetentionPeriod", "1209600")]].concat();
    let dead_letters = cloud.queues.create_queue(now, region, MANAGEMENT_ACCOUNT, &dead_letters, &kept_long)?;
    let work = cloud.queues.create_queue(now, region, MANAGEMENT_ACCOUNT, &work, &with_redrive)?;
    cloud.mail.verify(MANAGEMENT_ACCOUNT, region, SENDER);
    Ok(QueueUrls { work, dead_letters })
}

/// The lines to export.
fn environment(sandbox: &Sandbox, queues: &QueueUrls, region: &str) -> String {
    let Credentials { access_key_id, secret_access_key, .. } = sandbox.operator_credentials();
    let variables = [
        ("AWS_ENDPOINT_URL", sandbox.endpoint()),
        ("AWS_ACCESS_KEY_ID", access_key_id),
        ("AWS_SECRET_ACCESS_KEY", secret_access_key),
        ("AWS_REGION", region.to_owned()),
        ("AWS_DEFAULT_REGION", region.to_owned()),
        ("QUEUE_URL", queues.work.clone()),
        ("DEAD_LETTER_QUEUE_URL", queues.dead_letters.clone()),
        ("SENDER_EMAIL", SENDER.to_owned()),
    ];
    variables.iter().map(|(name, value)| format!("export {name}={value}\n")).collect()
}
