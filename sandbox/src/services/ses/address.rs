//! Mail addresses, as far as SES looks at them: which characters they may have, and which domain they belong to. Whether
//! anybody reads what is sent there is another matter.

/// An address without its display name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    local: String,
    domain: String,
}

impl Address {
    /// Reads `ada@example.com` or `Ada <ada@example.com>`; what is wrong comes back as SES words it.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.chars().any(char::is_control) {
            return Err("Local address contains control or whitespace");
        }
        let trimmed = text.trim();
        let bare = match (trimmed.rfind('<'), trimmed.ends_with('>')) {
            (Some(at), true) => &trimmed[at + 1..trimmed.len() - 1],
            (None, false) => trimmed,
            (Some(_), false) | (None, true) => return Err("Illegal address"),
        };
        let (local, domain) = bare.rsplit_once('@').ok_or("Missing final '@domain'")?;
        if local.is_empty() {
            return Err("Missing local name");
        }
        if local.chars().any(char::is_whitespace) {
            return Err("Local address contains control or whitespace");
        }
        if !local.is_ascii() {
            return Err("Local address contains non-ASCII characters");
        }
        let illegal = |c: char| "()<>@,;:\\\"[]".contains(c);
        if local.len() > 64
            || local.contains("..")
            || local.starts_with('.')
            || local.ends_with('.')
            || local.contains(illegal)
        {
            return Err("Illegal address");
        }
        if domain.is_empty() {
            return Err("Missing domain");
        }
        if domain.starts_with('.') {
            return Err("Domain starts with dot");
        }
        let label = |label: &str| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_alphanumeric() || c == '-')
        };
        if !domain.split('.').all(label) {
            return Err("Domain contains illegal character");
        }
        if !domain.contains('.') {
            return Err("Domain contains no dot");
        }
        Ok(Self { local: local.to_owned(), domain: domain.to_ascii_lowercase() })
    }

    /// The address itself, its domain in lower case.
    pub(super) fn bare(&self) -> String {
        format!("{}@{}", self.local, self.domain)
    }

    /// The identities any of which, verified, lets this address send: itself, its domain, and the domains above that.
    pub(super) fn identities(&self) -> impl Iterator<Item = String> {
        let parts: Vec<&str> = self.domain.split('.').collect();
        let domains: Vec<String> = (0..parts.len() - 1).map(|from| parts[from..].join(".")).collect();
        [self.bare().to_lowercase()].into_iter().chain(domains)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_with_and_without_a_display_name() {
        for text in ["ada@Example.com", "Ada L. <ada@example.com>", "\"L, Ada\" <ada@example.com>"] {
            assert_eq!(Address::parse(text).map(|address| address.bare()), Ok("ada@example.com".to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "a da@example.com",
            "ada@.com",
            "ada@exa mple.com",
            "ada@b",
            "a,b@c.d",
            "ada@x.y\r\nBcc: e@f.g",
            "<ada@example.com",
            "ädä@example.com",
        ] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_sends_by_its_own_identity_its_domain_or_one_above() {
        let address = Address::parse("Ada@mail.example.com").expect("an address");
        let identities: Vec<String> = address.identities().collect();
        assert_eq!(identities, ["ada@mail.example.com", "mail.example.com", "example.com"]);
    }
}
