//! When an owner is reminded of what comes: a few times, not every day.
//!
//! A daily run finds the same warning again on each day of the warning period, and the tool keeps no memory of warnings. So
//! the days on which one is mailed follow from the dates alone, in whole UTC calendar days: a run that is a little early
//! or late within its day neither repeats a reminder nor loses one. What only waits for other mail is still included
//! whenever the same recipient gets a mail for another reason.

use jiff::Timestamp;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use rotation::{Finding, Policy};

use super::item::Event;

/// Besides the first: so many days before the date, a reminder goes out.
const LAST_REMINDERS: [i64; 2] = [3, 1];

/// Standing findings that nobody mends are mailed once a week, on this day.
const FINDINGS_DAY: Weekday = Weekday::Monday;

/// Calendar days (UTC) from now to then; 0 on the day itself, negative after it.
pub fn days_left(now: Timestamp, due: Timestamp) -> i64 {
    // Both are within jiff's range of years, where the difference in days always exists.
    day(now).until(day(due)).map_or(0, |span| i64::from(span.get_days()))
}

/// Whether something that comes in so many days is mailed today by itself.
///
/// The warning period of W days opens in the middle of a day: at `due - W days`, and keys made by this tool are due at the very
/// time of day at which the daily run looks. So day W sees a warning or not by a matter of minutes, and the first day on
/// which every run sees it is W - 1: that is the first reminder. Then 3 days and 1 day before.
pub fn is_reminder_day(days_left: i64, warn_period: u32) -> bool {
    let first = i64::from(warn_period) - 1;
    // A warning period of a day or less has no whole day inside: whatever is seen is told.
    first <= 0 || days_left == first || LAST_REMINDERS.contains(&days_left)
}

/// Whether an event is reason enough for a mail today. What is not, is told along with what is.
pub fn is_told_today(event: &Event, now: Timestamp, policy: &Policy) -> bool {
    match event {
        Event::Upcoming { due, .. } => is_reminder_day(days_left(now, *due), policy.warn_period()),
        Event::Finding(finding) => !is_standing(finding) || day(now).weekday() == FINDINGS_DAY,
        // Lifecycle: "each day the notice says which service and region still use it".
        Event::Postponed { .. }
        | Event::Rotated { .. }
        | Event::Noticed { .. }
        | Event::Disabled { .. }
        | Event::Contained
        | Event::Deleted
        | Event::FoundInactive { .. }
        | Event::Restored { .. } => true,
    }
}

/// Whether every run will find it again until somebody mends it.
fn is_standing(finding: &Finding) -> bool {
    match finding {
        Finding::TooManyKeys { .. }
        | Finding::UnreadableTag { .. }
        | Finding::BadRotateAfterDays { .. }
        | Finding::SuccessorNotInHand { .. } => true,
        Finding::UsedButNotStored { .. } | Finding::LookBeforeHarm { .. } => false,
    }
}

fn day(time: Timestamp) -> Date {
    time.to_zoned(TimeZone::UTC).date()
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use rotation::Upcoming;

    use super::*;

    const DUE: &str = "2026-12-07T02:00:00Z";

    fn mailed_days(warn: u32, jitter: impl Fn(i64) -> i64) -> Vec<i64> {
        let due: Timestamp = DUE.parse().unwrap();
        let opens = due - SignedDuration::from_hours(24 * i64::from(warn));
        (0..=i64::from(warn))
            .rev()
            .map(|n| (n, due - SignedDuration::from_hours(24 * n) + SignedDuration::from_mins(jitter(n))))
            .filter(|(_, now)| *now >= opens && *now < due)
            .filter(|(_, now)| is_reminder_day(days_left(*now, due), warn))
            .map(|(n, _)| n)
            .collect()
    }

    #[test]
    fn a_warning_is_mailed_on_its_first_whole_day_and_three_days_and_one_day_before() {
        assert_eq!(mailed_days(7, |_| 0), [6, 3, 1]);
        assert_eq!(mailed_days(14, |_| 0), [13, 3, 1]);
        assert_eq!(mailed_days(4, |_| 0), [3, 1]);
        assert_eq!(mailed_days(2, |_| 0), [1]);
    }

    #[test]
    fn a_run_that_is_early_or_late_within_its_day_neither_repeats_a_reminder_nor_loses_one() {
        for seed in 0..64_i64 {
            // Minutes from -60 to 60, different for each day and seed.
            let jitter = |n: i64| (seed * 37 + n * 53).rem_euclid(121) - 60;
            assert_eq!(mailed_days(7, jitter), [6, 3, 1], "seed {seed}");
        }
    }

    #[test]
    fn a_warning_period_of_one_day_is_told_whenever_it_is_seen() {
        let now: Timestamp = "2026-12-06T03:00:00Z".parse().unwrap();
        assert!(is_reminder_day(days_left(now, DUE.parse().unwrap()), 1));
    }

    #[test]
    fn a_standing_finding_is_mailed_once_a_week_and_a_new_one_at_once() {
        let policy = Policy::default();
        let standing = Event::Finding(Finding::TooManyKeys { count: 3 });
        let once = Event::Finding(Finding::UsedButNotStored { key: "AKIAIOSFODNN7EXAMPLE".parse().unwrap() });
        let week: Vec<Timestamp> = (1..=7).map(|d| format!("2026-11-{d:02}T02:00:00Z").parse().unwrap()).collect();
        assert_eq!(week.iter().filter(|now| is_told_today(&standing, **now, &policy)).count(), 1);
        assert_eq!(week.iter().filter(|now| is_told_today(&once, **now, &policy)).count(), 7);
    }

    #[test]
    fn what_has_happened_is_told_on_every_day_it_is_reported() {
        let now: Timestamp = DUE.parse().unwrap();
        assert!(is_told_today(&Event::Deleted, now, &Policy::default()));
        let due = now + SignedDuration::from_hours(24 * 5);
        assert!(!is_told_today(&Event::Upcoming { what: Upcoming::Rotate, due }, now, &Policy::default()));
    }
}
