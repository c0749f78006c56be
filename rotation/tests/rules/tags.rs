//! What the tool records in tags, as it is written and read.

use jiff::SignedDuration;
use rotation::names;
use rotation::user::UserTags;
use rotation::{Finding, Intent, KeyState, KeyStateKind};
use uuid::Uuid;

use crate::given::{at, day, id};

#[test]
fn a_state_is_spelled_as_people_are_told() {
    let time = at("2026-11-22T10:00:00.999Z");
    for (kind, text) in [
        (KeyStateKind::Notified, "notified=2026-11-22T10:00:00Z"),
        (KeyStateKind::Forced, "forced=2026-11-22T10:00:00Z"),
        (KeyStateKind::Disabled, "disabled=2026-11-22T10:00:00Z"),
        (KeyStateKind::Restored, "restored=2026-11-22T10:00:00Z"),
    ] {
        assert_eq!(KeyState::new(kind, time).to_string(), text);
        assert_eq!(KeyState::parse(text).map(|state| state.to_string()).as_deref(), Some(text));
    }
}

#[test]
fn what_else_is_known_of_a_state_follows_as_pairs_and_fits_into_a_tag() {
    let state = KeyState {
        successor: Some(id("B")),
        restoring: Some(Uuid::from_u128(8)),
        requested_at: Some(day(99)),
        ..KeyState::new(KeyStateKind::Disabled, day(100)).until(day(110)).of_request(Uuid::from_u128(7)).not_told()
    };
    let text = state.to_string();
    let expected = "disabled=2026-04-11T10:00:00Z until=2026-04-21T10:00:00Z by=00000000-0000-0000-0000-000000000007 successor=AKIA000000000000000B restoring=00000000-0000-0000-0000-000000000008 asked=2026-04-10T10:00:00Z told=no";
    assert_eq!(text, expected);
    assert_eq!(KeyState::parse(&text), Some(state));
    let void = KeyState::new(KeyStateKind::Forced, day(100)).of_request(Uuid::from_u128(7)).made_void();
    assert!(void.to_string().ends_with(" told=void"));
    assert_eq!(KeyState::parse(&void.to_string()), Some(void));
    // A successor's id may have 66 characters, though AWS has made none of more than 20.
    assert!(text.len() + 46 <= 256, "IAM API reference, `Tag`: a value has at most 256 characters");
}

#[test]
fn a_tag_that_cannot_be_read_is_a_finding_and_not_a_crash() {
    let state = names::state_tag(&id("A"));
    let intent = names::intent_tag(Uuid::from_u128(7));
    for (tag, value) in [
        (state.as_str(), ""),
        (state.as_str(), "notified"),
        (state.as_str(), "notified="),
        (state.as_str(), "Notified=2026-11-22T10:00:00Z"),
        (state.as_str(), "notified=2026-11-22"),
        (state.as_str(), "notified=2026-13-01T00:00:00Z"),
        (state.as_str(), "notified=2026-11-22T10:00:00Z more=1"),
        (state.as_str(), "notified=2026-11-22T10:00:00Z told=yes"),
        (state.as_str(), "notified=2026-11-22T10:00:00Z told=no told=no"),
        (state.as_str(), "disabled=2026-11-22T10:00:00Z restoring=yes"),
        (state.as_str(), "notified=2026-11-22T10:00:00Z until=tomorrow"),
        (state.as_str(), "notified=2026-11-22T10:00:00Z until="),
        (state.as_str(), "disabled=2026-11-22T10:00:00Z by=me"),
        (state.as_str(), "disabled=2026-11-22T10:00:00Z successor=x"),
        (state.as_str(), "notified=2026-11-22T10:00:00Z "),
        (state.as_str(), "gone=2026-11-22T10:00:00Z"),
        (state.as_str(), "disabled=99999-01-01T00:00:00Z"),
        (state.as_str(), "disabled=-000001-01-01T00:00:00Z"),
        ("key-rotation:state:", "notified=2026-11-22T10:00:00Z"),
        ("key-rotation:state:short", "notified=2026-11-22T10:00:00Z"),
        (intent.as_str(), ""),
        (intent.as_str(), "-000001-01-01T00:00:00Z for=AKIAIOSFODNN7EXAMPLE"),
        (intent.as_str(), "2026-11-22T10:00:00Z for=x"),
        (intent.as_str(), "2026-11-22T10:00:00Z of=AKIAIOSFODNN7EXAMPLE"),
        ("key-rotation:intent:7", "2026-11-22T10:00:00Z"),
        ("key-rotation:exempt-until", "tomorrow"),
        ("key-rotation:exempt-until", ""),
        ("key-rotation:exempt-until", "2026-02-30"),
    ] {
        let read = UserTags::read([(tag, value)]);
        let finding = Finding::UnreadableTag { tag: tag.to_owned(), value: value.to_owned() };
        assert_eq!(read.unreadable, [finding], "{tag} {value}");
    }
}

