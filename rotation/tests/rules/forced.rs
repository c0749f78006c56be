//! An operator's request, line by line; and the same request delivered again after every step it can die in.

use jiff::Timestamp;
use rotation::forced::{self, Answer, Refusal, Request};
use rotation::plan::{DeleteReason, NoticeKind};
use rotation::{Action, Key, LastUse, Missing, Notice, Policy, Published, User};

use crate::given::{Described, day, id, key, tagged, user};

const INTENT: &str = "key-rotation:intent:6f1a4c62-2c0f-5a39-9a58-5b8f3a0d7c11";

/// A request made on day 50: the user's key, gently.
fn request() -> Request {
    Request {
        access_key_id: None,
        disable_old_now: false,
        override_exemption: false,
        requested_at: day(50),
        redelivered: false,
    }
}

fn leaked() -> Request {
    Request { disable_old_now: true, ..request() }
}

fn leaked_key(name: &str) -> Request {
    Request { access_key_id: Some(id(name)), ..leaked() }
}

fn again(request: Request) -> Request {
    Request { redelivered: true, ..request }
}

fn asked(user: &User, request: &Request) -> Answer {
    forced::plan(day(50), &Policy::default(), user, request)
}

fn done(user: &User, request: &Request) -> Vec<Action> {
    match asked(user, request) {
        Answer::Act(plan) => plan.actions,
        other => panic!("{other:?}"),
    }
}

