//! Settings that are wrong, or that contradict each other, are refused at start: a sentence each, exit status 2, and nothing done.

use std::process::Command;

use end_to_end::Stage;

use crate::process::Process;

/// What is set, and what the one sentence about it must name.
const REFUSED: &[(&[(&str, &str)], &str)] = &[
    (&[("MAX_CONCURRENT_MESSAGES", "0")], "MAX_CONCURRENT_MESSAGES"),
    (&[("MAX_CONCURRENT_URGENT_MESSAGES", "0")], "MAX_CONCURRENT_URGENT_MESSAGES"),
    (&[("MAX_CONCURRENT_USERS", "0")], "MAX_CONCURRENT_USERS"),
    // The heartbeat comes at a third of it.
    (&[("VISIBILITY_TIMEOUT", "9")], "VISIBILITY_TIMEOUT"),
    (&[("VISIBILITY_TIMEOUT", "43201")], "VISIBILITY_TIMEOUT"),
    (&[("MESSAGE_TIMEOUT", "0")], "MESSAGE_TIMEOUT"),
    (&[("MESSAGE_TIMEOUT", "43200")], "MESSAGE_TIMEOUT"),
    (&[("RETRY_DELAY", "901")], "RETRY_DELAY"),
    (&[("MAX_RETRY_DELAY", "39601")], "MAX_RETRY_DELAY"),
    (&[("MESSAGE_TIMEOUT", "30000"), ("MAX_RETRY_DELAY", "30000")], "MESSAGE_TIMEOUT"),
    (&[("INACTIVE_PERIOD", "90")], "INACTIVE_PERIOD"),
    (&[("PENDING_ACTION_WARN_PERIOD", "90")], "PENDING_ACTION_WARN_PERIOD"),
    (&[("RECOVERY_GRACE_PERIOD", "0")], "RECOVERY_GRACE_PERIOD"),
    (&[("STORE_SECRETS_IN_CENTRAL_ACCOUNT", "true")], "SECRET_KMS_KEY_ID"),
    (&[("SENDER_EMAIL", "nobody")], "SENDER_EMAIL is wrong: \"nobody\""),
    (&[("REPLY_TO_EMAIL", "help@example.com,nobody")], "REPLY_TO_EMAIL is wrong: \"nobody\""),
    (&[("ADMIN_SUMMARY_EMAIL", "nobody@nowhere")], "ADMIN_SUMMARY_EMAIL is wrong: \"nobody@nowhere\""),
    (&[("IAM_EXEMPTION_GROUP", "left alone")], "IAM_EXEMPTION_GROUP is wrong: \"left alone\""),
    (&[("METRICS_NAMESPACE", "AWS/Keys")], "METRICS_NAMESPACE is wrong: \"AWS/Keys\""),
    (&[("EMAIL_TEMPLATE_DIR", "/nonexistent")], "EMAIL_TEMPLATE_DIR: /nonexistent cannot be read"),
    (&[("EMAIL_TEMPLATE_DIR", "/")], "EMAIL_TEMPLATE_DIR: / holds none of enforce.html"),
    (&[("CENTRAL_SECRET_READ_POLICY", "ReadOwnSecret")], "CENTRAL_SECRET_READ_POLICY is for the central store only"),
    (&[("QUEUE_URL", "key-rotation")], "QUEUE_URL"),
    (&[("QUEUE_URL", "")], "QUEUE_URL"),
];

/// Beside the settings of a worker's, in text.
const IN_TEXT: (&str, &str) = ("LOG_FORMAT", "text");

#[tokio::test]
async fn a_queue_that_is_not_there_is_a_setting_that_is_wrong() {
    let stage = Stage::new().await;
    let nowhere = format!("{}-nowhere", stage.queue.as_str());
    for variable in ["QUEUE_URL", "URGENT_QUEUE_URL"] {
        let said = refusal(&stage, &[IN_TEXT, (variable, &nowhere)]).await;
        let problem = format!("worker: {variable} is wrong: there is no queue {nowhere}; ");
        assert!(said.starts_with(&problem) && said.lines().count() == 1, "{said}");
    }
}

#[tokio::test]
async fn what_is_blank_counts_as_not_set() {
    let stage = Stage::new().await;
    let blank = [
        "REPLY_TO_EMAIL",
        "IAM_EXEMPTION_GROUP",
        "METRICS_NAMESPACE",
        "CENTRAL_SECRET_READ_POLICY",
        "EMAIL_TEMPLATE_DIR",
    ];
    let mut worker = Process::drain(&stage, &blank.map(|variable| (variable, " ")));
    assert_eq!(worker.ended().await, Some(0), "{}", worker.log());
}

#[tokio::test]
async fn a_filter_of_the_log_that_cannot_be_read_is_said_in_one_line_and_the_default_is_used() {
    let stage = Stage::new().await;
    for (format, level) in [("text", "WARN"), ("json", "\"level\":\"WARN\"")] {
        let mut worker = Process::drain(&stage, &[("LOG_FORMAT", format), ("RUST_LOG", "garbage")]);
        assert_eq!(worker.ended().await, Some(0), "{}", worker.log());
        let log = worker.log();
        let said: Vec<&str> = log.lines().filter(|line| line.contains("RUST_LOG")).collect();
        let [line] = said.as_slice() else { panic!("one line: {log}") };
        assert!(line.contains(level) && line.contains("the default is used"), "{line}");
        assert!(log.contains("the worker starts"), "{log}");
    }
}

