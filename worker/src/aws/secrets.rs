//! Secrets Manager, as far as the rotation protocol needs it: everything but reading a secret.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType, ReplicaRegionType, StatusType, Tag};
use key_rotation_aws::secret::{self, CURRENT};
use key_rotation_aws::{AwsError, Connection, Tries};
use rotation::AccessKeyId;
use rotation::names::version_id;
use secrecy::{ExposeSecret, SecretString};

use super::secret_quotas::{Quota, SecretQuotas};

/// The stage of a version that is stored but not yet published.
pub const PENDING: &str = "AWSPENDING";

/// A secret as `DescribeSecret` shows it: which versions there are, never what is in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretRecord {
    /// Whether it is scheduled for deletion, and so refuses writes.
    pub deleted: bool,
    /// Its versions and their stages.
    pub versions: BTreeMap<String, Vec<String>>,
    /// Regions it is replicated to, each with what went wrong there, if anything did.
    pub replicas: BTreeMap<String, Option<String>>,
    /// The customer's KMS key, as Secrets Manager shows it: "the key ID or alias ARN". `None` for `aws/secretsmanager`. (Secrets
    /// Manager API reference, `DescribeSecret`, `KmsKeyId`.)
    pub kms_key_id: Option<String>,
    pub tags: BTreeMap<String, String>,
}

impl SecretRecord {
    pub fn published_version(&self) -> Option<&str> {
        let published = |stages: &Vec<String>| stages.iter().any(|stage| stage == CURRENT);
        self.versions.iter().find(|(_, stages)| published(stages)).map(|(id, _)| id.as_str())
    }

    /// Whether the published version is this key's.
    pub fn publishes(&self, key: &AccessKeyId) -> bool {
        self.published_version() == Some(version_id(key).as_str())
    }

    /// Whether this key's secret is stored, published or not.
    pub fn holds(&self, key: &AccessKeyId) -> bool {
        self.versions.contains_key(&version_id(key))
    }
}

/// A secret as `ListSecrets` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedSecret {
    pub name: String,
    pub tags: BTreeMap<String, String>,
}

fn tags(tags: Option<Vec<Tag>>) -> BTreeMap<String, String> {
    tags.unwrap_or_default().into_iter().filter_map(|tag| Some((tag.key?, tag.value?))).collect()
}

fn failure(status: Option<&StatusType>, message: Option<String>) -> Option<String> {
    match status {
        Some(StatusType::Failed) => Some(message.unwrap_or_else(|| "no reason is given".to_owned())),
        Some(_) | None => None,
    }
}

/// The secrets of one account and region.
#[derive(Debug, Clone)]
pub struct Secrets {
    client: Client,
    /// Where the account is the worker's own.
    quotas: Option<Arc<SecretQuotas>>,
}

impl Secrets {
    /// Those of a user's own account.
    pub fn new(client: Client) -> Self {
        Self { client, quotas: None }
    }

    /// Those of the worker's own account.
    pub fn central(connection: &Connection) -> Self {
        let connection = connection.with_own_counter();
        let quotas = SecretQuotas::new(connection.calls().clone());
        Self { client: connection.secrets_manager(), quotas: Some(Arc::new(quotas)) }
    }

    /// Waits until a request of this kind may be made. [`put_pending`](Self::put_pending) and [`publish`](Self::publish) leave that to
    /// their callers, who have something to check between the wait and the call; all others do it by themselves.
    pub async fn wait_for_quota(&self, quota: Quota) {
        if let Some(quotas) = &self.quotas {
            quotas.wait_for_quota(quota).await;
        }
    }

    /// Looks at a secret. `None`: there is none of that name.
    pub async fn describe(&self, name: &str) -> Result<Option<SecretRecord>, AwsError> {
        let Some(answer) = secret::describe(&self.client, name).await? else { return Ok(None) };
        let replicas = answer.replication_status.unwrap_or_default();
        Ok(Some(SecretRecord {
            deleted: answer.deleted_date.is_some(),
            versions: answer.version_ids_to_stages.unwrap_or_default().into_iter().collect(),
            replicas: replicas
                .into_iter()
                .filter_map(|status| Some((status.region?, failure(status.status.as_ref(), status.status_message))))
                .collect(),
            kms_key_id: answer.kms_key_id,
            tags: tags(answer.tags),
        }))
    }

