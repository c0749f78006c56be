//! Whom to look at: nobody who needs something is passed over, whatever has happened in the account and however old the credential
//! report is; but for a key that was switched off and on again by hand, which has to wait for its user's turn.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use rotation::selection::{FullScan, KeyInReport, LookReason, reason_by_report, reason_without_report};
use rotation::user::UserTags;
use rotation::{AccountId, Key, KeyStatus, LastUse, Period, Policy, Published, UnusedKeys, User, UserName, Verdict};

use crate::given::{day, id, key, scheduled, tagged, user};

const FORTNIGHT: u32 = 14;

fn account() -> AccountId {
    AccountId::new("111122223333").expect("an account id")
}

/// Why the user is looked at, where the report shows these keys of it.
fn reason(now: Timestamp, full_scan: FullScan, user: &User, row: Option<&[KeyInReport]>) -> Option<LookReason> {
    let listed = User { keys: Vec::new(), ..user.clone() };
    reason_without_report(now, now, full_scan, &account(), &listed)
        .or_else(|| reason_by_report(now, &Policy::default(), row))
}

/// A day in the next fortnight that is not the user's turn.
fn no_turn(user: &User) -> i64 {
    let is_no_turn = |n: &i64| {
        let listed = User { keys: Vec::new(), tags: UserTags::default(), ..user.clone() };
        reason_without_report(day(*n), day(*n), FullScan::new(FORTNIGHT, 1), &account(), &listed).is_none()
    };
    (0..i64::from(FORTNIGHT)).find(is_no_turn).expect("it has one turn in fourteen days")
}

#[test]
fn a_user_is_passed_over_with_young_active_keys_and_nothing_recorded() {
    let alice = user([key("A", 0)]);
    let today = no_turn(&alice);
    let look = |user: &User, row: Option<&[KeyInReport]>| reason(day(today), FullScan::new(FORTNIGHT, 1), user, row);
    let made = |n: i64, active| KeyInReport { active, last_rotated: Some(day(n)) };
    assert_eq!(look(&alice, Some(&[made(today - 82, true)])), None);
    assert_eq!(look(&alice, Some(&[made(today - 82, true), made(today - 1, true)])), None);
    assert_eq!(look(&alice, Some(&[])), None, "nobody acts on a user without keys");
    // The owner is warned seven days before the ninety are over.
    assert_eq!(look(&alice, Some(&[made(today - 83, true)])), Some(LookReason::MayBeDue));
    assert_eq!(look(&alice, Some(&[made(today - 1, true), made(today - 90, true)])), Some(LookReason::MayBeDue));
    assert_eq!(look(&alice, Some(&[made(today - 1, false)])), Some(LookReason::InactiveKey));
    assert_eq!(look(&alice, Some(&[KeyInReport { active: false, last_rotated: None }])), Some(LookReason::InactiveKey));
    assert_eq!(look(&alice, Some(&[KeyInReport { active: true, last_rotated: None }])), Some(LookReason::NotReported));
    assert_eq!(look(&alice, None), Some(LookReason::NotReported));
}

#[test]
fn a_user_with_a_tag_that_a_rule_reads_is_looked_at_and_a_reminder_is_no_such_tag() {
    let alice = user([key("A", 0)]);
    let today = no_turn(&alice);
    let row = [KeyInReport { active: true, last_rotated: Some(day(today - 5)) }];
    let look = |tag: &str, value: &str| {
        let user = tagged(alice.clone(), tag, value);
        reason(day(today), FullScan::new(FORTNIGHT, 1), &user, Some(&row))
    };
    for (tag, value) in [
        ("key-rotation:state:AKIA000000000000000A", "notified 2026-01-01T10:00:00Z"),
        ("key-rotation:state:AKIA000000000000000A", "unreadable"),
        ("key-rotation:intent:6f1a4c62-2c0f-5a39-9a58-5b8f3a0d7c11", "unreadable"),
        ("key-rotation:rotate-after-days", "30"),
        ("Key-Rotation:Exempt-Until", "2020-01-01"),
    ] {
        assert_eq!(look(tag, value), Some(LookReason::Tagged), "{tag}");
    }
    assert_eq!(look("key-rotation:protected", ""), Some(LookReason::Exempt));
    assert_eq!(look("key-rotation:reminded", "2026-01-01T10:00:00Z"), None);
    assert_eq!(look("department", "key-rotation:state:"), None);
}

