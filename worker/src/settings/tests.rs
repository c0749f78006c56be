//! Settings that contradict each other are refused, all at once, each in one sentence.

use clap::Parser;
use key_rotation_aws::command_line;
use rotation::selection::FullScan;

use super::{RawSettings, Settings};

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    settings: RawSettings,
}

/// Reads a command line as the worker does. What the tests' own environment sets is none of their business.
fn check(arguments: &[&str]) -> Result<Settings, Vec<String>> {
    const QUEUE: [&str; 3] = ["worker", "--queue-url", "https://sqs.eu-west-1.amazonaws.com/123456789012/work"];
    let line = Line::try_parse_from(QUEUE.iter().chain(arguments)).expect("a command line");
    Settings::check(line.settings)
}

/// A value that a setting does not take.
fn not_read(arguments: &[&str]) -> String {
    let line: Vec<_> = ["worker"].iter().chain(arguments).map(Into::into).collect();
    command_line::try_parse::<Line>(&line).expect_err("a value that is not taken").to_string()
}

fn refused(arguments: &[&str]) -> String {
    let problems = check(arguments).expect_err("settings that contradict each other");
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems[0].clone()
}

#[test]
fn audit_mode_is_the_default() {
    assert!(check(&[]).expect("the defaults").dry_run);
}

#[test]
fn enforcement_is_understood_however_it_is_spelled_and_nothing_else_is_taken_for_it() {
    for (text, dry_run) in [("False", false), ("0", false), ("no", false), ("OFF", false), ("True", true), ("1", true)]
    {
        assert_eq!(check(&[&format!("--dry-run={text}")]).expect("a boolean").dry_run, dry_run, "{text}");
    }
    for text in ["", "fales", "none", "2"] {
        let error = not_read(&[&format!("--dry-run={text}")]);
        assert!(error.contains(&format!("--dry-run is wrong: \"{text}\" is neither true nor false")), "{error}");
    }
}

#[test]
fn audit_mails_to_the_administrator_need_an_address_of_the_administrator() {
    let administrator = ["--sender-email", "a@example.com", "--audit-mails", "administrator"];
    assert!(refused(&administrator).starts_with("AUDIT_MAILS=administrator needs ADMIN_SUMMARY_EMAIL"));
    let known: Vec<&str> = administrator.into_iter().chain(["--admin-summary-email", "b@example.com"]).collect();
    assert_eq!(check(&known).expect("an address").mail.audit_mails, crate::notices::AuditMails::Administrator);
}

#[test]
fn every_number_has_bounds_and_says_what_it_counts() {
    for (flag, wrong_values, sentence) in [
        ("--rotation-period", ["90d", "-1", "", "36501"], "days from 0 to 36500"),
        ("--inactive-period", ["x", "1.5", " 1", "36501"], "days from 0 to 36500"),
        ("--recovery-grace-period", ["x", "1.5", " 1", "36501"], "days from 0 to 36500"),
        ("--pending-action-warn-period", ["x", "1.5", " 1", "36501"], "days from 0 to 36500"),
        ("--in-use-extension", ["x", "1.5", " 1", "36501"], "days from 0 to 36500"),
        ("--full-scan-days", ["x", "-1", "0", "366"], "days from 1 to 365"),
        ("--audit-run-interval", ["x", "-1", "0", "366"], "days from 1 to 365"),
        ("--max-concurrent-messages", ["x", "-1", "0", "10001"], "messages from 1 to 10000"),
        ("--max-concurrent-urgent-messages", ["x", "-1", "0", "10001"], "messages from 1 to 10000"),
        ("--max-concurrent-users", ["x", "-1", "0", "10001"], "users from 1 to 10000"),
        ("--visibility-timeout", ["x", "-1", "9", "43201"], "seconds from 10 to 43200"),
        ("--message-timeout", ["x", "-1", "0", "43200"], "seconds from 1 to 43199"),
        ("--retry-delay", ["x", "-1", "1h", "39601"], "seconds from 0 to 39600"),
        ("--max-retry-delay", ["x", "-1", "1h", "39601"], "seconds from 0 to 39600"),
        ("--stop-grace", ["x", "-1", "1h", "43201"], "seconds from 0 to 43200"),
        ("--drain-patience", ["x", "-1", "1h", "43201"], "seconds from 0 to 43200"),
    ] {
        for wrong in wrong_values {
            let told = not_read(&[&format!("{flag}={wrong}")]);
            assert_eq!(told, format!("error: {flag} is wrong: \"{wrong}\" is not a whole number of {sentence}\n"));
        }
    }
}

