//! An operator's request, line by line; and the same request delivered again after every step it can die in.

mod first_delivery;
mod interrupted;
mod redelivered;
mod shields;
mod since;

use rotation::names::delete_tag;
use rotation::plan::{DeleteReason, NoticeKind};
use rotation::{
    Action, Announcement, ForceRotateRequest, Key, KeyState, KeyStateKind, Notice, Plan, Policy, Refusal, Request,
    RequestOrigin, User, Verdict, decide,
};
use uuid::Uuid;

use crate::given::{Described, day, id, key, tagged, user};

const REQUEST: Uuid = Uuid::from_u128(1);
const INTENT: &str = "key-rotation:intent:6f1a4c62-2c0f-5a39-9a58-5b8f3a0d7c11";

/// A request made on day 50: the user's key, gently.
fn request() -> ForceRotateRequest {
    ForceRotateRequest {
        access_key_id: None,
        disable_old_now: false,
        override_exemption: false,
        own_key: None,
        origin: RequestOrigin { id: REQUEST, requested_at: day(50), redelivered: false },
    }
}

fn leaked() -> ForceRotateRequest {
    ForceRotateRequest { disable_old_now: true, ..request() }
}

fn leaked_key(name: &str) -> ForceRotateRequest {
    ForceRotateRequest { access_key_id: Some(id(name)), ..leaked() }
}

fn again(request: ForceRotateRequest) -> ForceRotateRequest {
    ForceRotateRequest { origin: RequestOrigin { redelivered: true, ..request.origin }, ..request }
}

fn asked(user: &User, request: &ForceRotateRequest) -> Verdict {
    asked_on(50, user, request)
}

fn asked_on(now: i64, user: &User, request: &ForceRotateRequest) -> Verdict {
    decide(day(now), &Policy::default(), user, &Request::ForceRotate(request.clone()))
}

fn done(user: &User, request: &ForceRotateRequest) -> Vec<Action> {
    match asked(user, request) {
        Verdict::Act(plan) => plan.actions,
        other => panic!("{other:?}"),
    }
}

fn refused(user: &User, request: &ForceRotateRequest) -> Refusal {
    match asked(user, request) {
        Verdict::Refused(refusal) | Verdict::Act(Plan { refusal: Some(refusal), .. }) => refusal,
        other => panic!("{other:?}"),
    }
}

/// The record of a key that this request contained.
fn contained() -> KeyState {
    KeyState::new(KeyStateKind::Disabled, day(50)).of_request(REQUEST).until(day(60))
}

fn contain(name: &str) -> Action {
    Action::Contain { key: id(name), state: contained().not_told() }
}

/// The same with its owner told of the containment and of the successor.
fn all_told() -> KeyState {
    KeyState { successor: Some(id("NEW")), ..contained() }
}

fn rotate(old: &str, present: &[&str]) -> Action {
    let present = present.iter().map(|name| id(name)).collect();
    Action::Rotate { old: id(old), present, notice: None, contained: Some(contained()) }
}

fn announce_successor(old: &str) -> Action {
    Action::Announce { key: id(old), what: Announcement::Successor { successor: id("NEW") }, state: Some(all_told()) }
}

fn announce_containment(old: &str) -> Action {
    Action::Announce { key: id(old), what: Announcement::Contained, state: Some(contained()) }
}

fn deletes(action: &Action, name: &str, reason: DeleteReason) -> bool {
    matches!(action, Action::Delete(deletable) if *deletable.key() == id(name) && deletable.reason() == reason)
}

/// The user two minutes after the deletion of one of its keys was announced.
fn announced(user: User, name: &str) -> User {
    tagged(user, &delete_tag(&id(name)), ANNOUNCED)
}

/// Two minutes before the request is carried out.
const ANNOUNCED: &str = "2026-02-20T09:58:00Z";

fn records_deletion(name: &str) -> Action {
    Action::RecordDeletion { key: id(name) }
}

/// By this a later delivery knows which key a request is about that contains none.
fn on_record(name: &str) -> Action {
    Action::Record { key: id(name), state: forced_notice(None).state(day(50)).not_told() }
}

fn forced_notice(successor: Option<&str>) -> Notice {
    let kind = NoticeKind::Forced { successor: successor.map(id) };
    Notice { kind, disable_due: Some(day(60)), request: Some(REQUEST), requested_at: None }
}

/// A key made by this request, an instant after it.
fn successor() -> Key {
    key("NEW", 50).published().never_used()
}

/// A user whose key A was contained and deleted.
fn gone_but_for_its_tag(keys: impl IntoIterator<Item = Key>, state: &KeyState) -> User {
    tagged(user(keys), &format!("key-rotation:state:{}", id("A")), &state.to_string())
}
