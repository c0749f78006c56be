//! Consumers with handlers of a test's own.

use std::sync::Arc;
use std::time::Duration;

use end_to_end::Stage;
use key_rotation_aws::RedrivePolicy;
use sandbox::call::Service;
use sandbox::journal::Outcome as CallOutcome;
use sandbox::services::sqs;
use sandbox::world::MANAGEMENT_ACCOUNT;
use tokio::task::JoinHandle;
use worker::queue::consumer::RunMode;
use worker::queue::{Consumer, ConsumerReport, Failure, Handler, Limits, Message, Outcome, Parsed, QueueConfig, Stop};

/// A message and its body.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) message: Message,
    pub(crate) body: String,
}

/// A handler that is a function of the message.
pub(crate) struct Work<F>(pub(crate) F);

impl<F, R> Handler for Work<F>
where
    F: Fn(Received) -> R + Send + Sync + 'static,
    R: Future<Output = Outcome> + Send,
{
    type Job = String;

    /// Where there are no groups, each body is one. `scheduled work #1` and `scheduled work #2` ask for the same. `urgent …` waits for
    /// nothing.
    fn parse(&self, body: &str) -> Result<Parsed<String>, Failure> {
        let (job, run_id) = (body.to_owned(), Some(format!("run of {body}")));
        let work = body.split(" #").next().unwrap_or(body).to_owned();
        let same_work = work.starts_with("scheduled").then(|| work.clone());
        let own_group = work.starts_with("urgent").then(|| format!("of its own: {work}").replace(' ', "-"));
        Ok(Parsed { group: work, own_group, run_id, same_work, job })
    }

    async fn handle(&self, message: &Message, body: &String, _stop: &Stop) -> Outcome {
        (self.0)(Received { message: message.clone(), body: body.clone() }).await
    }
}

/// Numbers for tests: nobody waits for retries.
pub(crate) fn limits() -> Limits {
    Limits { drain_patience: Duration::ZERO, ..Limits::default() }
}

/// Drains the queue with this handler.
pub(crate) async fn drain<H: Handler>(stage: &Stage, limits: Limits, handler: H) -> ConsumerReport {
    consumer(stage, limits, handler, RunMode::UntilEmpty).await.run(Stop::default()).await
}

/// Serves the queue with this handler until the test ends.
pub(crate) async fn serve<H: Handler>(stage: &Stage, limits: Limits, handler: H) -> JoinHandle<ConsumerReport> {
    let consumer = consumer(stage, limits, handler, RunMode::UntilStopped).await;
    tokio::spawn(consumer.run(Stop::default()))
}

pub(crate) async fn consumer<H: Handler>(stage: &Stage, limits: Limits, handler: H, mode: RunMode) -> Consumer<H> {
    let sqs = stage.connection("consumer").sqs();
    let redrive = RedrivePolicy::read(&sqs, &stage.queue, None).await.expect("the queue has a redrive policy");
    let config = QueueConfig { queue: stage.queue.clone(), redrive };
    Consumer::new(sqs, config, limits, Arc::new(handler), mode)
}

/// Puts messages with these bodies on the queue, each in a group of its own where there are groups.
pub(crate) async fn send(stage: &Stage, bodies: &[&str]) {
    for body in bodies {
        let id = stage.queue.is_fifo().then(|| (*body).to_owned());
        stage.send_body(body, id.clone(), id).await;
    }
}

/// Puts a message into this group, where there are groups.
pub(crate) async fn send_in(stage: &Stage, group: &str, body: &str) {
    let fifo = stage.queue.is_fifo();
    stage.send_body(body, fifo.then(|| group.to_owned()), fifo.then(|| body.replace(' ', "-"))).await;
}

/// The messages on the work queue.
pub(crate) fn messages(stage: &Stage) -> Vec<sqs::Message> {
    stage.world(|world| {
        let queue = world.queues.queue(MANAGEMENT_ACCOUNT, stage.queue.name()).expect("the work queue");
        queue.messages().cloned().collect()
    })
}

/// The messages on the dead-letter queue.
pub(crate) fn letters(stage: &Stage) -> Vec<sqs::Message> {
    stage.world(|world| {
        let queue = world.queues.queue(MANAGEMENT_ACCOUNT, stage.dead_letters.name()).expect("the dead-letter queue");
        queue.messages().cloned().collect()
    })
}

/// How often SQS was called so.
pub(crate) fn calls(stage: &Stage, operation: &str) -> u64 {
    stage.world(|world| world.journal.count(Service::Sqs, operation))
}

/// How many such calls were refused.
pub(crate) fn refused(stage: &Stage, operation: &str) -> usize {
    stage.world(|world| {
        let calls = world.journal.calls().filter(|call| call.operation == operation);
        calls.filter(|call| matches!(call.outcome, CallOutcome::Refused(_))).count()
    })
}

/// Waits until what is asked for is so.
pub(crate) async fn until(what: &str, mut so: impl FnMut() -> bool) {
    /// Half a minute's looks: far more than anything here takes on a slow machine.
    const LOOKS: usize = 15_000;
    for _ in 0..LOOKS {
        if so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("waited in vain until {what}");
}
