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
fn an_endpoint_that_refuses_the_connection() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address");
    let told = status(&[("AWS_ENDPOINT_URL", &format!("http://{free}"))]);
    assert_told(&told, 1, "the endpoint refused the connection: check AWS_ENDPOINT_URL");
}

#[test]
fn an_endpoint_whose_name_has_no_address() {
    // A label of more than 63 octets (RFC 1035) is nobody's, and nobody has to be asked.
    let told = status(&[("AWS_ENDPOINT_URL", &format!("http://{}.invalid", "a".repeat(64)))]);
    assert_told(&told, 1, "the host name of the endpoint has no address (DNS)");
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
fn a_wrong_value_of_a_variable_is_told_by_the_variable() {
    let told = producer(&["status"], &[("LOG_FORMAT", "xml")]);
    assert_eq!(told.0, Some(2));
    assert!(told.1.contains("LOG_FORMAT is wrong: \"xml\" is not one of json, text"), "{}", told.1);
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
