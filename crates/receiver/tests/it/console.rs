//! The routes for the receiver's owner: closed without the key; dead letters, replays and what is let go.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::tempdir;
use vai_webhooks_receiver::Receiver;
use vai_webhooks_receiver::sink::SinkError;

use crate::client::{Client, call, get, healthy, post, status};
use crate::request::{KEY, Post, body, key, secret};
use crate::running::{PATIENCE, Running, serve_plain, stored_ids};
use crate::told::{Told, until_done};

#[tokio::test]
async fn only_the_key_opens_them_and_health_needs_none() {
    let directory = tempdir().unwrap();
    let service = Running::start(directory.path()).await;
    let routes = [
        ("GET", "/webhook/status"),
        ("GET", "/webhook/recent"),
        ("GET", "/metrics"),
        ("GET", "/sinks/a/dead-letters"),
        ("POST", "/sinks/a/replay"),
        ("POST", "/sinks/a/discard"),
    ];
    for (method, path) in routes {
        for wrong in [None, Some(""), Some("another-key-for-tests"), Some("a-key-for-the-test")] {
            let answer = call(service.address, method, path, wrong, "").await;
            assert_eq!(
                (answer.status, answer.header("www-authenticate")),
                (401, Some("Bearer")),
                "{path} {wrong:?}"
            );
        }
        assert_ne!(call(service.address, method, path, Some(KEY), "").await.status, 401, "{path}");
    }
    healthy(service.address).await;
    for path in ["/", "/health", "/health/live", "/health/ready"] {
        let status = call(service.address, "GET", path, None, "").await.status;
        // 503: the store did not answer in time. Whoever asks may know it.
        assert!(matches!((status, path), (200, _) | (503, "/health" | "/health/ready")), "{path}: {status}");
    }
    service.stop().await.unwrap();

    let closed = Running::start_with(directory.path(), |config| config.key = None).await;
    assert_eq!(get(closed.address, "/webhook/status").await.status, 403, "no key opens what has none");
    closed.stop().await.unwrap();
}

/// Asks for something at the sink `one`.
#[tokio::test]
async fn what_cannot_be_answered_is_said_in_json() {
    let directory = tempdir().unwrap();
    let (receiver, address) =
        crate::rules::open(directory.path(), crate::rules::LOW, crate::rules::told(|_| Ok(())).0).await;
    for (path, status) in [
        ("/nowhere", 404),
        ("/webhook/recent?after=x", 400),
        ("/webhook/recent?before=1", 400),
        ("/sinks/team/dead-letters?limit=x", 400),
        ("/sinks/other/dead-letters", 404),
        ("/conversations/%ff", 400),
        ("/agents/%ff/metrics", 400),
        ("/agents/a/metrics?from=yesterday", 400),
        ("/webhooks/vai", 405),
    ] {
        let answer = get(address, path).await;
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.json()["error"].is_string(), "{path}: {}", answer.body);
    }
    let form =
        "POST /sinks/team/replay HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    let form =
        format!("{form}Authorization: Bearer {KEY}\r\nContent-Length: 16\r\n\r\n{{\"id\":   \"nope\"}}");
    let answer = Client::connect(address).await.ask(form.as_bytes()).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"replayed": 0})), "as curl -d labels it");
    assert!(receiver.close(crate::rules::DEADLINE).await);
}

async fn ask(address: std::net::SocketAddr, what: &str, body: Value) -> (u16, Value) {
    let answer = call(address, "POST", &format!("/sinks/one/{what}"), Some(KEY), &body.to_string()).await;
    (answer.status, answer.json())
}

