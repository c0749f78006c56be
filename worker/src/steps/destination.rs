//! Where a user's new key is stored: prepared completely before a key exists, so that every missing permission shows first.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rotation::Intent;
use rotation::names::{
    SECRET_ACCOUNT_TAG, SECRET_POLICY_TAG, SECRET_USER_ID_TAG, SECRET_USER_TAG, secret_name, user_in_secret,
};
use rotation::secret_policy::{SecretPolicy, last_attempt, lets_read};
use serde_json::Value;

use crate::aws::iam::Iam;
use crate::aws::secrets::{SecretRecord, Secrets};
use crate::context::{AccountContext, UserContext};
use crate::error::StepError;
use crate::notices::SecretLocation;
use key_rotation_aws::{AwsError, ErrorClass, MemberSession};

/// What is known of a user's secret.
#[derive(Debug, Clone)]
pub enum SeenSecret {
    /// Nothing: it could not be read, or has not been read yet.
    Unknown,
    Missing,
    Found(Box<SecretRecord>),
}

impl From<Option<SecretRecord>> for SeenSecret {
    fn from(record: Option<SecretRecord>) -> Self {
        record.map_or(SeenSecret::Missing, |record| SeenSecret::Found(Box::new(record)))
    }
}

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
        let secrets = store(context.account, session);
        Self { secrets, name: secret_name(&context.account.job.account, context.user) }
    }

    /// Looks at the secret. `None`: there is none yet.
    pub async fn look(&self) -> Result<Option<SecretRecord>, StepError> {
        Ok(self.secrets.describe(&self.name).await?)
    }

    /// Finds or creates the secret and makes all of it as it should be: not scheduled for deletion, its KMS key, its tags, who may
    /// read it, its replicas. Run twice, it changes nothing more. What it returns remembers which version was published at
    /// the last look, which may be one of the caller's (`seen`): should another be published since, the compare-and-swap is refused.
    /// `intent`: that of the attempt which is to make a key.
    ///
    /// # Errors
    /// [`StepError`]. [`StepError::SecretOfAnother`] where the secret belongs to a user that had this name before,
    /// [`StepError::NotPrepared`] where a person has to mend something first.
    pub async fn prepare(
        &self,
        context: &UserContext<'_>,
        session: &MemberSession,
        seen: SeenSecret,
        intent: Option<&Intent>,
    ) -> Result<SecretRecord, StepError> {
        let seen = match seen {
            SeenSecret::Found(record) => Some(*record),
            SeenSecret::Missing => None,
            SeenSecret::Unknown => self.look().await?,
        };
        let record = self.prepare_secret(context, seen, intent).await.map_err(StepError::while_preparing)?;
        if let Some(policy) = read_policy(context)
            && let Err(error) = Iam::new(session).attach_policy(context.user, &policy).await
        {
            // The user has just been seen: there is no such policy in its account.
            let no_policy = error.class == ErrorClass::NotFound;
            return Err(if no_policy {
                StepError::NotPrepared(error)
            } else {
                StepError::from(error).while_preparing()
            });
        }
        Ok(record)
    }

    async fn prepare_secret(
        &self,
        context: &UserContext<'_>,
        seen: Option<SecretRecord>,
        intent: Option<&Intent>,
    ) -> Result<SecretRecord, StepError> {
        let account = &context.account.job.account;
        let user = user_in_secret(context.user);
        let tags = [
            (SECRET_ACCOUNT_TAG, account.as_str()),
            (SECRET_USER_TAG, user.as_str()),
            (SECRET_USER_ID_TAG, context.record.id.as_str()),
        ];
        let record = match seen {
            Some(record) => record,
            None => self.create(context, &tags).await?,
        };
        if record.tags.get(SECRET_USER_ID_TAG).is_some_and(|id| *id != context.record.id) {
            return Err(StepError::SecretOfAnother { secret: self.name.clone() });
        }
        if record.deleted {
            self.secrets.restore(&self.name).await?;
        }
        if let Some(wanted) = other_kms_key(context, &record) {
            self.secrets.set_kms_key(&self.name, wanted).await?;
        }
        let missing: Vec<_> =
            tags.into_iter().filter(|(key, value)| record.tags.get(*key).is_none_or(|is| is != value)).collect();
        if !missing.is_empty() {
            self.secrets.tag(&self.name, &missing).await?;
        }
        let last_attempt = match intent {
            Some(intent) => Some(intent.written),
            None => self.last_attempt().await?,
        };
        self.write_policy(context, &record.tags, last_attempt).await?;
        self.replicate(context, &record).await?;
        Ok(record)
    }

    /// Replicates it to the regions in which it is not.
    async fn replicate(&self, context: &UserContext<'_>, record: &SecretRecord) -> Result<(), StepError> {
        let missing = |record: &SecretRecord| -> Vec<String> {
            let wanted = context.account.worker.settings.replication_regions.iter();
            wanted.filter(|region| !record.replicas.contains_key(*region)).cloned().collect()
        };
        let regions = missing(record);
        if regions.is_empty() {
            return Ok(());
        }
        let Err(error) = self.secrets.replicate(&self.name, &regions).await else { return Ok(()) };
        if error.class != ErrorClass::Invalid {
            return Err(error.into());
        }
        // The refusal is of them all, and one may have a replica by now, which is no fault of the settings.
        match self.look().await?.map(|seen| missing(&seen)) {
            Some(left) if left.is_empty() => Ok(()),
            Some(left) if left.len() < regions.len() => Ok(self.secrets.replicate(&self.name, &left).await?),
            Some(_) | None => Err(error.into()),
        }
    }

    async fn create(&self, context: &UserContext<'_>, tags: &[(&str, &str)]) -> Result<SecretRecord, StepError> {
        let kms_key_id = context.account.worker.settings.kms_key_id.as_deref();
        let account = &context.account.job.account;
        let description = format!("Access key of the IAM user {} in the account {account}", context.user);
        match self.secrets.create(&self.name, &description, kms_key_id, tags).await? {
            Some(created) => Ok(created),
            // Another worker has, just now.
            None => self.look().await?.ok_or_else(|| StepError::Changed("its secret does not show yet".into())),
        }
    }

    /// Sets who may do what with the secret, and says on the secret that it is so. The tag comes last: where it is, the policy is. An
    /// attempt that is to make a key leaves its trace, the time of its intent, as `last_attempt`; whoever else writes the policy keeps
    /// the one that is there ([`last_attempt`](Self::last_attempt)).
    ///
    /// # Errors
    /// [`AwsError`].
    pub async fn write_policy(
        &self,
        context: &UserContext<'_>,
        tags: &BTreeMap<String, String>,
        last_attempt: Option<Timestamp>,
    ) -> Result<(), AwsError> {
        let (readers, writers) = (context.readers().patterns, context.account.secret_writers());
        let policy = SecretPolicy { owner: context.arn, readers: &readers, writers: &writers, last_attempt };
        self.secrets.put_policy(&self.name, &policy.document().to_string()).await?;
        let fingerprint = policy.fingerprint();
        match tags.get(SECRET_POLICY_TAG) {
            Some(known) if *known == fingerprint => Ok(()),
            Some(_) | None => self.secrets.tag(&self.name, &[(SECRET_POLICY_TAG, &fingerprint)]).await,
        }
    }

    /// Whether the secret is this user's and does not have the policy that it should have, by its tags.
    pub fn has_another_policy(context: &UserContext<'_>, tags: &BTreeMap<String, String>) -> bool {
        let (readers, writers) = (context.readers().patterns, context.account.secret_writers());
        let wanted = SecretPolicy { owner: context.arn, readers: &readers, writers: &writers, last_attempt: None };
        tags.get(SECRET_USER_ID_TAG) == Some(&context.record.id)
            && tags.get(SECRET_POLICY_TAG) != Some(&wanted.fingerprint())
    }

    /// Why the user cannot read its secret as it is now, if it cannot. To be asked before the user depends on it alone. It only
    /// reads: what follows from the answer comes before anything is mended.
    ///
    /// # Errors
    /// [`StepError`]: it cannot be found out.
    pub async fn unreadable(
        &self,
        context: &UserContext<'_>,
        session: &MemberSession,
        record: &SecretRecord,
    ) -> Result<Option<Unreadable>, StepError> {
        if record.deleted {
            return Ok(Some(Unreadable::Deleted));
        }
        if !lets_read(&self.stored_policy().await?, context.arn) {
            return Ok(Some(Unreadable::Policy));
        }
        if let Some(policy) = read_policy(context)
            && !Iam::new(session).has_policy(context.user, &policy).await?
        {
            return Ok(Some(Unreadable::IdentityPolicy));
        }
        let shown = record.kms_key_id.clone();
        Ok(other_kms_key(context, record).map(|_| Unreadable::KmsKey { shown }))
    }

    /// When the last attempt that prepared the secret has written its intent. `None`: none has left its trace, or there is no secret.
    ///
    /// # Errors
    /// [`AwsError`]: it cannot be found out.
    pub async fn last_attempt(&self) -> Result<Option<Timestamp>, AwsError> {
        match self.stored_policy().await {
            Ok(policy) => Ok(last_attempt(&policy)),
            Err(error) if error.class == ErrorClass::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// [`Value::Null`]: it has none, or one that cannot be read.
    async fn stored_policy(&self) -> Result<Value, AwsError> {
        let text = self.secrets.policy(&self.name).await?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
    }
}

/// Why a user cannot read its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    Deleted,
    Policy,
    IdentityPolicy,
    /// Secrets Manager shows another key than `SECRET_KMS_KEY_ID`. It may be the same one in another form: that shows in whether
    /// setting it changes anything.
    KmsKey {
        shown: Option<String>,
    },
}

