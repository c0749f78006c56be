//! What may keep a leaked key from being contained, and what may not.

use rotation::{Action, ForceRotateRequest, Plan, Refusal, Verdict};

use super::{asked, contain, contained, done, leaked, leaked_key, refused};
use crate::given::{Described, day, id, key, tagged, user};

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
        assert!(matches!(refused(&inactive, &leaked()), Refusal::Blocked { .. }));
        inactive.keys[0] = key("A", 0).inactive().disabled(45);
        let reported = done(&inactive, &leaked_key("A"));
        assert!(matches!(&reported[..], [Action::Record { state, .. }] if state.leak_reported() == Some(day(50))));
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
