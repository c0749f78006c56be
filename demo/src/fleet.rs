//! A producer and some workers, real ones, on a sandboxed organization that lives from day to day.

use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use key_rotation_aws::{Connection, QueueUrl};
use producer::report::ReportOptions;
use producer::report::document::Summary;
use producer::schedule::ScheduleOptions;
use producer::settings::AccountAccess;
use sandbox::generate::{self, Shape};
use sandbox::serve::{REGION, SENDER, set_up_fleet};
use sandbox::world::{MEMBER_ROLE, World};
use sandbox::{Clock, Sandbox, SandboxOptions, client};
use worker::queue::Stop;

use crate::life::{Owners, UnansweredDays};
use crate::outcome::{self, Before};
use crate::promises::record::{Record, StartingKey};
use crate::{DemoArgs, DemoError};

/// How long a long poll waits at most, in real time: simulated days need no real seconds.
const LONGEST_WAIT: Duration = Duration::from_millis(10);

/// Producer, workers and the organization they work on.
pub struct Fleet {
    pub sandbox: Sandbox,
    /// Its member accounts, in order.
    pub accounts: Vec<String>,
    pub settings: worker::Settings,
    pub dead_letters: QueueUrl,
    keys_at_start: Vec<StartingKey>,
    producer: (Connection, producer::Settings),
    workers: Vec<Connection>,
    owners: Owners,
    unreadable: UnansweredDays,
    days: u32,
}

impl Fleet {
    /// An organization as `args` want it, its producer and its workers, before the first day.
    ///
    /// # Errors
    /// [`DemoError`]: no free port, or the queues could not be made.
    pub async fn new(args: &DemoArgs) -> Result<Self, DemoError> {
        // Fixed, so that the same seed draws the same organization on any day.
        let start: Timestamp = "2026-01-01T06:00:00Z".parse().expect("a valid time");
        let mut world = World::new(args.seed, Clock::frozen_at(start));
        let shape = Shape { accounts: args.accounts, users_per_account: args.users_per_account };
        let accounts = generate::organization(&mut world, shape);
        let keys_at_start = StartingKey::all(&world);
        let sandbox =
            Sandbox::start(SandboxOptions { longest_wait: LONGEST_WAIT, ..SandboxOptions::new(world) }).await?;
        let queues = sandbox.with(|world| set_up_fleet(world, REGION, true));
        let queues = queues.map_err(|error| DemoError::SetUp(error.message))?;
        let url = |text: &str| text.parse::<QueueUrl>().map_err(|error| DemoError::SetUp(error.to_string()));
        let (queue, dead_letters) = (url(&queues.work)?, url(&queues.dead_letters)?);

        let mut settings = worker::Settings::new(queue.clone());
        settings.dry_run = args.audit;
        settings.drain = true;
        settings.mail.sender = Some(SENDER.to_owned());
        settings.mail.owner_tag = Some(generate::OWNER_TAG.to_owned());
        settings.event_bus = Some("default".to_owned());
        settings.role.name = MEMBER_ROLE.to_owned();
        settings.limits.drain_patience = Duration::ZERO;
        let producing = producer::Settings {
            queue,
            dead_letter_queue: Some(dead_letters.clone()),
            urgent_queue: None,
            member_role: settings.role.clone(),
            org_list: None,
        };
        let connect = |application: &str| {
            Connection::from_sdk_config(client::sdk_config(&sandbox, application)).expect("the region is set")
        };
        Ok(Self {
            producer: (connect("demo-producer"), producing),
            workers: (1..=args.workers).map(|n| connect(&format!("demo-worker-{n}"))).collect(),
            owners: Owners::new(args.seed),
            unreadable: UnansweredDays::choose(&sandbox, &accounts),
            days: 0,
            sandbox,
            accounts,
            settings,
            dead_letters,
            keys_at_start,
        })
    }

    /// Lets a day pass: owners do what they do, the producer schedules a run, and the workers drain the queue.
    ///
    /// # Errors
    /// [`DemoError`]: the producer failed, or a worker did not start.
    pub async fn live_a_day(&mut self) -> Result<(), DemoError> {
        let day = self.days;
        self.days += 1;
        self.sandbox.with(|world| {
            if day > 0 {
                world.clock.advance(SignedDuration::from_hours(24));
            }
            self.owners.live_a_day(world);
            self.unreadable.on_day(world, day);
        });
        let (connection, settings) = &self.producer;
        producer::schedule::run(connection, settings, &ScheduleOptions::default())
            .await
            .map_err(|source| DemoError::Producer { day, source })?;
        let working = self.workers.iter().map(|connection| worker::run(&self.settings, connection, Stop::default()));
        for worked in futures::future::join_all(working).await {
            worked.map_err(|source| DemoError::Worker { day, source })?;
        }
        Ok(())
    }

    /// How every key stands before the first day, reported on into this directory.
    pub(super) async fn before(&self, out: &Path) -> Result<Before, DemoError> {
        let with_an_active_key = self.sandbox.with(|world| outcome::with_an_active_key(world));
        Ok(Before { summary: self.report(out).await?, with_an_active_key })
    }

    /// Reports on every key, into this directory.
    pub(super) async fn report(&self, out: &Path) -> Result<Summary, DemoError> {
        let (connection, settings) = &self.producer;
        let access = AccountAccess { org_list: None, member_role: settings.member_role.clone() };
        let options = ReportOptions { out: out.to_owned(), ..ReportOptions::default() };
        let made = producer::report::run(connection, &access, &options).await;
        made.map(|made| made.summary).map_err(DemoError::Report)
    }

    /// What the sandbox has recorded so far.
    pub fn record(&self) -> Record {
        self.sandbox.with(|world| Record::new(world, self.keys_at_start.clone()))
    }
}
