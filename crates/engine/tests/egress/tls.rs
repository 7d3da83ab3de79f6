//! Certificates: a wrong one is a failure of its own kind, a right one delivers over HTTP/1.1 and HTTP/2.

use std::sync::Arc;

use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use vai_webhooks_engine::transport::FailureKind;

use crate::bench::Bench;

/// What a receiver with a certificate for `name` shows, and that certificate.
pub fn server_config(name: &str, alpn: &[&[u8]]) -> (ServerConfig, Vec<u8>) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed([name.to_owned()]).unwrap();
    let certificate = cert.der().to_vec();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    (config, certificate)
}

/// A receiver over TLS with a certificate for `name`; gives its port, the certificate, and what HTTP
/// version each request came over.
async fn receiver(name: &str, alpn: &[&[u8]]) -> (u16, Vec<u8>, mpsc::Receiver<http::Version>) {
    let (config, certificate) = server_config(name, alpn);
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (saw, versions) = mpsc::channel(16);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (acceptor, saw) = (acceptor.clone(), saw.clone());
            tokio::spawn(async move {
                let Ok(tls) = acceptor.accept(tcp).await else { return };
                let service =
                    hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                        let saw = saw.clone();
                        async move {
                            saw.send(request.version()).await.unwrap();
                            http_body_util::BodyExt::collect(request.into_body()).await?;
                            Ok::<_, hyper::Error>(hyper::Response::new(
                                http_body_util::Empty::<bytes::Bytes>::new(),
                            ))
                        }
                    });
                let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let _ended = server.serve_connection(TokioIo::new(tls), service).await;
            });
        }
    });
    (port, certificate, versions)
}

const ALLOW: [&str; 2] = ["127.0.0.0/8", "::1/128"];

#[tokio::test]
async fn a_good_certificate_delivers_over_both_versions_of_http() {
    for (alpn, version) in [
        (&[b"h2".as_slice(), b"http/1.1"][..], http::Version::HTTP_2),
        (&[b"http/1.1".as_slice()][..], http::Version::HTTP_11),
        (&[][..], http::Version::HTTP_11),
    ] {
        let (port, certificate, mut versions) = receiver("localhost", alpn).await;
        let bench = Bench::new(&ALLOW, vec![certificate]).await;
        let attempt = bench.attempt(&format!("https://localhost:{port}/hook")).await.exchanged;
        assert!(attempt.delivered(), "{attempt:?}");
        assert_eq!(versions.recv().await, Some(version));
    }
}

#[tokio::test]
async fn a_wrong_certificate_is_a_tls_failure_with_the_reason() {
    let (unknown, _, _versions) = receiver("localhost", &[]).await;
    let (other_name, certificate, _versions) = receiver("example.com", &[]).await;
    for (port, trusted, reason) in
        [(unknown, Vec::new(), "UnknownIssuer"), (other_name, vec![certificate], "not valid for name")]
    {
        let bench = Bench::new(&ALLOW, trusted).await;
        let attempt = bench.attempt(&format!("https://localhost:{port}/hook")).await.exchanged;
        assert_eq!((attempt.failure, attempt.status), (Some(FailureKind::Tls), None), "{attempt:?}");
        let detail = attempt.detail.unwrap();
        assert!(detail.contains(reason), "{detail}");
    }
}

#[tokio::test]
async fn one_that_speaks_no_tls_is_a_tls_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            crate::bench::write(&mut stream, "HTTP/1.1 200 OK\r\n\r\n").await;
        }
    });
    let bench = Bench::new(&ALLOW, Vec::new()).await;
    let attempt = bench.attempt(&url).await.exchanged;
    assert_eq!(attempt.failure, Some(FailureKind::Tls), "{attempt:?}");
}
