//! The query protocol's form bodies, and percent-encoding, which paths share with them.

use std::collections::BTreeMap;

/// Decodes a form body: `Action=ListUsers&MaxItems=10`.
pub fn parse_form(body: &str) -> BTreeMap<String, String> {
    body.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name, true), decode(value, true))
        })
        .collect()
}

/// Undoes percent-encoding; `plus_is_space` as in forms. What is not valid UTF-8 becomes U+FFFD.
pub fn decode(text: &str, plus_is_space: bool) -> String {
    if !text.contains(['%', '+']) {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        match (first, hex_pair(after)) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            (b'+', _) if plus_is_space => bytes.push(b' '),
            (other, _) => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex_pair(bytes: &[u8]) -> Option<u8> {
    let digit = |index: usize| bytes.get(index).and_then(|byte| char::from(*byte).to_digit(16));
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

/// The values of a list parameter: `Filter.member.1`, `Filter.member.2`, …
pub fn members<'a>(form: &'a BTreeMap<String, String>, list: &str) -> Vec<&'a str> {
    (1..).map_while(|n| form.get(&format!("{list}.member.{n}")).map(String::as_str)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_decoded() {
        let form = parse_form("Action=TagUser&UserName=a%2Bb%40c.d&Note=x+y&Empty=&Bad=%zz&Umlaut=%C3%A4");
        assert_eq!(form["UserName"], "a+b@c.d");
        assert_eq!(form["Note"], "x y");
        assert_eq!(form["Empty"], "");
        assert_eq!(form["Bad"], "%zz");
        assert_eq!(form["Umlaut"], "ä");
    }

    #[test]
    fn list_members_are_read_in_order_up_to_the_first_gap() {
        let form = parse_form("F.member.1=a&F.member.2=b&F.member.4=d");
        assert_eq!(members(&form, "F"), ["a", "b"]);
    }
}
