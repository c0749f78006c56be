//! The regions there are. (AWS Regions and Availability Zones user guide, "AWS Regions": opt-in status.)

/// Enabled in every account: those that AWS enables by default, and the one that the sandbox is in.
const ENABLED: &[&str] = &[
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

/// Those of the special partitions, which replicate among themselves alone. (Secrets Manager user guide, "Replicate secrets across
/// Regions".)
const SPECIAL: &[&[&str]] = &[&["cn-north-1", "cn-northwest-1"], &["us-gov-east-1", "us-gov-west-1"]];

/// Whether a secret of this region can be replicated to that one. It cannot to one that an account has to opt in to first, as
/// `af-south-1`: no account here has.
pub(super) fn is_reached(from: &str, to: &str) -> bool {
    let own = SPECIAL.iter().find(|regions| regions.contains(&from)).unwrap_or(&ENABLED);
    own.contains(&to)
}

#[cfg(test)]
mod tests {
    use super::is_reached;

    #[test]
    fn replicas_go_to_enabled_regions_of_the_same_partition() {
        assert!(is_reached("eu-central-1", "us-west-2"));
        assert!(is_reached("us-gov-west-1", "us-gov-east-1"));
        for not_there in ["eu-wst-1", "eu-west-9", "af-south-1", "cn-north-1", "us-gov-west-1", ""] {
            assert!(!is_reached("eu-central-1", not_there), "{not_there}");
        }
        assert!(!is_reached("cn-north-1", "eu-west-1"));
    }
}
