//! Packing messages into batches that SQS takes.

use rotation::Job;

use super::UnsentJob;

/// SQS API reference, `SendMessageBatch`: "up to 10 messages".
const MOST_ENTRIES: usize = 10;

/// The sum of all bodies of a batch. SQS takes 1 MiB since August 2025, 256 KiB before and where that has not arrived.
const MOST_BYTES: usize = 256 * 1024;

/// A job, and its body as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchEntry {
    pub job: Job,
    pub body: String,
}

impl BatchEntry {
    pub fn new(job: Job) -> Self {
        let body = job.to_body();
        Self { job, body }
    }

    /// The job as one that was not sent.
    pub(super) fn unsent(self, why: &str) -> UnsentJob {
        UnsentJob { job: self.job, why: why.to_owned() }
    }
}

#[derive(Debug, Default)]
pub struct Batch {
    entries: Vec<BatchEntry>,
    bytes: usize,
}

impl Batch {
    /// Adds an entry; gives back a batch that is to be sent: the full one, or the one this entry did not fit into.
    pub fn push(&mut self, entry: BatchEntry) -> Option<Vec<BatchEntry>> {
        let size = entry.body.len();
        let overflowing = if self.bytes + size > MOST_BYTES { self.take() } else { None };
        self.bytes += size;
        self.entries.push(entry);
        if overflowing.is_none() && self.entries.len() == MOST_ENTRIES { self.take() } else { overflowing }
    }

    /// What is in it, if anything; it is empty afterwards.
    pub fn take(&mut self) -> Option<Vec<BatchEntry>> {
        self.bytes = 0;
        let entries = std::mem::take(&mut self.entries);
        (!entries.is_empty()).then_some(entries)
    }
}

#[cfg(test)]
mod tests {
    use rotation::{AccountId, Task};

    use super::*;

    fn entry(size: usize) -> BatchEntry {
        let job = Job::new(AccountId::new("123456789012").unwrap(), Task::Account);
        BatchEntry { job, body: "x".repeat(size) }
    }

    fn pack(sizes: &[usize]) -> Vec<Vec<usize>> {
        let mut batch = Batch::default();
        let mut batches: Vec<Vec<BatchEntry>> = sizes.iter().filter_map(|size| batch.push(entry(*size))).collect();
        batches.extend(batch.take());
        batches.iter().map(|batch| batch.iter().map(|entry| entry.body.len()).collect()).collect()
    }

    #[test]
    fn ten_messages_make_a_batch_and_the_rest_another() {
        let batches = pack(&[300; 23]);
        assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 3]);
    }

    #[test]
    fn a_batch_never_exceeds_the_size_limit() {
        let batches = pack(&[100_000, 100_000, 100_000, 62_144, 1]);
        assert_eq!(batches, [vec![100_000, 100_000], vec![100_000, 62_144, 1]]);
        assert_eq!(pack(&[MOST_BYTES, MOST_BYTES, 1]), [vec![MOST_BYTES], vec![MOST_BYTES], vec![1]]);
    }

    #[test]
    fn nothing_makes_no_batch() {
        assert!(pack(&[]).is_empty());
    }
}
