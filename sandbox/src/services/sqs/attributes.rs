//! A queue's attributes: names, ranges and defaults as in the API reference of `SetQueueAttributes`.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error;
use super::message::LARGEST_MESSAGE;
use crate::call::ApiError;

/// After how many receives a message goes to which dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RedrivePolicy {
    /// The dead-letter queue's ARN.
    pub dead_letter_target_arn: String,
    /// The receives a message gets; the next one finds it gone.
    pub max_receive_count: u32,
}

/// Whose dead letters a queue takes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RedriveAllowPolicy {
    #[default]
    AllowAll,
    DenyAll,
    ByQueue(Vec<String>),
}

/// What a FIFO queue's deduplication ids are unique in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeduplicationScope {
    #[default]
    Queue,
    MessageGroup,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attributes {
    /// Whether the queue keeps order within groups and drops repeats. Fixed at creation.
    pub fifo: bool,
    /// Seconds a received message stays hidden.
    pub visibility_timeout: u32,
    /// Seconds before a sent message can be received.
    pub delay: u32,
    pub maximum_message_size: u32,
    /// Seconds after which a message is dropped.
    pub retention_period: u32,
    /// Seconds a receive waits for a message.
    pub receive_wait: u32,
    /// When and where messages give up.
    pub redrive: Option<RedrivePolicy>,
    /// Whose dead letters are taken.
    pub redrive_allow: RedriveAllowPolicy,
    /// Whether the body itself tells repeats apart (FIFO).
    pub content_based_deduplication: bool,
    /// What deduplication ids are unique in (FIFO).
    pub deduplication_scope: DeduplicationScope,
    /// Attributes that are kept and shown, and change nothing here: policy, encryption, throughput.
    pub inert: BTreeMap<&'static str, String>,
}

/// Attributes that are stored and given back, with the values they may have where those are few.
const INERT: [(&str, &[&str]); 5] = [
    ("Policy", &[]),
    ("KmsMasterKeyId", &[]),
    ("KmsDataKeyReusePeriodSeconds", &[]),
    ("SqsManagedSseEnabled", &["true", "false"]),
    ("FifoThroughputLimit", &["perQueue", "perMessageGroupId"]),
];

/// Names `GetQueueAttributes` knows that are not settable.
pub(super) const READ_ONLY: [&str; 6] = [
    "QueueArn",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
];

impl Attributes {
    pub fn new(fifo: bool) -> Self {
        Self {
            fifo,
            visibility_timeout: 30,
            delay: 0,
            maximum_message_size: 1_048_576,
            retention_period: 345_600,
            receive_wait: 0,
            redrive: None,
            redrive_allow: RedriveAllowPolicy::AllowAll,
            content_based_deduplication: false,
            deduplication_scope: DeduplicationScope::Queue,
            inert: [("SqsManagedSseEnabled", "true".to_owned())].into(),
        }
    }

    /// How long messages are kept.
    pub(super) fn retention(&self) -> SignedDuration {
        SignedDuration::from_secs(i64::from(self.retention_period))
    }

