//! The command that lists what a key did, for mails and operators: containing a leaked key does not undo what it was used for.

use crate::ids::UserName;

/// Whose calls are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallsOf<'a> {
    /// By its id, or what stands for one in a text.
    Key(&'a str),
    /// Those of its sessions too, which are under other key ids.
    User(&'a UserName),
}

/// What [`lookup_command`] shows and what it does not. (CloudTrail API reference, `LookupEvents`: management events of a region, of the
/// last 90 days. IAM user guide, "Disabling permissions for temporary security credentials": valid up to 36 hours, until they expire.)
pub const LOOKUP_LIMITS: &str = "It lists the management events of the last 90 days, region by region. Calls on data, such as reading S3 objects, are only in a trail that logs data events. Sessions that the key began (GetSessionToken, GetFederationToken, AssumeRole) go on until they expire, for up to 36 hours, and have key ids of their own.";

/// A line for a POSIX shell, to be run with credentials of the key's account. CloudTrail answers for one region at a time.
pub fn lookup_command(of: CallsOf<'_>, region: &str) -> String {
    let attribute = match of {
        CallsOf::Key(key) => format!("AttributeKey=AccessKeyId,AttributeValue={key}"),
        // The AWS CLI's shorthand splits at commas but in double quotes, which no user name has.
        CallsOf::User(user) => format!("'AttributeKey=Username,AttributeValue=\"{user}\"'"),
    };
    format!(
        "for region in $(aws ec2 describe-regions --region {region} --query 'Regions[].RegionName' --output text); do \
         aws cloudtrail lookup-events --region \"$region\" --lookup-attributes {attribute} \
         --query 'Events[].[EventTime,EventSource,EventName]' --output text; done"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_looked_up_in_every_region() {
        let line = lookup_command(CallsOf::Key("AKIAIOSFODNN7EXAMPLE"), "eu-west-1");
        assert_eq!(
            line,
            "for region in $(aws ec2 describe-regions --region eu-west-1 --query 'Regions[].RegionName' --output text); do \
             aws cloudtrail lookup-events --region \"$region\" --lookup-attributes AttributeKey=AccessKeyId,AttributeValue=AKIAIOSFODNN7EXAMPLE \
             --query 'Events[].[EventTime,EventSource,EventName]' --output text; done"
        );
    }

    #[test]
    fn a_comma_in_a_users_name_does_not_end_it() {
        let user = UserName::new("ci,runner").unwrap();
        let line = lookup_command(CallsOf::User(&user), "eu-west-1");
        assert!(line.contains(r#"--lookup-attributes 'AttributeKey=Username,AttributeValue="ci,runner"' "#), "{line}");
    }
}
