//! Text for one line: what others wrote (account names, tags, user names) made harmless, dates, counts.
//!
//! Escaping for HTML is the template engine's business and happens there, once. Here goes what no escaping takes care of:
//! line breaks (mail headers, forged lines in a text mail) and characters that turn the reading direction around.

use jiff::Timestamp;

/// Longest texts, in characters: an error, a finding (which may quote tags, and what AWS says), a subject (an account's name can make it
/// long), the name of a service or region.
pub const ERROR_LENGTH: usize = 300;
pub const FINDING_LENGTH: usize = 600;
pub const SUBJECT_LENGTH: usize = 250;
pub const PLACE_LENGTH: usize = 64;

/// The text on one line: control characters and what reorders or hides text become spaces, runs of white space become one,
/// and at most so many characters stay.
pub fn one_line(text: &str, at_most: usize) -> String {
    let mut line = String::new();
    let mut kept = 0;
    for word in text.split(|c: char| c.is_whitespace() || is_hostile(c)).filter(|word| !word.is_empty()) {
        for c in (kept > 0).then_some(' ').into_iter().chain(word.chars()) {
            if kept == at_most {
                line.push('…');
                return line;
            }
            line.push(c);
            kept += 1;
        }
    }
    line
}

/// Control characters, line and paragraph separators, bidirectional controls (UAX #9), zero-width characters.
fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
        )
}

/// `2026-12-07 02:00 UTC`.
pub fn exact(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// `2026-12-07`.
pub fn date(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d").to_string()
}

/// `1 key`, `2 keys`.
pub fn counted(count: usize, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_breaks_and_control_characters_become_one_space() {
        assert_eq!(one_line("prod\r\nBcc: x@example.com\0\u{2028}end", 80), "prod Bcc: x@example.com end");
    }

    #[test]
    fn characters_that_turn_text_around_or_hide_it_are_taken_out() {
        assert_eq!(one_line("a\u{202e}b\u{2066}c\u{200b}d", 80), "a b c d");
    }

    #[test]
    fn ordinary_text_in_any_script_stays_as_it_is() {
        assert_eq!(one_line("Zahlungsverkehr Köln 支付", 80), "Zahlungsverkehr Köln 支付");
    }

    #[test]
    fn long_text_is_cut_by_characters_and_says_so() {
        assert_eq!(one_line("ääää", 3), "äää…");
        assert_eq!(one_line("äää", 3), "äää");
    }
}