    /// Sets one by its name; an empty policy removes it.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<(), ApiError> {
        let fifo_only = || if self.fifo { Ok(()) } else { Err(error::unknown_attribute(name)) };
        match name {
            "VisibilityTimeout" => self.visibility_timeout = number(name, value, 0..=43_200)?,
            "DelaySeconds" => self.delay = number(name, value, 0..=900)?,
            "MaximumMessageSize" => {
                self.maximum_message_size =
                    number(name, value, 1_024..=u32::try_from(LARGEST_MESSAGE).unwrap_or(u32::MAX))?;
            }
            "MessageRetentionPeriod" => self.retention_period = number(name, value, 60..=1_209_600)?,
            "ReceiveMessageWaitTimeSeconds" => self.receive_wait = number(name, value, 0..=20)?,
            "RedrivePolicy" => self.redrive = redrive_policy(value)?,
            "RedriveAllowPolicy" => self.redrive_allow = redrive_allow_policy(value)?,
            "FifoQueue" if value == self.fifo.to_string() && self.fifo => {}
            "FifoQueue" => return Err(error::unknown_attribute(name)),
            "ContentBasedDeduplication" => {
                fifo_only()?;
                self.content_based_deduplication = match value {
                    "true" => true,
                    "false" => false,
                    _ => return Err(error::invalid_attribute_value(name)),
                };
            }
            "DeduplicationScope" => {
                fifo_only()?;
                self.deduplication_scope = match value {
                    "queue" => DeduplicationScope::Queue,
                    "messageGroup" => DeduplicationScope::MessageGroup,
                    _ => return Err(error::invalid_attribute_value(name)),
                };
            }
            _ => self.set_inert(name, value)?,
        }
        Ok(())
    }

    fn set_inert(&mut self, name: &str, value: &str) -> Result<(), ApiError> {
        let (name, values) =
            INERT.iter().find(|(known, _)| *known == name).ok_or_else(|| error::unknown_attribute(name))?;
        if *name == "FifoThroughputLimit" && !self.fifo {
            return Err(error::unknown_attribute(name));
        }
        if !values.is_empty() && !values.contains(&value) {
            return Err(error::invalid_attribute_value(name));
        }
        if *name == "KmsDataKeyReusePeriodSeconds" {
            number(name, value, 60..=86_400)?;
        }
        if value.is_empty() {
            self.inert.remove(name);
        } else {
            self.inert.insert(name, value.to_owned());
        }
        Ok(())
    }

    /// All that are set, by name, as `GetQueueAttributes` writes them.
    pub(super) fn list(&self) -> Vec<(&'static str, String)> {
        let mut list = vec![
            ("VisibilityTimeout", self.visibility_timeout.to_string()),
            ("DelaySeconds", self.delay.to_string()),
            ("MaximumMessageSize", self.maximum_message_size.to_string()),
            ("MessageRetentionPeriod", self.retention_period.to_string()),
            ("ReceiveMessageWaitTimeSeconds", self.receive_wait.to_string()),
        ];
        if let Some(redrive) = &self.redrive {
            let policy = json!({
                "deadLetterTargetArn": redrive.dead_letter_target_arn,
                "maxReceiveCount": redrive.max_receive_count,
            });
            list.push(("RedrivePolicy", policy.to_string()));
        }
        match &self.redrive_allow {
            RedriveAllowPolicy::AllowAll => {}
            RedriveAllowPolicy::DenyAll => {
                list.push(("RedriveAllowPolicy", json!({"redrivePermission": "denyAll"}).to_string()));
            }
            RedriveAllowPolicy::ByQueue(arns) => {
                let policy = json!({"redrivePermission": "byQueue", "sourceQueueArns": arns});
                list.push(("RedriveAllowPolicy", policy.to_string()));
            }
        }
        if self.fifo {
            let scope = match self.deduplication_scope {
                DeduplicationScope::Queue => "queue",
                DeduplicationScope::MessageGroup => "messageGroup",
            };
            list.push(("FifoQueue", "true".to_owned()));
            list.push(("ContentBasedDeduplication", self.content_based_deduplication.to_string()));
            list.push(("DeduplicationScope", scope.to_owned()));
            if !self.inert.contains_key("FifoThroughputLimit") {
                list.push(("FifoThroughputLimit", "perQueue".to_owned()));
            }
        }
        list.extend(self.inert.iter().map(|(name, value)| (*name, value.clone())));
        list
    }

    /// Whether an attribute of this name exists for any queue.
    pub(super) fn is_known(name: &str) -> bool {
        const SETTABLE: [&str; 10] = [
            "VisibilityTimeout",
            "DelaySeconds",
            "MaximumMessageSize",
            "MessageRetentionPeriod",
            "ReceiveMessageWaitTimeSeconds",
            "RedrivePolicy",
            "RedriveAllowPolicy",
            "FifoQueue",
            "ContentBasedDeduplication",
            "DeduplicationScope",
        ];
        SETTABLE.contains(&name) || READ_ONLY.contains(&name) || INERT.iter().any(|(known, _)| *known == name)
    }
}

fn number(name: &str, value: &str, range: RangeInclusive<u32>) -> Result<u32, ApiError> {
    value.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| error::invalid_attribute_value(name))
}

