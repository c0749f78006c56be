//! Why a call got no answer: found by the types in the error's chain of sources, never by its text.

use std::error::Error;
use std::io;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::dns::ResolveDnsError;

/// Why a call got no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cause {
    /// There are no credentials to sign the call with, so it was not sent.
    NoCredentials,
    /// The source of the credentials failed, or its settings are wrong. The call was not sent.
    CredentialsFailed(String),
    /// The host's name has no address.
    UnknownHost,
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
        let mut next = Some(error);
        while let Some(error) = next {
            let cause = error
                .downcast_ref::<CredentialsError>()
                .map(Self::from)
                .or_else(|| error.downcast_ref::<rustls::Error>().map(|error| Cause::Tls(error.to_string())))
                .or_else(|| error.downcast_ref::<ResolveDnsError>().map(|_| Cause::UnknownHost))
                .or_else(|| error.downcast_ref::<io::Error>().and_then(Self::from_io));
            if cause.is_some() {
                return cause;
            }
            next = error.source();
        }
        None
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
            Cause::NoCredentials | Cause::CredentialsFailed(_) => true,
            Cause::UnknownHost | Cause::Refused | Cause::Tls(_) | Cause::Closed => false,
        }
    }

    /// What a person should know.
    pub(super) fn sentence(&self) -> String {
        match self {
            Cause::NoCredentials => format!("no AWS credentials were found: {SET_CREDENTIALS}"),
            Cause::CredentialsFailed(why) => {
                format!("the AWS credentials could not be loaded ({why}): {SET_CREDENTIALS}")
            }
            Cause::UnknownHost => "the host name of the endpoint has no address (DNS): check the network, AWS_REGION \
                                   and AWS_ENDPOINT_URL"
                .to_owned(),
            Cause::Refused => "the endpoint refused the connection: check AWS_ENDPOINT_URL and HTTPS_PROXY".to_owned(),
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
            _ => Cause::CredentialsFailed(innermost(error)),
        }
    }
}

/// The last source's sentence: those above only say that credentials could not be loaded.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
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
        assert_eq!(found(ResolveDnsError::new("no such host")), Some(Cause::UnknownHost));
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
    }
}
