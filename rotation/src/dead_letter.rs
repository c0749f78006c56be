//! Why a message becomes a dead letter, and what a person can do about it.
//!
//! The worker writes a [`Reason`] on each dead letter, as the message attribute `ErrorKind`; the producer reads it, filters
//! by it and shows its [`Advice`]. `docs/operations.md` has the same table, which a test holds to this file.

use std::fmt;
use std::str::FromStr;

/// Defines [`Reason`]. On the wire each reason is spelled as its variant's name.
macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// Why a message is a dead letter. The spelling on the wire never changes: runbooks and alarms hold on to it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Reason {
            pub const ALL: &[Reason] = &[$(Reason::$name),+];

            /// As the attribute `ErrorKind` spells it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Reason::$name => stringify!($name),)+
                }
            }
        }
    };
}

reasons! {
    /// The body is not a message this tool understands.
    MalformedMessage,
    /// The rules refuse an operator's request.
    Refused,
    /// The member role of the account cannot be assumed.
    RoleRefused,
    /// A policy refuses a call.
    Denied,
    /// The region, or a service in it, is not enabled for the account.
    NotEnabled,
    /// Something a call is about does not exist.
    NotFound,
    /// AWS rejects a request as invalid.
    Invalid,
    /// A call came too fast for the account or region, in every delivery.
    Throttled,
    /// The network or the service failed, in every delivery.
    Transient,
    /// The session in the member account ended before the work did, in every delivery.
    SessionEnded,
    /// The work overran the time a message may take, in every delivery.
    Timeout,
    /// Something exists already, is in use, or changed between reading and writing it.
    Conflict,
    /// The secret of the user's name belongs to another user, which had this name before.
    SecretOfAnother,
    /// A call may or may not have taken effect, and the attempt was not old enough to be settled.
    Ambiguous,
    /// Another rotation of the user was under way or interrupted.
    OthersAtWork,
    /// Another rotation of the user finished first.
    Outrun,
    /// The user was changed by somebody else while it was being worked on.
    Changed,
    /// A fact that decides what may be done could not be found out.
    Undecided,
    /// A quota of the account is used up.
    LimitExceeded,
    /// Notices could not be sent, in every delivery.
    Mail,
    /// Notices cannot be sent, now or later, until a person changes something.
    Undeliverable,
    /// A notice was sent, but that could not be recorded on the user.
    NotRecorded,
    /// A defect of the worker.
    Panic,
    /// No worker wrote a reason: SQS moved the message, because it was received too often. Never written; it is what a
    /// dead letter without the attribute has.
    ReceivedTooOften,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is no reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no dead letter has the reason \"{}\"; the reasons are {}", .0, list())]
pub struct UnknownReason(String);

fn list() -> String {
    Reason::ALL.iter().map(|reason| reason.as_str()).collect::<Vec<_>>().join(", ")
}

impl FromStr for Reason {
    type Err = UnknownReason;

    /// Reads a reason as people may write it: upper and lower case are the same.
    fn from_str(text: &str) -> Result<Self, UnknownReason> {
        let known = Reason::ALL.iter().find(|reason| reason.as_str().eq_ignore_ascii_case(text));
        known.copied().ok_or_else(|| UnknownReason(text.chars().take(64).collect()))
    }
}

/// The message attributes of a dead letter, which the worker writes and the producer reads. Their names never change.
pub mod attribute {
    /// The [`Reason`](super::Reason).
    pub const ERROR_KIND: &str = "ErrorKind";
    /// The worker's sentence.
    pub const ERROR_MESSAGE: &str = "ErrorMessage";
    /// The run that the message belongs to.
    pub const RUN_ID: &str = "RunId";
    /// How often the message was delivered. It stays on the message when that is redriven, and then tells that work may have begun: SQS
    /// counts a redriven message's receives from one.
    pub const ATTEMPTS: &str = "Attempts";
    /// Which message it was, and [when that was sent](FIRST_SENT). They stay on it when it is redriven, while SQS gives a message that
    /// is sent anew another id and time: an operator's request goes on being the one that it was.
    pub const FIRST_MESSAGE_ID: &str = "FirstMessageId";
    pub const FIRST_SENT: &str = "FirstSent";
}

/// What a person can do about a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advice {
    /// What happened and what to do, in sentences.
    pub text: &'static str,
    /// Whether sending the message back to the work queue helps.
    pub redrive: RedriveAdvice,
}

/// Whether redriving a dead letter helps. It never does harm: work that was done is found done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedriveAdvice {
    /// It may succeed as it is.
    Helps,
    /// It fails again unless the cause has been removed.
    HelpsOnceCorrected,
    /// It fails again.
    DoesNotHelp,
}

impl RedriveAdvice {
    /// In a few words.
    pub fn as_str(self) -> &'static str {
        match self {
            RedriveAdvice::Helps => "yes",
            RedriveAdvice::HelpsOnceCorrected => "once corrected",
            RedriveAdvice::DoesNotHelp => "no",
        }
    }
}

