//! Whatever comes from outside: no panic, and what is not understood is refused or a finding.

use proptest::prelude::*;
use rotation::names::{EXEMPT_UNTIL_TAG, INTENT_TAG_PREFIX, PROTECTED_TAG, ROTATE_AFTER_DAYS_TAG, STATE_TAG_PREFIX};
use rotation::user::UserTags;
use rotation::{AccessKeyId, AccountId, Action, Job, Policy, UserName, Verdict};

use crate::given::{day, key, scheduled, user};

/// A piece of a message: its own words, and anything.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec![
            "{", "}", "[", "]", ":", ",", "\"", "null", "true", "false", "0", "-1e9", "\\u0000", "\\ud800", " ",
            "\"account\"", "\"123456789012\"", "\"ForceRotate\"", "\"force_rotate\"", "\"access_key_id\"", "\"user\"",
            "\"restore\"", "\"alice\"", "\"AKIAIOSFODNN7EXAMPLE\"", "\"dryrun\"", "\"disable_old_now\"", "\"run_id\"",
        ]).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

/// A tag key of this tool, one nearly of this tool, or anything.
fn tag_key() -> impl Strategy<Value = String> {
    let ours = vec![STATE_TAG_PREFIX, INTENT_TAG_PREFIX, PROTECTED_TAG, EXEMPT_UNTIL_TAG, ROTATE_AFTER_DAYS_TAG];
    let rest = prop_oneof![
        Just(String::new()),
        Just("AKIAIOSFODNN7EXAMPLE".to_owned()),
        Just("6f1a4c62-2c0f-5a39-9a58-5b8f3a0d7c11".to_owned()),
        any::<String>(),
    ];
    prop_oneof![4 => (prop::sample::select(ours), rest).prop_map(|(tag, rest)| format!("{tag}{rest}")), 1 => any::<String>()]
}

fn tag_value() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec!["", "notified=", "forced=", "disabled=", "restored=", "x="]);
    let time = prop_oneof![
        "[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2}))?",
        "-?[0-9]{1,12}",
        Just("-009999-01-01".to_owned()),
        Just("9999-12-31".to_owned()),
        Just("9999-12-30T22:00:00.999999999Z".to_owned()),
        any::<String>(),
    ];
    let after = prop::sample::select(vec!["", " for=AKIAIOSFODNN7EXAMPLE", " for=", " "]);
    (word, time, after).prop_map(|(word, time, after)| format!("{word}{time}{after}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn a_message_of_any_text_is_read_or_refused_in_one_short_line(pieces in prop::collection::vec(piece(), 0..24)) {
        let body: String = pieces.concat();
        match Job::parse(&body) {
            Ok(job) => prop_assert_eq!(Job::parse(&job.to_body()), Ok(job)),
            Err(error) => prop_assert!(error.to_string().chars().count() < 500 && !error.to_string().contains('\n')),
        }
    }

    #[test]
    fn names_of_any_text_are_taken_unchanged_or_refused(text: String) {
        if let Ok(name) = UserName::new(text.clone()) {
            prop_assert_eq!(name.as_str(), &text);
        }
        prop_assert_eq!(AccountId::new(text.clone()).is_ok(), text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()));
        if let Err(error) = AccessKeyId::new(text) {
            prop_assert!(error.to_string().chars().count() < 250);
        }
    }

    #[test]
    fn tags_of_any_text_never_panic_and_one_that_is_not_understood_stops_everything(
        tags in prop::collection::vec((tag_key(), tag_value()), 0..5), now in -4_370_000i64..2_900_000,
    ) {
        let mut user = user([key("A", 0)]);
        user.tags = UserTags::from_pairs(&tags);
        user.keys[0].state = user.tags.state_of(&user.keys[0].id);
        let verdict = scheduled(day(now), &Policy::default(), &user);
        if !user.tags.unreadable.is_empty() {
            match verdict {
                Verdict::Exempt(_) => {}
                Verdict::Act(plan) => {
                    let changes_nothing = |action: &Action| matches!(action, Action::ReportFinding(_) | Action::Announce { .. });
                    prop_assert!(plan.actions.iter().all(changes_nothing));
                }
                Verdict::SettleFirst | Verdict::Undecided(_) | Verdict::Refused(_) => prop_assert!(false, "{:?}", verdict),
            }
        }
    }
}
