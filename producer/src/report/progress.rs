//! The progress of a report on stderr: a bar on a terminal; elsewhere a line at most every ten seconds.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// At most one plain line in this time.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Counts accounts, and shows them.
pub(super) struct ProgressDisplay {
    bar: Option<ProgressBar>,
    found: AtomicU64,
    read: AtomicU64,
    failed: AtomicU64,
    last_line: Mutex<Instant>,
}

impl ProgressDisplay {
    pub(super) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{bar:40} {pos} of {len} accounts{msg}, {elapsed}");
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        let zero = || AtomicU64::new(0);
        Self { bar, found: zero(), read: zero(), failed: zero(), last_line: Mutex::new(Instant::now()) }
    }

    /// One more account is to be read.
    pub(super) fn found(&self) {
        let found = self.found.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(bar) = &self.bar {
            bar.set_length(found);
        }
    }

    /// One has been read, or could not be.
    pub(super) fn read(&self, read: bool) {
        let done = self.read.fetch_add(1, Ordering::Relaxed) + 1;
        let failed = self.failed.fetch_add(u64::from(!read), Ordering::Relaxed) + u64::from(!read);
        let not_read = if failed == 0 { String::new() } else { format!(", {failed} not read") };
        match &self.bar {
            Some(bar) => {
                bar.set_message(not_read);
                bar.set_position(done);
            }
            None => {
                let mut last = self.last_line.lock().unwrap_or_else(PoisonError::into_inner);
                if last.elapsed() >= LINE_EVERY {
                    *last = Instant::now();
                    tracing::info!("{done} of {} accounts found so far{not_read}", self.found.load(Ordering::Relaxed));
                }
            }
        }
    }

    /// Leaves the terminal as it was found.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
