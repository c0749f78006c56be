//! `report.html`: one file that needs nothing else, for a screen, a phone and paper.
//!
//! Sums first, then what has to be looked at, each list cut to what a person reads: the rest is in the table of keys.

mod chart;
mod lists;

use jiff::Timestamp;
use minijinja::{AutoEscape, Environment, Error, Value, context};
use rotation::PolicyStatus;
use serde::Serialize;

use self::lists::Lists;
use super::document::{AgeBand, Document, ForecastDay, Source, Summary};
use super::{DATA, TABLE};

pub(super) fn render(document: &Document) -> Result<String, Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_filter("number", |number: i64| thousands(number));
    environment.add_filter("day", |time: &str| time.get(..10).unwrap_or(time).to_owned());
    environment.add_template("page", include_str!("page/page.html"))?;
    let lists = Lists::new(document);
    environment.get_template("page")?.render(context! {
        coverage => value(&document.coverage),
        complete => value(document.complete),
        tool => value(&document.tool),
        generated_at => value(minute(document.generated_at)),
        as_of => value(minute(document.as_of)),
        ahead => value(document.as_of != document.generated_at),
        scope => value(&document.scope),
        live => value(document.source == Source::Live),
        oldest_credential_report =>
            value(document.accounts.iter().filter_map(|account| account.credential_report_at).min().map(minute)),
        policy => value(&document.policy),
        summary => value(&document.summary),
        figures => value(figures(&document.summary)),
        controls => value(&document.controls),
        ages => value(ages(&document.ages)),
        forecast_chart => chart::forecast(&document.forecast.days),
        forecast_days => value(document.forecast.days.iter().filter(|day| is_eventful(day)).collect::<Vec<_>>()),
        overdue_accounts => value(lists.overdue_accounts()),
        overdue_keys => value(lists.overdue_keys()),
        two_active => value(lists.two_active_keys()),
        never_used => value(lists.never_used()),
        unused => value(lists.unused_for_45_days()),
        unforeseeable => value(lists.unforeseeable()),
        findings => value(lists.findings()),
        successors => value(lists.successors_not_installed()),
        exempt => value(lists.exempt()),
        accounts_not_read => value(lists.accounts_not_read()),
        accounts_not_active => value(lists.accounts_not_active()),
        users_not_read => value(lists.users_not_read()),
        table => value(TABLE),
        data => value(DATA),
    })
}

/// Data as the template takes it.
fn value(data: impl Serialize) -> Value {
    from_json(serde_json::to_value(data).expect("rows of text and numbers are JSON"))
}

fn from_json(data: serde_json::Value) -> Value {
    match data {
        serde_json::Value::Null => Value::from(()),
        serde_json::Value::Bool(is) => Value::from(is),
        serde_json::Value::Number(number) => Value::from(number.as_i64().unwrap_or(i64::MAX)),
        serde_json::Value::String(text) => Value::from(text),
        serde_json::Value::Array(items) => items.into_iter().map(from_json).collect(),
        serde_json::Value::Object(fields) => {
            Value::from_pairs(fields.into_iter().map(|(name, field)| (name, from_json(field))))
        }
    }
}

fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

