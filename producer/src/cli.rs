//! The command line: what there is, and how its results are printed.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use clap_complete::Shell;
use key_rotation_aws::settings::LogSettings;
use key_rotation_aws::{Connection, command_line, telemetry};

use crate::command::{CommandError, ExitStatus, Report};
use crate::dead_letters::{DeleteOptions, ListOptions, RedriveOptions};
use crate::force_rotate::ForceRotateOptions;
use crate::report::ReportOptions;
use crate::restore::RestoreOptions;
use crate::schedule::ScheduleOptions;
use crate::settings::{InvalidSettings, RawSettings, Settings};
use crate::status::StatusOptions;
use crate::{dead_letters, force_rotate, report, restore, schedule, status};

/// Queues the accounts of an AWS Organization for access key rotation, and sends operators' requests to the workers.
///
/// Messages go onto an SQS queue; workers do the work. Every setting is a flag and an environment variable, the flag winning;
/// AWS's own variables (AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL, ...) work as everywhere.
#[derive(Debug, Parser)]
#[command(
    name = "producer",
    version = command_line::version(),
    propagate_version = true,
    override_usage = "producer [SETTINGS] <COMMAND>",
    after_help = PROGRAM_HELP
)]
pub struct Cli {
    /// Print the result as one JSON object
    #[arg(long, global = true)]
    pub json: bool,

    #[command(flatten)]
    pub settings: RawSettings,

    #[command(flatten)]
    pub log: LogSettings,

    #[command(subcommand)]
    pub command: Command,
}

const PROGRAM_HELP: &str = "Examples:
  # audit the whole organization
  producer schedule --dry-run
  # one unit, followed until it is done
  producer schedule --ou ou-ab12-34cd56ef --watch
  # a leaked key: disabled first, then replaced
  producer force-rotate --access-key-id AKIA... --disable-old-now --wait
  # how every key stands, with nothing deployed
  producer report --this-account
  # has a user's new key been installed?
  producer status --account 123456789012 --user alice
  # what workers have given up on
  producer dead-letters list

Exit status: 0 done; 1 some or all of the work failed (what, on stderr); 2 usage or settings wrong, nothing was done.";

const COMMAND_HELP: &str = "--json, settings (queues, roles, log format) and exit status: producer --help";

#[derive(Debug, Subcommand)]
pub enum Command {
    #[command(flatten)]
    OnQueue(OnQueueCommand),
    #[command(after_help = COMMAND_HELP, override_usage = "producer report [OPTIONS]")]
    Report(ReportOptions),
    /// Print a completion script for a shell, to be sourced.
    #[command(override_usage = "producer completions <SHELL>")]
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Print the manual page, or write one for each command into a directory.
    #[command(override_usage = "producer man [--out <DIR>]")]
    Man {
        /// Directory for the pages; made if it is not there
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

/// Commands about what is on queues. What clap shows of those with options is their options' documentation.
#[derive(Debug, Subcommand)]
pub enum OnQueueCommand {
    #[command(after_help = COMMAND_HELP, override_usage = "producer schedule [OPTIONS]")]
    Schedule(ScheduleOptions),
    #[command(
        after_help = COMMAND_HELP,
        override_usage = "producer force-rotate --account <ID> --user <NAME> [OPTIONS]\n       producer force-rotate --access-key-id <AKIA...> [OPTIONS]"
    )]
    ForceRotate(ForceRotateOptions),
    #[command(after_help = COMMAND_HELP, override_usage = "producer restore --account <ID> --user <NAME> [OPTIONS]")]
    Restore(RestoreOptions),
    #[command(
        after_help = COMMAND_HELP,
        override_usage = "producer status [OPTIONS]\n       producer status --account <ID> --user <NAME> [OPTIONS]"
    )]
    Status(StatusOptions),
    /// Look at messages that workers have given up on, send them back, or delete them.
    #[command(subcommand, after_help = COMMAND_HELP, override_usage = "producer dead-letters <COMMAND>")]
    DeadLetters(DeadLettersCommand),
}

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub enum DeadLettersCommand {
    #[command(after_help = COMMAND_HELP, override_usage = "producer dead-letters list [OPTIONS]")]
    List(ListOptions),
    #[command(after_help = COMMAND_HELP, override_usage = "producer dead-letters redrive [OPTIONS]")]
    Redrive(RedriveOptions),
    #[command(
        after_help = COMMAND_HELP,
        override_usage = "producer dead-letters delete --reason <REASON> [OPTIONS]\n       producer dead-letters delete --account <ID> [OPTIONS]"
    )]
    Delete(DeleteOptions),
}

