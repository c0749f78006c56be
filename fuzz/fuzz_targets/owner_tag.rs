//! An owner tag's value. The file that reads it stands alone, so the worker with its SDK need not be built.
#![no_main]

#[allow(dead_code, reason = "the worker uses more of it")]
#[path = "../../worker/src/notices/address.rs"]
mod address;
#[path = "../../worker/tests/notices/owner_tags/property.rs"]
mod property;

use address::read_owner_tag;

libfuzzer_sys::fuzz_target!(|text: &str| property::owner_tag(text));