fn thousands(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

/// A share in per cent, rounded down: 100 only where it is all.
fn share(part: u64, whole: u64) -> String {
    match (part * 1000).checked_div(whole) {
        None => "–".to_owned(),
        Some(thousandths) if thousandths % 10 == 0 => format!("{} %", thousandths / 10),
        Some(thousandths) => format!("{}.{} %", thousandths / 10, thousandths % 10),
    }
}

/// A figure at the head of the page.
#[derive(Debug, Serialize)]
struct Figure {
    label: &'static str,
    value: String,
    note: String,
    /// `bad`, `warn` or `good`: how it is coloured, beside what it says.
    tone: &'static str,
}

fn figures(summary: &Summary) -> Vec<Figure> {
    let number = |number: u64| thousands(i64::try_from(number).unwrap_or(i64::MAX));
    let figure = |label, value, note, tone| Figure { label, value, note, tone };
    let bad = |number: u64| if number > 0 { "bad" } else { "good" };
    let warn = |number: u64| if number > 0 { "warn" } else { "good" };
    let held_to_policy = summary.active - summary.exempt;
    let oldest =
        summary.oldest_active_days.map_or_else(|| "there is none".to_owned(), |days| format!("oldest {days} days"));
    vec![
        figure(
            "Overdue",
            number(summary.overdue),
            format!("active keys past the inactive period; {oldest}"),
            bad(summary.overdue),
        ),
        figure(
            "Within policy",
            share(held_to_policy - summary.overdue, held_to_policy),
            format!(
                "{} of {} active keys not exempt",
                number(held_to_policy - summary.overdue),
                number(held_to_policy)
            ),
            bad(summary.overdue),
        ),
        figure(
            "At most 90 days old",
            share(summary.within_90_days, summary.active),
            format!("{} of {} active keys, exempt ones too", number(summary.within_90_days), number(summary.active)),
            warn(summary.active - summary.within_90_days),
        ),
        figure(
            "Active keys",
            number(summary.active),
            format!("of {} keys, {} users", number(summary.keys), number(summary.users)),
            "plain",
        ),
        figure(
            "Unused for 45 days",
            number(summary.unused_45_days),
            format!("active keys; {} were never used", number(summary.never_used)),
            warn(summary.unused_45_days),
        ),
        figure(
            "Two active keys",
            number(summary.users_with_two_active_keys),
            format!("users; {} of them with a successor not yet installed", number(summary.successors_not_installed)),
            warn(summary.users_with_two_active_keys),
        ),
        figure("Exempt", number(summary.exempt), "active keys of users left alone".to_owned(), "plain"),
        figure("Findings", number(summary.findings), "need a person's decision".to_owned(), warn(summary.findings)),
    ]
}

/// A band of ages, and how long its bar's parts are, in thousandths of the longest bar.
#[derive(Debug, Serialize)]
struct Band<'a> {
    label: String,
    #[serde(flatten)]
    counts: &'a AgeBand,
    total: u64,
    parts: Vec<(&'static str, u64)>,
}

fn ages(bands: &[AgeBand]) -> Vec<Band<'_>> {
    let parts = |band: &AgeBand| {
        [
            (PolicyStatus::WithinPolicy, band.within_policy),
            (PolicyStatus::Due, band.due),
            (PolicyStatus::Overdue, band.overdue),
            (PolicyStatus::Exempt, band.exempt),
            (PolicyStatus::Inactive, band.inactive),
        ]
    };
    let total = |band: &AgeBand| parts(band).iter().map(|(_, keys)| keys).sum::<u64>();
    let longest = bands.iter().map(total).max().unwrap_or(0).max(1);
    let label = |band: &AgeBand| match band.to_days {
        Some(to) => format!("{}–{to} days", band.from_days),
        None => format!("{} days or more", band.from_days),
    };
    let part = |(status, keys): (PolicyStatus, u64)| (status.as_str(), keys * 1000 / longest);
    let band = |band| Band {
        label: label(band),
        counts: band,
        total: total(band),
        parts: parts(band).map(part).into_iter().filter(|(_, long)| *long > 0).collect(),
    };
    bands.iter().map(band).collect()
}

fn is_eventful(day: &ForecastDay) -> bool {
    day.replace + day.notify + day.disable + day.adopt + day.delete > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_100_per_cent_only_where_it_is_all() {
        assert_eq!(share(3, 3), "100 %");
        assert_eq!(share(9_999, 10_000), "99.9 %");
        assert_eq!(share(0, 0), "–");
        assert_eq!(share(1, 3), "33.3 %");
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([0, 999, 1_000, 1_234_567, -4_000].map(thousands), ["0", "999", "1,000", "1,234,567", "-4,000"]);
    }
}
