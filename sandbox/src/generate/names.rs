//! Names of units, accounts and users: most as people give them, some as IAM just allows them.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

const UNITS: [&str; 8] =
    ["Workloads", "Security", "Infrastructure", "Sandbox", "Production", "Staging", "Research & Development", "Büro"];

const ACCOUNTS: [&str; 10] = [
    "payments",
    "search",
    "data-platform",
    "Human Resources",
    "ci",
    "billing (EU)",
    "R&D <prototype>",
    "müller-logistik",
    "shared \"tools\"",
    "backup",
];

const FIRST: [&str; 16] = [
    "ada",
    "alan",
    "barbara",
    "dennis",
    "edsger",
    "frances",
    "grace",
    "john",
    "katherine",
    "ken",
    "leslie",
    "margaret",
    "niklaus",
    "radia",
    "tim",
    "tony",
];

const LAST: [&str; 12] = [
    "allen", "dijkstra", "hamilton", "hoare", "hopper", "johnson", "lamport", "liskov", "lovelace", "perlman",
    "ritchie", "turing",
];

const JOBS: [&str; 8] = ["backup", "ci", "deploy", "etl", "mailer", "metrics", "report", "sync"];

const PATHS: [&str; 4] = ["/", "/", "/people/", "/service/eu/"];

/// IAM names end here.
const LONGEST_USER_NAME: usize = 64;

pub(super) fn unit(number: usize) -> String {
    numbered(UNITS[number % UNITS.len()], number / UNITS.len())
}

pub(super) fn account(number: usize) -> String {
    numbered(ACCOUNTS[number % ACCOUNTS.len()], number / ACCOUNTS.len())
}

fn numbered(name: &str, round: usize) -> String {
    if round == 0 { name.to_owned() } else { format!("{name} {}", round + 1) }
}

/// A user's name, made unique in its account by `number`, and its path.
pub(super) fn user(rng: &mut ChaCha8Rng, number: usize) -> (String, &'static str) {
    let mut pick = |from: &[&'static str]| from.choose(rng).copied().unwrap_or("x");
    let (first, last, job, path) = (pick(&FIRST), pick(&LAST), pick(&JOBS), pick(&PATHS));
    let name = match rng.random_range(0..20) {
        0 => format!("{first}.{last}+{number}@example.com"),
        1 => format!("{last},{first}={number}"),
        2 => format!("{job}_{number}-"),
        3 => format!("={first}+{last}.{number}"),
        4 => padded(&format!("{job}-{number}-")),
        5 => format!("{}{number}", first.to_uppercase()),
        6..12 => format!("svc-{job}-{number}"),
        _ => format!("{first}.{last}{number}"),
    };
    (name, path)
}

fn padded(name: &str) -> String {
    format!("{name:x<LONGEST_USER_NAME$}")
}
