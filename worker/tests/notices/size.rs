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
