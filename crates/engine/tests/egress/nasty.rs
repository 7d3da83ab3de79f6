//! What a receiver can do wrong over plain HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use vai_webhooks_engine::transport::FailureKind;

use crate::bench::{Bench, SHORT_MS, receiver, write};

async fn bench() -> Bench {
    Bench::new(&["127.0.0.0/8"], Vec::new()).await
}

/// Between two bytes of a receiver that drips: it never ends within the deadline.
async fn drip() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

#[tokio::test]
async fn one_that_never_answers_is_a_timeout() {
    let url = receiver(|stream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let attempt = bench().await.attempt_within(SHORT_MS, &url).await.exchanged;
    assert_eq!((attempt.failure, attempt.status), (Some(FailureKind::Timeout), None));
    assert_eq!(attempt.detail.as_deref(), Some("no answer within 3000 ms"));
    assert!(attempt.address.is_some(), "the address that was dialled is recorded");
}

#[tokio::test]
async fn one_that_drips_its_answer_is_a_timeout_in_the_head_and_in_the_body() {
    let in_head = receiver(|mut stream| async move {
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: ".iter().chain(std::iter::repeat(&b'a')) {
            if !write(&mut stream, [*byte]).await {
                return;
            }
            drip().await;
        }
    })
    .await;
    let in_body = receiver(|mut stream| async move {
        write(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n").await;
        while write(&mut stream, "a").await {
            drip().await;
        }
    })
    .await;
    let bench = bench().await;
    let (head, body) =
        tokio::join!(bench.attempt_within(SHORT_MS, &in_head), bench.attempt_within(SHORT_MS, &in_body));
    assert_eq!((head.exchanged.failure, head.exchanged.status), (Some(FailureKind::Timeout), None));
    assert_eq!((body.exchanged.failure, body.exchanged.status), (Some(FailureKind::Timeout), Some(200)));
    assert!(!body.exchanged.delivered(), "an answer that does not end is no answer");
    assert_eq!(body.exchanged.detail.as_deref(), Some("the answer did not end within 3000 ms"));
}

#[tokio::test]
async fn one_that_answers_100_mib_is_read_to_the_limit_and_cut() {
    let written = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&written);
    let (gone, mut went) = tokio::sync::mpsc::channel(1);
    let url = receiver(move |mut stream| {
        let (written, gone) = (Arc::clone(&counted), gone.clone());
        async move {
            write(&mut stream, format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 100 << 20)).await;
            while written.load(Ordering::Relaxed) < 100 << 20 && write(&mut stream, [b'a'; 65_536]).await {
                written.fetch_add(65_536, Ordering::Relaxed);
            }
            gone.send(()).await.unwrap();
        }
    })
    .await;
    let attempt = bench().await.attempt(&url).await.exchanged;
    assert!(attempt.delivered(), "{attempt:?}");
    assert_eq!((attempt.answer.len(), attempt.answer_cut), (1_024, true));
    went.recv().await.unwrap();
    let sent = written.load(Ordering::Relaxed);
    assert!(sent < 20 << 20, "the connection was closed; {sent} bytes were sent");
}

#[tokio::test]
async fn one_that_closes_in_the_middle_is_closed_with_what_was_known() {
    let at_once = receiver(|stream| async move { drop(stream) }).await;
    let in_head = receiver(|mut stream| async move {
        write(&mut stream, "HTTP/1.1 200 OK\r\nContent-").await;
    })
    .await;
    let in_body = receiver(|mut stream| async move {
        write(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await;
    })
    .await;
    let in_chunk = receiver(|mut stream| async move {
        write(&mut stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nhalf").await;
    })
    .await;
    let bench = bench().await;
    for (url, status) in [(at_once, None), (in_head, None), (in_body, Some(200)), (in_chunk, Some(200))] {
        let attempt = bench.attempt(&url).await.exchanged;
        assert_eq!((attempt.failure, attempt.status), (Some(FailureKind::Closed), status), "{attempt:?}");
        assert!(!attempt.delivered());
    }
}

#[tokio::test]
async fn one_that_sends_garbage_or_endless_headers_is_a_protocol_failure() {
    let garbage = receiver(|mut stream| async move {
        write(&mut stream, b"\x16\x03\x01 this is no HTTP at all\r\n\r\n").await;
    })
    .await;
    let headers = receiver(|mut stream| async move {
        write(&mut stream, "HTTP/1.1 200 OK\r\n").await;
        while write(&mut stream, format!("X-More: {}\r\n", "a".repeat(1_000))).await {}
    })
    .await;
    let bench = bench().await;
    for url in [garbage, headers] {
        let attempt = bench.attempt(&url).await.exchanged;
        assert_eq!(attempt.failure, Some(FailureKind::Protocol), "{attempt:?}");
    }
}

#[tokio::test]
async fn a_redirect_is_recorded_and_not_followed() {
    let inside = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let location = format!("http://{}/metadata", inside.local_addr().unwrap());
    let visited = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&visited);
    tokio::spawn(async move {
        while inside.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    let bench = bench().await;
    for status in [301, 302, 303, 307, 308] {
        let location = location.clone();
        let url = receiver(move |mut stream| {
            let answer =
                format!("HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
            async move {
                write(&mut stream, answer).await;
            }
        })
        .await;
        let attempt = bench.attempt(&url).await.exchanged;
        assert_eq!((attempt.status, attempt.failure, attempt.delivered()), (Some(status), None, false));
    }
    assert_eq!(visited.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn one_that_is_not_there_is_a_connect_failure_with_its_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let attempt = bench().await.attempt(&format!("http://{address}/")).await.exchanged;
    assert_eq!((attempt.failure, attempt.address), (Some(FailureKind::Connect), Some(address)));
    assert!(attempt.detail.unwrap().contains("Connection refused"));
}

#[tokio::test]
async fn connections_are_kept_and_used_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let ok = axum_like();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            let io = hyper_util::rt::TokioIo::new(stream);
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(io, ok));
        }
    });
    let bench = bench().await;
    for _ in 0..10 {
        assert!(bench.attempt(&url).await.exchanged.delivered());
    }
    assert_eq!(connections.load(Ordering::Relaxed), 1);
}

/// A service that reads the body and answers 200.
fn axum_like() -> impl hyper::service::Service<
    hyper::Request<hyper::body::Incoming>,
    Response = hyper::Response<http_body_util::Empty<bytes::Bytes>>,
    Error = hyper::Error,
    Future: Send,
> + Copy {
    hyper::service::service_fn(|request: hyper::Request<hyper::body::Incoming>| async move {
        http_body_util::BodyExt::collect(request.into_body()).await?;
        Ok(hyper::Response::new(http_body_util::Empty::new()))
    })
}
