//! The credential report: a CSV of every user, generated on request, for as long as a knob says, and kept for four hours, with the
//! columns in AWS's order.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::{SignedDuration, Timestamp};

use super::{Answered, account, account_mut, time, user_arn};
use crate::call::{ApiError, Call};
use crate::wire::xml::Xml;
use crate::world::{AccessKey, Account, CredentialReport, KeyStatus, User, World};

/// How long a report is given out before a new one is made.
const KEPT: SignedDuration = SignedDuration::from_hours(4);

const HEADER: &str = "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,\
    password_next_rotation,mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,\
    access_key_1_last_used_region,access_key_1_last_used_service,access_key_2_active,access_key_2_last_rotated,\
    access_key_2_last_used_date,access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,\
    cert_1_last_rotated,cert_2_active,cert_2_last_rotated,additional_credentials_info";

/// Starts a report, unless there is one that can still be given out or one is being made.
pub(super) fn generate(world: &mut World, call: &Call) -> Answered {
    let now = world.now();
    let takes = world.faults.report_generation;
    let account = account_mut(world, call)?;
    if let Some(report) = fresh(account, now) {
        let state = if report.complete <= now { "COMPLETE" } else { "INPROGRESS" };
        return Ok(Xml::new().text("State", state));
    }
    let csv = csv(account).into();
    let complete = now.saturating_add(takes).unwrap_or(Timestamp::MAX);
    account.report = Some(CredentialReport { generated: now, complete, csv });
    let description = "No report exists. Starting a new report generation task";
    Ok(Xml::new().text("State", "STARTED").text("Description", description))
}

pub(super) fn get(world: &mut World, call: &Call) -> Answered {
    let now = world.now();
    let account = account(world, call)?;
    let Some(report) = fresh(account, now) else {
        return Err(match account.report {
            Some(_) => ApiError::new(
                410,
                "ReportExpired",
                "The most recent credential report has expired. To generate a new credential report, use \
                 GenerateCredentialReport.",
            ),
            None => ApiError::new(410, "ReportNotPresent", "No report found, please generate one first."),
        });
    };
    if now < report.complete {
        let message = "Credential report generation is in progress, please try again later.";
        return Err(ApiError::new(404, "ReportInProgress", message));
    }
    Ok(Xml::new()
        .text("Content", BASE64.encode(report.csv.as_bytes()))
        .text("ReportFormat", "text/csv")
        .text("GeneratedTime", time(report.generated)))
}

fn fresh(account: &Account, now: Timestamp) -> Option<&CredentialReport> {
    account.report.as_ref().filter(|report| report.generated.duration_until(now) < KEPT)
}

fn csv(account: &Account) -> String {
    let root = format!(
        "<root_account>,arn:aws:iam::{}:root,{},not_supported,no_information,not_supported,not_supported,true{}{}{CERTIFICATES}",
        account.id,
        report_time(account.joined),
        key_columns(None),
        key_columns(None),
    );
    let users = account.users.values().map(|user| user_line(&account.id, user));
    [HEADER.to_owned(), root].into_iter().chain(users).collect::<Vec<_>>().join("\n")
}

const CERTIFICATES: &str = ",false,N/A,false,N/A,";

/// User names may hold a comma, so they are quoted where they do; the ARN repeats the name.
fn user_line(account: &str, user: &User) -> String {
    format!(
        "{},{},{},false,N/A,N/A,N/A,false{}{}{CERTIFICATES}",
        quoted(&user.name),
        quoted(&user_arn(account, user)),
        report_time(user.created),
        key_columns(user.holds.keys.first()),
        key_columns(user.holds.keys.get(1)),
    )
}

fn key_columns(key: Option<&AccessKey>) -> String {
    let Some(key) = key else { return ",false,N/A,N/A,N/A,N/A".to_owned() };
    let active = key.status == KeyStatus::Active;
    let (date, region, service) = match &key.last_use {
        Some(last) => (report_time(last.at), last.region.as_str(), last.service.as_str()),
        None => ("N/A".to_owned(), "N/A", "N/A"),
    };
    format!(",{active},{},{date},{region},{service}", report_time(key.changed))
}

/// The report's times have an offset instead of a `Z`.
fn report_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string()
}

fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n']) { format!("\"{}\"", field.replace('"', "\"\"")) } else { field.to_owned() }
}
