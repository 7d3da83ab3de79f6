//! What is read and kept of an answer, to the byte, and answers that are not what they say.

use vai_webhooks_engine::transport::{Answer, Failure, FailureKind};

use crate::bench::{receiver, write};
use crate::direct::{AMPLE_MS, options, post, transport};

/// What comes of a receiver that sends these bytes and then closes.
async fn answered(bytes: impl Into<Vec<u8>>) -> Result<Answer, Failure> {
    let bytes = bytes.into();
    let url = receiver(move |mut stream| {
        let bytes = bytes.clone();
        async move {
            write(&mut stream, bytes).await;
        }
    })
    .await;
    let exchange = post(&transport(options()), &url, "{}", AMPLE_MS).await;
    assert!(exchange.address.is_some(), "{exchange:?}");
    exchange.result
}

fn with_body(length: usize) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").into_bytes();
    bytes.resize(bytes.len() + length, b'a');
    bytes
}

#[tokio::test]
async fn what_is_kept_ends_at_its_limit_and_says_whether_more_followed() {
    for (length, kept, cut) in [
        (0, 0, false),
        (1_023, 1_023, false),
        (1_024, 1_024, false),
        (1_025, 1_024, true),
        (64 * 1_024, 1_024, true),
        (64 * 1_024 + 1, 1_024, true),
    ] {
        let answer = answered(with_body(length)).await.unwrap();
        assert_eq!((answer.status, answer.body.len(), answer.body_cut), (200, kept, cut), "{length}");
    }
}

#[tokio::test]
async fn retry_after_is_given_as_it_was_written_and_a_huge_one_is_not() {
    let with =
        |value: &str| format!("HTTP/1.1 503 Busy\r\nRetry-After: {value}\r\nContent-Length: 0\r\n\r\n");
    let answer = answered(with("Wed, 21 Oct 2026 07:28:00 GMT")).await.unwrap();
    assert_eq!((answer.status, answer.retry_after.as_deref()), (503, Some("Wed, 21 Oct 2026 07:28:00 GMT")));
    let answer = answered(with(&"9".repeat(10_000))).await.unwrap();
    assert_eq!((answer.status, answer.retry_after), (503, None));
}

#[tokio::test]
async fn lengths_that_contradict_each_other_are_a_protocol_failure() {
    for lengths in ["Content-Length: 2\r\nContent-Length: 3", "Content-Length: -1", "Content-Length: 2x"] {
        let failure = answered(format!("HTTP/1.1 200 OK\r\n{lengths}\r\n\r\nok")).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Protocol, "{lengths}: {failure:?}");
    }
}

#[tokio::test]
async fn more_headers_than_the_limit_are_a_protocol_failure() {
    let many = |count: usize| {
        let headers: String = (0..count).map(|at| format!("X-{at}: a\r\n")).collect();
        format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{headers}\r\n")
    };
    assert_eq!(answered(many(90)).await.unwrap().status, 200);
    let failure = answered(many(10_000)).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Protocol, "{failure:?}");
}

#[tokio::test]
async fn an_answer_without_a_length_ends_with_its_connection() {
    let answer = answered("HTTP/1.0 200 OK\r\n\r\nall of it").await.unwrap();
    assert_eq!((&answer.body[..], answer.body_cut), (&b"all of it"[..], false));
}

#[tokio::test]
async fn switching_protocols_is_a_status_and_nothing_more() {
    let answer = answered("HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n").await.unwrap();
    assert_eq!(answer.status, 101);
}
