//! Where secrets are stored: settings that depend on each other.

use std::collections::BTreeSet;

use key_rotation_aws::settings::Problems;

use super::RawSettings;

/// Checks them; gives the regions to replicate to.
pub(super) fn check(raw: &RawSettings, problems: &mut Problems) -> Vec<String> {
    let central = raw.store_secrets_in_central_account;
    let regions: Vec<String> =
        raw.credential_replication_regions.iter().map(|region| region.trim().to_owned()).collect();
    let regions: Vec<String> = regions.into_iter().filter(|region| !region.is_empty()).collect();
    if central && raw.secret_kms_key_id.is_none() {
        problems.add(
            "STORE_SECRETS_IN_CENTRAL_ACCOUNT needs SECRET_KMS_KEY_ID: the AWS-managed key cannot be used from other accounts, so nobody could read the secrets",
        );
    }
    if !central && raw.secret_kms_key_id.is_some() {
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

/// A secret is not replicated to the region that it is in.
pub(super) fn check_region(regions: &[String], own: &str) -> Result<(), String> {
    match regions.iter().any(|region| region == own) {
        true => Err(format!(
            "CREDENTIAL_REPLICATION_REGIONS names {own}, the region that secrets are stored in already (AWS_REGION): name further regions only"
        )),
        false => Ok(()),
    }
}

/// `eu-west-1`, `us-gov-east-1`, `eusc-de-east-1`: letters, words, a number.
fn is_region(text: &str) -> bool {
    let words: Vec<&str> = text.split('-').collect();
    let Some((number, names)) = words.split_last() else { return false };
    names.len() >= 2
        && names.iter().all(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase()))
        && !number.is_empty()
        && number.bytes().all(|b| b.is_ascii_digit())
}
