//! On which days a mail goes out: what has happened at once, what comes a few times, and what stays as it is once a week.
//!
//! Everything that comes is found again in each run. When a user's owner was last reminded is kept in one tag on the user
//! (`key-rotation:reminded`), so that a reminder goes out in the first run on or after its day, whatever days the runs are on,
//! and never twice. Audit mode writes no tags: there the last run is taken to have been `AUDIT_RUN_INTERVAL` days ago, and
//! whatever would have fallen between is due now. Days are UTC calendar days, so that a run that is a little early or late
//! within its day changes nothing. What is not due goes along with any other mail to the same recipient.

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use super::item::{Digest, DigestItem, News};

/// Besides the first: so many days before the date, a reminder goes out.
const LAST_REMINDERS: [i64; 2] = [3, 1];

/// What stays until somebody acts is mailed once a week, in the first run from this day on.
const WEEKLY: Weekday = Weekday::Monday;

/// Calendar days (UTC) from now to then; 0 on the day itself, negative after it.
pub fn days_left(now: Timestamp, due: Timestamp) -> i64 {
    // Both are within jiff's range of years, where the difference in days always exists.
    day(now).until(day(due)).map_or(0, |span| i64::from(span.get_days()))
}

/// Whether an item is due for mail today.
pub fn is_due(digest: &Digest, item: &DigestItem, run_interval: u32) -> bool {
    let today = day(digest.now);
    let last_told = if digest.dry_run {
        Some(days_before(today, i64::from(run_interval)))
    } else {
        // A time in the future is not one this tool has written.
        item.last_reminded.filter(|time| *time <= digest.now).map(day)
    };
    let is_due_from = |from: Date| from <= today && last_told.is_none_or(|told| told < from);
    match &item.news {
        News::Upcoming { due, .. } => {
            let warn_period = i64::from(digest.policy.warn_period());
            // The warning period opens in the middle of a day, which an audit sees or not by a matter of minutes: the first day
            // that it sees for certain is the next one.
            let first = if digest.dry_run { (warn_period - 1).max(0) } else { warn_period };
            [first].iter().chain(&LAST_REMINDERS).any(|days| is_due_from(days_before(day(*due), *days)))
        }
        News::Finding(finding) if !finding.lasts_until_mended() => true,
        News::Finding(_) => is_due_from(last_weekly(today)),
        News::Rotated { .. }
        | News::Noticed { .. }
        | News::Disabled { .. }
        | News::Contained
        | News::Deleted
        | News::FoundInactive { .. }
        | News::Restored { .. }
        | News::Postponed { .. } => {
            // In audit mode it has not happened, and would happen today just as well tomorrow.
            !digest.dry_run || digest.is_operators_request || is_due_from(last_weekly(today))
        }
    }
}

/// Whether an accepted mail about it is recorded as a reminder: every run finds it again.
pub fn is_reminder(news: &News) -> bool {
    match news {
        News::Upcoming { .. } => true,
        News::Finding(finding) => finding.lasts_until_mended(),
        // Told in every run while it lasts, with the service and region that still use the key.
        News::Postponed { .. }
        | News::Rotated { .. }
        | News::Noticed { .. }
        | News::Disabled { .. }
        | News::Contained
        | News::Deleted
        | News::FoundInactive { .. }
        | News::Restored { .. } => false,
    }
}

fn day(time: Timestamp) -> Date {
    time.to_zoned(TimeZone::UTC).date()
}

fn days_before(date: Date, days: i64) -> Date {
    date.saturating_sub(Span::new().days(days))
}

