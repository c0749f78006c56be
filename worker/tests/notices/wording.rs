//! The mails themselves, as texts to be read: a change of wording shows up as a change here.

use rotation::plan::NoticeKind;
use worker::notices::item::{Digest, Event};
use worker::notices::{MailSettings, Notices, RecipientClass, sample};

use crate::support::{digest, in_days, key, monday, notices, now, only_mail, replaced, settings};

#[test]
fn one_replaced_key_in_enforcement() {
    let mail = only_mail(&digest(&[replaced()]));
    insta::assert_snapshot!(format!("Subject: {}\n\n{}", mail.subject, mail.text));
}

#[test]
fn one_replaced_key_in_audit() {
    let mail = only_mail(&sample::one_key(monday(), true));
    insta::assert_snapshot!(format!("Subject: {}\n\n{}", mail.subject, mail.text));
}

#[test]
fn every_event_in_enforcement() {
    let mail = account_mail(&sample::every_event_at(now(), false));
    insta::assert_snapshot!(mail);
}

#[test]
fn every_event_in_audit() {
    let mail = account_mail(&sample::every_event_at(monday(), true));
    insta::assert_snapshot!(mail);
}

#[test]
fn the_administrators_summary() {
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
        let escaped = command.trim().replace('\'', "&#x27;").replace('/', "&#x2f;");
        assert!(html.contains(&escaped), "{command}");
    }
}

#[test]
fn a_contained_key_is_not_offered_to_be_re_enabled() {
    let mail = only_mail(&digest(&[Event::Contained]));
    assert!(mail.text.contains("get-secret-value") && !mail.text.contains("--status Active"));
}

#[test]
fn nobody_is_told_to_fetch_a_key_that_is_not_in_the_secret() {
    let by_hand = Event::Noticed { kind: NoticeKind::Replaced { by: Some(key(7)) }, disable_due: Some(in_days(10)) };
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
    let mut alone = digest(&[Event::Contained]);
    alone.items[0].secret.publishes = None;
    assert!(!only_mail(&alone).text.contains("get-secret-value"), "there is nothing to fetch yet");
    let mut both = digest(&[Event::Contained, Event::Rotated { by: Some(key(7)), disable_due: None }]);
    for item in &mut both.items {
        item.secret.publishes = None;
    }
    let text = only_mail(&both).text;
    assert!(text.contains("Install the new key, AKIAIOSF0007EXAMPLE7, now."), "{text}");
}

#[test]
fn what_has_stopped_working_and_what_will_are_told_apart_at_a_glance() {
    let mail = only_mail(&digest(&[Event::Disabled { delete_due: in_days(10) }, replaced(), Event::Deleted]));
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
