//! The worker: parses, wires, calls.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use jiff::Timestamp;
use key_rotation_aws::queue::in_other_region;
use key_rotation_aws::settings::no_such_queue;
use key_rotation_aws::{Connection, RedriveError, command_line, telemetry};
use rotation::names::Partition;
use rotation::{AccountId, UserName};
use tracing::info;
use worker::notices::{MailSettings, Notices};
use worker::queue::Stop;
use worker::{RawSettings, Settings, StartError, preview};

/// Takes messages off the queue and brings the access keys of the accounts they name to where policy wants them.
///
/// Runs until SIGTERM or SIGINT (a second one ends work in flight at once); in audit mode unless DRY_RUN=false. AWS's own
/// variables (AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL, …) work as everywhere. Exit status: 0 done; 1 it could not start,
/// or --drain left messages; 2 settings wrong, nothing was done.
#[derive(Debug, Parser)]
#[command(
    name = "worker",
    version = command_line::version(),
    override_usage = "worker [OPTIONS]\n       worker preview-mail [OPTIONS]",
    after_help = EXAMPLES
)]
struct Cli {
    #[command(flatten)]
    settings: RawSettings,
    #[command(subcommand)]
    command: Option<Command>,
}

const EXAMPLES: &str = "Examples:
  # work the queue off once, changing nothing
  worker --drain
  # the same, enforcing
  DRY_RUN=false worker --drain
  # the mails that an account's owners would get
  worker preview-mail --account 123456789012 \\
    --iam-assumed-role-name OrganizationAccountAccessRole";

