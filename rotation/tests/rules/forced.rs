//! An operator's request, line by line; and the same request delivered again after every step it can die in.

use jiff::Timestamp;
use rotation::plan::{DeleteReason, NoticeKind};
use rotation::{
    AccessKeyId, Action, Announcement, ForceRotateRequest, Key, KeyState, KeyStateKind, KeyStatus, LastUse,
    MissingFact, Notice, Plan, Policy, Published, Refusal, Request, RequestOrigin, User, Verdict, decide,
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
        Verdict::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

/// The record of a key that this request contained.
fn contained() -> KeyState {
    KeyState::new(KeyStateKind::Disabled, day(50)).by(REQUEST).until(day(60))
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
    Action::Announce { key: id(old), what: Announcement::Successor { by: id("NEW") }, state: all_told() }
}

fn announce_containment(old: &str) -> Action {
    Action::Announce { key: id(old), what: Announcement::Contained, state: contained() }
}

fn deletes(action: &Action, name: &str, reason: DeleteReason) -> bool {
    matches!(action, Action::Delete(deletable) if *deletable.key() == id(name) && deletable.reason() == reason)
}

/// By this a later delivery knows which key a request is about that contains none.
fn on_record(name: &str) -> Action {
    Action::Record { key: id(name), state: forced_notice(None).state(day(50)).not_told() }
}

fn forced_notice(by: Option<&str>) -> Notice {
    Notice { kind: NoticeKind::Forced { by: by.map(id) }, disable_due: Some(day(60)), request: Some(REQUEST) }
}

/// A key made by this request, an instant after it.
fn successor() -> Key {
    key("NEW", 50).published().never_used()
}

// ---- the lines -----------------------------------------------------------------------------------------------------

#[test]
fn one_active_key_is_rotated_now_and_its_notice_is_forced() {
    let rotate =
        Action::Rotate { old: id("A"), present: vec![id("A")], notice: Some(forced_notice(None)), contained: None };
    assert_eq!(done(&user([key("A", 0)]), &request()), [on_record("A"), rotate]);
}

#[test]
fn with_disable_old_now_the_old_key_is_inactive_before_anything_else() {
    assert_eq!(done(&user([key("A", 0)]), &leaked()), [contain("A"), rotate("A", &["A"])]);
}

#[test]
fn the_inactive_key_beside_an_active_one_is_deleted_now() {
    let user = user([key("A", 0), key("B", 10).inactive().disabled(45)]);
    let actions = done(&user, &request());
    assert!(deletes(&actions[1], "B", DeleteReason::MakesRoomForForced), "{actions:?}");
    assert!(matches!(&actions[2..], [Action::Rotate { old, .. }] if *old == id("A")), "{actions:?}");
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
    let request = ForceRotateRequest { disable_old_now: false, ..leaked_key("A") };
    let refusal = refused(&user([key("A", 0), key("B", 10)]), &request);
    assert!(matches!(&refusal, Refusal::NamedKeyWouldHaveToGo { key, .. } if *key == id("A")));
    assert_eq!(refusal.options(), [rotation::RequestOption::DisableOldNow]);
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
        assert_eq!(done(&user, &ForceRotateRequest { override_exemption: true, ..request() }).len(), 2);
    }
}

#[test]
fn a_protected_user_is_refused_whatever_the_message_says() {
    let user = tagged(user([key("A", 0)]), "key-rotation:protected", "");
    assert!(matches!(
        refused(&user, &ForceRotateRequest { override_exemption: true, ..leaked() }),
        Refusal::Protected { .. }
    ));
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
    assert_eq!(asked(&user(vec![key("A", 0)]), &request()), Verdict::SettleFirst);
    assert_eq!(done(&user(vec![key("A", 0)]), &leaked()), [contain("A")]);
    assert_eq!(done(&user(vec![key("A", 0), key("B", 50)]), &leaked_key("A")), [contain("A")]);
    let contained = key("A", 0).inactive().in_state(contained());
    assert_eq!(asked(&user(vec![contained.clone()]), &leaked()), Verdict::SettleFirst);
    assert_eq!(asked(&user(vec![contained, successor()]), &leaked()), Verdict::SettleFirst);
}

