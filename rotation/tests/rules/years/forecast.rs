//! The forecast, held against the model: what it says for each day is what is done on that day.

use proptest::prelude::*;
use rotation::{Action, ForecastKind, Policy, Unforeseeable, forecast};

use super::Player;
use super::model::Conditions;
use crate::given::{Described, day, id, key, tagged, user};
use crate::properties::policy;

fn kind(action: &Action) -> Option<ForecastKind> {
    match action {
        Action::Rotate { .. } => Some(ForecastKind::Replace),
        Action::Notify { .. } => Some(ForecastKind::Notify),
        Action::Disable { .. } => Some(ForecastKind::Disable),
        Action::Adopt { .. } => Some(ForecastKind::Adopt),
        Action::Delete(_) => Some(ForecastKind::Delete),
        Action::Contain { .. }
        | Action::Announce { .. }
        | Action::Record { .. }
        | Action::Restore { .. }
        | Action::Forget { .. }
        | Action::RecordDeletion { .. }
        | Action::ForgetDeletion { .. }
        | Action::Warn { .. }
        | Action::Postpone { .. }
        | Action::ReportFinding(_) => None,
    }
}

fn steps(policy: &Policy, user: &rotation::User, days: u32) -> Vec<(u32, ForecastKind)> {
    forecast(day(0), days, policy, user).steps.into_iter().map(|step| (step.day, step.kind)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_is_forecast_for_a_day_is_what_is_done_on_that_day(
        policy in policy(), ages in prop::collection::vec(1i64..300, 1..=2), in_use in any::<bool>(),
    ) {
        const DAYS: u32 = 200;
        let mut model = Player::new(policy, &ages, 0).model;
        model.now = day(0);
        let first = model.keys[0].id.clone();
        let mut done = Vec::new();
        let mut forecast_of_today = None;
        for n in 0..DAYS {
            model.now = day(i64::from(n));
            if let Some(place) = model.keys.iter().position(|key| key.id == first).filter(|_| in_use) {
                model.sign(place);
            }
            let seen = model.seen(Conditions::FINE);
            forecast_of_today.get_or_insert_with(|| steps(&policy, &seen, DAYS));
            done.extend(model.run(Conditions::FINE).iter().filter_map(kind).map(|kind| (n, kind)));
        }
        prop_assert_eq!(forecast_of_today.unwrap_or_default(), done);
    }
}

#[test]
fn by_default_a_key_is_replaced_on_day_90_disabled_on_100_and_deleted_on_110() {
    let steps = steps(&Policy::default(), &user([key("OLD", -60)]), 60);
    assert_eq!(steps, [(30, ForecastKind::Replace), (40, ForecastKind::Disable), (50, ForecastKind::Delete)]);
}

#[test]
fn what_must_be_known_first_ends_a_forecast_on_the_day_it_is_needed() {
    let unknown = user([key("OLD", -60).use_unknown()]);
    let told = forecast(day(0), 60, &Policy::default(), &unknown);
    assert!(told.steps.is_empty());
    let Some((day_of_warning, Unforeseeable::Missing(fact))) = told.unforeseeable else { panic!("{told:?}") };
    assert_eq!((day_of_warning, fact.access_key_id()), (23, &id("OLD")));
    let unsettled = tagged(
        user([key("OLD", -60)]),
        "key-rotation:intent:7d444840-9dc0-11d1-b245-5ffdce74fad2",
        "2026-01-01T09:00:00Z",
    );
    assert_eq!(forecast(day(0), 60, &Policy::default(), &unsettled).unforeseeable, Some((0, Unforeseeable::Unsettled)));
}

#[test]
fn an_exemption_that_ends_meanwhile_is_foreseen() {
    let exempt = tagged(user([key("OLD", -95)]), "key-rotation:exempt-until", "2026-01-10");
    let steps = steps(&Policy::default(), &exempt, 30);
    assert_eq!(steps.first(), Some(&(10, ForecastKind::Replace)), "{steps:?}");
}

#[test]
fn a_finding_is_told_once_with_its_first_day() {
    let bad = tagged(user([key("OLD", -60)]), "key-rotation:rotate-after-days", "soon");
    let told = forecast(day(0), 60, &Policy::default(), &bad);
    assert_eq!(told.findings.len(), 1, "{told:?}");
    assert_eq!(told.findings[0].0, 0);
}
