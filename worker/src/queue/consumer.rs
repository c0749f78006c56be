//! The loop: receive what can be worked on, or soon can be, work on one message of a group at a time, end each delivery while others are
//! received, stop in good order.

use std::collections::HashMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::types::MessageSystemAttributeName;
use futures::FutureExt;
use futures::future::join_all;
use key_rotation_aws::backoff::PollPause;
use key_rotation_aws::{AwsError, Depth, QueueUrl, RedrivePolicy};
use rotation::Reason;
use rotation::dead_letter::attribute::{ATTEMPTS, FIRST_MESSAGE_ID, FIRST_SENT};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tracing::{Instrument, Span, error, info, info_span, warn};

use super::batch_delete::BatchDeleter;
use super::delivery::{Delivery, DeliveryEnd, OpenReceive, QueueContext};
use super::groups::{MessageGroups, ReadDelivery, WorkItem};
use super::receive_ahead::ReceiveAhead;
use super::{Failure, Handler, Limits, Outcome, Stop};

/// How long a receive waits for messages at most, where the worker is to exit once there are none.
const DRAIN_RECEIVE_WAIT: Duration = Duration::from_secs(1);

/// One queue to serve.
#[derive(Debug, Clone)]
pub struct QueueConfig {
    pub queue: QueueUrl,
    pub redrive: RedrivePolicy,
}

/// What a consumer did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConsumerReport {
    /// Messages worked on, those covered by a newer one included.
    pub handled: u64,
    /// Draining: messages still there, invisible: they wait for a retry, or another worker has them.
    pub left: u64,
}

/// For how long a queue is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunMode {
    /// Until the signal to stop.
    UntilStopped,
    /// Until the queue has stayed empty, or the signal to stop.
    UntilEmpty,
}

pub struct Consumer<H> {
    context: QueueContext,
    handler: Arc<H>,
    mode: RunMode,
}

/// A receive under way.
type Receive<'a> = Pin<Box<dyn Future<Output = Result<Vec<Delivery>, AwsError>> + Send + 'a>>;

impl<H: Handler> Consumer<H> {
    /// A consumer of this queue.
    pub fn new(sqs: aws_sdk_sqs::Client, config: QueueConfig, limits: Limits, handler: Arc<H>, mode: RunMode) -> Self {
        let QueueConfig { queue, redrive } = config;
        let deleter = BatchDeleter::start(sqs.clone(), queue.clone());
        let open_receive = OpenReceive::default();
        let context = QueueContext { sqs, queue, redrive, deleter, limits, open_receive };
        Self { context, handler, mode }
    }

    /// Serves the queue until it is told to stop (or, draining, has nothing left to do).
    ///
    /// After the signal nothing more is received. What waits for its group is handed back at once, and so is what a receive
    /// under way still brings; work in flight has the stop grace to wind up in, and what has not ended by then is handed back.
    /// After a second signal there is no grace. None of this worker's own receives can take what it has handed back, so that a
    /// stop costs a message one receive at most.
    pub async fn run(self, stop: Stop) -> ConsumerReport {
        let mut state = ConsumerState::new(&self, stop.clone());
        let mut pauses = PollPause::default();
        let mut pause = Duration::ZERO;
        let mut receive: Option<Receive<'_>> = None;
        while !(state.stopping && state.work.is_empty()) {
            let room = state.room();
            if receive.is_none() && room > 0 && !state.stopping {
                let at_most = state.ahead.begin(room);
                receive = Some(Box::pin(self.receive_after(pause, at_most, &stop)));
            }
            tokio::select! {
                biased;
                () = stop.asked(), if !state.stopping => state.stop(),
                Some(ended) = state.work.join_next_with_id() => state.task_ended(ended),
                received = async { receive.as_mut().expect("there is one").await }, if receive.is_some() => {
                    receive = None;
                    match received {
                        Ok(received) => {
                            pauses.reset();
                            pause = Duration::ZERO;
                            state.ahead.end(received.len(), self.context.limits.max_concurrent);
                            if received.is_empty() && state.is_drained().await {
                                break;
                            }
                            state.admit(received).await;
                        }
                        Err(error) => {
                            pause = pauses.next_pause();
                            let queue = self.context.queue.name();
                            warn!(%error, queue, pause_ms = pause.as_millis(), "receiving messages failed");
                        }
                    }
                }
            }
        }
        state.report
    }

    /// One receive, after a pause; none if the worker is told to stop meanwhile.
    async fn receive_after(&self, pause: Duration, at_most: usize, stop: &Stop) -> Result<Vec<Delivery>, AwsError> {
        tokio::select! {
            biased;
            () = stop.asked() => Ok(Vec::new()),
            () = tokio::time::sleep(pause) => self.receive(at_most).await,
        }
    }