#[test]
fn every_user_is_looked_at_within_14_days_or_on_every_run_where_that_is_set() {
    assert_eq!(check(&["--full-scan-days", "1"]).expect("always").full_scan, FullScan::EVERY_RUN);
    assert_eq!(check(&[]).expect("the defaults").full_scan, FullScan::new(14, 1));
}

#[test]
fn a_central_store_needs_a_key_that_other_accounts_can_use() {
    let problem = refused(&["--store-secrets-in-central-account"]);
    assert!(problem.starts_with("STORE_SECRETS_IN_CENTRAL_ACCOUNT needs SECRET_KMS_KEY_ID"), "{problem}");
}

#[test]
fn a_central_store_is_not_replicated_to_where_nobody_could_read_it() {
    let problem = refused(&[
        "--store-secrets-in-central-account",
        "--secret-kms-key-id",
        "alias/secrets",
        "--credential-replication-regions",
        "eu-west-2",
    ]);
    assert!(problem.starts_with("CREDENTIAL_REPLICATION_REGIONS cannot stand beside"), "{problem}");
}

#[test]
fn a_kms_key_is_for_the_central_store() {
    let problem = refused(&["--secret-kms-key-id", "alias/secrets"]);
    assert!(problem.starts_with("SECRET_KMS_KEY_ID is for the central store only"), "{problem}");
}

#[test]
fn regions_to_replicate_to_are_regions_each_once_and_none_of_them_the_own() {
    let regions = |list| ["--credential-replication-regions", list];
    for wrong in ["eu-west", "eu-west-1a", "EU-WEST-1", "eu-west-1;eu-west-2"] {
        assert!(refused(&regions(wrong)).contains("is not the name of a region"), "{wrong}");
    }
    assert!(refused(&regions("eu-west-2,eu-west-2")).contains("names eu-west-2 twice"));
    let settings = check(&regions("eu-west-2, eusc-de-east-1 ,us-gov-west-1,")).expect("spaces are nothing");
    assert_eq!(settings.replication_regions, ["eu-west-2", "eusc-de-east-1", "us-gov-west-1"]);
    assert!(settings.check_region("eu-west-1").is_ok());
    assert!(settings.check_region("eu-west-2").expect_err("the own").contains("AWS_REGION"));
}

#[test]
fn readers_are_roles_that_can_read_and_each_wrong_one_is_told() {
    let own = "arn:aws:iam::{account}:role/key-readers, arn:aws:iam::{account}:role/reader-{user},";
    let settings = check(&["--secret-readers", own]).expect("readers");
    assert_eq!(settings.readers.always.len(), 2);
    assert!(settings.check_partition(rotation::names::Partition::AWS).is_ok());
    let china = rotation::names::Partition::from_arn("arn:aws-cn:iam::1:root").expect("a partition");
    assert!(settings.check_partition(china).expect_err("another").contains("must begin with arn:aws-cn:"));
    for (wrong, why) in [
        ("key-readers", "is not the ARN of a role"),
        ("arn:aws:iam::*:role/key-readers", "would let in other accounts"),
        ("arn:aws:iam::{account}:role/*", "roles that anybody makes"),
        ("arn:aws:iam::444455556666:role/vault", "nobody from another account can decrypt"),
    ] {
        for flag in ["--secret-readers", "--secret-readers-allowed"] {
            let problem = refused(&[flag, wrong]);
            assert!(problem.starts_with("SECRET_READERS") && problem.contains(why), "{problem}");
        }
    }
    let central = ["--store-secrets-in-central-account", "--secret-kms-key-id", "alias/secrets"];
    let from_elsewhere = ["--secret-readers", "arn:aws:iam::444455556666:role/vault"];
    assert!(check(&[central.as_slice(), &from_elsewhere].concat()).is_ok());
    let many = (0..11).map(|n| format!("arn:aws:iam::{{account}}:role/r{n}")).collect::<Vec<_>>().join(",");
    assert!(refused(&["--secret-readers", &many]).contains("has room for 10"));
}

#[test]
fn a_forecast_is_for_audit_mode() {
    let problem = refused(&["--dry-run=false", "--as-of", "2026-12-24T00:00:00Z"]);
    assert!(problem.starts_with("--as-of is for audit mode only"), "{problem}");
}

#[test]
fn every_problem_is_told_at_once() {
    let problems = check(&["--dry-run=false", "--as-of", "2026-12-24T00:00:00Z", "--sender-email", "nobody"]);
    assert_eq!(problems.expect_err("two problems").len(), 2);
}

