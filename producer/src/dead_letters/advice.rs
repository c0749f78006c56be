//! What a person can do about a dead letter, by its reason.
//!
//! Reasons are words on the wire, written by workers that may be newer or older than this: one that is not known here gets
//! the general advice.

use super::letter::RECEIVED_TOO_OFTEN;

/// What to do about letters of this reason, before or instead of sending them back.
pub fn advice(reason: &str) -> &'static str {
    match reason {
        "MalformedMessage" => {
            "The body is not a message this tool understands. Sending it back changes nothing: correct whoever sent it, and delete the letter (`dead-letters delete`)."
        }
        "Refused" => {
            "The rules refuse the request, and the sentence says what to ask for instead. Send that request; sending this one back changes nothing unless the user has changed."
        }
        "RoleRefused" => {
            "The member role is missing in the account, does not trust the worker, or asks for another external id. Deploy the role there (the management account needs it too, by hand), or exclude the account; then redrive."
        }
        "Denied" => {
            "A policy refuses one of the calls; the sentence names it. Compare the member role, service control policies and permission boundaries with the role's template; then redrive."
        }
        "NotFound" => {
            "Something the message is about is gone, such as the user or a KMS key. If that is right, delete the letter (`dead-letters delete`)."
        }
        "Throttled" | "Transient" | "SessionEnded" | "Timeout" => {
            "AWS was slow or refused for being called too often, again and again. Redrive, and see whether the account is throttled by others."
        }
        "Conflict" | "Ambiguous" | "OthersAtWork" | "Outrun" | "Changed" | "Undecided" => {
            "The user was being changed, or could not be read for certain, at every attempt; nothing was left half done that another attempt does not settle. Redrive; if it comes back, look at who else changes the user's keys."
        }
        "LimitExceeded" => "A quota of the account is used up; the sentence names the call. Make room, then redrive.",
        "Mail" | "Rejected" | "SendingOff" => {
            "Keys are as they should be, but their owners could not be told, so nothing further happens to them. Check the sender's verification, the sending quota and the recipient; then redrive."
        }
        "NotRecorded" => {
            "The owner was told, but that could not be recorded on the user. Check the role's right to tag users; then redrive: the owner is told once more."
        }
        "Panic" => "A fault in the worker. Report it with the run id; redrive once the worker is mended.",
        RECEIVED_TOO_OFTEN => {
            "No worker has written a reason: workers died over it, or took longer than the queue's visibility timeout. See the workers' log for the run id; then redrive."
        }
        _ => "See the sentence, and the workers' log for the run id; then redrive.",
    }
}
