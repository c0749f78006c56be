//! One look at any user, on any day, by any policy: what must hold whatever has happened before.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::sample::Index;
use rotation::plan::DeleteReason;
use rotation::user::UserTags;
use rotation::{
    Action, ForceRotateRequest, Key, KeyState, KeyStateKind, KeyStatus, LastUse, Period, Policy, Published, Request,
    RequestOrigin, RestoreRequest, UnusedKeys, User, UserName, Verdict, decide,
};

use uuid::Uuid;

use crate::given::{day, id, scheduled};

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

fn state() -> impl Strategy<Value = KeyState> {
    let kinds = [KeyStateKind::Notified, KeyStateKind::Forced, KeyStateKind::Disabled, KeyStateKind::Restored].to_vec();
    let request = prop::option::weighted(0.3, prop::sample::select(vec![Uuid::from_u128(1), Uuid::from_u128(2)]));
    let successor = prop::option::weighted(0.1, prop::sample::select(vec!["A", "B", "GONE"]));
    let restoring = prop::option::weighted(0.1, prop::sample::select(vec![Uuid::from_u128(1), Uuid::from_u128(3)]));
    let told = prop_oneof![8 => Just((true, false)), 1 => Just((false, false)), 1 => Just((false, true))];
    let words = (restoring, prop::option::weighted(0.1, moment()), told);
    let state = (prop::sample::select(kinds), moment(), prop::option::of(moment()), request, successor, words);
    state.prop_map(|(kind, at, until, request, successor, (restoring, requested_at, (told, void)))| KeyState {
        kind,
        at,
        until,
        request,
        successor: successor.map(id),
        restoring,
        requested_at,
        told,
        void,
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
    let key = (status, moment(), last_use(), published, prop::option::weighted(0.8, state()));
    prop::collection::vec(key, at_least..=3).prop_map(|keys| {
        let named = keys.into_iter().zip(["A", "B", "C"]);
        named
            .map(|((status, created, last_use, published, state), name)| Key {
                id: id(name),
                status,
                created,
                last_use,
                published,
                state,
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
    let gone = prop::option::weighted(0.2, state());
    let exempt_until = prop::option::weighted(0.1, moment());
    (keys(at_least), override_tag, gone, exempt_until, prop::bool::weighted(0.05)).prop_map(
        |(keys, rotate_after_days, gone, exempt_until, in_exemption_group)| {
            let mut tags = UserTags {
                states: keys.iter().filter_map(|key| Some((key.id.clone(), key.state.clone()?))).collect(),
                exempt_until,
                rotate_after_days: rotate_after_days.map(str::to_owned),
                ..UserTags::default()
            };
            tags.states.extend(gone.map(|state| (id("GONE"), state)));
            User { name: UserName::new("alice").expect("a name"), keys, in_exemption_group, tags }
        },
    )
}

fn request() -> impl Strategy<Value = ForceRotateRequest> {
    let named = prop::option::of(prop::sample::select(vec!["A", "B", "GONE"]));
    (named, any::<bool>(), any::<bool>(), moment(), any::<bool>()).prop_map(
        |(named, disable_old_now, override_exemption, requested_at, redelivered)| ForceRotateRequest {
            access_key_id: named.map(id),
            disable_old_now,
            override_exemption,
            own_key: None,
            origin: RequestOrigin { id: Uuid::from_u128(1), requested_at, redelivered },
        },
    )
}

fn forced(now: Timestamp, policy: &Policy, user: &User, request: &ForceRotateRequest) -> Verdict {
    decide(now, policy, user, &Request::ForceRotate(request.clone()))
}

fn held<'a>(user: &'a User, key: &rotation::AccessKeyId) -> &'a Key {
    user.keys.iter().find(|held| held.id == *key).expect("a key of the user")
}

fn actions(verdict: Verdict) -> Vec<Action> {
    match verdict {
        Verdict::Act(plan) => plan.actions,
        Verdict::Exempt(_) | Verdict::SettleFirst | Verdict::Undecided(_) | Verdict::Refused(_) => Vec::new(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50_000))]

    #[test]
    fn the_order_in_which_iam_lists_keys_makes_no_difference(now in moment(), policy in policy(), user in user()) {
        let mut other = user.clone();
        other.keys.reverse();
        let (one, other) = (scheduled(now, &policy, &user), scheduled(now, &policy, &other));
        // Which of two unknowns is told first may differ; what is done may not.
        prop_assert_eq!(actions(one), actions(other));
    }

    #[test]
    fn no_key_is_disabled_without_a_notice_of_the_install_grace(now in today(), policy in policy(), user in user()) {
        for action in actions(scheduled(now, &policy, &user)) {
            let Action::Disable { key, .. } = action else { continue };
            let held = held(&user, &key);
            prop_assert_eq!(held.status, KeyStatus::Active);
            let Some(notice) = held.state.as_ref().filter(|state| state.told && state.kind != KeyStateKind::Disabled) else {
                return Err(TestCaseError::fail("never told"))
            };
            let grace = SignedDuration::from_hours(24 * i64::from(policy.install_grace()));
            prop_assert!(now.duration_since(notice.at) >= grace && notice.until.is_none_or(|until| now >= until));
        }
    }

    #[test]
    fn no_key_is_deleted_that_was_not_disabled_for_the_recovery_grace(now in today(), policy in policy(), user in user()) {
        for action in actions(scheduled(now, &policy, &user)) {
            let Action::Delete(deletable) = action else { continue };
            let held = held(&user, deletable.key());
            prop_assert_eq!(held.status, KeyStatus::Inactive);
            let Some(KeyState { kind: KeyStateKind::Disabled, at, until, told: true, .. }) = held.state else {
                return Err(TestCaseError::fail("not on record, or not told"))
            };
            prop_assert!(until.is_none_or(|until| now >= until));
            prop_assert_eq!(deletable.reason(), DeleteReason::RecoveryGraceOver { disabled: at });
            let grace = SignedDuration::from_hours(24 * i64::from(policy.recovery_grace()));
            prop_assert!(now.duration_since(at) >= grace);
        }
    }

    #[test]
    fn with_any_last_use_unknown_nothing_is_changed(now in moment(), policy in policy(), mut user in user_with(1), which: Index) {
        let which = which.index(user.keys.len());
        user.keys[which].last_use = LastUse::Unknown;
        for action in actions(scheduled(now, &policy, &user)) {
            let changes_no_key = matches!(action, Action::ReportFinding(_) | Action::Announce { .. } | Action::Forget { .. });
            let makes_void = matches!(&action, Action::Record { state, .. } if state.void);
            prop_assert!(changes_no_key || makes_void, "{:?}", action);
        }
    }

    #[test]
    fn a_request_with_a_last_use_unknown_only_contains(now in moment(), mut user in user_with(1), request in request(), which: Index) {
        let which = which.index(user.keys.len());
        user.keys[which].last_use = LastUse::Unknown;
        for action in actions(forced(now, &Policy::default(), &user, &request)) {
            let keeps_inactive = matches!(&action, Action::Record { key, state } if state.restoring.is_none()
                && held(&user, key).status == KeyStatus::Inactive);
            prop_assert!((matches!(action, Action::Contain { .. }) || keeps_inactive) && request.disable_old_now, "{:?}", action);
        }
    }

    #[test]
    fn a_request_that_names_no_key_contains_none_that_is_newer_than_it_but_the_one_on_record(now in moment(), policy in policy(), user in user(), request in request()) {
        for action in actions(forced(now, &policy, &user, &request)) {
            let Action::Contain { key, .. } = action else { continue };
            let key = held(&user, &key);
            let on_record = key.state.as_ref().is_some_and(|state| state.request == Some(request.origin.id));
            let older = key.created.as_second() < request.origin.requested_at.as_second();
            prop_assert!(on_record || older || request.access_key_id.as_ref() == Some(&key.id), "{:?}", key);
        }
    }

    #[test]
    fn no_key_that_was_disabled_after_a_restore_was_asked_for_is_made_active(now in moment(), policy in policy(), user in user(), requested_at in moment()) {
        let origin = RequestOrigin { id: Uuid::from_u128(1), requested_at, redelivered: true };
        let request = Request::Restore(RestoreRequest { access_key_id: None, origin });
        for action in actions(decide(now, &policy, &user, &request)) {
            let Action::Restore { key, .. } = action else { continue };
            let key = held(&user, &key);
            let since = key.state.as_ref().is_some_and(|state| {
                state.kind == KeyStateKind::Disabled
                    && state.request != Some(Uuid::from_u128(1))
                    && state.restoring.is_none()
                    && state.at.as_second() > requested_at.as_second()
            });
            prop_assert!(key.status == KeyStatus::Active || !since, "{:?}", key);
        }
    }

    #[test]
    fn a_request_contains_at_most_one_key_first_and_only_if_asked(now in moment(), policy in policy(), user in user(), request in request()) {
        let Verdict::Act(plan) = forced(now, &policy, &user, &request) else { return Ok(()) };
        let mut inactive: Vec<_> =
            user.keys.iter().filter(|key| key.status == KeyStatus::Inactive).map(|key| key.id.clone()).collect();
        for (n, action) in plan.actions.iter().enumerate() {
            match action {
                Action::Contain { key, .. } => {
                    prop_assert!(request.disable_old_now && n == 0);
                    prop_assert!(request.access_key_id.as_ref().is_none_or(|named| named == key));
                    inactive.push(key.clone());
                }
                Action::Delete(deletable) => prop_assert!(inactive.contains(deletable.key()), "active: {:?}", plan),
                Action::Rotate { present, .. } => prop_assert!(present.len() < 2, "no third key"),
                Action::RecordDeletion { key } => {
                    prop_assert!(inactive.contains(key) && plan.rest_after.is_some(), "{:?}", plan);
                }
                Action::Notify { .. } | Action::Record { .. } | Action::Announce { .. } => {}
                Action::Disable { .. }
                | Action::Adopt { .. }
                | Action::Forget { .. }
                | Action::ForgetDeletion { .. }
                | Action::Restore { .. }
                | Action::Warn { .. }
                | Action::Postpone { .. }
                | Action::ReportFinding(_) => prop_assert!(false, "{:?}", plan),
            }
        }
    }

    #[test]
    fn a_restore_makes_one_key_active_which_is_on_record_as_disabled_before(now in moment(), policy in policy(), user in user(), named in prop::option::of(prop::sample::select(vec!["A", "GONE"])), requested_at in moment()) {
        let origin = RequestOrigin { id: Uuid::from_u128(1), requested_at, redelivered: false };
        let request = Request::Restore(RestoreRequest { access_key_id: named.map(id), origin });
        let planned = actions(decide(now, &policy, &user, &request));
        for (n, action) in planned.iter().enumerate() {
            let (Action::Record { key, .. } | Action::Restore { key, .. }) = action else {
                return Err(TestCaseError::fail(format!("{planned:?}")))
            };
            prop_assert!(named.is_none_or(|named| id(named) == *key));
            let on_record = held(&user, key).state.as_ref().is_some_and(|state| {
                matches!(state.kind, KeyStateKind::Disabled | KeyStateKind::Restored)
            });
            prop_assert!(on_record || matches!(planned[0], Action::Record { .. }), "on record before it is active");
            prop_assert!(n == 0 || matches!(action, Action::Restore { .. }), "{:?}", planned);
        }
    }

    #[test]
    fn a_user_keeps_a_key_unless_unused_ones_are_retired(now in today(), policy in policy(), user in user()) {
        let planned = actions(scheduled(now, &policy, &user));
        let active = |key: &&Key| key.status == KeyStatus::Active;
        let disabled = planned.iter().filter(|action| matches!(action, Action::Disable { .. })).count();
        if disabled > 0 && policy.unused_keys() == UnusedKeys::Rotate {
            prop_assert_eq!((user.keys.iter().filter(active).count(), disabled), (2, 1));
        }
    }
}
