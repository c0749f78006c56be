//! Log lines as flat JSON objects: the fields of the spans that a line is in stand beside its own, so that a query asks for
//! `account` wherever the line comes from.

use std::fmt;
use std::io::Write;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::{SUMMARY, metrics};

/// Writes each event as one JSON object on a line of its own.
pub struct JsonLines<W> {
    writer: W,
    /// The namespace of the metrics; without one there are none.
    metrics_namespace: Option<String>,
}

impl<W> JsonLines<W> {
    pub fn new(writer: W, metrics_namespace: Option<String>) -> Self {
        Self { writer, metrics_namespace }
    }
}

/// An error that is said outside of any span.
pub(super) fn error_line(target: &str, message: &str) -> String {
    Value::Object(head(Timestamp::now(), Level::ERROR, target, message.to_owned().into())).to_string()
}

/// What every line begins with.
fn head(time: Timestamp, level: Level, target: &str, message: Value) -> Map<String, Value> {
    let pairs = [
        ("timestamp", format!("{time:.6}").into()),
        ("level", level.as_str().into()),
        ("message", message),
        ("target", target.into()),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

impl<S, W> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut own = Fields::default();
        event.record(&mut own);
        let (now, metadata) = (Timestamp::now(), event.metadata());
        let message = own.0.shift_remove("message").unwrap_or_default();
        let mut line = head(now, *metadata.level(), metadata.target(), message);
        // The inner one's value stands where two have the same name.
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(fields) = span.extensions().get::<Fields>() {
                line.extend(fields.0.clone());
            }
        }
        line.extend(own.0);
        if let Some(namespace) = self.metrics_namespace.as_deref().filter(|_| metadata.target() == SUMMARY)
            && let Some(directive) = metrics::directive(namespace, &line, now)
        {
            line.insert("_aws".to_owned(), directive);
        }
        let text = format!("{}\n", Value::Object(line));
        // There is nobody left to tell that a line could not be written.
        let _gone = self.writer.make_writer_for(metadata).write_all(text.as_bytes());
    }
}

#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        self.0.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.add(field, u64::try_from(value).map_or_else(|_| value.to_string().into(), Value::from));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, json!(value));
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex, PoisonError};

    use tracing::{info, info_span, warn};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Written {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    /// The lines that this logs.
    fn lines(namespace: Option<&str>, log: impl FnOnce()) -> Vec<Value> {
        let written = Written::default();
        let lines = JsonLines::new(written.clone(), namespace.map(str::to_owned));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), log);
        let text = written.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let text = String::from_utf8(text).expect("lines are text");
        text.lines().map(|line| serde_json::from_str(line).expect("each line is a JSON object")).collect()
    }

    #[test]
    fn the_fields_of_all_spans_stand_at_the_top_and_the_innermost_of_a_name_counts() {
        let lines = lines(None, || {
            let message = info_span!("message", run_id = "r-1", receive_count = 2, account = "outer");
            let _message = message.enter();
            let account = info_span!("account", account = "111122223333", late = tracing::field::Empty);
            let _account = account.enter();
            account.record("late", 7);
            warn!(user = "ada", pause_ms = 5_u128, ratio = 0.5, "two \"words\"\nand a line");
        });
        let mut line = lines[0].clone();
        let time = line["timestamp"].take();
        assert!(time.as_str().is_some_and(|time| time.parse::<Timestamp>().is_ok() && time.ends_with('Z')), "{time}");
        let expected = json!({
            "timestamp": null, "level": "WARN", "message": "two \"words\"\nand a line",
            "target": "key_rotation_aws::telemetry::json::tests", "run_id": "r-1", "receive_count": 2,
            "account": "111122223333", "late": 7, "user": "ada", "pause_ms": 5, "ratio": 0.5,
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn a_summarys_numbers_are_metrics_where_there_is_a_namespace() {
        let log = || {
            info!(target: SUMMARY, keys_overdue = 3, receive_count = 1, aws_calls = 7, "summed up");
            info!(keys_overdue = 3, "no summary");
        };
        assert!(lines(None, log).iter().all(|line| line.get("_aws").is_none()));
        let lines = lines(Some("fleet"), log);
        let directive = &lines[0]["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Namespace"], "fleet");
        assert_eq!(
            directive["Metrics"],
            json!([{"Name": "keys_overdue", "Unit": "Count"}, {"Name": "aws_calls", "Unit": "Count"}])
        );
        assert!(lines[1].get("_aws").is_none());
    }

    #[test]
    fn an_error_outside_of_any_span_is_a_line_of_the_same_kind() {
        let line: Value = serde_json::from_str(&error_line("worker", "QUEUE_URL is not set")).expect("JSON");
        assert_eq!((&line["level"], &line["target"]), (&json!("ERROR"), &json!("worker")));
        assert_eq!(line["message"], "QUEUE_URL is not set");
    }
}
