//! One look at any user, on any day, by any policy: what must hold whatever has happened before.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::sample::Index;
use rotation::forced::{self, Request};
use rotation::plan::DeleteReason;
use rotation::user::UserTags;
use rotation::{
    Action, Key, KeyStatus, LastUse, Memory, Period, Policy, Published, Remembered, UnusedKeys, User, UserName,
    Verdict, lifecycle, restore,
};

use crate::given::{day, id};

/// A moment around the tests' days, with a sub-second part.
fn today() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        2 => (-400i64..400, 0i64..86_400, 0i64..1_000_000_000).prop_map(|(days, seconds, nanos)| {
            day(days) + SignedDuration::from_secs(seconds) + SignedDuration::from_nanos(nanos)
        }),
        1 => (-40i64..40).prop_map(|days| day(10 * days)),
    ]
}

/// The same, and now and then a moment of no sensible age.
fn moment() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        30 => today(),
        1 => prop::sample::select(vec![Timestamp::MIN, Timestamp::MAX, Timestamp::UNIX_EPOCH]),
    ]
}

fn remembered() -> impl Strategy<Value = Memory> {
    (moment(), 0..5u8).prop_map(|(at, which)| match which {
        0 => Memory::Nothing,
        1 => Memory::Known(Remembered::Notified(at)),
        2 => Memory::Known(Remembered::Forced(at)),
        3 => Memory::Known(Remembered::Disabled(at)),
        _ => Memory::Known(Remembered::Restored(at)),
    })
}

fn last_use() -> impl Strategy<Value = LastUse> {
    prop_oneof![
        1 => Just(LastUse::Unknown),
        3 => Just(LastUse::Never),
        6 => moment().prop_map(|when| LastUse::At { when, service: "s3".to_owned(), region: "eu-west-1".to_owned() }),
    ]
}

fn keys(at_least: usize) -> impl Strategy<Value = Vec<Key>> {
    let published = prop::sample::select(vec![Published::Unknown, Published::Yes, Published::No]);
    let status = prop_oneof![3 => Just(KeyStatus::Active), 1 => Just(KeyStatus::Inactive)];
    let key = (status, moment(), last_use(), published, remembered());
    prop::collection::vec(key, at_least..=3).prop_map(|keys| {
        let named = keys.into_iter().zip(["A", "B", "C"]);
        named
            .map(|((status, created, last_use, published, memory), name)| Key {
                id: id(name),
                status,
                created,
                last_use,
                published,
                memory,
            })
            .collect()
    })
}

pub(crate) fn policy() -> impl Strategy<Value = Policy> {
    let periods = (1u32..=120, 1u32..=30, 1u32..=30, any::<Index>(), prop_oneof![Just(0u32), 1u32..=15], any::<bool>());
    let drawn = periods.prop_map(|(rotation, grace, recovery_grace, warn, in_use_extension, retire)| {
        let pending_action_warn = warn.index(rotation as usize).min(14) as u32;
        let period =
            Period { rotation, inactive: rotation + grace, recovery_grace, pending_action_warn, in_use_extension };
        Policy::new(period, if retire { UnusedKeys::Retire } else { UnusedKeys::Rotate }).expect("valid")
    });
    prop_oneof![1 => Just(Policy::default()), 3 => drawn]
}

fn user() -> impl Strategy<Value = User> {
    user_with(0)
}

fn user_with(at_least: usize) -> impl Strategy<Value = User> {
    let override_tag = prop::option::weighted(0.2, prop::sample::select(vec!["1", "30", "400", "x", ""]));
    let gone = prop::option::weighted(0.2, remembered());
    let exempt_until = prop::option::weighted(0.1, moment());
    (keys(at_least), override_tag, gone, exempt_until, prop::bool::weighted(0.05)).prop_map(
        |(keys, rotate_after_days, gone, exempt_until, in_exemption_group)| {
            let mut tags = UserTags {
                states: keys.iter().map(|key| (key.id.clone(), key.memory.clone())).collect(),
                exempt_until,
                rotate_after_days: rotate_after_days.map(str::to_owned),
                ..UserTags::default()
            };
            tags.states.extend(gone.map(|memory| (id("GONE"), memory)));
            User { name: UserName::new("alice").expect("a name"), keys, in_exemption_group, tags }
        },
    )
}

fn request() -> impl Strategy<Value = Request> {
    let named = prop::option::of(prop::sample::select(vec!["A", "B", "GONE"]));
    (named, any::<bool>(), any::<bool>(), moment(), any::<bool>()).prop_map(
        |(named, disable_old_now, override_exemption, requested_at, redelivered)| Request {
            access_key_id: named.map(id),
            disable_old_now,
            override_exemption,
            requested_at,
            redelivered,
        },
    )
}

fn held<'a>(user: &'a User, key: &rotation::AccessKeyId) -> &'a Key {
    user.keys.iter().find(|held| held.id == *key).expect("a key of the user")
}

