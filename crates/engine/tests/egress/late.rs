//! Receivers that stop at each step of an exchange: the one deadline holds over all of them.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use vai_webhooks_engine::egress::EgressOptions;
use vai_webhooks_engine::transport::FailureKind;

use crate::bench::{receiver, write};
use crate::direct::{AMPLE_MS, options, post, read_head, transport};

/// A deadline that is meant to pass.
pub const SHORT_MS: u64 = 2_000;

/// A listener that accepts nothing and whose queue is full: who dials it gets no answer.
async fn full() -> (TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    for _ in 0..64 {
        // Long enough for a connection that is only slow on a busy machine.
        match tokio::time::timeout(Duration::from_secs(3), TcpStream::connect(address)).await {
            Ok(stream) => waiting.push(stream.unwrap()),
            Err(_) => return (listener, waiting),
        }
    }
    panic!("the queue of {address} does not fill");
}

#[tokio::test]
async fn one_that_does_not_accept_is_a_connect_failure_when_its_time_is_over() {
    let (listener, _waiting) = full().await;
    let address = listener.local_addr().unwrap();
    let quick = EgressOptions { connect_timeout: Duration::from_millis(SHORT_MS), ..options() };
    let exchange = post(&transport(quick), &format!("http://{address}/"), "{}", AMPLE_MS).await;
    assert_eq!((exchange.address, exchange.result.unwrap_err().kind), (Some(address), FailureKind::Connect));
}

#[tokio::test]
async fn one_that_does_not_accept_is_a_timeout_where_the_deadline_is_sooner() {
    let (listener, _waiting) = full().await;
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let failure = post(&transport(options()), &url, "{}", SHORT_MS).await.result.unwrap_err();
    assert_eq!((failure.kind, failure.status), (FailureKind::Timeout, None), "{failure:?}");
}

#[tokio::test]
async fn one_that_is_silent_in_tls_is_a_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let failure = post(&transport(options()), &url, "{}", SHORT_MS).await.result.unwrap_err();
    assert_eq!((failure.kind, failure.status), (FailureKind::Timeout, None), "{failure:?}");
}

#[tokio::test]
async fn interim_answers_do_not_move_the_deadline() {
    let then_silence = receiver(|mut stream| async move {
        write(&mut stream, "HTTP/1.1 103 Early Hints\r\n\r\n").await;
        std::future::pending::<()>().await;
    })
    .await;
    let for_ever = receiver(|mut stream| async move {
        while write(&mut stream, "HTTP/1.1 100 Continue\r\n\r\n").await {
            tokio::task::yield_now().await;
        }
    })
    .await;
    for url in [then_silence, for_ever] {
        let failure = post(&transport(options()), &url, "{}", SHORT_MS).await.result.unwrap_err();
        assert_eq!((failure.kind, failure.status), (FailureKind::Timeout, None), "{failure:?}");
    }
}

/// A receiver that reads the head of a request and never its body.
async fn deaf(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await.unwrap();
        write(&mut stream, answer).await;
        std::future::pending::<()>().await;
    });
    url
}

/// More than the sockets of both sides hold.
const LARGE_BYTES: usize = 32 << 20;

#[tokio::test]
async fn one_that_does_not_read_the_request_is_a_timeout() {
    let url = deaf("").await;
    let body = vec![b'a'; LARGE_BYTES];
    let failure = post(&transport(options()), &url, body, SHORT_MS).await.result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Timeout, "{failure:?}");
}

#[tokio::test]
async fn an_answer_before_the_request_is_read_is_an_answer() {
    let url = deaf("HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").await;
    let body = vec![b'a'; LARGE_BYTES];
    let answer = post(&transport(options()), &url, body, AMPLE_MS).await.result.unwrap();
    assert_eq!(answer.status, 413);
}

#[tokio::test]
async fn an_answer_before_a_reset_is_an_answer() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    // A thread of its own: the reset comes while the request is being written.
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _read = stream.read(&mut [0; 100]);
            let _written = stream.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let transport = transport(options());
    let body = bytes::Bytes::from(vec![b'a'; LARGE_BYTES]);
    for _ in 0..50 {
        let answer = post(&transport, &url, body.clone(), AMPLE_MS).await.result.unwrap();
        assert_eq!(answer.status, 413);
    }
}
