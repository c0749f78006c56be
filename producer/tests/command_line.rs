//! Wrong situations, each told by the released program in one sentence that names the cause, at once.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What a person at a terminal takes for "at once". The program itself needs a fraction of it; the rest is for busy machines.
const AT_ONCE: Duration = Duration::from_secs(5);

const QUEUE: &str = "https://sqs.eu-west-1.amazonaws.com/123456789012/work.fifo";

/// Runs the program with these arguments and nothing of this process's environment but the given variables; gives its exit
/// status and what it says on stderr.
fn producer(arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let started = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_producer"))
        .args(arguments)
        .env_clear()
        .envs([("HOME", "/nonexistent"), ("AWS_EC2_METADATA_DISABLED", "true"), ("LOG_FORMAT", "text")])
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("the program runs");
    let told = String::from_utf8(output.stderr).expect("text");
    println!("{:>5} ms, exit {:?}: {told}", started.elapsed().as_millis(), output.status.code());
    assert!(started.elapsed() < AT_ONCE, "{:?}", started.elapsed());
    (output.status.code(), told)
}

/// With working settings but for the given ones.
fn status(variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let usual = [
        ("QUEUE_URL", QUEUE),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ];
    let all: Vec<_> = usual.into_iter().chain(variables.iter().copied()).collect();
    producer(&["status"], &all)
}

/// One line, and nothing else.
fn assert_told(told: &(Option<i32>, String), code: i32, sentence: &str) {
    assert_eq!(told.0, Some(code), "{}", told.1);
    assert!(told.1.starts_with("producer: ") && told.1.contains(sentence), "{}", told.1);
    assert_eq!(told.1.lines().count(), 1, "{}", told.1);
}

/// Answers every request with this, and ends the connection.
fn answering(answer: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let _read = stream.read(&mut request);
            let _written = stream.write_all(answer.as_bytes());
        }
    });
    address.to_string()
}

#[test]
fn an_endpoint_or_a_proxy_that_refuses_the_connection_is_named() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address");
    let told = status(&[("AWS_ENDPOINT_URL", &format!("http://{free}"))]);
    assert_told(&told, 1, &format!("http://{free} (AWS_ENDPOINT_URL) refused the connection"));
    let told = status(&[("HTTPS_PROXY", &format!("http://me:pass-word@{free}"))]);
    assert_told(&told, 1, &format!("http://{free} (HTTPS_PROXY) refused the connection"));
    assert!(!told.1.contains("pass-word"), "{}", told.1);
}

#[test]
fn a_host_without_an_address_is_named_with_the_setting_that_it_comes_from() {
    // A label of more than 63 octets (RFC 1035) is nobody's, and nobody has to be asked.
    let nobody = format!("{}.invalid", "a".repeat(64));
    for variable in ["AWS_ENDPOINT_URL", "HTTPS_PROXY"] {
        let told = status(&[(variable, &format!("http://{nobody}"))]);
        assert_told(&told, 1, &format!("{nobody} has no address (DNS): is {variable}=http://{nobody} right"));
    }
}

#[test]
fn what_cannot_be_a_region_or_a_url_is_refused_before_any_call() {
    let endpoint = answering("HTTP/1.1 500 Called\r\n\r\n".to_owned());
    let endpoint = ("AWS_ENDPOINT_URL", &*format!("http://{endpoint}"));
    for (variable, wrong, why) in [
        ("AWS_REGION", "", "\"\" is not a region, as eu-west-1 is"),
        ("AWS_REGION", "eu-west-1 ", "\"eu-west-1 \" is not a region, as eu-west-1 is"),
        ("AWS_REGION", "nowhere", "\"nowhere\" is not a region, as eu-west-1 is"),
        ("AWS_ENDPOINT_URL", "nonsense", "\"nonsense\" is no URL; it must begin with https:// or http://"),
        ("AWS_ENDPOINT_URL_STS", "ftp://host", "\"ftp://host\" is no URL; it must begin with https:// or http://"),
        ("https_proxy", "http://a b", "\"http://a b\" is no URL; it must begin with https:// or http://"),
    ] {
        assert_told(&status(&[endpoint, (variable, wrong)]), 2, &format!("{variable} is wrong: {why}"));
    }
}

