//! What the queue calls: a message in, an outcome out.

use rotation::{Job, Reason};
use tracing::{Instrument, info_span};
use uuid::Uuid;

use crate::account;
use crate::context::WorkerContext;
use crate::queue::{Failure, Handler, Message, Outcome, Parsed, Stop};

pub struct RotationHandler {
    context: WorkerContext,
}

impl RotationHandler {
    pub fn new(context: WorkerContext) -> Self {
        Self { context }
    }
}

impl Handler for RotationHandler {
    type Job = Job;

    fn parse(&self, body: &str) -> Result<Parsed<Job>, Failure> {
        let job = Job::parse(body).map_err(|error| Failure::new(Reason::MalformedMessage, error.to_string()))?;
        Ok(Parsed {
            run_id: job.run_id.as_ref().map(Uuid::to_string),
            group: job.group(),
            own_group: job.own_group(),
            same_work: job.scheduled_work(),
            job,
        })
    }

    async fn handle(&self, message: &Message, job: &Job, stop: &Stop) -> Outcome {
        let span = info_span!("account", account = %job.account);
        async {
            match account::process_message(&self.context, job, message, stop).await {
                Ok(()) => Outcome::Done,
                Err(error) => error.outcome(),
            }
        }
        .instrument(span)
        .await
    }
}
