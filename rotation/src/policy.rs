//! The periods, validated: a policy that exists is one that makes sense.

use jiff::{SignedDuration, Timestamp};

pub const SECONDS_PER_DAY: i64 = 24 * 60 * 60;

/// Days of exactly 24 hours.
pub fn days(n: u32) -> SignedDuration {
    SignedDuration::from_hours(24 * i64::from(n))
}

/// `time + n days`, at the end of time where that does not exist.
pub fn after(time: Timestamp, n: u32) -> Timestamp {
    time.checked_add(days(n)).unwrap_or(Timestamp::MAX)
}

/// `time - n days`, at the beginning of time where that does not exist.
pub(crate) fn before(time: Timestamp, n: u32) -> Timestamp {
    time.checked_sub(days(n)).unwrap_or(Timestamp::MIN)
}

/// When what happens to a key. All periods in days of 24 hours, counted from the key's `CreateDate` unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    rotate: u32,
    disable: u32,
    recovery: u32,
    warn: u32,
    in_use_extension: u32,
    unused: UnusedKeys,
}

/// What becomes of a key that was never used by the time it is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnusedKeys {
    /// It is rotated like any other.
    #[default]
    Rotate,
    /// It gets no successor: notice, disabled after the install grace, deleted after the recovery grace.
    Retire,
}

/// The five periods, in days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// At this age an active key gets a successor.
    pub rotation: u32,
    /// At this age the replaced key is disabled.
    pub inactive: u32,
    /// Least time between disabled and deleted.
    pub recovery_grace: u32,
    /// How long ahead the owner is warned.
    pub pending_action_warn: u32,
    /// For how long at most a disable is put off while the old key is still in use.
    pub in_use_extension: u32,
}

impl Default for Period {
    fn default() -> Self {
        Self { rotation: 90, inactive: 100, recovery_grace: 10, pending_action_warn: 7, in_use_extension: 0 }
    }
}

/// Which of the periods an error is about: whoever has set it knows it by a name of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeriodName {
    Rotation,
    Inactive,
    RecoveryGrace,
    PendingActionWarn,
    InUseExtension,
}

/// Why periods are refused: they contradict each other or common sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    #[error("it must be at least 1 day")]
    LessThanADay(PeriodName),
    #[error("it must be at most {LONGEST_PERIOD} days, but is {days}")]
    TooLong { period: PeriodName, days: u32 },
    #[error(
        "it must be greater than the rotation period, but is {inactive} days, and the rotation period {rotation}: the days between are the owner's time to install the new key"
    )]
    NoInstallGrace { rotation: u32, inactive: u32 },
    #[error("it must be less than the rotation period, but is {warn} days, and the rotation period {rotation}")]
    WarnTooEarly { warn: u32, rotation: u32 },
}

impl PolicyError {
    /// The period that the sentence calls "it".
    pub fn period(self) -> PeriodName {
        match self {
            PolicyError::LessThanADay(period) | PolicyError::TooLong { period, .. } => period,
            PolicyError::NoInstallGrace { .. } => PeriodName::Inactive,
            PolicyError::WarnTooEarly { .. } => PeriodName::PendingActionWarn,
        }
    }
}

/// A hundred years: keeps every sum of periods far from overflow.
pub const LONGEST_PERIOD: u32 = 36_500;

impl Policy {
    /// Checks the periods.
    ///
    /// # Errors
    /// All that is wrong with them, not only the first.
    pub fn new(period: Period, unused: UnusedKeys) -> Result<Self, Vec<PolicyError>> {
        let Period { rotation, inactive, recovery_grace, pending_action_warn, in_use_extension } = period;
        let mut errors = Vec::new();
        for (period, days) in [
            (PeriodName::Rotation, rotation),
            (PeriodName::Inactive, inactive),
            (PeriodName::RecoveryGrace, recovery_grace),
            (PeriodName::PendingActionWarn, pending_action_warn),
            (PeriodName::InUseExtension, in_use_extension),
        ] {
            if days > LONGEST_PERIOD {
                errors.push(PolicyError::TooLong { period, days });
            }
        }
        if rotation < 1 {
            errors.push(PolicyError::LessThanADay(PeriodName::Rotation));
        }
        if inactive <= rotation {
            errors.push(PolicyError::NoInstallGrace { rotation, inactive });
        }
        if recovery_grace < 1 {
            errors.push(PolicyError::LessThanADay(PeriodName::RecoveryGrace));
        }
        if pending_action_warn >= rotation && rotation >= 1 {
            errors.push(PolicyError::WarnTooEarly { warn: pending_action_warn, rotation });
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            rotate: rotation,
            disable: inactive,
            recovery: recovery_grace,
            warn: pending_action_warn,
            in_use_extension,
            unused,
        })
    }

    /// R: the age at which an active key gets a successor.
    pub fn rotation_period(&self) -> u32 {
        self.rotate
    }

    /// I: the age at which the replaced key is disabled.
    pub fn inactive_period(&self) -> u32 {
        self.disable
    }

    /// G = I - R: the least time between telling the owner and disabling.
    pub fn install_grace(&self) -> u32 {
        self.disable - self.rotate
    }

    /// D: the least time between disabled and deleted.
    pub fn recovery_grace(&self) -> u32 {
        self.recovery
    }

    /// W: how long ahead the owner is warned.
    pub fn warn_period(&self) -> u32 {
        self.warn
    }

    /// X: for how long at most a disable is put off while the old key is in use and its successor is not.
    pub fn in_use_extension(&self) -> u32 {
        self.in_use_extension
    }

    /// What becomes of never-used keys.
    pub fn unused_keys(&self) -> UnusedKeys {
        self.unused
    }

    /// The longest rotation period a user's tag may ask for: a tag cannot switch rotation off.
    pub fn longest_override(&self) -> u32 {
        self.rotate.saturating_mul(4)
    }

    /// The same policy with another rotation period; the install grace stays as it is, the warning fits into the period.
    #[must_use]
    pub(crate) fn with_rotation_period(self, rotate: u32) -> Self {
        Self { rotate, disable: rotate + self.install_grace(), warn: self.warn.min(rotate - 1), ..self }
    }
}

impl Default for Policy {
    /// 90, 100, 10, 7, 0, rotate.
    fn default() -> Self {
        Self::new(Period::default(), UnusedKeys::default()).expect("the defaults are valid")
    }
}
