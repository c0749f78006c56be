//! The lifecycle end to end: days pass, scheduled runs happen, keys, secrets and mails are looked at.

use end_to_end::scenario::remember;
use end_to_end::{ACCOUNT, OWNER, Stage, USER};
use rotation::{Task, UserName};
use sandbox::KeySpec;
use sandbox::call::Service;
use sandbox::faults::{Calls, Fault, Rule};
use sandbox::journal::Effect;

#[tokio::test]
async fn a_key_nobody_touches_is_rotated_on_day_90_disabled_on_100_deleted_on_110_with_a_warning_before_each() {
    let stage = Stage::new().await;
    let old = stage.user(&[KeySpec::aged(0)]).remove(0);
    let mut story = Vec::new();
    let mut before = stage.keys();
    for day in 0..=115 {
        if day > 0 {
            stage.pass_days(1);
        }
        let mails = stage.mails().len();
        stage.run().await;
        let keys = stage.keys();
        let what = match (before.len(), keys.len()) {
            (1, 2) => Some("rotated"),
            (2, 1) => Some("deleted"),
            _ if before != keys => Some("disabled"),
            _ if stage.mails().len() > mails => Some("warned"),
            _ => None,
        };
        story.extend(what.map(|what| (day, what)));
        before = keys;
    }
    let done: Vec<_> = story.iter().filter(|(_, what)| *what != "warned").copied().collect();
    assert_eq!(done, [(90, "rotated"), (100, "disabled"), (110, "deleted")]);
    let warned = |from: i64, to: i64| story.iter().any(|(day, what)| *what == "warned" && (from..to).contains(day));
    assert!(warned(83, 90) && warned(93, 100) && warned(103, 110), "{story:?}");

    let keys = stage.keys();
    assert_eq!(keys.len(), 1);
    assert!(keys[0].1, "the successor is active");
    assert_ne!(keys[0].0, old);
    assert_eq!(stage.published_key(), Some(keys[0].0.clone()));
    assert_eq!(stage.state_of(&old), None, "its tag went with it");
}

#[tokio::test]
async fn a_notice_of_a_forced_rotation_that_nobody_has_asked_for_disables_nothing() {
    let stage = Stage::new().await;
    let keys = stage.user(&[KeySpec::aged(50).used_days_ago(1), KeySpec::aged(20).used_days_ago(1)]);
    remember(&stage, &keys[0], "forced", 11);
    stage.run().await;
    assert_eq!(
        stage.keys(),
        [(keys[0].clone(), true), (keys[1].clone(), true)],
        "whoever may tag the user can write it"
    );
    // From day 90 on the newer key counts as the successor, and the owner is told as always.
    stage.pass_days(40);
    stage.run().await;
    let told = stage.mails();
    assert!(told.iter().any(|(_, text)| text.contains(&keys[0])), "{told:?}");
    stage.pass_days(9);
    stage.run().await;
    assert_eq!(stage.keys(), [(keys[0].clone(), true), (keys[1].clone(), true)], "not before its time");
    stage.pass_days(1);
    stage.run().await;
    assert_eq!(stage.keys(), [(keys[0].clone(), false), (keys[1].clone(), true)]);
}

#[tokio::test]
async fn in_audit_mode_nothing_is_changed_whatever_is_due() {
    let stage = Stage::new().await;
    stage.user(&[KeySpec::aged(95)]);
    stage.user_named("two", &[KeySpec::aged(300), KeySpec::aged(200)]);
    stage.user_named("off", &[KeySpec::aged(300).inactive()]);
    stage.schedule().await;
    let mut settings = stage.settings();
    settings.dry_run = true;
    settings.mail.audit_run_interval = 7;
    stage.world(|world| world.journal.clear());
    stage.work_with(&settings).await;
    stage.world(|world| {
        for service in [Service::Iam, Service::SecretsManager] {
            let changing: Vec<_> = world.journal.mutating_calls(service).collect();
            assert!(changing.is_empty(), "{changing:?}");
        }
        assert_eq!(world.mail.outbox().len(), 1, "the owner is told what would be done");
    });
    assert_eq!(stage.waiting(), 0);
}

#[tokio::test]
async fn a_message_can_ask_for_an_audit_where_the_worker_enforces() {
    let stage = Stage::new().await;
    stage.user(&[KeySpec::aged(95)]);
    let job = rotation::Job { dry_run: true, ..stage.job(Task::Account) };
    stage.send(&job).await;
    stage.work().await;
    assert_eq!(stage.keys().len(), 1);
}

