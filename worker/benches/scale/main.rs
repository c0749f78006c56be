//! How fast, how large, how many calls: the released programs as processes on a sandboxed organization, measured from outside.
//!
//! ```sh
//! cargo build --release --workspace && cargo bench --workspace --bench scale            # the table of docs/scaling.md: some eight minutes
//! cargo bench --workspace --bench scale -- --row start --row idle                       # only these rows
//! cargo bench --workspace --bench scale -- --size 0.1                                   # a tenth of the accounts: a minute
//! cargo bench --workspace --bench scale -- --programs target/dist                       # the programs as images have them
//! ```
//!
//! Results are printed and kept as JSON, and shown beside those of the last run. Calls are exact, and held by `tests/tests/calls.rs`;
//! processor time and memory are good on a busy machine, too; times need one that does nothing else. Nothing fails because of a figure.
//! The sandbox runs in this process, and its processor time is told apart.

mod organization;
mod process;
mod results;
mod rows;

use std::path::PathBuf;

use clap::Parser;

use results::Results;

#[derive(Debug, Parser)]
#[command(about = "Measures producer and worker on a sandboxed organization")]
struct Arguments {
    /// Only this row; may be repeated
    #[arg(long = "row", value_name = "NAME", value_parser = rows::names())]
    rows: Vec<String>,
    /// So much of each row's accounts
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    size: f64,
    /// Directory of the programs; that of this build if not given
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Results to compare with; those of the last run if not given
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Where to keep the results
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_TARGET_TMPDIR"), "/scale.json"))]
    json: PathBuf,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let arguments = Arguments::parse();
    let programs = arguments.programs.unwrap_or_else(process::programs_of_this_build);
    let stage = rows::Bench { programs, size: arguments.size };
    let last = Results::read(arguments.against.as_ref().unwrap_or(&arguments.json));
    let mut results = Results::begin(&stage.programs, stage.size);
    println!("{}", results.circumstances());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    for row in
        rows::ROWS.iter().filter(|row| arguments.rows.is_empty() || arguments.rows.iter().any(|name| name == row.name))
    {
        println!("\n{}: {}", row.name, row.what);
        let figures = runtime.block_on(row.measure(&stage));
        results.add(row.name, figures, &last);
    }
    results.keep(last, &arguments.json);
    println!("\nkept in {}", arguments.json.display());
}
