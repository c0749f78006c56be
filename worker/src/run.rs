//! Starts a worker from its settings and shuts it down in order.

use std::sync::Arc;

use key_rotation_aws::{AwsError, Connection, Identity, QueueUrl, RedriveError, RedrivePolicy};
use rotation::secret_policy::writers;
use tracing::{info, warn};

use crate::aws::event_bus::EventBus;
use crate::aws::secrets::Secrets;
use crate::context::{CentralStore, WorkerContext};
use crate::events::Events;
use crate::handler::RotationHandler;
use crate::notices::{MailSettings, Notices, TemplateError};
use crate::queue::consumer::RunMode;
use crate::queue::{Consumer, ConsumerReport, Limits, QueueConfig, Stop};
use crate::settings::Settings;
use crate::storage_refusals::StorageRefusals;

/// Why a worker does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It is not known where dead letters go.
    #[error(transparent)]
    Redrive(#[from] RedriveError),
    /// A mail template is wrong.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The central store's account is not known.
    #[error("the worker's own account, which holds the central store, could not be found out: {0}")]
    OwnAccount(AwsError),
}

/// What a worker did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WorkerReport {
    pub handled: u64,
    /// Draining: messages left that wait for a retry or that another worker has.
    pub left: u64,
}

/// Runs a worker until it is told to stop, or (draining) until its queues have stayed empty.
///
/// # Errors
/// [`StartError`]: then it has taken no message.
pub async fn run(settings: &Settings, connection: &Connection, stop: Stop) -> Result<WorkerReport, StartError> {
    let sqs = connection.sqs();
    let config = async |queue: &QueueUrl| {
        let redrive = RedrivePolicy::read(&sqs, queue, settings.dead_letter_queue.as_ref()).await?;
        if redrive.max_receives.is_none() {
            warn!(
                queue = queue.name(),
                "the queue has no redrive policy: a message that kills its worker will come back for ever"
            );
        }
        Ok::<_, RedriveError>(QueueConfig { queue: queue.clone(), redrive })
    };
    let work_queue = config(&settings.queue).await?;
    let urgent_queue = match &settings.urgent_queue {
        Some(queue) => Some(config(queue).await?),
        None => None,
    };
    let mut context = worker_context(settings, connection).await?;
    log_start(settings);
    // A forecast's events are not what happens.
    let bus = settings.event_bus.clone().filter(|_| settings.as_of.is_none());
    let bus = bus.map(|bus| EventBus::start(connection.event_bridge(), bus));
    let (bus, sender) = bus.unzip();
    context.events = Events::new(bus);
    context.notices.ask_for_limits().await;
    let handler = Arc::new(RotationHandler::new(context));

    let mode = if settings.drain { RunMode::UntilEmpty } else { RunMode::UntilStopped };
    let work = Consumer::new(sqs.clone(), work_queue, settings.limits, handler.clone(), mode).run(stop.clone());
    let urgent = async {
        match urgent_queue {
            // Its own capacity: an operator's request never waits for scheduled work to end.
            Some(queue) => {
                let limits = Limits { max_concurrent: settings.urgent_concurrency, ..settings.limits };
                Consumer::new(sqs.clone(), queue, limits, handler.clone(), mode).run(stop.clone()).await
            }
            None => ConsumerReport::default(),
        }
    };
    let (work, urgent) = tokio::join!(work, urgent);
    // Nobody has events any more, so that the sender comes to an end.
    drop(handler);
    if let Some(sender) = sender {
        sender.finish().await;
    }
    let report = WorkerReport { handled: work.handled + urgent.handled, left: work.left + urgent.left };
    info!(handled = report.handled, left = report.left, "the worker has stopped");
    Ok(report)
}

/// What all messages share.
///
/// # Errors
/// [`StartError`].
pub async fn worker_context(settings: &Settings, connection: &Connection) -> Result<WorkerContext, StartError> {
    let central = match settings.central_store {
        true => {
            let Identity { account, arn } = connection.identity().await.map_err(StartError::OwnAccount)?;
            Some(CentralStore {
                account,
                writers: writers(&arn),
                secrets: Secrets::central(connection),
                read_policy_name: settings.central_read_policy.clone(),
            })
        }
        false => None,
    };
    // A forecast is for whoever asks for it: its dates must not reach owners as if they were the real ones.
    let sender = settings.mail.sender.clone().filter(|_| settings.as_of.is_none());
    let mail = MailSettings { sender, ..settings.mail.clone() };
    Ok(WorkerContext {
        settings: settings.clone(),
        connection: connection.clone(),
        central,
        notices: Notices::new(mail, Some(connection), connection.partition())?,
        events: Events::off(),
        storage_refusals: StorageRefusals::default(),
    })
}

/// Logs once at start what this worker will do.
fn log_start(settings: &Settings) {
    let policy = &settings.policy;
    info!(
        mode = if settings.dry_run { "audit" } else { "enforce" },
        queue = settings.queue.name(),
        urgent_queue = settings.urgent_queue.as_ref().map(QueueUrl::name),
        rotation_period = policy.rotation_period(),
        inactive_period = policy.inactive_period(),
        recovery_grace_period = policy.recovery_grace(),
        pending_action_warn_period = policy.warn_period(),
        "the worker starts"
    );
    if settings.dry_run {
        info!("audit mode: nothing will be changed; set DRY_RUN=false to enforce");
    }
    if settings.central_store && settings.central_read_policy.is_none() {
        warn!(
            "CENTRAL_SECRET_READ_POLICY is not set: each user needs an identity policy of yours that lets it read its secret in the central store, and nobody looks whether it has one before its old key is disabled"
        );
    }
    if let Some(as_of) = settings.as_of {
        info!(%as_of, "a forecast: evaluated as if it were then; no mail is sent, notices go to this log");
    } else if settings.mail.sender.is_none() {
        warn!("SENDER_EMAIL is not set: no mail is sent, notices go to this log and count as given");
    }
}