#[tokio::test]
async fn of_250_users_with_120_exempt_all_are_seen_and_none_of_the_exempt_is_touched() {
    let stage = Stage::new().await;
    for n in 0..250 {
        let name = format!("user-{n:03}");
        stage.user_named(&name, &[KeySpec::aged(120).used_days_ago(1)]);
        if n < 120 {
            stage.world(|world| world.add_group_member(ACCOUNT, sandbox::generate::EXEMPTION_GROUP, &name));
        }
    }
    stage.run().await;
    for n in 0..250 {
        let keys = stage.keys_of(&format!("user-{n:03}"));
        assert_eq!(keys.len(), if n < 120 { 1 } else { 2 }, "user {n}");
    }
    stage.world(|world| {
        let touched = world.journal.effects().iter().any(|record| match &record.effect {
            Effect::UserTagged { user, .. } | Effect::KeyCreated { user, .. } => user.as_str() < "user-120",
            _ => false,
        });
        assert!(!touched, "an exempt user was touched");
    });
    assert_eq!(stage.waiting(), 0);
}

/// IAM gives at most 1,000 users or members a page.
#[tokio::test]
async fn users_and_members_beyond_the_first_page_are_seen() {
    let stage = Stage::new().await;
    const EXEMPT: usize = 1_050;
    let name = |n: usize| format!("user-{n:04}");
    for n in 0..EXEMPT + 10 {
        stage.user_named(&name(n), &[KeySpec::aged(120).used_days_ago(1)]);
        if n < EXEMPT {
            stage.world(|world| world.add_group_member(ACCOUNT, sandbox::generate::EXEMPTION_GROUP, &name(n)));
        }
    }
    stage.run().await;
    // Asked for by itself a user does not tell its groups: only the group's last page says that it is exempt.
    let last = name(EXEMPT - 1).parse().expect("a user name");
    stage.send(&stage.job(Task::User(last))).await;
    stage.work().await;
    for n in [0, 999, 1_000, EXEMPT - 1] {
        assert_eq!(stage.keys_of(&name(n)).len(), 1, "{n} is exempt");
    }
    for n in EXEMPT..EXEMPT + 10 {
        assert_eq!(stage.keys_of(&name(n)).len(), 2, "{n} is on the second page of users");
    }
    assert_eq!(stage.waiting(), 0);
}

#[tokio::test]
async fn where_one_users_last_use_cannot_be_read_nothing_of_it_changes_and_the_rest_is_done() {
    let stage = Stage::new().await;
    let key = stage.user(&[KeySpec::aged(95).used_days_ago(1)]).remove(0);
    stage.user_named("other", &[KeySpec::aged(95).used_days_ago(1)]);
    stage.world(|world| world.faults.deny(ACCOUNT, "iam:GetAccessKeyLastUsed", Some(USER)));
    stage.run().await;
    assert_eq!(stage.keys(), [(key.clone(), true)], "nothing of its changed");
    assert_eq!(stage.state_of(&key), None);
    assert_eq!(stage.keys_of("other").len(), 2, "the rest is done");
    assert_eq!(stage.waiting(), 1, "the message is still retried");
    let told = stage.mails();
    assert_eq!(told.len(), 1);

    stage.world(|world| world.faults.allow_all(ACCOUNT));
    stage.pass_days(1);
    stage.work().await;
    assert_eq!(stage.keys().len(), 2);
    assert_eq!(stage.waiting(), 0);
}

#[tokio::test]
async fn where_it_cannot_be_read_who_is_exempt_nobody_is_touched_and_the_message_is_retried() {
    let user = UserName::new(USER).expect("a user name");
    for (task, action) in [(Task::Account, "iam:GetAccountAuthorizationDetails"), (Task::User(user), "iam:GetGroup")] {
        let stage = Stage::new().await;
        stage.user(&[KeySpec::aged(95)]);
        stage.world(|world| world.faults.deny(ACCOUNT, action, None));
        stage.send(&stage.job(task)).await;
        stage.work().await;
        assert_eq!((stage.keys().len(), stage.waiting()), (1, 1), "{action}");
        stage.world(|world| {
            assert_eq!(world.journal.mutating_calls(Service::Iam).count(), 0, "{action}");
            assert!(world.mail.outbox().is_empty(), "{action}");
        });
    }
}