/// Runs a command and prints what came of it.
pub async fn run(cli: &Cli) -> ExitStatus {
    telemetry::init(&cli.log);
    match execute(cli).await {
        Ok(status) => status,
        Err(error) => {
            error.to_string().lines().for_each(say);
            error.exit_status()
        }
    }
}

async fn execute(cli: &Cli) -> Result<ExitStatus, CommandError> {
    let command = match &cli.command {
        Command::OnQueue(OnQueueCommand::Status(StatusOptions { account: Some(account), user: Some(user) })) => {
            let access = cli.settings.check_access().map_err(|invalid| usage(&invalid))?;
            return show(cli, &status::user::run(&load().await?, &access.member_role, account, user).await?);
        }
        Command::OnQueue(command) => command,
        Command::Report(options) => {
            let access = cli.settings.check_access().map_err(|invalid| usage(&invalid))?;
            options.periods.policy()?;
            return show(cli, &report::run(&load().await?, &access, options).await?);
        }
        Command::Completions { shell } => {
            let written = command_line::print_completions::<Cli>(*shell);
            written.map_err(|error| CommandError::Failed(format!("the script could not be written: {error}")))?;
            return Ok(ExitStatus::Done);
        }
        Command::Man { out } => {
            let written = command_line::write_manual::<Cli>(out.as_deref());
            written.map_err(|error| CommandError::Failed(format!("the manual could not be written: {error}")))?;
            return Ok(ExitStatus::Done);
        }
    };
    let (settings, connection) = connect(cli).await?;
    match command {
        OnQueueCommand::Schedule(options) => show(cli, &schedule::run(&connection, &settings, options).await?),
        OnQueueCommand::ForceRotate(options) => show(cli, &force_rotate::run(&connection, &settings, options).await?),
        OnQueueCommand::Restore(options) => show(cli, &restore::run(&connection, &settings, options).await?),
        OnQueueCommand::Status(_) => show(cli, &status::run(&connection, &settings).await?),
        OnQueueCommand::DeadLetters(DeadLettersCommand::List(options)) => {
            show(cli, &dead_letters::list::run(&connection, &settings, options).await?)
        }
        OnQueueCommand::DeadLetters(DeadLettersCommand::Redrive(options)) => {
            show(cli, &dead_letters::redrive::run(&connection, &settings, options).await?)
        }
        OnQueueCommand::DeadLetters(DeadLettersCommand::Delete(options)) => {
            show(cli, &dead_letters::delete::run(&connection, &settings, options).await?)
        }
    }
}

/// The settings checked, and the way to AWS tried: whatever is wrong with either is told before anything is done.
async fn connect(cli: &Cli) -> Result<(Settings, Connection), CommandError> {
    let settings = cli.settings.check().map_err(|invalid| usage(&invalid))?;
    let connection = load().await?;
    let problems = settings.queues_in_other_region(connection.region());
    if problems.is_empty() { Ok((settings, connection)) } else { Err(CommandError::Usage(problems.join("\n"))) }
}

async fn load() -> Result<Connection, CommandError> {
    Connection::load("key-rotation-producer").await.map_err(|error| match error.is_of_settings() {
        true => CommandError::Usage(error.to_string()),
        false => CommandError::Failed(error.to_string()),
    })
}

fn usage(invalid: &InvalidSettings) -> CommandError {
    CommandError::Usage(invalid.0.join("\n"))
}

