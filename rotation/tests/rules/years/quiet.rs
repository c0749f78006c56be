//! Years in which nobody interferes and everything works: the day-by-day story that owners are told.

use proptest::prelude::*;
use rotation::{Action, Policy, UnusedKeys, Upcoming};

use super::model::Conditions;
use super::{Habit, Player, longest_life};
use crate::given::day;
use crate::properties::policy;

/// What is done on a day, in a few words.
fn told(action: &Action) -> String {
    let short =
        |key: &rotation::AccessKeyId| key.as_str().trim_start_matches("AKIA").trim_start_matches('0').to_owned();
    match action {
        Action::Rotate { old, .. } => format!("rotate {}", short(old)),
        Action::Notify { key, .. } => format!("notify {}", short(key)),
        Action::Disable { key, .. } => format!("disable {}", short(key)),
        Action::Contain { key, .. } => format!("contain {}", short(key)),
        Action::Delete(deletable) => format!("delete {}", short(deletable.key())),
        Action::Adopt { key, .. } => format!("adopt {}", short(key)),
        Action::Record { key, .. } => format!("record {}", short(key)),
        Action::Announce { key, .. } => format!("announce {}", short(key)),
        Action::Restore { key, .. } => format!("restore {}", short(key)),
        Action::Forget { key } => format!("forget {}", short(key)),
        Action::RecordDeletion { key } => format!("announce the deletion of {}", short(key)),
        Action::ForgetDeletion { key } => format!("forget the deletion of {}", short(key)),
        Action::Warn { key, upcoming, due } => {
            let what = match upcoming {
                Upcoming::Rotate => "rotated",
                Upcoming::RotateAfterDeletion { .. } => "rotated after a deletion",
                Upcoming::SuccessorCounts { .. } => "succeeded",
                Upcoming::Disable => "disabled",
                Upcoming::Delete { .. } => "deleted",
            };
            format!("warn {}: {what} on {}", short(key), due.duration_since(day(0)).as_hours() / 24)
        }
        Action::Postpone { key, .. } => format!("postpone {}", short(key)),
        Action::ReportFinding(finding) => finding.to_string(),
    }
}

/// Runs daily at exactly the hour the key was made, and tells what is done from day to day; equal days together.
fn story(policy: Policy, habit: Habit, days: i64) -> Vec<String> {
    let mut player = Player::new(policy, &[0], 0);
    player.habit = habit;
    let mut story: Vec<(i64, i64, String)> = Vec::new();
    for n in 0..=days {
        player.model.now = day(n);
        player.live();
        for action in player.model.run(Conditions::FINE) {
            let text = told(&action);
            match story.iter_mut().find(|(_, last, told)| *told == text && *last == n - 1) {
                Some((_, last, _)) => *last = n,
                None => story.push((n, n, text)),
            }
        }
    }
    story.into_iter().map(|(first, last, text)| format!("{first}-{last} {text}")).collect()
}

#[test]
fn by_default_a_key_nobody_touches_is_rotated_on_day_90_disabled_on_100_deleted_on_110_with_warnings_before_each() {
    let expected = [
        "83-89 warn K1: rotated on 90",
        "90-90 rotate K1",
        "93-99 warn K1: disabled on 100",
        "100-100 disable K1",
        "103-109 warn K1: deleted on 110",
        "110-110 delete K1",
        "173-179 warn K2: rotated on 180",
        "180-180 rotate K2",
        "183-189 warn K2: disabled on 190",
        "190-190 disable K2",
        "193-199 warn K2: deleted on 200",
        "200-200 delete K2",
        "263-269 warn K3: rotated on 270",
        "270-270 rotate K3",
    ];
    for habit in [Habit::Idle, Habit::Newest, Habit::Oldest] {
        assert_eq!(story(Policy::default(), habit, 270), expected, "{habit:?}");
    }
}

#[test]
fn with_an_extension_a_key_still_in_use_is_put_off_day_by_day_and_then_goes() {
    let story = story(crate::given::extending(5), Habit::Oldest, 116);
    assert!(story.contains(&"100-104 postpone K1".to_owned()), "{story:?}");
    assert!(story.contains(&"105-105 disable K1".to_owned()), "{story:?}");
    assert!(story.contains(&"115-115 delete K1".to_owned()), "{story:?}");
}

#[test]
fn where_unused_keys_are_retired_a_key_never_used_gets_no_successor() {
    let expected = [
        "83-89 warn K1: rotated on 90",
        "90-90 notify K1",
        "93-99 warn K1: disabled on 100",
        "100-100 disable K1",
        "103-109 warn K1: deleted on 110",
        "110-110 delete K1",
    ];
    assert_eq!(story(crate::given::retiring(), Habit::Idle, 400), expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn every_key_is_in_time_rotated_and_every_replaced_key_gone(
        policy in policy(), ages in prop::collection::vec(0i64..300, 1..=2), habit in prop::sample::select(vec![Habit::Idle, Habit::Oldest, Habit::Newest]),
    ) {
        let mut player = Player::new(policy, &ages, 0);
        // The first key is somebody's: it has been used.
        player.model.sign(0);
        player.habit = habit;
        let longest = longest_life(&policy);
        let mut rotated = 0;
        for n in 0..2 * longest {
            let actions = player.day(n, &[], Conditions::FINE);
            rotated += actions.iter().filter(|action| matches!(action, Action::Rotate { .. })).count();
            let found = actions.iter().any(|action| matches!(action, Action::ReportFinding(_)));
            for key in player.model.keys.iter().filter(|_| n >= longest) {
                let age = player.model.now.duration_since(key.created).as_hours() / 24;
                prop_assert!(age <= longest || found, "{} is {age} days old on day {n}: {:?}", key.id, player.model);
            }
        }
        let retired = policy.unused_keys() == UnusedKeys::Retire && player.model.keys.is_empty();
        let stuck = player.model.keys.len() == 2 && ages.len() == 2;
        prop_assert!(rotated > 0 || retired || stuck, "{:?}", player.model);
    }
}
