//! The `demo` command.

use std::process::ExitCode;

use clap::Parser;

/// Run the real producer and workers over a generated organization, one scheduled run a simulated day, and check the promises
/// against the sandbox's own record. No AWS account is needed. Exits 1 if a promise was broken.
#[derive(Debug, Parser)]
#[command(name = "demo", version)]
struct Arguments {
    #[command(flatten)]
    demo: demo::DemoArgs,
}

#[tokio::main]
async fn main() -> ExitCode {
    match demo::run(&Arguments::parse().demo).await {
        Ok(true) => ExitCode::SUCCESS,
        // Promises were broken; the demo has said which.
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}
