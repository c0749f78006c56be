//! How values other than text are written. Each error is a sentence with the value in it, to stand behind the setting's name.

use std::ops::RangeInclusive;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rotation::names::DEFAULT_EXEMPTION_GROUP;
use rotation::policy::LONGEST_PERIOD;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    #[error("\"{text}\" is not a whole number of {unit} from {least} to {most}")]
    WholeNumber { text: String, unit: &'static str, least: u64, most: u64 },
    #[error("\"{0}\" is neither true nor false (yes, no, on, off, 1 and 0 are understood too)")]
    Boolean(String),
    #[error("\"{0}\" is neither a date (2027-03-01) nor an RFC 3339 time (2027-03-01T02:00:00Z)")]
    Time(String),
    #[error(
        "\"{0}\" is not the name of an IAM group: it must be letters, digits or any of +=,.@_-, at most 128, without a path"
    )]
    GroupName(String),
    #[error(
        "\"{0}\" is not a CloudWatch namespace of your own: it must be letters, digits, spaces or any of ./_#:-, at most 255, and begin neither with AWS/ nor with a colon"
    )]
    Namespace(String),
}

/// A parser of whole numbers that knows what it counts: every setting and option that is a number has one.
pub fn whole<T: TryFrom<u64>>(
    unit: &'static str,
    range: RangeInclusive<u64>,
) -> impl Fn(&str) -> Result<T, ValueError> + Clone + Send + Sync + 'static {
    move |text| {
        let number =
            text.parse().ok().filter(|number| range.contains(number)).and_then(|number| number.try_into().ok());
        let (least, most) = (*range.start(), *range.end());
        number.ok_or_else(|| ValueError::WholeNumber { text: text.to_owned(), unit, least, most })
    }
}

/// Reads a period in days.
///
/// # Errors
/// No whole number, or longer than any policy takes.
pub fn days(text: &str) -> Result<u32, ValueError> {
    whole("days", 0..=LONGEST_PERIOD.into())(text)
}

/// Reads a setting that is on or off, in the spellings that people and other tools use for it.
///
/// # Errors
/// None of them.
pub fn boolean(text: &str) -> Result<bool, ValueError> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err(ValueError::Boolean(text.to_owned())),
    }
}

/// Reads the exemption group's name; a blank one counts as not set.
///
/// # Errors
/// No group can have that name.
pub fn exemption_group(text: &str) -> Result<String, ValueError> {
    match text.trim() {
        "" => Ok(DEFAULT_EXEMPTION_GROUP.to_owned()),
        name if is_iam_name(name) => Ok(name.to_owned()),
        name => Err(ValueError::GroupName(name.to_owned())),
    }
}

/// Whether a group or a managed policy may have this name. (IAM API reference, `CreateGroup` and `CreatePolicy`: `[\w+=,.@-]+`, 1 to 128.)
pub fn is_iam_name(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b);
    (1..=128).contains(&text.len()) && text.bytes().all(allowed)
}

/// Reads a namespace of metrics; a blank one counts as not set, and stays blank.
///
/// CloudWatch user guide, "Namespaces": alphanumeric characters, `.`, `-`, `_`, `/`, `#`, `:` and the space, at most 255. Its API
/// reference, `PutMetricData`: none begins with a colon, and those that begin with `AWS/` are AWS's own.
///
/// # Errors
/// CloudWatch takes no metrics under that name.
pub fn namespace(text: &str) -> Result<String, ValueError> {
    let name = text.trim();
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b" ./_#:-".contains(&b);
    let well_formed =
        name.len() <= 255 && name.bytes().all(allowed) && !name.starts_with(':') && !name.starts_with("AWS/");
    if well_formed { Ok(name.to_owned()) } else { Err(ValueError::Namespace(name.chars().take(300).collect())) }
}

/// `2027-03-01T02:00:00Z`, or `2027-03-01` for its first moment in UTC.
///
/// # Errors
/// The text is neither.
pub fn time_or_date(text: &str) -> Result<Timestamp, ValueError> {
    let time = match text.parse::<jiff::civil::Date>() {
        // This parser takes a date out of a time without a zone as well: that is no answer to when.
        Ok(date) if !text.contains(['T', 't', ' ']) => date.to_zoned(TimeZone::UTC).map(|day| day.timestamp()),
        Ok(_) | Err(_) => text.parse(),
    };
    time.map_err(|_| ValueError::Time(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forecasts_time_may_be_a_date_alone() {
        let time = |text: &str| time_or_date(text).map(|time| time.to_string()).ok();
        assert_eq!(time("2027-03-01").as_deref(), Some("2027-03-01T00:00:00Z"));
        assert_eq!(time("2027-03-01T02:00:00+02:00").as_deref(), Some("2027-03-01T00:00:00Z"));
        assert_eq!(time("2027-03-01T02:00:00"), None, "a time without its zone");
        assert_eq!(time("tomorrow"), None);
    }

    #[test]
    fn a_groups_name_is_one_that_iam_takes_and_a_blank_one_is_the_default() {
        for blank in ["", " "] {
            assert_eq!(exemption_group(blank), Ok(DEFAULT_EXEMPTION_GROUP.to_owned()));
        }
        assert_eq!(exemption_group("Left+alone=a,b.c@d_e-f"), Ok("Left+alone=a,b.c@d_e-f".to_owned()));
        for wrong in ["left alone", "teams/left-alone", "gruppe-ä", &"x".repeat(129)] {
            let error = exemption_group(wrong).expect_err(wrong).to_string();
            assert!(error.starts_with(&format!("\"{wrong}\" is not the name of an IAM group: it must be ")), "{error}");
        }
    }

    #[test]
    fn a_namespace_is_one_that_cloudwatch_takes() {
        for good in ["", "iam-key-rotation", "Key Rotation/prod:eu #1"] {
            assert_eq!(namespace(good), Ok(good.to_owned()));
        }
        for wrong in ["AWS/KeyRotation", ":keys", "keys;rotation", "schlüssel", &"x".repeat(256)] {
            let error = namespace(wrong).expect_err(wrong).to_string();
            assert!(error.starts_with(&format!("\"{wrong}\" is not a CloudWatch namespace of your own: ")), "{error}");
        }
    }

    #[test]
    fn a_number_is_read_within_its_range_and_its_type() {
        let day = whole::<u32>("days", 1..=365);
        assert_eq!((day("1"), day("365")), (Ok(1), Ok(365)));
        for wrong in ["", "0", "366", "-1", "1.5", "90d", " 7", "99999999999999999999"] {
            let error = day(wrong).expect_err(wrong).to_string();
            assert_eq!(error, format!("\"{wrong}\" is not a whole number of days from 1 to 365"));
        }
        assert!(whole::<u8>("days", 0..=1000)("300").is_err());
    }
}
