//! What was not read is said: in the first line, by name with the reason, by the controls and by the exit status.

use producer::command::{CommandError, ExitStatus, Report};
use producer::organization::Scope;
use producer::report::{self, ReportOptions, ReportSummary};
use sandbox::KeySpec;
use sandbox::world::{AccountState, MANAGEMENT_ACCOUNT, MEMBER_ROLE};

use crate::stage::{Folder, Reported, access, organization, report};

/// Why an account was not read.
fn reason<'a>(reported: &'a Reported, account: &str) -> &'a str {
    let row = reported.rows("accounts").iter().find(|row| row["id"] == account).expect("the account is named");
    row["read"].as_str().unwrap_or_else(|| panic!("it was read: {row}"))
}

fn assert_partial(reported: &Reported, first_line: &str) {
    let ReportSummary { coverage, complete, .. } = &reported.summary;
    assert!(!complete && coverage.starts_with(first_line), "{coverage}");
    assert_eq!(reported.summary.to_string().lines().next(), Some(coverage.as_str()));
    assert_eq!(reported.summary.exit_status(), ExitStatus::Failed);
    assert!(reported.page.contains("<p class=\"coverage partial\">Partial"), "the page says so first");
    assert!(!reported.results().contains(&"met"), "what was not read is not met: {:?}", reported.results());
}

#[tokio::test]
async fn with_half_of_the_accounts_out_of_reach_everything_says_so() {
    let (stage, accounts) = organization(6, 8).await;
    let out_of_reach = &accounts[..3];
    stage.world(|world| out_of_reach.iter().for_each(|account| world.remove_role(account, MEMBER_ROLE)));
    let reported = report(&stage, ReportOptions::default()).await;
    assert_partial(&reported, "Partial: 3 of 7 accounts could not be read. Every number is of what was read.");
    assert_eq!((reported.figure("accounts_read"), reported.figure("accounts_not_read")), (4, 3));
    for account in out_of_reach {
        assert!(reason(&reported, account).contains("sts:AssumeRole"), "{}", reason(&reported, account));
        let problem = format!("account {account} could not be read");
        assert!(reported.summary.problems().iter().any(|told| told.starts_with(&problem)));
        assert!(reported.page.contains(account.as_str()));
    }
}

#[tokio::test]
async fn a_denied_or_unfinished_credential_report_is_an_account_not_read_and_another_way_is_there() {
    let (stage, accounts) = organization(2, 8).await;
    stage.world(|world| world.faults.deny(&accounts[0], "iam:GetCredentialReport", None));
    let reported = report(&stage, ReportOptions::default()).await;
    assert_partial(&reported, "Partial: 1 of 3 accounts could not be read");
    let why = reason(&reported, &accounts[0]);
    assert!(
        why.contains("iam:GetCredentialReport") && why.ends_with("or give --live, which needs no credential report"),
        "{why}"
    );

    let live = report(&stage, ReportOptions { live: true, ..ReportOptions::default() }).await;
    assert!(live.summary.complete, "{}", live.summary.coverage);

    stage.pass_days(1);
    stage.world(|world| {
        world.faults.allow_all(&accounts[0]);
        world.faults.report_generation = jiff::SignedDuration::from_hours(1);
    });
    let unfinished = report(&stage, ReportOptions { report_timeout: 1, ..ReportOptions::default() }).await;
    assert_partial(&unfinished, "Partial: 3 of 3 accounts could not be read");
    assert!(reason(&unfinished, &accounts[1]).contains("still being generated"));
}

#[tokio::test]
async fn where_the_users_may_not_be_listed_either_another_way_is_not_offered() {
    let (stage, accounts) = organization(1, 2).await;
    stage.world(|world| world.faults.deny(&accounts[0], "iam:*", None));
    let reported = report(&stage, ReportOptions::default()).await;
    let why = reason(&reported, &accounts[0]);
    assert!(why.contains("iam:GenerateCredentialReport") && !why.contains("--live"), "{why}");
    let told = reported.summary.problems();
    assert_eq!(told.iter().filter(|told| told.contains(accounts[0].as_str())).count(), 1, "{told:?}");
}

#[tokio::test]
async fn where_it_cannot_be_written_to_nothing_is_read_and_an_earlier_report_stays() {
    let (stage, _) = organization(1, 1).await;
    let folder = Folder::new();
    std::fs::create_dir_all(folder.0.join(report::DATA)).expect("a directory in the place of a file");
    let file = folder.0.join("file");
    std::fs::write(&file, "").expect("a file in the place of a directory");
    let calls = stage.world(|world| world.journal.total());
    for out in [&folder.0, &file] {
        let options = ReportOptions { out: out.clone(), ..ReportOptions::default() };
        let refused = report::run(&stage.connection("producer"), &access(&stage), &options).await;
        let Err(CommandError::Usage(why)) = refused else { panic!("a report: {refused:?}") };
        assert!(why.starts_with("--out is wrong: ") && why.ends_with("nothing was read"), "{why}");
    }
    assert_eq!(stage.world(|world| world.journal.total()), calls, "AWS was not called once");

    std::fs::remove_dir(folder.0.join(report::DATA)).expect("it is empty");
    std::fs::write(folder.0.join(report::PAGE), "earlier").expect("a file");
    stage.world(|world| world.faults.deny(MANAGEMENT_ACCOUNT, "organizations:*", None));
    let options = ReportOptions { out: folder.0.clone(), ..ReportOptions::default() };
    let failed = report::run(&stage.connection("producer"), &access(&stage), &options).await;
    assert!(failed.is_err(), "{failed:?}");
    assert_eq!(std::fs::read_to_string(folder.0.join(report::PAGE)).expect("it stays"), "earlier");
    assert_eq!(std::fs::read_dir(&folder.0).expect("the directory").count(), 2, "and nothing else is left there");
}

