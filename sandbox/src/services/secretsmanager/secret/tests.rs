//! Versions and labels.

use super::*;

fn secret() -> Secret {
    Secret {
        arn: "arn".into(),
        account: "111122223333".into(),
        name: "name".into(),
        description: None,
        kms_key_id: None,
        tags: BTreeMap::new(),
        versions: BTreeMap::new(),
        policy: None,
        created: Timestamp::UNIX_EPOCH,
        changed: Timestamp::UNIX_EPOCH,
        deletion: None,
        primary_region: None,
        replicas: BTreeMap::new(),
    }
}

fn text(value: &str) -> SecretValue {
    SecretValue::SecretString(value.to_owned())
}

fn put(secret: &mut Secret, version: &str, stages: &[&str]) -> Stored {
    let stages: Vec<String> = stages.iter().map(|stage| (*stage).to_owned()).collect();
    secret.store(version, text(version), &stages, Timestamp::UNIX_EPOCH).expect("stored")
}

#[test]
fn the_very_first_version_is_published_besides_what_it_was_asked_to_be() {
    let mut secret = secret();
    let stored = put(&mut secret, "one", &["AWSPENDING"]);
    assert_eq!(stored.stages, ["AWSCURRENT", "AWSPENDING"]);
    assert_eq!(stored.published, Some(None));
    let stored = put(&mut secret, "two", &["AWSPENDING"]);
    assert_eq!((stored.stages.as_slice(), stored.published), (["AWSPENDING".to_owned()].as_slice(), None));
    assert_eq!(secret.holder(CURRENT), Some("one"));
}

#[test]
fn a_version_without_labels_is_published_and_the_one_before_becomes_previous() {
    let mut secret = secret();
    for version in ["one", "two", "three"] {
        put(&mut secret, version, &[]);
    }
    assert_eq!(secret.holder(CURRENT), Some("three"));
    assert_eq!(secret.holder(PREVIOUS), Some("two"));
    assert!(secret.versions["one"].stages.is_empty());
}

#[test]
fn the_same_token_with_the_same_value_does_nothing_and_with_another_is_refused() {
    let mut secret = secret();
    put(&mut secret, "one", &[]);
    assert!(!put(&mut secret, "one", &[]).new);
    let other = secret.store("one", text("other"), &[], Timestamp::UNIX_EPOCH);
    assert_eq!(other, Err(PutRefused::TokenInUse));
}

#[test]
fn current_moves_only_from_the_version_named_as_its_holder() {
    let mut secret = secret();
    put(&mut secret, "one", &[]);
    put(&mut secret, "two", &["AWSPENDING"]);
    put(&mut secret, "three", &["X"]);
    let now = Timestamp::UNIX_EPOCH;
    assert!(matches!(
        secret.move_stage(CURRENT, Some("two"), None, now),
        Err(MoveRefused::HeldByAnother { holder, .. }) if holder == "one"
    ));
    assert!(matches!(
        secret.move_stage(CURRENT, Some("two"), Some("three"), now),
        Err(MoveRefused::NotTheHolder { .. })
    ));
    assert_eq!(secret.move_stage(CURRENT, Some("two"), Some("one"), now), Ok(Some(Some("one".to_owned()))));
    assert_eq!((secret.holder(CURRENT), secret.holder(PREVIOUS)), (Some("two"), Some("one")));
    // The same swap again finds another holder.
    assert!(secret.move_stage(CURRENT, Some("two"), Some("one"), now).is_err());
}

#[test]
fn moving_a_label_to_the_version_that_has_it_changes_nothing() {
    let mut secret = secret();
    put(&mut secret, "one", &[]);
    assert_eq!(secret.move_stage(CURRENT, Some("one"), None, Timestamp::UNIX_EPOCH), Ok(None));
}

#[test]
fn current_cannot_be_removed_and_other_labels_can() {
    let mut secret = secret();
    put(&mut secret, "one", &["X"]);
    let now = Timestamp::UNIX_EPOCH;
    assert_eq!(secret.move_stage(CURRENT, None, Some("one"), now), Err(MoveRefused::CurrentMustStay));
    assert_eq!(secret.move_stage("X", None, Some("one"), now), Ok(Some(Some("one".to_owned()))));
    assert_eq!(secret.holder("X"), None);
    assert!(matches!(secret.move_stage("X", None, Some("one"), now), Err(MoveRefused::HeldByNone { .. })));
    assert!(matches!(secret.move_stage("X", Some("no"), None, now), Err(MoveRefused::NoSuchVersion(_))));
}

#[test]
fn deprecated_versions_are_pruned_beyond_a_hundred_once_they_are_a_day_old() {
    let mut secret = secret();
    for n in 0..150 {
        put(&mut secret, &format!("version-{n:03}"), &[]);
    }
    assert_eq!(secret.versions.len(), 150);
    let tomorrow = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24);
    secret.store("last", text("v"), &[], tomorrow).expect("stored");
    assert_eq!(secret.versions.len(), 100);
    assert_eq!(secret.holder(PREVIOUS), Some("version-149"));
}
