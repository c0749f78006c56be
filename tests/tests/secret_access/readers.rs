//! Who reads a user's secret: each principal, in each state of the key, in both stores.

use std::collections::BTreeSet;
use std::time::Duration;

use end_to_end::{ACCOUNT, Stage, USER};
use rotation::Task;
use rotation::job::{ForceRotate, Whom};
use rotation::names::{READERS_TAG, secret_name};
use rotation::readers::{ReaderPattern, Readers};
use sandbox::faults::{Calls, HoldPlan, When};
use sandbox::services::ses::RefuseAs;
use sandbox::world::MANAGEMENT_ACCOUNT;

use crate::{Store, due, reads, role, secret_arn, user};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Works,
    Contained,
    Disabled,
    Deleted,
}

impl State {
    const ALL: [State; 4] = [State::Works, State::Contained, State::Disabled, State::Deleted];
}

const TAGGED: [&str; 2] = ["ci-build", "mine"];

/// A user whose key was replaced, and is in this state now: the stage, and the replaced key.
async fn replaced(store: Store, state: State) -> (Stage, String) {
    let stage = Stage::new().await;
    let old = stage.user(&[due()]).remove(0);
    stage.user_named("eve", &[due()]);
    let named = TAGGED.map(|role| format!("arn:aws:iam::{ACCOUNT}:role/{role}")).join(" ");
    stage.world(|world| world.tag_user(ACCOUNT, USER, READERS_TAG, &named));
    let settings = store.with_readers(&stage);
    match state {
        State::Contained => {
            let whom = Whom::User(USER.parse().expect("a user name"));
            let request = ForceRotate { whom, disable_old_now: true, override_exemption: false };
            stage.send(&stage.job(Task::ForceRotate(request))).await;
        }
        State::Works | State::Disabled | State::Deleted => stage.schedule().await,
    }
    stage.work_with(&settings).await;
    let runs = match state {
        State::Works | State::Contained => 0,
        State::Disabled => 1,
        State::Deleted => 2,
    };
    for _ in 0..runs {
        stage.pass_days(11);
        stage.schedule().await;
        stage.work_with(&settings).await;
    }
    let now = stage.keys().into_iter().find(|(key, _)| *key == old).map(|(_, is_active)| is_active);
    let expected = match state {
        State::Works => Some(true),
        State::Contained | State::Disabled => Some(false),
        State::Deleted => None,
    };
    assert_eq!(now, expected, "{state:?}");
    (stage, old)
}

/// Who can read, by name, in one state.
async fn who_reads(store: Store, state: State) -> Vec<(&'static str, bool)> {
    let (stage, old) = replaced(store, state).await;
    let id = secret_arn(&stage, store);
    let other = stage.keys_of("eve").remove(0).0;
    let member_role = stage.settings().role.name;
    let principals = [
        ("the user, with the replaced key", user(&stage, &old)),
        ("a role of `SECRET_READERS`", role(&stage, ACCOUNT, "IAMKeyRotationBreakGlass").await),
        (
            "a role that the user's tag names and `SECRET_READERS_ALLOWED` allows",
            role(&stage, ACCOUNT, TAGGED[0]).await,
        ),
        ("a role that the user's tag names and nothing allows", role(&stage, ACCOUNT, TAGGED[1]).await),
        ("a role of that list that the user's tag does not name", role(&stage, ACCOUNT, "ci-other").await),
        (
            "a namesake of a reader in another account",
            role(&stage, MANAGEMENT_ACCOUNT, "IAMKeyRotationBreakGlass").await,
        ),
        ("an administrator of the user's account", role(&stage, ACCOUNT, "Administrator").await),
        ("an administrator of the fleet's account", role(&stage, MANAGEMENT_ACCOUNT, "Administrator").await),
        ("the worker", stage.connection("test")),
        ("the member role", role(&stage, ACCOUNT, &member_role).await),
        ("another user", user(&stage, &other)),
    ];
    let published = stage.published_key().expect("a successor");
    let mut answers = Vec::new();
    for (name, principal) in principals {
        let read = reads(&principal, &id).await;
        assert!(read.as_ref().is_err() || read == Ok(published.clone()), "{name}: {read:?}");
        answers.push((name, read.is_ok()));
    }
    answers
}

/// The table in docs/permissions.md is what comes of trying. The same in both stores.
#[tokio::test]
async fn who_reads_is_what_the_documentation_says_in_every_state_and_store() {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/permissions.md");
    let document = std::fs::read_to_string(document).expect("the page");
    for store in Store::BOTH {
        let mut columns = Vec::new();
        for state in State::ALL {
            columns.push(who_reads(store, state).await);
        }
        for (row, (name, _)) in columns[0].iter().enumerate() {
            let cells = columns.iter().map(|column| if column[row].1 { "yes" } else { "no" });
            let line = format!("| {name} | {} |", cells.collect::<Vec<_>>().join(" | "));
            assert!(document.contains(&line), "{store:?}: the page lacks {line}");
        }
    }
}

#[tokio::test]
async fn owners_are_told_of_what_was_done_before_the_policies_of_all_secrets_are_looked_at() {
    for store in Store::BOTH {
        let stage = Stage::new().await;
        stage.user(&[due()]);
        stage.schedule().await;
        let calls = Calls { app: Some("worker".to_owned()), ..Calls::new("secretsmanager:ListSecrets") };
        let listing = stage.world(|world| world.faults.hold(HoldPlan { calls, at_call: 1, when: When::Before }));
        let meanwhile = async {
            tokio::time::timeout(Duration::from_secs(60), listing.reached()).await.expect("the secrets are listed");
            assert_eq!((stage.mails().len(), stage.keys().len()), (1, 2), "{store:?}");
            let old = &stage.keys()[0].0;
            assert!(stage.is_told(old), "its clock runs though the message should end here");
            listing.release();
        };
        let settings = store.settings(&stage);
        tokio::join!(stage.work_with(&settings), meanwhile);
    }
}