fn actions(verdict: Verdict) -> Vec<Action> {
    match verdict {
        Verdict::Act(plan) => plan.actions,
        Verdict::Exempt(_) | Verdict::SettleFirst | Verdict::Undecided(_) => Vec::new(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50_000))]

    #[test]
    fn the_order_in_which_iam_lists_keys_makes_no_difference(now in moment(), policy in policy(), user in user()) {
        let mut other = user.clone();
        other.keys.reverse();
        let (one, other) = (lifecycle::plan(now, &policy, &user), lifecycle::plan(now, &policy, &other));
        // Which of two unknowns is told first may differ; what is done may not.
        prop_assert_eq!(actions(one), actions(other));
    }

    #[test]
    fn no_key_is_disabled_without_a_notice_of_the_install_grace(now in today(), policy in policy(), user in user()) {
        for action in actions(lifecycle::plan(now, &policy, &user)) {
            let Action::Disable { key, .. } = action else { continue };
            let held = held(&user, &key);
            prop_assert_eq!(held.status, KeyStatus::Active);
            let Memory::Known(Remembered::Notified(at) | Remembered::Forced(at) | Remembered::Restored(at)) = held.memory
            else { return Err(TestCaseError::fail("never told")) };
            let grace = SignedDuration::from_hours(24 * i64::from(policy.install_grace()));
            prop_assert!(now.duration_since(at) >= grace);
        }
    }

    #[test]
    fn no_key_is_deleted_that_was_not_disabled_for_the_recovery_grace(now in today(), policy in policy(), user in user()) {
        for action in actions(lifecycle::plan(now, &policy, &user)) {
            let Action::Delete(deletable) = action else { continue };
            let held = held(&user, deletable.key());
            prop_assert_eq!(held.status, KeyStatus::Inactive);
            let Memory::Known(Remembered::Disabled(at)) = held.memory else {
                return Err(TestCaseError::fail("not on record"))
            };
            prop_assert_eq!(deletable.reason(), DeleteReason::RecoveryGraceOver { disabled: at });
            let grace = SignedDuration::from_hours(24 * i64::from(policy.recovery_grace()));
            prop_assert!(now.duration_since(at) >= grace);
        }
    }

    #[test]
    fn with_any_last_use_unknown_nothing_is_changed(now in moment(), policy in policy(), mut user in user_with(1), which: Index) {
        let which = which.index(user.keys.len());
        user.keys[which].last_use = LastUse::Unknown;
        for action in actions(lifecycle::plan(now, &policy, &user)) {
            prop_assert!(matches!(action, Action::Report(_)), "{:?}", action);
        }
    }

    #[test]
    fn a_request_with_a_last_use_unknown_only_contains(now in moment(), mut user in user_with(1), request in request(), which: Index) {
        let which = which.index(user.keys.len());
        user.keys[which].last_use = LastUse::Unknown;
        if let forced::Answer::Act(plan) = forced::plan(now, &Policy::default(), &user, &request) {
            for action in &plan.actions {
                prop_assert!(matches!(action, Action::Contain { .. }) && request.disable_old_now, "{:?}", action);
            }
        }
    }

    #[test]
    fn a_request_contains_at_most_one_key_first_and_only_if_asked(now in moment(), policy in policy(), user in user(), request in request()) {
        let forced::Answer::Act(plan) = forced::plan(now, &policy, &user, &request) else { return Ok(()) };
        let mut inactive: Vec<_> =
            user.keys.iter().filter(|key| key.status == KeyStatus::Inactive).map(|key| key.id.clone()).collect();
        for (n, action) in plan.actions.iter().enumerate() {
            match action {
                Action::Contain { key } => {
                    prop_assert!(request.disable_old_now && n == 0);
                    prop_assert!(request.access_key_id.as_ref().is_none_or(|named| named == key));
                    inactive.push(key.clone());
                }
                Action::Delete(deletable) => prop_assert!(inactive.contains(deletable.key()), "active: {:?}", plan),
                Action::Rotate { present, .. } => prop_assert!(present.len() < 2, "no third key"),
                Action::Notify { .. } | Action::Adopt { .. } | Action::Forget { .. } => {}
                Action::Disable { .. } | Action::Warn { .. } | Action::Postpone { .. } | Action::Report(_) => {
                    prop_assert!(false, "{:?}", plan);
                }
            }
        }
    }

    #[test]
    fn a_key_is_made_active_again_only_if_it_is_inactive(now in moment(), policy in policy(), user in user(), named in prop::option::of(prop::sample::select(vec!["A", "GONE"])), requested_at in moment()) {
        if let restore::Answer::Enable { key, .. } = restore::plan(now, &policy, &user, named.map(id).as_ref(), requested_at) {
            prop_assert_eq!(held(&user, &key).status, KeyStatus::Inactive);
            prop_assert!(named.is_none_or(|named| id(named) == key));
        }
    }

    #[test]
    fn a_user_keeps_a_key_unless_unused_ones_are_retired(now in today(), policy in policy(), user in user()) {
        let planned = actions(lifecycle::plan(now, &policy, &user));
        let active = |key: &&Key| key.status == KeyStatus::Active;
        let disabled = planned.iter().filter(|action| matches!(action, Action::Disable { .. })).count();
        if disabled > 0 && policy.unused_keys() == UnusedKeys::Rotate {
            prop_assert_eq!((user.keys.iter().filter(active).count(), disabled), (2, 1));
        }
    }
}
