//! A message: its body and attributes, what SQS remembers of it, and the digests SDKs check it by.

use std::collections::BTreeMap;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use super::error;
use crate::call::ApiError;

/// The largest message, and the largest batch of them: body and attributes together, in bytes (1 MiB since August 2025).
pub const LARGEST_MESSAGE: usize = 1_048_576;

/// Attributes one message can carry.
const ATTRIBUTES_PER_MESSAGE: usize = 10;

/// An attribute a sender gave a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MessageAttribute {
    /// `String`, `Number` or `Binary`, and possibly a label of the sender's own: `Number.float`.
    pub data_type: String,
    /// The value of a `String` or `Number`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub string_value: Option<String>,
    /// The value of a `Binary`, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binary_value: Option<String>,
}

impl MessageAttribute {
    /// The value's bytes, and the byte that stands for its transport type in the digest.
    fn bytes(&self) -> (u8, Vec<u8>) {
        match (&self.string_value, &self.binary_value) {
            (Some(text), _) => (1, text.clone().into_bytes()),
            (None, Some(encoded)) => (2, BASE64.decode(encoded).unwrap_or_default()),
            (None, None) => (1, Vec::new()),
        }
    }
}

/// Where a message is in its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Not deliverable before `until`.
    Delayed {
        /// When it becomes visible.
        until: Timestamp,
    },
    Visible,
    /// Handed to a consumer.
    InFlight {
        /// When it was handed out.
        since: Timestamp,
        /// When it becomes visible again.
        until: Timestamp,
    },
}

/// A message on a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// The id SQS gave it.
    pub id: String,
    pub body: String,
    pub attributes: BTreeMap<String, MessageAttribute>,
    /// The account that sent it.
    pub sender: String,
    /// When it was sent; retention counts from here.
    pub sent_at: Timestamp,
    /// The group that must see it in order (FIFO), or that it is to be shared out fairly by (standard).
    pub group: Option<String>,
    /// What it is told apart from repeats by, on a FIFO queue.
    pub deduplication_id: Option<String>,
    /// Its place in a FIFO queue.
    pub sequence_number: Option<String>,
    /// How often it was handed out.
    pub receive_count: u32,
    /// When it was first handed out.
    pub first_received_at: Option<Timestamp>,
    /// The queue (ARN) whose redrive policy brought it here.
    pub dead_letter_source: Option<String>,
    pub place: Place,
    /// Its place among the deliverable messages of a standard queue: its ticket, or a later one if it is reordered.
    pub(super) rank: u64,
}

impl Message {
    /// Its system attributes as `ReceiveMessage` names them.
    pub(super) fn system_attribute(&self, name: &str) -> Option<String> {
        match name {
            "SenderId" => Some(self.sender.clone()),
            "SentTimestamp" => Some(self.sent_at.as_millisecond().to_string()),
            "ApproximateReceiveCount" => Some(self.receive_count.to_string()),
            "ApproximateFirstReceiveTimestamp" => self.first_received_at.map(|at| at.as_millisecond().to_string()),
            "MessageGroupId" => self.group.clone(),
            "MessageDeduplicationId" => self.deduplication_id.clone(),
            "SequenceNumber" => self.sequence_number.clone(),
            "DeadLetterQueueSourceArn" => self.dead_letter_source.clone(),
            _ => None,
        }
    }

    /// It as `ReceiveMessage` answers with it.
    pub(super) fn received(&self, handle: &str, wanted: &Wanted) -> Value {
        let mut answer = json!({
            "MessageId": self.id,
            "ReceiptHandle": handle,
            "MD5OfBody": md5_hex(self.body.as_bytes()),
            "Body": self.body,
        });
        let system: Map<String, Value> = wanted
            .system
            .iter()
            .filter_map(|name| self.system_attribute(name).map(|value| ((*name).to_owned(), Value::String(value))))
            .collect();
        if !system.is_empty() {
            answer["Attributes"] = Value::Object(system);
        }
        let own: BTreeMap<&String, &MessageAttribute> =
            self.attributes.iter().filter(|(name, _)| wanted.wants(name)).collect();
        if !own.is_empty() {
            answer["MD5OfMessageAttributes"] = Value::String(attributes_md5(own.iter().map(|(n, a)| (n.as_str(), *a))));
            answer["MessageAttributes"] = json!(own);
        }
        answer
    }
}

