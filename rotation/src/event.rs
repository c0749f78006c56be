//! What happened to a key, or is to be told about one, as others read it: a flat object with a version, the same in the log and on
//! the event bus.

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::ids::{AccessKeyId, AccountId, UserName};

/// The version of `docs/event.schema.json`. Within a version fields and kinds are added, and nothing is changed or removed.
pub const SCHEMA_VERSION: u32 = 1;

/// Defines [`EventKind`]: the word in the log, the detail type on the event bus, and the sentence of what was done or would be.
macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $name:ident: $word:literal, $detail_type:literal, $done:literal, $would:literal;)+) => {
        /// What an event is about. The words never change: rules and queries hold on to them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventKind {
            $($(#[doc = $doc])+ $name,)+
        }

        impl EventKind {
            /// Every kind there is.
            pub const ALL: &[EventKind] = &[$(EventKind::$name),+];

            /// As the field `event` spells it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(EventKind::$name => $word,)+
                }
            }

            /// EventBridge's `detail-type`.
            pub fn detail_type(self) -> &'static str {
                match self {
                    $(EventKind::$name => $detail_type,)+
                }
            }

            fn sentence(self, dry_run: bool) -> &'static str {
                match self {
                    $(EventKind::$name => if dry_run { $would } else { $done },)+
                }
            }
        }
    };
}

kinds! {
    /// A key was made, stored in the user's secret and is the one that its readers get from now on.
    Published: "published", "Access Key Published", "the successor is stored and published", "a successor would be made and published";
    /// The owner was told that the key will be disabled: its clock runs.
    Notified: "notified", "Access Key Owner Notified", "the owner was told that the key will be disabled", "the owner would be told that the key will be disabled";
    /// The owner is reminded of what comes.
    Upcoming: "upcoming", "Access Key Action Upcoming", "an action on the key is due soon: its owner is reminded", "an action on the key would be due soon: its owner is reminded";
    /// A disable was due, and is put off because the key is in use and its successor is not.
    Postponed: "postponed", "Access Key Disable Postponed", "the disable is put off: the key is in use and its successor is not", "the disable would be put off: the key is in use and its successor is not";
    /// The key was made inactive when it was due.
    Disabled: "disabled", "Access Key Disabled", "the key was disabled", "the key would be disabled";
    /// The key was made inactive at once, on a request.
    Contained: "contained", "Access Key Contained", "the key was disabled at once, on a request", "the key would be disabled at once, on a request";
    /// A key that somebody else made inactive is looked after from now on.
    FoundInactive: "found_inactive", "Access Key Found Inactive", "the key was found inactive", "the key was found inactive";
    /// The key is gone.
    Deleted: "deleted", "Access Key Deleted", "the key was deleted", "the key would be deleted";
    /// The key was made active again on a request.
    Restored: "restored", "Access Key Restored", "the key was made active again, on a request", "the key would be made active again, on a request";
    /// A person has to look at it.
    Finding: "finding", "Access Key Finding", "a finding", "a finding";
    /// A request will not be carried out.
    Refused: "refused", "Access Key Request Refused", "the request is refused", "the request is refused";
    /// A user could not be worked on.
    Failed: "failed", "Access Key User Failed", "the user could not be worked on", "the user could not be worked on";
    /// The user is left alone.
    Exempt: "exempt", "Access Key User Exempt", "the user is exempt and left alone", "the user is exempt and left alone";
}

impl EventKind {
    /// Whether somebody is told of it: whoever is exempt is not news.
    pub fn goes_on_the_bus(self) -> bool {
        self != EventKind::Exempt
    }
}

impl Serialize for EventKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One event. Holds no secret and no address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    pub schema_version: u32,
    #[serde(rename = "event")]
    pub kind: EventKind,
    /// AWS's.
    pub time: Timestamp,
    /// A sentence.
    pub message: String,
    pub account: AccountId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<AccessKeyId>,
    /// The key that replaces it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub successor: Option<AccessKeyId>,
    /// The key that it replaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<AccessKeyId>,
    /// Why, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// When what follows is due: the disable, the deletion, or what an `upcoming` event is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    #[serde(flatten)]
    pub secret: Option<EventSecret>,
    /// Whether nothing was changed: it is what would be done.
    pub dry_run: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<Uuid>,
}

/// The secret that publishes the user's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventSecret {
    pub secret_name: String,
    pub secret_account: AccountId,
    pub secret_region: String,
}

impl Event {
    pub fn new(kind: EventKind, time: Timestamp, account: AccountId, dry_run: bool, run_id: Option<Uuid>) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            kind,
            time: whole_seconds(time),
            message: kind.sentence(dry_run).to_owned(),
            account,
            user: None,
            access_key_id: None,
            successor: None,
            replaces: None,
            reason: None,
            due: None,
            secret: None,
            dry_run,
            run_id,
        }
    }

    pub fn of_user(self, user: UserName) -> Self {
        Self { user: Some(user), ..self }
    }

    pub fn of_key(self, key: AccessKeyId) -> Self {
        Self { access_key_id: Some(key), ..self }
    }

    pub fn because(self, reason: &'static str) -> Self {
        Self { reason: Some(reason), ..self }
    }

    pub fn due(self, due: impl Into<Option<Timestamp>>) -> Self {
        Self { due: due.into().map(whole_seconds), ..self }
    }

    /// The same with another sentence.
    pub fn saying(self, message: String) -> Self {
        Self { message, ..self }
    }
}

/// AWS's times are whole seconds.
fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_flat_object_without_what_is_not_known() {
        let time = "2026-03-01T09:00:00Z".parse().unwrap();
        let event = Event::new(EventKind::Disabled, time, AccountId::new("111122223333").unwrap(), true, None)
            .of_user(UserName::new("ada").unwrap())
            .due(time);
        let expected = serde_json::json!({
            "schema_version": 1, "event": "disabled", "time": "2026-03-01T09:00:00Z",
            "message": "the key would be disabled", "account": "111122223333", "user": "ada",
            "due": "2026-03-01T09:00:00Z", "dry_run": true,
        });
        assert_eq!(serde_json::to_value(event).unwrap(), expected);
    }
}
