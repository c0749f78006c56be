//! What a worker has done so far, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one worker; shared by all its messages.
#[derive(Debug, Default)]
pub struct Tally {
    /// Successors made.
    pub rotated: AtomicU64,
    /// Keys made inactive.
    pub disabled: AtomicU64,
    /// Keys deleted.
    pub deleted: AtomicU64,
    /// Warnings of what comes.
    pub warned: AtomicU64,
    /// Users found exempt.
    pub exempt: AtomicU64,
    /// Findings.
    pub findings: AtomicU64,
    /// Mails accepted.
    pub mails: AtomicU64,
    /// Users looked at.
    pub users: AtomicU64,
    /// Users that could not be worked on.
    pub failures: AtomicU64,
}

impl Tally {
    /// One more.
    pub(crate) fn count(counter: &AtomicU64) {
        Self::add(counter, 1);
    }

    /// So many more.
    pub(crate) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }

    /// What a counter says.
    pub fn read(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }
}
