//! One user: looked at, decided about, worked on, until nothing more is to be done.
//!
//! The first look costs one call, which is all that a user with nothing due costs, if it is looked at at all (`inventory`). Only
//! where the rules want to act or to speak is the rest read (tags afresh, last uses, what is published), and decided on that.

mod decide;
mod execute;
mod look;

use std::collections::BTreeMap;
use std::mem;
use std::time::Duration;

use rotation::{AccessKeyId, KeyState, Refusal};

use crate::context::UserContext;
use crate::error::StepError;
use crate::notices::DigestItem;
use execute::UserExecutor;
use key_rotation_aws::MIN_SESSION_FOR_ONE_USER;
use look::Glance;

/// How often a user is looked at again within one delivery. Settling, containing and then rotating takes three; what keeps
/// changing beyond that is left to a later delivery.
const MAX_ROUNDS: usize = 5;

/// IAM's reads lag its writes by a moment.
const BETWEEN_ROUNDS: Duration = Duration::from_millis(50);

/// What came of the work on one user. There may be something to tell also where it failed in the end.
#[derive(Debug)]
pub struct UserReport {
    pub items: Vec<DigestItem>,
    pub result: Result<(), UserError>,
}

/// Why a user is not done.
#[derive(Debug)]
pub enum UserError {
    /// It may be done later.
    Step(StepError),
    /// What was asked for will not be done.
    Refused(Refusal),
}

impl<E: Into<StepError>> From<E> for UserError {
    fn from(error: E) -> Self {
        UserError::Step(error.into())
    }
}

/// What a delivery has come to so far with one user, all its rounds together.
#[derive(Debug, Default)]
struct UserProgress {
    /// What there is to tell.
    items: Vec<DigestItem>,
    /// What has been put on record of keys: newer than what reads may show.
    recorded: BTreeMap<AccessKeyId, KeyState>,
}

/// One look, one decision, and what was done about it.
struct Round {
    collected: UserProgress,
    next: Result<Next, UserError>,
}

/// What follows a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Done,
    LookAgain,
}

pub async fn process(context: UserContext<'_>) -> UserReport {
    let report = run_rounds(&context).await;
    if let Err(UserError::Step(error)) = &report.result
        && error.session_ended()
    {
        context.account.sessions.discard().await;
    }
    report
}

async fn run_rounds(context: &UserContext<'_>) -> UserReport {
    let mut glance = match look::glance(context).await {
        Ok(Some(glance)) => glance,
        Ok(None) => return UserReport { items: Vec::new(), result: Ok(()) },
        Err(error) => return UserReport { items: Vec::new(), result: Err(error.into()) },
    };
    let mut collected = UserProgress::default();
    for round in 0..MAX_ROUNDS {
        if round > 0 {
            tokio::time::sleep(BETWEEN_ROUNDS).await;
        }
        let ended = run_round(context, mem::take(&mut glance), collected).await;
        collected = ended.collected;
        match ended.next {
            Ok(Next::LookAgain) => {}
            Ok(Next::Done) => return UserReport { items: collected.items, result: Ok(()) },
            Err(error) => return UserReport { items: collected.items, result: Err(error) },
        }
    }
    UserReport { items: collected.items, result: Err(StepError::Changed("it kept changing".into()).into()) }
}

async fn run_round(context: &UserContext<'_>, glance: Glance, collected: UserProgress) -> Round {
    let decided = async {
        let session = context.account.sessions.with_at_least(MIN_SESSION_FOR_ONE_USER).await?;
        let request = decide::request(context.account).await;
        let mut snapshot = look::read_keys(context, &session, glance, &collected.recorded).await?;
        if let Some(decision) = decide::contain_at_once(context, &snapshot.user, &request) {
            return Ok((session, snapshot, decision));
        }
        look::read_facts(context, &session, &mut snapshot).await?;
        let mut decision = decide::decide(context, &snapshot, &request)?;
        if snapshot.tags_as_listed && decision.rests_on_tags() {
            if look::tags_are_as_listed(context, &session).await? {
                snapshot.tags_as_listed = false;
            } else {
                snapshot = look::read(context, &session, &collected.recorded).await?;
                decision = decide::decide(context, &snapshot, &request)?;
            }
        }
        if decision.changes() && look::is_exempt_since(context, &session).await? {
            // What it makes void rests on the tags.
            if snapshot.tags_as_listed {
                snapshot = look::read(context, &session, &collected.recorded).await?;
            }
            snapshot.user.in_exemption_group = true;
            decision = decide::decide(context, &snapshot, &request)?;
        }
        Ok::<_, UserError>((session, snapshot, decision))
    };
    match decided.await {
        Ok((session, snapshot, decision)) => {
            UserExecutor::new(*context, session, &snapshot, collected).execute(&decision).await
        }
        Err(error) => Round { collected, next: Err(error) },
    }
}
