//! What is said of each kind of news: the sentences, the date, and what is asked of the owner. One match over all kinds, so that one
//! without words does not compile; "would" in audit mode, where nothing has been changed.

mod context;
mod done;
mod to_come;

pub use context::{Condition, HelpKind, Need, Wording, WordingContext};

use super::item::{DigestItem, News};

pub fn wording(item: &DigestItem, context: &WordingContext<'_>) -> Wording {
    match &item.news {
        News::Rotated { successor, disable_due } => done::rotated(item, context, successor.as_ref(), *disable_due),
        News::Disabled { delete_due } => done::disabled(context, *delete_due),
        News::Contained => done::contained(context),
        News::Deleted => done::deleted(context),
        News::FoundInactive { delete_due } => done::found_inactive(item, context, *delete_due),
        News::Restored { disable_due } => done::restored(context, *disable_due),
        News::Finding(finding) => done::found(finding),
        News::Noticed { kind, disable_due } => to_come::noticed(item, context, kind, *disable_due),
        News::Upcoming { what, due } => to_come::upcoming(item, context, what, *due),
        News::Postponed { until } => to_come::postponed(item, context, *until),
    }
}
