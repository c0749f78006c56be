//! Periods that make no sense are refused, each with a sentence; what is left is a policy.

use proptest::prelude::*;
use rotation::policy::{PeriodName, PolicyError};
use rotation::{Period, Policy, UnusedKeys};

fn refused(period: Period) -> Vec<PolicyError> {
    Policy::new(period, UnusedKeys::Rotate).expect_err("to be refused")
}

#[test]
fn the_default_is_90_rotate_100_disable_10_grace_7_warning_0_extension() {
    let policy = Policy::default();
    assert_eq!((policy.rotation_period(), policy.inactive_period(), policy.install_grace()), (90, 100, 10));
    assert_eq!((policy.recovery_grace(), policy.warn_period(), policy.in_use_extension()), (10, 7, 0));
    assert_eq!(policy.unused_keys(), UnusedKeys::Rotate);
}

#[test]
fn a_rotation_period_below_one_day_is_refused() {
    let period = Period { rotation: 0, pending_action_warn: 0, ..Period::default() };
    assert_eq!(refused(period), [PolicyError::LessThanADay(PeriodName::Rotation)]);
}

#[test]
fn an_inactive_period_not_beyond_the_rotation_period_is_refused() {
    for inactive in [1, 89, 90] {
        let errors = refused(Period { inactive, ..Period::default() });
        assert_eq!(errors, [PolicyError::NoInstallGrace { rotation: 90, inactive }]);
    }
    assert!(Policy::new(Period { inactive: 91, ..Period::default() }, UnusedKeys::Rotate).is_ok());
}

#[test]
fn a_recovery_grace_below_one_day_is_refused() {
    let period = Period { recovery_grace: 0, ..Period::default() };
    assert_eq!(refused(period), [PolicyError::LessThanADay(PeriodName::RecoveryGrace)]);
}

#[test]
fn a_warning_period_not_below_the_rotation_period_is_refused() {
    for pending_action_warn in [90, 91] {
        let errors = refused(Period { pending_action_warn, ..Period::default() });
        assert_eq!(errors, [PolicyError::WarnTooEarly { warn: pending_action_warn, rotation: 90 }]);
    }
    assert!(Policy::new(Period { pending_action_warn: 89, ..Period::default() }, UnusedKeys::Rotate).is_ok());
}

#[test]
fn periods_longer_than_a_hundred_years_are_refused() {
    let errors = refused(Period { in_use_extension: u32::MAX, ..Period::default() });
    assert_eq!(errors, [PolicyError::TooLong { period: PeriodName::InUseExtension, days: u32::MAX }]);
    assert_eq!(errors[0].to_string(), "it must be at most 36500 days, but is 4294967295");
}

#[test]
fn all_that_is_wrong_with_the_periods_is_told_together() {
    let period = Period { rotation: 50, inactive: 40, recovery_grace: 0, pending_action_warn: 60, in_use_extension: 0 };
    assert_eq!(refused(period).len(), 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn a_policy_is_either_refused_or_keeps_its_periods_in_order(
        rotation: u32, inactive: u32, recovery_grace: u32, pending_action_warn: u32, in_use_extension in 0u32..40_000,
        scale in prop_oneof![Just(1u32), Just(20_000_000)],
    ) {
        let period = Period {
            rotation: rotation / scale, inactive: inactive / scale, recovery_grace: recovery_grace / scale,
            pending_action_warn: pending_action_warn / scale, in_use_extension,
        };
        if let Ok(policy) = Policy::new(period, UnusedKeys::Rotate) {
            prop_assert!(policy.rotation_period() >= 1);
            prop_assert!(policy.inactive_period() > policy.rotation_period());
            prop_assert!(policy.install_grace() >= 1 && policy.recovery_grace() >= 1);
            prop_assert!(policy.warn_period() < policy.rotation_period());
        }
    }
}
