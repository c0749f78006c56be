//! What the command lines of both programs have in common: errors that name the variable, help that shows the settings once,
//! completions, manual pages, and the version.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::sync::LazyLock;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, Command, CommandFactory, FromArgMatches};
use clap_complete::Shell;

use crate::telemetry;

/// The version, with the commit it was built from: `KEY_ROTATION_COMMIT` while it is built.
pub fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let commit = option_env!("KEY_ROTATION_COMMIT").filter(|commit| !commit.is_empty());
        format!("{} (commit {})", env!("CARGO_PKG_VERSION"), commit.unwrap_or("unknown"))
    });
    VERSION.as_str()
}

/// A program's command line. The settings are understood by every sub-command, and shown by the program's own help only.
pub fn command<C: CommandFactory>() -> Command {
    built(C::command())
}

fn built(mut command: Command) -> Command {
    command.build();
    command.mut_subcommands(without_settings)
}

fn without_settings(command: Command) -> Command {
    let command = command.mut_args(|arg| if arg.is_global_set() { arg.hide(true) } else { arg });
    command.mut_subcommands(without_settings)
}

/// Reads the command line, or says what is wrong with it and ends the process, as clap does.
pub fn parse<C: CommandFactory + FromArgMatches>() -> C {
    let line: Vec<OsString> = std::env::args_os().collect();
    try_parse(&line).unwrap_or_else(|error| {
        // Help and the version go to stdout, as they were asked for.
        if error.use_stderr() && telemetry::say_usage_error(C::command().get_name(), &line, &error.to_string()) {
            std::process::exit(error.exit_code());
        }
        error.exit()
    })
}

/// Reads a command line.
///
/// # Errors
/// clap's, in which a value that came from a variable is told by the variable's name.
pub fn try_parse<C: CommandFactory + FromArgMatches>(line: &[OsString]) -> Result<C, clap::Error> {
    let mut command = command::<C>();
    let matches = command.try_get_matches_from_mut(line);
    let matches: ArgMatches = matches.map_err(|error| by_variable(error, &command, line))?;
    C::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// clap tells a wrong value by its flag, although nobody has written the flag.
fn by_variable(error: clap::Error, command: &Command, line: &[OsString]) -> clap::Error {
    if !matches!(error.kind(), ErrorKind::InvalidValue | ErrorKind::ValueValidation) {
        return error;
    }
    let (Some(ContextValue::String(shown)), Some(ContextValue::String(value))) =
        (error.get(ContextKind::InvalidArg), error.get(ContextKind::InvalidValue))
    else {
        return error;
    };
    let Some(arg) = command.get_arguments().find(|arg| arg.to_string() == *shown) else { return error };
    let flag = format!("--{}", arg.get_long().unwrap_or_default());
    let written = line.iter().filter_map(|word| word.to_str()).any(|word| word.split('=').next() == Some(&flag));
    match arg.get_env() {
        Some(variable) if !written => {
            let why = std::error::Error::source(&error).map_or_else(|| allowed(arg), ToString::to_string);
            let message = format!("{} is wrong: \"{value}\" {why}\n", variable.to_string_lossy());
            clap::Error::raw(error.kind(), message)
        }
        Some(_) | None => error,
    }
}

/// Reads a setting that is on or off, in the spellings that people and other tools use for it.
///
/// # Errors
/// None of them.
pub fn boolean(text: &str) -> Result<bool, NotBoolean> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err(NotBoolean),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is neither true nor false (yes, no, on, off, 1 and 0 are understood too)")]
pub struct NotBoolean;

fn allowed(arg: &clap::Arg) -> String {
    let values: Vec<String> = arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    format!("is not one of {}", values.join(", "))
}

/// Prints a completion script for a shell.
///
/// # Errors
/// It cannot be written.
pub fn print_completions<C: CommandFactory>(shell: Shell) -> io::Result<()> {
    let mut command = C::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    print(&script)
}

/// Writes the manual pages into a directory, one for each command; without one, prints the program's own.
///
/// # Errors
/// They cannot be written.
pub fn write_manual<C: CommandFactory>(directory: Option<&Path>) -> io::Result<()> {
    // What `help` prints needs no page of its own.
    let command = built(C::command().disable_help_subcommand(true));
    match directory {
        Some(directory) => {
            std::fs::create_dir_all(directory)?;
            clap_mangen::generate_to(command, directory)
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page)?;
            print(&page)
        }
    }
}

/// Prints what a reader may stop to read before its end, as `head` does: that is no error.
///
/// # Errors
/// It cannot be written.
pub fn print(text: &[u8]) -> io::Result<()> {
    match io::stdout().write_all(text) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, Parser, Subcommand};

    use super::*;

    #[derive(Debug, Parser)]
    #[command(name = "program", version = version())]
    struct Program {
        #[command(flatten)]
        settings: Settings,
        #[command(subcommand)]
        command: Sub,
    }

    #[derive(Debug, Args)]
    struct Settings {
        /// How many
        #[arg(long, env = "COMMAND_LINE_TEST_NUMBER", default_value_t = 1, global = true)]
        number: u32,
    }

    #[derive(Debug, Subcommand)]
    enum Sub {
        /// Do it
        Act {
            /// Quickly
            #[arg(long)]
            fast: bool,
        },
    }

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn a_setting_is_understood_behind_a_command_and_shown_by_the_programs_help_only() {
        let program: Program = try_parse(&words("program act --number 7 --fast")).unwrap();
        assert_eq!(program.settings.number, 7);
        assert!(matches!(program.command, Sub::Act { fast: true }));
        let help = |line| try_parse::<Program>(&words(line)).unwrap_err().to_string();
        assert!(help("program --help").contains("--number"));
        assert!(!help("program act --help").contains("--number"));
        assert!(help("program act --help").contains("--fast"));
    }

    #[test]
    fn a_wrong_value_that_somebody_has_written_is_told_by_its_flag() {
        let error = try_parse::<Program>(&words("program act --number seven")).unwrap_err().to_string();
        assert!(error.contains("'seven' for '--number <NUMBER>'"), "{error}");
    }

    #[test]
    fn the_version_has_the_commit() {
        assert!(version().starts_with(concat!(env!("CARGO_PKG_VERSION"), " (commit ")));
    }
}
