//! Where a user's new key is stored: prepared completely before a key exists, so that every missing permission shows first.

use rotation::names::secret_name;
use rotation::{AccountId, UserName};
use serde_json::json;

use crate::aws::iam::Iam;
use crate::aws::secrets::{SecretRecord, Secrets};
use crate::context::UserContext;
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
    pub fn new(context: &UserContext<'_>, session: &MemberSession) -> Self {
        let secrets = match &context.account.worker.central {
            Some(central) => central.secrets.clone(),
            None => Secrets::new(session.secrets_manager().clone()),
        };
        Self { secrets, name: secret_name(&context.account.job.account, context.user) }
    }

    /// Looks at the secret. `None`: there is none yet.
    pub async fn look(&self) -> Result<Option<SecretRecord>, StepError> {
        Ok(self.secrets.describe(&self.name).await?)
    }

    /// Finds or creates the secret, cancels a scheduled deletion, sets who may read it, and replicates it. Run twice it
    /// finds everything as it wants it. What it returns remembers which version is published now.
    pub async fn prepare(&self, context: &UserContext<'_>, session: &MemberSession) -> Result<SecretRecord, StepError> {
        let worker = context.account.worker;
        let account = &context.account.job.account;
        let record = match self.look().await? {
            Some(record) => record,
            None => {
                let description = format!("Access key of the IAM user {} in the account {account}", context.user);
                // A tag's value takes no comma either: spelled as in the secret's name.
                let user = context.user.as_str().replace(',', "/");
                let tags = [("key-rotation:account", account.as_str()), ("key-rotation:user", user.as_str())];
                self.secrets.create(&self.name, &description, worker.kms_key_id.as_deref(), &tags).await?;
                self.look().await?.ok_or_else(|| StepError::Changed("its new secret is not to be seen yet".into()))?
            }
        };
        if record.deleted {
            self.secrets.restore(&self.name).await?;
        }
        self.secrets.put_policy(&self.name, &self.policy(context)).await?;
        let missing: Vec<String> =
            worker.replication_regions.iter().filter(|region| !record.replicas.contains(region)).cloned().collect();
        if !missing.is_empty() {
            self.secrets.replicate(&self.name, &missing).await?;
        }
        if let Some(central) = &worker.central
            && let Some(policy) = &central.read_policy_name
        {
            // Across accounts a resource policy alone lets nobody read: the user needs an identity policy as well.
            let arn = format!("arn:{}:iam::{account}:policy/{policy}", worker.connection.partition().as_str());
            Iam::of(session).attach_policy(context.user, &arn).await?;
        }
        Ok(record)
    }

    /// Only the user itself may read its secret. In its own account that is enough (everybody else is denied, whatever
    /// their identity policies allow); this worker has no right to read any secret anyway.
    fn policy(&self, context: &UserContext<'_>) -> String {
        let read = "secretsmanager:GetSecretValue";
        json!({
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "OwnerReads",
                    "Effect": "Allow",
                    "Principal": {"AWS": context.arn},
                    "Action": [read, "secretsmanager:DescribeSecret"],
                    "Resource": "*",
                },
                {
                    "Sid": "NobodyElseReads",
                    "Effect": "Deny",
                    "Principal": {"AWS": "*"},
                    "Action": read,
                    "Resource": "*",
                    "Condition": {"StringNotEquals": {"aws:PrincipalArn": context.arn}},
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
