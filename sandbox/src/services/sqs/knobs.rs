//! What a queue does wrong on purpose: everything the documentation of SQS allows it to do, as often as a test likes, drawn
//! from a seed. A draw depends on the seed and on the message, not on what else goes on, so that a failing seed fails again.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How queues misbehave. Everything is off in a new sandbox.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Knobs {
    /// What the draws are made from.
    pub seed: u64,
    /// How often a delivered message can be received once more while it is in flight (standard queues), from 0 to 1.
    pub duplicate: f64,
    /// How often a deletion is answered as done and forgotten: the message comes back when its visibility timeout is over
    /// (standard queues), from 0 to 1.
    pub forget_delete: f64,
    /// How often a message is late (standard queues), from 0 to 1.
    pub delay: f64,
    /// By how much at most, in seconds of the sandbox's clock.
    pub delay_up_to: u32,
    /// How many places a message can fall behind in a standard queue; 0 keeps the order.
    pub reorder_by: u32,
    /// Batch entries that are refused, in the order in which they are looked at.
    pub entry_failures: Vec<EntryFailure>,
}

/// A refusal of single entries of batches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryFailure {
    /// `SendMessageBatch`, `DeleteMessageBatch` or `ChangeMessageVisibilityBatch`; any if not given.
    #[serde(default)]
    pub operation: Option<String>,
    /// A part of the entry's id or, when sending, of its body; any if not given.
    #[serde(default)]
    pub containing: Option<String>,
    /// How many more entries it hits; without end if not given.
    #[serde(default)]
    pub times: Option<u32>,
    /// The entry's error code.
    #[serde(default = "internal_error")]
    pub code: String,
    /// Whether the sender is told that it is to blame.
    #[serde(default)]
    pub sender_fault: bool,
}

fn internal_error() -> String {
    "InternalError".to_owned()
}

/// The happenings that are drawn for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Happening {
    Duplicate,
    ForgetDelete,
    Delay,
    DelayBy,
    ReorderBy,
}

impl Knobs {
    /// A number from 0 to below 1, the same for the same happening to the same message for the `count`th time.
    pub(super) fn draw(&self, happening: Happening, body: &str, count: u64) -> f64 {
        /// 2 to the 32nd.
        const STEPS: f64 = 4_294_967_296.0;
        let digest = Sha256::new()
            .chain_update(self.seed.to_be_bytes())
            .chain_update([happening as u8])
            .chain_update(count.to_be_bytes())
            .chain_update(body)
            .finalize();
        let bits = digest.iter().take(4).fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        f64::from(bits) / STEPS
    }

    /// Whether something happens that does so at this rate.
    pub(super) fn happens(&self, rate: f64, happening: Happening, body: &str, count: u64) -> bool {
        rate > 0.0 && self.draw(happening, body, count) < rate
    }

    /// Seconds by which a message sent as the `ticket`th is late.
    pub(super) fn late_by(&self, body: &str, ticket: u64) -> u32 {
        if self.happens(self.delay, Happening::Delay, body, ticket) {
            (self.draw(Happening::DelayBy, body, ticket) * f64::from(self.delay_up_to)).ceil() as u32
        } else {
            0
        }
    }

    /// Places by which a message sent as the `ticket`th falls behind.
    pub(super) fn behind_by(&self, body: &str, ticket: u64) -> u64 {
        if self.reorder_by == 0 {
            return 0;
        }
        (self.draw(Happening::ReorderBy, body, ticket) * f64::from(self.reorder_by + 1)) as u64
    }

    /// The refusal this batch entry is to get, used up.
    pub(super) fn entry_failure(&mut self, operation: &str, id: &str, body: &str) -> Option<EntryFailure> {
        let hit = self.entry_failures.iter_mut().find(|failure| {
            failure.times != Some(0)
                && failure.operation.as_deref().is_none_or(|wanted| wanted == operation)
                && failure.containing.as_deref().is_none_or(|part| id.contains(part) || body.contains(part))
        })?;
        hit.times = hit.times.map(|times| times - 1);
        Some(hit.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_depend_on_seed_happening_message_and_count_alone() {
        let draw = |seed, happening, body, count| Knobs { seed, ..Knobs::default() }.draw(happening, body, count);
        let one = draw(1, Happening::Delay, "b", 1);
        assert_eq!(one, draw(1, Happening::Delay, "b", 1));
        for other in [
            draw(2, Happening::Delay, "b", 1),
            draw(1, Happening::Duplicate, "b", 1),
            draw(1, Happening::Delay, "c", 1),
            draw(1, Happening::Delay, "b", 2),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn a_rate_is_kept_on_the_whole() {
        let knobs = Knobs { seed: 5, ..Knobs::default() };
        let hits = (0..10_000).filter(|n| knobs.happens(0.25, Happening::Duplicate, "body", *n)).count();
        assert!((2_300..2_700).contains(&hits), "{hits}");
    }

    #[test]
    fn an_entry_failure_is_used_up() {
        let failure: EntryFailure =
            serde_json::from_str(r#"{"operation":"SendMessageBatch","containing":"1111","times":1}"#)
                .expect("a failure");
        let mut knobs = Knobs { entry_failures: vec![failure], ..Knobs::default() };
        assert_eq!(knobs.entry_failure("DeleteMessageBatch", "1111", ""), None);
        assert_eq!(knobs.entry_failure("SendMessageBatch", "a", "2222"), None);
        assert_eq!(
            knobs.entry_failure("SendMessageBatch", "a", "x1111x").map(|f| f.code),
            Some("InternalError".into())
        );
        assert_eq!(knobs.entry_failure("SendMessageBatch", "a", "x1111x"), None);
    }
}
