//! What is logged, as the lines that CloudWatch gets.

use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::Once;

use key_rotation_aws::telemetry::{EVENT, JsonLines, SUMMARY};
use serde_json::Value;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;

/// The namespace of the metrics.
pub(crate) const NAMESPACE: &str = "iam-key-rotation";

thread_local! {
    /// What this thread has logged. Each test has a thread, and everything in it runs there.
    static WRITTEN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What this test logs.
pub(crate) struct Log;

impl Log {
    pub(crate) fn capture() -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let lines = JsonLines::new(|| Writer, Some(NAMESPACE.to_owned()));
            let subscriber = tracing_subscriber::registry().with(LevelFilter::INFO).with(lines);
            tracing::subscriber::set_global_default(subscriber).expect("nobody else captures in this process");
        });
        WRITTEN.with_borrow_mut(Vec::clear);
        Self
    }

    pub(crate) fn lines(&self) -> Vec<Value> {
        let text = WRITTEN.with_borrow(|bytes| String::from_utf8(bytes.clone()).expect("lines are text"));
        text.lines().map(|line| serde_json::from_str(line).expect("every line is JSON")).collect()
    }

    /// The lines that are events.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.lines().into_iter().filter(|line| line["target"] == EVENT).collect()
    }

    /// The lines that sum up.
    pub(crate) fn summaries(&self) -> Vec<Value> {
        self.lines().into_iter().filter(|line| line["target"] == SUMMARY).collect()
    }
}

struct Writer;

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        WRITTEN.with_borrow_mut(|written| written.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
