//! The mails of a real account's plan. The account is read through the member role with a session that can only read; no queue
//! is asked, and there is no client that could send a mail.

use std::path::PathBuf;

use key_rotation_aws::Connection;
use rotation::{AccountId, Job, Task, UserName};

use super::{Folder, PreviewError, PreviewFiles};
use crate::account;
use crate::notices::{Digest, MailSettings, Notices};
use crate::run;
use crate::settings::Settings;

/// Stands in for the account's address where it was not given; `invalid` is nobody's (RFC 2606).
const ADDRESS_NOT_GIVEN: &str = "address-not-given@account.invalid";

/// Whose plan is previewed, and where it goes. The day is that of the settings.
#[derive(Debug, Clone)]
pub struct PlanOptions {
    pub account: AccountId,
    /// Only this user.
    pub user: Option<UserName>,
    /// The account's name, which workers know from the message.
    pub name: Option<String>,
    /// The account's address: the same.
    pub email: Option<String>,
    /// Audit wording; enforcement otherwise.
    pub audit: bool,
    /// The directory for the files; made if it is not there.
    pub out: PathBuf,
}

/// Looks at the account, and writes the mails its owners would be sent.
///
/// # Errors
/// [`PreviewError`].
pub async fn of_plan(
    notices: &Notices,
    settings: &Settings,
    connection: &Connection,
    options: &PlanOptions,
) -> Result<PreviewFiles, PreviewError> {
    // Whatever the settings say: it only looks, and has no sender.
    let mail = MailSettings { sender: None, ..settings.mail.clone() };
    let looks = Settings { dry_run: true, mail, ..settings.clone() };
    let context = run::worker_context(&looks, connection).await?;
    let job = Job {
        name: options.name.clone(),
        email: Some(options.email.clone().unwrap_or_else(|| ADDRESS_NOT_GIVEN.to_owned())),
        ..Job::new(options.account.clone(), options.user.clone().map_or(Task::Account, Task::User))
    };
    let planned = account::preview(&context, &job).await?;
    let digest = Digest { dry_run: options.audit, ..planned };
    let mut folder = Folder::new(&options.out)?;
    folder.add(notices, options.account.as_str(), "The plan for an account", &digest, connection.partition())?;
    let written = folder.close()?;
    Ok(PreviewFiles { unread: digest.incomplete.len(), ..written })
}
