//! What sessions in member accounts are limited to, whatever the role may do.
//!
//! STS API reference, `AssumeRole`, `Policy`: "You cannot use session policies to grant more permissions than those allowed by
//! the identity-based policy of the role that is being assumed." So even a defect of this program can change nothing there.

/// The purposes for which a session is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionPolicy {
    /// The worker's, in audit mode and in previews.
    Audit,
    /// The producer's, while it follows an operator's request.
    ReadOneUser,
    /// The producer's, to send one message per user.
    ListUsers,
    /// The producer's, to report on every key.
    Report,
}

impl SessionPolicy {
    pub const ALL: [SessionPolicy; 4] =
        [SessionPolicy::Audit, SessionPolicy::ReadOneUser, SessionPolicy::ListUsers, SessionPolicy::Report];

    /// All that such a session may do.
    pub fn actions(self) -> &'static [&'static str] {
        match self {
            SessionPolicy::Audit => &[
                "iam:GenerateCredentialReport",
                "iam:GetAccessKeyLastUsed",
                "iam:GetAccountAuthorizationDetails",
                "iam:GetCredentialReport",
                "iam:GetGroup",
                "iam:GetUser",
                "iam:ListAccessKeys",
                "iam:ListUserTags",
                "secretsmanager:DescribeSecret",
            ],
            SessionPolicy::ReadOneUser => {
                &["iam:GetAccessKeyLastUsed", "iam:ListAccessKeys", "iam:ListUserTags", "secretsmanager:DescribeSecret"]
            }
            SessionPolicy::ListUsers => &["iam:ListUsers"],
            SessionPolicy::Report => &[
                // Makes a report to be read, and changes nothing else.
                "iam:GenerateCredentialReport",
                "iam:GetAccessKeyLastUsed",
                "iam:GetAccountAuthorizationDetails",
                "iam:GetCredentialReport",
                "iam:ListAccessKeys",
                "secretsmanager:DescribeSecret",
            ],
        }
    }

    pub fn document(self) -> String {
        serde_json::json!({
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": self.actions(), "Resource": "*"}],
        })
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limited_session_may_change_anything_or_read_a_secret() {
        for policy in SessionPolicy::ALL {
            for action in policy.actions() {
                let (_, call) = action.split_once(':').expect("an action has a service");
                let reads = ["Get", "List", "Describe", "GenerateCredentialReport"];
                assert!(reads.iter().any(|verb| call.starts_with(verb)), "{action}");
                assert_ne!(*action, "secretsmanager:GetSecretValue");
            }
        }
    }
}
