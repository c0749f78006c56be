//! The knobs over HTTP, the `Date` header, and the end of a sandbox, with nothing but a socket.

use sandbox::generate::{self, Shape};
use sandbox::{Sandbox, World};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::common::{MEMBER, operator, serve, world};

/// One request on a connection of its own; the whole answer as text.
async fn ask(sandbox: &Sandbox, method: &str, path: &str, body: &str) -> String {
    let address = sandbox.endpoint().replace("http://", "");
    let mut stream = TcpStream::connect(&address).await.expect("a connection");
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer
}

async fn get(sandbox: &Sandbox, path: &str) -> Value {
    body(&ask(sandbox, "GET", path, "").await)
}

async fn post(sandbox: &Sandbox, path: &str, document: Value) -> Value {
    body(&ask(sandbox, "POST", path, &document.to_string()).await)
}

fn body(answer: &str) -> Value {
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    serde_json::from_str(body).expect("JSON")
}

#[tokio::test]
async fn every_answer_carries_the_sandbox_s_time() {
    let sandbox = serve(world()).await;
    post(&sandbox, "/_sandbox/clock", json!({"set": "2027-01-01T00:00:00Z"})).await;
    for path in ["/_sandbox/clock", "/"] {
        let answer = ask(&sandbox, "GET", path, "").await;
        assert!(answer.to_lowercase().contains("date: fri, 01 jan 2027 00:00:00 gmt"), "{answer}");
    }
    let clock = post(&sandbox, "/_sandbox/clock", json!({"advance_seconds": 86_400})).await;
    assert_eq!(clock["now"], "2027-01-02T00:00:00Z");
}

#[tokio::test]
async fn users_and_keys_of_any_age_can_be_put_in_place() {
    let sandbox = serve(world()).await;
    post(&sandbox, "/_sandbox/users", json!({"account": MEMBER, "name": "ada", "groups": ["exempt"]})).await;
    let key = json!({"account": MEMBER, "user": "ada", "age_days": 95, "last_used_days_ago": 1});
    let key = post(&sandbox, "/_sandbox/keys", key).await;
    let state = get(&sandbox, "/_sandbox/state").await;
    let ada = &state["accounts"][MEMBER]["users"]["ada"];
    assert_eq!(ada["keys"][0]["id"], key["access_key_id"]);
    assert_eq!(ada["keys"][0]["created"], "2026-08-19T12:00:00Z");
    assert_eq!(ada["groups"], json!(["exempt"]));
    let refused = post(&sandbox, "/_sandbox/users", json!({"account": "999999999999", "name": "x"})).await;
    assert!(refused["error"].as_str().expect("a sentence").contains("999999999999"));
}

#[tokio::test]
async fn faults_can_be_set_and_switched_off_over_http() {
    let sandbox = serve(world()).await;
    let rules = json!([{"action": "sts:*", "fault": "throttle"}]);
    let stale = json!({"seconds": 5, "rate": 0.5});
    let set = post(&sandbox, "/_sandbox/faults", json!({"rules": rules, "stale_reads": stale, "latency_ms": 1})).await;
    assert_eq!(set["rules"][0]["fault"], "throttle");
    let sts = aws_sdk_sts::Client::new(&operator(&sandbox).await);
    sts.get_caller_identity().send().await.expect_err("throttled");
    let set = post(&sandbox, "/_sandbox/faults", json!({"enabled": false, "stale_reads": null})).await;
    assert_eq!(set["stale_reads"], Value::Null);
    sts.get_caller_identity().send().await.expect("no longer");
    let refused = post(&sandbox, "/_sandbox/faults", json!({"latancy_ms": 1})).await;
    assert!(refused["error"].as_str().expect("a sentence").contains("latancy_ms"));
}

#[tokio::test]
async fn the_journal_counts_every_call_and_lists_it_in_order() {
    let sandbox = serve(world()).await;
    let sts = aws_sdk_sts::Client::new(&operator(&sandbox).await);
    sts.get_caller_identity().send().await.expect("an identity");
    sts.assume_role().role_arn("arn:aws:iam::1:role/none").role_session_name("run").send().await.expect_err("no role");
    let calls = get(&sandbox, "/_sandbox/calls").await;
    assert_eq!(calls[0]["operation"], "GetCallerIdentity");
    assert_eq!((&calls[1]["seq"], &calls[1]["outcome"]), (&json!(2), &json!({"refused": "AccessDenied"})));
    let counts = get(&sandbox, "/_sandbox/counts").await;
    assert_eq!(counts["total"], 2);
    assert_eq!(counts["calls"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_dropped_sandbox_closes_its_port_and_its_connections() {
    let sandbox = serve(world()).await;
    let address = sandbox.endpoint().replace("http://", "");
    let mut open = TcpStream::connect(&address).await.expect("a connection");
    drop(sandbox);
    let mut rest = Vec::new();
    // Closed or reset, as the system has it: the connection ends.
    let _ = open.read_to_end(&mut rest).await;
    assert!(rest.is_empty());
    assert!(TcpStream::connect(&address).await.is_err());
}

#[tokio::test]
async fn two_sandboxes_of_one_seed_hold_the_same() {
    let generated = || {
        let mut world: World = world();
        generate::organization(&mut world, Shape { accounts: 5, users_per_account: 10 });
        world
    };
    let (one, other) = (serve(generated()).await, serve(generated()).await);
    let accounts = |state: Value| state["accounts"].clone();
    assert_eq!(accounts(get(&one, "/_sandbox/state").await), accounts(get(&other, "/_sandbox/state").await));
}
