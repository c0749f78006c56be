//! `AWS_CA_BUNDLE`: an endpoint whose certificate a corporate authority signed is trusted with it and not without, and a file that
//! cannot be used is told in one sentence.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use key_rotation_aws::https;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const ANSWER: &str = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
    <Arn>arn:aws:iam::123456789012:user/ada</Arn><UserId>AIDA</UserId><Account>123456789012</Account>\
    </GetCallerIdentityResult></GetCallerIdentityResponse>";

fn tls_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(name)
}

/// An STS on localhost, whose certificate `ca.pem` has signed. Gives its address.
async fn endpoint() -> String {
    let certificates = CertificateDer::pem_file_iter(tls_file("server.pem")).expect("the certificate is there");
    let key = PrivateKeyDer::from_pem_file(tls_file("server.key")).expect("its key is there");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has them")
        .with_no_client_auth()
        .with_single_cert(certificates.collect::<Result<_, _>>().expect("certificates"), key)
        .expect("they belong together");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not trust the certificate goes away.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let Ok(1..) = stream.read(&mut [0; 4096]).await else { continue };
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{ANSWER}",
                ANSWER.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    format!("https://localhost:{port}")
}

/// Whose account the endpoint says the caller belongs to, asked with this bundle.
async fn account(bundle: Option<OsString>) -> Option<String> {
    let config = aws_config::defaults(BehaviorVersion::latest())
        .http_client(https::client(bundle).expect("the bundle can be used"))
        .region(Region::new("eu-west-1"))
        .endpoint_url(endpoint().await)
        .credentials_provider(Credentials::new("AKIA", "secret", None, None, "test"))
        .retry_config(aws_config::retry::RetryConfig::disabled())
        .load()
        .await;
    let answer = aws_sdk_sts::Client::new(&config).get_caller_identity().send().await;
    answer.ok().and_then(|identity| identity.account)
}

#[tokio::test]
async fn an_authority_of_the_bundle_is_trusted_and_without_it_the_same_endpoint_is_not() {
    assert_eq!(account(Some(tls_file("ca.pem").into())).await.as_deref(), Some("123456789012"));
    assert_eq!(account(None).await, None);
    // An empty variable is not set.
    assert_eq!(account(Some(OsString::new())).await, None);
}

#[test]
fn a_file_that_cannot_be_used_is_told_with_the_variable_and_what_is_wrong() {
    let told = |path: &Path| https::client(Some(path.into())).err().map(|error| error.to_string()).unwrap_or_default();
    let directory = std::env::temp_dir().join(format!("ca-bundle-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let file = |name: &str, text: &str| {
        std::fs::write(directory.join(name), text).expect("it can be written");
        directory.join(name)
    };
    let whole = std::fs::read_to_string(tls_file("ca.pem")).expect("it is there");
    for (path, problem) in [
        (directory.join("missing.pem"), "it cannot be read"),
        (directory.clone(), "it cannot be read"),
        (file("empty.pem", ""), "it holds no certificate"),
        (file("text.pem", "these are not certificates\n"), "it holds no certificate"),
        (file("key.pem", &std::fs::read_to_string(tls_file("server.key")).expect("it is there")), "no certificate"),
        (file("cut.pem", &whole[..whole.len() / 2]), "it is damaged"),
        (
            file("other.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            "a certificate in it cannot be used",
        ),
    ] {
        let told = told(&path);
        assert!(told.starts_with("AWS_CA_BUNDLE must name a PEM file"), "{told}");
        assert!(told.contains(&path.display().to_string()) && told.contains(problem), "{told}");
    }
    std::fs::remove_dir_all(directory).expect("it can be removed");
}
