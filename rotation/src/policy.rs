//! The periods, validated: a policy that exists is one that makes sense.

use jiff::{SignedDuration, Timestamp};

/// Days of exactly 24 hours.
pub(crate) fn days(n: u32) -> SignedDuration {
    SignedDuration::from_hours(24 * i64::from(n))
}

/// `time + n days`, at the end of time where that does not exist.
pub(crate) fn after(time: Timestamp, n: u32) -> Timestamp {
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

/// The five periods by the names people set them by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// `ROTATION_PERIOD`: at this age an active key gets a successor.
    pub rotation: u32,
    /// `INACTIVE_PERIOD`: at this age the replaced key is disabled.
    pub inactive: u32,
    /// `RECOVERY_GRACE_PERIOD`: least time between disabled and deleted.
    pub recovery_grace: u32,
    /// `PENDING_ACTION_WARN_PERIOD`: how long ahead the owner is warned.
    pub pending_action_warn: u32,
    /// `IN_USE_EXTENSION`: for how long at most a disable is put off while the old key is still in use.
    pub in_use_extension: u32,
}

impl Default for Period {
    fn default() -> Self {
        Self { rotation: 90, inactive: 100, recovery_grace: 10, pending_action_warn: 7, in_use_extension: 0 }
    }
}

/// Periods that contradict each other or common sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// R < 1.
    #[error("ROTATION_PERIOD must be at least 1 day, but is {0}")]
    RotationTooShort(u32),
    /// I <= R.
    #[error(
        "INACTIVE_PERIOD ({inactive}) must be greater than ROTATION_PERIOD ({rotation}): the days between are the owner's time to install the new key"
    )]
    NoInstallGrace {
        /// R.
        rotation: u32,
        /// I.
        inactive: u32,
    },
    /// D < 1.
    #[error("RECOVERY_GRACE_PERIOD must be at least 1 day, but is {0}")]
    NoRecoveryGrace(u32),
    /// W >= R.
    #[error("PENDING_ACTION_WARN_PERIOD ({warn}) must be less than ROTATION_PERIOD ({rotation})")]
    WarnTooEarly {
        /// W.
        warn: u32,
        /// R.
        rotation: u32,
    },
    /// Longer than any key will live.
    #[error("{name} must be at most 36500 days, but is {value}")]
    TooLong {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: u32,
    },
}

/// A hundred years: keeps every sum of periods far from overflow.
const LONGEST: u32 = 36_500;

impl Policy {
    /// Checks the periods.
    ///
    /// # Errors
    /// All that is wrong with them, not only the first.
    pub fn new(period: Period, unused: UnusedKeys) -> Result<Self, Vec<PolicyError>> {
        let Period { rotation, inactive, recovery_grace, pending_action_warn, in_use_extension } = period;
        let mut errors = Vec::new();
        for (name, value) in [
            ("ROTATION_PERIOD", rotation),
            ("INACTIVE_PERIOD", inactive),
            ("RECOVERY_GRACE_PERIOD", recovery_grace),
            ("PENDING_ACTION_WARN_PERIOD", pending_action_warn),
            ("IN_USE_EXTENSION", in_use_extension),
        ] {
            if value > LONGEST {
                errors.push(PolicyError::TooLong { name, value });
            }
        }
        if rotation < 1 {
            errors.push(PolicyError::RotationTooShort(rotation));
        }
        if inactive <= rotation {
            errors.push(PolicyError::NoInstallGrace { rotation, inactive });
        }
        if recovery_grace < 1 {
            errors.push(PolicyError::NoRecoveryGrace(recovery_grace));
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
