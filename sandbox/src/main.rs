//! The `sandbox` command.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use sandbox::serve::{self, ServeArgs};

/// An AWS Organization on localhost, for trying and testing the key rotation without an AWS account.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve an organization until stopped; prints the environment to export.
    Serve(ServeArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    let Command::Serve(arguments) = Arguments::parse().command;
    match serve::run(&arguments, stop).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sandbox: {error}");
            ExitCode::FAILURE
        }
    }
}
