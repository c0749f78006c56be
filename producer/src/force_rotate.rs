//! `producer force-rotate`: rotates one user's key now, whatever its age.

use clap::Args;
use key_rotation_aws::Connection;
use rotation::job::{ForceRotate, Whom};
use rotation::{AccessKeyId, AccountId, Task, UserName};
use tracing::Instrument;
use uuid::Uuid;

use crate::command::CommandError;
use crate::request::{RequestReport, RequestSender, WaitOptions, access_key_id};
use crate::settings::Settings;

/// Rotate one user's access key now, found by its name, or by nothing but a leaked key's id.
///
/// The old key stays active for the install grace, unless --disable-old-now makes it inactive before anything else. An
/// inactive key of the user is deleted, as IAM allows only two. A user with two active keys has to give one up: name it with
/// --access-key-id and say --disable-old-now.
///
/// A leaked key: `producer force-rotate --access-key-id AKIA... --disable-old-now --wait`
#[derive(Debug, Clone, Args)]
#[group(skip)]
#[command(group = clap::ArgGroup::new("whom").required(true).multiple(true).args(["account", "access_key_id"]))]
pub struct ForceRotateOptions {
    /// The user's account [default: the account of --access-key-id]
    #[arg(long, value_name = "ID", requires = "user")]
    pub account: Option<AccountId>,

    /// The user, by name without path
    #[arg(long, value_name = "NAME", requires = "account")]
    pub user: Option<UserName>,

    /// The key to replace; its account and user are found out where they are not named
    #[arg(long, value_name = "AKIA...", value_parser = access_key_id)]
    pub access_key_id: Option<AccessKeyId>,

    /// Contain first: make the old key inactive before anything else. It stays so even if a later step fails
    #[arg(long)]
    pub disable_old_now: bool,

    /// Rotate although the user is exempt
    #[arg(long)]
    pub override_exemption: bool,

    /// Ask for an audit only: the worker says what it would do, and changes nothing
    #[arg(long)]
    pub dry_run: bool,

    #[command(flatten)]
    /// Whether to wait for the end.
    pub wait: WaitOptions,
}

/// Sends the request, and follows it where that is asked for.
///
/// # Errors
/// [`CommandError`] where nothing was sent.
pub async fn run(
    connection: &Connection,
    settings: &Settings,
    options: &ForceRotateOptions,
) -> Result<RequestReport, CommandError> {
    let run_id = Uuid::new_v4();
    let span = tracing::info_span!("force_rotate", %run_id);
    request(connection, settings, options, run_id).instrument(span).await
}

async fn request(
    connection: &Connection,
    settings: &Settings,
    options: &ForceRotateOptions,
    run_id: Uuid,
) -> Result<RequestReport, CommandError> {
    let (disable_old_now, override_exemption) = (options.disable_old_now, options.override_exemption);
    let asked = ForceRotate { whom: whom(options)?, disable_old_now, override_exemption };
    if let Some(refusal) = asked.refusal(connection.access_key_id().await.as_ref()) {
        return Err(CommandError::Usage(format!("{refusal}; nothing was sent")));
    }
    let sender = RequestSender::open(connection, settings, run_id).await?;
    let account = match (&options.account, asked.whom.access_key_id()) {
        (Some(account), None) => account.clone(),
        (named, Some(key)) => {
            let account = sender.account_of(key).await?;
            if let Some(named) = named.as_ref().filter(|named| **named != account) {
                return Err(CommandError::Usage(format!(
                    "the key {key} belongs to account {account}, not to {named}; nothing was sent"
                )));
            }
            account
        }
        (None, None) => return Err(CommandError::Usage("name an account, or a key with --access-key-id".to_owned())),
    };
    let account = sender.account(&account).await?;
    sender.send(account, Task::ForceRotate(asked), options.dry_run, options.wait).await
}

fn whom(options: &ForceRotateOptions) -> Result<Whom, CommandError> {
    match (&options.user, &options.access_key_id) {
        (Some(user), None) => Ok(Whom::User(user.clone())),
        (Some(user), Some(key)) => Ok(Whom::UserAndKey(user.clone(), key.clone())),
        (None, Some(key)) => Ok(Whom::Key(key.clone())),
        (None, None) => Err(CommandError::Usage("name a user with --user, or a key with --access-key-id".to_owned())),
    }
}
