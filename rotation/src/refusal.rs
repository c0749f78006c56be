//! Why an operator's request is refused: each a sentence that tells what to do instead.

use jiff::Timestamp;

use crate::finding::Finding;
use crate::ids::{AccessKeyId, UserName};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(
        "the request was made at {requested_at}, more than 14 days ago: the user may have changed since. If it is still needed, send a new request"
    )]
    TooOld { requested_at: Timestamp },
    #[error(
        "the request says that it was made at {requested_at}, but it was sent at {sent}: correct the clock of whoever sends the requests, and send a new one"
    )]
    FromTheFuture { requested_at: Timestamp, sent: Timestamp },
    #[error(
        "the user {user} carries the tag key-rotation:protected: this tool may not touch it; do it by hand, or remove the tag"
    )]
    Protected { user: UserName },
    #[error("the user {user} is exempt ({why}): it is rotated only by a request that overrides the exemption")]
    Exempt {
        user: UserName,
        /// By what.
        why: String,
    },
    /// Something a person has to look at first.
    #[error("nothing is changed for the user {user}: {why}")]
    Blocked { user: UserName, why: String },

    #[error(
        "the key {key} is one of temporary credentials (ASIA): nobody rotates them, they end by themselves. If they have leaked: find in CloudTrail whose session it is, and revoke the active sessions of that role"
    )]
    TemporaryKey { key: AccessKeyId },
    #[error(
        "the key {key} is the one that this program itself signs its calls with: disabled at once, it could not be replaced. Use other credentials, or have the key rotated without disabling it now"
    )]
    OwnKey { key: AccessKeyId },

    #[error("the user {user} has no active access key: there is nothing to rotate")]
    NoActiveKey { user: UserName },
    #[error("the user {user} has no access key {key}: check the key id and the account")]
    NotTheUsersKey { user: UserName, key: AccessKeyId },
    #[error(
        "the key {key} of the user {user} is inactive already: it signs nothing. To rotate the user's active key, send the request without a key id"
    )]
    AlreadyInactive { user: UserName, key: AccessKeyId },
    /// Two active keys, none named.
    #[error("the user {user} has two active access keys, so one of them has to be given up: {}. Name it, and ask for it to be disabled now: it is disabled and deleted, and a successor made", .keys.join("; "))]
    TwoActiveKeys {
        user: UserName,
        /// Both, described: id, age, last use.
        keys: Vec<String>,
    },
    /// Two active keys, one named, but not to be disabled now.
    #[error(
        "the user {user} has two active access keys, and IAM allows no third: the key {key} can only be replaced by disabling and deleting it first; ask for it to be disabled now if that is meant"
    )]
    NamedKeyWouldHaveToGo { user: UserName, key: AccessKeyId },

    /// No key named, and the only active one is not the one that the operator can have meant.
    #[error(
        "the active access key {key} of the user {user} was created after the request was made, so it is not the one that was meant; if it is, send a new request that names it"
    )]
    CreatedSince { user: UserName, key: AccessKeyId },
    #[error(
        "the access key {key} of the user {user} was made active again at {at}, or is about to be by a restore, which was asked for after the request was made; if it is to be replaced all the same, send a new request"
    )]
    RestoredSince { user: UserName, key: AccessKeyId, at: Timestamp },
    /// No key named, and the only active one is on record as disabled.
    #[error(
        "the request names no key, and the access key {key} of the user {user} was disabled and has been made active again, perhaps after the request was made: if that key is meant, send a new request that names it"
    )]
    PerhapsReEnabledSince { user: UserName, key: AccessKeyId },
    #[error(
        "the access key {key} of the user {user} is gone, and the user has two other keys, so there is no room for a successor: they are left as they are"
    )]
    NoRoomForSuccessor { user: UserName, key: AccessKeyId },

    #[error(
        "the access key {key} of the user {user} was disabled after the request to restore it was made (on record: {at}): it stays disabled. Find out why; if it is to be restored all the same, send a new request"
    )]
    DisabledSince { user: UserName, key: AccessKeyId, at: Timestamp },
    #[error(
        "the access key {key} of the user {user} was reported as leaked at {at}, after the request to restore it was made: the report counts, and nothing is changed. If it is to be restored all the same, send a new request"
    )]
    LeakedSince { user: UserName, key: AccessKeyId, at: Timestamp },
    #[error(
        "another restore of the access key {key} of the user {user}, asked for at {at}, after this one, has begun or is done: it counts instead of this one"
    )]
    RestoreSince { user: UserName, key: AccessKeyId, at: Timestamp },
    /// To be restored: too late, or never this user's.
    #[error(
        "the user {user} has no access key {key}: if it has been deleted it is too late, a deleted key cannot be brought back; its successor is in Secrets Manager"
    )]
    Gone { user: UserName, key: AccessKeyId },
    #[error(
        "the user {user} has no inactive access key: there is nothing to restore; a key that has been deleted cannot be brought back"
    )]
    NothingInactive { user: UserName },
    #[error("this worker only audits, and makes no key active again. By hand: {}", by_hand(Some(.user), .key.as_ref(), "Active"))]
    AuditRestoresNothing { user: UserName, key: Option<AccessKeyId> },
    #[error("this worker only audits: the key stays as it is. To disable it by hand: {}", by_hand(.user.as_ref(), .key.as_ref(), "Inactive"))]
    AuditContainsNothing { user: Option<UserName>, key: Option<AccessKeyId> },
    #[error("the user {user} has two inactive access keys, {}: name the one to be restored", .keys.iter().map(AccessKeyId::as_str).collect::<Vec<_>>().join(" and "))]
    SeveralInactive { user: UserName, keys: Vec<AccessKeyId> },
    /// No key named, delivered before, and the only inactive key need not be the one that was so at that time.
    #[error(
        "the request names no key, and it is not on record that the access key {key} of the user {user} was inactive when it was made: if that key is meant, send a new request that names it"
    )]
    PerhapsNotMeant { user: UserName, key: AccessKeyId },
}

