//! Log lines: on stderr, JSON or text, filtered by `RUST_LOG`.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::settings::{LogFormat, LogSettings};

/// What is logged where `RUST_LOG` says nothing: the product's own from INFO on. What the SDK has to say reaches people as this
/// product's errors, so of all libraries only errors are logged.
const DEFAULT_FILTER: &str = "error,demo=info,key_rotation_aws=info,producer=info,rotation=info,worker=info";

/// Starts logging for the process. A second call does nothing.
pub fn init(settings: &LogSettings) {
    let terminal = std::io::stderr().is_terminal();
    let format = settings.log_format.unwrap_or(if terminal { LogFormat::Text } else { LogFormat::Json });
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Fails only where a subscriber is set already, as in a test that captures what is logged.
    let _already_set = match format {
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(true).with_span_list(true).try_init(),
        LogFormat::Text => builder.with_ansi(terminal).try_init(),
    };
}