#[test]
fn a_login_that_is_over_is_told_with_the_command_that_renews_it() {
    let home = std::env::temp_dir().join(format!("key-rotation-login-{}", std::process::id()));
    let config = home.join("config");
    std::fs::create_dir_all(&home).expect("a directory");
    let session = "[sso-session work]\nsso_start_url = https://work.awsapps.com/start\nsso_region = eu-west-1\n";
    let of_account = "sso_account_id = 123456789012\nsso_role_name = Admin\n";
    let profiles = format!(
        "{session}[profile dev]\nsso_session = work\n{of_account}\
         [profile old]\nsso_start_url = https://old.awsapps.com/start\nsso_region = eu-west-1\n{of_account}\
         [default]\nsso_session = work\n{of_account}\
         [profile role]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = dev\n"
    );
    std::fs::write(&config, profiles).expect("a file");
    for (profile, login) in [(Some("dev"), "dev"), (Some("old"), "old"), (Some("role"), "dev"), (None, "default")] {
        let variables = [
            ("QUEUE_URL", QUEUE),
            ("AWS_REGION", "eu-west-1"),
            ("HOME", path(&home)),
            ("AWS_CONFIG_FILE", path(&config)),
        ];
        let asked: Vec<_> = variables.into_iter().chain(profile.map(|name| ("AWS_PROFILE", name))).collect();
        let told = producer(&["status"], &asked);
        assert_told(&told, 1, &format!("the login of the profile \"{login}\" is over or was never made ("));
        assert!(told.1.trim_end().ends_with(&format!(": aws sso login --profile {login}")), "{}", told.1);
    }
    std::fs::remove_dir_all(&home).expect("it goes");
}

fn path(path: &std::path::Path) -> &str {
    path.to_str().expect("text")
}

#[test]
fn a_metadata_service_that_refuses_has_no_credentials() {
    let refusing = answering("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned());
    let service = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*format!("http://{refusing}"));
    let variables =
        [("QUEUE_URL", QUEUE), ("AWS_REGION", "eu-west-1"), ("AWS_EC2_METADATA_DISABLED", "false"), service];
    assert_told(&producer(&["status"], &variables), 1, "no AWS credentials were found: set AWS_PROFILE");
}

#[test]
fn every_value_that_a_variable_does_not_take_is_told_at_once() {
    let wrong =
        [("ROTATION_PERIOD", "90d"), ("UNUSED_KEYS", "delete"), ("LOG_FORMAT", "xml"), ("IN_USE_EXTENSION", "")];
    let told = producer(&["report", "--as-of", "tomorrow"], &wrong);
    assert_eq!(told.0, Some(2), "{}", told.1);
    for sentence in [
        "ROTATION_PERIOD is wrong: \"90d\" is not a whole number of days from 0 to 36500",
        "UNUSED_KEYS is wrong: \"delete\" is not one of rotate, retire",
        "LOG_FORMAT is wrong: \"xml\" is not one of json, text",
        "IN_USE_EXTENSION is wrong: \"\" is not a whole number of days from 0 to 36500",
    ] {
        let told = producer(&["report"], &wrong).1;
        assert!(told.contains(sentence), "{sentence}: {told}");
    }
    assert!(told.1.contains("--as-of is wrong: \"tomorrow\" is neither a date (2027-03-01) nor"), "{}", told.1);
}

#[test]
fn a_value_that_no_group_or_namespace_can_have_is_told_by_its_variable() {
    for (variable, wrong, why) in [
        ("IAM_EXEMPTION_GROUP", "left alone", "\"left alone\" is not the name of an IAM group: it must be letters"),
        ("METRICS_NAMESPACE", "AWS/Keys", "\"AWS/Keys\" is not a CloudWatch namespace of your own: it must be letters"),
    ] {
        let (status, told) = producer(&["report"], &[(variable, wrong)]);
        assert_eq!((status, told.lines().count()), (Some(2), 1), "{told}");
        assert!(told.contains(&format!("{variable} is wrong: {why}")), "{told}");
    }
}