/// Which attributes a receiver asked for.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    system: Vec<&'static str>,
    own: Vec<String>,
}

impl Wanted {
    const SYSTEM: [&'static str; 8] = [
        "SenderId",
        "SentTimestamp",
        "ApproximateReceiveCount",
        "ApproximateFirstReceiveTimestamp",
        "MessageGroupId",
        "MessageDeduplicationId",
        "SequenceNumber",
        "DeadLetterQueueSourceArn",
    ];

    /// From the names a receiver gave; `All` stands for every one of them.
    pub(super) fn new<'a>(system: impl Iterator<Item = &'a String>, own: Vec<String>) -> Result<Self, ApiError> {
        let mut names = Vec::new();
        for name in system {
            match Self::SYSTEM.iter().find(|known| *known == name) {
                Some(known) => names.push(*known),
                None if name == "All" => names.extend(Self::SYSTEM),
                // Asked for by SDKs that trace; no message here ever has one.
                None if name == "AWSTraceHeader" => {}
                None => return Err(error::unknown_attribute(name)),
            }
        }
        Ok(Self { system: names, own })
    }

    fn wants(&self, attribute: &str) -> bool {
        self.own.iter().any(|pattern| match pattern.as_str() {
            "All" | ".*" => true,
            pattern => match pattern.strip_suffix(".*") {
                Some(prefix) => attribute.starts_with(prefix),
                None => attribute == pattern,
            },
        })
    }
}

/// Bytes that count towards the size limit: the body, and name, type and value of each attribute.
pub(super) fn size(body: &str, attributes: &BTreeMap<String, MessageAttribute>) -> usize {
    let of_attributes: usize =
        attributes.iter().map(|(name, a)| name.len() + a.data_type.len() + a.bytes().1.len()).sum();
    body.len() + of_attributes
}

/// Refuses what SQS refuses in a body: nothing, and characters that XML 1.0 cannot carry.
pub(super) fn check_body(body: &str) -> Result<(), ApiError> {
    if body.is_empty() {
        return Err(error::missing_parameter("MessageBody"));
    }
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}');
    if !body.chars().all(allowed) {
        return Err(error::other(
            "InvalidMessageContents",
            "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | \
             #x10000 to #x10FFFF",
        ));
    }
    Ok(())
}

/// Refuses attributes with a name, type or value that SQS refuses.
pub(super) fn check_attributes(attributes: &BTreeMap<String, MessageAttribute>) -> Result<(), ApiError> {
    if attributes.len() > ATTRIBUTES_PER_MESSAGE {
        return Err(error::invalid_value(format!(
            "Number of message attributes [{}] exceeds the allowed maximum [{ATTRIBUTES_PER_MESSAGE}].",
            attributes.len()
        )));
    }
    for (name, attribute) in attributes {
        let characters = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
        let reserved = name.to_ascii_lowercase();
        if name.is_empty()
            || name.len() > 256
            || !characters
            || name.starts_with('.')
            || name.ends_with('.')
            || name.contains("..")
            || reserved.starts_with("aws.")
            || reserved.starts_with("amazon.")
        {
            return Err(error::invalid_value(format!("The message attribute name '{name}' is invalid.")));
        }
        let complaint = |what: &str| Err(error::invalid_value(format!("The message attribute '{name}' {what}.")));
        match attribute.data_type.split('.').next().unwrap_or_default() {
            "String" | "Number" => {
                let Some(text) = attribute.string_value.as_deref().filter(|text| !text.is_empty()) else {
                    return complaint("must contain a non-empty message attribute value");
                };
                if attribute.data_type.starts_with("Number") && text.parse::<f64>().is_err() {
                    return complaint("with type 'Number' must use a numeric value");
                }
            }
            "Binary" => match attribute.binary_value.as_deref().map(|encoded| BASE64.decode(encoded)) {
                Some(Ok(bytes)) if !bytes.is_empty() => {}
                Some(Ok(_) | Err(_)) | None => {
                    return complaint("must contain a non-empty message attribute value");
                }
            },
            _ => {
                return complaint(
                    "has an invalid message attribute type, the set of supported types is Binary, Number and String",
                );
            }
        }
    }
    Ok(())
}