fn redrive_policy(value: &str) -> Result<Option<RedrivePolicy>, ApiError> {
    if value.is_empty() {
        return Ok(None);
    }
    let refused = |reason| error::invalid_parameter("RedrivePolicy", value, reason);
    let document: Value =
        serde_json::from_str(value).map_err(|_| refused("Redrive policy is not a valid JSON map."))?;
    let target = document["deadLetterTargetArn"]
        .as_str()
        .ok_or_else(|| refused("Redrive policy does not contain mandatory attribute: deadLetterTargetArn."))?;
    // The documentation writes the number as a string in places and as a number in others; SQS takes both.
    let count = match &document["maxReceiveCount"] {
        Value::Null => return Err(refused("Redrive policy does not contain mandatory attribute: maxReceiveCount.")),
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    };
    let count = count
        .and_then(|count| u32::try_from(count).ok())
        .filter(|count| (1..=1_000).contains(count))
        .ok_or_else(|| refused("Invalid value for maxReceiveCount: must be between 1 and 1000."))?;
    Ok(Some(RedrivePolicy { dead_letter_target_arn: target.to_owned(), max_receive_count: count }))
}

fn redrive_allow_policy(value: &str) -> Result<RedriveAllowPolicy, ApiError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Document {
        redrive_permission: String,
        #[serde(default)]
        source_queue_arns: Vec<String>,
    }
    if value.is_empty() {
        return Ok(RedriveAllowPolicy::AllowAll);
    }
    let refused = |reason| error::invalid_parameter("RedriveAllowPolicy", value, reason);
    let document: Document =
        serde_json::from_str(value).map_err(|_| refused("Redrive allow policy is not a valid JSON map."))?;
    match document.redrive_permission.as_str() {
        "allowAll" => Ok(RedriveAllowPolicy::AllowAll),
        "denyAll" => Ok(RedriveAllowPolicy::DenyAll),
        "byQueue" if (1..=10).contains(&document.source_queue_arns.len()) => {
            Ok(RedriveAllowPolicy::ByQueue(document.source_queue_arns))
        }
        "byQueue" => Err(refused("Between 1 and 10 source queue ARNs must be given with byQueue.")),
        _ => Err(refused("redrivePermission must be allowAll, denyAll or byQueue.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_outside_their_range_are_refused() {
        let mut attributes = Attributes::new(false);
        assert!(attributes.set("VisibilityTimeout", "43200").is_ok());
        assert!(attributes.set("VisibilityTimeout", "43201").is_err());
        assert!(attributes.set("MessageRetentionPeriod", "59").is_err());
        assert_eq!(attributes.visibility_timeout, 43_200);
    }

    #[test]
    fn a_redrive_policy_takes_its_number_as_number_or_string_and_an_empty_one_removes_it() {
        let mut attributes = Attributes::new(false);
        for count in ["3", "\"3\""] {
            let policy =
                format!(r#"{{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:1:dead","maxReceiveCount":{count}}}"#);
            attributes.set("RedrivePolicy", &policy).expect("a good policy");
            assert_eq!(attributes.redrive.as_ref().map(|redrive| redrive.max_receive_count), Some(3));
        }
        assert!(attributes.set("RedrivePolicy", r#"{"deadLetterTargetArn":"x","maxReceiveCount":0}"#).is_err());
        attributes.set("RedrivePolicy", "").expect("removal");
        assert_eq!(attributes.redrive, None);
    }

    #[test]
    fn fifo_attributes_are_unknown_to_a_standard_queue() {
        let code =
            |fifo: bool| Attributes::new(fifo).set("ContentBasedDeduplication", "true").map_err(|refusal| refusal.code);
        assert_eq!(code(false), Err("InvalidAttributeName".to_owned()));
        assert_eq!(code(true), Ok(()));
    }

    #[test]
    fn what_is_set_is_listed_and_known() {
        let mut attributes = Attributes::new(true);
        attributes.set("KmsMasterKeyId", "alias/mine").expect("known");
        attributes.set("RedriveAllowPolicy", r#"{"redrivePermission":"denyAll"}"#).expect("known");
        let list = attributes.list();
        assert!(list.contains(&("KmsMasterKeyId", "alias/mine".to_owned())));
        assert!(list.contains(&("RedriveAllowPolicy", r#"{"redrivePermission":"denyAll"}"#.to_owned())));
        assert!(list.iter().all(|(name, _)| Attributes::is_known(name)));
    }
}
