//! Counters that the demo prints at its end.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one worker, shared by all its messages.
#[derive(Debug, Default)]
pub struct Tally {
    pub rotated: AtomicU64,
    /// Warnings of what comes.
    pub warned: AtomicU64,
    pub exempt: AtomicU64,
    pub findings: AtomicU64,
    /// Users that could not be worked on.
    pub failures: AtomicU64,
}

impl Tally {
    pub(crate) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub fn read(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }
}
