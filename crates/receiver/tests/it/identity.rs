//! Each event is stored once by what makes it this event, however often and in whatever form it comes.

use tempfile::tempdir;

use crate::client::{Client, post, status};
use crate::request::{Post, SECRET, body, body_without_id, now_secs};
use crate::running::{Running, stored_ids};

#[tokio::test]
async fn the_same_id_fifty_times_at_once_is_stored_once_and_all_are_told_so() {
    let directory = tempdir().unwrap();
    let service = Running::start(directory.path()).await;
    let request = Post::signed(&body("evt_1", "message.sent")).bytes();
    let mut clients = Vec::new();
    for _ in 0..50 {
        clients.push(Client::connect(service.address).await);
    }
    let mut asked = tokio::task::JoinSet::new();
    for mut client in clients {
        let request = request.clone();
        asked.spawn(async move { client.ask(&request).await.status });
    }
    assert_eq!(asked.join_all().await, [200; 50]);
    assert_eq!(stored_ids(directory.path()), ["evt_1"]);
    let after = status(service.address).await;
    assert_eq!((after["total"].as_i64(), after["duplicates"].as_i64()), (Some(1), Some(49)));
    service.stop().await.unwrap();
}

#[tokio::test]
async fn the_seeds_own_sender_is_taken_and_its_retries_are_known() {
    let directory = tempdir().unwrap();
    let service = Running::start(directory.path()).await;
    let request = Post::new(&body_without_id("message.sent", 1))
        .set("X-VAI-Event", "message.sent")
        .set("X-VAI-Webhook-ID", "crm")
        .set("X-VAI-Timestamp", "1785542400000")
        .legacy(SECRET);
    let retry = request.clone().set("X-VAI-Timestamp", "1785542401000");
    assert_eq!(post(service.address, &request).await.status, 200);
    assert_eq!(post(service.address, &retry).await.status, 200);
    let ids = stored_ids(directory.path());
    assert_eq!(ids.len(), 1);
    assert!(ids[0].starts_with("sha256:") && ids[0].len() == 71, "{ids:?}");
    let another = Post::new(&body_without_id("message.sent", 2)).legacy(SECRET);
    assert_eq!(post(service.address, &another).await.status, 200);
    assert_eq!(stored_ids(directory.path()).len(), 2);
    service.stop().await.unwrap();
}

#[tokio::test]
async fn made_up_ids_on_a_captured_legacy_request_do_not_make_new_events() {
    let directory = tempdir().unwrap();
    let service = Running::start(directory.path()).await;
    let captured = Post::new(&body_without_id("message.sent", 1)).legacy(SECRET);
    for made_up in ["evt_a", "evt_b", "evt_c"] {
        assert_eq!(post(service.address, &captured.clone().set("webhook-id", made_up)).await.status, 200);
    }
    assert_eq!(stored_ids(directory.path()).len(), 1);
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_captured_standard_request_stripped_to_its_legacy_signature_is_the_same_event() {
    let directory = tempdir().unwrap();
    let service = Running::start(directory.path()).await;
    let text = body_without_id("message.sent", 1);
    let request = Post::new(&text).v1(SECRET, "evt_1", now_secs()).legacy(SECRET);
    assert_eq!(post(service.address, &request).await.status, 200);
    assert_eq!(post(service.address, &Post::new(&text).legacy(SECRET)).await.status, 200);
    assert_eq!(stored_ids(directory.path()), ["evt_1"]);
    let twin = Post::new(&text).v1(SECRET, "evt_2", now_secs());
    assert_eq!(post(service.address, &twin).await.status, 200);
    assert_eq!(stored_ids(directory.path()), ["evt_1", "evt_2"], "signed ids tell equal bodies apart");
    service.stop().await.unwrap();
}

#[tokio::test]
async fn an_id_that_comes_again_with_another_body_keeps_the_first() {
    let directory = tempdir().unwrap();
    let service = Running::start(directory.path()).await;
    for event_type in ["message.sent", "message.received"] {
        assert_eq!(post(service.address, &Post::signed(&body("evt_1", event_type))).await.status, 200);
    }
    let after = status(service.address).await;
    assert_eq!(after["totalReceived"]["messageSent"], 1);
    assert_eq!(after["totalReceived"]["messageReceived"], 0);
    assert_eq!(after["duplicates"], 1);
    service.stop().await.unwrap();
}
