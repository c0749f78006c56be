//! A request applied step by step, interrupted after each and delivered again.

use jiff::Timestamp;
use rotation::names::delete_tag;
use rotation::{
    AccessKeyId, Action, Announcement, ForceRotateRequest, Key, KeyState, KeyStatus, LastUse, Policy, Request, User,
    Verdict, decide,
};

use super::{ANNOUNCED, again, asked, done, leaked, leaked_key, request, successor};
use crate::given::{Described, day, id, key, tagged, user};

/// Applies one action to the model user, as IAM and the tags would show it.
fn apply(user: &mut User, action: &Action, now: Timestamp) {
    let record = |user: &mut User, key: &AccessKeyId, state: KeyState| {
        user.tags.states.retain(|(id, _)| id != key);
        user.tags.states.push((key.clone(), state.clone()));
        if let Some(key) = user.keys.iter_mut().find(|k| k.id == *key) {
            key.state = Some(state);
        }
    };
    match action {
        Action::Record { key, state } => record(user, key, state.clone()),
        // Its mail is accepted at once.
        Action::Announce { key, what: Announcement::Deleted, state } => deletion_told(user, key, state.as_ref()),
        Action::Announce { key, state, .. } => record(user, key, state.clone().expect("a state").accepted(now)),
        Action::Contain { key, state } => {
            for held in user.keys.iter_mut().filter(|held| held.id == *key) {
                held.status = KeyStatus::Inactive;
            }
            record(user, key, state.clone());
        }
        Action::Delete(deletable) => {
            user.keys.retain(|key| key.id != *deletable.key());
        }
        Action::RecordDeletion { key } => {
            user.tags.deletions.retain(|(id, _)| id != key);
            user.tags.deletions.push((key.clone(), now));
        }
        Action::Rotate { old, present, notice, contained } => {
            let held: Vec<_> = user.keys.iter().map(|key| key.id.clone()).collect();
            assert_eq!(&held, present, "the plan's keys are the user's");
            assert!(held.len() < 2, "IAM allows no third key");
            let created = Timestamp::from_second(now.as_second()).expect("in range");
            user.keys.push(Key { created, last_use: LastUse::Never, ..successor() });
            if let Some(notice) = notice {
                record(user, old, notice.state(now));
            }
            if let Some(state) = contained {
                record(user, old, KeyState { successor: Some(id("NEW")), ..state.clone() });
            }
        }
        Action::Notify { key, notice } => record(user, key, notice.state(now)),
        Action::Disable { .. }
        | Action::Adopt { .. }
        | Action::Restore { .. }
        | Action::Forget { .. }
        | Action::ForgetDeletion { .. }
        | Action::Warn { .. }
        | Action::Postpone { .. }
        | Action::ReportFinding(_) => {
            panic!("{action:?} has no place in a forced rotation")
        }
    }
}

/// Its mail is accepted.
fn deletion_told(user: &mut User, key: &AccessKeyId, kept: Option<&KeyState>) {
    user.tags.deletions.retain(|(id, _)| id != key);
    if kept.is_none() {
        user.tags.states.retain(|(id, _)| id != key);
    }
}

/// Delivered again until nothing of it has to wait. This time its mails are accepted.
fn carry_out(user: &mut User, request: &ForceRotateRequest, mut now: Timestamp) {
    for _ in 0..3 {
        let verdict = decide(now, &Policy::default(), user, &Request::ForceRotate(request.clone()));
        let Verdict::Act(plan) = verdict else { panic!("{verdict:?}") };
        for action in &plan.actions {
            apply(user, action, now);
            if let Action::Delete(deletable) = action {
                deletion_told(user, deletable.key(), deletable.record_after());
            }
        }
        match plan.rest_after {
            Some(then) => now = then,
            None => return,
        }
    }
    panic!("it waits for ever");
}

#[test]
fn a_request_interrupted_after_any_number_of_steps_and_delivered_again_ends_the_same() {
    let users = [
        vec![key("A", 0)],
        vec![key("A", 0), key("B", 10).inactive().disabled(45)],
        vec![key("B", 10), key("A", 20).inactive()],
        vec![key("A", 0), key("B", 10)],
        vec![key("A", 30).published(), key("B", 0).inactive()],
    ];
    let mut ended = 0;
    for (keys, request) in users.iter().flat_map(|keys| {
        [
            request(),
            leaked(),
            leaked_key("A"),
            leaked_key("B"),
            ForceRotateRequest { disable_old_now: false, ..leaked_key("A") },
        ]
        .map(|request| (keys, request))
    }) {
        let keys = user(keys.clone());
        let first = match asked(&keys, &request) {
            Verdict::Act(plan) if plan.refusal.is_none() => plan,
            _ => continue,
        };
        // As it goes on, where a deletion has to be announced first.
        let waited = keys.keys.iter().fold(keys.clone(), |user, key| tagged(user, &delete_tag(&key.id), ANNOUNCED));
        let Verdict::Act(rest) = asked(&waited, &request) else { panic!("a plan") };
        for (user, plan, steps) in [(&keys, &first), (&waited, &rest)]
            .into_iter()
            .flat_map(|(user, plan)| (0..=plan.actions.len()).map(move |steps| (user, plan, steps)))
        {
            let mut user = user.clone();
            let now = day(50) + jiff::SignedDuration::from_millis(400);
            plan.actions.iter().take(steps).for_each(|action| apply(&mut user, action, now));
            carry_out(&mut user, &again(request.clone()), now);
            let old = user.keys.iter().find(|key| {
                plan.actions
                    .iter()
                    .any(|action| matches!(action, Action::Contain { key: contained, .. } if *contained == key.id))
            });
            assert!(user.keys.iter().any(|key| key.id == id("NEW")), "a successor: {plan:?} after {steps}");
            assert!(old.is_none_or(|key| key.status == KeyStatus::Inactive), "contained, and stays so");
            assert_eq!(done(&user, &again(request.clone())), [], "and nothing is left to do");
            ended += 1;
        }
    }
    assert!(ended >= 30, "only {ended} interruptions");
}
