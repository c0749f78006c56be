//! Recipients that SES would not deliver to: nobody counts as told by a mail to them.

use end_to_end::scenario::{publish, remember};
use end_to_end::{ACCOUNT, OWNER, Stage, USER, secret};
use sandbox::KeySpec;
use sandbox::faults::{Calls, Fault, Rule};
use sandbox::serve::REGION;
use sandbox::world::MANAGEMENT_ACCOUNT;

use crate::{LEADER, new_mails, run_to_the_end};

/// SES does not deliver to these any more.
fn suppress(stage: &Stage, addresses: &[&str]) {
    stage.world(|world| {
        let now = world.now();
        for address in addresses {
            world.mail.suppress(now, MANAGEMENT_ACCOUNT, REGION, address);
        }
    });
}

#[tokio::test]
async fn where_ses_would_not_deliver_to_an_owner_the_accounts_address_is_told_and_the_administrator_hears_of_it() {
    let stage = Stage::new().await;
    let old = stage.user(&[KeySpec::aged(95)]).remove(0);
    stage.world(|world| world.tag_user(ACCOUNT, USER, "owner", LEADER));
    suppress(&stage, &[LEADER]);
    let mut settings = stage.settings_with_owner_tag();
    settings.mail.admin = Some("admin@example.org".to_owned());
    stage.schedule().await;
    stage.work_with(&settings).await;
    let text = stage.mails().pop().expect("the administrator's").1;
    assert!(text.contains("the mail to the owner was not sent: the address is on SES's suppression list"), "{text}");
    let told: Vec<String> = new_mails(&stage).into_iter().map(|(to, _)| to).collect();
    assert_eq!(told, [OWNER, "admin@example.org"]);
    assert!(stage.state_of(&old).is_some_and(|state| state.starts_with("notified=")));
    assert_eq!(stage.waiting(), 0);
}

#[tokio::test]
async fn an_owners_address_that_ses_calls_malformed_is_not_told_though_it_takes_the_mail() {
    let stage = Stage::new().await;
    let old = stage.user(&[KeySpec::aged(95)]).remove(0);
    stage.world(|world| {
        world.tag_user(ACCOUNT, USER, "owner", LEADER);
        world.mail.knobs.malformed = vec![LEADER.to_owned()];
    });
    let mut settings = stage.settings_with_owner_tag();
    settings.mail.admin = Some("admin@example.org".to_owned());
    stage.schedule().await;
    stage.work_with(&settings).await;
    let text = stage.mails().pop().expect("the administrator's").1;
    assert!(text.contains("the mail to the owner was not sent: SES does not take the recipient's address"), "{text}");
    let told: Vec<String> = new_mails(&stage).into_iter().map(|(to, _)| to).collect();
    assert_eq!(told, [OWNER, "admin@example.org"], "the account's address stands in");
    assert!(stage.is_told(&old));

    let stage = Stage::new().await;
    let old = stage.user(&[KeySpec::aged(95)]).remove(0);
    stage.world(|world| world.mail.knobs.malformed = vec![OWNER.to_owned()]);
    run_to_the_end(&stage).await;
    assert_eq!(new_mails(&stage), []);
    assert!(!stage.is_told(&old), "nobody is left");
    assert_eq!(stage.dead_letters().await.len(), 1);
}

#[tokio::test]
async fn where_ses_would_deliver_to_nobody_no_clock_starts_and_a_dead_letter_says_so() {
    let stage = Stage::new().await;
    let old = stage.user(&[KeySpec::aged(95)]).remove(0);
    stage.world(|world| world.tag_user(ACCOUNT, USER, "owner", LEADER));
    suppress(&stage, &[LEADER, OWNER]);
    for _ in 0..15 {
        stage.schedule().await;
        stage.work_with(&stage.settings_with_owner_tag()).await;
        stage.pass_days(1);
    }
    assert_eq!(new_mails(&stage), []);
    assert!(!stage.is_told(&old));
    assert!(stage.keys().contains(&(old, true)), "nobody has been told");
    let dead = stage.dead_letters().await;
    assert!(dead[0].1.contains("suppression list") && !dead[0].1.contains('@'), "{dead:?}");
}

#[tokio::test]
async fn a_deletion_that_nobody_can_be_told_is_a_dead_letter_in_each_run_until_somebody_can() {
    let stage = Stage::new().await;
    let old = stage.user(&[KeySpec::aged(120).inactive(), KeySpec::aged(15).used_days_ago(1)]).remove(0);
    remember(&stage, &old, "disabled", 11);
    suppress(&stage, &[OWNER]);
    for runs in 1..=2 {
        stage.run().await;
        assert_eq!((stage.keys().len(), stage.waiting()), (1, 0), "it is deleted on its day");
        let dead = stage.dead_letters().await;
        assert_eq!(dead.len(), runs, "{dead:?}");
        assert_eq!((dead[0].0.as_str(), new_mails(&stage).len()), ("Undeliverable", 0));
        stage.pass_days(1);
    }
    stage.world(|world| world.mail.unsuppress(MANAGEMENT_ACCOUNT, REGION, OWNER));
    stage.run().await;
    let subject = format!("No action needed: access key of {USER} deleted");
    assert_eq!(new_mails(&stage), [(OWNER.to_owned(), subject)]);
    assert_eq!(stage.dead_letters().await.len(), 2);
}

