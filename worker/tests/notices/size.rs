//! Long mails are folded: Gmail cuts an HTML mail at 102 KB, with whatever comes after it.

use rotation::{AccountId, UserName};
use worker::notices::item::Digest;
use worker::notices::sample;

use crate::support::{monday, now, only_mail};

const GMAIL: usize = 102 * 1024;

fn worst(count: usize) -> Digest {
    let mut digest = sample::many_keys_at(now(), false, count);
    for (n, item) in digest.items.iter_mut().enumerate() {
        // `=` and `/` and quotes would be longer escaped; only `=` occurs in user names, and it is not escaped.
        item.user = UserName::new(format!("{n:064}")).expect("a user name");
        item.secret.location.name = rotation::names::secret_name(&digest.account.id, &item.user);
        item.secret.location.central_account = Some(AccountId::new("210987654321").expect("an account id"));
    }
    digest
}

#[test]
fn a_mail_about_300_keys_with_the_longest_names_stays_under_what_gmail_shows() {
    let mail = only_mail(&worst(300));
    assert!(mail.html.len() < GMAIL, "{} bytes", mail.html.len());
}

#[test]
fn a_mail_about_300_keys_opens_with_a_table_of_all_of_them_in_both_parts() {
    let digest = worst(300);
    let mail = only_mail(&digest);
    for item in &digest.items {
        let key = item.key.as_ref().unwrap().id.as_str();
        assert_eq!(mail.html.matches(&format!("<br>{key}</td>")).count(), 1, "{key}");
        assert!(mail.text.contains(key), "{key}");
    }
    assert!(mail.html.contains("<h2>300 keys</h2>") && !mail.html.contains("class=\"badge"));
    let (table, in_full) =
        mail.text.split_once("The 50 most urgent of them, in full:").expect("a table, then the rest");
    assert!(table.contains("300 KEYS") && in_full.matches("What to do:").count() == 50);
}

#[test]
fn up_to_ten_keys_are_told_in_full_without_a_table() {
    let mail = only_mail(&worst(10));
    assert_eq!(mail.html.matches("class=\"badge").count(), 10);
    assert!(!mail.html.contains("<table"));
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
fn keys_in_a_table_stand_below_what_happened_to_them_with_the_commands_for_any_of_them() {
    let mail = only_mail(&worst(300));
    for sentence in [
        "100 access keys will be disabled on 2026-12-08",
        "100 access keys replaced; they will be disabled on 2026-12-15",
        "100 access keys disabled; they will be deleted on 2026-12-15",
    ] {
        assert!(mail.html.contains(&format!("<caption>{sentence}</caption>")), "{sentence}");
        assert!(mail.text.contains(&format!("{sentence}:\n")), "{sentence}");
    }
    assert!(mail.html.contains("<th scope=\"col\">Will be deleted</th>"));
    assert!(mail.html.contains("secret:Account_123456789012_User_USER_AccessKey"));
    assert!(mail.html.contains("<span>--access-key-id</span> <span>ACCESS_KEY_ID</span>"));
    let audit = only_mail(&Digest { now: monday(), ..sample::many_keys_at(now(), true, 300) });
    assert!(!audit.html.contains("User_USER") && !audit.text.contains("User_USER"), "there is nothing to fetch");
}
