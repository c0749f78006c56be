//! What must hold of any owner tag: a function of its value, for the fuzz target and for the texts it found.

use super::read_owner_tag;

/// What stands between addresses.
const SEPARATORS: [char; 6] = [',', ';', ':', '<', '>', '/'];

/// Every address read stands in the value whole, each once, fit for a mail's header; and is read again when written back.
pub(crate) fn owner_tag(value: &str) {
    let tag = read_owner_tag(value);
    let addresses: Vec<&str> = tag.addresses.iter().map(|address| address.as_str()).collect();
    for address in &addresses {
        assert!(
            address.bytes().all(|b| b.is_ascii_graphic()) && !address.contains([',', ';', '<', '>', '"']),
            "{address}"
        );
        let whole = value.match_indices(address).any(|(at, found)| {
            let separates = |c: Option<char>| c.is_none_or(|c| c.is_whitespace() || SEPARATORS.contains(&c));
            separates(value[..at].chars().next_back()) && separates(value[at + found.len()..].chars().next())
        });
        assert!(whole, "half an address is somebody else's: {address}");
        let same = addresses.iter().filter(|other| other.eq_ignore_ascii_case(address)).count();
        assert_eq!(same, 1, "{address}");
    }
    assert!(tag.is_bad || !addresses.is_empty(), "nobody to write to is a finding");
    if !addresses.is_empty() {
        let again = read_owner_tag(&addresses.join(" "));
        assert_eq!((again.addresses, again.is_bad), (tag.addresses, false), "written back");
    }
}
