//! `worker preview-mail --account`: the mails of a real plan as files; the account is read, and nothing else happens.

use std::fs;
use std::path::{Path, PathBuf};

use end_to_end::{ACCOUNT, OWNER, Stage, USER};
use jiff::SignedDuration;
use rotation::{AccountId, Job, Task};
use sandbox::KeySpec;
use sandbox::call::Service;
use sandbox::serve::SENDER;
use worker::Settings;
use worker::notices::{MailSettings, Notices};
use worker::preview::{self, PlanOptions, PreviewError, PreviewFiles};

const LEADER: &str = "ada@example.org";

/// A directory of its own for each test.
fn out(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("preview").join(name);
    let _ = fs::remove_dir_all(&dir);
    dir
}

fn options(name: &str) -> PlanOptions {
    PlanOptions {
        account: AccountId::new(ACCOUNT).expect("an account id"),
        user: None,
        name: Some("prod".to_owned()),
        email: Some(OWNER.to_owned()),
        audit: false,
        out: out(name),
    }
}

async fn preview(stage: &Stage, settings: &Settings, options: &PlanOptions) -> Result<PreviewFiles, PreviewError> {
    let connection = stage.connection("preview");
    let mail = MailSettings { sender: Some(SENDER.to_owned()), ..MailSettings::default() };
    let notices = Notices::new(mail, None, connection.partition()).expect("the built-in templates");
    preview::of_plan(&notices, settings, &connection, options).await
}

