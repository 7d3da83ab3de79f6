//! 200 means on disk; what cannot be stored is 503; the file is ours or is left alone.

use std::time::Duration;

use rusqlite::Connection;
use tempfile::tempdir;
use vai_webhooks_receiver::service::{ServiceError, open};
use vai_webhooks_receiver::{BuildError, OpenError, Receiver};

use crate::client::{Client, get, healthy, post, status};
use crate::request::{Post, body, key, secret};
use crate::running::{PATIENCE, Running, stored_ids};
use crate::summaries::until_done;

#[tokio::test]
async fn at_the_moment_of_its_200_an_event_is_in_the_file() {
    let directory = tempdir().unwrap();
    let service = Running::start(directory.path()).await;
    let mut client = Client::connect(service.address).await;
    for n in 0..100 {
        let id = format!("evt_{n}");
        let answer = client.ask(&Post::signed(&body(&id, "message.sent")).bytes()).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"received":true}"#));
        assert_eq!(stored_ids(directory.path()).last(), Some(&id), "seen by another connection at once");
    }
    service.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_stored_is_byte_for_byte_what_was_sent() {
    let directory = tempdir().unwrap();
    let service = Running::start(directory.path()).await;
    let sent = r#"{ "event":"message.sent","id":"evt_1", "timestamp":"2026-08-01T00:00:00.000Z","data":{"b":1.50,"a":"\u0103ă","b2":1e3}}"#;
    assert_eq!(post(service.address, &Post::signed(sent)).await.status, 200);
    let file = Connection::open(directory.path().join("receiver.db")).unwrap();
    let kept: Vec<u8> = file.query_row("SELECT body FROM events", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, sent.as_bytes());
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_store_that_cannot_write_is_503_with_retry_after_and_recovers() {
    let directory = tempdir().unwrap();
    let service = Running::start(directory.path()).await;
    assert_eq!(healthy(service.address).await.status, 200);
    let request = Post::signed(&body("evt_1", "message.sent"));

    let holder = Connection::open(directory.path().join("receiver.db")).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let answer = post(service.address, &request).await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("retry-after"), Some("5"));
    holder.execute_batch("ROLLBACK").unwrap();
    assert!(stored_ids(directory.path()).is_empty());
    assert_eq!(status(service.address).await["rejected"]["store_cannot_write"], 1);
    assert_eq!(status(service.address).await["total"], 0);

    assert_eq!(post(service.address, &request).await.status, 200);
    assert_eq!(stored_ids(directory.path()), ["evt_1"]);
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_store_that_fails_for_good_is_503_and_ends_the_service() {
    let directory = tempdir().unwrap();
    let service = Running::start(directory.path()).await;
    get(service.address, "/health").await;
    let breaker = Connection::open(directory.path().join("receiver.db")).unwrap();
    breaker.execute_batch("ALTER TABLE events RENAME TO gone").unwrap();
    let answer = post(service.address, &Post::signed(&body("evt_1", "message.sent"))).await;
    assert_eq!(answer.status, 503);
    assert!(matches!(service.ended().await, Err(ServiceError::StoreFailed)));
}

#[tokio::test]
async fn an_embedding_program_sees_that_the_store_has_failed() {
    let directory = tempdir().unwrap();
    let receiver = Receiver::builder().secret(secret()).key(key()).open(directory.path()).await.unwrap();
    let breaker = Connection::open(directory.path().join("receiver.db")).unwrap();
    breaker.execute_batch("ALTER TABLE events RENAME TO gone").unwrap();
    let address = crate::running::serve_plain(receiver.router()).await;
    assert_eq!(post(address, &Post::signed(&body("evt_1", "message.sent"))).await.status, 503);
    receiver.failed().await;
    let health = get(address, "/health").await;
    assert_eq!((health.status, health.json()["status"].as_str()), (503, Some("unhealthy")));
    assert_eq!(status(address).await["status"], "failed");
}

#[tokio::test]
async fn counts_and_duplicates_survive_a_restart() {
    let directory = tempdir().unwrap();
    let first = Running::start(directory.path()).await;
    let types =
        ["conversation.started", "message.received", "message.received", "order.paid", "webhook.test"];
    for (n, event_type) in types.into_iter().enumerate() {
        let request = Post::signed(&body(&format!("evt_{n}"), event_type));
        assert_eq!(post(first.address, &request).await.status, 200);
    }
    assert_eq!(post(first.address, &Post::signed(&body("evt_0", "conversation.started"))).await.status, 200);
    until_done(first.address).await;
    let before = status(first.address).await;
    first.stop().await.unwrap();

    let second = Running::start(directory.path()).await;
    let after = status(second.address).await;
    for member in before.as_object().unwrap().keys().filter(|member| *member != "startedAt") {
        assert_eq!(after[member], before[member], "{member}");
    }
    assert_eq!((after["total"].as_i64(), after["duplicates"].as_i64()), (Some(5), Some(1)));
    assert_eq!(after["totalReceived"]["messageReceived"], 2);
    assert_eq!(post(second.address, &Post::signed(&body("evt_1", "message.received"))).await.status, 200);
    assert_eq!(status(second.address).await["duplicates"], 2, "known from before the restart");
    second.stop().await.unwrap();
}

#[tokio::test]
async fn a_foreign_or_newer_file_is_refused_and_left_as_it_was() {
    for (sql, expected) in [
        ("CREATE TABLE customers (name TEXT)", "is not a database of this receiver"),
        ("PRAGMA application_id = 77; PRAGMA user_version = 1", "is not a database of this receiver"),
        (
            "PRAGMA application_id = 1447119186; PRAGMA user_version = 99",
            "was written by a newer version (schema 99",
        ),
    ] {
        let directory = tempdir().unwrap();
        let path = directory.path().join("receiver.db");
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let before = std::fs::read(&path).unwrap();
        let error = open_in(directory.path()).await.err().expect("refused").to_string();
        assert!(error.contains(expected), "{sql}: {error}");
        assert_eq!(std::fs::read(&path).unwrap(), before, "{sql}");
    }
    let directory = tempdir().unwrap();
    std::fs::write(directory.path().join("receiver.db"), "a letter to somebody, not a database").unwrap();
    let error = open_in(directory.path()).await.err().expect("refused");
    assert!(matches!(error, BuildError::Open(OpenError::Foreign(_))), "{error}");
}

#[tokio::test]
async fn two_receivers_never_share_a_directory_and_close_frees_it() {
    let directory = tempdir().unwrap();
    let first = open_in(directory.path()).await.unwrap();
    let error = open_in(directory.path()).await.err().expect("held");
    assert!(error.to_string().contains("held by another running receiver"), "{error}");
    assert!(first.close(PATIENCE).await);
    open_in(directory.path()).await.unwrap();
}

#[tokio::test]
async fn close_frees_the_directory_where_the_file_takes_longer_than_the_deadline_too() {
    let directory = tempdir().unwrap();
    let receiver = open_in(directory.path()).await.unwrap();
    let holder = Connection::open(directory.path().join("receiver.db")).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(!receiver.close(Duration::from_millis(50)).await, "the log cannot be folded yet");
    drop(holder);
    open_in(directory.path()).await.unwrap();
}

async fn open_in(directory: &std::path::Path) -> Result<Receiver, BuildError> {
    let any = ([127, 0, 0, 1], 0).into();
    open(&vai_webhooks_receiver::service::ServiceConfig::new(any, directory, vec![secret()])).await
}

#[tokio::test]
async fn the_log_is_folded_into_the_file_while_events_come() {
    let directory = tempdir().unwrap();
    let service = Running::start(directory.path()).await;
    let file = directory.path().join("receiver.db");
    let bytes = || file.metadata().unwrap().len();
    assert_eq!(post(service.address, &Post::signed(&body("evt_first", "message.sent"))).await.status, 200);
    let (before, address) = (bytes(), service.address);
    let senders: Vec<_> = (0..16)
        .map(|sender| {
            tokio::spawn(async move {
                let mut client = Client::connect(address).await;
                for n in 0..150 {
                    let post = Post::signed(&body(&format!("evt_{sender}_{n}"), "message.sent"));
                    loop {
                        match client.ask(&post.bytes()).await.status {
                            200 => break,
                            status => assert_eq!(status, 503, "or told to come again"),
                        }
                    }
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.unwrap();
    }
    // A thread does it; the writer itself would after three times as many events at the earliest.
    let folded = async {
        while bytes() < before + 200_000 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, folded).await.expect("the file grows");
    assert_eq!(stored_ids(directory.path()).len(), 1 + 16 * 150);
    service.stop().await.unwrap();
}
