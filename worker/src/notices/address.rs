//! E-mail addresses as people write them into a tag.
//!
//! IAM allows in a tag's value only letters, digits, white space and `_.:/=+-@`: several addresses cannot be separated by a
//! comma or a semicolon there. So white space and `:` separate as well, and `/` does where there is an address on either
//! side of it (a lone `/` is legal inside an address, if rare; `=` is too, and never separates: half an address would be
//! somebody else's).

/// An address a mail can be sent to.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// Takes an address that looks like one: `local@domain`, ASCII, lengths as in RFC 5321, a domain of at least two labels.
    pub fn parse(text: &str) -> Option<Self> {
        let written = text.trim();
        let (local, domain) = written.rsplit_once('@')?;
        let valid = written.len() <= 254 && is_local(local) && is_domain(domain);
        valid.then(|| Self(written.to_owned()))
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether both are the same mailbox, as far as can be told: whoever writes `Jo@` and `jo@` means one.
    pub fn is_same(&self, other: &Address) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

/// Addresses never get into logs, so not into `Debug` either.
impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Address(…)")
    }
}

/// RFC 5322 dot-atom, at most 64 long.
fn is_local(local: &str) -> bool {
    let is_atom = |atom: &str| {
        !atom.is_empty() && atom.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
    };
    local.len() <= 64 && local.split('.').all(is_atom)
}

fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    domain.contains('.') && domain.split('.').all(is_label)
}

/// What an owner tag holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OwnerTag {
    /// The addresses in it, each once.
    pub addresses: Vec<Address>,
    /// Whether it holds a malformed address, or no address at all.
    pub is_bad: bool,
}

/// Reads an owner tag's value. Words without `@` beside an address are taken for a name (`Jo Doe jo@example.com`).
pub fn read_owner_tag(value: &str) -> OwnerTag {
    let mut tag = OwnerTag::default();
    let words = value.split(|c: char| c.is_whitespace() || [',', ';', ':', '<', '>'].contains(&c));
    for word in words.flat_map(at_slashes).filter(|word| word.contains('@')) {
        match Address::parse(word) {
            Some(address) if !tag.addresses.iter().any(|known| known.is_same(&address)) => tag.addresses.push(address),
            Some(_) => {}
            None => tag.is_bad = true,
        }
    }
    tag.is_bad |= tag.addresses.is_empty();
    tag
}

/// `a@x.com/b@x.com` are two addresses; `a/b@x.com` is one.
fn at_slashes(word: &str) -> Vec<&str> {
    let parts: Vec<&str> = word.split('/').filter(|part| !part.is_empty()).collect();
    if parts.iter().all(|part| part.contains('@')) { parts } else { vec![word] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(value: &str) -> Vec<String> {
        read_owner_tag(value).addresses.iter().map(|a| a.as_str().to_owned()).collect()
    }

    #[test]
    fn several_addresses_may_be_separated_by_whatever_people_use() {
        let two = ["a@example.com", "b@example.com"];
        for value in [
            "a@example.com b@example.com",
            "a@example.com,b@example.com",
            "a@example.com; b@example.com",
            "a@example.com:b@example.com",
            "a@example.com/b@example.com",
            "a@example.com / b@example.com",
            "mailto:a@example.com mailto:b@example.com",
            "Ann a@example.com Bo b@example.com",
            "a@example.com A@EXAMPLE.com b@example.com",
        ] {
            assert_eq!(addresses(value), two, "{value}");
            assert!(!read_owner_tag(value).is_bad, "{value}");
        }
    }

    #[test]
    fn half_an_address_is_never_mailed_to() {
        assert_eq!(addresses("team=a@example.com"), ["team=a@example.com"]);
        assert_eq!(addresses("team/a@example.com"), ["team/a@example.com"]);
    }

    #[test]
    fn a_tag_without_a_usable_address_is_bad() {
        for value in ["", "platform team", "a@", "@example.com", "a@localhost", "a@exa mple.com", "a..b@example.com"] {
            assert!(read_owner_tag(value).is_bad, "{value}");
        }
    }

    #[test]
    fn a_bad_address_beside_a_good_one_is_bad_and_the_good_one_is_used() {
        let tag = read_owner_tag("a@example.com b@@example");
        assert_eq!((tag.addresses.len(), tag.is_bad), (1, true));
    }

    #[test]
    fn an_address_cannot_carry_a_header() {
        assert_eq!(Address::parse("a@example.com\r\nBcc: b@example.com"), None);
        assert_eq!(Address::parse("a@example.com, b@example.com"), None);
        assert_eq!(Address::parse("\"a b\"@example.com"), None);
        assert_eq!(Address::parse("ä@example.com"), None);
    }
}