/// The SDK ends a list at a page without a marker, whatever else the page says.
#[tokio::test]
async fn a_list_that_ends_although_it_says_that_more_follows_is_no_list_and_the_message_is_retried() {
    let user = UserName::new(USER).expect("a user name");
    for (task, action) in [
        (Task::Account, "iam:GetAccountAuthorizationDetails"),
        (Task::User(user.clone()), "iam:GetGroup"),
        (Task::User(user.clone()), "iam:ListUserTags"),
        (Task::User(user), "iam:ListAccessKeys"),
    ] {
        let stage = Stage::new().await;
        stage.user(&[KeySpec::aged(95)]);
        stage.world(|world| {
            world.add_group(ACCOUNT, "IAMKeyRotationExemptionGroup");
            let calls = Calls::new(action);
            world.faults.add(Rule { calls, fault: Fault::LoseMarker, rate: 1.0, times: None });
        });
        stage.send(&stage.job(task)).await;
        stage.work().await;
        assert_eq!((stage.keys().len(), stage.waiting()), (1, 1), "{action}");
        stage.world(|world| assert_eq!(world.journal.mutating_calls(Service::Iam).count(), 0, "{action}"));
    }
}

/// "Names are not distinguished by case" (IAM API Reference, `CreateGroup`).
#[tokio::test]
async fn the_exemption_group_is_the_one_of_that_name_in_any_spelling_of_upper_and_lower_case() {
    for task in [Task::Account, Task::User(UserName::new(USER).expect("a user name"))] {
        let stage = Stage::new().await;
        stage.user(&[KeySpec::aged(95)]);
        let respelled = sandbox::generate::EXEMPTION_GROUP.to_uppercase();
        stage.world(|world| world.add_group_member(ACCOUNT, &respelled, USER));
        stage.send(&stage.job(task)).await;
        stage.work().await;
        assert_eq!((stage.keys().len(), stage.waiting()), (1, 0));
    }
}

#[tokio::test]
async fn what_cannot_be_sent_starts_no_clock() {
    let stage = Stage::new().await;
    let old = stage.user(&[KeySpec::aged(90).used_days_ago(0)]).remove(0);
    stage.world(|world| world.faults.deny(sandbox::world::MANAGEMENT_ACCOUNT, "ses:SendEmail", None));
    for _ in 0..15 {
        stage.run().await;
        assert!(!stage.is_told(&old));
        assert!(stage.keys().iter().all(|(_, active)| *active), "no key is disabled while nobody could be told");
        assert_eq!(stage.keys().len(), 2, "made once, never again");
        stage.pass_days(1);
    }
    stage.world(|world| world.faults.allow_all(sandbox::world::MANAGEMENT_ACCOUNT));
    stage.run().await;
    assert!(stage.state_of(&old).is_some_and(|state| state.starts_with("notified=")));
    for _ in 0..9 {
        stage.pass_days(1);
        stage.run().await;
        assert!(stage.keys().iter().all(|(_, active)| *active));
    }
    stage.pass_days(1);
    stage.run().await;
    assert!(stage.keys().contains(&(old, false)), "disabled after the install grace");
}

#[tokio::test]
async fn messages_that_cannot_be_understood_are_dead_letters_with_a_reason() {
    let stage = Stage::with(false).await;
    let bodies = [
        ("not json", "{"),
        ("unknown field", r#"{"account":"111122223333","ForceRotat":"ada"}"#),
        ("11 digits", r#"{"account":"11112222333"}"#),
    ];
    for (_, body) in bodies {
        stage.send_body(body, None, None).await;
    }
    stage.work().await;
    let letters = stage.dead_letters().await;
    assert_eq!(letters.len(), 3);
    for (what, body) in bodies {
        let letter = letters.iter().find(|(_, _, letter)| letter == body);
        let (kind, message, _) = letter.unwrap_or_else(|| panic!("{what}: the body is kept byte for byte"));
        assert_eq!(kind, "MalformedMessage");
        assert!(!message.is_empty() && !message.contains('\n'), "{message}");
    }
    assert_eq!(stage.waiting(), 0);
}

#[tokio::test]
async fn an_account_whose_role_cannot_be_assumed_is_a_dead_letter_at_once() {
    let stage = Stage::new().await;
    stage.world(|world| world.remove_role(ACCOUNT, sandbox::world::MEMBER_ROLE));
    stage.run().await;
    let letters = stage.dead_letters().await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].0, "RoleRefused");
    assert_eq!(stage.waiting(), 0);
}

#[tokio::test]
async fn only_the_user_itself_can_read_its_new_secret() {
    let stage = Stage::new().await;
    stage.user(&[KeySpec::aged(95)]);
    stage.run().await;
    let published = stage.published_key().expect("a published key");
    assert_eq!(stage.keys()[1].0, published);
    assert_eq!(stage.mails().len(), 1);
    assert!(stage.mails()[0].1.contains("get-secret-value"), "the mail says how to fetch it");
    stage.world(|world| {
        assert!(world.mail.outbox()[0].to.iter().any(|to| to.contains(OWNER)));
        assert!(world.user(ACCOUNT, USER).holds.tags.keys().all(|tag| !tag.contains("intent")));
    });
}
