//! What all messages share, and the handler the queue calls: a body in, an outcome out.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use key_rotation_aws::{Connection, MemberRole};
use rotation::{AccountId, Job, Policy, Reason};
use tracing::{Instrument, info, info_span};
use uuid::Uuid;

use crate::account;
use crate::aws::secrets::Secrets;
use crate::notices::Notices;
use crate::queue::{Failure, Handler, Message, Outcome, Parsed, Stop};
use crate::tally::Tally;

/// The central store of secrets.
#[derive(Debug, Clone)]
pub struct Central {
    /// The account that holds it: the worker's own.
    pub account: AccountId,
    /// Secrets Manager there.
    pub secrets: Secrets,
    /// The policy that lets users read their own secret there.
    pub read_policy_name: Option<String>,
}

/// Works on messages.
pub struct Rotator {
    /// The way to AWS.
    pub connection: Connection,
    /// The role in member accounts.
    pub role: MemberRole,
    /// Audit mode.
    pub dry_run: bool,
    /// A forecast's time.
    pub as_of: Option<Timestamp>,
    /// The periods.
    pub policy: Policy,
    /// The exemption group.
    pub exemption_group: String,
    /// The owner tag.
    pub owner_tag: Option<String>,
    /// The central store, where secrets are kept there.
    pub central: Option<Central>,
    /// The KMS key for secrets.
    pub kms_key_id: Option<String>,
    /// Replication regions.
    pub replication_regions: Vec<String>,
    /// Users of one account worked on at once.
    pub users_at_once: usize,
    /// How long an attempt waits for another one to end.
    pub attempt_wait: Duration,
    /// Who is told, and how.
    pub notices: Notices,
    /// What has been done.
    pub tally: Arc<Tally>,
}

impl Handler for Rotator {
    type Request = Job;

    fn parse(&self, body: &str) -> Result<Parsed<Job>, Failure> {
        let job = Job::parse(body).map_err(|error| Failure::new(Reason::MalformedMessage, error.to_string()))?;
        Ok(Parsed {
            run_id: job.run_id.as_ref().map(Uuid::to_string),
            group: job.group(),
            same_work: job.scheduled_work(),
            request: job,
        })
    }

    async fn handle(&self, message: &Message, job: &Job, stop: &Stop) -> Outcome {
        let span = info_span!("account", account = %job.account);
        async {
            match account::work(self, job, message, stop).await {
                Ok(()) => {
                    info!("the message is done");
                    Outcome::Done
                }
                Err(error) => error.outcome(),
            }
        }
        .instrument(span)
        .await
    }
}
