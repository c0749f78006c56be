//! From what was read to the report: every number in it is counted here, and every judgement on a key is the rules'.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rotation::policy::after;
use rotation::{
    AccountId, ForecastKind, Installed, Key, KeyStatus, LastUse, MissingFact, Policy, PolicyStatus, Succession,
    Unforeseeable, forecast,
};

use super::account::{AccountKeys, UserKeys};
use super::controls::{self, LONG_UNUSED_DAYS, ROTATED_WITHIN_DAYS, UNUSED_DAYS};
use super::document::{
    AccountRow, AgeBand, Document, ExemptRow, ExemptionCell, FindingRow, ForecastDay, ForecastRows, KeyRow, NextStep,
    NotActiveRow, PolicyRow, Read, SCHEMA, Source, SuccessorRow, Summary, UnforeseeableRow, Usage, UserNotRead,
};
use super::gather::{AccountRecord, AccountRecords};
use crate::command::count;

/// Days of the forecast.
const FORECAST_DAYS: u32 = 60;

/// The greatest age of each band of ages, in days; the last band has none.
const BANDS: [i64; 6] = [30, 60, 90, 180, 365, 730];

/// What the report is made for.
#[derive(Debug, Clone)]
pub(super) struct Basis {
    pub(super) generated_at: Timestamp,
    pub(super) as_of: Timestamp,
    pub(super) policy: Policy,
    pub(super) exemption_group: String,
    pub(super) scope: String,
    pub(super) source: Source,
}

pub(super) fn evaluate(gathered: &AccountRecords, basis: &Basis) -> Document {
    let mut document = Document::empty(gathered, basis);
    for record in &gathered.accounts {
        document.account(record, basis);
    }
    let summary = &mut document.summary;
    summary.users_not_read = document.users_not_read.len() as u64;
    summary.findings = document.findings.len() as u64;
    summary.successors_not_installed = document.successors_not_installed.len() as u64;
    document.complete = gathered.broken_off.is_none() && summary.accounts_not_read == 0 && summary.users_not_read == 0;
    document.controls = controls::results(summary, document.complete);
    document.coverage = coverage(&document.summary, gathered);
    document
}

fn coverage(summary: &Summary, gathered: &AccountRecords) -> String {
    let all = gathered.accounts.len() as u64;
    let mut missing = Vec::new();
    if let Some(error) = &gathered.broken_off {
        missing.push(format!("the list of accounts broke off after {all} ({error})"));
    }
    if summary.accounts_not_read > 0 {
        missing.push(format!("{} of {} could not be read", summary.accounts_not_read, count(all, "account")));
    }
    if summary.users_not_read > 0 {
        missing.push(format!("of {} something could not be read", count(summary.users_not_read, "user")));
    }
    match (missing.is_empty(), all) {
        (true, 1) => "Complete: the account was read.".to_owned(),
        (true, _) => format!("Complete: all {} were read.", count(all, "account")),
        (false, _) => format!("Partial: {}. Every number is of what was read.", missing.join("; ")),
    }
}

