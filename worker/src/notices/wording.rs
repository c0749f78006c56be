//! What is said of each event: the sentences, the date, and what is asked of the owner. One match over all events, so that an
//! event without words does not compile; "would" in audit mode, where nothing has been changed.

mod context;
mod done;
mod to_come;

pub use context::{Condition, HelpKind, Need, Wording, WordingContext};

use super::item::{DigestItem, Event};

pub fn wording(item: &DigestItem, at: &WordingContext<'_>) -> Wording {
    match &item.event {
        Event::Rotated { by, disable_due } => done::rotated(item, at, by.as_ref(), *disable_due),
        Event::Disabled { delete_due } => done::disabled(at, *delete_due),
        Event::Contained => done::contained(at),
        Event::Deleted => done::deleted(at),
        Event::FoundInactive { delete_due } => done::found_inactive(item, at, *delete_due),
        Event::Restored { disable_due } => done::restored(at, *disable_due),
        Event::Finding(finding) => done::found(finding),
        Event::Noticed { kind, disable_due } => to_come::noticed(item, at, kind, *disable_due),
        Event::Upcoming { what, due } => to_come::upcoming(item, at, what, *due),
        Event::Postponed { until } => to_come::postponed(item, at, *until),
    }
}