/// The result on stdout, what went wrong on stderr.
fn show(cli: &Cli, report: &impl Report) -> Result<ExitStatus, CommandError> {
    let text = if cli.json {
        serde_json::to_string_pretty(report)
            .map_err(|error| CommandError::Failed(format!("the result could not be written as JSON: {error}")))?
    } else {
        report.to_string()
    };
    let printed = command_line::print(format!("{text}\n").as_bytes());
    report.problems().iter().for_each(|problem| say(problem));
    printed.map_err(|error| CommandError::Failed(format!("the result could not be written: {error}")))?;
    Ok(report.exit_status())
}

fn say(problem: &str) {
    telemetry::say_problem("producer", problem);
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::organization::Scope;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        command_line::try_parse(&line.split_whitespace().map(Into::into).collect::<Vec<_>>())
    }

    #[test]
    fn clap_finds_no_contradiction_in_the_command_line() {
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
    fn an_error_shows_the_usage_without_settings() {
        let error = parse("producer force-rotate --queue-url https://sqs.eu-west-1.amazonaws.com/1/q").unwrap_err();
        let text = error.to_string();
        let (_, usage) = text.split_once("Usage: ").expect("an error shows the usage");
        assert!(usage.starts_with("producer force-rotate --account <ID> --user <NAME>"), "{text}");
        assert!(!usage.contains("--queue-url"), "{text}");
    }

    #[test]
    fn help_fits_a_screen_and_shows_the_settings_once() {
        let help = |line: &str| parse(line).unwrap_err().to_string();
        assert!(help("producer -h").contains("--queue-url"));
        for command in
            ["schedule", "report", "force-rotate", "restore", "status", "dead-letters list", "dead-letters redrive"]
        {
            let text = help(&format!("producer {command} -h"));
            assert!(!text.contains("--queue-url"), "{text}");
            assert!(text.lines().count() <= 40, "{command}: {} lines", text.lines().count());
        }
    }

    #[test]
    fn examples_fit_into_eighty_columns() {
        let widest = PROGRAM_HELP.lines().take_while(|line| !line.is_empty()).map(str::len).max();
        assert!(widest <= Some(80), "{widest:?}");
    }

    #[test]
    fn every_number_is_read_by_the_parser_that_says_what_it_counts() {
        fn check(command: &clap::Command, words: &str) {
            let numbers = ["DAYS", "SECONDS", "N"];
            for arg in command.get_arguments().filter(|arg| {
                arg.get_value_names().is_some_and(|names| names.iter().any(|name| numbers.contains(&name.as_str())))
            }) {
                let flag = arg.get_long().unwrap();
                let error = parse(&format!("{words} --{flag} 90d")).unwrap_err().to_string();
                assert!(
                    error.starts_with(&format!("error: --{flag} is wrong: \"90d\" is not a whole number of ")),
                    "{error}"
                );
            }
            command.get_subcommands().for_each(|command| check(command, &format!("{words} {}", command.get_name())));
        }
        check(&Cli::command(), "producer");
    }

    #[test]
    fn a_secret_that_was_pasted_for_an_access_key_id_is_refused_and_not_repeated() {
        for secret in ["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"] {
            for command in ["force-rotate", "restore --account 123456789012 --user alice"] {
                let error = parse(&format!("producer {command} --access-key-id {secret}")).unwrap_err();
                let told = format!("{error} {error:?}");
                assert!(told.contains("--access-key-id is wrong: it is not an access key id"), "{told}");
                assert!(!told.contains(&secret[..12]), "{told}");
            }
        }
    }

    #[test]
    fn dead_letters_are_deleted_by_reason_or_account_and_never_all() {
        assert!(parse("producer dead-letters delete --reason Refused --account 123456789012").is_ok());
        let error = parse("producer dead-letters delete").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("<--reason <REASON>|--account <ID>>"), "{error}");
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
        let Command::OnQueue(OnQueueCommand::Schedule(options)) = parse(line).unwrap().command else {
            panic!("not schedule")
        };
        let Scope { units, accounts, excluded } = &options.scope;
        assert_eq!((units.len(), accounts.len(), excluded.len()), (1, 3, 1));
        assert_eq!(options.granularity, schedule::Granularity::User);
        assert!(options.dry_run);
        let error = parse("producer schedule --account 12345678901").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("exactly 12 digits"), "{error}");
    }
}
