//! What a mail announces, read as its owner reads it: which keys it says will be disabled, and on which day.
//!
//! The kind of a mail is taken from its plain text and not from anything the product keeps of it (tags, log, counters): a section
//! that names the key and says, next to a date, "this key will be disabled". A reminder from before rotation ("a new key will be
//! made"), a warning of a deletion, or the news that a key has been disabled name the key as well, and announce nothing of
//! that kind. If the product's words change, this reads no announcement, and every disable counts as one without notice.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// A key's end, announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AnnouncedDisable {
    pub(super) key: String,
    /// When it will be disabled, to the minute.
    pub(super) disabled_from: Timestamp,
}

/// What ends a line that gives the date of a disable.
const OF_ONE: &str = ": this key will be disabled";
/// What the sentence over a table of keys says, if they will be disabled on the dates in it.
const OF_MANY: &str = " will be disabled ";
/// Sections of a mail's text are divided by lines of dashes.
const DIVIDER: &str = "----";

/// Everything that a mail's plain text announces.
pub(super) fn announcements(text: &str) -> Vec<AnnouncedDisable> {
    let mut found = Vec::new();
    let mut key = None;
    let mut date = None;
    let mut table = false;
    for line in text.lines() {
        if line.starts_with(DIVIDER) {
            (key, date, table) = (None, None, false);
        } else if let Some(row) = line.strip_prefix("  - ").filter(|_| table) {
            if let Some((named, day)) = row.rsplit_once(": ") {
                let named = named.rsplit_once(", ").map_or(named, |(_, key)| key);
                found.extend(time(day).map(|at| AnnouncedDisable { key: named.to_owned(), disabled_from: at }));
            }
        } else if let Some(when) = line.strip_prefix("When:").and_then(|line| line.trim().strip_suffix(OF_ONE)) {
            date = time(when);
        } else if let Some(named) = line.strip_prefix("Access key: ") {
            key = Some(named.to_owned());
        } else {
            table = line.ends_with(':') && line.contains(OF_MANY);
        }
        if let (Some(key), Some(disabled_from)) = (&key, date) {
            found.push(AnnouncedDisable { key: key.clone(), disabled_from });
            date = None;
        }
    }
    found
}

/// `2026-12-07 02:00 UTC`, with or without `(in 10 days)` after it.
fn time(text: &str) -> Option<Timestamp> {
    let (day, _) = text.split_once(" UTC")?;
    let day = DateTime::strptime("%Y-%m-%d %H:%M", day.trim()).ok()?;
    day.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announced(text: &str) -> Vec<(String, String)> {
        announcements(text).into_iter().map(|one| (one.key, one.disabled_from.to_string())).collect()
    }

    #[test]
    fn a_section_announces_the_key_it_is_about() {
        let text = "2 access keys replaced\n\
            ----------\nada: AKIAONE replaced\n\nA new key, AKIANEW, was made.\n\n\
            When:       2026-12-07 02:00 UTC (in 10 days): this key will be disabled\n\
            What to do: Install it.\nUser:       ada\nAccess key: AKIAONE\n\
            ----------\nbob: AKIATWO will be replaced\n\n\
            When:       2026-12-07 02:00 UTC (in 7 days): a new key will be made\nAccess key: AKIATWO\n";
        assert_eq!(announced(text), [("AKIAONE".to_owned(), "2026-12-07T02:00:00Z".to_owned())]);
    }

    #[test]
    fn a_table_announces_its_keys_only_where_its_sentence_says_so() {
        let text = "----------\n3 more.\n\n2 access keys replaced; they will be disabled from 2026-12-07:\n\
            \x20 - a,b, AKIAONE: 2026-12-07 02:00 UTC\n  - bob, AKIATWO: 2026-12-08 02:00 UTC\n\n\
            1 access key will be deleted on 2026-12-07:\n  - eve, AKIASIX: 2026-12-07 02:00 UTC\n";
        let keys: Vec<_> = announced(text).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["AKIAONE", "AKIATWO"]);
    }

    #[test]
    fn a_summary_a_deletion_and_what_has_happened_announce_nothing() {
        for text in [
            "IN SHORT\n  - 2 access keys will be disabled on 2026-12-07\n",
            "----------\nWhen:       2026-12-07 02:00 UTC: this key will be deleted\nAccess key: AKIAONE\n",
            "----------\nada: AKIAONE disabled\n\nThe key was disabled.\nAccess key: AKIAONE\n",
        ] {
            assert!(announced(text).is_empty(), "{text}");
        }
    }
}
