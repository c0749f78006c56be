//! The command line: what there is, and how its results are printed.

use std::io::Write;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use key_rotation_aws::settings::LogSettings;
use key_rotation_aws::{Connection, telemetry};

use crate::command::{CommandError, ExitStatus, Report};
use crate::dead_letters::{DeleteOptions, ListOptions, RedriveOptions};
use crate::force_rotate::ForceRotateOptions;
use crate::restore::RestoreOptions;
use crate::schedule::ScheduleOptions;
use crate::settings::{RawSettings, Settings};
use crate::{dead_letters, force_rotate, restore, schedule, status};

/// Puts an AWS Organization's access keys up for rotation, and carries out an operator's requests.
///
/// Messages go onto an SQS queue; workers do the work. Every setting is a flag and an environment variable, the flag winning;
/// AWS's own variables (AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL, ...) work as everywhere.
#[derive(Debug, Parser)]
#[command(name = "producer", version, propagate_version = true, after_help = EXIT_CODES)]
pub struct Cli {
    /// Print the result as one JSON object
    #[arg(long, global = true)]
    pub json: bool,

    /// The settings.
    #[command(flatten)]
    pub settings: RawSettings,

    /// Logging.
    #[command(flatten)]
    pub log: LogSettings,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit status: 0 done; 1 some or all of the work failed (what, on stderr); \
    2 usage or settings wrong, nothing was done.";

/// The commands.
#[derive(Debug, Subcommand)]
#[expect(missing_docs, reason = "clap takes a command's help, and so its documentation, from its options")]
pub enum Command {
    #[command(after_help = EXIT_CODES)]
    Schedule(ScheduleOptions),
    #[command(after_help = EXIT_CODES)]
    ForceRotate(ForceRotateOptions),
    #[command(after_help = EXIT_CODES)]
    Restore(RestoreOptions),
    /// Show how many messages wait, are in flight, are delayed and are dead, on every queue that is set.
    ///
    /// SQS's counts are approximate and lag by up to a minute. The age of the oldest message SQS tells only through CloudWatch
    /// (ApproximateAgeOfOldestMessage); looking would count as a delivery, so it is shown as unknown.
    #[command(after_help = EXIT_CODES)]
    Status,
    /// Look at messages that workers have given up on, send them back, or delete them.
    #[command(subcommand, after_help = EXIT_CODES)]
    DeadLetters(DeadLettersCommand),
    /// Print a completion script for a shell, to be sourced.
    Completions {
        /// The shell.
        #[arg(value_enum)]
        shell: Shell,
    },
}

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
#[expect(missing_docs, reason = "clap takes a command's help, and so its documentation, from its options")]
pub enum DeadLettersCommand {
    #[command(after_help = EXIT_CODES)]
    List(ListOptions),
    #[command(after_help = EXIT_CODES)]
    Redrive(RedriveOptions),
    #[command(after_help = EXIT_CODES)]
    Delete(DeleteOptions),
}

/// Runs a command and prints what came of it.
pub async fn run(cli: &Cli) -> ExitStatus {
    if let Command::Completions { shell } = cli.command {
        clap_complete::generate(shell, &mut Cli::command(), "producer", &mut std::io::stdout());
        return ExitStatus::Done;
    }
    telemetry::init(&cli.log);
    match execute(cli).await {
        Ok(status) => status,
        Err(error) => {
            tell(&error.to_string());
            error.exit_status()
        }
    }
}

async fn execute(cli: &Cli) -> Result<ExitStatus, CommandError> {
    let settings = cli.settings.check();
    let connection = Connection::load("key-rotation-producer").await;
    let (settings, connection) = match (settings, connection) {
        (Ok(settings), Ok(connection)) => (settings, connection),
        (settings, connection) => {
            let mut problems = settings.err().map(|invalid| invalid.0).unwrap_or_default();
            problems.extend(connection.err().map(|error| error.to_string()));
            return Err(CommandError::Usage(problems.join("\nproducer: ")));
        }
    };
    command(cli, &connection, &settings).await
}

async fn command(cli: &Cli, connection: &Connection, settings: &Settings) -> Result<ExitStatus, CommandError> {
    match &cli.command {
        Command::Schedule(options) => show(cli, &schedule::run(connection, settings, options).await?),
        Command::ForceRotate(options) => show(cli, &force_rotate::run(connection, settings, options).await?),
        Command::Restore(options) => show(cli, &restore::run(connection, settings, options).await?),
        Command::Status => show(cli, &status::run(connection, settings).await?),
        Command::DeadLetters(DeadLettersCommand::List(options)) => {
            show(cli, &dead_letters::list::run(connection, settings, options).await?)
        }
        Command::DeadLetters(DeadLettersCommand::Redrive(options)) => {
            show(cli, &dead_letters::redrive::run(connection, settings, options).await?)
        }
        Command::DeadLetters(DeadLettersCommand::Delete(options)) => {
            show(cli, &dead_letters::delete::run(connection, settings, options).await?)
        }
        Command::Completions { .. } => Ok(ExitStatus::Done),
    }
}

/// The result on stdout, what went wrong on stderr.
fn show(cli: &Cli, report: &impl Report) -> Result<ExitStatus, CommandError> {
    let text = if cli.json {
        serde_json::to_string_pretty(report)
            .map_err(|error| CommandError::Failed(format!("the result could not be written as JSON: {error}")))?
    } else {
        report.to_string()
    };
    // A reader that has gone away, as `head` does, changes nothing about what was done.
    let _gone = writeln!(std::io::stdout(), "{text}");
    report.problems().iter().for_each(|problem| tell(problem));
    Ok(report.exit_status())
}

fn tell(problem: &str) {
    let _gone = writeln!(std::io::stderr(), "producer: {problem}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_and_every_option_has_help() {
        fn check(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{} has no help", command.get_name());
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {} has no help", command.get_name(), argument.get_id());
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }

    #[test]
    fn a_forced_rotation_names_a_user_in_an_account_or_a_key() {
        assert!(parse("producer force-rotate --account 123456789012 --user alice").is_ok());
        assert!(parse("producer force-rotate --access-key-id AKIAIOSFODNN7EXAMPLE --disable-old-now --wait").is_ok());
        assert!(
            parse("producer force-rotate --account 123456789012 --user alice --access-key-id AKIAIOSFODNN7EXAMPLE")
                .is_ok()
        );
        for wrong in ["", "--account 123456789012", "--user alice", "--account 12 --user alice", "--access-key-id AKIA"]
        {
            let error = parse(&format!("producer force-rotate {wrong}")).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{wrong}");
        }
    }

    #[test]
    fn an_unknown_reason_is_answered_with_the_list_of_reasons() {
        assert!(parse("producer dead-letters redrive --reason roleRefused,Undeliverable").is_ok());
        let error = parse("producer dead-letters list --reason Hopeless").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("the reasons are MalformedMessage, Refused, RoleRefused,"), "{error}");
    }

    #[test]
    fn accounts_and_units_may_be_repeated_and_mistyped_ones_are_refused() {
        let line = "producer schedule --ou ou-ab12-34cd56ef --account 123456789012 --account 123456789013,123456789014 \
                    --exclude-account 123456789015 --granularity user --dry-run";
        let Command::Schedule(options) = parse(line).unwrap().command else { panic!("not schedule") };
        assert_eq!((options.units.len(), options.accounts.len(), options.excluded.len()), (1, 3, 1));
        assert_eq!(options.granularity, schedule::Granularity::User);
        assert!(options.dry_run);
        let error = parse("producer schedule --account 12345678901").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("exactly 12 digits"), "{error}");
    }
}
