//! Signed, but no event: 400 with a reason, counted, nothing stored. What is an event is taken.

use tempfile::tempdir;

use crate::client::{post, status};
use crate::request::{Post, SECRET, body, now_secs};
use crate::running::{Running, stored_ids};

#[tokio::test]
async fn a_signed_body_that_is_no_event_is_400_and_nothing_is_stored() {
    let directory = tempdir().unwrap();
    let service = Running::start(directory.path()).await;
    let deep = format!(
        r#"{{"event":"message.sent","timestamp":"2026-08-01T00:00:00.000Z","data":{}{}}}"#,
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    let table: &[&[u8]] = &[
        b"",
        b"hello",
        b"{",
        b"null",
        b"[]",
        b"17",
        b"{}",
        br#"{"event":"message.sent","timestamp":"2026-08-01T00:00:00.000Z"}"#,
        br#"{"timestamp":"2026-08-01T00:00:00.000Z","data":{}}"#,
        br#"{"event":7,"timestamp":"2026-08-01T00:00:00.000Z","data":{}}"#,
        br#"{"event":"","timestamp":"2026-08-01T00:00:00.000Z","data":{}}"#,
        br#"{"event":"no name!","timestamp":"2026-08-01T00:00:00.000Z","data":{}}"#,
        br#"{"event":"message..sent","timestamp":"2026-08-01T00:00:00.000Z","data":{}}"#,
        br#"{"id":"","event":"message.sent","timestamp":"2026-08-01T00:00:00.000Z","data":{}}"#,
        br#"{"id":7,"event":"message.sent","timestamp":"2026-08-01T00:00:00.000Z","data":{}}"#,
        b"{\"event\":\"message.sent\",\"timestamp\":\"2026-08-01T00:00:00.000Z\",\"data\":{\"text\":\"\xff\xfe\"}}",
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
        deep.as_bytes(),
    ];
    for bytes in table {
        let answer = post(service.address, &Post::raw(bytes).legacy(SECRET)).await;
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(100)]);
        assert_eq!(answer.status, 400, "{shown}");
        assert!(answer.json()["error"].as_str().unwrap().starts_with("the body is no event: "), "{shown}");
    }
    let long_id = body(&"x".repeat(300), "message.sent");
    assert_eq!(post(service.address, &Post::new(&long_id).legacy(SECRET)).await.status, 400);
    let after = status(service.address).await;
    assert_eq!(after["rejected"]["not_an_event"], table.len() as i64 + 1);
    assert_eq!((after["total"].as_i64(), after["lastReceived"].is_null()), (Some(0), true));
    assert!(stored_ids(directory.path()).is_empty());
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_header_that_names_another_event_is_400() {
    let directory = tempdir().unwrap();
    let service = Running::start(directory.path()).await;
    let good = || Post::signed(&body("evt_1", "message.sent"));
    for swapped in ["message.received", "Message.Sent", "", "message.sent, message.received"] {
        let answer = post(service.address, &good().set("X-VAI-Event", swapped)).await;
        assert_eq!(answer.status, 400, "{swapped}");
    }
    let twice = good().set("X-VAI-Event", "message.sent").add("X-VAI-Event", "message.received");
    assert_eq!(post(service.address, &twice).await.status, 400);
    assert_eq!(status(service.address).await["rejected"]["event_header_differs"], 5);
    assert!(stored_ids(directory.path()).is_empty());
    assert_eq!(post(service.address, &good().set("X-VAI-Event", "message.sent")).await.status, 200);
    service.stop().await.unwrap();
}

#[tokio::test]
async fn an_id_in_the_header_that_is_not_the_bodys_is_400() {
    let directory = tempdir().unwrap();
    let service = Running::start(directory.path()).await;
    let event = body("evt_1", "message.sent");
    let signed = Post::new(&event).v1(SECRET, "evt_2", now_secs());
    let unsigned = Post::new(&event).legacy(SECRET).set("webhook-id", "evt_2");
    for request in [signed, unsigned] {
        assert_eq!(post(service.address, &request).await.status, 400, "{request:?}");
    }
    assert_eq!(status(service.address).await["rejected"]["webhook_id_differs"], 2);
    assert!(stored_ids(directory.path()).is_empty());
    service.stop().await.unwrap();
}

#[tokio::test]
async fn custom_events_and_unknown_fields_are_taken() {
    let directory = tempdir().unwrap();
    let service = Running::start(directory.path()).await;
    let strange = r#"{"v":2,"id":"evt_1","event":"order.paid.in_full","timestamp":"2026-08-01T00:00:00.000Z","data":null}"#;
    assert_eq!(post(service.address, &Post::signed(strange)).await.status, 200);
    assert_eq!(status(service.address).await["totalReceived"]["custom"], 1);
    service.stop().await.unwrap();
}
