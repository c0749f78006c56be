//! The `sandbox` command.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use sandbox::demo::{self, DemoArgs};
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
    /// Run the real producer and workers over a generated organization, a scheduled run a simulated day, and check the promises.
    Demo(DemoArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    let ended = match Arguments::parse().command {
        Command::Serve(arguments) => {
            serve::run(&arguments, stop).await.map(|()| true).map_err(|error| error.to_string())
        }
        Command::Demo(arguments) => demo::run(&arguments).await.map_err(|error| error.to_string()),
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        // Promises were broken; the demo has said which.
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("sandbox: {error}");
            ExitCode::FAILURE
        }
    }
}
