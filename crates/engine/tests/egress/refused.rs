//! Addresses that are not dialled: a recorded failed attempt with a clear reason.

use tokio::net::TcpListener;
use vai_webhooks_engine::transport::FailureKind;

use crate::bench::Bench;

#[tokio::test]
async fn a_name_that_leads_inside_is_refused_when_it_is_dialled() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let bench = Bench::new(&[], Vec::new()).await;
    let attempt = bench.attempt(&format!("http://localhost:{port}/")).await.exchanged;
    assert_eq!((attempt.failure, attempt.status), (Some(FailureKind::Refused), None));
    let detail = attempt.detail.unwrap();
    assert!(detail.contains("loopback") && detail.contains("--egress-allow"), "{detail}");
    let nobody = tokio::time::timeout(std::time::Duration::ZERO, listener.accept()).await;
    assert!(nobody.is_err(), "nothing was dialled");
}

#[tokio::test]
async fn the_same_name_is_dialled_where_the_operator_allows_its_address() {
    let bench = Bench::new(&["127.0.0.0/8", "::1/128"], Vec::new()).await;
    let url = crate::bench::receiver(|mut stream| async move {
        crate::bench::write(&mut stream, "HTTP/1.1 204 No Content\r\n\r\n").await;
    })
    .await;
    let attempt = bench.attempt(&url.replace("127.0.0.1", "localhost")).await.exchanged;
    assert!(attempt.delivered(), "{attempt:?}");
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_a_dns_failure() {
    let bench = Bench::new(&["127.0.0.0/8"], Vec::new()).await;
    // RFC 6761: never resolves.
    let attempt = bench.attempt("http://nowhere.invalid/").await.exchanged;
    let kinds = [Some(FailureKind::Dns), Some(FailureKind::Timeout)];
    assert!(kinds.contains(&attempt.failure), "{attempt:?}");
}
