//! Receivers over HTTP/2, where many requests share one connection: one bad answer is bounded, and does
//! not take the others with it.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{Response, header};
use http_body_util::StreamBody;
use http_body_util::combinators::BoxBody;
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use vai_webhooks_engine::egress::{EgressOptions, HttpTransport};
use vai_webhooks_engine::transport::FailureKind;

use crate::direct::{AMPLE_MS, options, post, transport};

pub type Body = BoxBody<Bytes, Infallible>;

/// A receiver over TLS that agrees on HTTP/2; gives its URL and a transport that trusts it. `serve` is
/// told the connection's number from 1.
pub async fn receiver<F, R>(serve: F) -> (String, HttpTransport)
where
    F: Fn(TlsStream<TcpStream>, usize) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let (config, certificate) = crate::tls::server_config("localhost", &[b"h2"]);
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        for number in 1.. {
            let (tcp, _) = listener.accept().await.unwrap();
            let Ok(tls) = acceptor.accept(tcp).await else { continue };
            tokio::spawn(serve(tls, number));
        }
    });
    (url, transport(EgressOptions { extra_roots: vec![certificate.into()], ..options() }))
}

/// Serves a connection with answers that `answer` makes.
pub async fn serve<A>(tls: TlsStream<TcpStream>, answer: A)
where
    A: Fn() -> Response<Body> + Clone + Send + 'static,
{
    let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let answer = answer.clone();
        async move {
            let _read = http_body_util::BodyExt::collect(request.into_body()).await;
            Ok::<_, Infallible>(answer())
        }
    });
    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    let _ended = server.serve_connection(TokioIo::new(tls), service).await;
}

/// An answer without an end, whose bytes are counted as they are handed over.
fn endless(bytes: &Arc<AtomicUsize>) -> Response<Body> {
    let bytes = Arc::clone(bytes);
    let parts = futures_util::stream::repeat(Bytes::from_static(&[b'a'; 16_384])).map(move |part| {
        bytes.fetch_add(part.len(), Ordering::Relaxed);
        Ok(Frame::data(part))
    });
    Response::new(BoxBody::new(StreamBody::new(parts)))
}

#[tokio::test]
async fn endless_answers_are_cut_one_after_the_other_on_one_connection() {
    let (bytes, connections) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted, seen) = (Arc::clone(&bytes), Arc::clone(&connections));
    let (url, transport) = receiver(move |tls, _| {
        seen.fetch_add(1, Ordering::Relaxed);
        let counted = Arc::clone(&counted);
        serve(tls, move || endless(&counted))
    })
    .await;
    // Together they fill the connection's window many times over, unless what is dropped is given back.
    for _ in 0..40 {
        let answer = post(&transport, &url, "{}", AMPLE_MS).await.result.unwrap();
        assert_eq!((answer.status, answer.body.len(), answer.body_cut), (200, 1_024, true));
    }
    assert_eq!(connections.load(Ordering::Relaxed), 1);
    let sent = bytes.load(Ordering::Relaxed);
    assert!(sent < 40 << 20, "{sent} bytes were handed over for 40 answers");
}

#[tokio::test]
async fn a_body_that_stops_is_a_timeout_with_its_status() {
    let (url, transport) = receiver(|tls, _| {
        serve(tls, || {
            let stops = futures_util::stream::iter([Ok(Frame::data(Bytes::from_static(b"a")))])
                .chain(futures_util::stream::pending());
            Response::new(BoxBody::new(StreamBody::new(stops)))
        })
    })
    .await;
    let failure = post(&transport, &url, "{}", crate::late::SHORT_MS).await.result.unwrap_err();
    assert_eq!((failure.kind, failure.status), (FailureKind::Timeout, Some(200)), "{failure:?}");
}

#[tokio::test]
async fn a_head_past_the_limit_is_a_failure() {
    let (url, transport) = receiver(|tls, _| {
        serve(tls, || {
            let mut response = Response::new(Body::default());
            for _ in 0..200 {
                response.headers_mut().append(header::SET_COOKIE, "a".repeat(1_000).parse().unwrap());
            }
            response
        })
    })
    .await;
    let exchange = post(&transport, &url, "{}", AMPLE_MS).await;
    assert_eq!(exchange.result.as_ref().unwrap_err().kind, FailureKind::Protocol, "{exchange:?}");
}

#[tokio::test]
async fn a_connection_that_fell_silent_is_not_used_for_ever() {
    let (url, transport) = receiver(|tls, number| async move {
        if number == 1 {
            let _silent = tls;
            std::future::pending::<()>().await;
        } else {
            serve(tls, || Response::new(Body::default())).await;
        }
    })
    .await;
    let failure = post(&transport, &url, "{}", crate::late::SHORT_MS).await.result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Timeout, "{failure:?}");
    let answer = post(&transport, &url, "{}", 3_000).await.result.unwrap();
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn garbage_in_place_of_http2_is_a_protocol_failure() {
    use tokio::io::AsyncWriteExt as _;
    let (url, transport) = receiver(|mut tls, _| async move {
        let _gone = tls.write_all(&b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".repeat(10)).await;
        std::future::pending::<()>().await;
    })
    .await;
    let failure = post(&transport, &url, "{}", AMPLE_MS).await.result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Protocol, "{failure:?}");
}