#[test]
fn tags_of_others_are_passed_over() {
    let read =
        UserTags::read([("team", "a"), ("state:AKIAIOSFODNN7EXAMPLE", "x"), ("KEY", ""), ("", ""), ("käy", "ü")]);
    assert_eq!(read, UserTags::default());
}

#[test]
fn a_tag_in_another_case_is_the_same_tag_as_it_is_to_iam() {
    let state = names::state_tag(&id("A")).replace("key-rotation:state", "Key-Rotation:State");
    let read = UserTags::read([
        ("KEY-ROTATION:PROTECTED", ""),
        ("Key-Rotation:Exempt-Until", "2026-12-31"),
        ("key-rotation:Rotate-After-Days", "30"),
        (state.as_str(), "disabled=2026-04-11T10:00:00Z"),
    ]);
    assert!(read.protected_in_other_case && !read.protected && read.exempt_until.is_some());
    assert_eq!(read.rotate_after_days.as_deref(), Some("30"));
    assert_eq!(read.state_of(&id("A")), Some(KeyState::new(KeyStateKind::Disabled, day(100))));
}

#[test]
fn a_state_is_each_keys_own() {
    let (a, b) = (names::state_tag(&id("A")), names::state_tag(&id("B")));
    let read =
        UserTags::read([(a.as_str(), "disabled=2026-04-11T10:00:00Z"), (b.as_str(), "notified=2026-04-01T10:00:00Z")]);
    assert_eq!(read.state_of(&id("A")), Some(KeyState::new(KeyStateKind::Disabled, day(100))));
    assert_eq!(read.state_of(&id("B")), Some(KeyState::new(KeyStateKind::Notified, day(90))));
    assert_eq!(read.state_of(&id("C")), None);
}

#[test]
fn an_intent_says_when_it_was_written_and_for_which_key() {
    let attempt = Uuid::from_u128(7);
    for (successor_of, beside) in [
        (None, vec![]),
        (Some(id("A")), vec![]),
        (Some(id("A")), vec![id("B")]),
        (Some(id("A")), vec![id("B"), id("C")]),
    ] {
        let intent = Intent { attempt, written: day(90), successor_of, beside };
        assert!(intent.to_string().len() <= 256, "IAM: a tag's value has at most 256 characters");
        assert_eq!(Intent::parse(attempt, &intent.to_string()), Some(intent));
    }
}

#[test]
fn an_intent_names_every_key_that_was_there_before_it() {
    let attempt = Uuid::from_u128(7);
    let intent = Intent { attempt, written: day(90), successor_of: Some(id("A")), beside: vec![id("B")] };
    assert!(
        intent.was_there_before(&id("A")) && intent.was_there_before(&id("B")) && !intent.was_there_before(&id("C"))
    );
}

#[test]
fn what_is_not_wholly_an_intent_is_none() {
    for text in [
        "2026-11-22T10:00:00Z beside=AKIAAAAAAAAAAAAAAAAB",
        "2026-11-22T10:00:00Z for=",
        "2026-11-22T10:00:00Z for=AKIAAAAAAAAAAAAAAAAB for=AKIAAAAAAAAAAAAAAAAC",
        "2026-11-22T10:00:00Z  for=AKIAAAAAAAAAAAAAAAAB",
    ] {
        assert_eq!(Intent::parse(Uuid::from_u128(7), text), None, "{text}");
    }
}

#[test]
fn an_intent_is_young_for_a_session_and_five_minutes_of_clocks_and_then_old() {
    let intent = Intent { attempt: Uuid::from_u128(7), written: day(90), successor_of: None, beside: vec![] };
    let end = day(90) + SignedDuration::from_mins(20);
    assert!(!intent.is_expired(day(90)) && !intent.is_expired(end));
    assert!(intent.is_expired(end + SignedDuration::from_nanos(1)));
}

#[test]
fn an_intent_explains_only_keys_made_while_its_session_lived() {
    let intent = Intent { attempt: Uuid::from_u128(7), written: day(90), successor_of: Some(id("A")), beside: vec![] };
    let minutes = |n| day(90) + SignedDuration::from_mins(n);
    assert!(intent.may_have_made(minutes(-5)) && intent.may_have_made(minutes(20)));
    assert!(!intent.may_have_made(minutes(-6)) && !intent.may_have_made(minutes(21)));
}

#[test]
fn an_attempt_that_only_settles_has_made_no_key() {
    let intent = Intent { attempt: Uuid::from_u128(7), written: day(90), successor_of: None, beside: vec![] };
    assert!(!intent.may_have_made(day(90)));
}