    /// The secrets whose names begin so: names and tags. What is scheduled for deletion is left out.
    pub async fn list(&self, prefix: &str) -> Result<Vec<ListedSecret>, AwsError> {
        let filter = Filter::builder().key(FilterNameStringType::Name).values(prefix).build();
        let mut pages = self.client.list_secrets().filters(filter).into_paginator().send();
        let mut secrets = Vec::new();
        // One turn for all pages: they come one after the other, which is slower than the quota.
        self.wait_for_quota(Quota::List).await;
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| AwsError::new("secretsmanager:ListSecrets", error))?;
            secrets.extend(
                page.secret_list
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(|entry| Some(ListedSecret { name: entry.name?, tags: tags(entry.tags) })),
            );
        }
        Ok(secrets)
    }

    /// Creates a secret with no value. `None`: there is one of that name.
    pub async fn create(
        &self,
        name: &str,
        description: &str,
        kms_key: Option<&str>,
        tags: &[(&str, &str)],
    ) -> Result<Option<SecretRecord>, AwsError> {
        self.wait_for_quota(Quota::Create).await;
        let given = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let tags = tags.iter().map(|(key, value)| Tag::builder().key(*key).value(*value).build()).collect();
        let call = self
            .client
            .create_secret()
            .name(name)
            .description(description)
            .set_kms_key_id(kms_key.map(str::to_owned))
            .set_tags(Some(tags));
        match call.send().await.map_err(|error| AwsError::new("secretsmanager:CreateSecret", error)) {
            Ok(_) => Ok(Some(SecretRecord {
                deleted: false,
                versions: BTreeMap::new(),
                replicas: BTreeMap::new(),
                kms_key_id: kms_key.map(str::to_owned),
                tags: given,
            })),
            Err(error) if error.code.as_deref() == Some("ResourceExistsException") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Encrypts it with this KMS key from now on, the published version included.
    pub async fn set_kms_key(&self, name: &str, kms_key: &str) -> Result<(), AwsError> {
        self.wait_for_quota(Quota::Versions).await;
        let call = self.client.update_secret().secret_id(name).kms_key_id(kms_key);
        call.send().await.map(|_| ()).map_err(|error| AwsError::new("secretsmanager:UpdateSecret", error))
    }

    pub async fn tag(&self, name: &str, tags: &[(&str, &str)]) -> Result<(), AwsError> {
        self.wait_for_quota(Quota::Tags).await;
        let tags = tags.iter().map(|(key, value)| Tag::builder().key(*key).value(*value).build()).collect();
        let call = self.client.tag_resource().secret_id(name).set_tags(Some(tags));
        call.send().await.map(|_| ()).map_err(|error| AwsError::new("secretsmanager:TagResource", error))
    }

    /// Its resource policy, if it has one.
    pub async fn policy(&self, name: &str) -> Result<Option<String>, AwsError> {
        self.wait_for_quota(Quota::Policies).await;
        let call = self.client.get_resource_policy().secret_id(name);
        let answer = call.send().await.map_err(|error| AwsError::new("secretsmanager:GetResourcePolicy", error))?;
        Ok(answer.resource_policy)
    }

    /// Cancels a scheduled deletion.
    pub async fn restore(&self, name: &str) -> Result<(), AwsError> {
        self.wait_for_quota(Quota::Restore).await;
        let call = self.client.restore_secret().secret_id(name);
        call.send().await.map(|_| ()).map_err(|error| AwsError::new("secretsmanager:RestoreSecret", error))
    }

    /// Sets who may read it; a policy open to the public is refused by Secrets Manager itself.
    pub async fn put_policy(&self, name: &str, policy: &str) -> Result<(), AwsError> {
        self.wait_for_quota(Quota::Policies).await;
        let call = self.client.put_resource_policy().secret_id(name).resource_policy(policy).block_public_policy(true);
        call.send().await.map(|_| ()).map_err(|error| AwsError::new("secretsmanager:PutResourcePolicy", error))
    }

    /// Replicates it to further regions.
    pub async fn replicate(&self, name: &str, regions: &[String]) -> Result<(), AwsError> {
        self.wait_for_quota(Quota::Versions).await;
        let regions = regions.iter().map(|region| ReplicaRegionType::builder().region(region).build()).collect();
        let call = self.client.replicate_secret_to_regions().secret_id(name).set_add_replica_regions(Some(regions));
        call.send().await.map(|_| ()).map_err(|error| AwsError::new("secretsmanager:ReplicateSecretToRegions", error))
    }

    /// Stores a key's secret as pending. Run twice with the same value it finds it stored. (Secrets Manager publishes the
    /// very first version of a secret by itself.) Whether the answer says that it is the published version.
    ///
    /// # Errors
    /// Ambiguous if any of its tries may have taken effect.
    pub async fn put_pending(&self, name: &str, key: &AccessKeyId, value: &SecretString) -> Result<bool, AwsError> {
        let call = self
            .client
            .put_secret_value()
            .secret_id(name)
            .client_request_token(version_id(key))
            .secret_string(value.expose_secret())
            .version_stages(PENDING);
        let tries = Tries::default();
        let answer = call.customize().interceptor(tries.clone()).send().await;
        let stages = answer.map_err(|error| tries.error("secretsmanager:PutSecretValue", error))?.version_stages;
        Ok(stages.unwrap_or_default().iter().any(|stage| stage == CURRENT))
    }

    /// Publishes a version by compare-and-swap: only if what is published now is `expected`.
    ///
    /// # Errors
    /// `Conflict` where something else is published. Ambiguous if any of its tries may have taken effect.
    pub async fn publish(&self, name: &str, version: &str, expected: Option<&str>) -> Result<(), AwsError> {
        let call = self
            .client
            .update_secret_version_stage()
            .secret_id(name)
            .version_stage(CURRENT)
            .move_to_version_id(version)
            .set_remove_from_version_id(expected.map(str::to_owned));
        let tries = Tries::default();
        let answer = call.customize().interceptor(tries.clone()).send().await;
        answer.map(|_| ()).map_err(|error| tries.error("secretsmanager:UpdateSecretVersionStage", error))
    }
}
