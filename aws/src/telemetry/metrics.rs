//! Metrics in log lines, by CloudWatch's embedded metric format: CloudWatch Logs makes metrics of the numbers that a line's `_aws`
//! names. No agent, no call, no right.
//!
//! AWS's specification: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// The fields of summary lines that are metrics, with CloudWatch's names of their units. All others are for queries only: each metric
/// costs. There are no dimensions: an account or a user as one would make a metric, and a price, of each.
pub const METRICS: [(&str, &str); 14] = [
    ("accounts_processed", "Count"),
    ("accounts_not_reached", "Count"),
    ("users_failed", "Count"),
    ("exemption_group_found", "Count"),
    ("keys_overdue", "Count"),
    ("keys_created", "Count"),
    ("keys_disabled", "Count"),
    ("keys_deleted", "Count"),
    ("keys_contained", "Count"),
    ("findings", "Count"),
    ("mails_refused", "Count"),
    ("events_refused", "Count"),
    ("aws_calls", "Count"),
    ("aws_throttles", "Count"),
];

/// The `_aws` member of a line, if it has metrics.
pub(super) fn directive(namespace: &str, line: &Map<String, Value>, time: Timestamp) -> Option<Value> {
    let is_there = |(name, _): &&(&str, &str)| line.get(*name).is_some_and(Value::is_number);
    let metrics: Vec<Value> =
        METRICS.iter().filter(is_there).map(|(name, unit)| json!({"Name": name, "Unit": unit})).collect();
    (!metrics.is_empty()).then(|| {
        json!({
            "Timestamp": time.as_millisecond(),
            "CloudWatchMetrics": [{"Namespace": namespace, "Dimensions": [[]], "Metrics": metrics}],
        })
    })
}