fn refused(user: &User, request: &Request) -> Refusal {
    match asked(user, request) {
        Answer::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

fn contain(name: &str) -> Action {
    Action::Contain { key: id(name) }
}

fn rotate(old: &str, present: &[&str]) -> Action {
    Action::Rotate { old: id(old), present: present.iter().map(|name| id(name)).collect(), notice: None }
}

fn deletes(action: &Action, name: &str, reason: DeleteReason) -> bool {
    matches!(action, Action::Delete(deletable) if *deletable.key() == id(name) && deletable.reason() == reason)
}

fn forced_notice(by: Option<&str>) -> Notice {
    Notice { kind: NoticeKind::Forced { by: by.map(id) }, disable_due: Some(day(60)) }
}

/// A key made by this request, an instant after it.
fn successor() -> Key {
    key("NEW", 50).published().never_used()
}

// ---- the lines -----------------------------------------------------------------------------------------------------

#[test]
fn one_active_key_is_rotated_now_and_its_notice_is_forced() {
    let expected = Action::Rotate { old: id("A"), present: vec![id("A")], notice: Some(forced_notice(None)) };
    assert_eq!(done(&user([key("A", 0)]), &request()), [expected]);
}

#[test]
fn with_disable_old_now_the_old_key_is_inactive_before_anything_else() {
    assert_eq!(done(&user([key("A", 0)]), &leaked()), [contain("A"), rotate("A", &["A"])]);
}

#[test]
fn the_inactive_key_beside_an_active_one_is_deleted_now() {
    let user = user([key("A", 0), key("B", 10).inactive().disabled(45)]);
    let actions = done(&user, &request());
    assert!(deletes(&actions[0], "B", DeleteReason::MakesRoomForForced), "{actions:?}");
    assert!(matches!(&actions[1..], [Action::Rotate { old, .. }] if *old == id("A")), "{actions:?}");
    let actions = done(&user, &leaked());
    assert_eq!(actions[0], contain("A"), "containment comes first");
    assert!(deletes(&actions[1], "B", DeleteReason::MakesRoomForForced), "{actions:?}");
}

#[test]
fn two_active_keys_and_none_named_are_refused_with_both_ids_ages_and_last_uses() {
    let user = user([key("A", 0).used(49), key("B", 10).never_used()]);
    for request in [request(), leaked()] {
        let sentence = refused(&user, &request).to_string();
        for word in [id("A").as_str(), id("B").as_str(), "50 days old", "40 days old", "2026-02-19", "s3", "never used"]
        {
            assert!(sentence.contains(word), "{word}: {sentence}");
        }
    }
}

#[test]
fn two_active_keys_and_one_named_without_disable_old_now_are_refused_with_the_sentence_that_says_so() {
    let request = Request { disable_old_now: false, ..leaked_key("A") };
    let refusal = refused(&user([key("A", 0), key("B", 10)]), &request);
    assert!(matches!(&refusal, Refusal::NamedKeyWouldHaveToGo { key, .. } if *key == id("A")));
    assert!(refusal.to_string().contains("disable_old_now"));
}

#[test]
fn the_named_one_of_two_active_keys_is_disabled_deleted_and_replaced_and_the_other_not_touched() {
    for (named, other) in [("A", "B"), ("B", "A")] {
        let actions = done(&user([key("A", 0), key("B", 10)]), &leaked_key(named));
        assert_eq!(actions[0], contain(named));
        assert!(deletes(&actions[1], named, DeleteReason::Contained));
        assert_eq!(actions[2..], [rotate(named, &[other])]);
    }
}

#[test]
fn an_exempt_user_is_refused_unless_the_message_overrides_the_exemption() {
    let mut in_group = user([key("A", 0)]);
    in_group.in_exemption_group = true;
    let until = tagged(user([key("A", 0)]), "key-rotation:exempt-until", "2027-01-01");
    for user in [in_group, until] {
        assert!(matches!(refused(&user, &request()), Refusal::Exempt { .. }));
        assert_eq!(done(&user, &Request { override_exemption: true, ..request() }).len(), 1);
    }
}

#[test]
fn a_protected_user_is_refused_whatever_the_message_says() {
    let user = tagged(user([key("A", 0)]), "key-rotation:protected", "");
    assert!(matches!(refused(&user, &Request { override_exemption: true, ..leaked() }), Refusal::Protected { .. }));
}

#[test]
fn a_user_without_an_active_key_is_refused() {
    for keys in [vec![], vec![key("A", 0).inactive()], vec![key("A", 0).inactive().disabled(40)]] {
        for request in [request(), leaked(), again(request())] {
            assert!(matches!(refused(&user(keys.clone()), &request), Refusal::NoActiveKey { .. }));
        }
    }
}

#[test]
fn a_named_key_that_is_not_the_users_is_refused() {
    for request in [leaked_key("X"), again(leaked_key("X"))] {
        assert!(matches!(refused(&user([key("A", 0)]), &request), Refusal::NotTheUsersKey { .. }));
    }
}

#[test]
fn a_named_key_that_was_inactive_before_the_request_is_refused() {
    let user = user([key("A", 0).inactive().disabled(40), key("B", 10)]);
    assert!(matches!(refused(&user, &leaked_key("A")), Refusal::AlreadyInactive { .. }));
}

#[test]
fn a_user_whose_tags_cannot_be_read_or_with_three_keys_is_refused_with_the_finding() {
    let unreadable = tagged(user([key("A", 0)]), &format!("key-rotation:state:{}", id("A")), "x");
    let three = user([key("A", 0), key("B", 1), key("C", 2)]);
    for (user, word) in [(unreadable, "cannot be read"), (three, "3 access keys")] {
        assert!(refused(&user, &request()).to_string().contains(word));
    }
}

#[test]
fn an_intent_is_settled_first_but_containment_does_not_wait_for_it() {
    let user = |keys: Vec<Key>| tagged(user(keys), INTENT, "2026-02-20T09:59:00Z");
    assert_eq!(asked(&user(vec![key("A", 0)]), &request()), Answer::SettleFirst);
    assert_eq!(done(&user(vec![key("A", 0)]), &leaked()), [contain("A")]);
    assert_eq!(done(&user(vec![key("A", 0), key("B", 50)]), &leaked_key("A")), [contain("A")]);
    assert_eq!(asked(&user(vec![key("A", 0).inactive().disabled(50)]), &leaked()), Answer::SettleFirst);
    assert_eq!(asked(&user(vec![key("A", 0).inactive().disabled(50), successor()]), &leaked()), Answer::SettleFirst);
}

#[test]
fn with_a_last_use_unknown_nothing_but_containment_goes_ahead() {
    let user = user([key("A", 0).use_unknown(), key("B", 10).inactive().disabled(45)]);
    assert_eq!(asked(&user, &request()), Answer::Undecided(Missing::LastUse(id("A"))));
    assert_eq!(done(&user, &leaked()), [contain("A")]);
}

#[test]
fn a_forced_rotation_uses_the_users_own_install_grace_and_leaves_a_young_key_time() {
    let user = tagged(user([key("A", 49)]), "key-rotation:rotate-after-days", "1");
    let actions = done(&user, &request());
    assert!(
        matches!(&actions[..], [Action::Rotate { notice: Some(notice), .. }] if notice.disable_due == Some(day(60)))
    );
}

// ---- delivered again -----------------------------------------------------------------------------------------------

#[test]
fn delivered_again_after_its_successor_was_published_it_only_tells_the_owner() {
    let user = user([key("A", 0), successor()]);
    let notify = Action::Notify { key: id("A"), notice: forced_notice(Some("NEW")) };
    assert_eq!(done(&user, &again(request())), [notify]);
}

#[test]
fn delivered_again_after_everything_was_done_it_does_nothing() {
    assert_eq!(done(&user([key("A", 0).forced(50), successor()]), &again(request())), []);
    assert_eq!(done(&user([key("A", 0).inactive().disabled(50), successor()]), &again(leaked())), []);
    assert_eq!(done(&user([key("B", 10), successor()]), &again(leaked_key("A"))), []);
}

#[test]
fn delivered_again_after_containment_it_makes_the_successor() {
    let user = user([key("A", 0).inactive().disabled(50)]);
    for request in [leaked(), leaked_key("A")] {
        assert_eq!(done(&user, &again(request)), [rotate("A", &["A"])]);
    }
}

#[test]
fn delivered_again_after_containment_that_was_not_recorded_it_is_recorded_and_the_successor_made() {
    for contained in [key("A", 0).inactive(), key("A", 0).notified(49).inactive()] {
        for request in [leaked(), leaked_key("A")] {
            let expected = [Action::Adopt { key: id("A"), delete_due: day(60) }, rotate("A", &["A"])];
            assert_eq!(done(&user([contained.clone()]), &again(request)), expected);
        }
    }
}

#[test]
fn delivered_again_after_containment_with_an_older_inactive_key_that_one_makes_room() {
    let user = user([key("A", 5).inactive().disabled(50), key("B", 0).inactive().disabled(45)]);
    let actions = done(&user, &again(leaked()));
    assert!(deletes(&actions[0], "B", DeleteReason::MakesRoomForForced));
    assert_eq!(actions[1..], [rotate("A", &["A"])]);
}

#[test]
fn delivered_again_after_one_of_two_keys_was_contained_it_is_deleted_and_replaced() {
    let user = user([key("A", 0).inactive().disabled(50), key("B", 10)]);
    let actions = done(&user, &again(leaked_key("A")));
    assert!(deletes(&actions[0], "A", DeleteReason::Contained));
    assert_eq!(actions[1..], [rotate("A", &["B"])]);
}

#[test]
fn a_contained_key_is_on_record_before_it_is_deleted_or_a_later_delivery_would_not_know_it() {
    let user = user([key("A", 0).inactive(), key("B", 10)]);
    let actions = done(&user, &again(leaked_key("A")));
    assert_eq!(actions[0], Action::Adopt { key: id("A"), delete_due: day(60) });
    assert!(deletes(&actions[1], "A", DeleteReason::Contained));
    assert!(matches!(&actions[1], Action::Delete(deletable) if deletable.keeps_memory()));
}

#[test]
fn delivered_again_after_the_named_key_was_deleted_it_makes_the_successor() {
    let gone = format!("key-rotation:state:{}", id("A"));
    let user = tagged(user([key("B", 10)]), &gone, "disabled=2026-02-20T10:00:00Z");
    let actions = done(&user, &again(leaked_key("A")));
    assert_eq!(actions, [rotate("A", &["B"])]);
}

#[test]
fn a_named_key_deleted_before_the_request_is_not_taken_for_one_it_deleted() {
    let gone = format!("key-rotation:state:{}", id("A"));
    let user = tagged(user([key("B", 10)]), &gone, "disabled=2026-02-19T10:00:00Z");
    assert!(matches!(refused(&user, &again(leaked_key("A"))), Refusal::NotTheUsersKey { .. }));
}

#[test]
fn delivered_again_after_the_successor_was_made_it_removes_the_tag_of_the_deleted_key() {
    let gone = format!("key-rotation:state:{}", id("A"));
    let user = tagged(user([key("B", 10), successor()]), &gone, "disabled=2026-02-20T10:00:00Z");
    assert_eq!(done(&user, &again(leaked_key("A"))), [] as [Action; 0]);
}

#[test]
fn delivered_again_after_a_person_made_the_contained_key_active_again_it_is_contained_again() {
    let user = user([key("A", 0).disabled(50), successor()]);
    assert_eq!(done(&user, &again(leaked())), [contain("A")]);
}

#[test]
fn a_key_that_a_person_made_while_the_asked_one_lies_contained_is_not_contained_as_well() {
    let user = user([key("A", 0).inactive().disabled(50), key("P", 51)]);
    let actions = done(&user, &again(leaked()));
    assert!(deletes(&actions[0], "A", DeleteReason::Contained), "{actions:?}");
    assert_eq!(actions[1..], [rotate("A", &["P"])]);
}

#[test]
fn a_request_redriven_after_its_successor_was_itself_replaced_harms_neither() {
    let first = key("NEW", 50).notified(140);
    let second = key("NEWER", 140).published();
    for request in [request(), leaked(), leaked_key("A")] {
        let answer =
            forced::plan(day(141), &Policy::default(), &user([first.clone(), second.clone()]), &again(request));
        assert_eq!(answer, Answer::Act(rotation::Plan::default()));
    }
}

#[test]
fn a_successor_made_by_a_scheduled_run_before_the_request_is_not_taken_for_its_own() {
    let user = user([key("A", 0).notified(49), key("NEW", 49).published()]);
    assert!(matches!(refused(&user, &request()), Refusal::TwoActiveKeys { .. }));
}

#[test]
fn a_request_waits_while_it_is_unknown_whether_a_key_made_since_is_its_successor() {
    let mut newer = successor();
    newer.published = Published::Unknown;
    let user = user([key("A", 0), newer]);
    assert_eq!(asked(&user, &again(request())), Answer::Undecided(Missing::Published(id("NEW"))));
    assert_eq!(done(&user, &again(leaked_key("A"))), [contain("A")]);
}

// ---- applied step by step, dying after each ---------------------------------------------------------------------------

/// Applies one action to the model user, as IAM and the tags would show it.
fn apply(user: &mut User, action: &Action, now: Timestamp) {
    let remember = |user: &mut User, key: &rotation::AccessKeyId, remembered| {
        let memory = rotation::Memory::Known(remembered);
        user.tags.states.retain(|(id, _)| id != key);
        user.tags.states.push((key.clone(), memory.clone()));
        if let Some(key) = user.keys.iter_mut().find(|k| k.id == *key) {
            key.memory = memory;
        }
    };
    match action {
        Action::Contain { key } => {
            for held in user.keys.iter_mut().filter(|held| held.id == *key) {
                held.status = rotation::KeyStatus::Inactive;
            }
            remember(user, key, rotation::Remembered::Disabled(now));
        }
        Action::Adopt { key, .. } => remember(user, key, rotation::Remembered::Disabled(now)),
        Action::Delete(deletable) => {
            user.keys.retain(|key| key.id != *deletable.key());
            if !deletable.keeps_memory() {
                user.tags.states.retain(|(id, _)| id != deletable.key());
            }
        }
        Action::Rotate { old, present, notice } => {
            let held: Vec<_> = user.keys.iter().map(|key| key.id.clone()).collect();
            assert_eq!(&held, present, "the plan's keys are the user's");
            assert!(held.len() < 2, "IAM allows no third key");
            let created = Timestamp::from_second(now.as_second()).expect("in range");
            user.keys.push(Key { created, last_use: LastUse::Never, ..successor() });
            if let Some(notice) = notice {
                remember(user, old, notice.kind.record(now));
            }
        }
        Action::Notify { key, notice } => remember(user, key, notice.kind.record(now)),
        Action::Forget { key } => user.tags.states.retain(|(id, _)| id != key),
        Action::Disable { .. } | Action::Warn { .. } | Action::Postpone { .. } | Action::Report(_) => {
            panic!("{action:?} has no place in a forced rotation")
        }
    }
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
        [request(), leaked(), leaked_key("A"), leaked_key("B"), Request { disable_old_now: false, ..leaked_key("A") }]
            .map(|request| (keys, request))
    }) {
        let Answer::Act(plan) = asked(&user(keys.clone()), &request) else { continue };
        for steps in 0..=plan.actions.len() {
            let mut user = user(keys.clone());
            let now = day(50) + jiff::SignedDuration::from_millis(400);
            plan.actions.iter().take(steps).for_each(|action| apply(&mut user, action, now));
            for action in done(&user, &again(request.clone())) {
                apply(&mut user, &action, now);
            }
            let old = user.keys.iter().find(|key| plan.actions.contains(&Action::Contain { key: key.id.clone() }));
            assert!(user.keys.iter().any(|key| key.id == id("NEW")), "a successor: {plan:?} after {steps}");
            assert!(old.is_none_or(|key| key.status == rotation::KeyStatus::Inactive), "contained, and stays so");
            assert_eq!(done(&user, &again(request.clone())), [], "and nothing is left to do");
            ended += 1;
        }
    }
    assert!(ended >= 30, "only {ended} interruptions");
}
