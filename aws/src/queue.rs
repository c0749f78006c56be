//! A queue's address, and what follows from it: whether it is FIFO, and then the ids each message needs. Below: what a queue
//! says of itself.

pub mod attribute;
pub mod depth;
pub mod redrive;

use std::fmt;
use std::str::FromStr;

use rotation::Job;
use uuid::{Uuid, uuid};

/// The URL of an SQS queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueUrl(String);

/// A URL that is not a queue's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is not the URL of an SQS queue: it must begin with https:// (or http://) and end in the account id and the queue's name, as in https://sqs.eu-west-1.amazonaws.com/123456789012/key-rotation.fifo"
)]
pub struct InvalidQueueUrl(String);

/// A sentence for each queue whose URL names another region than this.
pub fn in_other_region(
    work: &QueueUrl,
    dead_letters: Option<&QueueUrl>,
    urgent: Option<&QueueUrl>,
    region: &str,
) -> Vec<String> {
    let queues = [("QUEUE_URL", Some(work)), ("DEAD_LETTER_QUEUE_URL", dead_letters), ("URGENT_QUEUE_URL", urgent)];
    queues.into_iter().filter_map(|(variable, queue)| queue?.in_other_region(variable, region)).collect()
}

/// The namespace of deduplication ids.
const DEDUPLICATION_NAMESPACE: Uuid = uuid!("0d4a9e0e-5c5e-5b0b-8f4e-2b7d6c1f9a33");

impl QueueUrl {
    /// The URL as SQS wants it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The queue's name: the URL's last part.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// A sentence, where the queue this variable names is in another region than the one worked in. The SDK would ask the
    /// wrong region, which knows no such queue. Hosts other than `sqs.<region>.amazonaws...` tell no region.
    fn in_other_region(&self, variable: &str, region: &str) -> Option<String> {
        let host = self.0.split("://").nth(1)?.split('/').next()?;
        let (named, domain) = host.strip_prefix("sqs.")?.split_once('.')?;
        (domain.starts_with("amazonaws.") && named != region).then(|| {
            format!("{variable} is wrong: the queue is in {named}, but the AWS region is {region} (AWS_REGION, or the profile's)")
        })
    }

    /// Whether the queue is FIFO. (SQS developer guide: "The name of a FIFO queue must end with the .fifo suffix.")
    pub fn is_fifo(&self) -> bool {
        self.0.ends_with(".fifo")
    }

    /// The message group of a job, on a FIFO queue: while one message of a group is in flight no further one is received. (One
    /// receive brings several messages of a group all the same; the worker works on one of them at a time.)
    pub fn group_id(&self, job: &Job) -> Option<String> {
        self.is_fifo().then(|| job.group())
    }

    /// The deduplication id of a body: the same body within five minutes is the same message.
    pub fn deduplication_id(&self, body: &str) -> Option<String> {
        self.is_fifo().then(|| Uuid::new_v5(&DEDUPLICATION_NAMESPACE, body.as_bytes()).to_string())
    }
}

impl FromStr for QueueUrl {
    type Err = InvalidQueueUrl;

    fn from_str(text: &str) -> Result<Self, InvalidQueueUrl> {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let well_formed = rest.is_some_and(|rest| {
            let mut parts = rest.rsplit('/');
            let name = parts.next().unwrap_or_default();
            let host = rest.split('/').next().unwrap_or_default();
            let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            !host.is_empty() && rest.contains('/') && !name.is_empty() && name.chars().all(allowed)
        });
        if well_formed { Ok(Self(text.to_owned())) } else { Err(InvalidQueueUrl(text.chars().take(200).collect())) }
    }
}

impl fmt::Display for QueueUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_in_another_region_is_told_by_its_url() {
        let in_other_region = |url: &str| url.parse::<QueueUrl>().unwrap().in_other_region("QUEUE_URL", "eu-west-1");
        assert_eq!(in_other_region("https://sqs.eu-west-1.amazonaws.com/123456789012/work"), None);
        assert_eq!(in_other_region("http://127.0.0.1:4599/123456789012/work"), None, "tells no region");
        let sentence = in_other_region("https://sqs.us-east-1.amazonaws.com/123456789012/work").unwrap();
        assert!(sentence.starts_with("QUEUE_URL is wrong: the queue is in us-east-1"), "{sentence}");
    }
}
