//! Why a call got no answer: found by the types in the error's chain of sources, never by its text.

use std::error::Error;
use std::{io, iter};

use aws_config::imds::client::error::{ImdsError, TokenError};
use aws_credential_types::provider::error::CredentialsError;

use crate::environment::EndpointSettings;
use crate::https::NoAddress;

/// Why a call got no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cause {
    /// There are no credentials to sign the call with, so it was not sent.
    NoCredentials,
    /// The source of the credentials failed, or its settings are wrong. The call was not sent.
    CredentialsFailed(String),
    /// The source of the credentials could not be reached, for this reason. The call was not sent.
    CredentialsNotReached(Box<Cause>),
    /// This name has no address.
    UnknownHost(String),
    Refused,
    Tls(String),
    /// The connection was closed before the answer was complete.
    Closed,
}

const SET_CREDENTIALS: &str =
    "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run where a role is attached";

impl Cause {
    /// Looks through an error and everything below it.
    pub(super) fn find(error: &(dyn Error + 'static)) -> Option<Self> {
        chain(error).find_map(|error| {
            error
                .downcast_ref::<CredentialsError>()
                .map(Self::from)
                .or_else(|| error.downcast_ref::<rustls::Error>().map(|error| Cause::Tls(error.to_string())))
                .or_else(|| error.downcast_ref::<NoAddress>().map(|error| Cause::UnknownHost(error.host.clone())))
                .or_else(|| error.downcast_ref::<io::Error>().and_then(Self::from_io))
        })
    }

    fn from_io(error: &io::Error) -> Option<Self> {
        // An `io::Error` hides what it wraps from `source`.
        if let Some(inner) = error.get_ref()
            && let Some(cause) = Self::find(inner)
        {
            return Some(cause);
        }
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Some(Cause::Refused),
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => Some(Cause::Closed),
            // `io::ErrorKind` is the standard library's, and grows.
            _ => None,
        }
    }

    /// Whether the call could not be signed, and so was not sent. Of the others it is not certain: a connection can break
    /// after the request has arrived.
    pub(super) fn is_credentials(&self) -> bool {
        match self {
            Cause::NoCredentials | Cause::CredentialsFailed(_) | Cause::CredentialsNotReached(_) => true,
            Cause::UnknownHost(_) | Cause::Refused | Cause::Tls(_) | Cause::Closed => false,
        }
    }

    /// What a person should know, of a call that takes this way.
    pub(super) fn sentence(&self, way: &EndpointSettings) -> String {
        match self {
            Cause::NoCredentials => match way.profile() {
                Some(profile) => format!("no AWS credentials were found: the profile {profile} gives none"),
                None => format!("no AWS credentials were found: {SET_CREDENTIALS}"),
            },
            Cause::CredentialsFailed(why) => {
                format!("the AWS credentials could not be loaded ({why}): {SET_CREDENTIALS}")
            }
            Cause::CredentialsNotReached(cause) => {
                format!("the AWS credentials could not be loaded: {}", cause.sentence(way))
            }
            Cause::UnknownHost(host) => {
                let origin = way.origin_of(host);
                format!("{host} has no address (DNS): is {origin} right, and does this machine have DNS?")
            }
            Cause::Refused => format!("{} refused the connection", way.destination()),
            Cause::Tls(why) => {
                format!("the endpoint's TLS connection failed ({why}): behind a proxy of your own, set AWS_CA_BUNDLE")
            }
            Cause::Closed => "the connection was closed before there was an answer".to_owned(),
        }
    }
}

impl From<&CredentialsError> for Cause {
    fn from(error: &CredentialsError) -> Self {
        match error {
            // A provider that could not be asked reports itself as not loaded: what it stumbled over is the cause.
            CredentialsError::CredentialsNotLoaded(_) => Cause::NoCredentials,
            _ if chain(error).any(is_refusal_of_imds) => Cause::NoCredentials,
            _ => match error.source().and_then(Cause::find) {
                Some(cause) if !cause.is_credentials() => Cause::CredentialsNotReached(Box::new(cause)),
                Some(_) | None => Cause::CredentialsFailed(innermost(error)),
            },
        }
    }
}

/// The instance metadata service is the last that is asked: where it refuses, there is nothing. (EC2 user guide, "Use the Instance
/// Metadata Service": 403, "The request is not allowed or the IMDS is turned off".)
fn is_refusal_of_imds(error: &(dyn Error + 'static)) -> bool {
    let answered = |error: &ImdsError| matches!(error, ImdsError::ErrorResponse(answer) if answer.response().status().as_u16() == 403);
    error.is::<TokenError>() || error.downcast_ref().is_some_and(answered)
}

/// An error and its sources.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |&error| error.source())
}

/// The last source's sentence: those above only say that credentials could not be loaded. An I/O error does not say of what: the one
/// above it does.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    let mut above = None;
    while let Some(source) = last.source() {
        above = Some(last);
        last = source;
    }
    match above {
        Some(above) if last.is::<io::Error>() => format!("{above}: {last}"),
        Some(_) | None => last.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use aws_smithy_runtime_api::client::dns::ResolveDnsError;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("something above")]
    struct Above(#[source] Box<dyn Error + Send + Sync>);

    fn found(error: impl Error + Send + Sync + 'static) -> Option<Cause> {
        Cause::find(&Above(Box::new(Above(Box::new(error)))))
    }

    #[test]
    fn the_cause_is_found_by_its_type_however_deep_it_lies() {
        assert_eq!(found(io::Error::from(io::ErrorKind::ConnectionRefused)), Some(Cause::Refused));
        assert_eq!(found(io::Error::from(io::ErrorKind::ConnectionReset)), Some(Cause::Closed));
        let no_address = NoAddress { host: "nowhere".to_owned(), error: io::Error::other("no such host") };
        assert_eq!(found(ResolveDnsError::new(no_address)), Some(Cause::UnknownHost("nowhere".to_owned())));
        assert_eq!(found(CredentialsError::not_loaded("none")), Some(Cause::NoCredentials));
        assert_eq!(found(io::Error::other("something else")), None);
    }

    #[test]
    fn a_certificate_that_is_not_trusted_is_found_inside_an_io_error() {
        let untrusted = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let found = found(io::Error::new(io::ErrorKind::InvalidData, untrusted));
        assert!(matches!(found, Some(Cause::Tls(why)) if why.contains("UnknownIssuer")));
    }

    #[test]
    fn what_is_wrong_with_the_credentials_is_told_by_the_innermost_error() {
        let wrong = CredentialsError::invalid_configuration(Above("the file has no [default]".into()));
        assert_eq!(found(wrong), Some(Cause::CredentialsFailed("the file has no [default]".to_owned())));
        let closed =
            CredentialsError::provider_error(Above(Box::new(io::Error::from(io::ErrorKind::ConnectionRefused))));
        assert_eq!(found(closed), Some(Cause::CredentialsNotReached(Box::new(Cause::Refused))));
    }
}
