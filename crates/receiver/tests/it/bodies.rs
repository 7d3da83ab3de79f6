//! Bodies of every shape: in pieces, too large, too slow, cut off, strangely labelled.

use tempfile::tempdir;

use crate::client::{Client, post, status};
use crate::request::{Post, SECRET, body, body_of};
use crate::running::{Running, stored_ids};

/// The default limit of a body.
const LIMIT: usize = vai_webhooks_receiver::BODY_BYTES_MAX;

#[tokio::test]
async fn a_chunked_body_is_taken() {
    let directory = tempdir().unwrap();
    let service = Running::start(directory.path()).await;
    let request = Post::signed(&body("evt_1", "message.sent"));
    let mut client = Client::connect(service.address).await;
    client.write(&request.head("Transfer-Encoding: chunked")).await;
    for chunk in request.body.chunks(7) {
        client.write(format!("{:x}\r\n", chunk.len()).as_bytes()).await;
        client.write(chunk).await;
        client.write(b"\r\n").await;
    }
    client.write(b"0\r\n\r\n").await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    assert_eq!(stored_ids(directory.path()), ["evt_1"]);
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_body_at_the_limit_is_taken_and_one_byte_more_is_413() {
    let directory = tempdir().unwrap();
    let service = Running::start(directory.path()).await;
    assert_eq!(post(service.address, &Post::new(&body_of(LIMIT)).legacy(SECRET)).await.status, 200);
    assert_eq!(post(service.address, &Post::new(&body_of(LIMIT + 1)).legacy(SECRET)).await.status, 413);
    let mut chunked = Client::connect(service.address).await;
    let request = Post::new(&body_of(LIMIT + 1)).legacy(SECRET);
    chunked.write(&request.head("Transfer-Encoding: chunked")).await;
    chunked.write(format!("{:x}\r\n", request.body.len()).as_bytes()).await;
    chunked.write(&request.body).await;
    chunked.write(b"\r\n0\r\n\r\n").await;
    assert_eq!(chunked.answer().await.unwrap().status, 413);
    assert_eq!(stored_ids(directory.path()).len(), 1);
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_length_beyond_reason_and_one_that_asks_first_are_413_before_any_body() {
    let directory = tempdir().unwrap();
    let service = Running::start(directory.path()).await;
    let request = Post::signed(&body("evt_1", "message.sent"));
    for head in ["Content-Length: 100000000000", "Content-Length: 2000000\r\nExpect: 100-continue"] {
        let mut client = Client::connect(service.address).await;
        client.write(&request.head(head)).await;
        assert_eq!(client.answer().await.unwrap().status, 413, "{head}");
        assert_eq!(client.answer().await, None, "the connection is closed");
    }
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_body_that_ends_half_way_is_not_stored() {
    let directory = tempdir().unwrap();
    let service = Running::start(directory.path()).await;
    let request = Post::signed(&body("evt_1", "message.sent"));
    let mut client = Client::connect(service.address).await;
    let bytes = request.bytes();
    client.write(&bytes[..bytes.len() - 10]).await;
    client.end_writing().await;
    let answer = client.answer().await;
    assert!(answer.as_ref().is_none_or(|answer| answer.status == 400), "{answer:?}");
    assert_eq!(status(service.address).await["total"], 0);
    assert!(stored_ids(directory.path()).is_empty());
    service.stop().await.unwrap();
}

#[tokio::test]
async fn half_a_body_and_silence_is_408_and_closed() {
    let directory = tempdir().unwrap();
    let service = Running::start_with(directory.path(), |config| config.limits.body_timeout_ms = 50).await;
    let bytes = Post::signed(&body("evt_1", "message.sent")).bytes();
    let mut client = Client::connect(service.address).await;
    client.write(&bytes[..bytes.len() - 10]).await;
    assert_eq!(client.answer().await.unwrap().status, 408);
    assert_eq!(client.answer().await, None);
    assert_eq!(status(service.address).await["rejected"]["body_too_slow"], 1);
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_compressed_body_is_read_as_it_is() {
    let directory = tempdir().unwrap();
    let service = Running::start(directory.path()).await;
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00";
    let signed = Post::raw(gzip).legacy(SECRET).set("Content-Encoding", "gzip");
    assert_eq!(post(service.address, &signed).await.status, 400, "signed as it was sent: no event");
    let plain = Post::signed(&body("evt_1", "message.sent")).set("Content-Encoding", "gzip");
    let between = Post { body: gzip.to_vec(), ..plain.clone() };
    assert_eq!(post(service.address, &between).await.status, 401, "signed before: another body");
    assert!(stored_ids(directory.path()).is_empty());
    assert_eq!(
        post(service.address, &plain).await.status,
        200,
        "what is signed counts, not what is said of it"
    );
    service.stop().await.unwrap();
}

#[tokio::test]
async fn what_the_content_type_says_does_not_matter() {
    let directory = tempdir().unwrap();
    let service = Running::start(directory.path()).await;
    let types =
        ["", "text/plain", "application/json; charset=utf-8", "application/x-www-form-urlencoded", "\\\"/"];
    for (n, content_type) in types.into_iter().enumerate() {
        let request =
            Post::signed(&body(&format!("evt_{n}"), "message.sent")).set("Content-Type", content_type);
        assert_eq!(post(service.address, &request).await.status, 200, "{content_type}");
    }
    let none = Post::signed(&body("evt_none", "message.sent")).without("Content-Type");
    assert_eq!(post(service.address, &none).await.status, 200);
    service.stop().await.unwrap();
}

#[tokio::test]
async fn several_requests_on_one_connection_are_answered_in_order() {
    let directory = tempdir().unwrap();
    let service = Running::start(directory.path()).await;
    let mut client = Client::connect(service.address).await;
    let good = Post::signed(&body("evt_1", "message.sent")).bytes();
    let bad = Post::new("{}").bytes();
    client.write(&[good.clone(), bad, good].concat()).await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(client.answer().await.unwrap().status);
    }
    assert_eq!(statuses, [200, 401, 200]);
    service.stop().await.unwrap();
}
