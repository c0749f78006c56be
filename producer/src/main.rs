//! The producer's executable: parses the command line and hands it over.

use std::process::ExitCode;

use clap::Parser;
use producer::cli::{self, Cli};

#[tokio::main]
async fn main() -> ExitCode {
    ExitCode::from(cli::run(&Cli::parse()).await.code())
}
