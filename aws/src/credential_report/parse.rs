//! The report's CSV. Columns are found by their names: AWS has added columns at the end, and may again.

use csv::StringRecord;
use jiff::Timestamp;
use rotation::{LastUse, UserName};

use super::{CredentialReport, CredentialReportError, ReportedKey, ReportedUser, UnreadableRow};

/// The user column of the account's root user.
const ROOT: &str = "<root_account>";
const NOT_APPLICABLE: &str = "N/A";
/// IAM does not know: it has kept no record.
const NO_INFORMATION: &str = "no_information";

/// Where the columns of one key are.
struct KeyColumns {
    slot: u8,
    active: usize,
    last_rotated: usize,
    last_used_date: usize,
    last_used_region: usize,
    last_used_service: usize,
}

/// Where the columns are.
struct Columns {
    user: usize,
    created: usize,
    keys: [KeyColumns; 2],
}

pub(super) fn parse(content: &[u8], generated: Timestamp) -> Result<CredentialReport, CredentialReportError> {
    // A row with fewer or more fields is that row's own defect.
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(content);
    let header = reader.headers().map_err(|error| CredentialReportError::Unreadable(error.to_string()))?;
    let columns = Columns::new(header).map_err(CredentialReportError::Unreadable)?;
    let mut report = CredentialReport { generated, users: Vec::new(), unreadable: Vec::new() };
    for row in reader.records() {
        match row {
            Ok(row) if row.get(columns.user) == Some(ROOT) => {}
            Ok(row) => match columns.read(&row) {
                Ok(user) => report.users.push(user),
                Err(why) => {
                    report.unreadable.push(UnreadableRow { user: row.get(columns.user).map(str::to_owned), why });
                }
            },
            Err(error) => report.unreadable.push(UnreadableRow { user: None, why: error.to_string() }),
        }
    }
    Ok(report)
}

impl Columns {
    fn new(header: &StringRecord) -> Result<Self, String> {
        let column = |name: String| {
            header.iter().position(|found| found == name).ok_or_else(|| format!("it has no column {name}"))
        };
        let key = |slot: u8| {
            let column = |what| column(format!("access_key_{slot}_{what}"));
            Ok::<_, String>(KeyColumns {
                slot,
                active: column("active")?,
                last_rotated: column("last_rotated")?,
                last_used_date: column("last_used_date")?,
                last_used_region: column("last_used_region")?,
                last_used_service: column("last_used_service")?,
            })
        };
        Ok(Self {
            user: column("user".to_owned())?,
            created: column("user_creation_time".to_owned())?,
            keys: [key(1)?, key(2)?],
        })
    }

    fn read(&self, row: &StringRecord) -> Result<ReportedUser, String> {
        let name = UserName::new(field(row, self.user)?).map_err(|error| error.to_string())?;
        let mut keys = Vec::new();
        for columns in &self.keys {
            keys.extend(columns.read(row)?);
        }
        Ok(ReportedUser {
            name,
            created: time(field(row, self.created)?)?.ok_or("the user has no creation time")?,
            keys,
        })
    }
}

impl KeyColumns {
    /// The key, if the row shows one.
    fn read(&self, row: &StringRecord) -> Result<Option<ReportedKey>, String> {
        let active = match field(row, self.active)? {
            active if active.eq_ignore_ascii_case("true") => true,
            inactive if inactive.eq_ignore_ascii_case("false") => false,
            other => return Err(format!("access_key_{}_active is {other:?}", self.slot)),
        };
        let last_rotated = time(field(row, self.last_rotated)?)?;
        let last_use = self.last_use(row)?;
        match (active, last_rotated) {
            (true, None) => Err(format!("the active key {} has no date", self.slot)),
            (false, None) if !last_use.is_used() => Ok(None),
            (true | false, _) => Ok(Some(ReportedKey { slot: self.slot, active, last_rotated, last_use })),
        }
    }

    fn last_use(&self, row: &StringRecord) -> Result<LastUse, String> {
        let date = field(row, self.last_used_date)?;
        if date == NO_INFORMATION {
            return Ok(LastUse::Unknown);
        }
        Ok(match time(date)? {
            None => LastUse::Never,
            Some(when) => LastUse::At {
                when,
                service: field(row, self.last_used_service)?.to_owned(),
                region: field(row, self.last_used_region)?.to_owned(),
            },
        })
    }
}

