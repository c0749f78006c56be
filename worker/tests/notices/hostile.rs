//! Account names, tags and user names are whatever somebody typed: nothing of it may act in a mail.

use std::sync::LazyLock;

use proptest::prelude::*;
use rotation::{Finding, LastUse, UserName};
use worker::notices::RenderedMail;
use worker::notices::address::read_owner_tag;
use worker::notices::item::{Digest, News};

use crate::support::{digest, incomplete, notices, only_mail, replaced};

const SCRIPT: &str = "<script>alert('x')</script>";

/// A digest that carries one text wherever text of others can be.
fn carrying(text: &str) -> Digest {
    let mut digest = digest(&[
        replaced(),
        News::Finding(Finding::BadRotateAfterDays { value: text.to_owned(), longest: 360, default: 90 }),
        News::Finding(Finding::UnreadableTag { tag: format!("key-rotation:{text}"), value: text.to_owned() }),
    ]);
    digest.account.name = Some(text.to_owned());
    digest.incomplete = vec![incomplete("ci-runner", text)];
    for item in &mut digest.items {
        item.owner_tag = Some(text.to_owned());
        let key = item.key.as_mut().expect("it has a key");
        key.last_use = LastUse::At {
            when: key.created.expect("it has a date"),
            service: text.to_owned(),
            region: text.to_owned(),
        };
    }
    digest
}

fn mail_carrying(text: &str) -> RenderedMail {
    // An owner tag of letters and `@` may happen to be an address: the account's mail comes first.
    notices().render_all(&carrying(text)).expect("it renders").remove(0)
}

#[test]
fn markup_in_names_and_tags_is_shown_and_not_run() {
    let mail = mail_carrying(SCRIPT);
    assert!(!mail.html.contains("<script"), "{}", mail.html);
    assert!(mail.html.contains("&lt;script&gt;"));
    assert!(mail.text.contains(SCRIPT));
}

#[test]
fn quotes_cannot_leave_an_attribute_and_template_syntax_is_text() {
    let mail = mail_carrying(r#"" onmouseover="x' {{ sender_email }} {% raw %}"#);
    assert!(!mail.html.contains(r#"" onmouseover"#));
    assert!(mail.text.contains("{{ sender_email }} {% raw %}"));
}

#[test]
fn line_breaks_in_names_make_no_header_and_no_line_of_their_own() {
    let mail = mail_carrying("prod\r\nBcc: everybody@example.com\r\n\r\nYour keys are fine");
    assert!(!mail.subject.contains(['\r', '\n']));
    assert!(mail.subject.contains("prod Bcc: everybody@example.com"));
    assert!(!mail.text.lines().any(|line| line.starts_with("Bcc") || line.starts_with("Your keys")));
}

#[test]
fn names_in_any_script_stay_readable_and_lose_what_turns_them_around() {
    let mail = mail_carrying("Köln 支付 \u{202e}dorp\u{202c}");
    assert!(mail.subject.ends_with("Köln 支付 dorp (123456789012)"), "{}", mail.subject);
    assert!(mail.html.contains("Köln 支付 dorp"));
}

#[test]
fn the_longest_user_name_is_printed_whole() {
    let mut digest = digest(&[replaced()]);
    let longest = "a,b=c.d@e-f_g+".repeat(5)[..64].to_owned();
    digest.items[0].user = UserName::new(longest.clone()).unwrap();
    let mail = only_mail(&digest);
    assert!(mail.text.contains(&longest) && mail.html.contains(&longest));
    assert!(mail.subject.contains(&longest));
    assert!(mail.text.contains(&format!("--user-name '{longest}'")), "{}", mail.text);
}

#[test]
fn the_longest_account_name_cannot_push_the_subject_beyond_a_line() {
    let mail = mail_carrying(&"x".repeat(5_000));
    assert!(mail.subject.chars().count() <= 251);
}

proptest! {
    #[test]
    fn no_text_of_others_reaches_the_html_unescaped_or_breaks_a_line(text in r#"[<>&"'\PC\r\n\t{}%#]{1,40}"#) {
        static HARMLESS: LazyLock<RenderedMail> = LazyLock::new(|| mail_carrying("harmless"));
        // The texts may not add up to an address, or there is one section less than in the harmless mail.
        prop_assume!(read_owner_tag(&text).is_bad);
        let mail = mail_carrying(&text);
        // Only the templates themselves may open a tag or an attribute: as many as a mail with harmless text has.
        for mark in ['<', '>', '"'] {
            prop_assert_eq!(mail.html.matches(mark).count(), HARMLESS.html.matches(mark).count(), "{}", mail.html);
        }
        prop_assert!(!mail.subject.chars().any(char::is_control));
        prop_assert_eq!(mail.text.lines().count(), HARMLESS.text.lines().count());
    }
}
