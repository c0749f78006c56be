//! What the environment says about the way to AWS: endpoints and proxies. Checked by form before any call, and named where none gets
//! through: whoever has to find out why sees the setting, with its value but without the user name and password in it.

use std::collections::BTreeMap;
use std::fmt;

/// A variable that leads somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Setting {
    variable: String,
    /// The URL, or host and port, without user name and password.
    place: String,
}

impl Setting {
    fn new(variable: String, value: &str) -> Self {
        let (scheme, rest) =
            value.split_once("://").map_or(("", value), |(_, rest)| value.split_at(value.len() - rest.len()));
        // A password may hold what would end the host.
        let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
        Self { variable, place: format!("{scheme}{place}") }
    }

    fn names(&self, host: &str) -> bool {
        let rest = self.place.split_once("://").map_or(self.place.as_str(), |(_, rest)| rest);
        rest.strip_prefix(host).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/', '?', '#']))
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.variable, self.place)
    }
}

/// A variable whose value leads nowhere, or cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum InvalidVariable {
    #[error("{variable} is wrong: \"{place}\" is no URL; it must begin with https:// or http://")]
    NoUrl { variable: String, place: String },
    #[error(
        "{variable} is wrong: \"{place}\" is a SOCKS proxy; it must be one that speaks HTTP, or be unset for this program"
    )]
    SocksProxy { variable: String, place: String },
    /// Its value is not repeated.
    #[error("{variable} is wrong: there is a line break, or another control character, in it")]
    ControlCharacter { variable: String },
}

/// Checks the endpoints and proxies that are set, and credentials. The SDK ignores a proxy that it cannot read, and goes past it; and it
/// panics on credentials that fit in no header.
pub(crate) fn check(variables: impl Iterator<Item = (String, String)>) -> Result<(), InvalidVariable> {
    let variables: BTreeMap<String, String> = variables.collect();
    let is_set = |name: &&str| variables.get(*name).is_some_and(|value| !value.is_empty());
    let [https, _, both] = PROXIES;
    // Of several that are set the HTTP client takes the first one.
    let used_proxy = [https, both].concat().into_iter().find(is_set);
    let invalid = |(variable, value): (&String, &String)| {
        let Setting { variable, place } = Setting::new(variable.clone(), value);
        let no_url = |is_right: bool| {
            (!is_right).then(|| InvalidVariable::NoUrl { variable: variable.clone(), place: place.clone() })
        };
        match variable.as_str() {
            // The SDK takes an empty one for none.
            "AWS_ENDPOINT_URL" if value.is_empty() => None,
            name if name.starts_with("AWS_ENDPOINT_URL") => no_url(is_url(value, &["http", "https"])),
            // As curl's: a proxy may be written without a scheme, and is switched off by an empty value.
            name if PROXIES.concat().contains(&name) && !value.is_empty() => match is_url(value, &SOCKS) {
                true if used_proxy == Some(name) => Some(InvalidVariable::SocksProxy { variable, place }),
                true => None,
                false => no_url(is_url(value, &["", "http", "https"])),
            },
            name if CREDENTIALS.contains(&name) && value.contains(|c: char| c.is_control()) => {
                Some(InvalidVariable::ControlCharacter { variable })
            }
            _ => None,
        }
    };
    variables.iter().find_map(invalid).map_or(Ok(()), Err)
}

fn is_url(text: &str, schemes: &[&str]) -> bool {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port),
        Some(_) | None => (host, "0"),
    };
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._[]:".contains(&b);
    schemes.contains(&scheme.to_ascii_lowercase().as_str())
        && !path.contains('@')
        && text.bytes().all(|b| b.is_ascii_graphic())
        && !name.is_empty()
        && name.bytes().all(allowed)
        && port.parse::<u16>().is_ok()
}

/// Proxies for endpoints of `https://`, of `http://`, and of both, in the HTTP client's order.
const PROXIES: [[&str; 2]; 3] =
    [["HTTPS_PROXY", "https_proxy"], ["HTTP_PROXY", "http_proxy"], ["ALL_PROXY", "all_proxy"]];

