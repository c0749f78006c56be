//! The mails themselves, as texts to be read: a change of wording shows up as a change here.

use rotation::LastUse;
use rotation::plan::NoticeKind;
use worker::notices::item::{Digest, News};
use worker::notices::{MailSettings, Notices, RecipientClass, sample};

use crate::support::{digest, in_days, key, monday, notices, now, only_mail, replaced, settings};

#[test]
fn a_replaced_key_says_what_to_install_and_by_when() {
    let mail = only_mail(&digest(&[replaced()]));
    insta::assert_snapshot!(format!("Subject: {}\n\n{}", mail.subject, mail.text));
}

#[test]
fn an_audit_says_that_no_key_was_replaced() {
    let mail = only_mail(&sample::one_key(monday(), true));
    insta::assert_snapshot!(format!("Subject: {}\n\n{}", mail.subject, mail.text));
}

#[test]
fn every_event_is_told_in_enforcement() {
    let mail = account_mail(&sample::every_event_at(now(), false));
    insta::assert_snapshot!(mail);
}

#[test]
fn every_event_is_told_in_audit() {
    let mail = account_mail(&sample::every_event_at(monday(), true));
    insta::assert_snapshot!(mail);
}

#[test]
fn the_administrator_is_told_what_needs_attention() {
    let settings =
        MailSettings { admin: Some("admin@example.com".to_owned()), owner_tag: Some("owner".to_owned()), ..settings() };
    let notices = Notices::new(settings, None, rotation::names::Partition::AWS).unwrap();
    let mails = notices.render_all(&sample::every_event_at(now(), false)).unwrap();
    let summary = mails.iter().find(|mail| mail.recipient == RecipientClass::Administrator).unwrap();
    insta::assert_snapshot!(format!("Subject: {}\n\n{}", summary.subject, summary.text));
}

#[test]
fn the_html_of_one_replaced_key() {
    insta::assert_snapshot!(only_mail(&digest(&[replaced()])).html);
}

#[test]
fn audit_says_would_and_offers_nothing_to_fetch_or_to_re_enable() {
    let mail = account_mail(&sample::every_event_at(monday(), true));
    for promise in ["was created and stored", "get-secret-value", "update-access-key", "Install the new key"] {
        assert!(!mail.contains(promise), "{promise}: {mail}");
    }
}

#[test]
fn both_parts_say_the_same_of_every_key() {
    let mut digest = sample::every_event_at(now(), false);
    // As many as the HTML part tells in full.
    digest.items.truncate(10);
    let mail = &notices().render_all(&digest).unwrap()[0];
    for item in &digest.items {
        let user = item.user.as_str();
        assert!(mail.html.contains(user) && mail.text.contains(user), "{user}");
    }
    // Each word of a command is in one piece.
    let html = mail.html.replace("<span>", "").replace("</span>", "");
    for command in mail.text.lines().filter(|line| line.starts_with("    aws ")) {
        let escaped = command.trim().replace('\'', "&#x27;").replace('/', "&#x2f;").replace('"', "&quot;");
        assert!(html.contains(&escaped), "{command}");
    }
}

#[test]
fn a_contained_key_is_not_offered_to_be_re_enabled() {
    let mail = only_mail(&digest(&[News::Contained]));
    assert!(mail.text.contains("get-secret-value") && !mail.text.contains("--status Active"));
}

/// The replaced key works, is disabled, contained or deleted; the user has another one or not; there is a reader or not.
#[test]
fn the_mail_says_who_can_fetch_the_new_key_in_the_case_at_hand_and_gives_no_command_that_nobody_can_run() {
    let reader = "arn:aws:iam::123456789012:role/KeyReaders";
    let all = [
        (replaced(), true),
        (News::Disabled { delete_due: in_days(10) }, false),
        (News::Contained, false),
        (News::Rotated { successor: Some(key(99)), disable_due: None }, false),
        (News::Deleted, false),
    ];
    for (news, works) in all {
        for has_other in [true, false] {
            for readers in [vec![], vec![reader.to_owned()], vec![format!("{reader}-*")]] {
                let mut digest = digest(std::slice::from_ref(&news));
                let secret = &mut digest.items[0].secret;
                (secret.user_has_other_key, secret.readers) = (has_other, readers.clone());
                let text = only_mail(&digest).text;
                let case = format!("{news:?}, other key {has_other}, {readers:?}:\n{text}");
                assert_eq!(text.contains("Run it as the user"), works || has_other, "{case}");
                assert_eq!(text.contains("with its other key"), !works && has_other, "{case}");
                assert_eq!(text.contains(reader), !readers.is_empty(), "{case}");
                let can_fetch = works || has_other || !readers.is_empty();
                assert_eq!(text.contains("get-secret-value"), can_fetch, "{case}");
                assert_eq!(text.contains("aws configure import"), can_fetch, "{case}");
                assert_eq!(text.contains("answer this mail: whoever runs"), !can_fetch, "{case}");
            }
        }
    }
}