/// Where nothing is set a run enforces wherever it goes: a list that came out empty must not be taken for that.
#[test]
fn a_blank_list_of_where_to_enforce_is_refused() {
    for blank in ["", " "] {
        let (status, told) = producer(&["schedule"], &[("QUEUE_URL", QUEUE), ("ENFORCE_IN", blank)]);
        assert_eq!((status, told.lines().count()), (Some(2), 1), "{told}");
        assert!(
            told.contains("ENFORCE_IN is wrong: it is blank, or ends in a comma: name organizational units or accounts, or leave it out"),
            "{told}"
        );
    }
}

#[test]
fn a_value_behind_a_flag_that_takes_none_is_told_so() {
    for (value, form) in [("false", "leave it out together with \"false\""), ("true", "leave \"true\" out")] {
        let (status, told) = producer(&["schedule", "--dry-run", value], &[("QUEUE_URL", QUEUE)]);
        assert_eq!((status, told), (Some(2), format!("error: --dry-run takes no value: {form}\n")));
    }
}

#[test]
fn a_queue_that_is_not_there_is_told_once_and_alike_by_every_command() {
    let body = r#"{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"The specified queue does not exist."}"#;
    let head =
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/x-amz-json-1.0\r\nconnection: close\r\ncontent-length:";
    let sqs = answering(format!("{head} {}\r\n\r\n{body}", body.len()));
    let identity = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
        <Arn>arn:aws:iam::123456789012:user/ada</Arn><UserId>AIDA</UserId><Account>123456789012</Account>\
        </GetCallerIdentityResult></GetCallerIdentityResponse>";
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\nconnection: close\r\ncontent-length:";
    let sts = answering(format!("{head} {}\r\n\r\n{identity}", identity.len()));
    let variables = [
        ("QUEUE_URL", QUEUE),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_ENDPOINT_URL_SQS", &format!("http://{sqs}")),
        ("AWS_ENDPOINT_URL_STS", &format!("http://{sts}")),
    ];
    let restore = ["restore", "--account", "123456789012", "--user", "ada"];
    for command in
        [["status"].as_slice(), &["schedule"], &restore, &["dead-letters", "list"], &["dead-letters", "redrive"]]
    {
        let told = producer(command, &variables);
        assert_told(
            &told,
            2,
            &format!("producer: QUEUE_URL is wrong: there is no queue {QUEUE}; take the URL that SQS shows"),
        );
    }
}

#[test]
fn an_endpoint_that_is_not_aws() {
    let page = "<html>Access to this site is blocked.</html>";
    let head = "HTTP/1.1 403 Forbidden\r\ncontent-type: text/html\r\nconnection: close\r\ncontent-length:";
    let address = answering(format!("{head} {}\r\n\r\n{page}", page.len()));
    let told = status(&[("AWS_ENDPOINT_URL", &format!("http://{address}"))]);
    assert_told(
        &told,
        1,
        "an answer with the status 403 and no error code, which may not be AWS's own: check AWS_ENDPOINT_URL",
    );
}

#[test]
fn an_endpoint_that_does_not_speak_tls() {
    let address = answering("HTTP/1.1 400 Bad Request\r\n\r\n".to_owned());
    let told = status(&[("AWS_ENDPOINT_URL", &format!("https://{address}"))]);
    assert_told(&told, 1, "TLS connection failed");
}

#[test]
fn an_endpoint_that_closes_the_connection() {
    let told = status(&[("AWS_ENDPOINT_URL", &format!("http://{}", answering(String::new())))]);
    assert_told(&told, 1, "AWS cannot be called: sts:GetCallerIdentity failed: the connection");
}

#[test]
fn credentials_that_aws_does_not_know() {
    let body = "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
        <Code>InvalidClientTokenId</Code><Message>The security token is invalid.</Message></Error></ErrorResponse>";
    let head = "HTTP/1.1 403 Forbidden\r\ncontent-type: text/xml\r\nconnection: close\r\ncontent-length:";
    let answer = format!("{head} {}\r\n\r\n{body}", body.len());
    let told = status(&[("AWS_ENDPOINT_URL", &format!("http://{}", answering(answer)))]);
    assert_told(&told, 2, "AWS does not accept the credentials: sts:GetCallerIdentity failed: InvalidClientTokenId");
}