impl Unreadable {
    pub fn as_str(&self) -> &'static str {
        match self {
            Unreadable::Deleted => "it was scheduled for deletion",
            Unreadable::Policy => "its resource policy did not let the user read it",
            Unreadable::IdentityPolicy => {
                "the policy that CENTRAL_SECRET_READ_POLICY names was not attached to the user"
            }
            Unreadable::KmsKey { .. } => "it was encrypted with another KMS key than SECRET_KMS_KEY_ID",
        }
    }

    /// Whether it was so, going by the secret as it is once it is mended.
    pub fn was_so(&self, mended: Option<&SecretRecord>) -> bool {
        match self {
            Unreadable::Deleted | Unreadable::Policy | Unreadable::IdentityPolicy => true,
            Unreadable::KmsKey { shown } => mended.is_none_or(|mended| mended.kms_key_id != *shown),
        }
    }
}

/// The ARN of the identity policy that lets the user read, where this tool attaches one: across accounts a resource policy alone
/// lets nobody read. (IAM User Guide, "Cross-account policy evaluation logic".)
fn read_policy(context: &UserContext<'_>) -> Option<String> {
    let account = context.account;
    let name = account.worker.central.as_ref()?.read_policy_name.as_deref()?;
    Some(account.worker.connection.partition().policy_arn(&account.job.account, name))
}

