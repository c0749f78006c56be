//! What comes from outside: the texts that coverage-guided fuzzing found (`fuzz/corpus/`), each tried again on every run.

mod properties;

use std::fs;
use std::path::Path;

/// Tries a property on every text of a target's corpus.
fn replay(target: &str, property: fn(&str)) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut tried = 0;
    for file in files {
        let path = file.expect("a file of the corpus").path();
        let bytes = fs::read(&path).expect("a file of the corpus");
        // Bytes that are no text reach no parser: neither SQS nor IAM passes them on.
        if let Ok(text) = std::str::from_utf8(&bytes) {
            property(text);
            tried += 1;
        }
    }
    assert!(tried >= 20, "{}: only {tried} texts", folder.display());
    println!("{target}: {tried} texts");
}

#[test]
fn a_message_is_read_as_what_it_says_or_refused_in_one_line() {
    replay("message", properties::message);
}

#[test]
fn no_tag_of_the_tools_own_is_passed_over() {
    replay("user_tags", properties::user_tags);
}

#[test]
fn an_intent_says_what_it_says_when_it_is_written_back() {
    replay("intent", properties::intent);
}

#[test]
fn a_name_is_one_or_is_none_by_awss_own_words() {
    replay("ids", properties::ids);
}