#[derive(Debug, Subcommand)]
enum Command {
    /// Write mails as files, without sending any: of samples, or of the plan for an account
    ///
    /// Of samples nothing of AWS is needed. With --account the account is examined as the workers would examine it, through the
    /// member role and with a session that can only read, with the settings and templates they would have; --as-of says on
    /// which day. Nothing is changed, and no queue is touched. index.txt says who would get which mail.
    #[command(after_help = "Settings (the role, periods, mail, ...) and exit status: worker --help")]
    PreviewMail(PreviewMail),
    /// Print a completion script for a shell, to be sourced.
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Print the manual page, or write one for each command into a directory.
    Man {
        /// Directory for the pages; made if it is not there
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
#[command(next_help_heading = "What to preview")]
struct PreviewMail {
    /// The plan for this account; samples otherwise
    #[arg(long, value_name = "ID")]
    account: Option<AccountId>,
    /// Only this user of it
    #[arg(long, value_name = "NAME", requires = "account")]
    user: Option<UserName>,
    /// The account's name, which workers have from the message
    #[arg(long, value_name = "NAME", requires = "account")]
    account_name: Option<String>,
    /// The account's address, which workers have from the message
    #[arg(long, value_name = "ADDRESS", requires = "account")]
    account_email: Option<String>,
    /// Audit wording; enforcement otherwise
    #[arg(long)]
    audit: bool,
    /// Directory for the files; made if it is not there
    #[arg(long, value_name = "DIR", default_value = "mail-preview")]
    out: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli: Cli = command_line::parse();
    telemetry::init(&cli.settings.log);
    match &cli.command {
        Some(Command::PreviewMail(options)) => {
            return preview_mail(cli.settings, options).await.unwrap_or_else(|problems| refuse(&problems));
        }
        Some(Command::Completions { shell }) => {
            return exit_code_of(command_line::print_completions::<Cli>(*shell));
        }
        Some(Command::Man { out }) => return exit_code_of(command_line::write_manual::<Cli>(out.as_deref())),
        None => {}
    }
    // From here on: a signal that comes before it is listened for ends the process in the system's own way.
    let stop = stop_signal();
    let settings = match Settings::check(cli.settings) {
        Ok(settings) => settings,
        Err(problems) => return refuse(&problems),
    };
    let connection = match connect().await {
        Ok(connection) => connection,
        Err(status) => return status,
    };
    let Settings { queue, dead_letter_queue, urgent_queue, .. } = &settings;
    let mut problems = in_other_region(queue, dead_letter_queue.as_ref(), urgent_queue.as_ref(), connection.region());
    problems.extend(settings.check_region(connection.region()).err());
    problems.extend(settings.check_partition(connection.partition()).err());
    if !problems.is_empty() {
        return refuse(&problems);
    }
    match worker::run(&settings, &connection, stop).await {
        Ok(report) if report.left == 0 => ExitCode::SUCCESS,
        Ok(report) => {
            say(&format!("{} messages are still in the queue, to be tried again", report.left));
            ExitCode::FAILURE
        }
        Err(error) => match wrong_setting(&error, &settings) {
            Some(problem) => refuse(&[problem]),
            None => {
                say(&error.to_string());
                ExitCode::FAILURE
            }
        },
    }
}

/// What is wrong with the settings, where that is why the worker does not start.
fn wrong_setting(error: &StartError, settings: &Settings) -> Option<String> {
    match error {
        // The dead-letter queue that the redrive policy names may be missing as well: that is asked for by another call.
        StartError::Redrive(RedriveError::Aws { queue, source }) if source.operation == "sqs:GetQueueAttributes" => {
            let is_urgent = settings.urgent_queue.as_ref() == Some(queue);
            no_such_queue(if is_urgent { "URGENT_QUEUE_URL" } else { "QUEUE_URL" }, queue, source)
        }
        StartError::Redrive(
            RedriveError::NoDeadLetterQueue(_) | RedriveError::Unreadable(_) | RedriveError::KindsDiffer { .. },
        )
        | StartError::Template(_) => Some(error.to_string()),
        StartError::Redrive(RedriveError::Aws { .. }) | StartError::OwnAccount(_) => None,
    }
}

/// Uses the same templates and settings as a worker would.
///
/// # Errors
/// Settings or templates that are wrong: then nothing was done.
async fn preview_mail(raw: RawSettings, options: &PreviewMail) -> Result<ExitCode, Vec<String>> {
    let mail = raw.mail_for_preview();
    let (audit, out) = (options.audit, options.out.clone());
    let preview = if let Some(account) = options.account.clone() {
        let settings = Settings::check_for_preview(raw)?;
        let connection = match connect().await {
            Ok(connection) => connection,
            Err(status) => return Ok(status),
        };
        let notices = Notices::new(mail, None, connection.partition()).map_err(|error| vec![error.to_string()])?;
        let (user, name, email) = (options.user.clone(), options.account_name.clone(), options.account_email.clone());
        let plan = preview::PlanOptions { account, user, name, email, audit, out };
        preview::of_plan(&notices, &settings, &connection, &plan).await
    } else {
        // Samples show every mail there is, whatever day it is.
        let mail = MailSettings { audit_run_interval: 7, ..mail };
        let notices = Notices::new(mail, None, Partition::AWS).map_err(|error| vec![error.to_string()])?;
        let as_of = raw.as_of().unwrap_or_else(Timestamp::now);
        preview::of_samples(&notices, &preview::Options { as_of, audit, out })
    };
    Ok(match preview {
        Ok(preview) => {
            let files: String = preview.files.iter().map(|file| format!("{}\n", file.display())).collect();
            let printed = exit_code_of(command_line::print(files.as_bytes()));
            match preview.unread {
                0 => printed,
                unread => {
                    say(&format!("{unread} users could not be examined: the mails do not tell everything"));
                    ExitCode::FAILURE
                }
            }
        }
        Err(error) => {
            say(&error.to_string());
            ExitCode::FAILURE
        }
    })
}

/// How the process ends that had a script or the manual to write.
fn exit_code_of(result: io::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("worker: what was asked for could not be written: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The way to AWS, or how the process ends without it, once it has said why: 2 where a setting is wrong, 1 where AWS could not be
/// called.
async fn connect() -> Result<Connection, ExitCode> {
    Connection::load("key-rotation-worker").await.map_err(|error| {
        say(&error.to_string());
        if error.is_of_settings() { ExitCode::from(2) } else { ExitCode::FAILURE }
    })
}

fn refuse(problems: &[String]) -> ExitCode {
    problems.iter().for_each(|problem| say(problem));
    ExitCode::from(2)
}

fn say(problem: &str) {
    telemetry::say_problem("worker", problem);
}

/// Asked for by SIGTERM (ECS, systemd) or SIGINT (a terminal); by a second one, at once.
fn stop_signal() -> Stop {
    use tokio::signal::unix::{SignalKind, signal};
    let stop = Stop::default();
    for (kind, name) in [(SignalKind::terminate(), "SIGTERM"), (SignalKind::interrupt(), "SIGINT")] {
        let stop = stop.clone();
        if let Ok(mut signals) = signal(kind) {
            tokio::spawn(async move {
                while signals.recv().await.is_some() {
                    info!(signal = name, "shutting down: no more messages are received");
                    stop.ask();
                }
            });
        }
    }
    stop
}
