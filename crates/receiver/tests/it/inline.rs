//! Without an inbox: typed handlers run before the answer, once for each id, whatever remembers the ids.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use serde::Deserialize;
use tempfile::tempdir;
use tokio::sync::Notify;
use tower::ServiceExt;
use vai_webhooks_receiver::inline::{CLAIM_MS, Claim, Inline, Seen, SeenInMemory};
use vai_webhooks_receiver::{BuildError, Context, Receiver, SEEN_WINDOW_MS, SeenInPostgres, SeenInSqlite};
use vai_webhooks_wire::UnixMs;

use crate::client::post;
use crate::postgresql::{PASSWORD, Server};
use crate::request::{Post, SECRET, body, body_without_id, now_secs, secret};
use crate::running::{serve_plain, stored_ids};

#[tokio::test]
async fn handlers_get_their_types_and_the_answer_waits_for_them() {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct OrderPaid {
        order_id: String,
    }
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = |what: String| told.lock().unwrap().push(what);
    let (a, b, c) = (told.clone(), told.clone(), told.clone());
    let inline = Inline::builder(SeenInMemory::default())
        .secret(secret())
        .on_message_sent(move |event, context: Context| {
            a.lock().unwrap().push(format!("{} {} {}", event.session_id, context.id, context.timestamp));
            async { Ok(()) }
        })
        .on_data("order.*", move |order: OrderPaid, _| {
            b.lock().unwrap().push(order.order_id);
            async { Ok(()) }
        })
        .on_any(move |event: Arc<vai_webhooks_receiver::Event>| {
            c.lock().unwrap().push(event.event_type.clone());
            async { Ok(()) }
        })
        .build()
        .unwrap();
    let address = serve_plain(inline.router("/webhooks/vai")).await;
    let sent = Post::signed(&body("evt_1", "message.sent"));
    assert_eq!(post(address, &sent).await.body, r#"{"received":true}"#);
    tell("answered".to_owned());
    assert_eq!(post(address, &sent).await.status, 200, "again");
    let order = |data: &str| {
        Post::signed(&format!(
            r#"{{"id":"o-{}","event":"order.paid","timestamp":"2026-08-01T00:00:00.000Z","data":{data}}}"#,
            data.len()
        ))
    };
    assert_eq!(post(address, &order(r#"{"orderId":"7"}"#)).await.status, 200);
    let bad = post(address, &order(r#"{"order":7}"#)).await;
    assert_eq!(bad.status, 400);
    assert!(bad.body.contains("order.paid does not fit: missing field `orderId`"), "{}", bad.body);
    let expected = ["s1 evt_1 2026-08-01T00:00:00.000Z", "message.sent", "answered", "7", "order.paid"];
    assert_eq!(*told.lock().unwrap(), expected);
    assert_eq!(post(address, &Post::new(&body("evt_2", "message.sent"))).await.status, 401);
    assert_eq!(post(address, &Post::signed("{}")).await.status, 400);
}

#[tokio::test]
async fn an_event_whose_handler_failed_or_panicked_is_handled_when_it_comes_again() {
    let tries = Arc::new(AtomicU32::new(0));
    let count = tries.clone();
    let inline = Inline::builder(SeenInMemory::default())
        .secret(secret())
        .on_any(move |_: Arc<vai_webhooks_receiver::Event>| {
            let number = count.fetch_add(1, Ordering::Relaxed);
            async move {
                match number {
                    0 => Err("not yet".into()),
                    1 => panic!("a handler's own fault"),
                    _ => Ok(()),
                }
            }
        })
        .build()
        .unwrap();
    let address = serve_plain(inline.router("/webhooks/vai")).await;
    let request = Post::signed(&body("evt_1", "message.sent"));
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(post(address, &request).await.status);
    }
    assert_eq!((statuses, tries.load(Ordering::Relaxed)), (vec![500, 500, 200, 200, 200], 3));
}

#[tokio::test]
async fn of_two_requests_with_one_id_at_the_same_moment_one_is_handled_and_the_other_comes_again() {
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (begins, goes) = (begun.clone(), go.clone());
    let inline = Inline::builder(SeenInMemory::default())
        .secret(secret())
        .on_any(move |_: Arc<vai_webhooks_receiver::Event>| {
            let (begins, goes) = (begins.clone(), goes.clone());
            async move {
                begins.notify_one();
                goes.notified().await;
                Ok(())
            }
        })
        .build()
        .unwrap();
    let address = serve_plain(inline.router("/webhooks/vai")).await;
    let request = Post::signed(&body("evt_1", "message.sent"));
    let first = tokio::spawn({
        let request = request.clone();
        async move { post(address, &request).await.status }
    });
    begun.notified().await;
    let busy = post(address, &request).await;
    assert_eq!((busy.status, busy.header("retry-after")), (503, Some("5")));
    go.notify_one();
    assert_eq!(first.await.unwrap(), 200);
    assert_eq!(post(address, &request).await.status, 200, "known now: no handler waits");
}

#[tokio::test]
async fn a_legacy_copy_of_an_event_without_an_id_in_its_body_is_the_same_event() {
    let handled = Arc::new(AtomicU32::new(0));
    let count = handled.clone();
    let inline = Inline::builder(SeenInMemory::default())
        .secret(secret())
        .on_any(move |_: Arc<vai_webhooks_receiver::Event>| {
            count.fetch_add(1, Ordering::Relaxed);
            async { Ok(()) }
        })
        .build()
        .unwrap();
    let address = serve_plain(inline.router("/webhooks/vai")).await;
    let text = body_without_id("message.sent", 1);
    assert_eq!(post(address, &Post::new(&text).v1(SECRET, "evt_1", now_secs())).await.status, 200);
    assert_eq!(post(address, &Post::signed(&text).set("webhook-id", "evt_9")).await.status, 200);
    assert_eq!(handled.load(Ordering::Relaxed), 1);
}

/// What every store of seen ids promises.
async fn keeps_the_promise(seen: &dyn Seen) {
    let at = |ms: i64| UnixMs(1_800_000_000_000 + ms);
    assert_eq!(seen.claim("a", at(0)).await.unwrap(), Claim::Yours);
    assert_eq!(seen.claim("a", at(1)).await.unwrap(), Claim::Busy);
    seen.release("a").await.unwrap();
    assert_eq!(seen.claim("a", at(2)).await.unwrap(), Claim::Yours);
    assert_eq!(seen.claim("a", at(2 + CLAIM_MS - 1)).await.unwrap(), Claim::Busy);
    assert_eq!(seen.claim("a", at(2 + CLAIM_MS)).await.unwrap(), Claim::Yours, "its holder died");
    seen.done("a", at(3)).await.unwrap();
    assert_eq!(seen.claim("a", at(2 * CLAIM_MS)).await.unwrap(), Claim::Done);
    seen.release("a").await.unwrap();
    assert_eq!(seen.claim("a", at(2 * CLAIM_MS)).await.unwrap(), Claim::Done, "what is done stays done");
    seen.done("b", at(0)).await.unwrap();
    assert_eq!(seen.claim("b", at(0)).await.unwrap(), Claim::Done, "noted without a claim");
}

#[tokio::test]
async fn every_store_of_seen_ids_keeps_the_promise() {
    keeps_the_promise(&SeenInMemory::default()).await;
    let directory = tempdir().unwrap();
    let path = directory.path().join("seen.db");
    keeps_the_promise(&SeenInSqlite::open(&path).unwrap()).await;
    let again = SeenInSqlite::open(&path).unwrap();
    assert_eq!(again.claim("a", UnixMs(1_800_000_000_000)).await.unwrap(), Claim::Done, "after a restart");
    assert!(SeenInSqlite::open(directory.path().join("no/such/seen.db")).is_err());
    let server = Server::start().await;
    let seen = || SeenInPostgres::new(&server.url(PASSWORD)).unwrap();
    keeps_the_promise(&seen()).await;
    let (one, other) = (seen(), seen());
    assert_eq!(one.claim("a", UnixMs(1_800_000_000_000)).await.unwrap(), Claim::Done, "after a restart");
    assert_eq!(
        one.claim("\0", UnixMs(0)).await.unwrap(),
        Claim::Yours,
        "an id that PostgreSQL has no text for"
    );
    assert_eq!(other.claim("\0", UnixMs(1)).await.unwrap(), Claim::Busy, "another process has it");
    other.done("new", UnixMs(1_800_000_000_005 + SEEN_WINDOW_MS)).await.unwrap();
    assert_eq!(
        server.one("SELECT count(*) FROM vai_seen WHERE done_at_ms IS NOT NULL").await,
        "1",
        "old ids go"
    );
}

#[tokio::test]
async fn processes_that_share_a_database_handle_an_event_once_and_answer_503_while_it_is_away() {
    let mut server = Server::start().await;
    let handled = Arc::new(AtomicU32::new(0));
    let mut addresses = Vec::new();
    for _ in 0..4 {
        let count = handled.clone();
        let inline = Inline::builder(SeenInPostgres::new(&server.url(PASSWORD)).unwrap())
            .secret(secret())
            .on_any(move |_: Arc<vai_webhooks_receiver::Event>| {
                count.fetch_add(1, Ordering::Relaxed);
                async { Ok(()) }
            })
            .build()
            .unwrap();
        addresses.push(serve_plain(inline.router("/webhooks/vai")).await);
    }
    // All at the same moment, the table not yet made: one handles it, the others know it or have it come again.
    let request = Post::signed(&body("evt_1", "message.sent"));
    let mut asked = tokio::task::JoinSet::new();
    for address in addresses.clone().into_iter().cycle().take(32) {
        let request = request.clone();
        asked.spawn(async move { post(address, &request).await.status });
    }
    let statuses = asked.join_all().await;
    assert!(
        statuses.iter().all(|status| matches!(status, 200 | 503)) && statuses.contains(&200),
        "{statuses:?}"
    );
    for address in &addresses {
        assert_eq!(post(*address, &request).await.status, 200, "known to each");
    }
    assert_eq!(handled.load(Ordering::Relaxed), 1);
    server.stop();
    let new = Post::signed(&body("evt_2", "message.sent"));
    let away = post(addresses[0], &new).await;
    assert_eq!((away.status, away.header("retry-after")), (503, Some("5")));
    assert!(!away.body.contains(PASSWORD), "{}", away.body);
    server.run().await;
    assert_eq!(post(addresses[0], &new).await.status, 200);
    assert_eq!(post(addresses[1], &new).await.status, 200);
    assert_eq!(handled.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn both_receivers_are_tower_services_over_plain_http_types() {
    let directory = tempdir().unwrap();
    let receiver = Receiver::builder().secret(secret()).open(directory.path()).await.unwrap();
    let inline = Inline::builder(SeenInMemory::default()).secret(secret()).build().unwrap();
    let request = |method: &str| {
        let signed = Post::signed(&body("evt_1", "message.sent"));
        let mut request = http::Request::builder().method(method).uri("/any/path");
        for (name, value) in &signed.headers {
            request = request.header(name, &value[..]);
        }
        request.body(Full::new(Bytes::from(signed.body))).unwrap()
    };
    for method in ["POST", "GET"] {
        let stored = receiver.service().oneshot(request(method)).await.unwrap();
        let handled = inline.clone().oneshot(request(method)).await.unwrap();
        let expected = if method == "POST" { 200 } else { 405 };
        assert_eq!((stored.status().as_u16(), handled.status().as_u16()), (expected, expected));
        if method == "POST" {
            assert_eq!(stored.into_body().collect().await.unwrap().to_bytes(), &br#"{"received":true}"#[..]);
        }
    }
    assert_eq!(stored_ids(directory.path()), ["evt_1"]);
}

#[test]
fn it_is_not_built_without_a_secret_or_with_a_filter_that_is_none() {
    let nothing = Inline::builder(SeenInMemory::default()).build().err().unwrap();
    assert!(matches!(nothing, BuildError::NothingToVerifyWith));
    let bad = Inline::builder(SeenInMemory::default())
        .secret(secret())
        .on_any(|_: Arc<vai_webhooks_receiver::Event>| async { Ok(()) })
        .on_data("*.x", |_: serde_json::Value, _| async { Ok(()) })
        .build();
    assert!(matches!(bad.err().unwrap(), BuildError::BadFilter(filter) if filter == "*.x"));
}
