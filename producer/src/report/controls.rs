//! What auditors ask about access keys, by the names that their frameworks have for it, and how the keys that were read stand.
//!
//! The numbers of the related requirements are AWS's own mapping: Security Hub User Guide, "Security Hub CSPM controls for IAM"
//! (<https://docs.aws.amazon.com/securityhub/latest/userguide/iam-controls.html>), IAM.3, IAM.8 and IAM.22. "Only one active
//! access key" has no control there; its number is that of the CIS benchmarks (<https://www.cisecurity.org/benchmark/amazon_web_services>).

use super::document::{ControlResult, ControlVerdict, Requirement, Summary};

/// The controls' numbers of days; the fields of the report are named after them.
pub(super) const ROTATED_WITHIN_DAYS: i64 = 90;
pub(super) const UNUSED_DAYS: i64 = 45;
pub(super) const LONG_UNUSED_DAYS: i64 = 90;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
struct Control {
    id: &'static str,
    title: &'static str,
    requirements: &'static [Requirement],
    source: &'static str,
    /// How many of what are checked, and how many of them fail.
    count: fn(&Summary) -> (u64, u64),
    /// What cannot be said of how many.
    unknown: fn(&Summary) -> u64,
    of: &'static str,
}

const fn requirement(framework: &'static str, ids: &'static str) -> Requirement {
    Requirement { framework, ids }
}

const CONTROLS: [Control; 4] = [
    Control {
        id: "keys_rotated_within_90_days",
        title: "Active access keys are at most 90 days old",
        requirements: &[
            requirement("CIS AWS Foundations v5.0.0", "1.13"),
            requirement("CIS AWS Foundations v3.0.0, v1.4.0", "1.14"),
            requirement("CIS AWS Foundations v1.2.0", "1.4"),
            requirement("PCI DSS v4.0.1", "8.3.9, 8.6.3"),
            requirement("NIST SP 800-53 r5", "AC-2(1), AC-2(3), AC-3(15)"),
            requirement("AWS Security Hub", "IAM.3"),
            requirement("AWS Config", "access-keys-rotated (maxAccessKeyAge 90)"),
        ],
        source: "https://docs.aws.amazon.com/securityhub/latest/userguide/iam-controls.html#iam-3",
        count: |summary| (summary.active, summary.active - summary.within_90_days),
        unknown: |_| 0,
        of: "active keys",
    },
    Control {
        id: "no_keys_unused_for_45_days",
        title: "No active access key has been unused for 45 days or more",
        requirements: &[
            requirement("CIS AWS Foundations v5.0.0", "1.11"),
            requirement("CIS AWS Foundations v3.0.0, v1.4.0", "1.12"),
            requirement("NIST SP 800-171 r2", "3.1.2"),
            requirement("AWS Security Hub", "IAM.22"),
            requirement("AWS Config", "iam-user-unused-credentials-check (maxCredentialUsageAge 45)"),
        ],
        source: "https://docs.aws.amazon.com/securityhub/latest/userguide/iam-controls.html#iam-22",
        count: |summary| (summary.active, summary.unused_45_days),
        unknown: |summary| summary.last_use_unknown,
        of: "active keys",
    },
    Control {
        id: "no_keys_unused_for_90_days",
        title: "No active access key has been unused for 90 days or more",
        requirements: &[
            requirement("CIS AWS Foundations v1.2.0", "1.3"),
            requirement("PCI DSS v4.0.1", "8.2.6"),
            requirement("NIST SP 800-53 r5", "AC-2, AC-2(1), AC-2(3), AC-3, AC-3(7), AC-3(15), AC-6"),
            requirement("NIST SP 800-171 r2", "3.1.2"),
            requirement("AWS Security Hub", "IAM.8"),
            requirement("AWS Config", "iam-user-unused-credentials-check (maxCredentialUsageAge 90)"),
        ],
        source: "https://docs.aws.amazon.com/securityhub/latest/userguide/iam-controls.html#iam-8",
        count: |summary| (summary.active, summary.unused_90_days),
        unknown: |summary| summary.last_use_unknown,
        of: "active keys",
    },
    Control {
        id: "one_active_key_per_user",
        title: "No user has more than one active access key",
        requirements: &[requirement("CIS AWS Foundations v3.0.0, v1.4.0", "1.13")],
        source: "https://www.cisecurity.org/benchmark/amazon_web_services",
        count: |summary| (summary.users, summary.users_with_two_active_keys),
        unknown: |_| 0,
        of: "users",
    },
];

/// How every control stands. `complete`: all that was asked for was read.
pub(super) fn results(summary: &Summary, complete: bool) -> Vec<ControlResult> {
    let result = |control: &Control| {
        let ((checked, failed), unknown) = ((control.count)(summary), (control.unknown)(summary));
        let result = match (failed, complete && unknown == 0) {
            (1.., _) => ControlVerdict::NotMet,
            (0, true) => ControlVerdict::Met,
            (0, false) => ControlVerdict::Unknown,
        };
        let Control { id, title, requirements, source, of, .. } = *control;
        ControlResult { id, title, result, of, checked, failed, unknown, requirements, source }
    };
    CONTROLS.iter().map(result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(summary: &Summary, complete: bool) -> Vec<ControlVerdict> {
        results(summary, complete).iter().map(|control| control.result).collect()
    }

    #[test]
    fn what_was_not_read_is_neither_met_nor_failed_and_a_failure_stays_one() {
        let fine = Summary { active: 4, within_90_days: 4, users: 3, ..Summary::default() };
        assert_eq!(verdicts(&fine, true), [ControlVerdict::Met; 4]);
        assert_eq!(verdicts(&fine, false), [ControlVerdict::Unknown; 4]);
        let old = Summary { within_90_days: 3, ..fine };
        assert_eq!(verdicts(&old, false)[0], ControlVerdict::NotMet);
        let unknown = Summary { last_use_unknown: 1, ..fine };
        assert_eq!(
            verdicts(&unknown, true),
            [ControlVerdict::Met, ControlVerdict::Unknown, ControlVerdict::Unknown, ControlVerdict::Met]
        );
    }

    #[test]
    fn every_mapping_names_its_source_and_every_id_is_its_own() {
        let ids: std::collections::BTreeSet<_> = CONTROLS.iter().map(|control| control.id).collect();
        assert_eq!(ids.len(), CONTROLS.len());
        assert!(
            CONTROLS.iter().all(|control| control.source.starts_with("https://") && !control.requirements.is_empty())
        );
    }
}