/// The last such weekday up to today.
fn last_weekly(today: Date) -> Date {
    days_before(today, i64::from(today.weekday().since(WEEKLY)))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;
    use rotation::{Finding, Upcoming};

    use super::super::sample;
    use super::*;

    const DUE: &str = "2026-12-07T02:00:00Z";
    const WARN_PERIOD: i64 = 7;

    fn due() -> Timestamp {
        DUE.parse().expect("a time")
    }

    fn hours(n: i64) -> SignedDuration {
        SignedDuration::from_hours(n)
    }

    /// The days before the date on which runs at these times mail a warning that they find in its warning period.
    fn mailed(dry_run: bool, run_interval: u32, runs: impl Iterator<Item = Timestamp>) -> Vec<i64> {
        let mut last_reminded = None;
        let mut days = Vec::new();
        for now in runs.filter(|now| *now >= due() - hours(24 * WARN_PERIOD) && *now < due()) {
            let mut digest = sample::one_key(now, dry_run);
            digest.items[0].news = News::Upcoming { what: Upcoming::Disable, due: due() };
            digest.items[0].last_reminded = last_reminded;
            if is_due(&digest, &digest.items[0], run_interval) {
                days.push(days_left(now, due()));
                last_reminded = (!dry_run).then_some(now);
            }
        }
        days
    }

    /// A run every so many days, at the time of day the key is due.
    fn every(days: i64, first: i64) -> impl Iterator<Item = Timestamp> {
        (0..40).map(move |n| due() - hours(24 * 20) + hours(24 * (first + n * days)))
    }

    #[test]
    fn a_daily_run_reminds_when_the_warning_period_opens_and_three_days_and_one_day_before() {
        assert_eq!(mailed(false, 1, every(1, 0)), [7, 3, 1]);
        assert_eq!(mailed(true, 1, every(1, 0)), [6, 3, 1]);
    }

    #[test]
    fn whatever_the_interval_and_the_first_day_of_the_runs_one_in_the_warning_period_reminds() {
        for interval in 1..=7 {
            for first in 0..interval {
                let days = mailed(false, 1, every(interval, first));
                assert!((1..=3).contains(&days.len()), "every {interval} days from {first}: {days:?}");
            }
        }
    }

    #[test]
    fn an_audit_that_knows_the_interval_of_its_runs_loses_no_reminder_of_a_run_on_a_whole_day_of_the_warning_period() {
        for interval in 1..=6 {
            for first in 0..interval {
                let days = mailed(true, interval as u32, every(interval, first));
                assert!((1..=3).contains(&days.len()), "every {interval} days from {first}: {days:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn irregular_runs_remind_at_least_once_at_most_three_times_and_never_twice_on_a_day(
            mut minutes in proptest::collection::vec(0..24 * 60 * 9_i64, 0..40),
        ) {
            minutes.sort_unstable();
            let runs = || minutes.iter().map(|m| due() - hours(24 * 8) + SignedDuration::from_mins(*m));
            let seen = runs().any(|now| now >= due() - hours(24 * WARN_PERIOD) && now < due());
            let days = mailed(false, 1, runs());
            prop_assert_eq!(days.is_empty(), !seen, "{:?}", days);
            prop_assert!(days.len() <= 3, "{:?}", days);
            prop_assert!(days.windows(2).all(|pair| pair[0] > pair[1]), "{:?}", days);
        }

        #[test]
        fn an_audits_daily_run_that_is_early_or_late_neither_repeats_a_reminder_nor_loses_one(
            jitter in proptest::collection::vec(-60..60_i64, 20),
        ) {
            let runs = every(1, 0).zip(&jitter).map(|(run, minutes)| run + SignedDuration::from_mins(*minutes));
            prop_assert_eq!(mailed(true, 1, runs), [6, 3, 1]);
        }
    }

    /// In how many of these runs news that every run finds again is mailed.
    fn mails_about(news: &News, dry_run: bool, interval: i64) -> usize {
        let mut last_reminded = None;
        let mut mails = 0;
        for n in 0..28 / interval {
            let now = due() + hours(24 * n * interval);
            let mut digest = sample::one_key(now, dry_run);
            digest.items[0].news = news.clone();
            digest.items[0].last_reminded = last_reminded;
            if is_due(&digest, &digest.items[0], interval as u32) {
                mails += 1;
                last_reminded = is_reminder(news).then_some(now).filter(|_| !dry_run);
            }
        }
        mails
    }

    #[test]
    fn a_standing_finding_is_mailed_once_a_week_whatever_days_the_runs_are_on_and_a_new_one_at_once() {
        let standing = News::Finding(Finding::TooManyKeys { count: 3 });
        let new = News::Finding(Finding::UsedButNotStored { key: "AKIAIOSFODNN7EXAMPLE".parse().unwrap() });
        for interval in [1, 2, 3, 7] {
            assert_eq!(mails_about(&standing, false, interval), 4, "every {interval} days");
        }
        assert_eq!(mails_about(&new, false, 1), 28);
    }

    #[test]
    fn what_an_audit_would_do_today_is_mailed_once_a_week_and_what_has_happened_at_once() {
        let replaced = News::Rotated { successor: None, disable_due: Some(due()) };
        for interval in [1, 2, 3, 7] {
            assert_eq!(mails_about(&replaced, true, interval), 4, "every {interval} days");
        }
        assert_eq!(mails_about(&replaced, false, 1), 28);
    }

    #[test]
    fn a_time_in_the_future_is_no_reminder_that_was_given() {
        let mut digest = sample::one_key(due() - hours(24), false);
        digest.items[0].news = News::Upcoming { what: Upcoming::Delete { contained: false }, due: due() };
        digest.items[0].last_reminded = Some("2099-01-01T00:00:00Z".parse().unwrap());
        assert!(is_due(&digest, &digest.items[0], 1));
    }
}