#[test]
fn with_a_last_use_unknown_nothing_but_containment_goes_ahead() {
    let user = user([key("A", 0).use_unknown(), key("B", 10).inactive().disabled(45)]);
    assert_eq!(asked(&user, &request()), Verdict::Undecided(MissingFact::LastUse(id("A"))));
    assert_eq!(done(&user, &leaked()), [contain("A")]);
}

#[test]
fn a_forced_rotation_uses_the_users_own_install_grace_and_leaves_a_young_key_time() {
    let user = tagged(user([key("A", 49)]), "key-rotation:rotate-after-days", "1");
    let actions = done(&user, &request());
    assert!(
        matches!(&actions[1..], [Action::Rotate { notice: Some(notice), .. }] if notice.disable_due == Some(day(60)))
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
    let nothing: [Action; 0] = [];
    let forced = forced_notice(None).state(day(50));
    assert_eq!(done(&user([key("A", 0).in_state(forced.clone()), successor()]), &again(request())), nothing);
    assert_eq!(
        done(&user([key("A", 0).in_state(forced)]), &again(request())),
        nothing,
        "its successor was deleted since"
    );
    let told = key("A", 0).inactive().in_state(all_told());
    assert_eq!(done(&user([told.clone(), successor()]), &again(leaked())), nothing);
    assert_eq!(done(&user([told]), &again(leaked())), nothing, "its successor was deleted since");
    assert_eq!(done(&gone_but_for_its_tag([key("B", 10), successor()], &all_told()), &again(leaked_key("A"))), nothing);
}

/// A user whose key A was contained and deleted.
fn gone_but_for_its_tag(keys: impl IntoIterator<Item = Key>, state: &KeyState) -> User {
    tagged(user(keys), &format!("key-rotation:state:{}", id("A")), &state.to_string())
}

#[test]
fn delivered_again_after_containment_it_makes_the_successor() {
    let user = user([key("A", 0).inactive().in_state(contained())]);
    for request in [leaked(), leaked_key("A")] {
        assert_eq!(done(&user, &again(request)), [rotate("A", &["A"])]);
    }
}

#[test]
fn delivered_again_after_a_containment_that_was_not_told_it_is_told_again() {
    let user = user([key("A", 0).inactive().in_state(contained().not_told()), successor()]);
    assert_eq!(done(&user, &again(leaked())), [announce_containment("A"), announce_successor("A")]);
}

#[test]
fn delivered_again_after_a_successor_that_was_not_told_it_is_told_again() {
    for (request, user) in [
        (leaked(), user([key("A", 0).inactive().in_state(contained()), successor()])),
        (leaked_key("A"), gone_but_for_its_tag([key("B", 10), successor()], &contained())),
    ] {
        assert_eq!(done(&user, &again(request)), [announce_successor("A")]);
    }
}

#[test]
fn delivered_again_after_containment_that_was_not_recorded_it_is_recorded_and_the_successor_made() {
    for unrecorded in [key("A", 0).inactive(), key("A", 0).notified(49).inactive()] {
        for request in [leaked(), leaked_key("A")] {
            let expected = [contain("A"), rotate("A", &["A"])];
            assert_eq!(done(&user([unrecorded.clone()]), &again(request)), expected);
        }
    }
}

#[test]
fn delivered_again_after_containment_with_an_older_inactive_key_that_one_makes_room() {
    let user = user([key("A", 5).inactive().in_state(contained()), key("B", 0).inactive().disabled(45)]);
    let actions = done(&user, &again(leaked()));
    assert!(deletes(&actions[0], "B", DeleteReason::MakesRoomForForced));
    assert_eq!(actions[1..], [rotate("A", &["A"])]);
}

#[test]
fn delivered_again_after_one_of_two_keys_was_contained_it_is_deleted_and_replaced() {
    let user = user([key("A", 0).inactive().in_state(contained()), key("B", 10)]);
    let actions = done(&user, &again(leaked_key("A")));
    assert!(deletes(&actions[0], "A", DeleteReason::Contained));
    assert_eq!(actions[1..], [rotate("A", &["B"])]);
}

#[test]
fn a_contained_key_is_on_record_before_it_is_deleted_or_a_later_delivery_would_not_know_it() {
    let user = user([key("A", 0).inactive(), key("B", 10)]);
    let actions = done(&user, &again(leaked_key("A")));
    assert_eq!(actions[0], contain("A"));
    assert!(deletes(&actions[1], "A", DeleteReason::Contained));
    assert!(matches!(&actions[1], Action::Delete(deletable) if deletable.keeps_state()));
}

#[test]
fn delivered_again_after_the_named_key_was_deleted_it_makes_the_successor() {
    let actions = done(&gone_but_for_its_tag([key("B", 10)], &contained()), &again(leaked_key("A")));
    assert_eq!(actions, [rotate("A", &["B"])]);
}

#[test]
fn a_named_key_that_another_request_contained_is_not_taken_for_one_that_this_did() {
    let by_another = KeyState::new(KeyStateKind::Disabled, day(50)).by(Uuid::from_u128(2));
    let gone = gone_but_for_its_tag([key("B", 10)], &by_another);
    assert!(matches!(refused(&gone, &again(leaked_key("A"))), Refusal::NotTheUsersKey { .. }));
    let inactive = user([key("A", 0).inactive().in_state(by_another), key("B", 10)]);
    assert!(matches!(refused(&inactive, &again(leaked_key("A"))), Refusal::AlreadyInactive { .. }));
}

#[test]
fn delivered_again_after_a_person_made_the_contained_key_active_again_it_is_contained_again() {
    let user = user([key("A", 0).in_state(all_told()), successor()]);
    let state = all_told().not_told();
    assert_eq!(done(&user, &again(leaked())), [Action::Contain { key: id("A"), state }]);
}

#[test]
fn a_key_that_a_person_made_while_the_asked_one_lies_contained_is_not_contained_as_well() {
    let user = user([key("A", 0).inactive().in_state(contained()), key("P", 51)]);
    let actions = done(&user, &again(leaked()));
    assert!(deletes(&actions[0], "A", DeleteReason::Contained), "{actions:?}");
    assert_eq!(actions[1..], [rotate("A", &["P"])]);
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
    assert_eq!(asked(&user, &again(request())), Verdict::Undecided(MissingFact::Published(id("NEW"))));
    assert_eq!(done(&user, &again(leaked_key("A"))), [contain("A")]);
}

// ---- what has happened since it was asked for ------------------------------------------------------------------------

#[test]
fn with_no_key_named_a_key_newer_than_the_request_is_neither_contained_nor_replaced() {
    let user = user([key("P", 51)]);
    for request in [request(), leaked(), again(leaked())] {
        let verdict = asked_on(52, &user, &request);
        assert!(matches!(verdict, Verdict::Refused(Refusal::CreatedSince { .. })), "{verdict:?}");
    }
    assert!(matches!(asked_on(52, &user, &leaked_key("P")), Verdict::Act(_)), "named, it is");
}

#[test]
fn after_a_person_deleted_the_contained_key_and_made_another_that_one_is_left_as_it_is() {
    let user = gone_but_for_its_tag([key("P", 51)], &contained());
    assert_eq!(done(&user, &again(leaked())), [rotate("A", &["P"])]);
}

#[test]
fn a_request_never_takes_its_own_successor_for_the_key_it_is_about_however_wrong_its_clock() {
    let mut ahead = again(leaked());
    ahead.origin.requested_at = day(50) + jiff::SignedDuration::from_mins(4);
    let user = user([key("A", 0).inactive().in_state(all_told()), successor()]);
    assert_eq!(done(&user, &ahead), [] as [Action; 0]);
    let untold = gone_but_for_its_tag([successor()], &contained());
    assert_eq!(done(&untold, &ahead), [announce_successor("A")]);
}

#[test]
fn a_copied_body_under_another_id_does_not_count_what_the_first_did_as_its_own() {
    let mut copy = leaked();
    copy.origin.id = Uuid::from_u128(2);
    let user = user([key("A", 0).inactive().in_state(all_told()), key("NEW", 51).published()]);
    assert!(matches!(asked_on(53, &user, &copy), Verdict::Refused(Refusal::CreatedSince { .. })));
}

#[test]
fn a_key_that_was_restored_since_is_not_contained_by_an_older_request() {
    let restored = KeyState::new(KeyStateKind::Restored, day(51)).by(Uuid::from_u128(2));
    let user = user([key("A", 0).in_state(restored)]);
    for request in [leaked(), leaked_key("A")] {
        assert!(matches!(asked_on(52, &user, &again(request)), Verdict::Refused(Refusal::RestoredSince { .. })));
    }
}

#[test]
fn a_request_of_more_than_14_days_ago_is_refused() {
    let user = user([key("A", 0)]);
    assert!(matches!(asked_on(64, &user, &leaked()), Verdict::Act(_)));
    assert!(matches!(asked_on(65, &user, &leaked()), Verdict::Refused(Refusal::TooOld { .. })));
}

// ---- what may shield a leaked key ---------------------------------------------------------------------------------------

#[test]
fn a_leaked_key_is_contained_whatever_else_has_to_be_mended_first_and_only_then_refused() {
    let key_a = || user([key("A", 0)]);
    let state = format!("key-rotation:state:{}", id("A"));
    for user in [
        tagged(key_a(), &state, "yesterday"),
        tagged(key_a(), "key-rotation:intent:x", "y"),
        user([key("A", 0), key("B", 1).inactive(), key("C", 2).inactive()]),
    ] {
        let expected = Verdict::Act(Plan { actions: vec![contain("A")], decide_again: true, ..Plan::default() });
        assert_eq!(asked(&user, &leaked()), expected);
        let mut inactive = user;
        inactive.keys[0] = key("A", 0).inactive().in_state(contained());
        assert!(matches!(refused(&inactive, &leaked()), Refusal::Standstill { .. }));
    }
}

#[test]
fn only_the_tag_protected_spelled_exactly_shields_a_leaked_key_from_a_request_that_overrides_the_exemption() {
    let overriding = ForceRotateRequest { override_exemption: true, ..leaked() };
    for (tag, value) in [
        ("key-rotation:exempt-until", "2027-01-01"),
        ("key-rotation:exempt-until", "some day"),
        ("Key-Rotation:Protected", "true"),
    ] {
        let user = tagged(user([key("A", 0)]), tag, value);
        assert_eq!(done(&user, &overriding)[0], contain("A"), "{tag}={value}");
        assert!(matches!(refused(&user, &leaked()), Refusal::Exempt { .. }), "{tag}={value}");
    }
    let protected = tagged(user([key("A", 0)]), "key-rotation:protected", "");
    assert!(matches!(refused(&protected, &overriding), Refusal::Protected { .. }));
}

// ---- applied step by step, dying after each ---------------------------------------------------------------------------

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
        Action::Record { key, state } | Action::Announce { key, state, .. } => record(user, key, state.clone()),
        Action::Contain { key, state } => {
            for held in user.keys.iter_mut().filter(|held| held.id == *key) {
                held.status = KeyStatus::Inactive;
            }
            record(user, key, state.clone());
        }
        Action::Delete(deletable) => {
            user.keys.retain(|key| key.id != *deletable.key());
            if !deletable.keeps_state() {
                user.tags.states.retain(|(id, _)| id != deletable.key());
            }
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
        | Action::Warn { .. }
        | Action::Postpone { .. }
        | Action::Report(_) => {
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
        [
            request(),
            leaked(),
            leaked_key("A"),
            leaked_key("B"),
            ForceRotateRequest { disable_old_now: false, ..leaked_key("A") },
        ]
        .map(|request| (keys, request))
    }) {
        let Verdict::Act(plan) = asked(&user(keys.clone()), &request) else {
            continue;
        };
        for steps in 0..=plan.actions.len() {
            let mut user = user(keys.clone());
            let now = day(50) + jiff::SignedDuration::from_millis(400);
            plan.actions.iter().take(steps).for_each(|action| apply(&mut user, action, now));
            for action in done(&user, &again(request.clone())) {
                apply(&mut user, &action, now);
            }
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
