//! What has been promised to a key's owner, checked before each harm by what really happened.

use jiff::{SignedDuration, Timestamp};
use rotation::plan::DeleteReason;
use rotation::{AccessKeyId, Action, DisablePrecondition, KeyStatus};

use super::{Accepted, Conditions, LAG, Model, Says, WHOLE_SECOND};

impl Model {
    /// What was disabled after the newest restore of it was asked for stays so.
    pub(super) fn assert_not_disabled_since_its_restore(&self, key: &AccessKeyId) {
        let restore = self.requests.newest_restore(key).expect("one has begun");
        let since = self.disabled_by_tool.get(key).is_some_and(|at| at.as_second() > restore.as_second());
        let inactive = self.key(key).status == KeyStatus::Inactive;
        assert!(!(inactive && since), "{key} was disabled after its restore was asked for: {self:?}");
    }

    /// What its owner was last told of a key.
    fn last_told(&self, key: &AccessKeyId) -> Option<&Accepted> {
        self.accepted.iter().rev().find(|told| told.key == *key && told.says != Says::HasSuccessor)
    }

    /// The first promise: notice before harm, and not before the date that was told. And the last look before it.
    pub(super) fn disable(&mut self, key: &AccessKeyId, precondition: &DisablePrecondition) {
        let since = match precondition {
            DisablePrecondition::SuccessorInHand { successor } => {
                assert_ne!(successor, key);
                let successor = self.key(successor);
                assert_eq!(successor.status, KeyStatus::Active, "the successor is live");
                assert!(self.in_hand(successor), "somebody has the successor");
                successor.created
            }
            DisablePrecondition::StillUnused => {
                assert!(self.key(key).last_use.is_none());
                Timestamp::MIN
            }
        };
        let told = self.last_told(key).unwrap_or_else(|| panic!("{key} was disabled without a notice: {self:?}"));
        let Says::WillBeDisabled(date) = told.says else { panic!("{key} was disabled after {told:?}: {self:?}") };
        assert!(told.at >= since, "{key} was disabled after a notice about another successor: {self:?}");
        assert!(date <= self.now, "{key} was disabled before the date that was told: {self:?}");
        let had = self.now.duration_since(told.at) + WHOLE_SECOND;
        assert!(had >= told.install_grace, "{key} was disabled within the install grace: {self:?}");
        assert!(
            !self.is_from_before_an_exemption(told),
            "{key} was disabled after a notice from before an exemption: {self:?}"
        );
        assert_eq!(self.key(key).status, KeyStatus::Active, "only an active key is disabled");
        self.make_inactive(key);
    }

    /// One that the tool has seen, or that has ended by its date between two runs.
    fn is_from_before_an_exemption(&self, told: &Accepted) -> bool {
        let ended = self.seen(Conditions::FINE).tags.exempt_until.filter(|until| *until <= self.now);
        self.exempt_at.max(ended).is_some_and(|exempt| told.at < exempt)
    }

    /// The second promise: no live key is ever deleted.
    pub(super) fn delete(&mut self, key: &AccessKeyId, reason: DeleteReason) {
        let held = self.key(key);
        assert_eq!(held.status, KeyStatus::Inactive, "only an inactive key is deleted");
        match reason {
            DeleteReason::RecoveryGraceOver { .. } => {
                let grace = SignedDuration::from_hours(24 * i64::from(self.policy.recovery_grace()));
                let since = self.inactive_since[key];
                assert!(self.now.duration_since(since) + WHOLE_SECOND >= grace, "deleted too early: {self:?}");
                let idle = held.last_use.is_none_or(|when| self.now.duration_since(when) + LAG + WHOLE_SECOND >= grace);
                assert!(idle, "deleted although it was used within the recovery grace: {self:?}");
                let told = self.last_told(key).unwrap_or_else(|| panic!("{key} was deleted, never told: {self:?}"));
                let Says::IsInactive(date) = told.says else { panic!("{key} was deleted after {told:?}: {self:?}") };
                assert!(date.is_none_or(|date| date <= self.now), "deleted before the date that was told: {self:?}");
                assert!(
                    !self.is_from_before_an_exemption(told),
                    "{key} was deleted, told of it before an exemption: {self:?}"
                );
            }
            DeleteReason::MakesRoomForForced | DeleteReason::Contained => {}
        }
        self.remove(key);
    }
}

/// Asked again at the same instant, nothing more is changed; a mail that was refused is all there is to try again.
pub(super) fn assert_settled(again: &[Action], conditions: Conditions, first: &[Action]) {
    for action in again.iter().filter(|action| action.changes()) {
        let is_mail = matches!(action, Action::Notify { .. } | Action::Announce { .. } | Action::Adopt { .. });
        let tried_again = is_mail && !conditions.mail;
        // The tag of a key that is gone goes at the next look after its owner has been told.
        let tidied_up = |key: &AccessKeyId| {
            first.iter().any(|done| match done {
                Action::Delete(deleted) => deleted.key() == key,
                Action::Announce { key: announced, .. } => announced == key,
                _ => false,
            })
        };
        let tidies_up = match action {
            Action::Forget { key } => tidied_up(key),
            // What was told during an exemption is void at the next look.
            Action::Record { key, state } => state.void && tidied_up(key),
            _ => false,
        };
        assert!(tried_again || tidies_up, "asked again, there is more to do: {action:?} after {first:?}");
    }
}