#[tokio::test]
async fn a_report_of_some_hours_ago_is_dated_and_a_user_made_since_is_looked_at_all_the_same() {
    let (stage, accounts) = organization(1, 0).await;
    stage.world(|world| {
        world.add_user(&accounts[0], "ada");
        world.add_key(&accounts[0], "ada", &KeySpec::aged(10));
    });
    let made = stage.now();
    report(&stage, ReportOptions::default()).await;
    stage.pass(jiff::SignedDuration::from_hours(3));
    stage.world(|world| {
        world.add_user(&accounts[0], "eve");
        world.add_key(&accounts[0], "eve", &KeySpec::aged(200));
    });
    let reported = report(&stage, ReportOptions::default()).await;
    let row = reported.rows("accounts").iter().find(|row| row["id"] == accounts[0].as_str()).expect("the account");
    assert_eq!(row["credential_report_at"], made.to_string());
    assert!(reported.page.contains(&format!("the oldest of {}", made.strftime("%Y-%m-%d %H:%M UTC"))));
    assert_eq!((reported.figure("keys"), reported.figure("overdue")), (2, 1));
}

#[tokio::test]
async fn a_user_that_cannot_be_looked_at_is_named_and_the_others_count() {
    let (stage, accounts) = organization(1, 0).await;
    let account = accounts[0].as_str();
    stage.world(|world| {
        for user in ["ada", "eve"] {
            world.add_user(account, user);
            world.add_key(account, user, &KeySpec::aged(200));
        }
        world.tag_user(account, "ada", "key-rotation:state:AKIAIOSFODNN7EXAMPLE", "notified=2026-02-25T09:00:00Z");
        world.faults.deny(account, "iam:ListAccessKeys", Some("ada"));
    });
    let reported = report(&stage, ReportOptions::default()).await;
    assert_eq!(
        reported.summary.coverage,
        "Partial: of 1 user something could not be read. Every number is of what was read."
    );
    assert_eq!(reported.summary.exit_status(), ExitStatus::Failed);
    let [row] = reported.rows("users_not_read") else { panic!("{}", reported.json) };
    assert_eq!(row["user"], "ada");
    assert_eq!(reported.figure("keys"), 1);
}

#[tokio::test]
async fn accounts_that_are_not_active_are_named_and_one_that_was_asked_for_is_a_problem() {
    let (stage, accounts) = organization(2, 1).await;
    let closed = accounts[0].as_str();
    stage.world(|world| world.set_account_state(closed, AccountState::Suspended));
    let reported = report(&stage, ReportOptions::default()).await;
    let [row] = reported.rows("not_active") else { panic!("{}", reported.json) };
    assert_eq!((row["id"].as_str(), row["state"].as_str()), (Some(closed), Some("SUSPENDED")));
    assert_eq!(reported.summary.exit_status(), ExitStatus::Done);
    assert!(reported.page.contains("Accounts that are not active"));

    let scope = Scope { accounts: vec![closed.parse().expect("an id")], ..Scope::default() };
    let asked = report(&stage, ReportOptions { scope, ..ReportOptions::default() }).await;
    assert_eq!(asked.summary.exit_status(), ExitStatus::Failed);
    assert!(asked.summary.problems()[0].contains("is SUSPENDED"), "{:?}", asked.summary.problems());

    let everybody = accounts.iter().map(String::as_str).chain([MANAGEMENT_ACCOUNT]);
    let excluded = Scope { excluded: everybody.map(|id| id.parse().expect("an id")).collect(), ..Scope::default() };
    let nobody = report(&stage, ReportOptions { scope: excluded, ..ReportOptions::default() }).await;
    assert_eq!(nobody.summary.exit_status(), ExitStatus::Failed, "a pipeline takes nothing for no overdue key");
}

#[tokio::test]
async fn without_the_organization_there_is_no_report_but_what_to_ask_for_instead() {
    let (stage, _) = organization(1, 1).await;
    stage.world(|world| world.faults.deny(MANAGEMENT_ACCOUNT, "organizations:*", None));
    let folder = Folder::new();
    let options = ReportOptions { out: folder.0.clone(), ..ReportOptions::default() };
    let refused = report::run(&stage.connection("producer"), &access(&stage), &options).await;
    let Err(CommandError::Failed(why)) = refused else { panic!("a report: {refused:?}") };
    assert!(why.contains("--account") && why.contains("--this-account"), "{why}");
}

#[tokio::test]
async fn what_is_over_cannot_be_reported_on() {
    let (stage, _) = organization(1, 1).await;
    let as_of = Some("2026-02-01T00:00:00Z".parse().expect("a time"));
    let options = ReportOptions { as_of, ..ReportOptions::default() };
    let refused = report::run(&stage.connection("producer"), &access(&stage), &options).await;
    assert!(matches!(refused, Err(CommandError::Usage(_))), "{refused:?}");
}
