//! What the command lines of both programs have in common: errors that name the variable, help that shows the settings once,
//! completions, manual pages, and the version.

use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::Path;
use std::sync::LazyLock;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, CommandFactory, FromArgMatches};
use clap_complete::Shell;

use crate::settings::boolean;
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
/// clap's, in which a wrong value is told by the name that whoever set it knows it by; all that variables set wrong, together.
pub fn try_parse<C: CommandFactory + FromArgMatches>(line: &[OsString]) -> Result<C, clap::Error> {
    let mut command = command::<C>();
    let mut sentences = Vec::new();
    loop {
        let error = match command.try_get_matches_from_mut(line) {
            Ok(matches) if sentences.is_empty() => {
                return C::from_arg_matches(&matches).map_err(|error| error.format(&mut command));
            }
            Ok(_) => break,
            Err(error) => error,
        };
        match WrongValue::read(&error, &command, line) {
            Some(WrongValue { sentence, variable }) => {
                sentences.push(sentence);
                // clap stops at the first. Without this variable it goes on to the next one.
                let Some(variable) = variable else { break };
                command = without_variable(command, &variable);
            }
            None if sentences.is_empty() => return Err(value_behind_flag(&error, &command, line).unwrap_or(error)),
            None => break,
        }
    }
    Err(clap::Error::raw(ErrorKind::InvalidValue, format!("{}\n", sentences.join("\n"))))
}

fn without_variable(command: Command, variable: &OsStr) -> Command {
    let command = command.mut_args(|arg| match arg.get_env() == Some(variable) {
        true => arg.env(None::<&'static str>),
        false => arg,
    });
    command.mut_subcommands(|command| without_variable(command, variable))
}

/// A value that a setting or an option does not take.
struct WrongValue {
    /// With the flag, or the variable: clap names the flag although nobody has written it.
    sentence: String,
    /// The variable that it comes from.
    variable: Option<OsString>,
}

impl WrongValue {
    fn read(error: &clap::Error, command: &Command, line: &[OsString]) -> Option<Self> {
        if !matches!(error.kind(), ErrorKind::InvalidValue | ErrorKind::ValueValidation) {
            return None;
        }
        let (Some(ContextValue::String(shown)), Some(ContextValue::String(value))) =
            (error.get(ContextKind::InvalidArg), error.get(ContextKind::InvalidValue))
        else {
            return None;
        };
        let arg = argument(command, shown)?;
        let flag = format!("--{}", arg.get_long()?);
        let is_written = line.iter().filter_map(|word| word.to_str()).any(|word| word.split('=').next() == Some(&flag));
        let variable = arg.get_env().filter(|_| !is_written).map(OsStr::to_owned);
        let name = variable.as_ref().map_or(flag.into(), |variable| variable.to_string_lossy());
        let why = error.source().map_or_else(|| not_a_choice(arg, value), ToString::to_string);
        Some(Self { sentence: format!("{name} is wrong: {why}"), variable })
    }
}

/// The error of a word like `false` behind a flag that takes no value, or one behind an equals sign alone: clap says no more of it than
/// that it is unexpected.
fn value_behind_flag(error: &clap::Error, command: &Command, line: &[OsString]) -> Option<clap::Error> {
    let unexpected =
        [ContextKind::InvalidArg, ContextKind::InvalidSubcommand].into_iter().find_map(|kind| {
            match error.get(kind) {
                Some(ContextValue::String(word)) if boolean(word).is_ok() => Some(word.as_str()),
                Some(_) | None => None,
            }
        })?;
    let words: Vec<&str> = line.iter().filter_map(|word| word.to_str()).collect();
    let (flag, value) = words.windows(2).find_map(|pair| match pair {
        [flag, value] if *value == unexpected => {
            Some((flag.strip_prefix("--").filter(|flag| !flag.contains('='))?, *value))
        }
        _ => None,
    })?;
    let arg = flag_of(command, flag, &words)?;
    let is_on = boolean(value) == Ok(true);
    let sentence = match (arg.is_require_equals_set(), is_on) {
        (true, _) => format!("a value of --{flag} stands behind an equals sign: --{flag}={value}"),
        (false, true) => format!("--{flag} takes no value: leave \"{value}\" out"),
        (false, false) => format!("--{flag} takes no value: leave it out together with \"{value}\""),
    };
    Some(clap::Error::raw(ErrorKind::InvalidValue, format!("{sentence}\n")))
}

/// The flag of that name, of the innermost command in the line that has it.
fn flag_of<'a>(command: &'a Command, flag: &str, words: &[&str]) -> Option<&'a Arg> {
    let below = command.get_subcommands().find(|command| words.contains(&command.get_name()));
    let inner = below.and_then(|command| flag_of(command, flag, words));
    inner.or_else(|| command.get_arguments().find(|arg| arg.get_long() == Some(flag)))
}

/// The argument that clap shows so, of the program or of a command.
fn argument<'a>(command: &'a Command, shown: &str) -> Option<&'a Arg> {
    let own = command.get_arguments().find(|arg| arg.to_string() == shown);
    own.or_else(|| command.get_subcommands().find_map(|command| argument(command, shown)))
}

fn not_a_choice(arg: &Arg, value: &str) -> String {
    let choices: Vec<String> = arg.get_possible_values().iter().map(|choice| choice.get_name().to_owned()).collect();
    match choices.is_empty() {
        true => format!("\"{value}\" is no value"),
        false => format!("\"{value}\" is not one of {}", choices.join(", ")),
    }
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
    use crate::settings::whole;

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
        #[arg(
            long, env = "COMMAND_LINE_TEST_NUMBER", default_value_t = 1, value_parser = whole::<u32>("things", 0..=9), global = true
        )]
        number: u32,
        /// Whether to
        #[arg(
            long, default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true",
            action = clap::ArgAction::Set, value_parser = boolean, global = true
        )]
        dry: bool,
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
        assert_eq!(error, "error: --number is wrong: \"seven\" is not a whole number of things from 0 to 9\n");
    }

    #[test]
    fn a_value_behind_a_flag_that_takes_none_there_is_told_with_the_right_form() {
        let told = |line| try_parse::<Program>(&words(line)).unwrap_err();
        for (line, sentence) in [
            ("program --dry false act", "a value of --dry stands behind an equals sign: --dry=false"),
            ("program act --dry false", "a value of --dry stands behind an equals sign: --dry=false"),
            ("program act --fast true", "--fast takes no value: leave \"true\" out"),
            ("program act --fast no", "--fast takes no value: leave it out together with \"no\""),
        ] {
            let error = told(line);
            assert_eq!((error.to_string(), error.exit_code()), (format!("error: {sentence}\n"), 2), "{line}");
        }
        assert!(!try_parse::<Program>(&words("program act --dry=false")).unwrap().settings.dry);
        for other in ["program --dry atc", "program act false", "program act --fast slowly"] {
            assert!(!told(other).to_string().contains("value"), "{other}");
        }
    }

    #[test]
    fn the_version_has_the_commit() {
        assert!(version().starts_with(concat!(env!("CARGO_PKG_VERSION"), " (commit ")));
    }
}
