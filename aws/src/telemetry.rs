//! Log lines: on stderr, JSON or text, filtered by `RUST_LOG`.

mod json;
pub mod metrics;

use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal, Write};
use std::panic;
use std::sync::OnceLock;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{Directive, LevelFilter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::settings::{LogFormat, LogSettings, given};
pub use json::JsonLines;

/// Lines with this target are events: what happened to a key, or is to be told about one.
pub const EVENT: &str = "event";
/// Lines with this target sum up a message or a run, and carry the metrics.
pub const SUMMARY: &str = "summary";
/// Lines with this target are what owners are told.
pub const NOTICE: &str = "notice";

/// What is logged where `RUST_LOG` says nothing: the product's own from INFO on. What the SDK has to say reaches people as this
/// product's errors, so of all libraries only errors are logged.
const DEFAULT_FILTER: &str =
    "error,event=info,notice=info,summary=info,demo=info,key_rotation_aws=info,producer=info,rotation=info,worker=info";

/// How this process logs, once it does.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// Starts logging for the process. A second call does nothing.
pub fn init(settings: &LogSettings) {
    let format = *FORMAT.get_or_init(|| settings.log_format.unwrap_or_else(default_format));
    let (filter, unread) = filter(std::env::var_os(EnvFilter::DEFAULT_ENV).as_deref());
    let registry = tracing_subscriber::registry().with(filter);
    // Fails only where a subscriber is set already, as in a test that captures what is logged.
    let _already_set = match format {
        LogFormat::Json => {
            panic::set_hook(Box::new(log_panic));
            let namespace = given(&settings.metrics_namespace).map(str::to_owned);
            registry.with(JsonLines::new(io::stderr, namespace)).try_init()
        }
        LogFormat::Text => {
            let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
            registry.with(lines).try_init()
        }
    };
    if let Some(why) = unread {
        tracing::warn!("RUST_LOG could not be read, and the default is used: {why}");
    }
}

/// What `RUST_LOG` says, but for what is more than a log: without a mail service the notices are what owners are told, events tell machines,
/// and summaries carry the metrics that alarms watch. Where it is blank or cannot be read, the default, and why.
fn filter(rust_log: Option<&OsStr>) -> (EnvFilter, Option<String>) {
    let written = rust_log.map(OsStr::to_string_lossy);
    let (filter, unread) = match written.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(read) {
        Some(Ok(filter)) => (filter, None),
        Some(Err(why)) => (EnvFilter::new(DEFAULT_FILTER), Some(why)),
        None => (EnvFilter::new(DEFAULT_FILTER), None),
    };
    (complete(filter), unread)
}

/// Reads a filter. A word alone is a level, or one of this product's targets: `EnvFilter` would take a misspelled level for a target, and
/// hide everything.
fn read(text: &str) -> Result<EnvFilter, String> {
    let is_target = |word: &str| {
        DEFAULT_FILTER.split(',').filter_map(|part| part.split_once('=')).any(|(target, _)| target == word)
    };
    let is_plain = |word: &str| word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    let mut wrong = words.filter(|word| is_plain(word) && word.parse::<LevelFilter>().is_err() && !is_target(word));
    match wrong.next() {
        Some(word) => Err(format!(
            "\"{word}\" is no level (error, warn, info, debug, trace, off); a target stands before its level, as in worker=debug"
        )),
        None => EnvFilter::try_new(text)
            .map_err(|_| format!("\"{text}\" is not a list of levels and targets, as info,worker=debug is")),
    }
}

fn complete(filter: EnvFilter) -> EnvFilter {
    [NOTICE, EVENT, SUMMARY].into_iter().fold(filter, |filter, target| filter.add_directive(always(target)))
}

fn always(target: &str) -> Directive {
    format!("{target}=info").parse().expect("a target and a level")
}

/// Says on stderr why a program does not do, or has not done, what it was asked for. Where the log is JSON this is a line of it:
/// whoever reads the stream finds nothing else in it.
pub fn say_problem(program: &str, problem: &str) {
    say(FORMAT.get().copied().unwrap_or_else(default_format), program, problem);
}

/// The same of a command line that could not be read; whether it was said. It was not where the log is text: clap's own way of saying
/// it has colours. What `--log-format` says is looked for by hand, as nothing could be read.
pub(crate) fn say_usage_error(program: &str, line: &[OsString], problem: &str) -> bool {
    let mut words = line.iter().filter_map(|word| word.to_str());
    let flag = words.find_map(|word| word.strip_prefix("--log-format"));
    let written = flag.and_then(|rest| rest.strip_prefix('=').or_else(|| words.next()));
    let format =
        written.map_or_else(default_format, |value| LogFormat::from_str(value, true).unwrap_or(LogFormat::Text));
    let is_json = format == LogFormat::Json;
    if is_json {
        say(format, program, problem.trim_end());
    }
    is_json
}

fn say(format: LogFormat, program: &str, problem: &str) {
    let line = match format {
        LogFormat::Json => json::error_line(program, problem),
        LogFormat::Text => format!("{program}: {problem}"),
    };
    // A reader that has gone away changes nothing about what was done.
    let _gone = writeln!(io::stderr(), "{line}");
}

/// `LOG_FORMAT`, or what suits stderr. A value that is neither is answered as text: somebody is trying things out.
fn default_format() -> LogFormat {
    match std::env::var("LOG_FORMAT").ok().filter(|text| !text.trim().is_empty()) {
        Some(text) => LogFormat::from_str(&text, true).unwrap_or(LogFormat::Text),
        None if io::stderr().is_terminal() => LogFormat::Text,
        None => LogFormat::Json,
    }
}

/// A panic is a line like any other; without this the standard library's own text would stand between the JSON lines.
fn log_panic(panic: &panic::PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("no reason given");
    let place = panic.location().map(ToString::to_string);
    tracing::error!(place, "panicked: {message}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_filter_hides_what_owners_are_told_nor_events_nor_summaries() {
        for filter in ["warn", "error", "off", "notice=off,event=error,summary=warn"] {
            let complete = complete(EnvFilter::new(filter)).to_string();
            for always in ["notice=info", "event=info", "summary=info"] {
                assert!(complete.split(',').any(|directive| directive == always), "{filter}: {complete}");
            }
        }
        let finer = complete(EnvFilter::new("trace")).to_string();
        assert!(finer.contains("trace"), "{finer}");
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_the_default_and_said_and_a_blank_one_is_not_set() {
        let default = filter(None).0.to_string();
        let of = |text: &str| filter(Some(OsStr::new(text)));
        for (wrong, word) in [("inof", "\"inof\""), ("info,garbage", "\"garbage\""), ("worker=loud", "\"worker=loud\"")]
        {
            let (used, why) = of(wrong);
            assert_eq!(used.to_string(), default, "{wrong}");
            assert!(why.is_some_and(|why| why.starts_with(word)), "{wrong}");
        }
        for blank in ["", " "] {
            let (used, why) = of(blank);
            assert_eq!((used.to_string(), why), (default.clone(), None));
        }
        for right in [
            "info",
            "WARN",
            "off",
            "worker",
            "debug,worker=trace",
            "hyper=debug",
            "worker::run=info",
            "warn,[account]=debug",
        ] {
            assert_eq!(of(right).1, None, "{right}");
            assert_ne!(of(right).0.to_string(), default, "{right}");
        }
    }
}
