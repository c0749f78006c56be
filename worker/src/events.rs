//! What happened to keys, told to machines: one line of the log for each event, and one event on the bus.
//!
//! People are told by `notices`. The words and their version are in `rotation::event`.

mod from_item;

use key_rotation_aws::telemetry::EVENT;
use rotation::{Event, EventKind};
use tracing::{info, warn};

use crate::aws::event_bus::EventBus;
pub use from_item::{from_item, notified, secret};

/// Where events go.
#[derive(Debug, Clone, Default)]
pub struct Events {
    is_on: bool,
    bus: Option<EventBus>,
}

impl Events {
    /// To the log, and to a bus where there is one.
    pub fn new(bus: Option<EventBus>) -> Self {
        Self { is_on: true, bus }
    }

    /// Nowhere: what only looks, as a preview does, reports nothing.
    pub fn off() -> Self {
        Self::default()
    }

    /// Tells an event. Never waits and never fails: no key waits for it.
    pub fn emit(&self, event: Event) {
        if !self.is_on {
            return;
        }
        log(&event);
        if let Some(bus) = self.bus.as_ref().filter(|_| event.kind.goes_on_the_bus()) {
            bus.send(event);
        }
    }
}

/// Writes the event's line. Field by field: a subscriber sees no object.
fn log(event: &Event) {
    let secret = event.secret.as_ref();
    macro_rules! line {
        ($level:ident) => {
            $level!(
                target: EVENT,
                schema_version = event.schema_version,
                event = event.kind.as_str(),
                time = %event.time,
                account = event.account.as_str(),
                user = event.user.as_ref().map(rotation::UserName::as_str),
                access_key_id = event.access_key_id.as_ref().map(rotation::AccessKeyId::as_str),
                successor = event.successor.as_ref().map(rotation::AccessKeyId::as_str),
                replaces = event.replaces.as_ref().map(rotation::AccessKeyId::as_str),
                reason = event.reason,
                due = event.due.map(tracing::field::display),
                secret_name = secret.map(|secret| secret.secret_name.as_str()),
                secret_account = secret.map(|secret| secret.secret_account.as_str()),
                secret_region = secret.map(|secret| secret.secret_region.as_str()),
                dry_run = event.dry_run,
                run_id = event.run_id.map(tracing::field::display),
                "{}",
                event.message
            )
        };
    }
    match event.kind {
        EventKind::Finding | EventKind::Refused | EventKind::Failed | EventKind::Contained => line!(warn),
        EventKind::Published
        | EventKind::Notified
        | EventKind::Upcoming
        | EventKind::Postponed
        | EventKind::Disabled
        | EventKind::FoundInactive
        | EventKind::Deleted
        | EventKind::Restored
        | EventKind::Exempt => line!(info),
    }
}
