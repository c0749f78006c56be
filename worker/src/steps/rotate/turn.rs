//! Step 2: attempts that meet. An attempt goes on when a look after its intent was written shows no young intent of others.
//!
//! An attempt takes a second or two, so whoever meets another waits a little for it: the one with the lower id beside its own
//! intent, the others without theirs. Only for one that is dead or frozen does everybody back off until its intent is old.

use std::time::Duration;

use jiff::Timestamp;
use rotation::Intent;
use rotation::intent::Turn;
use rotation::user::UserTags;
use tracing::info;

use super::{AttemptFailure, RotationAttempt};
use crate::error::StepError;

/// The parts of the longest wait after which the tags are read again: soon at first, then less often. Together nearly all of it.
const PAUSES: [u32; 6] = [64, 32, 16, 8, 4, 2];

impl RotationAttempt<'_> {
    /// Waits until it is this attempt's turn; gives the user's tags, in which the intents of interrupted attempts are left, all of
    /// them old. `None`: another attempt went first; its own intent is cleared, and the other's is gone.
    pub(super) async fn wait_for_turn(&self) -> Result<Option<UserTags>, AttemptFailure> {
        let mut pauses = self.pauses();
        loop {
            let seen = self.read_tags_without_own_intent().await?;
            match Turn::new(Some(self.intent.attempt), &seen.intents, self.context.account.decision_time()) {
                Turn::Mine => return Ok(Some(seen)),
                Turn::OthersGiveWay => pause(&mut pauses, &seen.intents).await?,
                Turn::GiveWay => {
                    info!("another attempt for the user is under way, and goes first");
                    self.clear_intents(&[]).await.map_err(AttemptFailure::with_intent_untouched)?;
                    let waited = self.wait_until_no_attempt_is_under_way().await;
                    return waited.map(|()| None).map_err(AttemptFailure::with_intent_untouched);
                }
                Turn::BackOff { until } => return Err(StepError::OthersAtWork { not_before: until }.into()),
            }
        }
    }

    /// Waits without an intent of its own.
    pub(super) async fn wait_until_no_attempt_is_under_way(&self) -> Result<(), StepError> {
        let mut pauses = self.pauses();
        loop {
            let others = self.read_tags_without_own_intent().await?.intents;
            match Turn::new(None, &others, self.context.account.decision_time()) {
                Turn::Mine => return Ok(()),
                Turn::OthersGiveWay | Turn::GiveWay => pause(&mut pauses, &others).await?,
                Turn::BackOff { until } => return Err(StepError::OthersAtWork { not_before: until }),
            }
        }
    }

    async fn read_tags_without_own_intent(&self) -> Result<UserTags, StepError> {
        let tags = self.iam().user_tags(self.context.user).await?;
        let mut tags = UserTags::from_pairs(&tags);
        tags.intents.retain(|intent| intent.attempt != self.intent.attempt);
        Ok(tags)
    }

    fn pauses(&self) -> impl Iterator<Item = Duration> + use<> {
        let longest = self.context.account.worker.settings.attempt_wait;
        PAUSES.into_iter().map(move |part| longest / part)
    }
}

/// The next pause; after the last one the message is tried again, when these intents are too old to be those of attempts that go on.
async fn pause(pauses: &mut impl Iterator<Item = Duration>, others: &[Intent]) -> Result<(), StepError> {
    match pauses.next() {
        Some(pause) => {
            tokio::time::sleep(pause).await;
            Ok(())
        }
        None => {
            let not_before = others.iter().map(Intent::silent_from).max().unwrap_or(Timestamp::MIN);
            Err(StepError::OthersAtWork { not_before })
        }
    }
}
