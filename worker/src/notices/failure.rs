//! Why a mail was not sent, in words that name no address: they go into logs and dead letters.

use std::fmt;

use key_rotation_aws::ErrorClass;

use super::recipients::RecipientClass;

/// A mail that was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the mail to the {recipient} was not sent: {error}")]
pub struct MailFailure {
    pub recipient: RecipientClass,
    pub error: MailError,
    /// Whether the message is to be tried again for it: somebody has not been told, and may be another time.
    pub retryable: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// Neither the account nor an owner tag has an address.
    #[error(
        "{items} of the account's notices have no recipient: the message gave no usable address for the account, and no owner tag has one"
    )]
    NoRecipient { items: usize },
    /// So SES was not asked.
    #[error("the address the message gave is not an e-mail address")]
    Malformed,
    /// The mail could not be written.
    #[error("{0}")]
    Unwritten(String),
    /// SES would accept the mail and not deliver it.
    #[error(
        "the address is on SES's suppression list, after a bounce or a complaint: SES would accept the mail and not deliver it; use another address, or take this one off the list (aws sesv2 delete-suppressed-destination)"
    )]
    Suppressed,
    /// So SES would not deliver to it.
    #[error(
        "SES does not take the recipient's address for one: correct the user's owner tag, or the account's address"
    )]
    NotAnAddress,
    /// Whether SES would deliver it could not be found out.
    #[error("whether the address is on SES's suppression list could not be found out (ses:GetSuppressedDestination): {}", Meaning(*class, code.as_deref()))]
    SuppressionNotKnown { class: ErrorClass, code: Option<String> },
    /// SES did not take it. Without SES's own sentence, which names the address.
    #[error("{}", Meaning(*class, code.as_deref()))]
    Refused { class: ErrorClass, code: Option<String> },
    /// As long as SES's own sandbox lasts, this is about the sending account and not about one recipient.
    #[error(
        "SES is in its sandbox for this account and region and sends to verified addresses alone: request production access for SES"
    )]
    SesSandbox,
}

struct Meaning<'a>(ErrorClass, Option<&'a str>);

impl fmt::Display for Meaning<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let meaning = match self.0 {
            ErrorClass::Throttled => "SES is called faster than it allows, or the day's quota is used up",
            ErrorClass::Transient => "SES could not be reached, or failed",
            ErrorClass::SessionEnded => "the worker's credentials are no longer valid",
            ErrorClass::Denied => "the worker's role may not make this call for this sender",
            ErrorClass::NotFound => "SES does not know the configuration set",
            ErrorClass::Rejected => {
                "the sender's address or domain is not verified in SES in this region, or SES refuses the recipient"
            }
            ErrorClass::NotEnabled => "SES, or the region, is not enabled for the account",
            ErrorClass::SendingPaused => "SES has paused sending for this AWS account or configuration set",
            ErrorClass::Invalid => "SES takes the recipient's address, or a setting of the sender, for malformed",
            ErrorClass::Conflict | ErrorClass::LimitExceeded => "SES refused",
        };
        match self.1 {
            Some(code) => write!(f, "{code}: {meaning}"),
            None => f.write_str(meaning),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_recipients_class_and_the_meaning_and_no_address() {
        let error =
            MailError::Refused { class: ErrorClass::Throttled, code: Some("TooManyRequestsException".to_owned()) };
        let failure = MailFailure { recipient: RecipientClass::Owner, error, retryable: true };
        assert_eq!(
            failure.to_string(),
            "the mail to the owner was not sent: TooManyRequestsException: SES is called faster than it allows, or the day's quota is used up"
        );
    }
}