const SOCKS: [&str; 4] = ["socks4", "socks4a", "socks5", "socks5h"];

const CREDENTIALS: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// Where calls of a service go by the environment of this process: its endpoint, proxy and region.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct EndpointSettings {
    /// The endpoint and the proxy, where they are set. `NO_PROXY` is not looked at: a proxy that is not used is named all the same.
    settings: Vec<Setting>,
    region: Option<Setting>,
    profile: Option<Setting>,
}

impl EndpointSettings {
    /// That of calls like this one, `sts:GetCallerIdentity`, in this process's environment.
    pub(crate) fn of_process(operation: &str) -> Self {
        Self::new(operation, |variable| std::env::var(variable).ok())
    }

    fn new(operation: &str, value: impl Fn(&str) -> Option<String>) -> Self {
        let first = |variables: &[&str]| {
            variables.iter().find_map(|variable| {
                let value = value(variable).filter(|value| !value.is_empty())?;
                Some(Setting::new((*variable).to_owned(), &value))
            })
        };
        let of_service = format!("AWS_ENDPOINT_URL_{}", service(operation));
        let endpoint = first(&[&of_service, "AWS_ENDPOINT_URL"]);
        let [https, http, both] = PROXIES;
        let is_plain = endpoint.as_ref().is_some_and(|endpoint| endpoint.place.starts_with("http://"));
        let proxy = first(&[if is_plain { http } else { https }, both].concat());
        Self {
            settings: endpoint.into_iter().chain(proxy).collect(),
            region: first(&["AWS_REGION", "AWS_DEFAULT_REGION"]),
            profile: first(&["AWS_PROFILE"]),
        }
    }

    /// The profile that credentials come from, where one is asked for, with its variable.
    pub(crate) fn profile(&self) -> Option<String> {
        self.profile.as_ref().map(|profile| format!("{} ({})", profile.place, profile.variable))
    }

    /// Where a call goes: to the one that is set, or to one of them.
    pub(crate) fn destination(&self) -> String {
        match self.settings.is_empty() {
            true => "the endpoint".to_owned(),
            false => self.joined(|setting| format!("{} ({})", setting.place, setting.variable), " or "),
        }
    }

    /// What to look at where something answers that is not AWS.
    pub(crate) fn what_to_check(&self) -> String {
        match self.settings.is_empty() {
            true => "the network, in which something answers in AWS's place".to_owned(),
            false => self.joined(Setting::to_string, " and "),
        }
    }

    /// The setting that a host without an address comes from: one that names it, or the region, of which endpoints are made.
    pub(crate) fn origin_of(&self, host: &str) -> String {
        let named = self.settings.iter().find(|setting| setting.names(host));
        named.or(self.region.as_ref()).map_or_else(|| "the region".to_owned(), Setting::to_string)
    }

    fn joined(&self, text: impl Fn(&Setting) -> String, between: &str) -> String {
        self.settings.iter().map(text).collect::<Vec<_>>().join(between)
    }
}