#[test]
fn turns_spread_evenly_over_the_days_and_the_accounts() {
    let full_scan = FullScan::new(FORTNIGHT, 1);
    let turns = |n: i64, account: &AccountId| {
        let has_turn = |number: &i32| {
            let name = UserName::new(format!("user-{number}")).expect("a name");
            let user = User { name, ..user([]) };
            reason_without_report(day(n), day(n), full_scan, account, &user) == Some(LookReason::FullScan)
        };
        (0..1_400).filter(has_turn).count()
    };
    let counts: Vec<usize> = (0..14).map(|n| turns(n, &account())).collect();
    assert_eq!(counts.iter().sum::<usize>(), 1_400, "each has one turn");
    assert!(counts.iter().all(|count| (60..=140).contains(count)), "{counts:?}");
    let of_ci = (0..1_400).filter(|number| {
        let account = AccountId::new(format!("{:012}", 100_000 + number)).expect("an account id");
        let ci = User { name: UserName::new("ci").expect("a name"), ..user([]) };
        reason_without_report(day(0), day(0), full_scan, &account, &ci).is_some()
    });
    assert!((60..=140).contains(&of_ci.count()), "users of one name in many accounts");
}

/// What people do, and when: hours since day 0.
#[derive(Debug, Clone, Copy)]
enum Event {
    MakeKey,
    DeleteKey(usize),
    /// Off if it is on, and on if it is off.
    Toggle(usize),
    /// The user and the next one rename themselves to each other's name.
    SwapNames,
    Exempt(i64),
    Shorten,
    ClearTags,
}

#[derive(Debug, Clone)]
struct Person {
    name: usize,
    created: Timestamp,
    keys: Vec<(Key, Timestamp)>,
    toggled: bool,
    tags: Vec<(&'static str, String)>,
}

impl Person {
    fn user(&self) -> User {
        let tags = UserTags::read(self.tags.iter().map(|(key, value)| (*key, value.as_str())));
        User { tags, ..user(self.keys.iter().map(|(key, _)| key.clone())) }.named(self.name)
    }

