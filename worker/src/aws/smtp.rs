//! The passwords of SES's SMTP interface: each derives from a secret access key and a region. The user name is the access key id.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// The password for a region. (SES Developer Guide, "Obtaining Amazon SES SMTP credentials", by converting existing AWS credentials:
/// the names and the date are fixed, and the password begins with a version byte.)
pub fn password(secret_access_key: &SecretString, region: &str) -> SecretString {
    const VERSION: u8 = 0x04;
    let first = format!("AWS4{}", secret_access_key.expose_secret());
    let steps = ["11111111", region, "ses", "aws4_request", "SendRawEmail"];
    let signature = steps.iter().fold(first.into_bytes(), |key, message| sign(&key, message));
    let versioned: Vec<u8> = std::iter::once(VERSION).chain(signature).collect();
    SecretString::from(STANDARD.encode(versioned))
}

fn sign(key: &[u8], message: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What AWS's own script gives for these.
    #[test]
    fn a_password_is_what_awss_script_derives() {
        for (region, secret, expected) in [
            ("eu-central-1", "some+secret+key", "BMXhUYlu5Z3gSXVQORxlVa7XPaz91aGWdfHxvkOZdWZ2"),
            ("eu-central-1", "another+secret+key", "BBbphbrQmrKMx42d1N6+C7VINYEBGI5v9VsZeTxwskfh"),
            ("us-west-1", "some+secret+key", "BH+jbMzper5WwlwUar9E1ySBqHa9whi0GPo+sJ0mVYJj"),
            ("us-west-1", "another+secret+key", "BKVmjjMDFk/qqw8EROW99bjCS65PF8WKvK5bSr4Y6EqF"),
            ("eu-west-1", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "BMW5RDrXmmVs0lV7GpI4oLkHXpZ4stDsk6q91z1g38Pk"),
        ] {
            assert_eq!(password(&SecretString::from(secret), region).expose_secret(), expected);
        }
    }
}