#[test]
fn many_contained_keys_that_nobody_can_fetch_come_with_no_command() {
    let mut digest = sample::many_keys_at(now(), false, 12);
    for item in &mut digest.items {
        (item.news, item.secret.readers) = (News::Contained, Vec::new());
    }
    assert!(!account_mail(&digest).contains("get-secret-value"));
    for item in &mut digest.items {
        item.secret.readers = vec!["arn:aws:iam::123456789012:role/KeyReaders".to_owned()];
    }
    let text = account_mail(&digest);
    assert!(text.contains("role arn:aws:iam::123456789012:role/KeyReaders") && text.contains("User_USER"), "{text}");
}

#[test]
fn somebody_who_sends_mail_by_smtp_is_told_of_the_password() {
    let mut digest = digest(&[replaced()]);
    digest.items[0].key.as_mut().expect("a key").last_use =
        LastUse::At { when: now(), service: "ses".to_owned(), region: "eu-west-1".to_owned() };
    assert!(only_mail(&digest).text.contains("have the user tagged with key-rotation:smtp-regions"));
    digest.items[0].secret.smtp_regions = vec!["eu-west-1".to_owned()];
    assert!(only_mail(&digest).text.contains("SmtpPasswords holds the password of SES's SMTP interface in eu-west-1"));
}

#[test]
fn nobody_is_told_to_fetch_a_key_that_is_not_in_the_secret() {
    let by_hand =
        News::Noticed { kind: NoticeKind::Replaced { successor: Some(key(7)) }, disable_due: Some(in_days(10)) };
    let mut digest = digest(&[by_hand]);
    for publishes in [None, digest.items[0].key.as_ref().map(|key| key.id.clone())] {
        digest.items[0].secret.publishes = publishes;
        let text = only_mail(&digest).text;
        assert!(!text.contains("get-secret-value") && !text.contains("Install the new key"), "{text}");
        assert!(text.contains("It is not in AWS Secrets Manager: somebody created it by hand"), "{text}");
    }
    digest.items[0].secret.publishes = Some(key(7));
    let text = only_mail(&digest).text;
    assert!(text.contains("get-secret-value") && text.contains("Install the new key"), "{text}");
}

#[test]
fn a_contained_key_whose_replacement_is_made_in_the_same_run_is_told_with_it() {
    let mut alone = digest(&[News::Contained]);
    alone.items[0].secret.publishes = None;
    assert!(!only_mail(&alone).text.contains("get-secret-value"), "there is nothing to fetch yet");
    let mut both = digest(&[News::Contained, News::Rotated { successor: Some(key(7)), disable_due: None }]);
    for item in &mut both.items {
        item.secret.publishes = None;
    }
    let text = only_mail(&both).text;
    assert!(text.contains("Install the new key, AKIAIOSF0007EXAMPLE7, now."), "{text}");
}

#[test]
fn what_has_stopped_working_and_what_will_are_told_apart_at_a_glance() {
    let mail = only_mail(&digest(&[News::Disabled { delete_due: in_days(10) }, replaced(), News::Deleted]));
    for badge in ["Stopped working", "Stops working in 10 days", "Deleted"] {
        assert!(mail.html.contains(&format!("\">{badge}</p>")), "{badge}");
        assert!(mail.text.contains(&format!("[{}] ", badge.to_uppercase())), "{badge}");
    }
}

fn account_mail(digest: &Digest) -> String {
    let mails = notices().render_all(digest).expect("it renders");
    let mail = mails.iter().find(|mail| mail.recipient == RecipientClass::Account).expect("the account has an address");
    format!("Subject: {}\n\n{}", mail.subject, mail.text)
}
