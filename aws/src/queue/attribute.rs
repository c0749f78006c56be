//! Values of message attributes.

use aws_sdk_sqs::types::MessageAttributeValue;

pub fn text(value: &str) -> MessageAttributeValue {
    // SQS refuses an empty attribute value.
    let value = if value.is_empty() { "-" } else { value };
    attribute("String", value)
}

pub fn number(value: u32) -> MessageAttributeValue {
    attribute("Number", &value.to_string())
}

fn attribute(kind: &str, value: &str) -> MessageAttributeValue {
    MessageAttributeValue::builder().data_type(kind).string_value(value).build().expect("the data type is set")
}
