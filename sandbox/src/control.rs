//! The sandbox's own routes below `/_sandbox/`: what is there and what happened, as JSON, and the knobs, for whoever is not in the
//! same process. Tests in the same process use [`Sandbox::with`](crate::Sandbox::with).
//!
//! | `GET` | gives |
//! |---|---|
//! | `state` | everything but the journal |
//! | `clock`, `faults`, `queues`, `secrets`, `outbox` | that part of it |
//! | `journal` | counts, effects and the mutating calls |
//! | `calls`, `counts`, `effects` | that part of it, `calls` with the reading ones |
//!
//! | `POST` | takes |
//! |---|---|
//! | `clock` | `{"freeze": true, "resume": true, "set": "<RFC 3339>", "advance_seconds": n}`, any of them |
//! | `faults` | any of the fields of [`Faults`](crate::faults::Faults), durations as `latency_ms`, `stall_ms` and `report_generation_seconds`, and `seed` |
//! | `queue-knobs`, `mail-knobs` | the knobs of [`sqs`] and [`ses`], whole |
//! | `crash`, `kill`, `revive` | a [`CrashPlan`]; `{"app": "<name>"}`; `{}` |
//! | `deny` | a [`Denial`] |
//! | `expire-sessions`, `clear-journal` | `{}` |
//! | `accounts`, `users`, `keys` | one to add |

mod arrange;

use hyper::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::cloud::Cloud;
use crate::faults::{CrashPlan, Denial, RateLimit, Rule, ShortSessions, StaleReads, WrongDates};
use crate::services::{ses, sqs};
use crate::wire::answer::{HttpResponse, respond};

/// Why a request for a knob is refused: its status and a sentence.
type Refused = (u16, String);

/// Answers a request to `/_sandbox/<path>`.
pub(crate) fn handle(cloud: &mut Cloud, method: &Method, path: &str, body: &[u8]) -> HttpResponse {
    let answered = if *method == Method::GET { read(cloud, path) } else { change(cloud, path, body) };
    let (status, document) = match answered {
        Ok(document) => (200, document),
        Err((status, sentence)) => (status, json!({"error": sentence})),
    };
    respond(status, "application/json", document.to_string(), cloud.now())
}

fn read(cloud: &Cloud, path: &str) -> Result<Value, Refused> {
    match path {
        "state" => dump(cloud),
        "clock" => Ok(clock(cloud)),
        "outbox" => dump(&cloud.mail),
        "queues" => dump(&cloud.queues),
        "secrets" => dump(&cloud.secrets),
        "faults" => dump(&cloud.faults),
        "effects" => dump(cloud.journal.effects()),
        "calls" => dump(&cloud.journal.calls().collect::<Vec<_>>()),
        "counts" => Ok(json!({"total": cloud.journal.total(), "calls": counts(cloud)})),
        "journal" => Ok(json!({
            "total": cloud.journal.total(),
            "counts": counts(cloud),
            "effects": cloud.journal.effects(),
            "mutating_calls": cloud.journal.calls().filter(|call| call.mutating).collect::<Vec<_>>(),
        })),
        other => Err((404, format!("there is nothing to read at /_sandbox/{other}"))),
    }
}

fn counts(cloud: &Cloud) -> Vec<Value> {
    let counts = cloud.journal.counts().iter();
    counts
        .map(|(key, count)| {
            json!({
                "account": key.account, "service": key.service, "operation": key.operation, "outcome": key.outcome,
                "count": count,
            })
        })
        .collect()
}

