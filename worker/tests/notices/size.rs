//! Long mails are folded: Gmail cuts an HTML mail at 102 KB, with whatever comes after it.

use rotation::{AccountId, UserName};
use worker::notices::item::Digest;
use worker::notices::sample;

use crate::support::{now, only_mail};

const GMAIL: usize = 102 * 1024;

fn worst(count: usize) -> Digest {
    let mut digest = sample::many_keys_at(now(), false, count);
    for (n, item) in digest.items.iter_mut().enumerate() {
        // `=` and `/` and quotes would be longer escaped; only `=` occurs in user names, and it is not escaped.
        item.user = UserName::new(format!("{n:064}")).expect("a user name");
        item.secret.name = rotation::names::secret_name(&digest.account.id, &item.user);
        item.secret.central_account = Some(AccountId::new("210987654321").expect("an account id"));
    }
    digest
}

#[test]
fn a_mail_about_300_keys_with_the_longest_names_stays_under_what_gmail_shows() {
    let mail = only_mail(&worst(300));
    assert!(mail.html.len() < GMAIL, "{} bytes", mail.html.len());
}

#[test]
fn all_300_keys_are_in_both_parts_those_folded_with_their_count() {
    let digest = worst(300);
    let mail = only_mail(&digest);
    for item in &digest.items {
        let key = item.key.as_ref().unwrap().id.as_str();
        assert!(mail.html.contains(key) && mail.text.contains(key), "{key}");
    }
    assert!(mail.html.contains("<h2>285 more</h2>"));
    assert!(mail.text.contains("250 more."));
}

#[test]
fn beyond_what_fits_the_html_says_how_many_more_the_text_has() {
    let digest = worst(1_000);
    let mail = only_mail(&digest);
    assert!(mail.html.len() < GMAIL, "{} bytes", mail.html.len());
    assert!(mail.html.contains("700 more are in the plain text part of this mail."));
    assert!(digest.items.iter().all(|item| mail.text.contains(item.key.as_ref().unwrap().id.as_str())));
}

#[test]
fn a_long_mail_begins_with_a_sentence_for_each_kind_of_news_and_a_short_one_does_not() {
    let mail = only_mail(&worst(300));
    for sentence in [
        "100 access keys will be disabled on 2026-12-08",
        "100 access keys replaced; they will be disabled on 2026-12-15",
        "100 access keys disabled; they will be deleted on 2026-12-15",
    ] {
        let (summary, _) = mail.text.split_once("-----").expect("the keys follow");
        assert!(summary.contains(sentence), "{summary}");
        assert!(mail.html.contains(&format!("<li>{sentence}</li>")), "{sentence}");
    }
    assert!(!only_mail(&worst(3)).text.contains("IN SHORT"));
}

#[test]
fn keys_told_in_a_line_stand_below_what_happened_to_them_with_the_command_for_any_of_them() {
    let mail = only_mail(&worst(300));
    let (_, folded) = mail.html.split_once("285 more").expect("a folded part");
    // 15 of those to be disabled are told at length.
    assert!(folded.contains("<caption>85 access keys will be disabled on 2026-12-08</caption>"), "{folded}");
    assert!(folded.contains("<th scope=\"col\">Will be deleted</th>"));
    assert!(folded.contains("secret:Account_123456789012_User_USER_AccessKey"));
    let audit = only_mail(&sample::many_keys_at(now(), true, 300));
    assert!(!audit.html.contains("User_USER") && !audit.text.contains("User_USER"), "there is nothing to fetch");
}
