//! What a failure tells: the address that was dialled, and the kind that fits.

use tokio::net::TcpListener;
use vai_webhooks_engine::transport::{FailureKind, Headers, Request};

use crate::bench::{receiver, write};
use crate::direct::{AMPLE_MS, options, post, read_head, transport};
use crate::late::SHORT_MS;

#[tokio::test]
async fn a_timeout_before_there_is_a_connection_names_the_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let exchange = post(&transport(options()), &format!("https://{address}/"), "{}", SHORT_MS).await;
    assert_eq!(exchange.address, Some(address));
    let failure = exchange.result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Timeout);
    assert!(failure.detail.contains("connection"), "{failure:?}");
}

#[tokio::test]
async fn a_body_in_broken_chunks_is_a_protocol_failure_with_its_status() {
    let url = receiver(|mut stream| async move {
        write(&mut stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n").await;
        std::future::pending::<()>().await;
    })
    .await;
    let failure = post(&transport(options()), &url, "{}", AMPLE_MS).await.result.unwrap_err();
    assert_eq!((failure.kind, failure.status), (FailureKind::Protocol, Some(200)), "{failure:?}");
}

#[tokio::test]
async fn the_host_is_told_as_it_stands_in_the_url_without_its_user() {
    for (bound, host, path) in [("[::1]:0", "[::1]", "/"), ("127.0.0.1:0", "me:pw@127.0.0.1", "")] {
        let listener = TcpListener::bind(bound).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = format!("http://{host}:{port}{path}");
        let served = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let head = read_head(&mut stream).await.unwrap();
            write(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            head
        };
        let transport = transport(options());
        let (head, exchange) = tokio::join!(served, post(&transport, &url, "{}", AMPLE_MS));
        assert_eq!(exchange.result.unwrap().status, 200);
        let host = host.trim_start_matches("me:pw@");
        let begin = format!("POST /?token=s3cr3t HTTP/1.1\r\nhost: {host}:{port}\r\ncontent-length: 2\r\n");
        assert!(head.starts_with(&begin), "{head}");
    }
}

#[test]
fn a_request_printed_for_a_log_shows_no_secret() {
    let mut headers = http::HeaderMap::new();
    headers.insert("authorization", "Bearer s3cr3t".parse().unwrap());
    let request = Request {
        uri: "https://example.com/hook?token=s3cr3t".parse().unwrap(),
        headers: Headers::from(&headers),
        body: "s3cr3t".into(),
        timeout: std::time::Duration::from_secs(1),
    };
    assert!(!format!("{request:?}").contains("s3cr3t"), "{request:?}");
}