async fn refusal(stage: &Stage, settings: &[(&str, &str)]) -> String {
    let mut worker = Process::start(stage, settings);
    let status = worker.ended().await;
    let said = worker.log();
    assert_eq!(status, Some(2), "{settings:?}: {said}");
    said
}

#[tokio::test]
async fn settings_that_are_wrong_or_contradict_each_other_are_refused_in_one_sentence_each() {
    let stage = Stage::new().await;
    for (settings, named) in REFUSED {
        let said = refusal(&stage, &[&[IN_TEXT], *settings].concat()).await;
        assert_eq!(said.lines().count(), 1, "{settings:?}: {said}");
        assert!(said.contains(named), "{settings:?}: {said}");
    }
    assert_eq!(stage.world(|world| world.journal.total()), 0, "AWS was not called once");
}

/// Values that a setting does not take are read first; then what contradicts each other.
#[tokio::test]
async fn everything_that_is_wrong_is_said_at_once() {
    let stage = Stage::new().await;
    let not_taken = [
        ("MAX_CONCURRENT_MESSAGES", "0"),
        ("VISIBILITY_TIMEOUT", "2m"),
        ("ROTATION_PERIOD", ""),
        ("UNUSED_KEYS", "delete"),
        ("DRY_RUN", "fales"),
    ];
    let contradicting = [("RETRY_DELAY", "1000"), ("INACTIVE_PERIOD", "1"), ("SENDER_EMAIL", "nobody")];
    for settings in [not_taken.as_slice(), &contradicting] {
        let said = refusal(&stage, settings).await;
        for (name, value) in settings {
            assert!(said.contains(name), "{name} is not in: {said}");
            assert!(said.contains(value), "{value} is not in: {said}");
        }
    }
}

/// Nothing listens on the port 1. (TCPMUX, which no system has used for decades.)
#[test]
fn a_worker_that_cannot_call_aws_has_not_started_and_one_whose_settings_are_wrong_was_refused() {
    let queue = ("QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/123456789012/work");
    let usual = [queue, ("AWS_REGION", "eu-west-1"), ("AWS_EC2_METADATA_DISABLED", "true"), ("LOG_FORMAT", "text")];
    let keys = [("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    let closed = [keys.as_slice(), &[("AWS_ENDPOINT_URL", "http://127.0.0.1:1")]].concat();
    for (settings, status, said) in [
        ([].as_slice(), 1, "no AWS credentials were found"),
        (&closed, 1, "http://127.0.0.1:1 (AWS_ENDPOINT_URL) refused the connection"),
        (&[("AWS_REGION", "nowhere")], 2, "AWS_REGION is wrong: \"nowhere\" is not a region"),
    ] {
        for command in [["--drain"].as_slice(), &["preview-mail", "--account", "123456789012"]] {
            let mut worker = Command::new(env!("CARGO_BIN_EXE_worker"));
            let environment = [usual.as_slice(), settings].concat();
            let output = worker.args(command).env_clear().envs(environment).output().expect("the program runs");
            let told = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(status), "{command:?}: {told}");
            assert!(told.contains(said) && told.lines().count() == 1, "{command:?}: {told}");
        }
    }
}

#[tokio::test]
async fn a_central_store_that_attaches_no_policy_says_who_has_to_let_users_read() {
    let stage = Stage::new().await;
    let central = [
        ("STORE_SECRETS_IN_CENTRAL_ACCOUNT", "true"),
        ("SECRET_KMS_KEY_ID", "arn:aws:kms:eu-central-1:100000000000:key/1234abcd-12ab-34cd-56ef-1234567890ab"),
    ];
    let attached = [central.as_slice(), &[("CENTRAL_SECRET_READ_POLICY", "IAMKeyRotationReadOwnSecret")]].concat();
    for (settings, is_said) in [(central.as_slice(), true), (attached.as_slice(), false)] {
        let mut worker = Process::drain(&stage, settings);
        assert_eq!(worker.ended().await, Some(0), "{}", worker.log());
        let said = worker.log().contains("CENTRAL_SECRET_READ_POLICY is not set: each user needs an identity policy");
        assert_eq!(said, is_said, "{}", worker.log());
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let out = std::env::temp_dir().join(format!("mail-preview-{}", uuid::Uuid::new_v4()));
    let preview = ["preview-mail", "--out", out.to_str().expect("text")];
    for arguments in [["--help"].as_slice(), &["man"], &preview] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut worker = Command::new(env!("CARGO_BIN_EXE_worker"));
        let output = worker.args(arguments).env_clear().stdout(writer).output().expect("the program runs");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), told.as_ref()), (Some(0), ""), "{arguments:?}");
    }
    assert!(out.join("index.txt").exists(), "the mails are written all the same");
    std::fs::remove_dir_all(&out).expect("it goes");
}
