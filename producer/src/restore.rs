//! `producer restore`: the undo. A disabled key that still exists is made active again, by the worker.

use clap::Args;
use key_rotation_aws::Connection;
use rotation::{AccessKeyId, AccountId, Task, UserName};
use tracing::Instrument;
use uuid::Uuid;

use crate::command::CommandError;
use crate::request::{RequestReport, RequestSender, WaitOptions, access_key_id};
use crate::settings::Settings;

/// Make a user's disabled key active again, as long as it has not been deleted.
///
/// Its owner is told; where the key has a successor, it is disabled again after another install grace. A worker that only
/// audits refuses to: the key can then be made active with IAM itself.
#[derive(Debug, Clone, Args)]
pub struct RestoreOptions {
    /// The user's account
    #[arg(long, value_name = "ID")]
    pub account: AccountId,

    /// The user, by name without path
    #[arg(long, value_name = "NAME")]
    pub user: UserName,

    /// The key, where the user has two that are inactive
    #[arg(long, value_name = "AKIA...", value_parser = access_key_id)]
    pub access_key_id: Option<AccessKeyId>,

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
    options: &RestoreOptions,
) -> Result<RequestReport, CommandError> {
    let run_id = Uuid::new_v4();
    let request = async {
        let sender = RequestSender::open(connection, settings, run_id).await?;
        let account = sender.account(&options.account).await?;
        let task = Task::Restore { user: options.user.clone(), access_key_id: options.access_key_id.clone() };
        sender.send(account, task, false, options.wait).await
    };
    request.instrument(tracing::info_span!("restore", %run_id)).await
}