#[test]
fn no_credentials_are_a_failure_that_says_where_they_come_from() {
    let told = producer(&["status"], &[("QUEUE_URL", QUEUE), ("AWS_REGION", "eu-west-1")]);
    assert_told(&told, 1, "no AWS credentials were found: set AWS_PROFILE");
}

#[test]
fn an_unknown_profile_is_wrong_usage() {
    let told = producer(&["status"], &[("QUEUE_URL", QUEUE), ("AWS_PROFILE", "nobody")]);
    assert_told(&told, 2, "AWS_PROFILE is wrong: there is no profile \"nobody\"");
}

#[test]
fn a_region_that_is_not_set_is_wrong_usage() {
    let told = producer(&["status"], &[("QUEUE_URL", QUEUE)]);
    assert_told(&told, 2, "no AWS region is set: set AWS_REGION");
}

#[test]
fn a_queue_that_is_not_set_is_wrong_usage() {
    let told = producer(&["status"], &[("AWS_REGION", "eu-west-1")]);
    assert_told(&told, 2, "QUEUE_URL (--queue-url) is not set");
}

#[test]
fn an_unknown_reason_of_dead_letters() {
    let told = producer(&["dead-letters", "redrive", "--reason", "Hopeless"], &[("QUEUE_URL", QUEUE)]);
    assert_eq!(told.0, Some(2));
    assert!(told.1.contains("the reasons are MalformedMessage, Refused"), "{}", told.1);
}

#[test]
fn the_manual_and_completions_need_nothing_of_aws() {
    assert_eq!(producer(&["man"], &[]), (Some(0), String::new()));
    assert_eq!(producer(&["completions", "bash"], &[]), (Some(0), String::new()));
}

#[test]
fn a_reader_that_stops_before_the_end_is_no_failure() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let program = Command::new(env!("CARGO_BIN_EXE_producer"))
        .args(["completions", "bash"])
        .stdin(Stdio::null())
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn();
    let output = program.expect("the program runs").wait_with_output().expect("its end");
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &[][..]));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    for arguments in [["--help"].as_slice(), &["man"], &["completions", "bash"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = Command::new(env!("CARGO_BIN_EXE_producer"))
            .args(arguments)
            .env_clear()
            .stdout(writer)
            .output()
            .expect("the program runs");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), told.as_ref()), (Some(0), ""), "{arguments:?}");
    }
}

/// The AWS CLI takes these values; the SDK panics on them.
#[test]
fn settings_of_aws_that_its_sdk_panics_on_change_nothing() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address");
    let endpoint = format!("http://{free}");
    for (variable, value) in
        [("AWS_RETRY_MODE", "legacy"), ("AWS_RETRY_MODE", ""), ("AWS_MAX_ATTEMPTS", "0"), ("AWS_MAX_ATTEMPTS", "many")]
    {
        let told = status(&[("AWS_ENDPOINT_URL", &endpoint), (variable, value)]);
        assert_told(&told, 1, "(AWS_ENDPOINT_URL) refused the connection");
    }
    let told = status(&[("AWS_SECRET_ACCESS_KEY", "sec\nret")]);
    assert_told(&told, 2, "AWS_SECRET_ACCESS_KEY is wrong: there is a line break");
}

#[test]
fn a_socks_proxy_and_the_arn_of_a_role_are_refused_by_their_variables() {
    assert_told(
        &status(&[("ALL_PROXY", "socks5://proxy:1080")]),
        2,
        "ALL_PROXY is wrong: \"socks5://proxy:1080\" is a SOCKS",
    );
    let told = status(&[("IAM_ASSUMED_ROLE_NAME", "arn:aws:iam::123456789012:role/x")]);
    assert_told(
        &told,
        2,
        "IAM_ASSUMED_ROLE_NAME is wrong: \"arn:aws:iam::123456789012:role/x\" is an ARN: give the role's name",
    );
}

#[test]
fn an_option_of_waiting_is_refused_where_nothing_is_waited_for() {
    let asked = ["restore", "--account", "123456789012", "--user", "ada", "--wait-timeout", "5"];
    let (status, told) = producer(&asked, &[("QUEUE_URL", QUEUE)]);
    assert!(status == Some(2) && told.contains("--wait"), "{told}");
}
