//! Where secrets are stored: settings that depend on each other.

use std::collections::BTreeSet;

use key_rotation_aws::settings::{Problems, is_iam_name};
use rotation::names::{Partition, is_region};
use rotation::readers::{ReaderPattern, Readers};

use super::raw::{SecretSettings, text};

/// Checks them; gives the regions to replicate to.
pub(super) fn check(raw: &SecretSettings, problems: &mut Problems) -> Vec<String> {
    let central = raw.store_secrets_in_central_account;
    let regions: Vec<String> =
        raw.credential_replication_regions.iter().map(|region| region.trim().to_owned()).collect();
    let regions: Vec<String> = regions.into_iter().filter(|region| !region.is_empty()).collect();
    if central && text(&raw.secret_kms_key_id).is_none() {
        problems.add(
            "STORE_SECRETS_IN_CENTRAL_ACCOUNT needs SECRET_KMS_KEY_ID: the AWS-managed key cannot be used from other accounts, so nobody could read the secrets",
        );
    }
    match text(&raw.central_secret_read_policy) {
        Some(_) if !central => problems.add(
            "CENTRAL_SECRET_READ_POLICY is for the central store only (STORE_SECRETS_IN_CENTRAL_ACCOUNT): in a user's own account the secret's policy lets the user read it; set both, or neither",
        ),
        Some(name) if !is_iam_name(&name) => problems.add(format!(
            "CENTRAL_SECRET_READ_POLICY is wrong: \"{name}\" is not the name of a managed policy: it must be letters, digits or any of +=,.@_-, at most 128, without a path"
        )),
        Some(_) | None => {}
    }
    if !central && text(&raw.secret_kms_key_id).is_some() {
        problems.add(
            "SECRET_KMS_KEY_ID is for the central store only (STORE_SECRETS_IN_CENTRAL_ACCOUNT): in a user's own account nothing lets the user decrypt with it, so it could not read its secret",
        );
    }
    if central && !regions.is_empty() {
        problems.add(
            "CREDENTIAL_REPLICATION_REGIONS cannot stand beside STORE_SECRETS_IN_CENTRAL_ACCOUNT: replicas are encrypted with their region's AWS-managed key, which cannot be used from other accounts",
        );
    }
    let mut seen = BTreeSet::new();
    for region in &regions {
        if !is_region(region) {
            problems.add(format!(
                "CREDENTIAL_REPLICATION_REGIONS: \"{region}\" is not the name of a region, as in eu-west-1"
            ));
        } else if !seen.insert(region) {
            problems.add(format!("CREDENTIAL_REPLICATION_REGIONS names {region} twice"));
        }
    }
    regions
}

/// So many fit into a secret's policy, with those of the user's tag. (Secrets Manager quotas: 20,480 characters.)
const MOST_READERS: usize = 10;

/// Who may read secrets.
pub(super) fn readers(raw: &SecretSettings, problems: &mut Problems) -> Readers {
    let central = raw.store_secrets_in_central_account;
    let mut read = |variable: &str, texts: &[String]| {
        let mut readers = Vec::new();
        for text in texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty()) {
            match ReaderPattern::new(text) {
                Err(why) => problems.add(format!("{variable}: \"{text}\" cannot be a reader: {why}")),
                // "You can't use the AWS managed key aws/secretsmanager" from another account. (Secrets Manager User Guide, "Access AWS
                // Secrets Manager secrets from a different account".)
                Ok(reader) if !central && !reader.is_in_users_account() => problems.add(format!(
                    "{variable}: \"{text}\" could not read anything: where each account stores its own secrets (no STORE_SECRETS_IN_CENTRAL_ACCOUNT), nobody from another account can decrypt them. Write {{account}} for the account"
                )),
                Ok(reader) => readers.push(reader),
            }
        }
        if readers.len() > MOST_READERS {
            problems.add(format!(
                "{variable} names {} roles: a secret's policy has room for {MOST_READERS}. Use a pattern, or one role that all of them may assume",
                readers.len()
            ));
        }
        readers
    };
    Readers {
        always: read("SECRET_READERS", &raw.secret_readers),
        allowed: read("SECRET_READERS_ALLOWED", &raw.secret_readers_allowed),
    }
}

/// Nobody comes from another partition.
pub(super) fn check_partition(readers: &Readers, own: Partition) -> Result<(), String> {
    let foreign = readers.always.iter().chain(&readers.allowed).find(|reader| reader.partition() != own.as_str());
    match foreign {
        Some(reader) => Err(format!(
            "SECRET_READERS: \"{}\" is in another partition than the worker: it must begin with arn:{own}:",
            reader.as_str()
        )),
        None => Ok(()),
    }
}

/// A secret is not replicated to the region that it is in.
pub(super) fn check_region(regions: &[String], own: &str) -> Result<(), String> {
    match regions.iter().any(|region| region == own) {
        true => Err(format!(
            "CREDENTIAL_REPLICATION_REGIONS names {own}, the region that secrets are stored in already (AWS_REGION): name further regions only"
        )),
        false => Ok(()),
    }
}