/// The command by which a person does it.
fn by_hand(user: Option<&UserName>, key: Option<&AccessKeyId>, status: &str) -> String {
    let (user, key) = (user.map_or("USER", UserName::as_str), key.map_or("KEY", AccessKeyId::as_str));
    format!("aws iam update-access-key --user-name {user} --access-key-id {key} --status {status}")
}

/// The field of a message that would have made the difference. How it is spelled where the request is written (a field, an
/// option of a command) is told by whoever shows the refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestOption {
    OverrideExemption,
    AccessKeyId,
    DisableOldNow,
}

impl Refusal {
    pub(crate) fn blocked(user: &UserName, findings: &[Finding]) -> Self {
        let why: Vec<String> = findings.iter().map(Finding::to_string).collect();
        Refusal::Blocked { user: user.clone(), why: why.join("; ") }
    }

    /// What the request could have said to be granted.
    pub fn options(&self) -> &'static [RequestOption] {
        match self {
            Refusal::Exempt { .. } => &[RequestOption::OverrideExemption],
            Refusal::TwoActiveKeys { .. } => &[RequestOption::AccessKeyId, RequestOption::DisableOldNow],
            Refusal::NamedKeyWouldHaveToGo { .. } => &[RequestOption::DisableOldNow],
            Refusal::SeveralInactive { .. }
            | Refusal::PerhapsNotMeant { .. }
            | Refusal::PerhapsReEnabledSince { .. } => &[RequestOption::AccessKeyId],
            Refusal::TooOld { .. }
            | Refusal::FromTheFuture { .. }
            | Refusal::Protected { .. }
            | Refusal::Blocked { .. }
            | Refusal::TemporaryKey { .. }
            | Refusal::OwnKey { .. }
            | Refusal::NoActiveKey { .. }
            | Refusal::NotTheUsersKey { .. }
            | Refusal::AlreadyInactive { .. }
            | Refusal::CreatedSince { .. }
            | Refusal::RestoredSince { .. }
            | Refusal::NoRoomForSuccessor { .. }
            | Refusal::DisabledSince { .. }
            | Refusal::LeakedSince { .. }
            | Refusal::RestoreSince { .. }
            | Refusal::Gone { .. }
            | Refusal::NothingInactive { .. }
            | Refusal::AuditRestoresNothing { .. }
            | Refusal::AuditContainsNothing { .. } => &[],
        }
    }
}