impl Reason {
    /// What to do about a dead letter of this reason.
    pub fn advice(self) -> Advice {
        use RedriveAdvice::{DoesNotHelp, Helps, HelpsOnceCorrected};
        let (redrive, text) = match self {
            Reason::MalformedMessage => (
                DoesNotHelp,
                "The body is not a message this tool understands. Correct the sender, then delete the dead letter.",
            ),
            Reason::Refused => (
                DoesNotHelp,
                "The rules refuse the request; the message says what to request instead. Send that, and delete the dead letter.",
            ),
            Reason::RoleRefused => (
                HelpsOnceCorrected,
                "The member role is missing in the account, does not trust the worker, or asks for another external id. Deploy the role there (in the management account by hand: StackSets leave it out), or exclude the account.",
            ),
            Reason::Denied => (
                HelpsOnceCorrected,
                "A policy refuses a call, which the message names. Compare the member role, service control policies and permissions boundaries with the role's template.",
            ),
            Reason::NotEnabled => (
                HelpsOnceCorrected,
                "The region, or a service in it, is not enabled for the account; the message has AWS's own words. Enable it (an opt-in region, and STS in it), or run the worker in a region that every account has.",
            ),
            Reason::NotFound => (
                HelpsOnceCorrected,
                "Something the message is about does not exist, such as the user or a KMS key. If that is as it should be, delete the dead letter.",
            ),
            Reason::Invalid => (
                HelpsOnceCorrected,
                "AWS rejects a request as invalid; the message has AWS's own words. Check the worker's settings that it names, such as the KMS key or a replication region.",
            ),
            Reason::Throttled | Reason::Transient | Reason::SessionEnded | Reason::Timeout => (
                Helps,
                "AWS did not answer in time, could not be reached, or throttled the calls, in every delivery. If it happens again, find out what else calls IAM in the account.",
            ),
            Reason::Conflict | Reason::Ambiguous | Reason::OthersAtWork | Reason::Outrun | Reason::Changed => (
                Helps,
                "The user was being changed in every delivery, or an interrupted rotation was not old enough to be settled. Wait 20 minutes before redriving; if it happens again, find out who else changes the user's keys.",
            ),
            Reason::SecretOfAnother => (
                HelpsOnceCorrected,
                "The secret of this name belongs to a user that was renamed, or was deleted and made anew. Once nobody needs its key any more, delete it without a recovery window, which frees its name: aws secretsmanager delete-secret --force-delete-without-recovery --secret-id NAME.",
            ),
            Reason::Undecided => (
                HelpsOnceCorrected,
                "A key's last use, or which key is published, could not be read, so nothing was changed. See whether the role may read it, and whether the account is throttled.",
            ),
            Reason::LimitExceeded => (
                HelpsOnceCorrected,
                "A quota of the account is used up; the message names the call. Make room, such as by removing tags from the user.",
            ),
            Reason::Mail | Reason::Undeliverable => (
                HelpsOnceCorrected,
                "Keys are as they should be, but their owners could not be told, so no key is disabled. Check the sender's verification, the sending quota, the recipients and the templates.",
            ),
            Reason::NotRecorded => (
                HelpsOnceCorrected,
                "The owner was told, but that could not be recorded on the user, so the time of notice has not begun. Check the role's right to tag users; the owner will be told once more.",
            ),
            Reason::Panic => (
                HelpsOnceCorrected,
                "A defect of the worker. Report it with the run id and the log; redrive once the worker has been replaced.",
            ),
            Reason::ReceivedTooOften => (
                Helps,
                "No worker wrote a reason: SQS moved the message after too many receives, because workers died over it or were killed. See the workers' log of that run first.",
            ),
        };
        Advice { text, redrive }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_reason_is_read_as_it_is_written_and_in_any_case() {
        for reason in Reason::ALL {
            assert_eq!(reason.as_str().parse(), Ok(*reason));
            assert_eq!(reason.as_str().to_lowercase().parse(), Ok(*reason));
        }
    }

    #[test]
    fn a_word_that_is_no_reason_is_answered_with_the_list() {
        let error = "RoleRefusd".parse::<Reason>().unwrap_err().to_string();
        assert!(error.starts_with("no dead letter has the reason \"RoleRefusd\"; the reasons are MalformedMessage, "));
        assert!(error.contains(", Undeliverable, "));
    }

    /// The rows of the table of dead letters in docs/operations.md: the reasons named in the first cell, and the last cell.
    fn documented() -> Vec<(BTreeSet<Reason>, String)> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations.md");
        let page = std::fs::read_to_string(path).unwrap();
        let table = page.split("| `ErrorKind` |").nth(1).expect("the page has the table");
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
        rows.map(|row| {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            let names = cells[0].split('`').skip(1).step_by(2);
            let reasons = names.map(|name| name.parse().unwrap_or_else(|error| panic!("docs/operations.md: {error}")));
            (reasons.collect(), (*cells.last().unwrap()).to_owned())
        })
        .collect()
    }

    #[test]
    fn the_operations_page_has_every_reason_once_and_no_other_and_groups_them_as_the_advice_does() {
        let rows = documented();
        for (reasons, redrive) in &rows {
            let first = reasons.first().expect("each row names a reason");
            let same_advice = Reason::ALL.iter().filter(|reason| reason.advice() == first.advice()).copied();
            assert_eq!(*reasons, same_advice.collect(), "one row for one advice");
            assert_eq!(redrive, first.advice().redrive.as_str(), "{first}");
        }
        let named: usize = rows.iter().map(|(reasons, _)| reasons.len()).sum();
        assert_eq!(named, Reason::ALL.len(), "each reason is in one row");
    }
}