/// A service as the variables of endpoints name it. (AWS SDKs and Tools Reference Guide, "Service-specific endpoints".)
fn service(operation: &str) -> String {
    match operation.split(':').next().unwrap_or_default() {
        "secretsmanager" => "SECRETS_MANAGER".to_owned(),
        "ses" => "SESV2".to_owned(),
        "events" => "EVENTBRIDGE".to_owned(),
        prefix => prefix.to_ascii_uppercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(variables: &[(&str, &str)]) -> Vec<(String, String)> {
        variables.iter().map(|(variable, value)| ((*variable).to_owned(), (*value).to_owned())).collect()
    }

    fn way(variables: &[(&str, &str)]) -> EndpointSettings {
        let value =
            |name: &str| variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned());
        EndpointSettings::new("secretsmanager:GetSecretValue", value)
    }

    #[test]
    fn what_is_no_url_is_refused_by_its_variable_and_without_its_password() {
        let told = |variable, value| check(set(&[(variable, value)]).into_iter()).map_err(|error| error.to_string());
        for right in
            ["http://127.0.0.1:1", "https://[::1]:8080/", "https://sts.eu-west-1.amazonaws.com", "http://u:p@h"]
        {
            assert_eq!(told("AWS_ENDPOINT_URL", right), Ok(()), "{right}");
            assert_eq!(told("HTTPS_PROXY", right), Ok(()), "{right}");
        }
        for (variable, value) in
            [("https_proxy", "proxy:3128"), ("ALL_PROXY", ""), ("HTTP_PROXY", "socks5://p:1"), ("AWS_X", "?")]
        {
            assert_eq!(told(variable, value), Ok(()), "{variable}={value}");
        }
        let told_of = |variables: &[(&str, &str)]| check(set(variables).into_iter()).map_err(|error| error.to_string());
        let socks = told_of(&[("ALL_PROXY", "socks5h://u:secret@p:1")]).unwrap_err();
        assert!(socks.starts_with("ALL_PROXY is wrong: \"socks5h://p:1\" is a SOCKS proxy"), "{socks}");
        assert_eq!(told_of(&[("ALL_PROXY", "socks5://p:1"), ("HTTPS_PROXY", "http://p:1")]), Ok(()));
        let broken = told("AWS_SECRET_ACCESS_KEY", "wJalr\nXUtn").unwrap_err();
        assert!(broken.starts_with("AWS_SECRET_ACCESS_KEY is wrong: ") && !broken.contains("wJalr"), "{broken}");
        for wrong in ["", "nonsense", "ftp://host", "http://", "http://a b", "http://host:port", "https:/host"] {
            let sentence =
                format!("AWS_ENDPOINT_URL_STS is wrong: \"{wrong}\" is no URL; it must begin with https:// or http://");
            assert_eq!(told("AWS_ENDPOINT_URL_STS", wrong), Err(sentence));
        }
        assert_eq!(told("AWS_ENDPOINT_URL", ""), Ok(()));
        for wrong in [
            "ftp://user:secret@proxy",
            "http://user:sec/ret@proxy",
            "http://user:12#secret@proxy",
            "http:/user:secret@proxy",
        ] {
            let proxy = told("HTTPS_PROXY", wrong).unwrap_err();
            assert!(proxy.contains("proxy\" is no URL") && !proxy.contains("ret"), "{proxy}");
        }
    }

    #[test]
    fn the_setting_that_leads_somewhere_is_named_and_no_other() {
        let nothing = way(&[]);
        assert_eq!(
            (nothing.destination(), nothing.origin_of("h")),
            ("the endpoint".to_owned(), "the region".to_owned())
        );
        let own =
            way(&[("AWS_ENDPOINT_URL", "http://all"), ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "https://one:1/path")]);
        assert_eq!(own.destination(), "https://one:1/path (AWS_ENDPOINT_URL_SECRETS_MANAGER)");
        let proxy = way(&[
            ("HTTPS_PROXY", "http://user:pass@word@proxy:3128"),
            ("HTTP_PROXY", "http://other"),
            ("AWS_REGION", "eu-west-11"),
        ]);
        assert_eq!(proxy.destination(), "http://proxy:3128 (HTTPS_PROXY)");
        assert_eq!(proxy.origin_of("proxy"), "HTTPS_PROXY=http://proxy:3128");
        assert_eq!(proxy.origin_of("sts.eu-west-11.amazonaws.com"), "AWS_REGION=eu-west-11");
        let plain = way(&[("AWS_ENDPOINT_URL", "http://sandbox"), ("HTTPS_PROXY", "proxy"), ("all_proxy", "any:1")]);
        assert_eq!(plain.destination(), "http://sandbox (AWS_ENDPOINT_URL) or any:1 (all_proxy)");
        assert_eq!(plain.what_to_check(), "AWS_ENDPOINT_URL=http://sandbox and all_proxy=any:1");
    }
}