fn date(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

fn days_between(from: Timestamp, to: Timestamp) -> i64 {
    to.duration_since(from).as_hours().div_euclid(24)
}

impl Document {
    fn empty(gathered: &AccountRecords, basis: &Basis) -> Self {
        let day = |n| date(after(basis.as_of, n));
        let days = (0..FORECAST_DAYS).map(|n| ForecastDay {
            date: day(n),
            replace: 0,
            notify: 0,
            disable: 0,
            adopt: 0,
            delete: 0,
        });
        let not_active = gathered.not_active.iter().map(|member| NotActiveRow {
            id: member.account.clone(),
            name: member.name.clone(),
            state: member.state.to_string(),
        });
        let from = std::iter::once(0).chain(BANDS.iter().map(|to| to + 1));
        let to = BANDS.iter().copied().map(Some).chain([None]);
        let band = |(from_days, to_days)| AgeBand {
            from_days,
            to_days,
            within_policy: 0,
            due: 0,
            overdue: 0,
            exempt: 0,
            inactive: 0,
        };
        Self {
            schema: SCHEMA,
            tool: format!("key-rotation {}", env!("CARGO_PKG_VERSION")),
            generated_at: basis.generated_at,
            as_of: basis.as_of,
            scope: basis.scope.clone(),
            source: basis.source,
            complete: false,
            coverage: String::new(),
            policy: PolicyRow {
                rotation_period: basis.policy.rotation_period(),
                inactive_period: basis.policy.inactive_period(),
                recovery_grace_period: basis.policy.recovery_grace(),
                exemption_group: basis.exemption_group.clone(),
            },
            summary: Summary { accounts_not_active: gathered.not_active.len() as u64, ..Summary::default() },
            ages: from.zip(to).map(band).collect(),
            controls: Vec::new(),
            forecast: ForecastRows { days: days.collect(), unforeseeable: Vec::new() },
            accounts: Vec::new(),
            not_active: not_active.collect(),
            users_not_read: Vec::new(),
            findings: Vec::new(),
            exempt: Vec::new(),
            successors_not_installed: Vec::new(),
            keys: Vec::new(),
        }
    }

    fn account(&mut self, record: &AccountRecord, basis: &Basis) {
        let mut row = AccountRow {
            id: record.account.clone(),
            name: record.name.clone(),
            read: Read::Yes,
            credential_report_at: None,
            users: 0,
            keys: 0,
            active: 0,
            overdue: 0,
            oldest_overdue_days: None,
        };
        match &record.read {
            Ok(AccountKeys { reported, users, unread }) => {
                self.summary.accounts_read += 1;
                row.credential_report_at = *reported;
                let first = self.keys.len();
                users.iter().for_each(|user| self.user(&record.account, user, basis));
                let keys = &self.keys[first..];
                let overdue = keys.iter().filter(|key| key.state == PolicyStatus::Overdue);
                row.users = users.len() as u64;
                row.keys = keys.len() as u64;
                row.active = keys.iter().filter(|key| key.state != PolicyStatus::Inactive).count() as u64;
                row.overdue = overdue.clone().count() as u64;
                row.oldest_overdue_days = overdue.map(|key| key.age_days).max();
                self.users_not_read.extend(unread.iter().map(|unread| UserNotRead {
                    account: record.account.clone(),
                    user: unread.user.clone(),
                    why: unread.why.clone(),
                }));
            }
            Err(why) => {
                self.summary.accounts_not_read += 1;
                row.read = Read::No(why.clone());
            }
        }
        self.accounts.push(row);
    }

    fn user(&mut self, account: &AccountId, read: &UserKeys, basis: &Basis) {
        let user = &read.user;
        self.summary.users += 1;
        let exemption = user
            .exemption(basis.as_of)
            .map(|exemption| ExemptionCell { by: exemption.as_str(), until: exemption.until() });
        let foreseen = forecast(basis.as_of, FORECAST_DAYS, &basis.policy, user);
        for step in &foreseen.steps {
            let day = &mut self.forecast.days[step.day as usize];
            match step.kind {
                ForecastKind::Replace => day.replace += 1,
                ForecastKind::Notify => day.notify += 1,
                ForecastKind::Disable => day.disable += 1,
                ForecastKind::Adopt => day.adopt += 1,
                ForecastKind::Delete => day.delete += 1,
            }
        }
        let (of, name) = (|| account.clone(), || user.name.to_string());
        let on = |day: u32| date(after(basis.as_of, day));
        self.findings.extend(foreseen.findings.iter().map(|(day, finding)| FindingRow {
            account: of(),
            user: name(),
            date: on(*day),
            finding: finding.to_string(),
        }));
        if let Some((day, why)) = &foreseen.unforeseeable {
            let row = UnforeseeableRow { account: of(), user: name(), from: on(*day), why: sentence(why) };
            self.forecast.unforeseeable.push(row);
        }
        let first = self.keys.len();
        for key in &user.keys {
            let next = foreseen.steps.iter().find(|step| step.key == key.id);
            let next = next.map(|step| NextStep { step: step.kind.as_str(), date: on(step.day) });
            let status = user.policy_status(basis.as_of, &basis.policy, key);
            self.keys.push(KeyRow {
                account: of(),
                user: name(),
                access_key_id: read.live.then(|| key.id.clone()),
                status: key.status,
                created: key.created,
                age_days: days_between(key.created, basis.as_of),
                usage: Usage::from(&key.last_use),
                last_used: used_at(&key.last_use),
                last_used_service: match &key.last_use {
                    LastUse::At { service, .. } => Some(service.clone()),
                    LastUse::Never | LastUse::Unknown => None,
                },
                exempt: exemption,
                state: status,
                next,
            });
            self.count(status, key, basis);
        }
        let active = self.keys[first..].iter().filter(|key| key.status == KeyStatus::Active);
        let (active_keys, oldest_active_days) = (active.clone().count() as u64, active.map(|key| key.age_days).max());
        self.summary.users_with_two_active_keys += u64::from(active_keys > 1);
        if let Some(exemption) = exemption {
            self.exempt.push(ExemptRow { account: of(), user: name(), exemption, active_keys, oldest_active_days });
        }
        self.successors_not_installed.extend(successor_not_installed(account, read));
    }

    fn count(&mut self, status: PolicyStatus, key: &Key, basis: &Basis) {
        let age = days_between(key.created, basis.as_of);
        let band = self.ages.iter_mut().find(|band| band.to_days.is_none_or(|to| age <= to));
        let band = band.expect("the last band has no end");
        let summary = &mut self.summary;
        summary.keys += 1;
        let counted = match status {
            PolicyStatus::WithinPolicy => [&mut summary.within_policy, &mut band.within_policy],
            PolicyStatus::Due => [&mut summary.due, &mut band.due],
            PolicyStatus::Overdue => [&mut summary.overdue, &mut band.overdue],
            PolicyStatus::Exempt => [&mut summary.exempt, &mut band.exempt],
            PolicyStatus::Inactive => [&mut summary.inactive, &mut band.inactive],
        };
        counted.into_iter().for_each(|number| *number += 1);
        if status == PolicyStatus::Inactive {
            return;
        }
        summary.active += 1;
        summary.within_90_days += u64::from(age <= ROTATED_WITHIN_DAYS);
        summary.oldest_active_days = summary.oldest_active_days.max(Some(age));
        let unused = match key.last_use {
            LastUse::Unknown => {
                summary.last_use_unknown += 1;
                return;
            }
            LastUse::Never => {
                summary.never_used += 1;
                age
            }
            LastUse::At { when, .. } => days_between(when, basis.as_of),
        };
        summary.unused_45_days += u64::from(unused >= UNUSED_DAYS);
        summary.unused_90_days += u64::from(unused >= LONG_UNUSED_DAYS);
    }
}

fn used_at(last_use: &LastUse) -> Option<Timestamp> {
    match last_use {
        LastUse::At { when, .. } => Some(*when),
        LastUse::Never | LastUse::Unknown => None,
    }
}

fn sentence(why: &Unforeseeable) -> String {
    match why {
        Unforeseeable::Unsettled => "an interrupted rotation is to be settled first".to_owned(),
        Unforeseeable::Missing(MissingFact::LastUse(_)) => "a key's last use is to be known first".to_owned(),
        Unforeseeable::Missing(MissingFact::Published(_)) => {
            "which key is published is to be known first: there is no secret in the user's own account".to_owned()
        }
    }
}

/// The previous key and its successor, where nobody has used the successor yet: its owner has not gone over to it.
fn successor_not_installed(account: &AccountId, read: &UserKeys) -> Option<SuccessorRow> {
    let Succession { previous, successor, notice } = read.user.succession()?;
    (read.live && Installed::from(&successor.last_use) == Installed::NotYet).then(|| SuccessorRow {
        account: account.clone(),
        user: read.user.name.to_string(),
        access_key_id: previous.id.clone(),
        last_used: used_at(&previous.last_use),
        successor: successor.id.clone(),
        successor_created: successor.created,
        disable_on: notice.and_then(|state| state.until),
    })
}
