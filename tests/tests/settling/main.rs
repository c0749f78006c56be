//! What the protocol's model found, and what mutants survived, end to end: attempts that meet a person's doings, or each other's,
//! in the middle.

mod before_harm;
mod forged;
mod lag;
mod meeting;
mod orphans;
mod races;
mod readable;
mod storing;
mod wrong_clocks;

use std::time::Duration;

use end_to_end::{ACCOUNT, Stage, USER};
use jiff::SignedDuration;
use key_rotation_aws::Connection;
use sandbox::KeySpec;
use sandbox::faults::{Calls, Hold, HoldPlan, When};
use tokio::task::JoinHandle;
use worker::Settings;
use worker::queue::Stop;

fn due() -> KeySpec {
    KeySpec::aged(95).used_days_ago(1)
}

/// A key that an attempt made half an hour ago, so that its intent is old.
fn made_half_an_hour_ago() -> KeySpec {
    KeySpec { age: SignedDuration::from_mins(30), ..KeySpec::aged(0) }
}

fn intents(stage: &Stage) -> usize {
    stage.world(|world| {
        let tags = &world.user(ACCOUNT, USER).holds.tags;
        tags.keys().filter(|tag| tag.starts_with("key-rotation:intent:")).count()
    })
}

/// A worker beside the test, which goes on meanwhile.
fn at_work(connection: &Connection, settings: Settings) -> JoinHandle<()> {
    let connection = connection.clone();
    tokio::spawn(async move {
        worker::run(&settings, &connection, Stop::default()).await.expect("the worker starts");
    })
}

fn hold(stage: &Stage, application: &str, (action, at_call): (&str, u64), when: When) -> Hold {
    let calls = Calls { app: Some(application.to_owned()), ..Calls::new(action) };
    stage.world(|world| world.faults.hold(HoldPlan { calls, at_call, when }))
}

/// A test that waits in vain fails, and does not hang.
async fn reached(hold: &Hold) {
    tokio::time::timeout(Duration::from_secs(60), hold.reached()).await.expect("the call is made");
}

/// A worker that stands still at one of its calls.
struct Still {
    connection: Connection,
    hold: Hold,
    work: JoinHandle<()>,
}

impl Still {
    /// At its first call of this action.
    async fn at(stage: &Stage, application: &str, action: &str, when: When, settings: Settings) -> Self {
        Self::at_call(stage, application, (action, 1), when, settings).await
    }

    /// At its call of this action and number, from 1.
    async fn at_call(stage: &Stage, application: &str, call: (&str, u64), when: When, settings: Settings) -> Self {
        let hold = hold(stage, application, call, when);
        let connection = stage.connection(application);
        let work = at_work(&connection, settings);
        reached(&hold).await;
        Self { connection, hold, work }
    }

    /// Lets it go on to its next call of this action.
    async fn goes_on_to(self, stage: &Stage, application: &str, action: &str, when: When) -> Self {
        let next = hold(stage, application, (action, 1), when);
        self.hold.release();
        reached(&next).await;
        Self { hold: next, ..self }
    }

    /// Lets it go on, to its end.
    async fn goes_on(self) {
        self.hold.release();
        self.work.await.expect("the worker ends");
    }
}