#[tokio::test]
async fn where_owners_cannot_be_told_the_policies_are_brought_up_to_date_all_the_same() {
    let stage = Stage::new().await;
    stage.user(&[due()]);
    stage.run().await;
    let id = secret_arn(&stage, Store::Own);
    let reader = role(&stage, ACCOUNT, "IAMKeyRotationBreakGlass").await;
    stage.user_named("eve", &[due()]);
    stage.world(|world| world.mail.knobs.refuse_all = Some(RefuseAs::SendingPaused));
    stage.schedule().await;
    stage.work_with(&Store::Own.with_readers(&stage)).await;
    assert_eq!(stage.waiting(), 1, "the mail is tried again");
    assert_eq!(reads(&reader, &id).await, Ok(stage.published_key().expect("a successor")));
}

#[tokio::test]
async fn a_reader_that_is_named_later_reads_from_the_next_run_on_and_one_that_is_no_more_does_not() {
    for store in Store::BOTH {
        let stage = Stage::new().await;
        stage.user(&[due()]);
        stage.schedule().await;
        stage.work_with(&store.settings(&stage)).await;
        let id = secret_arn(&stage, store);
        let reader = role(&stage, ACCOUNT, "IAMKeyRotationBreakGlass").await;
        let refused = Err("AccessDeniedException".to_owned());
        assert_eq!(reads(&reader, &id).await, refused);
        let puts =
            || stage.world(|world| world.journal.calls().filter(|call| call.operation == "PutResourcePolicy").count());

        // Nothing is due.
        stage.schedule().await;
        stage.work_with(&store.with_readers(&stage)).await;
        assert_eq!(reads(&reader, &id).await, Ok(stage.published_key().expect("a successor")), "{store:?}");
        let written = puts();
        stage.schedule().await;
        stage.work_with(&store.with_readers(&stage)).await;
        assert_eq!(puts(), written, "what is as it should be is not written again");

        stage.schedule().await;
        stage.work_with(&store.settings(&stage)).await;
        assert_eq!(reads(&reader, &id).await, refused);
        assert_eq!(stage.mails().len(), 1, "nobody is told of it");
    }
}

#[tokio::test]
async fn secrets_whose_policy_is_refused_for_good_keep_no_reader_from_those_that_are_listed_after_them() {
    let stage = Stage::new().await;
    let refused: Vec<String> = (1..=6).map(|number| format!("a{number}")).collect();
    refused.iter().for_each(|name| drop(stage.user_named(name, &[due()])));
    stage.user(&[due()]);
    stage.run().await;
    let id = secret_arn(&stage, Store::Own);
    let reader = role(&stage, ACCOUNT, "IAMKeyRotationBreakGlass").await;
    stage.world(|world| {
        for name in &refused {
            let secret = secret_name(&ACCOUNT.parse().expect("an account id"), &name.parse().expect("a user name"));
            world.faults.deny(ACCOUNT, "secretsmanager:PutResourcePolicy", Some(&secret));
        }
    });
    stage.schedule().await;
    stage.work_with(&Store::Own.with_readers(&stage)).await;
    let tried = stage.world(|world| {
        let puts = world.journal.calls().filter(|call| call.operation == "PutResourcePolicy");
        let refused = puts.filter(|call| call.outcome.word() == "AccessDeniedException");
        refused.map(|call| call.subject.clone()).collect::<BTreeSet<_>>().len()
    });
    assert_eq!(tried, refused.len(), "all of them were listed before");
    assert_eq!(reads(&reader, &id).await, Ok(stage.published_key().expect("a successor")));
}

#[tokio::test]
async fn from_a_central_store_a_named_role_of_another_account_reads_and_another_role_there_does_not() {
    let stage = Stage::new().await;
    let elsewhere = "444455556666";
    stage.world(|world| {
        world.add_account(elsewhere, "build", "build@example.org");
    });
    stage.user(&[due()]);
    let vault = ReaderPattern::new("arn:aws:iam::444455556666:role/vault-*").expect("a reader");
    let readers = Readers { always: vec![vault], allowed: Vec::new() };
    stage.schedule().await;
    stage.work_with(&worker::Settings { readers, ..Store::Central.settings(&stage) }).await;
    let id = secret_arn(&stage, Store::Central);
    let published = stage.published_key().expect("a successor");
    assert_eq!(reads(&role(&stage, elsewhere, "vault-1").await, &id).await, Ok(published));
    for (account, name) in [(elsewhere, "Administrator"), (ACCOUNT, "vault-1"), (MANAGEMENT_ACCOUNT, "vault-1")] {
        assert!(reads(&role(&stage, account, name).await, &id).await.is_err(), "{name} of {account}");
    }
}

#[tokio::test]
async fn a_reader_that_nobody_allows_is_a_finding_and_audit_changes_no_policy() {
    let (stage, _) = replaced(Store::Own, State::Works).await;
    let told = stage.mails().iter().any(|(_, text)| {
        text.contains(":role/mine")
            && text.contains("SECRET_READERS_ALLOWED")
            && !text.contains("names \"arn:aws:iam::111122223333:role/ci-build")
    });
    assert!(told, "{:?}", stage.mails());

    let id = secret_arn(&stage, Store::Own);
    let reader = role(&stage, ACCOUNT, "IAMKeyRotationBreakGlass").await;
    stage.schedule().await;
    stage.work_with(&worker::Settings { dry_run: true, ..Store::Own.settings(&stage) }).await;
    assert!(reads(&reader, &id).await.is_ok(), "the policy is as it was");
}