/// The MD5 digest, in hexadecimal.
pub(super) fn md5_hex(bytes: &[u8]) -> String {
    hex(&Md5::digest(bytes))
}

/// What a FIFO queue with content-based deduplication tells messages apart by: the SHA-256 of the body.
pub(super) fn content_hash(body: &str) -> String {
    hex(&Sha256::digest(body.as_bytes()))
}

/// The digest SDKs check attributes by: for each in the order of the names, length and bytes of name and type, one byte for
/// the transport type, length and bytes of the value. (SQS Developer Guide, "Calculating the MD5 message digest".)
pub(super) fn attributes_md5<'a>(attributes: impl Iterator<Item = (&'a str, &'a MessageAttribute)>) -> String {
    fn add(hasher: &mut Md5, part: &[u8]) {
        hasher.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        hasher.update(part);
    }
    let mut hasher = Md5::new();
    for (name, attribute) in attributes {
        let (transport, value) = attribute.bytes();
        add(&mut hasher, name.as_bytes());
        add(&mut hasher, attribute.data_type.as_bytes());
        hasher.update([transport]);
        add(&mut hasher, &value);
    }
    hex(&hasher.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(data_type: &str, value: &str) -> MessageAttribute {
        MessageAttribute { data_type: data_type.into(), string_value: Some(value.into()), binary_value: None }
    }

    #[test]
    fn the_digest_of_attributes_is_laid_out_as_the_developer_guide_says() {
        let binary =
            MessageAttribute { data_type: "Binary".into(), string_value: None, binary_value: Some("AAEC".into()) };
        let attributes = BTreeMap::from([("a".to_owned(), text("String", "xy")), ("b".to_owned(), binary)]);
        let mut laid_out = Vec::new();
        laid_out.extend(b"\0\0\0\x01a\0\0\0\x06String\x01\0\0\0\x02xy");
        laid_out.extend(b"\0\0\0\x01b\0\0\0\x06Binary\x02\0\0\0\x03\0\x01\x02");
        assert_eq!(attributes_md5(attributes.iter().map(|(n, a)| (n.as_str(), a))), md5_hex(&laid_out));
    }

    #[test]
    fn the_digest_of_a_body_is_md5() {
        // RFC 1321, appendix A.5.
        assert_eq!(md5_hex(b"abc"), "900150983cd24fb0d6963f7d28e17f72");
    }

    #[test]
    fn attributes_count_towards_the_size() {
        let attributes = BTreeMap::from([("kind".to_owned(), text("String", "plain"))]);
        assert_eq!(size("body", &attributes), 4 + 4 + 6 + 5);
    }

    #[test]
    fn bodies_that_xml_cannot_carry_are_refused() {
        assert_eq!(check_body("").map_err(|e| e.code), Err("MissingParameter".to_owned()));
        assert_eq!(check_body("bell \u{7}").map_err(|e| e.code), Err("InvalidMessageContents".to_owned()));
        assert_eq!(check_body("tab\t, newline\n, \u{1F511}"), Ok(()));
    }

    #[test]
    fn attributes_of_reserved_names_wrong_types_and_no_value_are_refused() {
        let refused = |name: &str, attribute: MessageAttribute| {
            check_attributes(&BTreeMap::from([(name.to_owned(), attribute)])).is_err()
        };
        assert!(refused("AWS.x", text("String", "v")));
        assert!(refused("x", text("Boolean", "true")));
        assert!(refused("x", text("Number", "seven")));
        assert!(refused("x", text("String", "")));
        assert!(!refused("x", text("Number.float", "7.5")));
    }

    #[test]
    fn a_receiver_gets_the_attributes_it_names_by_name_prefix_or_all() {
        let wants = |pattern: &str, name: &str| {
            let wanted = Wanted::new([].iter(), vec![pattern.to_owned()]).expect("known names");
            wanted.wants(name)
        };
        assert!(wants("All", "ErrorKind") && wants("Error.*", "ErrorKind") && wants("ErrorKind", "ErrorKind"));
        assert!(!wants("ErrorKind", "ErrorMessage"));
    }
}