    async fn receive(&self, at_most: usize) -> Result<Vec<Delivery>, AwsError> {
        let QueueContext { sqs, queue, limits, open_receive, .. } = &self.context;
        // Draining, an answer "nothing there" is wanted soon; and while work is in flight no long wait may hold up its end.
        let wait = match self.mode {
            RunMode::UntilStopped => limits.receive_wait,
            RunMode::UntilEmpty => limits.receive_wait.min(DRAIN_RECEIVE_WAIT),
        };
        open_receive.begin(wait);
        let answer = sqs
            .receive_message()
            .queue_url(queue.as_str())
            .max_number_of_messages(i32::try_from(at_most).unwrap_or(1))
            .wait_time_seconds(i32::try_from(wait.as_secs()).unwrap_or(0))
            .visibility_timeout(i32::try_from(limits.visibility.as_secs()).unwrap_or(i32::MAX))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(MessageSystemAttributeName::MessageGroupId)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .message_attribute_names(ATTEMPTS)
            .message_attribute_names(FIRST_MESSAGE_ID)
            .message_attribute_names(FIRST_SENT)
            .send()
            .await;
        open_receive.end();
        let received = answer.map_err(|error| AwsError::new("sqs:ReceiveMessage", error))?.messages.unwrap_or_default();
        Ok(received.into_iter().filter_map(|message| Delivery::new(message, &self.context)).collect())
    }
}

/// What a task has come to.
enum TaskResult {
    /// Work is done. What becomes of its messages is said to SQS by another task, while their place is free for others.
    Finished(Box<FinishedWork>),
    /// All of its deliveries are ended.
    Ended,
}

/// A consumer at work.
struct ConsumerState<'a, H: Handler> {
    consumer: &'a Consumer<H>,
    stop: Stop,
    groups: MessageGroups<H::Job>,
    work: JoinSet<TaskResult>,
    /// The group that each task works for.
    group_of: HashMap<Id, String>,
    stopping: bool,
    idle_since: Option<Instant>,
    ahead: ReceiveAhead,
    report: ConsumerReport,
}

impl<'a, H: Handler> ConsumerState<'a, H> {
    fn new(consumer: &'a Consumer<H>, stop: Stop) -> Self {
        Self {
            consumer,
            stop,
            groups: MessageGroups::default(),
            work: JoinSet::new(),
            group_of: HashMap::new(),
            stopping: false,
            idle_since: None,
            ahead: ReceiveAhead::default(),
            report: ConsumerReport::default(),
        }
    }

    /// How many more messages may be received. One whose work is done takes no place; but where SQS cannot be told so, no more than as
    /// many again come to be held.
    fn room(&self) -> usize {
        let most = self.consumer.context.limits.max_concurrent;
        let ending_beyond = self.groups.ending().saturating_sub(most);
        (most + self.ahead.messages()).saturating_sub(self.groups.held() + ending_beyond)
    }

    /// Takes in what a receive brought, and starts what can be started.
    async fn admit(&mut self, received: Vec<Delivery>) {
        if self.stopping {
            hand_back_all(&self.consumer.context, received).await;
            return;
        }
        for delivery in received {
            self.idle_since = None;
            self.report.left = 0;
            self.report.handled += 1;
            match self.consumer.handler.parse(delivery.body()) {
                Ok(parsed) => self.groups.admit(ReadDelivery { delivery, parsed }),
                Err(failure) => {
                    let context = self.consumer.context.clone();
                    self.work.spawn(async move {
                        delivery.end(&context, DeliveryEnd::DeadLetter(failure), None).await;
                        TaskResult::Ended
                    });
                }
            }
        }
        self.start();
    }

    fn start(&mut self) {
        let places = self.consumer.context.limits.max_concurrent.saturating_sub(self.groups.in_work());
        for (group, item) in self.groups.startable(places) {
            let (context, handler) = (self.consumer.context.clone(), self.consumer.handler.clone());
            let stop = self.stop.clone();
            let work = async move {
                TaskResult::Finished(Box::new(process_delivery(&context, handler.as_ref(), item, &stop).await))
            };
            let task = self.work.spawn(work);
            self.group_of.insert(task.id(), group);
        }
    }

    /// A task has come to its end: what follows it is next.
    fn task_ended(&mut self, ended: Result<(Id, TaskResult), JoinError>) {
        let (task, result) = ended.unwrap_or_else(|error| {
            error!(%error, "a delivery was not ended: its message comes again when its visibility times out");
            (error.id(), TaskResult::Ended)
        });
        let group = self.group_of.remove(&task);
        match result {
            TaskResult::Finished(work) => {
                self.ahead.work_done();
                let context = self.consumer.context.clone();
                let task = self.work.spawn(async move {
                    work.end(&context).await;
                    TaskResult::Ended
                });
                if let Some(group) = group {
                    self.groups.begin_ending(&group);
                    self.group_of.insert(task.id(), group);
                }
            }
            TaskResult::Ended => {
                if let Some(group) = group {
                    self.groups.end_work(&group);
                }
            }
        }
        if !self.stopping {
            self.start();
        }
    }