fn field(row: &StringRecord, column: usize) -> Result<&str, String> {
    row.get(column).ok_or_else(|| "the row is cut short".to_owned())
}

/// A date; `None` where it does not apply.
fn time(text: &str) -> Result<Option<Timestamp>, String> {
    match text {
        NOT_APPLICABLE => Ok(None),
        text => text.parse().map(Some).map_err(|_| format!("{text:?} is no date")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The columns of which something is read, and others around them, in another order than IAM's.
    const HEADER: &str = "arn,user,user_creation_time,mfa_active,access_key_2_active,access_key_2_last_rotated,\
        access_key_2_last_used_date,access_key_2_last_used_region,access_key_2_last_used_service,access_key_1_active,\
        access_key_1_last_rotated,access_key_1_last_used_date,access_key_1_last_used_region,access_key_1_last_used_service,new";
    const NO_KEY: &str = "false,N/A,N/A,N/A,N/A";

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    fn read(rows: &[String]) -> CredentialReport {
        let csv = [&[HEADER.to_owned()], rows].concat().join("\n");
        parse(csv.as_bytes(), Timestamp::UNIX_EPOCH).expect("a report")
    }

    fn row(user: &str, second: &str, first: &str) -> String {
        format!("arn:aws:iam::111111111111:user/{user},{user},2020-01-02T03:04:05+00:00,false,{second},{first},x")
    }

    #[test]
    fn columns_are_found_by_name_and_the_root_user_is_left_out() {
        let used = "true,2026-01-01T00:00:00+00:00,2026-02-01T10:00:00+00:00,eu-west-1,s3";
        let report = read(&[row("<root_account>", NO_KEY, used), row("ada", NO_KEY, used)]);
        let last_use =
            LastUse::At { when: at("2026-02-01T10:00:00Z"), service: "s3".to_owned(), region: "eu-west-1".to_owned() };
        let last_rotated = Some(at("2026-01-01T00:00:00Z"));
        assert_eq!(report.users.len(), 1);
        assert_eq!(report.users[0].name.as_str(), "ada");
        assert_eq!(report.users[0].created, at("2020-01-02T03:04:05Z"));
        assert_eq!(report.users[0].keys, [ReportedKey { slot: 1, active: true, last_rotated, last_use }]);
        assert!(report.unreadable.is_empty());
    }

    #[test]
    fn an_inactive_key_shows_by_its_date_or_by_its_use_and_no_information_is_not_never() {
        let dated = "false,2026-01-01T00:00:00+00:00,no_information,N/A,N/A";
        let used = "false,N/A,2026-02-01T10:00:00+00:00,N/A,N/A";
        let keys = &read(&[row("ada", used, dated)]).users[0].keys;
        let shown: Vec<_> = keys.iter().map(|key| (key.slot, key.active, key.last_rotated.is_some())).collect();
        assert_eq!(shown, [(1, false, true), (2, false, false)]);
        assert_eq!(keys[0].last_use, LastUse::Unknown);
    }

    #[test]
    fn a_row_that_cannot_be_read_is_named_and_the_others_are_read() {
        let dateless = row("no-date", NO_KEY, "true,N/A,N/A,N/A,N/A");
        let unclear = row("unclear", "perhaps,N/A,N/A,N/A,N/A", NO_KEY);
        let malformed = row("malformed", "true,yesterday,N/A,N/A,N/A", NO_KEY);
        let report = read(&[dateless, unclear, malformed, "arn,short".to_owned(), row("ada", NO_KEY, NO_KEY)]);
        let unreadable: Vec<_> = report.unreadable.iter().filter_map(|row| row.user.as_deref()).collect();
        assert_eq!(unreadable, ["no-date", "unclear", "malformed", "short"]);
        assert_eq!(report.users.len(), 1);
        assert!(report.users[0].keys.is_empty());
    }

    #[test]
    fn a_report_without_a_column_that_is_needed_is_refused() {
        let error = parse(b"user,arn\nada,arn", Timestamp::UNIX_EPOCH).expect_err("refused");
        assert!(matches!(error, CredentialReportError::Unreadable(why) if why.contains("user_creation_time")));
    }
}
