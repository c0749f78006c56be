//! Asks the rules what the message asks for.

use rotation::{Action, ForceRotateRequest, Plan, Request, RestoreRequest, Task, User, Verdict};

use super::UserError;
use super::look::UserSnapshot;
use crate::context::{AccountContext, UserContext};
use crate::error::StepError;

/// What is to be done about a user.
pub(super) enum Decision {
    /// Settle what an interrupted rotation left, then look again.
    Settle,
    /// Possibly nothing.
    Act(Plan),
}

impl Decision {
    /// Whether the tags must be read again before the plan is carried out. Not for a successor alone: an attempt reads the tags
    /// itself, under its intent.
    pub(super) fn rests_on_tags(&self) -> bool {
        match self {
            Decision::Settle => true,
            Decision::Act(plan) => match plan.actions.as_slice() {
                [] | [Action::Rotate { contained: None, .. }] => false,
                [_, ..] => true,
            },
        }
    }
}

impl Decision {
    /// Whether something is done or announced that an exemption keeps from being done.
    pub(super) fn changes(&self) -> bool {
        match self {
            Decision::Settle => false,
            Decision::Act(plan) => plan.actions.iter().any(Action::changes),
        }
    }
}

/// The containment of a leaked key, where keys and tags say which one it is: it waits for nothing else, least of all for a service
/// that does not answer.
pub(super) fn contain_at_once(context: &UserContext<'_>, user: &User, request: &Request) -> Option<Decision> {
    let account = context.account;
    if account.dry_run {
        return None;
    }
    match rotation::decide(account.decision_time(), &account.worker.settings.policy, user, request) {
        Verdict::Act(plan) if matches!(plan.actions.as_slice(), [Action::Contain { .. }]) => Some(Decision::Act(plan)),
        Verdict::Act(_) | Verdict::Exempt(_) | Verdict::SettleFirst | Verdict::Undecided(_) | Verdict::Refused(_) => {
            None
        }
    }
}

/// Decides about one user.
///
/// # Errors
/// [`UserError`]: refused, or a fact is not known and cannot be done without.
pub(super) fn decide(
    context: &UserContext<'_>,
    snapshot: &UserSnapshot,
    request: &Request,
) -> Result<Decision, UserError> {
    let account = context.account;
    match rotation::decide(account.decision_time(), &account.worker.settings.policy, &snapshot.user, request) {
        Verdict::Exempt(exemption) => {
            context.emit_exempt(exemption);
            Ok(Decision::Act(Plan::default()))
        }
        Verdict::SettleFirst => Ok(Decision::Settle),
        Verdict::Act(plan) => Ok(Decision::Act(plan)),
        Verdict::Undecided(missing) => Err(UserError::Step(match snapshot.failure(&missing) {
            Some(error) => StepError::Aws(error.clone()),
            None => StepError::Undecided(missing),
        })),
        Verdict::Refused(refusal) => Err(UserError::Refused(refusal)),
    }
}

/// What the message asks for about a user.
pub(super) async fn request(account: &AccountContext<'_>) -> Request {
    match &account.job.task {
        Task::Account | Task::User(_) => Request::Scheduled,
        Task::ForceRotate(asked) => Request::ForceRotate(ForceRotateRequest {
            access_key_id: asked.whom.access_key_id().cloned(),
            disable_old_now: asked.disable_old_now,
            override_exemption: asked.override_exemption,
            own_key: account.worker.connection.access_key_id().await,
            origin: account.origin.clone(),
        }),
        Task::Restore { access_key_id, .. } => {
            Request::Restore(RestoreRequest { access_key_id: access_key_id.clone(), origin: account.origin.clone() })
        }
    }
}
