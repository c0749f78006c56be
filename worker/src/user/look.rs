//! What is known of one user: first cheaply, then everything the rules may want to know.

use std::collections::BTreeMap;

use futures::future::join_all;
use key_rotation_aws::{AwsError, ErrorClass, MIN_SESSION_FOR_ONE_USER, MemberSession};
use rotation::user::UserTags;
use rotation::{AccessKeyId, Key, KeyState, LastUse, MissingFact, Published, Request, Task, User, Verdict};
use tracing::warn;

use crate::aws::iam::{Iam, KeyRecord};
use crate::context::UserContext;
use crate::error::StepError;
use crate::steps::access_keys;
use crate::steps::destination::{Destination, SeenSecret};

/// How often keys and tags are read until both agree.
const MAX_SNAPSHOT_READS: usize = 3;

/// A user as the rules take it, and the calls that failed where it says "unknown".
pub(super) struct UserSnapshot {
    pub(super) user: User,
    pub(super) secret: SeenSecret,
    /// Whether the tags are those that the user was listed with, and have not been read since.
    pub(super) tags_as_listed: bool,
    failures: Vec<(MissingFact, AwsError)>,
}

impl UserSnapshot {
    /// Why a fact is not known.
    pub(super) fn failure(&self, missing: &MissingFact) -> Option<&AwsError> {
        self.failures.iter().find(|(fact, _)| fact == missing).map(|(_, error)| error)
    }
}

/// The cheap look: one call. The keys that were seen, if there is something to do or to say; `None`, if there is not. Only for
/// ordinary work; what an operator asks for is always looked at closely.
pub(super) async fn glance(context: &UserContext<'_>) -> Result<Option<Glance>, StepError> {
    match context.account.job.task {
        Task::Account | Task::User(_) => {}
        Task::ForceRotate(_) | Task::Restore { .. } => return Ok(Some(Glance::default())),
    }
    let mut user = user_of(context, UserTags::from_pairs(&context.record.tags));
    let now = context.account.decision_time();
    let policy = &context.account.worker.settings.policy;
    let is_exempt = |exemption| {
        context.emit_exempt(exemption);
        Ok(None)
    };
    // Who is exempt costs no call, unless there are notices to be made void, or something may be left to be told of a key.
    let may_be_untold = user.tags.states.iter().any(|(_, state)| state.is_untold());
    match rotation::decide(now, policy, &user, &Request::Scheduled) {
        Verdict::Exempt(exemption) if !may_be_untold => return is_exempt(exemption),
        Verdict::Exempt(_) | Verdict::Act(_) | Verdict::SettleFirst | Verdict::Undecided(_) | Verdict::Refused(_) => {}
    }
    let session = context.account.sessions.with_at_least(MIN_SESSION_FOR_ONE_USER).await?;
    let keys = access_keys(context, &session).await?;
    let key = |key: &KeyRecord| key_of(key.clone(), &user.tags, LastUse::Unknown, Published::Unknown);
    user.keys = keys.iter().map(key).collect();
    context.account.counter.count_keys(&user, now, policy);
    let is_nothing_due = match rotation::decide(now, policy, &user, &Request::Scheduled) {
        Verdict::Exempt(exemption) => return is_exempt(exemption),
        Verdict::Act(plan) => plan.actions.is_empty(),
        Verdict::SettleFirst | Verdict::Undecided(_) | Verdict::Refused(_) => false,
    };
    Ok((!is_nothing_due).then_some(Glance { keys: Some(keys) }))
}

/// What the cheap look saw: the user's keys, after its tags were listed.
#[derive(Debug, Default)]
pub(super) struct Glance {
    keys: Option<Vec<KeyRecord>>,
}

/// Everything the rules may want to know, read afresh.
///
/// # Errors
/// [`StepError`], as [`read_keys`] and [`read_facts`].
pub(super) async fn read(
    context: &UserContext<'_>,
    session: &MemberSession,
    recorded: &BTreeMap<AccessKeyId, KeyState>,
) -> Result<UserSnapshot, StepError> {
    let mut snapshot = read_keys(context, session, Glance::default(), recorded).await?;
    read_facts(context, session, &mut snapshot).await?;
    Ok(snapshot)
}

