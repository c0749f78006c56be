//! Whether a new key has been installed: whether it has signed a call since it was made. Its owner is reminded by it, and an operator sees it.

use end_to_end::{ACCOUNT, Stage, USER};
use producer::command::{CommandError, Report};
use producer::report::document::Usage;
use producer::status::user::{self, InstalledCell, RecordedAs, UserStatus};
use rotation::KeyStatus;
use sandbox::KeySpec;

const NOT_YET: &str = "has not been used yet: has it been installed?";
const IN_USE: &str = "is in use already.";

async fn status_of(stage: &Stage, name: &str) -> Result<UserStatus, CommandError> {
    let (account, name) = (ACCOUNT.parse().expect("an account id"), name.parse().expect("a user name"));
    user::run(&stage.connection("producer"), &stage.producer_settings().member_role, &account, &name).await
}

async fn status(stage: &Stage) -> UserStatus {
    status_of(stage, USER).await.expect("the user is read")
}

/// The mails of the next run, after so many days.
async fn mails_after(stage: &Stage, days: i64) -> Vec<String> {
    let before = stage.mails().len();
    stage.pass_days(days);
    stage.schedule().await;
    stage.work().await;
    stage.mails().into_iter().skip(before).map(|(_, text)| text).collect()
}

fn use_key(stage: &Stage, key: &str) {
    stage.world(|world| world.use_key(key, "s3", "eu-west-1"));
}

#[tokio::test]
async fn reminders_ask_whether_the_new_key_has_been_installed_until_it_has_been_used() {
    let stage = Stage::new().await;
    let old = stage.user(&[KeySpec::aged(90).used_days_ago(0)]).remove(0);
    let [told] = &mails_after(&stage, 0).await[..] else { panic!("one mail") };
    assert!(!told.contains(NOT_YET), "who has just been told has had no time to: {told}");
    let new = stage.published_key().expect("a successor");

    let [reminded] = &mails_after(&stage, 3).await[..] else { panic!("one mail") };
    assert!(reminded.contains(&format!("The new key, {new}, {NOT_YET}")), "{reminded}");
    use_key(&stage, &old);
    let [reminded] = &mails_after(&stage, 4).await[..] else { panic!("one mail") };
    assert!(reminded.contains(NOT_YET), "that the old one is used proves nothing: {reminded}");
    use_key(&stage, &new);
    let [reminded] = &mails_after(&stage, 2).await[..] else { panic!("one mail") };
    assert!(reminded.contains(&format!("The new key, {new}, {IN_USE}")), "{reminded}");
    assert!(!reminded.contains(NOT_YET));
}

#[tokio::test]
async fn a_users_status_says_of_each_key_how_it_stands_and_whether_the_new_one_is_installed() {
    let stage = Stage::new().await;
    let old = stage.user(&[KeySpec::aged(90).used_days_ago(1)]).remove(0);
    let before = status(&stage).await;
    assert_eq!((before.keys.len(), before.keys[0].installed, before.publication_read), (1, None, false));
    mails_after(&stage, 0).await;
    let new = stage.published_key().expect("a successor");

    let during = status(&stage).await;
    let [previous, successor] = &during.keys[..] else { panic!("two keys") };
    assert_eq!((previous.access_key_id.as_str(), previous.installed, previous.usage), (&*old, None, Usage::Used));
    let recorded = previous.recorded.as_ref().expect("its owner was told");
    assert_eq!(recorded.what, RecordedAs::ToBeDisabled);
    assert_eq!(successor.access_key_id.as_str(), new);
    assert_eq!((successor.published, successor.installed), (Some(true), Some(InstalledCell::NotYet)));
    let text = during.to_string();
    assert!(text.contains("not used yet: has it been installed?; published"), "{text}");
    let until = recorded.until.expect("a date").strftime("%Y-%m-%d");
    assert!(text.contains(&format!("to be disabled on {until} at the earliest")), "{text}");

    use_key(&stage, &new);
    assert_eq!(status(&stage).await.keys[1].installed, Some(InstalledCell::Yes));
    mails_after(&stage, 10).await;
    let after = status(&stage).await;
    assert_eq!((after.keys[0].status, after.keys[1].installed), (KeyStatus::Inactive, Some(InstalledCell::Yes)));
    assert_eq!(after.keys[0].recorded.as_ref().map(|recorded| recorded.what), Some(RecordedAs::Disabled));
}

#[tokio::test]
async fn what_cannot_be_read_is_not_known_and_no_never() {
    let stage = Stage::new().await;
    stage.user(&[KeySpec::aged(90)]);
    mails_after(&stage, 0).await;
    stage.world(|world| world.faults.deny(ACCOUNT, "iam:GetAccessKeyLastUsed", Some(USER)));
    let status = status(&stage).await;
    let installed: Vec<_> = status.keys.iter().map(|key| (key.usage, key.installed)).collect();
    assert_eq!(installed, [(Usage::Unknown, None), (Usage::Unknown, Some(InstalledCell::Unknown))]);
    assert_eq!(status.problems().len(), 2);
    assert!(!status.to_string().contains("not used yet") && !status.to_string().contains("never"), "{status}");
}

#[tokio::test]
async fn a_user_that_is_not_there_and_an_account_that_cannot_be_entered_are_told_apart() {
    let stage = Stage::new().await;
    assert!(
        matches!(status_of(&stage, "nobody").await, Err(CommandError::Usage(why)) if why.contains("no user nobody"))
    );
    stage.user(&[KeySpec::aged(1)]);
    stage.world(|world| world.faults.deny(ACCOUNT, "iam:ListAccessKeys", None));
    assert!(matches!(status_of(&stage, USER).await, Err(CommandError::Failed(_))));
}
