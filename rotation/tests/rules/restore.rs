//! The undo: a disabled key made active again.

use rotation::restore::{self, Answer, Refusal};
use rotation::{Policy, User};

use crate::given::{Described, day, id, key, tagged, user};

fn asked(user: &User, named: Option<&str>) -> Answer {
    restore::plan(day(105), &Policy::default(), user, named.map(id).as_ref(), day(105))
}

#[test]
fn the_only_inactive_key_is_made_active_and_not_disabled_again_before_the_install_grace() {
    let user = user([key("A", 0).inactive().disabled(100), key("B", 90).published()]);
    for named in [None, Some("A")] {
        assert_eq!(asked(&user, named), Answer::Enable { key: id("A"), disable_due: day(115) });
    }
}

#[test]
fn of_two_inactive_keys_one_has_to_be_named() {
    let user = user([key("A", 0).inactive().disabled(100), key("B", 90).inactive()]);
    assert!(matches!(asked(&user, None), Answer::Refused(Refusal::SeveralInactive { keys, .. }) if keys.len() == 2));
    assert_eq!(asked(&user, Some("B")), Answer::Enable { key: id("B"), disable_due: day(115) });
}

#[test]
fn a_key_that_has_been_deleted_cannot_be_brought_back_and_the_refusal_says_so() {
    let user = user([key("B", 90)]);
    for named in [None, Some("A")] {
        let Answer::Refused(refusal) = asked(&user, named) else { panic!("to be refused") };
        assert!(refusal.to_string().contains("cannot be brought back"), "{refusal}");
    }
}

#[test]
fn a_protected_user_is_refused() {
    let user = tagged(user([key("A", 0).inactive()]), "key-rotation:protected", "");
    assert!(matches!(asked(&user, None), Answer::Refused(Refusal::Protected { .. })));
}

#[test]
fn delivered_again_before_the_owner_was_told_it_tells_the_owner() {
    let user = user([key("A", 0).disabled(100), key("B", 90).published()]);
    for named in [None, Some("A")] {
        assert_eq!(asked(&user, named), Answer::Tell { key: id("A"), disable_due: day(115) });
    }
}

#[test]
fn delivered_again_after_everything_was_done_it_does_nothing() {
    let user = user([key("A", 0).restored(105), key("B", 90).published()]);
    for named in [None, Some("A")] {
        assert_eq!(asked(&user, named), Answer::Done { key: id("A") });
    }
}

#[test]
fn an_earlier_restore_is_not_taken_for_this_one() {
    let user = user([key("A", 0).restored(80), key("B", 90)]);
    assert!(matches!(asked(&user, None), Answer::Refused(Refusal::NothingInactive { .. })));
}