/// A user's keys and tags, read afresh; how the keys have been used and which is published is not known yet.
///
/// Keys are read before the tags and after them, until both lists agree. A key that an attempt under way has just made is then
/// seen together with its intent, or with its published version, and not taken for a person's; and one that another worker
/// has just disabled not for one that a person re-enabled. After a glance the tags are those of the listing: before anything is done
/// on their word, [`tags_are_as_listed`] reads them again. Tags that are the same have been so all the while, as this tool never writes
/// one twice alike, and so the keys that were read in between go with them.
///
/// `recorded`: what this delivery has put on record before; reads may not show it yet.
///
/// # Errors
/// [`StepError`]: keys or tags cannot be read.
pub(super) async fn read_keys(
    context: &UserContext<'_>,
    session: &MemberSession,
    glance: Glance,
    recorded: &BTreeMap<AccessKeyId, KeyState>,
) -> Result<UserSnapshot, StepError> {
    let tags_as_listed = glance.keys.is_some();
    let (keys, mut tags) = match glance.keys {
        Some(keys) => (keys, UserTags::from_pairs(&context.record.tags)),
        None => keys_and_tags(context, session).await?,
    };
    for (key, state) in recorded {
        tags.add_own_record(key, state);
    }
    let key = |key| key_of(key, &tags, LastUse::Unknown, Published::Unknown);
    let keys = keys.into_iter().map(key).collect();
    let user = User { keys, ..user_of(context, tags) };
    Ok(UserSnapshot { user, secret: SeenSecret::Unknown, tags_as_listed, failures: Vec::new() })
}

/// Adds how the keys have been used, and which is published. What cannot be read is unknown to the rules, which know what can be
/// decided without it.
///
/// # Errors
/// [`StepError`]: the session has ended.
pub(super) async fn read_facts(
    context: &UserContext<'_>,
    session: &MemberSession,
    snapshot: &mut UserSnapshot,
) -> Result<(), StepError> {
    let iam = Iam::new(session);
    let UserSnapshot { user, failures, .. } = snapshot;
    let last_uses = join_all(user.keys.iter().map(|key| iam.last_use(&key.id))).await;
    let destination = Destination::new(context, session);
    let secret = destination.secrets.describe(&destination.name).await;
    for (key, last_use) in user.keys.iter_mut().zip(last_uses) {
        let last_use = unless_failed(last_use, || MissingFact::LastUse(key.id.clone()), failures)?;
        let published = match &secret {
            Ok(Some(secret)) if secret.publishes(&key.id) => Ok(Published::Yes),
            Ok(Some(_) | None) => Ok(Published::No),
            Err(error) => Err(error.clone()),
        };
        let published = unless_failed(published, || MissingFact::Published(key.id.clone()), failures)?;
        key.last_use = last_use.unwrap_or(LastUse::Unknown);
        key.published = published.unwrap_or(Published::Unknown);
    }
    for (missing, error) in failures.iter() {
        warn!(%error, access_key_id = %missing.access_key_id(), "the key's last use, or whether it is published, could not be read");
    }
    snapshot.secret = secret.map_or(SeenSecret::Unknown, Into::into);
    Ok(())
}

/// Whether the user has the tags that it was listed with.
///
/// # Errors
/// [`StepError::Aws`].
pub(super) async fn tags_are_as_listed(context: &UserContext<'_>, session: &MemberSession) -> Result<bool, StepError> {
    let (now, listed) = (Iam::new(session).user_tags(context.user).await?, &context.record.tags);
    // In whatever order they come.
    Ok(now.len() == listed.len() && now.iter().all(|tag| listed.contains(tag)))
}

/// Whether the user has been put into the exemption group since it was listed. Only scheduled work asks: a request reads the group itself,
/// right before.
///
/// # Errors
/// [`StepError::Aws`].
pub(super) async fn is_exempt_since(context: &UserContext<'_>, session: &MemberSession) -> Result<bool, StepError> {
    let account = context.account;
    if account.dry_run || account.job.is_operators_request() {
        return Ok(false);
    }
    let settings = &account.worker.settings;
    let (group, known_for) = (&settings.exemption_group, settings.members_known_for);
    Ok(account.recent_members.includes(session, group, context.user, known_for).await?)
}

async fn keys_and_tags(
    context: &UserContext<'_>,
    session: &MemberSession,
) -> Result<(Vec<KeyRecord>, UserTags), StepError> {
    let mut keys = access_keys(context, session).await?;
    for _ in 0..MAX_SNAPSHOT_READS {
        let tags = Iam::new(session).user_tags(context.user).await?;
        let again = access_keys(context, session).await?;
        if again == keys {
            return Ok((keys, UserTags::from_pairs(&tags)));
        }
        keys = again;
    }
    Err(StepError::Changed("its keys change while they are being looked at".into()))
}

/// What a call answered; `None`, and the failure noted, where it did not. With the session over nothing can be done at all.
fn unless_failed<T>(
    answer: Result<T, AwsError>,
    fact: impl Fn() -> MissingFact,
    failures: &mut Vec<(MissingFact, AwsError)>,
) -> Result<Option<T>, StepError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.class == ErrorClass::SessionEnded => Err(error.into()),
        Err(error) => {
            failures.push((fact(), error));
            Ok(None)
        }
    }
}

fn user_of(context: &UserContext<'_>, tags: UserTags) -> User {
    User { name: context.user.clone(), keys: Vec::new(), in_exemption_group: context.in_exemption_group, tags }
}

fn key_of(key: KeyRecord, tags: &UserTags, last_use: LastUse, published: Published) -> Key {
    let state = tags.state_of(&key.id);
    Key { id: key.id, status: key.status, created: key.created, last_use, published, state }
}