async fn dead_letters(address: std::net::SocketAddr) -> Vec<String> {
    let listed = get(address, "/sinks/one/dead-letters").await.json();
    let data = listed["data"].as_array().unwrap();
    data.iter().map(|letter| letter["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn dead_letters_are_listed_sent_again_and_let_go() {
    let directory = tempdir().unwrap();
    let (well, taken) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
    let (sink, mut told) = Told::new({
        let (well, taken) = (well.clone(), taken.clone());
        move |ids| match ids.iter().position(|id| id.starts_with("bad") && !well.load(Ordering::Relaxed)) {
            Some(at) => {
                taken.lock().unwrap().extend_from_slice(&ids[..at]);
                Err(SinkError::Refused { at, detail: "not now".to_owned() })
            }
            None => {
                taken.lock().unwrap().extend_from_slice(ids);
                Ok(())
            }
        }
    });
    let builder = Receiver::builder().secret(secret()).key(key()).sink("one", "*", sink);
    let receiver = builder.open(directory.path()).await.unwrap();
    let address = serve_plain(receiver.router()).await;
    for id in ["a", "bad1", "bad2", "b", "bad3"] {
        assert_eq!(post(address, &Post::signed(&body(id, "message.sent"))).await.status, 200);
    }
    until_done(address).await;
    assert_eq!(dead_letters(address).await, ["bad1", "bad2", "bad3"]);
    let first = &get(address, "/sinks/one/dead-letters?limit=1").await.json();
    assert_eq!(
        (&first["data"][0]["error"], &first["data"][0]["event"]),
        (&json!("not now"), &json!("message.sent"))
    );
    let next = get(address, &format!("/sinks/one/dead-letters?limit=1&after={}", first["next"])).await.json();
    assert_eq!(next["data"][0]["id"], "bad2");

    // Refused again: a dead letter again.
    assert_eq!(ask(address, "replay", json!({"id": "bad1"})).await, (200, json!({"replayed": 1})));
    until_done(address).await;
    assert_eq!(dead_letters(address).await, ["bad1", "bad2", "bad3"]);

    assert_eq!(ask(address, "discard", json!({"id": "bad2"})).await, (200, json!({"discarded": 1})));
    well.store(true, Ordering::Relaxed);
    assert_eq!(ask(address, "replay", json!({"deadLetters": true})).await, (200, json!({"replayed": 2})));
    until_done(address).await;
    assert!(dead_letters(address).await.is_empty());
    assert_eq!(*taken.lock().unwrap(), ["a", "b", "bad1", "bad3"]);

    // A time: whatever arrived in it, taken or not.
    let window = json!({"receivedFrom": "2020-01-01T00:00:00.000Z"});
    assert_eq!(ask(address, "replay", window).await, (200, json!({"replayed": 5})));
    until_done(address).await;
    assert_eq!(taken.lock().unwrap()[4..], ["a", "bad1", "bad2", "b", "bad3"]);
    for wrong in [json!({}), json!({"all": true}), json!({"id": "a", "deadLetters": true}), json!(7)] {
        assert_eq!(ask(address, "replay", wrong).await.0, 400);
    }
    assert_eq!(call(address, "POST", "/sinks/none/replay", Some(KEY), "{}").await.status, 404);
    assert!(receiver.close(PATIENCE).await);
    told.close();
}

#[tokio::test]
async fn what_every_sink_was_done_with_for_long_enough_goes_but_no_dead_letter() {
    let directory = tempdir().unwrap();
    let (sink, _told) = Told::new(|ids| match ids.iter().position(|id| id == "bad") {
        Some(at) => Err(SinkError::Refused { at, detail: "no".to_owned() }),
        None => Ok(()),
    });
    let (down, _told_too) = Told::new(|_| Err(SinkError::again("down")));
    let keep = Some(Duration::from_millis(1));
    let open = |builder: vai_webhooks_receiver::ReceiverBuilder| {
        builder.secret(secret()).key(key()).retain(keep).open(directory.path())
    };
    let receiver =
        open(Receiver::builder().sink("one", "*", sink).sink("down", "message.*", down)).await.unwrap();
    let address = serve_plain(receiver.router()).await;
    for (id, event_type) in
        [("a", "agent.metrics"), ("bad", "agent.metrics"), ("b", "message.sent"), ("c", "agent.metrics")]
    {
        assert_eq!(post(address, &Post::signed(&body(id, event_type))).await.status, 200);
    }
    let left = |expected: Vec<&'static str>| {
        let directory = directory.path().to_owned();
        async move {
            while stored_ids(&directory) != expected {
                tokio::task::yield_now().await;
            }
        }
    };
    // `b` waits for the sink that is down, and all after it stay too.
    left(vec!["bad", "b", "c"]).await;
    receiver.close(Duration::from_secs(1)).await;
    drop(receiver);

    let (sink, _told) = Told::new(|_| Ok(()));
    let (up, _told_too) = Told::new(|_| Ok(()));
    let receiver =
        open(Receiver::builder().sink("one", "*", sink).sink("down", "message.*", up)).await.unwrap();
    let address = serve_plain(receiver.router()).await;
    // The newest stays, so that numbers go on from it.
    left(vec!["bad", "c"]).await;
    assert_eq!(ask(address, "replay", json!({"deadLetters": true})).await.0, 200);
    left(vec!["c"]).await;
    assert_eq!(post(address, &Post::signed(&body("d", "message.sent"))).await.status, 200);
    left(vec!["d"]).await;
    // The newest stays whether the sinks are done with it or not.
    while status(address).await["sinks"].as_array().unwrap().iter().any(|sink| sink["waiting"] != 0) {
        tokio::task::yield_now().await;
    }
    assert!(receiver.close(PATIENCE).await);
}

#[tokio::test]
async fn metrics_and_the_pages_list_say_what_came_in_and_how_each_sink_is() {
    let directory = tempdir().unwrap();
    let (sink, _told) = Told::new(|_| Err(SinkError::again("down")));
    let receiver = Receiver::builder()
        .secret(secret())
        .key(key())
        .sink("one", "*", sink)
        .open(directory.path())
        .await
        .unwrap();
    let address = serve_plain(receiver.router()).await;
    for id in ["a", "a", "b"] {
        post(address, &Post::signed(&body(id, "message.sent"))).await;
    }
    post(address, &Post::new("{}")).await;
    while status(address).await["sinks"][0]["status"] != "failing" {
        tokio::task::yield_now().await;
    }
    let page = get(address, "/metrics").await;
    assert!(page.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    for line in [
        "vai_receiver_events_total{event=\"messageSent\"} 2",
        "vai_receiver_duplicates_total{event=\"messageSent\"} 1",
        "vai_receiver_sink_waiting{sink=\"one\"} 2",
        "vai_receiver_sink_failing{sink=\"one\"} 1",
        "# TYPE vai_receiver_sink_lag_seconds gauge",
    ] {
        assert!(page.body.lines().any(|found| found == line), "{line}\n{}", page.body);
    }
    assert!(page.body.contains("vai_receiver_rejected_total{reason="), "{}", page.body);
    let recent = get(address, "/webhook/recent").await.json();
    let ids: Vec<&str> =
        recent["data"].as_array().unwrap().iter().map(|seen| seen["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["b", "a"], "newest first");
    assert_eq!(recent["data"][0]["event"], "message.sent");
    let after = recent["data"][1]["seq"].as_i64().unwrap();
    let newer = get(address, &format!("/webhook/recent?after={after}")).await.json();
    assert_eq!(newer["data"].as_array().unwrap().len(), 1);
    let health = healthy(address).await;
    assert_eq!((health.status, &health.json()["status"]), (200, &json!("degraded")));
    assert_eq!(health.json()["sinks"], json!({"total": 1, "failing": 1}));
    let page = get(address, "/").await;
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    receiver.close(Duration::from_secs(1)).await;
}
