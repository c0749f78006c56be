//! Where a user's new key is stored: prepared completely before a key exists, so that every missing permission shows first.

use rotation::names::secret_name;
use rotation::{AccountId, UserName};
use serde_json::json;

use super::UserWork;
use crate::aws::iam::Iam;
use crate::aws::secrets::{SecretRecord, Secrets};
use crate::error::StepError;
use crate::notices::SecretLocation;
use key_rotation_aws::MemberSession;

/// A user's secret and the way to it.
#[derive(Debug, Clone)]
pub struct Destination {
    /// Secrets Manager where the secret lives: the user's account, or the central one.
    pub secrets: Secrets,
    /// The secret's name.
    pub name: String,
}

impl Destination {
    /// The user's destination, through this session.
    pub fn of(work: &UserWork<'_>, session: &MemberSession) -> Self {
        let secrets = match &work.account.rotator.central {
            Some(central) => central.secrets.clone(),
            None => Secrets::new(session.secrets_manager().clone()),
        };
        Self { secrets, name: secret_name(&work.account.job.account, work.user) }
    }

    /// Looks at the secret. `None`: there is none yet.
    pub async fn look(&self) -> Result<Option<SecretRecord>, StepError> {
        Ok(self.secrets.describe(&self.name).await?)
    }

    /// Finds or creates the secret, cancels a scheduled deletion, sets who may read it, and replicates it. Run twice it
    /// finds everything as it wants it. What it returns remembers which version is published now.
    pub async fn prepare(&self, work: &UserWork<'_>, session: &MemberSession) -> Result<SecretRecord, StepError> {
        let rotator = work.account.rotator;
        let account = &work.account.job.account;
        let record = match self.look().await? {
            Some(record) => record,
            None => {
                let description = format!("Access key of the IAM user {} in the account {account}", work.user);
                // A tag's value takes no comma either: spelled as in the secret's name.
                let user = work.user.as_str().replace(',', "/");
                let tags = [("key-rotation:account", account.as_str()), ("key-rotation:user", user.as_str())];
                self.secrets.create(&self.name, &description, rotator.kms_key_id.as_deref(), &tags).await?;
                self.look().await?.ok_or_else(|| StepError::Changed("its new secret is not to be seen yet".into()))?
            }
        };
        if record.deleted {
            self.secrets.restore(&self.name).await?;
        }
        self.secrets.put_policy(&self.name, &self.policy(work)).await?;
        let missing: Vec<String> =
            rotator.replication_regions.iter().filter(|region| !record.replicas.contains(region)).cloned().collect();
        if !missing.is_empty() {
            self.secrets.replicate(&self.name, &missing).await?;
        }
        if let Some(central) = &rotator.central
            && let Some(policy) = &central.read_policy_name
        {
            // Across accounts a resource policy alone lets nobody read: the user needs an identity policy as well.
            let arn = format!("arn:{}:iam::{account}:policy/{policy}", rotator.connection.partition().as_str());
            Iam::of(session).attach_policy(work.user, &arn).await?;
        }
        Ok(record)
    }

    /// Only the user itself may read its secret. In its own account that is enough (everybody else is denied, whatever
    /// their identity policies allow); this worker has no right to read any secret anyway.
    fn policy(&self, work: &UserWork<'_>) -> String {
        let read = "secretsmanager:GetSecretValue";
        json!({
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "OwnerReads",
                    "Effect": "Allow",
                    "Principal": {"AWS": work.arn},
                    "Action": [read, "secretsmanager:DescribeSecret"],
                    "Resource": "*",
                },
                {
                    "Sid": "NobodyElseReads",
                    "Effect": "Deny",
                    "Principal": {"AWS": "*"},
                    "Action": read,
                    "Resource": "*",
                    "Condition": {"StringNotEquals": {"aws:PrincipalArn": work.arn}},
                },
            ],
        })
        .to_string()
    }
}

/// Where owners are told to look.
pub fn location(
    central_account: Option<&AccountId>,
    region: &str,
    account: &AccountId,
    user: &UserName,
) -> SecretLocation {
    SecretLocation {
        publishes: None,
        name: secret_name(account, user),
        central_account: central_account.cloned(),
        region: region.to_owned(),
    }
}
