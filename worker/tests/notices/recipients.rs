//! Who gets which mail.

use rotation::plan::NoticeKind;
use rotation::{Finding, Upcoming};
use worker::notices::item::{Digest, News};
use worker::notices::{AuditMails, MailSettings, Notices, RecipientClass, RenderedMail};

use crate::support::{digest, in_days, incomplete, mails, replaced, settings, upcoming};

fn with_owners(tags: &[Option<&str>]) -> Digest {
    let mut digest = digest(&vec![replaced(); tags.len()]);
    for (item, tag) in digest.items.iter_mut().zip(tags) {
        item.owner_tag = tag.map(str::to_owned);
    }
    digest
}

fn shape(mails: &[RenderedMail]) -> Vec<(RecipientClass, &str, &[usize])> {
    mails.iter().map(|mail| (mail.recipient, mail.address.as_str(), mail.items.as_slice())).collect()
}

const ACCOUNT: &str = "aws-payments-prod@example.com";

#[test]
fn the_account_is_told_everything_and_an_owner_only_what_concerns_its_users_in_one_mail_each() {
    let digest = with_owners(&[Some("a@example.com"), Some("b@example.com"), Some("a@example.com"), None]);
    assert_eq!(
        shape(&mails(&digest)),
        [
            (RecipientClass::Account, ACCOUNT, &[0, 1, 2, 3][..]),
            (RecipientClass::Owner, "a@example.com", &[0, 2][..]),
            (RecipientClass::Owner, "b@example.com", &[1][..]),
        ]
    );
}

#[test]
fn an_address_that_is_the_accounts_and_an_owners_gets_one_mail_whatever_its_case() {
    let digest = with_owners(&[Some("AWS-Payments-Prod@Example.com"), Some("a@example.com A@EXAMPLE.COM")]);
    assert_eq!(
        shape(&mails(&digest)),
        [(RecipientClass::Account, ACCOUNT, &[0, 1][..]), (RecipientClass::Owner, "a@example.com", &[1][..])]
    );
}

#[test]
fn an_owners_mail_does_not_name_the_keys_of_others() {
    let digest = with_owners(&[Some("a@example.com"), Some("b@example.com")]);
    let mails = mails(&digest);
    let other = digest.items[1].key.as_ref().unwrap().id.as_str();
    assert!(mails[0].text.contains(other) && mails[0].html.contains(other));
    assert!(!mails[1].text.contains(other) && !mails[1].html.contains(other));
}

#[test]
fn a_tag_that_holds_no_address_falls_back_to_the_account_which_is_told_of_the_tag() {
    let digest = with_owners(&[Some("ask the platform team")]);
    let mails = mails(&digest);
    assert_eq!(shape(&mails), [(RecipientClass::Account, ACCOUNT, &[0][..])]);
    assert!(mails[0].text.contains("deploy: ask the platform team"), "{}", mails[0].text);
}

#[test]
fn with_no_address_for_the_account_its_owners_are_still_told() {
    for email in [None, Some("not an address".to_owned())] {
        let mut digest = with_owners(&[Some("a@example.com"), None]);
        digest.account.email = email;
        assert_eq!(shape(&mails(&digest)), [(RecipientClass::Owner, "a@example.com", &[0][..])]);
    }
}

#[test]
fn a_reminder_off_its_day_sends_no_mail_by_itself_and_goes_along_with_any_other() {
    let off_day = upcoming(Upcoming::Disable, 5);
    let mut alone = digest(std::slice::from_ref(&off_day));
    alone.items[0].last_reminded = Some(in_days(-1));
    assert_eq!(mails(&alone), []);
    let mut both = digest(&[off_day, replaced()]);
    both.items[0].last_reminded = Some(in_days(-1));
    assert_eq!(shape(&mails(&both)), [(RecipientClass::Account, ACCOUNT, &[0, 1][..])]);
}

