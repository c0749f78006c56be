//! A user's tags.
#![no_main]

#[allow(dead_code, reason = "each target tries one of the properties")]
#[path = "../../rotation/tests/outside/properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|text: &str| properties::user_tags(text));
