//! An account's credential report: every user and its access keys in two or three calls, up to four hours old.
//!
//! IAM User Guide, "Generate credential reports for your AWS account": "You can generate a credential report as often as once
//! every four hours"; until then the last one is given out. It has no key ids, and its `access_key_1_last_rotated` is "when the
//! user's access key was created or last changed": switching a key off or on resets it. So it is no ground for changing anything.

mod parse;

use std::time::Duration;

use aws_sdk_iam::Client;
use aws_sdk_iam::operation::get_credential_report::GetCredentialReportError;
use aws_sdk_iam::types::ReportStateType;
use jiff::Timestamp;
use rotation::{LastUse, UserName};

use crate::error::{AwsError, ErrorClass};

/// A credential report. The root user is not in it: its keys are no user's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialReport {
    /// What it shows is as of this moment.
    pub generated: Timestamp,
    pub users: Vec<ReportedUser>,
    /// Rows that do not say what the report is documented to say.
    pub unreadable: Vec<UnreadableRow>,
}

/// A row of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedUser {
    pub name: UserName,
    /// When the user was made.
    pub created: Timestamp,
    /// The keys that the row shows: two at most.
    ///
    /// An inactive key may be missing. By the guide a slot is `N/A` where the user "does not have an active access key"; in
    /// practice an inactive key has its date.
    pub keys: Vec<ReportedKey>,
}

/// An access key, as the report shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedKey {
    /// Its columns: those of `access_key_1` or of `access_key_2`. They do not say which key is the older one.
    pub slot: u8,
    pub active: bool,
    /// When it was created or last changed. An active key always has this date.
    pub last_rotated: Option<Timestamp>,
    pub last_use: LastUse,
}

/// A row that cannot be read. It says nothing about its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableRow {
    /// Whose row it is, as far as that can be read.
    pub user: Option<String>,
    pub why: String,
}

/// Why there is no credential report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialReportError {
    #[error("the credential report is still being generated")]
    InProgress,
    #[error("there is no credential report: it has to be generated first")]
    NotPresent,
    #[error("the last credential report is older than four hours: it has to be generated anew")]
    Expired,
    #[error("credential reports are not allowed ({0}): allow iam:GenerateCredentialReport and iam:GetCredentialReport")]
    Denied(AwsError),
    /// The report as a whole; single rows are in [`CredentialReport::unreadable`].
    #[error("the credential report cannot be read: {0}")]
    Unreadable(String),
    #[error(transparent)]
    Aws(AwsError),
}

/// What `GenerateCredentialReport` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialReportState {
    /// There is one, less than four hours old.
    Complete,
    InProgress,
}

/// Sees to it that there is a report, and reads it; while it is being generated, after each of the `pauses`.
///
/// # Errors
/// [`CredentialReportError`]; `InProgress` where it was not complete after the last pause.
pub async fn fetch(iam: &Client, pauses: &[Duration]) -> Result<CredentialReport, CredentialReportError> {
    match (generate(iam).await?, pauses) {
        (CredentialReportState::Complete, pauses) => get_once_complete(iam, pauses).await,
        (CredentialReportState::InProgress, [first, pauses @ ..]) => {
            tokio::time::sleep(*first).await;
            get_once_complete(iam, pauses).await
        }
        (CredentialReportState::InProgress, []) => Err(CredentialReportError::InProgress),
    }
}

/// Reads the report; while it is still being generated, again after each of the `pauses`.
///
/// # Errors
/// As [`fetch`].
pub async fn get_once_complete(iam: &Client, pauses: &[Duration]) -> Result<CredentialReport, CredentialReportError> {
    let mut pauses = pauses.iter();
    loop {
        match (get(iam).await, pauses.next()) {
            (Err(CredentialReportError::InProgress), Some(pause)) => tokio::time::sleep(*pause).await,
            (answer, _) => return answer,
        }
    }
}

/// Has a report generated, unless there is one that is less than four hours old.
///
/// # Errors
/// [`CredentialReportError::Denied`] or [`CredentialReportError::Aws`].
pub async fn generate(iam: &Client) -> Result<CredentialReportState, CredentialReportError> {
    let answer = iam.generate_credential_report().send().await;
    let answer = answer.map_err(|error| failure(AwsError::new("iam:GenerateCredentialReport", error)))?;
    Ok(match answer.state {
        Some(ReportStateType::Complete) => CredentialReportState::Complete,
        // The SDK's own enum, non-exhaustive: whatever it is, the report is not complete.
        _ => CredentialReportState::InProgress,
    })
}

/// Reads the report.
///
/// # Errors
/// [`CredentialReportError`].
pub async fn get(iam: &Client) -> Result<CredentialReport, CredentialReportError> {
    let answer = match iam.get_credential_report().send().await {
        Ok(answer) => answer,
        Err(error) => {
            return Err(match error.as_service_error() {
                Some(GetCredentialReportError::CredentialReportNotReadyException(_)) => {
                    CredentialReportError::InProgress
                }
                Some(GetCredentialReportError::CredentialReportNotPresentException(_)) => {
                    CredentialReportError::NotPresent
                }
                Some(GetCredentialReportError::CredentialReportExpiredException(_)) => CredentialReportError::Expired,
                // The SDK's own enum, non-exhaustive.
                _ => failure(AwsError::new("iam:GetCredentialReport", error)),
            });
        }
    };
    let content = answer.content.ok_or_else(|| CredentialReportError::Unreadable("it has no content".to_owned()))?;
    let generated = answer.generated_time.and_then(|at| Timestamp::from_second(at.secs()).ok());
    let generated =
        generated.ok_or_else(|| CredentialReportError::Unreadable("it does not say of when it is".to_owned()))?;
    parse::parse(content.as_ref(), generated)
}

fn failure(error: AwsError) -> CredentialReportError {
    match error.class {
        ErrorClass::Denied => CredentialReportError::Denied(error),
        ErrorClass::Throttled
        | ErrorClass::Transient
        | ErrorClass::SessionEnded
        | ErrorClass::NotFound
        | ErrorClass::Conflict
        | ErrorClass::LimitExceeded
        | ErrorClass::Rejected
        | ErrorClass::SendingPaused
        | ErrorClass::NotEnabled
        | ErrorClass::Invalid => CredentialReportError::Aws(error),
    }
}
