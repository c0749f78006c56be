//! The mails themselves, as texts to be read: a change of wording shows up as a change here.

use worker::notices::item::{Digest, Event};
use worker::notices::{MailSettings, Notices, RecipientClass, sample};

use crate::support::{digest, notices, now, only_mail, replaced, settings};

#[test]
fn one_replaced_key_in_enforcement() {
    let mail = only_mail(&digest(&[replaced()]));
    insta::assert_snapshot!(format!("Subject: {}\n\n{}", mail.subject, mail.text));
}

#[test]
fn one_replaced_key_in_audit() {
    let mail = only_mail(&sample::one_key(now(), true));
    insta::assert_snapshot!(format!("Subject: {}\n\n{}", mail.subject, mail.text));
}

#[test]
fn every_event_in_enforcement() {
    let mail = account_mail(&sample::every_event_at(now(), false));
    insta::assert_snapshot!(mail);
}

#[test]
fn every_event_in_audit() {
    let mail = account_mail(&sample::every_event_at(now(), true));
    insta::assert_snapshot!(mail);
}

#[test]
fn the_administrators_summary() {
    let settings = MailSettings {
        admin: Some("admin@example.com".to_owned()),
        resource_owner_tag: Some("owner".to_owned()),
        ..settings()
    };
    let notices = Notices::new(settings, None, rotation::names::Partition::Aws).unwrap();
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
    let mail = account_mail(&sample::every_event_at(now(), true));
    for promise in ["was made and stored", "get-secret-value", "update-access-key", "Install the new key"] {
        assert!(!mail.contains(promise), "{promise}: {mail}");
    }
}

#[test]
fn both_parts_say_the_same_of_every_key() {
    let mut digest = sample::every_event_at(now(), false);
    // As many as the HTML part tells at length.
    digest.items.truncate(15);
    let mail = &notices().render_all(&digest).unwrap()[0];
    for item in &digest.items {
        let user = item.user.as_str();
        assert!(mail.html.contains(user) && mail.text.contains(user), "{user}");
    }
    // Each word of a command is in one piece.
    let html = mail.html.replace("<span>", "").replace("</span>", "");
    for command in mail.text.lines().filter(|line| line.starts_with("    aws ")) {
        let escaped = command.trim().replace('\'', "&#x27;").replace('/', "&#x2f;");
        assert!(html.contains(&escaped), "{command}");
    }
}

#[test]
fn a_contained_key_is_not_offered_to_be_re_enabled() {
    let mail = only_mail(&digest(&[Event::Contained]));
    assert!(mail.text.contains("get-secret-value") && !mail.text.contains("--status Active"));
}

fn account_mail(digest: &Digest) -> String {
    let mails = notices().render_all(digest).expect("it renders");
    let mail = mails.iter().find(|mail| mail.recipient == RecipientClass::Account).expect("the account has an address");
    format!("Subject: {}\n\n{}", mail.subject, mail.text)
}