fn change(cloud: &mut Cloud, path: &str, body: &[u8]) -> Result<Value, Refused> {
    match path {
        "clock" => move_clock(cloud, parse(body)?),
        "faults" => set_faults(cloud, parse(body)?),
        "crash" => {
            cloud.faults.crash(parse::<CrashPlan>(body)?);
            Ok(json!({}))
        }
        "kill" => {
            let Named { app } = parse(body)?;
            cloud.faults.kill(&app);
            Ok(json!({}))
        }
        "revive" => {
            cloud.faults.revive_all();
            Ok(json!({}))
        }
        "queue-knobs" => {
            cloud.queues.knobs = parse::<sqs::Knobs>(body)?;
            Ok(json!({}))
        }
        "mail-knobs" => {
            cloud.mail.knobs = parse::<ses::Knobs>(body)?;
            Ok(json!({}))
        }
        "deny" => {
            cloud.faults.denials.push(parse::<Denial>(body)?);
            Ok(json!({}))
        }
        "expire-sessions" => {
            cloud.expire_sessions();
            Ok(json!({}))
        }
        "clear-journal" => {
            cloud.journal.clear();
            Ok(json!({}))
        }
        "accounts" => arrange::account(cloud, parse(body)?),
        "users" => arrange::user(cloud, parse(body)?),
        "keys" => arrange::key(cloud, parse(body)?),
        other => Err((404, format!("there is nothing to set at /_sandbox/{other}"))),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    app: String,
}

/// How to move the clock; several at once are done in this order.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockMove {
    #[serde(default)]
    freeze: bool,
    #[serde(default)]
    resume: bool,
    set: Option<Timestamp>,
    advance_seconds: Option<i64>,
}

fn move_clock(cloud: &mut Cloud, asked: ClockMove) -> Result<Value, Refused> {
    if asked.freeze {
        cloud.clock.freeze();
    }
    if asked.resume {
        cloud.clock.resume();
    }
    if let Some(to) = asked.set {
        cloud.clock.set(to);
    }
    if let Some(seconds) = asked.advance_seconds {
        cloud.clock.advance(SignedDuration::from_secs(seconds));
    }
    Ok(clock(cloud))
}

fn clock(cloud: &Cloud) -> Value {
    json!({"now": cloud.now(), "running": cloud.clock.is_running()})
}

/// Faults to set; those not named stay as they are, those set to `null` are switched off.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultSettings {
    enabled: Option<bool>,
    seed: Option<u64>,
    latency_ms: Option<u64>,
    stall_ms: Option<u64>,
    rules: Option<Vec<Rule>>,
    limits: Option<Vec<RateLimit>>,
    denials: Option<Vec<Denial>>,
    key_limit_race: Option<f64>,
    #[serde(default, deserialize_with = "given")]
    stale_reads: Option<Option<StaleReads>>,
    #[serde(default, deserialize_with = "given")]
    short_sessions: Option<Option<ShortSessions>>,
    #[serde(default, deserialize_with = "given")]
    wrong_dates: Option<Option<WrongDates>>,
    report_generation_seconds: Option<i64>,
}

/// Tells `null` from absent.
fn given<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(field: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(field).map(Some)
}

fn set_faults(cloud: &mut Cloud, asked: FaultSettings) -> Result<Value, Refused> {
    let faults = &mut cloud.faults;
    if let Some(seed) = asked.seed {
        faults.reseed(seed);
    }
    faults.enabled = asked.enabled.unwrap_or(faults.enabled);
    faults.latency = asked.latency_ms.map_or(faults.latency, Duration::from_millis);
    faults.stall = asked.stall_ms.map_or(faults.stall, Duration::from_millis);
    faults.key_limit_race = asked.key_limit_race.unwrap_or(faults.key_limit_race);
    if let Some(rules) = asked.rules {
        faults.rules = rules;
    }
    if let Some(limits) = asked.limits {
        faults.limits = limits;
    }
    if let Some(denials) = asked.denials {
        faults.denials = denials;
    }
    if let Some(stale_reads) = asked.stale_reads {
        faults.stale_reads = stale_reads;
    }
    if let Some(short_sessions) = asked.short_sessions {
        faults.short_sessions = short_sessions;
    }
    if let Some(wrong_dates) = asked.wrong_dates {
        faults.wrong_dates = wrong_dates;
    }
    if let Some(seconds) = asked.report_generation_seconds {
        faults.report_generation = SignedDuration::from_secs(seconds);
    }
    dump(faults)
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| (400, error.to_string()))
}

fn dump(value: &(impl serde::Serialize + ?Sized)) -> Result<Value, Refused> {
    serde_json::to_value(value).map_err(|error| (500, error.to_string()))
}
