//! The organizations that are measured on, and what was called in them.

use std::collections::BTreeMap;
use std::time::Duration;

use end_to_end::Stage;
use sandbox::world::MANAGEMENT_ACCOUNT;
use sandbox::{Clock, KeySpec, SandboxOptions, World};

/// Accounts with users that are all alike.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) accounts: usize,
    /// Users of each.
    pub(crate) users: usize,
    /// Of each user's one key.
    pub(crate) age_days: i64,
}

impl Shape {
    /// Nobody's key is due.
    pub(crate) fn idle(accounts: usize, users: usize) -> Self {
        Self { accounts, users, age_days: 5 }
    }
}

/// The id of the first, second, ... account.
pub(crate) fn account(number: usize) -> String {
    format!("{:012}", 300_000_000_000 + number)
}

/// An organization that is served, with FIFO queues. What is called is counted, and not kept.
pub(crate) async fn served(shape: Shape) -> Stage {
    let mut world = World::new(1, Clock::running_from("2026-03-01T09:00:00Z".parse().expect("an instant")));
    world.journal.keep_calls(0);
    for number in 0..shape.accounts {
        let id = account(number);
        world.add_account(&id, "an account", "owner@example.org");
        for user in 0..shape.users {
            let name = format!("user-{user:03}");
            world.add_user(&id, &name);
            world.add_key(&id, &name, &KeySpec::aged(shape.age_days).used_days_ago(1));
        }
    }
    Stage::serving(SandboxOptions::new(world), true).await
}

/// Lets every call take so long from now on.
pub(crate) fn slow_down(stage: &Stage, latency: Duration) {
    stage.world(|world| world.faults.latency = latency);
}

/// The calls of one member account: those that are made one after the other, and the looks at its users, some at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct AccountCalls {
    /// The role assumed is one of them.
    pub(crate) in_turn: u64,
    pub(crate) looks: u64,
}

/// What has been called, since the journal was cleared.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    /// All, those of the queue and the mails included, whether they succeeded or not.
    pub(crate) all: u64,
    pub(crate) mails: u64,
    pub(crate) accounts: BTreeMap<String, AccountCalls>,
}

impl Calls {
    pub(crate) fn of(stage: &Stage) -> Self {
        let mut calls = Self::default();
        stage.world(|world| {
            calls.all = world.journal.total();
            for (key, count) in world.journal.counts() {
                if key.operation == "SendEmail" {
                    calls.mails += count;
                }
                if key.account != MANAGEMENT_ACCOUNT {
                    let assumed = AccountCalls { in_turn: 1, looks: 0 };
                    let account = calls.accounts.entry(key.account.clone()).or_insert(assumed);
                    let place =
                        if key.operation == "ListAccessKeys" { &mut account.looks } else { &mut account.in_turn };
                    *place += count;
                }
            }
        });
        calls
    }

    /// In accounts, and to get into them.
    pub(crate) fn in_accounts(&self) -> u64 {
        self.accounts.values().map(|calls| calls.in_turn + calls.looks).sum()
    }

    /// The least time in which workers can make these calls of accounts in which nothing is due.
    pub(crate) fn bound(&self, workers: usize, latency: Duration) -> Duration {
        /// The settings' defaults: messages worked on at once, and users of one account.
        const MESSAGES_AT_ONCE: f64 = 16.0;
        const USERS_AT_ONCE: u64 = 4;
        let rounds: u64 = self.accounts.values().map(|calls| calls.in_turn + calls.looks.div_ceil(USERS_AT_ONCE)).sum();
        latency.mul_f64(rounds as f64 / (MESSAGES_AT_ONCE * workers as f64))
    }
}
