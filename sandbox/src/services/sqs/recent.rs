//! What a FIFO queue remembers of the messages sent in the last five minutes, to answer a repeat as it answered the original.

use std::collections::{HashMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

/// How long a repeat is recognised, whatever became of the original meanwhile. (SQS Developer Guide, "Exactly-once
/// processing".)
const DEDUPLICATION_INTERVAL: SignedDuration = SignedDuration::from_mins(5);

/// What the sender of a message was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Receipt {
    pub(super) message_id: String,
    pub(super) sequence_number: Option<String>,
}

/// The messages of the last five minutes, by what tells them apart.
#[derive(Debug, Clone, Default)]
pub(super) struct Recent {
    receipts: HashMap<String, Receipt>,
    order: VecDeque<(Timestamp, String)>,
}

impl Recent {
    /// What the sender of the original was told, if there was one in the last five minutes.
    pub(super) fn original(&mut self, key: &str, now: Timestamp) -> Option<&Receipt> {
        while let Some((at, key)) = self.order.front() {
            if now.duration_since(*at) < DEDUPLICATION_INTERVAL {
                break;
            }
            self.receipts.remove(key);
            self.order.pop_front();
        }
        self.receipts.get(key)
    }

    pub(super) fn remember(&mut self, key: String, receipt: Receipt, now: Timestamp) {
        self.order.push_back((now, key.clone()));
        self.receipts.insert(key, receipt);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_original_is_remembered_for_five_minutes() {
        let mut recent = Recent::default();
        let sent = Timestamp::UNIX_EPOCH;
        let receipt = Receipt { message_id: "m".into(), sequence_number: None };
        recent.remember("k".into(), receipt.clone(), sent);
        let after =
            |recent: &mut Recent, seconds| recent.original("k", sent + SignedDuration::from_secs(seconds)).cloned();
        assert_eq!(after(&mut recent, 299), Some(receipt));
        assert_eq!(after(&mut recent, 300), None);
    }
}