fn read(options: &PlanOptions, file: &str) -> String {
    let path = options.out.join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn names(written: &PreviewFiles) -> Vec<&str> {
    written.files.iter().filter_map(|file| file.file_name()?.to_str()).collect()
}

#[tokio::test]
async fn each_mail_of_the_plan_is_a_pair_of_files_and_the_index_says_whose() {
    let stage = Stage::new().await;
    let key = stage.user(&[KeySpec::aged(95).used_days_ago(1)]).remove(0);
    stage.user_named("off", &[KeySpec::aged(300).inactive()]);
    stage.user_named("new", &[KeySpec::aged(5)]);
    stage.world(|world| world.tag_user(ACCOUNT, USER, "owner", LEADER));
    let options = options("pairs");

    let written = preview(&stage, &stage.settings_with_owner_tag(), &options).await.unwrap();

    let expected = [
        "111122223333-enforce-account-1.html",
        "111122223333-enforce-account-1.txt",
        "111122223333-enforce-owner-2.html",
        "111122223333-enforce-owner-2.txt",
        "index.txt",
        "index.html",
    ];
    assert_eq!(names(&written), expected);
    assert_eq!(written.unread, 0);
    let index = read(&options, "index.txt");
    for line in [
        format!("To the account: {OWNER}"),
        format!("To the owner: {LEADER}"),
        format!("Action needed by 2026-03-11: access key of {USER} replaced - prod ({ACCOUNT})"),
    ] {
        assert!(index.contains(&line), "{line}: {index}");
    }
    let to_owner = read(&options, "111122223333-enforce-owner-2.txt");
    assert!(to_owner.contains(&key) && !to_owner.contains("off: "), "{to_owner}");
    assert!(!index.contains("new"), "nothing is due: {index}");
}

#[tokio::test]
async fn a_preview_changes_nothing_and_sends_nothing_whatever_the_workers_settings_say() {
    let stage = Stage::new().await;
    stage.user(&[KeySpec::aged(95).used_days_ago(1)]);
    stage.user_named("two", &[KeySpec::aged(300), KeySpec::aged(200)]);
    stage.user_named("off", &[KeySpec::aged(300).inactive()]);
    stage.world(|world| world.journal.clear());

    preview(&stage, &stage.settings_with_owner_tag(), &options("harmless")).await.unwrap();

    stage.world(|world| {
        assert!(world.journal.total() > 0, "it looked");
        for service in [Service::Iam, Service::SecretsManager] {
            assert_eq!(world.journal.mutating_calls(service).count(), 0);
        }
        let others: Vec<_> =
            world.journal.counts().keys().filter(|key| ["sqs", "ses"].contains(&key.service)).collect();
        assert!(others.is_empty(), "no queue and no mail service was called: {others:?}");
        assert!(world.journal.effects().is_empty());
    });
}

#[tokio::test]
async fn the_day_it_is_made_for_moves_the_plan() {
    let stage = Stage::new().await;
    let key = stage.user(&[KeySpec::aged(10).used_days_ago(1)]).remove(0);
    let mut told = Vec::new();
    for days in [0, 73, 74, 80] {
        let options = options(&format!("day-{days}"));
        if days == 74 {
            let yesterday = (stage.now() + SignedDuration::from_hours(24 * 73)).to_string();
            stage.world(|world| world.tag_user(ACCOUNT, USER, "key-rotation:reminded", &yesterday));
        }
        let as_of = Some(stage.now() + SignedDuration::from_hours(24 * days));
        preview(&stage, &Settings { as_of, ..stage.settings_with_owner_tag() }, &options).await.unwrap();
        let index = read(&options, "index.txt");
        let due = "2026-05-20 09:00 UTC";
        told.push(match () {
            () if index.contains(&format!("access key of {USER} replaced")) => "replaced",
            () if index.contains(&format!("access key of {USER} will be replaced on 2026-05-20")) => "warned",
            () if index.contains(&format!("- {USER}, {key}: will be replaced; {due}: a new key will be created")) => {
                assert!(index.contains("No mail.") && index.contains("Waiting for its day"), "{index}");
                "waiting"
            }
            () if index.contains("No mail.") => "nothing",
            () => panic!("{index}"),
        });
    }
    // The warning period opens 7 days before, and the owner is reminded; the next reminder is due 3 days before.
    assert_eq!(told, ["nothing", "warned", "waiting", "replaced"]);
}

#[tokio::test]
async fn the_preview_of_an_audit_is_the_mail_that_the_audit_sends() {
    let stage = Stage::new().await;
    stage.user(&[KeySpec::aged(95).used_days_ago(1)]);
    stage.user_named("two", &[KeySpec::aged(300), KeySpec::aged(200)]);
    // To a Monday, the day for what an audit would do.
    stage.pass_days(1);
    let options = PlanOptions { audit: true, ..options("audit") };
    preview(&stage, &stage.settings_with_owner_tag(), &options).await.unwrap();

    let job = Job { run_id: None, ..stage.job(Task::Account) };
    stage.send(&job).await;
    stage.work_with(&Settings { dry_run: true, ..stage.settings_with_owner_tag() }).await;

    let mails = stage.mails();
    let [(subject, text)] = mails.as_slice() else { panic!("{mails:?}") };
    let expected = format!("To: {OWNER}\nSubject: {subject}\n\n{text}\n");
    assert_eq!(read(&options, "111122223333-audit-account-1.txt"), expected);
}

#[tokio::test]
async fn one_users_preview_is_about_that_user_alone_and_a_name_nobody_has_is_refused() {
    let stage = Stage::new().await;
    stage.user(&[KeySpec::aged(95)]);
    stage.user_named("other", &[KeySpec::aged(95)]);
    let of = |user: &str, name| PlanOptions { user: Some(user.parse().expect("a user name")), ..options(name) };

    let one = of("other", "one-user");
    preview(&stage, &stage.settings_with_owner_tag(), &one).await.unwrap();
    let index = read(&one, "index.txt");
    assert!(index.contains("access key of other replaced") && !index.contains(USER), "{index}");

    let error = preview(&stage, &stage.settings_with_owner_tag(), &of("nobody", "nobody")).await.unwrap_err();
    assert!(error.to_string().contains("has no user nobody"), "{error}");
}

#[tokio::test]
async fn where_the_accounts_address_is_not_given_the_index_shows_that_it_is_missing() {
    let stage = Stage::new().await;
    stage.user(&[KeySpec::aged(95)]);
    let options = PlanOptions { name: None, email: None, ..options("no-address") };
    preview(&stage, &stage.settings_with_owner_tag(), &options).await.unwrap();
    let index = read(&options, "index.txt");
    assert!(index.contains("To the account: address-not-given@account.invalid"), "{index}");
}

#[tokio::test]
async fn a_user_that_cannot_be_read_is_counted_and_the_mail_says_that_it_does_not_tell_everything() {
    let stage = Stage::new().await;
    stage.user(&[KeySpec::aged(95).used_days_ago(1)]);
    stage.user_named("other", &[KeySpec::aged(95).used_days_ago(1)]);
    stage.world(|world| world.faults.deny(ACCOUNT, "iam:GetAccessKeyLastUsed", Some(USER)));
    let options = options("partial");
    let written = preview(&stage, &stage.settings_with_owner_tag(), &options).await.unwrap();
    assert_eq!(written.unread, 1);
    let mail = read(&options, "111122223333-enforce-account-1.txt");
    assert!(mail.contains("DOES NOT TELL EVERYTHING") && mail.contains(USER), "{mail}");
    assert!(read(&options, "index.txt").contains(&format!("Could not be looked at:\n  - {USER}: ")));
}
