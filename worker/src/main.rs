//! The worker: parses, wires, calls.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use jiff::Timestamp;
use key_rotation_aws::{Connection, telemetry};
use rotation::names::Partition;
use tracing::info;
use worker::notices::Notices;
use worker::queue::Stop;
use worker::{RawSettings, Settings, Tally, preview};

/// Takes messages off the queue and brings the access keys of the accounts they name to where policy wants them.
///
/// Runs until SIGTERM or SIGINT (a second one ends work in flight at once); in audit mode unless DRY_RUN=false. AWS's own
/// variables (AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL, …) work as everywhere. Exit status: 0 done; 1 it could not start,
/// or --drain left messages; 2 settings wrong, nothing was done.
#[derive(Debug, Parser)]
#[command(name = "worker", version)]
struct Cli {
    #[command(flatten)]
    settings: RawSettings,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the mails of sample plans as files, without sending; nothing of AWS is needed
    PreviewMail(PreviewMail),
}

#[derive(Debug, Args)]
struct PreviewMail {
    /// Audit wording; enforcement otherwise
    #[arg(long)]
    audit: bool,
    /// Directory for the files; made if it is not there
    #[arg(long, value_name = "DIR", default_value = "mail-preview")]
    out: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    telemetry::init(&cli.settings.log);
    if let Some(Command::PreviewMail(options)) = &cli.command {
        return preview_mail(&cli.settings, options);
    }
    // From here on: a signal that comes before it is listened for ends the process in the system's own way.
    let stop = stop_signal();
    let settings = match Settings::check(cli.settings) {
        Ok(settings) => settings,
        Err(problems) => return refuse(&problems),
    };
    let connection = match Connection::load("key-rotation-worker").await {
        Ok(connection) => connection,
        Err(error) => return refuse(&[error.to_string()]),
    };
    match worker::run(&settings, &connection, Arc::new(Tally::default()), stop).await {
        Ok(report) if report.left == 0 => ExitCode::SUCCESS,
        Ok(report) => {
            eprintln!("worker: {} messages are still in the queue, to be tried again", report.left);
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("worker: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Uses the same templates and mail settings as a worker would.
fn preview_mail(settings: &RawSettings, options: &PreviewMail) -> ExitCode {
    let notices = match Notices::new(settings.mail_for_preview(), None, Partition::Aws) {
        Ok(notices) => notices,
        Err(error) => return refuse(&[error.to_string()]),
    };
    let as_of = settings.as_of().unwrap_or_else(Timestamp::now);
    let preview = preview::Options { as_of, audit: options.audit, out: options.out.clone() };
    match preview::write(&notices, &preview) {
        Ok(files) => {
            for file in files {
                println!("{}", file.display());
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("worker: the mails could not be written to {}: {error}", options.out.display());
            ExitCode::FAILURE
        }
    }
}

fn refuse(problems: &[String]) -> ExitCode {
    for problem in problems {
        eprintln!("worker: {problem}");
    }
    ExitCode::from(2)
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
                    info!(signal = name, "told to stop: nothing more is received");
                    stop.ask();
                }
            });
        }
    }
    stop
}
