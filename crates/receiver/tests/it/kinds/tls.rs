//! That sinks speak TLS, and only to who they mean.

use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{again, sink};

/// A server's side of TLS as `localhost`, and its certificate (PEM), which nobody else has signed.
pub fn localhost() -> (TlsAcceptor, String) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), cert.pem())
}

#[tokio::test]
async fn a_server_is_trusted_by_its_certificate_alone() {
    let (acceptor, pem) = localhost();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            // A client that does not trust us ends here.
            let Ok(mut stream) = acceptor.accept(tcp).await else { continue };
            let mut request = [0; 4096];
            let read = stream.read(&mut request).await.unwrap_or(0);
            assert!(request[..read].starts_with(b"POST /?query=EXISTS%20TABLE%20"));
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n1\n";
            stream.write_all(answer).await.unwrap();
            stream.shutdown().await.ok();
        }
    });
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), pem).unwrap();
    let ca_file = format!("ca_file = {:?}", file.path());
    let mut stranger = sink("clickhouse", &format!("url = \"https://localhost:{port}\""));
    assert!(again(stranger.check().await.map(drop)).contains("no TLS"));
    let mut wrong_name = sink("clickhouse", &format!("url = \"https://127.0.0.1:{port}\"\n{ca_file}"));
    assert!(again(wrong_name.check().await.map(drop)).contains("no TLS"));
    let mut known = sink("clickhouse", &format!("url = \"https://localhost:{port}\"\n{ca_file}"));
    assert!(known.check().await.unwrap().contains("has the table"));
    server.abort();
}