#[test]
fn where_audit_mails_go_to_the_administrator_nobody_else_is_mailed_and_the_administrator_is_told_everything() {
    let settings = MailSettings {
        admin: Some("admin@example.com".to_owned()),
        audit_mails: AuditMails::Administrator,
        audit_run_interval: 7,
        ..settings()
    };
    let notices = Notices::new(settings, None, rotation::names::Partition::AWS).unwrap();
    let enforced = with_owners(&[Some("a@example.com"), None]);
    assert_eq!(notices.render_all(&enforced).unwrap().len(), 2, "it is about audit mode alone");

    let audited = Digest { dry_run: true, ..enforced };
    let mails = notices.render_all(&audited).unwrap();
    assert_eq!(shape(&mails), [(RecipientClass::Administrator, "admin@example.com", &[0, 1][..])]);
    assert_eq!(mails[0].subject, "Access key rotation: 2 keys due in audit mode - payments-prod (123456789012)");
    assert!(!mails[0].text.contains("Its owners are told"), "{}", mails[0].text);
}

#[test]
fn failures_with_the_same_cause_are_told_together_and_the_administrator_is_told_what_to_do() {
    let mut failed = digest(&[replaced()]);
    let denied = |user| incomplete(user, &format!("iam:ListAccessKeys was denied for the user {user}"));
    failed.incomplete = ["ci-runner", "deploy", "reports"].map(denied).to_vec();
    failed.incomplete.insert(1, incomplete("backup", "no answer in time"));
    let settings = MailSettings { admin: Some("admin@example.com".to_owned()), ..settings() };
    let notices = Notices::new(settings, None, rotation::names::Partition::AWS).unwrap();
    let [account, admin] = &notices.render_all(&failed).unwrap()[..] else { panic!("two mails") };
    let advice = rotation::Reason::Denied.advice().text;
    for said in [
        "iam:ListAccessKeys was denied for the user ci-runner\n    ci-runner deploy reports\n",
        "no answer in time\n    backup\n",
    ] {
        assert!(account.text.contains(said) && !account.text.contains(advice), "{}", account.text);
        assert!(admin.text.contains(&format!("{said}    {advice}\n")), "{}", admin.text);
    }
}

#[test]
fn the_administrator_gets_a_summary_of_an_account_with_failures_or_findings_and_of_no_other() {
    let settings = MailSettings { admin: Some("admin@example.com".to_owned()), ..settings() };
    let notices = Notices::new(settings, None, rotation::names::Partition::AWS).unwrap();
    let admins = |digest: &Digest| {
        let mut mails = notices.render_all(digest).unwrap();
        mails.retain(|mail| mail.recipient == RecipientClass::Administrator);
        mails
    };
    assert_eq!(admins(&digest(&[replaced()])), []);

    let found = digest(&[replaced(), News::Finding(Finding::TooManyKeys { count: 3 })]);
    let summary = admins(&found);
    assert_eq!(shape(&summary), [(RecipientClass::Administrator, "admin@example.com", &[1][..])]);
    assert_eq!(summary[0].subject, "Access key rotation: 1 finding - payments-prod (123456789012)");
    assert!(!summary[0].text.contains("Install the new key"));

    let mut failed = digest(&[]);
    failed.incomplete = vec![incomplete("ci-runner", "iam:ListAccessKeys failed")];
    assert!(admins(&failed)[0].text.contains("iam:ListAccessKeys failed\n    ci-runner"));
}

#[test]
fn the_account_is_told_that_its_mail_is_not_the_whole_truth_and_an_owner_is_not_told_of_others() {
    let mut digest = with_owners(&[Some("a@example.com")]);
    digest.incomplete = vec![incomplete("ci-runner", "iam:ListAccessKeys failed")];
    let mails = mails(&digest);
    assert!(mails[0].text.contains("DOES NOT TELL EVERYTHING") && mails[0].html.contains("ci-runner"));
    assert!(!mails[1].text.contains("ci-runner") && !mails[1].html.contains("ci-runner"));
}

#[test]
fn notices_about_keys_are_mailed_on_whatever_day_they_come() {
    let news = News::Noticed { kind: NoticeKind::Retired, disable_due: Some(in_days(10)) };
    assert_eq!(mails(&digest(&[news])).len(), 1);
}