#[test]
fn what_is_no_mail_address_is_told_as_it_was_written() {
    for (flag, variable) in [
        ("--sender-email", "SENDER_EMAIL"),
        ("--reply-to-email", "REPLY_TO_EMAIL"),
        ("--admin-summary-email", "ADMIN_SUMMARY_EMAIL"),
    ] {
        for wrong in ["foo", "a@localhost", "a@@example.com", "Jo a@example.com", "a@example.com <b@example.com>"] {
            let sentence = format!("{variable} is wrong: \"{wrong}\" is not a mail address, as jo@example.com is");
            assert_eq!(refused(&[flag, wrong]), sentence);
        }
        let named = "Key rotation <keys+rotation@example.com>";
        assert!(check(&[flag, named]).is_ok(), "{variable}");
    }
    let settings = check(&["--reply-to-email", "a@example.com, b@example.com,"]).expect("two addresses");
    assert_eq!(settings.mail.reply_to, ["a@example.com", "b@example.com"]);
    assert!(refused(&["--reply-to-email", "a@example.com,b"]).contains("\"b\" is not a mail address"));
}

#[test]
fn a_directory_of_templates_is_there_and_has_some() {
    let nowhere = refused(&["--email-template-dir", "/nonexistent/templates"]);
    assert!(nowhere.starts_with("EMAIL_TEMPLATE_DIR: /nonexistent/templates cannot be read: "), "{nowhere}");
    let without = refused(&["--email-template-dir", concat!(env!("CARGO_MANIFEST_DIR"), "/src")]);
    assert!(
        without.starts_with("EMAIL_TEMPLATE_DIR: ") && without.contains(" holds none of enforce.html, "),
        "{without}"
    );
    assert!(check(&["--email-template-dir", concat!(env!("CARGO_MANIFEST_DIR"), "/../templates")]).is_ok());
}

#[test]
fn the_policy_that_lets_users_read_is_for_the_central_store_and_has_a_policys_name() {
    let policy = ["--central-secret-read-policy", "ReadOwnSecret"];
    let problem = refused(&policy);
    assert!(problem.starts_with("CENTRAL_SECRET_READ_POLICY is for the central store only"), "{problem}");
    let central = ["--store-secrets-in-central-account", "--secret-kms-key-id", "alias/secrets"];
    let settings = check(&[central.as_slice(), &policy].concat()).expect("they go together");
    assert_eq!(settings.central_read_policy.as_deref(), Some("ReadOwnSecret"));
    let arn = "arn:aws:iam::123456789012:policy/ReadOwnSecret";
    let problem = refused(&[central.as_slice(), &["--central-secret-read-policy", arn]].concat());
    assert!(problem.contains("is not the name of a managed policy"), "{problem}");
    assert!(check(&["--central-secret-read-policy="]).is_ok(), "blank is not set");
}

#[test]
fn the_exemption_group_has_a_groups_name_and_is_the_default_one_where_it_is_blank() {
    for blank in ["", " "] {
        let settings = check(&[&format!("--iam-exemption-group={blank}")]).expect("not set");
        assert_eq!(settings.exemption_group, rotation::names::DEFAULT_EXEMPTION_GROUP);
    }
    assert_eq!(check(&["--iam-exemption-group", " left-alone "]).expect("a group").exemption_group, "left-alone");
    let told = not_read(&["--iam-exemption-group=teams/left-alone"]);
    assert!(
        told.contains("--iam-exemption-group is wrong: \"teams/left-alone\" is not the name of an IAM group"),
        "{told}"
    );
}

#[test]
fn a_value_behind_a_flag_stands_behind_an_equals_sign() {
    for flag in ["--dry-run", "--store-secrets-in-central-account"] {
        let told = not_read(&[flag, "false"]);
        assert_eq!(told, format!("error: a value of {flag} stands behind an equals sign: {flag}=false\n"));
    }
    assert_eq!(not_read(&["--drain", "true"]), "error: --drain takes no value: leave \"true\" out\n");
}

#[test]
fn text_that_is_blank_is_not_set() {
    let blank = ["--sender-email=", "--event-bus-name= ", "--email-template-dir=", "--secret-kms-key-id="];
    let settings = check(&blank).expect("nothing is wrong");
    assert_eq!((settings.mail.sender, settings.event_bus, settings.kms_key_id), (None, None, None));
    assert_eq!(settings.mail.template_dir, None);
}
