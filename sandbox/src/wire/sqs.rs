//! SQS's error codes as its older query protocol spelled them: SDKs and the `aws` command line still read those.

/// The name of an error in the older query protocol: the value of the header `x-amzn-query-error`, before its `;Sender`.
/// The SDKs take it for the error's code.
pub(crate) fn query_error_code(code: &str) -> String {
    match code {
        "QueueDoesNotExist" => "AWS.SimpleQueueService.NonExistentQueue".to_owned(),
        "QueueNameExists" => "QueueAlreadyExists".to_owned(),
        "BatchEntryIdsNotDistinct"
        | "BatchRequestTooLong"
        | "EmptyBatchRequest"
        | "InvalidBatchEntryId"
        | "MessageNotInflight"
        | "QueueDeletedRecently"
        | "TooManyEntriesInBatchRequest"
        | "UnsupportedOperation" => format!("AWS.SimpleQueueService.{code}"),
        same => same.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::query_error_code;

    #[test]
    fn errors_keep_their_older_names_for_callers_of_the_query_protocol() {
        assert_eq!(query_error_code("QueueDoesNotExist"), "AWS.SimpleQueueService.NonExistentQueue");
        assert_eq!(query_error_code("MessageNotInflight"), "AWS.SimpleQueueService.MessageNotInflight");
        assert_eq!(query_error_code("ReceiptHandleIsInvalid"), "ReceiptHandleIsInvalid");
    }
}