    /// Begins nothing more.
    ///
    /// What waits is handed back by a task of its own: a receive that is under way is not polled meanwhile, and may be about to get the
    /// credentials that everybody needs.
    fn stop(&mut self) {
        self.stopping = true;
        let waiting = self.groups.take_waiting().into_iter().map(|read| read.delivery).collect();
        let context = self.consumer.context.clone();
        self.work.spawn(async move {
            hand_back_all(&context, waiting).await;
            TaskResult::Ended
        });
    }

    /// Draining: whether there is nothing left to do, after a receive that brought nothing.
    async fn is_drained(&mut self) -> bool {
        if self.consumer.mode == RunMode::UntilStopped || self.groups.held() > 0 || !self.work.is_empty() {
            return false;
        }
        let QueueContext { sqs, queue, .. } = &self.consumer.context;
        match Depth::read(sqs, queue).await.map(Depth::total) {
            Ok(0) => true,
            Ok(left) => {
                self.report.left = left;
                let since = *self.idle_since.get_or_insert_with(Instant::now);
                since.elapsed() >= self.consumer.context.limits.drain_patience
            }
            Err(error) => {
                warn!(%error, "the queue's depth could not be read");
                false
            }
        }
    }
}

async fn hand_back_all(context: &QueueContext, deliveries: Vec<Delivery>) {
    join_all(deliveries.into_iter().map(|delivery| delivery.hand_back(context))).await;
}

/// A piece of work that is done, and how its deliveries end.
struct FinishedWork {
    newest: Delivery,
    run_id: Option<String>,
    /// The messages that the newest covers, each with its run.
    covered: Vec<(Delivery, Option<String>)>,
    end: DeliveryEnd,
    span: Span,
}

impl FinishedWork {
    async fn end(self, context: &QueueContext) {
        let Self { newest, run_id, covered, end, span } = self;
        let older = covered.into_iter().map(|(older, run_id)| older.end(context, end.clone(), run_id));
        let all = futures::future::join(join_all(older), newest.end(context, end.clone(), run_id));
        all.instrument(span).await;
    }
}

/// Works on one message.
async fn process_delivery<H: Handler>(
    context: &QueueContext,
    handler: &H,
    item: WorkItem<H::Job>,
    stop: &Stop,
) -> FinishedWork {
    let WorkItem { newest: ReadDelivery { delivery, parsed }, covered } = item;
    let message = delivery.message();
    let span = info_span!(
        "message",
        message_id = message.id,
        run_id = parsed.run_id,
        receive_count = message.receive_count,
        queue = context.queue.name()
    );
    let outcome = async {
        for older in &covered {
            let covered_message_id = &older.delivery.message().id;
            info!(covered_message_id, covered_run_id = older.parsed.run_id, "an older message asks for the same work");
        }
        if let Some(group) = &parsed.own_group
            && delivery.move_to_group(context, group).await
        {
            return Outcome::Done;
        }
        handle(context, handler, &delivery, &parsed.job, stop).await
    };
    let outcome = outcome.instrument(span.clone()).await;
    let end = delivery.delivery_end(context, outcome);
    let covered = covered.into_iter().map(|older| (older.delivery, older.parsed.run_id)).collect();
    FinishedWork { newest: delivery, run_id: parsed.run_id, covered, end, span }
}

/// Has a message handled, within its time.
async fn handle<H: Handler>(
    context: &QueueContext,
    handler: &H,
    delivery: &Delivery,
    job: &H::Job,
    stop: &Stop,
) -> Outcome {
    let limit = context.limits.message_timeout;
    // What the handler leaves behind when it is dropped or panics is in AWS, and every step is made for that.
    let work = AssertUnwindSafe(handler.handle(delivery.message(), job, stop)).catch_unwind();
    tokio::select! {
        biased;
        ended = work => ended.unwrap_or_else(|_panic| {
            Outcome::retry(Failure::new(Reason::Panic, "the worker panicked; its log has the place"))
        }),
        () = tokio::time::sleep(limit) => {
            Outcome::retry(Failure::new(Reason::Timeout, format!("not done within {} seconds", limit.as_secs())))
        }
        () = stop.out_of_time(context.limits.stop_grace) => {
            info!("stopping: the message is handed back unfinished");
            Outcome::HandBack
        }
    }
}
