//! Owner tags, which anybody may write: the texts that fuzzing found (`fuzz/corpus/owner_tag/`), each tried again on every run.

mod property;

use std::fs;
use std::path::Path;

use worker::notices::address::read_owner_tag;

#[test]
fn every_address_of_an_owner_tag_stands_in_it_whole() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/owner_tag");
    let mut tried = 0;
    for file in fs::read_dir(&folder).expect("the corpus") {
        let bytes = fs::read(file.expect("a file of the corpus").path()).expect("a file of the corpus");
        if let Ok(text) = std::str::from_utf8(&bytes) {
            property::owner_tag(text);
            tried += 1;
        }
    }
    assert!(tried >= 20, "only {tried} texts");
}
