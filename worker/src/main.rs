//! The worker: parses, wires, calls.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use key_rotation_aws::{Connection, telemetry};
use tokio_util::sync::CancellationToken;
use worker::{RawSettings, Settings, Tally};

/// Takes messages off the queue and brings the access keys of the accounts they name to where policy wants them.
///
/// Runs until SIGTERM or SIGINT; in audit mode unless DRY_RUN=false. AWS's own variables (AWS_REGION, AWS_PROFILE,
/// AWS_ENDPOINT_URL, …) work as everywhere. Exit status: 0 done; 1 it could not start, or --drain left messages; 2 settings
/// wrong, nothing was done.
#[derive(Debug, Parser)]
#[command(name = "worker", version)]
struct Cli {
    #[command(flatten)]
    settings: RawSettings,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    telemetry::init(&cli.settings.log);
    let settings = match Settings::check(cli.settings) {
        Ok(settings) => settings,
        Err(problems) => return refuse(&problems),
    };
    let connection = match Connection::load("key-rotation-worker").await {
        Ok(connection) => connection,
        Err(error) => return refuse(&[error.to_string()]),
    };
    match worker::run(&settings, &connection, Arc::new(Tally::default()), stop_signal()).await {
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

fn refuse(problems: &[String]) -> ExitCode {
    for problem in problems {
        eprintln!("worker: {problem}");
    }
    ExitCode::from(2)
}

/// Cancelled by SIGTERM (ECS, systemd) or SIGINT (a terminal).
fn stop_signal() -> CancellationToken {
    use tokio::signal::unix::{SignalKind, signal};
    let stop = CancellationToken::new();
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let stop = stop.clone();
        if let Ok(mut signals) = signal(kind) {
            tokio::spawn(async move {
                signals.recv().await;
                stop.cancel();
            });
        }
    }
    stop
}