    /// Its row: an inactive key has its date, or (as documented) is not there.
    fn row(&self, inactive_keys_show: bool) -> Vec<KeyInReport> {
        let shown = self.keys.iter().map(|(key, changed)| KeyInReport {
            active: key.status == KeyStatus::Active,
            last_rotated: Some(*changed),
        });
        shown.filter(|key| key.active || inactive_keys_show).collect()
    }
}

trait Named {
    fn named(self, name: usize) -> Self;
}

impl Named for User {
    fn named(self, name: usize) -> Self {
        User { name: UserName::new(format!("user-{name}")).expect("a name"), ..self }
    }
}

const PEOPLE: usize = 3;

/// The account after all that happened up to a moment.
fn replay(events: &[(i64, usize, Event)], until: Timestamp) -> Vec<Person> {
    let person = |n| {
        let created = day(0) + SignedDuration::from_hours(n as i64);
        Person { name: n, created, keys: Vec::new(), toggled: false, tags: Vec::new() }
    };
    let mut people: Vec<Person> = (0..PEOPLE).map(person).collect();
    for (number, (hour, who, event)) in events.iter().enumerate() {
        let at = day(0) + SignedDuration::from_hours(*hour);
        if at > until {
            break;
        }
        let held = people[*who].keys.len();
        match *event {
            Event::MakeKey if held < 2 => {
                let made = Key { created: at, ..key(&format!("K{number}"), 0) };
                let made = Key {
                    last_use: LastUse::Unknown,
                    published: Published::Unknown,
                    id: id(&format!("K{number}")),
                    ..made
                };
                people[*who].keys.push((made, at));
            }
            Event::DeleteKey(n) if n < held => drop(people[*who].keys.remove(n)),
            Event::Toggle(n) if n < held => {
                let (key, changed) = &mut people[*who].keys[n];
                key.status = match key.status {
                    KeyStatus::Active => KeyStatus::Inactive,
                    KeyStatus::Inactive => KeyStatus::Active,
                };
                *changed = at;
                people[*who].toggled = true;
            }
            Event::MakeKey | Event::DeleteKey(_) | Event::Toggle(_) => {}
            Event::SwapNames => {
                let next = (*who + 1) % PEOPLE;
                let name = people[*who].name;
                people[*who].name = people[next].name;
                people[next].name = name;
            }
            Event::Exempt(days) => {
                let until = at + SignedDuration::from_hours(24 * days);
                people[*who].tags = vec![("key-rotation:exempt-until", until.to_string())];
            }
            Event::Shorten => people[*who].tags = vec![("key-rotation:rotate-after-days", "2".to_owned())],
            Event::ClearTags => people[*who].tags.clear(),
        }
    }
    people
}

/// Half of it within the last day, when the report may not show it yet.
fn events() -> impl Strategy<Value = Vec<(i64, usize, Event)>> {
    let event = prop_oneof![
        6 => Just(Event::MakeKey),
        2 => (0usize..2).prop_map(Event::DeleteKey),
        2 => (0usize..2).prop_map(Event::Toggle),
        2 => Just(Event::SwapNames),
        1 => (1i64..60).prop_map(Event::Exempt),
        1 => Just(Event::Shorten),
        1 => Just(Event::ClearTags),
    ];
    let hour = prop_oneof![0i64..HOURS, HOURS - 24..HOURS];
    prop::collection::vec((hour, 0..PEOPLE, event), 0..24).prop_map(|mut events| {
        events.sort_by_key(|(hour, ..)| *hour);
        events
    })
}

/// A hundred days.
const HOURS: i64 = 2_400;

fn policy() -> impl Strategy<Value = Policy> {
    let unused = prop::sample::select(vec![UnusedKeys::Rotate, UnusedKeys::Retire]);
    ((1u32..100, 1u32..20, 0u32..30), unused).prop_map(|((rotation, grace, warn), unused)| {
        let period = Period {
            rotation,
            inactive: rotation + grace,
            pending_action_warn: warn.min(rotation - 1),
            ..Period::default()
        };
        Policy::new(period, unused).expect("valid")
    })
}

/// Whether a look would lead to anything: a call more, an action, a word.
fn needs_something(now: Timestamp, policy: &Policy, user: &User) -> bool {
    match scheduled(now, policy, user) {
        Verdict::Act(plan) => !plan.actions.is_empty(),
        Verdict::Exempt(_) => false,
        Verdict::SettleFirst | Verdict::Undecided(_) | Verdict::Refused(_) => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn nobody_who_needs_something_is_passed_over_and_a_switched_key_waits_for_its_turn_at_most(
        events in events(),
        policy in policy(),
        report_age_minutes in 0i64..=240,
        inactive_keys_show in any::<bool>(),
    ) {
        let full_scan = FullScan::new(FORTNIGHT, 1);
        let mut turns = [0; PEOPLE];
        for run in 0..i64::from(FORTNIGHT) {
            let now = day(0) + SignedDuration::from_hours(HOURS + 24 * run);
            let reported = replay(&events, now - SignedDuration::from_mins(report_age_minutes));
            for (number, person) in replay(&events, now).iter().enumerate() {
                let live = person.user();
                let listed = User { keys: Vec::new(), ..live.clone() };
                // A row is the user's where name and creation time are.
                let row = reported.iter().find(|row| row.name == person.name && row.created == person.created);
                let row = row.map(|row| row.row(inactive_keys_show));
                let anyhow = reason_without_report(now, now, full_scan, &account(), &listed);
                let looked_at = anyhow.or_else(|| reason_by_report(now, &policy, row.as_deref()));
                if needs_something(now, &policy, &live) {
                    prop_assert!(looked_at.is_some() || person.toggled, "{person:?} is passed over");
                }
                let untagged = User { tags: UserTags::default(), ..listed };
                let turn = reason_without_report(now, now, full_scan, &account(), &untagged);
                turns[number] += usize::from(turn == Some(LookReason::FullScan));
            }
        }
        prop_assert_eq!(turns, [1; PEOPLE], "in fourteen days everybody has one turn");
    }
}

#[test]
fn every_run_looks_at_everybody_where_that_is_set_and_a_weekly_run_at_the_turns_of_a_week() {
    let alice = user([key("A", 0)]);
    let row: &[KeyInReport] = &[];
    for every_run in [FullScan::EVERY_RUN, FullScan::new(7, 7)] {
        assert!((0..30).all(|n| reason(day(n), every_run, &alice, Some(row)) == Some(LookReason::FullScan)));
    }
    let weekly = |first: i64| {
        let is_looked_at =
            |week: &i64| reason(day(first + 7 * week), FullScan::new(14, 7), &alice, Some(row)).is_some();
        (0..10).filter(is_looked_at).count()
    };
    assert!((0..14).all(|first| weekly(first) == 5), "on every other of ten weekly runs");
}
