//! The HTTPS client for every call to AWS: the system's certificate authorities and those of `AWS_CA_BUNDLE`, the proxies of
//! `HTTPS_PROXY` and `NO_PROXY`.
//!
//! The SDK's own would do, but for two things: it does not know `AWS_CA_BUNDLE`, and its TLS library takes longer to build than
//! most of the SDK (see docs/decisions/build-time.md).

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, ConnectorBuilder};
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// The variable for a file of certificate authorities, as the AWS CLI has it. There the file takes the place of the system's
/// authorities; here it adds to them.
pub const CA_BUNDLE: &str = "AWS_CA_BUNDLE";

/// Why the certificate authorities that were asked for cannot be loaded. AWS is not called without them: behind a proxy that
/// presents certificates of its own every call would fail, and would not say why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{CA_BUNDLE} must name a PEM file with certificates of authorities to trust; {}: {problem}", path.display())]
pub struct CaBundleError {
    path: PathBuf,
    problem: String,
}

/// The client, trusting the authorities of this file besides the system's.
///
/// # Errors
/// [`CaBundleError`] where the file does not hold certificates. An empty name counts as not set.
pub fn client(bundle: Option<OsString>) -> Result<SharedHttpClient, CaBundleError> {
    let authorities = match bundle.filter(|path| !path.is_empty()).map(PathBuf::from) {
        None => TrustStore::default(),
        Some(path) => match certificates(&path) {
            Ok(pem) => TrustStore::default().with_pem_certificate(pem),
            Err(problem) => return Err(CaBundleError { path, problem }),
        },
    };
    Ok(trusting(authorities))
}

/// The file's text, once it is certain that the client can take it: it would panic at one that it cannot.
fn certificates(path: &Path) -> Result<Vec<u8>, String> {
    let pem = std::fs::read(path).map_err(|error| format!("it cannot be read ({error})"))?;
    let mut authorities = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| format!("it is damaged ({error})"))?;
        authorities.add(certificate).map_err(|error| format!("a certificate in it cannot be used ({error})"))?;
    }
    if authorities.is_empty() { Err("it holds no certificate".to_owned()) } else { Ok(pem) }
}

fn trusting(authorities: TrustStore) -> SharedHttpClient {
    let tls = TlsContext::builder().with_trust_store(authorities).build().expect("a trust store is all it needs");
    // Everything else is as in the SDK's default client.
    let client = Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = ConnectorBuilder::default()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(tls.clone())
            .proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        connector.build_with_resolver(SystemResolver)
    });
    SharedHttpClient::new(Lazy(client))
}

/// A client that makes its connectors when they are needed, for all clients of services together.
///
/// The SDK's also makes one whenever a client of a service is made, and throws it away: that takes all of the system's authorities in,
/// which is more work than the few calls that a session in an account is for.
#[derive(Debug)]
struct Lazy(SharedHttpClient);

impl HttpClient for Lazy {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        self.0.http_connector(settings, components)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.0.connector_metadata()
    }
}

/// A host's name could not be resolved.
#[derive(Debug, thiserror::Error)]
#[error("{host} has no address")]
pub(crate) struct NoAddress {
    pub(crate) host: String,
    #[source]
    pub(crate) error: io::Error,
}

/// The system's resolver as the SDK's default client uses it, but that a failure has a type, and the name: there it is an
/// I/O error of no kind.
#[derive(Debug, Clone)]
struct SystemResolver;

impl ResolveDns for SystemResolver {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(async move {
            let addresses = tokio::net::lookup_host((name, 0)).await;
            let addresses =
                addresses.map_err(|error| ResolveDnsError::new(NoAddress { host: name.to_owned(), error }))?;
            Ok(addresses.map(|address| address.ip()).collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use aws_smithy_http_client::Connector;

    use super::*;

    #[test]
    fn a_client_of_a_service_that_is_made_costs_no_connector() {
        let made = Arc::new(AtomicUsize::new(0));
        let count = made.clone();
        let client = Builder::new().build_with_connector_fn(move |_, _| {
            count.fetch_add(1, Ordering::Relaxed);
            Connector::builder().build_http()
        });
        let config = |client: SharedHttpClient| {
            aws_sdk_sts::Config::builder().behavior_version(aws_config::BehaviorVersion::latest()).http_client(client)
        };
        let _ = aws_sdk_sts::Client::from_conf(config(client.clone()).build());
        assert_eq!(made.swap(0, Ordering::Relaxed), 1, "the SDK still makes one, which this is there for");
        let _ = aws_sdk_sts::Client::from_conf(config(SharedHttpClient::new(Lazy(client))).build());
        assert_eq!(made.load(Ordering::Relaxed), 0);
    }
}