/// The KMS key that is to be set, where the secret shows another.
fn other_kms_key<'a>(context: &UserContext<'a>, record: &SecretRecord) -> Option<&'a str> {
    let wanted = context.account.worker.settings.kms_key_id.as_deref()?;
    let is_shown = record.kms_key_id.as_deref().is_some_and(|shown| is_same_key(shown, wanted));
    (!is_shown).then_some(wanted)
}

/// `alias/name`, a key's id or an ARN of either, which may be the other's end.
fn is_same_key(shown: &str, wanted: &str) -> bool {
    let ends = |long: &str, short: &str| {
        long == short || long.ends_with(&format!(":{short}")) || long.ends_with(&format!("key/{short}"))
    };
    ends(shown, wanted) || ends(wanted, shown)
}

/// Where the secrets of this account's users are.
pub fn store(account: &AccountContext<'_>, session: &MemberSession) -> Secrets {
    match &account.worker.central {
        Some(central) => central.secrets.clone(),
        None => Secrets::new(session.secrets_manager().clone()),
    }
}

/// Where owners are told to look.
pub fn location(context: &UserContext<'_>) -> SecretLocation {
    let (worker, account) = (context.account.worker, &context.account.job.account);
    SecretLocation {
        name: secret_name(account, context.user),
        central_account: worker.central.as_ref().map(|central| central.account.clone()),
        region: worker.connection.region().to_owned(),
    }
}