/// Its letter says that nobody is told: what can still be done for the account's other users is not given up with it.
#[tokio::test]
async fn a_deletion_that_nobody_can_be_told_ends_no_message_while_another_user_is_tried_again() {
    let stage = Stage::new().await;
    let old = stage.user(&[KeySpec::aged(120).inactive(), KeySpec::aged(15).used_days_ago(1)]).remove(0);
    remember(&stage, &old, "disabled", 11);
    stage.user_named("other", &[KeySpec::aged(95)]);
    suppress(&stage, &[OWNER]);
    let calls = Calls::new("iam:CreateAccessKey");
    stage.world(|world| world.faults.add(Rule { calls, fault: Fault::Throttle, rate: 1.0, times: None }));
    stage.run().await;
    assert_eq!((stage.keys().len(), stage.waiting()), (1, 1), "deleted, and the other user is tried again");
    assert_eq!(stage.dead_letters().await, []);
    stage.world(|world| world.faults.rules.clear());
    stage.pass(jiff::SignedDuration::from_mins(16));
    stage.work().await;
    assert_eq!(stage.keys_of("other").len(), 2, "what could be done is done");
    let dead = stage.dead_letters().await;
    assert!(dead.len() == 1 && dead[0].0 == "Undeliverable" && stage.waiting() == 0, "{dead:?}");
}

#[tokio::test]
async fn what_is_found_once_and_nobody_can_be_told_is_a_dead_letter() {
    let stage = Stage::new().await;
    let keys = stage.user(&[KeySpec::aged(101).used_days_ago(1), KeySpec::aged(11)]);
    remember(&stage, &keys[0], "notified", 11);
    publish(&stage, &keys[1]);
    // Right before the disable it shows that the owner cannot read the secret.
    let delete = stage.session().await.secrets_manager().delete_secret().secret_id(secret()).send().await;
    delete.expect("it is scheduled for deletion");
    suppress(&stage, &[OWNER]);
    stage.run().await;
    assert!(stage.keys().iter().all(|(_, active)| *active) && stage.waiting() == 0);
    let dead = stage.dead_letters().await;
    assert!(dead.len() == 1 && dead[0].0 == "Undeliverable", "no later run finds it: {dead:?}");
}

#[tokio::test]
async fn whether_ses_would_deliver_is_unknown_without_the_right_to_ask_and_unknown_is_not_told() {
    let stage = Stage::new().await;
    let old = stage.user(&[KeySpec::aged(95)]).remove(0);
    stage.world(|world| world.faults.deny(MANAGEMENT_ACCOUNT, "ses:GetSuppressedDestination", None));
    run_to_the_end(&stage).await;
    assert_eq!(new_mails(&stage), []);
    assert!(!stage.is_told(&old));
    let dead = stage.dead_letters().await;
    assert!(dead[0].1.contains("ses:GetSuppressedDestination"), "{dead:?}");
}

#[tokio::test]
async fn a_proxys_page_instead_of_an_answer_says_nothing_about_whether_ses_would_deliver() {
    let stage = Stage::new().await;
    let old = stage.user(&[KeySpec::aged(95)]).remove(0);
    suppress(&stage, &[OWNER]);
    let calls = Calls::new("ses:GetSuppressedDestination");
    stage.world(|world| world.faults.add(Rule { calls, fault: Fault::ProxyAnswer, rate: 1.0, times: None }));
    run_to_the_end(&stage).await;
    assert!(!stage.is_told(&old));
    let dead = stage.dead_letters().await;
    assert!(dead[0].1.contains("ses:GetSuppressedDestination"), "{dead:?}");
}

#[tokio::test]
async fn what_is_found_once_and_ses_takes_no_mail_about_just_now_is_a_dead_letter_that_tells_it() {
    // Once, and for longer; with another user of the account that is to be tried again.
    for (fault, times, letters) in [(Fault::ProxyAnswer, Some(1), 0), (Fault::Throttle, None, 1)] {
        let stage = Stage::new().await;
        let keys = stage.user(&[KeySpec::aged(101).used_days_ago(1), KeySpec::aged(11)]);
        remember(&stage, &keys[0], "notified", 11);
        publish(&stage, &keys[1]);
        stage.user_named("other", &[KeySpec::aged(95)]);
        let delete = stage.session().await.secrets_manager().delete_secret().secret_id(secret()).send().await;
        delete.expect("it is scheduled for deletion");
        stage.world(|world| {
            let rule = |action, fault, times| Rule { calls: Calls::new(action), fault, rate: 1.0, times };
            world.faults.add(rule("ses:SendEmail", fault, times));
            world.faults.add(rule("iam:CreateAccessKey", Fault::Throttle, Some(1)));
        });
        stage.run().await;
        let dead = stage.dead_letters().await;
        let quoted = dead.iter().filter(|(kind, why, _)| kind == "Undeliverable" && why.contains(USER)).count();
        assert_eq!(quoted, letters, "{dead:?}");
        let mails = new_mails(&stage);
        assert_eq!(mails.iter().any(|(_, subject)| subject.contains(USER)), letters == 0, "{mails:?}");
    }
}

#[tokio::test]
async fn in_ses_own_sandbox_a_refused_owner_is_not_told_by_the_accounts_address() {
    let stage = Stage::new().await;
    let old = stage.user(&[KeySpec::aged(95)]).remove(0);
    stage.world(|world| {
        world.tag_user(ACCOUNT, USER, "owner", LEADER);
        world.mail.knobs.production_access = false;
        world.mail.verify(MANAGEMENT_ACCOUNT, REGION, OWNER);
    });
    stage.schedule().await;
    stage.work_with(&stage.settings_with_owner_tag()).await;
    assert_eq!(new_mails(&stage).len(), 1, "the account's");
    assert!(!stage.is_told(&old));
    assert_eq!(stage.waiting(), 1, "it will be tried again");

    stage.world(|world| world.mail.knobs.production_access = true);
    stage.pass(jiff::SignedDuration::from_mins(15));
    stage.work_with(&stage.settings_with_owner_tag()).await;
    assert!(stage.state_of(&old).is_some_and(|state| state.starts_with("notified=")));
}
