//! Connections that are kept: used again, given up in time, and never a way to another's answer.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use vai_webhooks_engine::egress::EgressOptions;
use vai_webhooks_engine::transport::FailureKind;

use crate::bench::write;
use crate::direct::{AMPLE_MS, options, post, read_head, transport};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A receiver whose connections are served by `serve`, which is told the connection's number from 1.
async fn receiver<F, R>(serve: F) -> String
where
    F: Fn(TcpStream, usize) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for number in 1.. {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(stream, number));
        }
    });
    url
}

/// Reads one request, whose body is `{}`.
async fn read_request(stream: &mut TcpStream) -> bool {
    read_head(stream).await.is_some() && stream.read_u16().await.is_ok()
}

#[tokio::test]
async fn what_is_sent_after_an_answer_is_never_the_next_requests_answer() {
    let url = receiver(|mut stream, number| async move {
        while read_request(&mut stream).await {
            let stray = if number == 1 { "HTTP/1.1 299 Stray\r\nContent-Length: 0\r\n\r\n" } else { "" };
            write(&mut stream, format!("{OK}{stray}")).await;
        }
    })
    .await;
    let transport = transport(options());
    for _ in 0..3 {
        let result = post(&transport, &url, "{}", AMPLE_MS).await.result;
        let status = result.as_ref().map(|answer| answer.status);
        assert!(matches!(status, Ok(200)) || result.is_err(), "{result:?}");
    }
}

#[tokio::test]
async fn what_came_meanwhile_is_seen_by_a_task_that_has_used_up_its_turn() {
    let (stray, mut strays) = mpsc::channel(1);
    let url = receiver(move |mut stream, number| {
        let stray = stray.clone();
        async move {
            while read_request(&mut stream).await {
                write(&mut stream, OK).await;
                if number == 1 {
                    // Once the answer was read, and is not in one piece with this.
                    stray.send(stream).await.unwrap();
                    return;
                }
            }
        }
    })
    .await;
    let transport = transport(options());
    assert_eq!(post(&transport, &url, "{}", AMPLE_MS).await.result.unwrap().status, 200);
    let mut first = strays.recv().await.unwrap();
    write(&mut first, "HTTP/1.1 299 Stray\r\nContent-Length: 0\r\n\r\n").await;
    // The runtime looks at its sockets in between.
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
    let mut next = pin!(post(&transport, &url, "{}", AMPLE_MS));
    let result = poll_fn(|context| {
        while pin!(tokio::task::consume_budget()).poll(context).is_ready() {}
        next.as_mut().poll(context)
    });
    let early = futures_util::poll!(result);
    let result = if let Poll::Ready(exchange) = early { exchange } else { next.await }.result;
    assert_eq!(result.unwrap().status, 200);
}

#[tokio::test]
async fn a_request_on_a_kept_connection_that_closes_is_reported_and_not_sent_twice() {
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    let url = receiver(move |mut stream, _| {
        let counted = Arc::clone(&counted);
        async move {
            for answer in [OK, ""] {
                if !read_request(&mut stream).await {
                    return;
                }
                counted.fetch_add(1, Ordering::Relaxed);
                write(&mut stream, answer).await;
            }
        }
    })
    .await;
    let transport = transport(options());
    assert_eq!(post(&transport, &url, "{}", AMPLE_MS).await.result.unwrap().status, 200);
    let failure = post(&transport, &url, "{}", AMPLE_MS).await.result.unwrap_err();
    assert_eq!((failure.kind, failure.status), (FailureKind::Closed, None), "{failure:?}");
    assert_eq!(requests.load(Ordering::Relaxed), 2);
    assert_eq!(post(&transport, &url, "{}", AMPLE_MS).await.result.unwrap().status, 200);
}

#[tokio::test]
async fn an_answer_past_the_limit_costs_its_connection_and_one_at_the_limit_does_not() {
    for (length, connections) in [(64 * 1_024, 1), (1_024 * 1_024, 2)] {
        let seen = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&seen);
        let url = receiver(move |mut stream, _| {
            counted.fetch_add(1, Ordering::Relaxed);
            async move {
                while read_request(&mut stream).await {
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
                    write(&mut stream, head).await;
                    write(&mut stream, vec![b'a'; length]).await;
                }
            }
        })
        .await;
        let transport = transport(options());
        for _ in 0..2 {
            assert!(post(&transport, &url, "{}", AMPLE_MS).await.result.unwrap().body_cut);
        }
        assert_eq!(seen.load(Ordering::Relaxed), connections, "{length}");
    }
}

#[tokio::test]
async fn a_connection_that_is_not_used_is_closed() {
    let (ended, mut end) = mpsc::channel(1);
    let url = receiver(move |mut stream, _| {
        let ended = ended.clone();
        async move {
            while read_request(&mut stream).await {
                write(&mut stream, OK).await;
            }
            ended.send(()).await.unwrap();
        }
    })
    .await;
    let transport = transport(EgressOptions { idle_timeout: Duration::from_millis(100), ..options() });
    assert_eq!(post(&transport, &url, "{}", AMPLE_MS).await.result.unwrap().status, 200);
    tokio::time::timeout(Duration::from_millis(AMPLE_MS), end.recv()).await.unwrap().unwrap();
}
