//! The producer's executable: parses the command line and hands it over.

use std::process::ExitCode;

use key_rotation_aws::command_line;
use producer::cli::{self, Cli};

#[tokio::main]
async fn main() -> ExitCode {
    ExitCode::from(cli::run(&command_line::parse::<Cli>()).await.code())
}
